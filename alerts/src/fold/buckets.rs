//! Counted buckets in order, sixteen bytes each: eight weeks of hours of ten thousand subjects are 220 megabytes.

use std::ops::Range;

use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::Bucket;

const MINUTE_MS: i64 = 60_000;
/// Room for so many more is made at once, and no more: doubling would waste half of it.
const ROOM: usize = 64;

/// Buckets by their start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Buckets(Vec<Counted>);

/// One bucket and what was counted in it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub(crate) struct Counted {
    start: Timestamp,
    /// Mentions.
    pub(crate) count: u32,
    /// Exact for every change of a clock since 1972.
    length_min: u16,
    slot: u8,
    /// Whether it is over and we listened from its beginning to its end.
    pub(crate) observed: bool,
}

/// A bucket as snapshots hold it: start in milliseconds, count, length in minutes, slot, observed.
type Form = (i64, u32, u16, u8, bool);

impl From<Form> for Counted {
    fn from((start, count, length_min, slot, observed): Form) -> Self {
        Self { start: Timestamp::from_millis(start), count, length_min, slot, observed }
    }
}

impl From<Counted> for Form {
    fn from(counted: Counted) -> Self {
        let Counted { start, count, length_min, slot, observed } = counted;
        (start.as_millis(), count, length_min, slot, observed)
    }
}

impl Counted {
    /// When it is, and which hour of the week or day of the week.
    pub(crate) fn bucket(&self) -> Bucket {
        let end = self.start.plus_millis(i64::from(self.length_min) * MINUTE_MS);
        Bucket { start: self.start, end, slot: self.slot }
    }
}

impl Buckets {
    /// The bucket that starts there.
    pub(crate) fn get(&self, start: Timestamp) -> Option<&Counted> {
        self.place(start).ok().map(|place| &self.0[place])
    }

    /// The bucket that holds an instant.
    pub(crate) fn holding(&self, at: Timestamp) -> Option<Bucket> {
        let after = self.0.partition_point(|counted| counted.start <= at);
        let bucket = self.0[..after].last()?.bucket();
        (at < bucket.end).then_some(bucket)
    }

    /// The entry of a bucket; nothing is counted in a new one.
    pub(crate) fn entry(&mut self, bucket: Bucket) -> &mut Counted {
        let place = match self.place(bucket.start) {
            Ok(place) => place,
            Err(place) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(ROOM);
                }
                let length_ms = bucket.end.as_millis() - bucket.start.as_millis();
                let length_min = u16::try_from(length_ms / MINUTE_MS).unwrap_or(u16::MAX);
                let Bucket { start, slot, .. } = bucket;
                self.0.insert(place, Counted { start, count: 0, length_min, slot, observed: false });
                place
            }
        };
        &mut self.0[place]
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Counted> {
        self.0.iter()
    }

    /// Those that start in the range, in order.
    pub(crate) fn range(&self, range: Range<Timestamp>) -> impl Iterator<Item = &Counted> {
        let place = |at: Timestamp| self.0.partition_point(|counted| counted.start < at);
        let (from, to) = (place(range.start), place(range.end));
        self.0.get(from..to).unwrap_or_default().iter()
    }

    /// Those that start no later than this, in order, to be changed.
    pub(crate) fn until(&mut self, last: Timestamp) -> impl Iterator<Item = &mut Counted> {
        let end = self.0.partition_point(|counted| counted.start <= last);
        self.0[..end].iter_mut()
    }

    /// Forgets those that start before.
    pub(crate) fn forget_before(&mut self, oldest: Timestamp) {
        let old = self.0.partition_point(|counted| counted.start < oldest);
        self.0.drain(..old);
    }

    fn place(&self, start: Timestamp) -> Result<usize, usize> {
        // Nearly always it is the newest, or a new one.
        match self.0.last() {
            Some(last) if last.start == start => Ok(self.0.len() - 1),
            Some(last) if last.start < start => Err(self.0.len()),
            _ => self.0.binary_search_by_key(&start, |counted| counted.start),
        }
    }
}
