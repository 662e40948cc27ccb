//! The count rule on one series of counts that somebody else made.
//!
//! The fold counts mentions one by one; this takes whole buckets, so that the rule can be measured on months of
//! two thousand mentions a minute and on published series. It decides by the same [`Threshold`] as the fold and
//! closes by the same rules; a test beside the fold's holds the two together.

use earshot_common::definitions::{CountCondition, Window};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::baseline::Rhythm;
use super::calendar::{Bucket, DAY_MS, bucket_of};
use super::past::{PastBucket, PastCounts};
use super::series::LOOK_BACK_MS;
use super::threshold::Threshold;
use super::watch::LONGEST_MS;

/// A count rule and the series that it watches, in UTC and from the first bucket on, as if each mention had an
/// author of its own.
#[derive(Debug)]
pub struct Detector {
    condition: CountCondition,
    rhythm: Rhythm,
    past: PastCounts,
    /// The start of the bucket that opened the alert.
    opening: Option<Timestamp>,
}

/// What a bucket's count means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The probability of a count as high or higher; `None` where there is too little data.
    pub probability: Option<f64>,
    /// From which count on the bucket is surprising; `None` where it cannot be.
    pub threshold: Option<u32>,
    /// Whether the bucket opened an alert.
    pub opened: bool,
}

impl Detector {
    /// A detector for clock hours or calendar days, as the condition asks for.
    pub fn new(condition: CountCondition) -> Self {
        let rhythm = condition.window.into();
        Self { condition, rhythm, past: PastCounts::new(rhythm), opening: None }
    }

    /// A detector for parts of an hour, each judged by itself; whole hours also with the one before.
    pub fn of_parts(condition: CountCondition, parts_of_an_hour: usize) -> Self {
        let rhythm = Rhythm { window: Window::Hour, buckets_a_day: 24 * parts_of_an_hour };
        Self { condition, rhythm, past: PastCounts::new(rhythm), opening: None }
    }

    /// Judges the next bucket, which starts there, and takes its count in.
    pub fn push(&mut self, start: Timestamp, count: u32) -> Judged {
        let bucket = bucket_of(self.rhythm.window, &TimeZone::UTC, start);
        self.past.forget_before(start.plus_millis(-LOOK_BACK_MS));
        self.past.know_until(self.known_until(start));
        let part = Bucket { start, ..bucket };
        let threshold = Threshold::of(&self.condition, self.rhythm, &part, &self.past, false);
        let least = self.condition.authors_at_least.max(self.condition.mentions_at_least);
        let surprising = threshold.count.is_some_and(|surprising| count >= surprising.max(least));
        let opened = surprising && self.opening.is_none();
        self.past.push(PastBucket { start, slot: bucket.slot, count, burst: false });
        let end = start.plus_millis(self.length_ms());
        match self.opening {
            None if opened => self.opening = Some(start),
            None => {}
            Some(_) if threshold.is_calm(&self.condition, count) => self.end_burst(start),
            Some(opening) if opening.plus_millis(LONGEST_MS) <= end => self.end_burst(end),
            Some(_) => {}
        }
        Judged { probability: threshold.probability(count), threshold: threshold.count, opened }
    }

    /// Until when a baseline may know the past: while an alert is open, until its opening, if anything was before.
    fn known_until(&self, start: Timestamp) -> Timestamp {
        self.opening.filter(|opening| self.past.reaches_before(*opening)).unwrap_or(start)
    }

    /// Marks the buckets from the opening to here as a burst.
    fn end_burst(&mut self, end: Timestamp) {
        if let Some(opening) = self.opening.take() {
            self.past.mark_burst(opening..end);
        }
    }

    fn length_ms(&self) -> i64 {
        DAY_MS / self.rhythm.buckets_a_day as i64
    }
}
