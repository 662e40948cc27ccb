//! The counts of one subject by hour or by day, and which of them were wholly observed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use earshot_common::definitions::{self, Window};
use earshot_common::events::{Counted as CountedBy, Measure, Rebuilt, Signal, SubjectSignal};
use earshot_common::keys::AuthorKey;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::buckets::{Buckets, Counted};
use super::calendar::{Bucket, DAY_MS, bucket_of, length_ms};
use super::evidence::{Evidence, Witness};

/// How far back a baseline looks: eight weeks.
pub(crate) const LOOK_BACK_MS: i64 = 56 * DAY_MS;
/// A bucket that ended more windows ago than this may not fire: what it shows is no longer news.
pub(crate) const FRESH_WINDOWS: i64 = 2;
/// A measure that counts each story or author once is exact up to here: more than a day has at two thousand mentions a
/// minute. A window that fills it costs about 60 MB, by reckoning, while it may fire, and others what they hold.
pub(crate) const MOST_DISTINCT: usize = 4_000_000;
/// Distinct authors are counted exactly up to here.
pub(crate) const MOST_AUTHORS: usize = definitions::MOST_AUTHORS as usize;

/// Counts by bucket start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    measure: Measure,
    window: Window,
    #[serde(with = "super::calendar::zone_name")]
    zone: TimeZone,
    buckets: Buckets,
    /// Of the buckets that may still fire.
    details: BTreeMap<Timestamp, Details>,
    /// The bucket that closes next, once one has closed.
    open: Option<Bucket>,
    /// While what happened before some time is counted anew elsewhere.
    changed: Option<Changed>,
}

/// From when on counts are by another definition.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Changed {
    at: Timestamp,
    /// The bucket that it falls into.
    bucket: Timestamp,
    /// Counted in it of what happened since.
    count: u32,
}

/// What only a bucket that may still fire needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Details {
    authors: BTreeSet<AuthorKey>,
    unknown_author: bool,
    mentions: u32,
    /// The stories or authors that were counted, where the measure counts each once.
    counted: BTreeSet<u64>,
    evidence: Evidence,
}

impl Series {
    /// Nothing counted, nothing observed.
    pub(crate) fn new(measure: Measure, window: Window, zone: TimeZone) -> Self {
        Self {
            measure,
            window,
            zone,
            buckets: Buckets::default(),
            details: BTreeMap::new(),
            open: None,
            changed: None,
        }
    }

    /// Counts a mention in its bucket. `now` says which buckets are too old to matter: what they hold besides their
    /// count is forgotten, so stories and authors that come so late are not counted any more.
    pub(crate) fn count(
        &mut self,
        signal: &Signal,
        subject: &SubjectSignal,
        witness: Witness,
        now: Timestamp,
    ) {
        let at = signal.event_time;
        if at < now.plus_millis(-LOOK_BACK_MS) {
            return;
        }
        let bucket = self.bucket(at);
        let fresh = bucket.end >= self.fresh_from(now);
        let mut details = fresh.then(|| self.details.entry(bucket.start).or_default());
        let mut first = |key: u64| {
            details
                .as_mut()
                .is_some_and(|details| details.counted.len() < MOST_DISTINCT && details.counted.insert(key))
        };
        let counts = match signal.counted_by(self.measure, subject) {
            CountedBy::Each => true,
            CountedBy::Once(key) => first(key),
            CountedBy::Not => return,
        };
        if counts {
            self.buckets.count(bucket, 1);
            if let Some(changed) = &mut self.changed
                && changed.bucket == bucket.start
                && changed.at <= at
            {
                changed.count += 1;
            }
        }
        let Some(details) = self.details.get_mut(&bucket.start).filter(|_| fresh) else { return };
        details.mentions += 1;
        details.evidence.add(witness, &signal.source);
        match signal.author {
            Some(author) if details.authors.len() < MOST_AUTHORS => drop(details.authors.insert(author)),
            Some(_) => {}
            None => details.unknown_author = true,
        }
    }

    /// The span of a bucket.
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// The bucket of an instant, without a look at the zone where a mention was counted near it.
    pub(crate) fn bucket(&self, at: Timestamp) -> Bucket {
        self.buckets.holding(at).unwrap_or_else(|| bucket_of(self.window, &self.zone, at))
    }

    /// Mentions in the bucket that starts there.
    pub(crate) fn count_at(&self, start: Timestamp) -> u32 {
        self.buckets.get(start).map_or(0, |counted| counted.count)
    }

    /// Mentions in the buckets that start in a range.
    pub(crate) fn count_in(&self, range: Range<Timestamp>) -> u32 {
        self.buckets.range(range).map(|counted| counted.count).sum()
    }

    /// Mentions in all buckets.
    pub(crate) fn counted(&self) -> u64 {
        self.buckets.iter().map(|counted| u64::from(counted.count)).sum()
    }

    /// Distinct authors in the bucket that starts there. All whose author is unknown are one.
    pub(crate) fn authors_at(&self, start: Timestamp) -> u32 {
        self.details
            .get(&start)
            .map_or(0, |details| details.authors.len() as u32 + u32::from(details.unknown_author))
    }

