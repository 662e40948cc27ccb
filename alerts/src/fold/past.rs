//! The observed buckets before the one in question, with sums that are kept up to date.
//!
//! The hour in which a clock is changed lasts longer or shorter than those that it would be compared with: it is none of
//! them.
//!
//! What belongs here: which buckets are known and what they sum to. What follows from the sums is
//! [`super::baseline`]'s. The fold makes the sums anew where a threshold is asked for; [`super::detector`], which judges
//! series of sixteen thousand buckets, adds and takes away one at a time. The sums are integers: which way they were made
//! cannot show.

use std::collections::VecDeque;
use std::ops::Range;

use earshot_common::definitions::Window;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::baseline::Rhythm;
use super::buckets::Counted;
use super::calendar::{Bucket, HOUR_MS};
use super::model::Sums;

/// Hours of a week.
const SLOTS: usize = 168;

/// An observed bucket before the one in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastBucket {
    /// Its first instant.
    pub(crate) start: Timestamp,
    /// Which of the week's hours or days it is.
    pub(crate) slot: u8,
    /// Mentions in it.
    pub(crate) count: u32,
    /// Whether it belonged to a burst.
    pub(crate) burst: bool,
}

/// The buckets of a series, and each hour together with the hour before.
#[derive(Debug)]
pub(crate) struct PastCounts {
    /// The buckets.
    pub(crate) single: Tally,
    /// Hours with the hours before them; `None` where the buckets are no hours.
    pub(crate) pairs: Option<Tally>,
}

/// Buckets in their order, of which the first ones are known: only these are in the sums.
#[derive(Debug)]
pub(crate) struct Tally {
    buckets: VecDeque<PastBucket>,
    known: usize,
    slots: Vec<Slot>,
}

/// The known buckets of an hour of the week or of a day of the week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The sums of those that belong to no burst.
    pub(crate) calm: Sums,
    /// The counts of those that belong to one, oldest first.
    pub(crate) bursts: VecDeque<u32>,
}

impl PastCounts {
    /// Nothing before.
    pub(crate) fn new(rhythm: Rhythm) -> Self {
        let pairs = (rhythm == Rhythm::from(Window::Hour)).then(Tally::new);
        Self { single: Tally::new(), pairs }
    }

    /// These before, oldest first, and all of them known.
    pub(crate) fn of(rhythm: Rhythm, buckets: &[PastBucket]) -> Self {
        let mut past = Self::new(rhythm);
        for bucket in buckets {
            past.push(*bucket);
        }
        past.know_until(Timestamp::from_millis(i64::MAX));
        past
    }

    /// Adds the next bucket, which is not known yet.
    pub(crate) fn push(&mut self, bucket: PastBucket) {
        if let Some(pairs) = &mut self.pairs
            && let Some(before) = self.single.buckets.back()
            && before.is_followed_by(bucket.start, bucket.slot)
        {
            pairs.buckets.push_back(PastBucket {
                count: before.count.saturating_add(bucket.count),
                burst: before.burst || bucket.burst,
                ..bucket
            });
        }
        self.single.buckets.push_back(bucket);
    }

    /// Drops the buckets that start before, and what they are part of.
    pub(crate) fn forget_before(&mut self, oldest: Timestamp) {
        self.single.forget_before(oldest);
        if let Some(pairs) = &mut self.pairs {
            let second = self.single.buckets.front().map_or(oldest, |first| first.start.plus_millis(1));
            pairs.forget_before(second);
        }
    }

    /// From here on the buckets that start before this are known, and no others.
    pub(crate) fn know_until(&mut self, end: Timestamp) {
        self.single.know_until(end);
        if let Some(pairs) = &mut self.pairs {
            pairs.know_until(end);
        }
    }

    /// Whether a bucket starts before this.
    pub(crate) fn reaches_before(&self, end: Timestamp) -> bool {
        self.single.buckets.front().is_some_and(|first| first.start < end)
    }

    /// Marks the buckets that start within as a burst. Those from its beginning on are not known before the next
    /// [`PastCounts::know_until`].
    pub(crate) fn mark_burst(&mut self, burst: Range<Timestamp>) {
        self.single.mark_burst(&burst);
        if let Some(pairs) = &mut self.pairs {
            // The hour after the burst is half of a pair whose other half belongs to it.
            let after = self.single.buckets.iter().find(|bucket| bucket.start >= burst.end);
            let end = after.map_or(burst.end, |after| after.start.plus_millis(1));
            pairs.mark_burst(&(burst.start..end));
        }
    }
}

impl PastBucket {
    /// A counted bucket that belongs to no burst.
    pub(crate) fn of_no_burst(counted: Counted) -> Self {
        let Bucket { start, slot, .. } = counted.bucket;
        Self { start, slot, count: counted.count, burst: false }
    }

    /// Whether the hour that starts there is the next on the clock.
    pub(crate) fn is_followed_by(&self, start: Timestamp, slot: u8) -> bool {
        (usize::from(self.slot) + 1) % SLOTS == usize::from(slot) && start <= self.start.plus_millis(HOUR_MS)
    }
}

impl Tally {
    fn new() -> Self {
        Self { buckets: VecDeque::new(), known: 0, slots: vec![Slot::default(); SLOTS] }
    }

    /// How many buckets are known.
    pub(crate) fn len(&self) -> usize {
        self.known
    }

    /// The known buckets, oldest first.
    pub(crate) fn known(&self) -> impl DoubleEndedIterator<Item = &PastBucket> {
        self.buckets.range(..self.known)
    }