    /// Mentions in the bucket that starts there, where the measure counts something else once.
    pub(crate) fn mentions_at(&self, start: Timestamp) -> Option<u32> {
        let counts_once = matches!(self.measure, Measure::Stories | Measure::Authors);
        self.details.get(&start).filter(|_| counts_once).map(|details| details.mentions)
    }

    /// Whether the bucket that starts there was wholly observed.
    pub(crate) fn is_observed(&self, start: Timestamp) -> bool {
        self.buckets.get(start).is_some_and(|counted| counted.observed)
    }

    /// Whether the buckets were observed that end in a range, from the one on that holds its start.
    pub(crate) fn is_observed_through(&self, range: Range<Timestamp>) -> bool {
        let mut bucket = self.bucket(range.start);
        while bucket.end <= range.end {
            if !self.is_observed(bucket.start) {
                return false;
            }
            bucket = self.bucket(bucket.end);
        }
        true
    }

    /// The evidence of the bucket that starts there.
    pub(crate) fn evidence_at(&self, start: Timestamp) -> Evidence {
        self.details.get(&start).map(|details| details.evidence.clone()).unwrap_or_default()
    }

    /// Whether a bucket is recent enough to fire.
    pub(crate) fn may_fire(&self, bucket: &Bucket, now: Timestamp) -> bool {
        bucket.end >= self.fresh_from(now)
    }

    /// The start of the next bucket to close: changes exactly when a bucket was closed.
    pub(crate) fn closed_until(&self) -> Option<Timestamp> {
        self.open.map(|open| open.start)
    }

    /// The observed buckets that start in the range, in order.
    pub(crate) fn observed(&self, range: Range<Timestamp>) -> impl Iterator<Item = Counted> {
        self.buckets.range(range).filter(|counted| counted.observed)
    }

    /// Closes the buckets that are over at `clock`; those that lie wholly within a span were observed.
    pub(crate) fn close(&mut self, spans: &[Range<Timestamp>], clock: Timestamp) {
        let Some(first) = spans.first() else { return };
        // What is past the look-back need not be closed one by one.
        let oldest = clock.plus_millis(-LOOK_BACK_MS);
        let mut bucket = match self.open {
            Some(open) if open.start >= oldest => open,
            _ => self.bucket(first.start.max(oldest)),
        };
        while bucket.end <= clock {
            if spans.iter().any(|span| span.start <= bucket.start && bucket.end <= span.end) {
                self.buckets.observe(bucket);
            }
            bucket = self.bucket(bucket.end);
            self.open = Some(bucket);
        }
    }

    /// The same, where the spans begin earlier than before.
    pub(super) fn close_again(&mut self, spans: &[Range<Timestamp>], clock: Timestamp) {
        self.open = None;
        self.close(spans, clock);
    }

    /// What another series of the same windows observed, this one knows too.
    pub(super) fn observe_as(&mut self, other: &Self) {
        for counted in other.buckets.iter().filter(|counted| counted.observed) {
            self.buckets.observe(counted.bucket);
        }
    }

    /// What happens from now on is counted by another definition; what happened before will be counted anew.
    pub(super) fn changes_at(&mut self, at: Timestamp) {
        self.changed = Some(Changed { at, bucket: self.bucket(at).start, count: 0 });
    }

    /// Takes the counts of what happened before the change. Which buckets were observed stays, but for those of which
    /// the mentions are not retained.
    pub(super) fn recount(&mut self, rebuilt: &Rebuilt) {
        let Some(changed) = self.changed else { return };
        self.buckets.uncount(changed.bucket, |start| rebuilt.from.is_none_or(|from| from <= start));
        for bucket in rebuilt.buckets.iter().filter(|bucket| bucket.live > 0) {
            self.buckets.count(self.bucket(bucket.start), bucket.live);
        }
        if changed.count > 0 {
            self.buckets.count(self.bucket(changed.bucket), changed.count);
        }
    }

    /// All is counted by one definition from here on.
    pub(super) fn is_changed(&mut self) {
        self.changed = None;
    }

    /// Forgets details that can no longer matter to rules that ask for so many windows one after the other, and counts
    /// past the look-back.
    pub(crate) fn prune(&mut self, now: Timestamp, windows: u32) {
        let oldest = now.plus_millis(-LOOK_BACK_MS - 2 * DAY_MS);
        self.buckets.forget_before(oldest);
        // A day of 25 hours begins one earlier.
        let stale = self.fresh_from(now).plus_millis(-(i64::from(windows) + 1) * length_ms(self.window));
        while self.details.first_key_value().is_some_and(|(start, _)| *start < stale) {
            self.details.pop_first();
        }
        // What comes so late counts no story and no author any more.
        let fresh_from = self.fresh_from(now);
        let late: Vec<Timestamp> =
            self.details.keys().copied().filter(|start| self.bucket(*start).end < fresh_from).collect();
        for start in late {
            self.details.entry(start).or_default().counted = BTreeSet::new();
        }
    }

    fn fresh_from(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(-FRESH_WINDOWS * length_ms(self.window))
    }
}