    /// What is known by slot. Of days only the first seven have anything.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn know_until(&mut self, end: Timestamp) {
        let known = self.buckets.partition_point(|bucket| bucket.start < end);
        self.know_no_more_than(known);
        while self.known < known {
            let bucket = self.buckets[self.known];
            self.slots[usize::from(bucket.slot)].add(&bucket);
            self.known += 1;
        }
    }

    fn know_no_more_than(&mut self, known: usize) {
        while self.known > known {
            self.known -= 1;
            let bucket = self.buckets[self.known];
            self.slots[usize::from(bucket.slot)].take_newest(&bucket);
        }
    }

    fn forget_before(&mut self, oldest: Timestamp) {
        while let Some(bucket) = self.buckets.pop_front_if(|bucket| bucket.start < oldest) {
            if self.known > 0 {
                self.slots[usize::from(bucket.slot)].take_oldest(&bucket);
                self.known -= 1;
            }
        }
    }

    fn mark_burst(&mut self, burst: &Range<Timestamp>) {
        let first = self.buckets.partition_point(|bucket| bucket.start < burst.start);
        self.know_no_more_than(first);
        for bucket in self.buckets.range_mut(first..) {
            bucket.burst |= bucket.start < burst.end;
        }
    }
}

impl Slot {
    /// How many buckets.
    pub(crate) fn buckets(&self) -> usize {
        self.calm.buckets as usize + self.bursts.len()
    }

    /// The sums of all of them.
    pub(crate) fn all(&self) -> Sums {
        let mut all = self.calm;
        for count in &self.bursts {
            all.add(*count);
        }
        all
    }

    fn add(&mut self, bucket: &PastBucket) {
        if bucket.burst {
            self.bursts.push_back(bucket.count);
        } else {
            self.calm.add(bucket.count);
        }
    }

    fn take_oldest(&mut self, bucket: &PastBucket) {
        if bucket.burst {
            self.bursts.pop_front();
        } else {
            self.calm.take(bucket.count);
        }
    }

    fn take_newest(&mut self, bucket: &PastBucket) {
        if bucket.burst {
            self.bursts.pop_back();
        } else {
            self.calm.take(bucket.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::fold::baseline::baseline;

    fn hour(hour: i64, count: u32) -> PastBucket {
        let start = Timestamp::from_millis(hour * HOUR_MS);
        PastBucket { start, slot: hour.rem_euclid(SLOTS as i64) as u8, count, burst: false }
    }

    /// The pairs that the module doc promises, written down plainly.
    fn pairs(hours: &[PastBucket]) -> Vec<PastBucket> {
        let mut pairs = Vec::new();
        for pair in hours.windows(2) {
            if pair[1].start == pair[0].start.plus_millis(HOUR_MS) {
                let (count, burst) = (pair[0].count + pair[1].count, pair[0].burst || pair[1].burst);
                pairs.push(PastBucket { count, burst, ..pair[1] });
            }
        }
        pairs
    }

    fn slots(buckets: &[PastBucket]) -> Vec<Slot> {
        let mut slots = vec![Slot::default(); SLOTS];
        for bucket in buckets {
            let slot = &mut slots[usize::from(bucket.slot)];
            match bucket.burst {
                true => slot.bursts.push_back(bucket.count),
                false => slot.calm.add(bucket.count),
            }
        }
        slots
    }

    #[test]
    fn sums_that_are_kept_up_to_date_are_those_made_anew() {
        for seed in 0..6 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut past = PastCounts::new(Window::Hour.into());
            let mut plain: Vec<PastBucket> = Vec::new();
            let mut now = 0;
            for step in 0..600 {
                // Now and then a gap.
                now += if random.random_range(0..30) == 0 { random.random_range(2..40) } else { 1 };
                let bucket = hour(now, random.random_range(0..50));
                past.push(bucket);
                plain.push(bucket);
                if random.random_range(0..15) == 0 {
                    let begin = now - random.random_range(1..20);
                    let burst = hour(begin, 0).start..hour(begin + random.random_range(1..20), 0).start;
                    // An alert ends with the bucket at hand at the latest.
                    let burst = burst.start..burst.end.min(bucket.start);
                    past.mark_burst(burst.clone());
                    for bucket in &mut plain {
                        bucket.burst |= burst.contains(&bucket.start);
                    }
                }
                let oldest = hour(now - 300, 0).start;
                past.forget_before(oldest);
                plain.retain(|bucket| bucket.start >= oldest);

                let end = hour(now + 1 - random.random_range(0..30), 0).start;
                past.know_until(end);
                let known: Vec<PastBucket> =
                    plain.iter().filter(|bucket| bucket.start < end).copied().collect();
                assert_eq!(past.single.known().copied().collect::<Vec<_>>(), known);
                assert_eq!(past.single.slots(), slots(&known));
                let kept = past.pairs.as_ref().unwrap();
                assert_eq!(kept.known().copied().collect::<Vec<_>>(), pairs(&known));
                assert_eq!(kept.slots(), slots(&pairs(&known)));

                if step % 30 == 0 {
                    let rhythm = Window::Hour.into();
                    let slot = hour(now + 1, 0).slot;
                    let anew = PastCounts::of(rhythm, &known);
                    assert_eq!(baseline(rhythm, slot, &past.single), baseline(rhythm, slot, &anew.single));
                    assert_eq!(baseline(rhythm, slot, kept), baseline(rhythm, slot, &anew.pairs.unwrap()));
                }
            }
        }
    }
}
