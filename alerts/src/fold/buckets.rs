//! Counted buckets in order, four bytes each: eight weeks of hours of ten thousand subjects are 55 megabytes.
//!
//! Buckets follow each other on a zone's clock, so the first of a run says when all of it is. A run ends where hours
//! or days are missing, and where the clock is changed.

use std::ops::Range;

use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::Bucket;

const MINUTE_MS: i64 = 60_000;
/// Room for so many more is made at once, and no more: doubling would waste half of it.
const ROOM: usize = 64;
/// What is longer is a day: no change of a clock makes an hour as long.
const LONGEST_HOUR_MIN: u16 = 4 * 60;

/// Buckets by their start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Buckets(Vec<Run>);

/// One bucket and what was counted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// When it is, and which hour of the week or day of the week.
    pub(crate) bucket: Bucket,
    /// Mentions.
    pub(crate) count: u32,
    /// Whether it is over and we listened from its beginning to its end.
    pub(crate) observed: bool,
}

/// Buckets of one length, each beginning where the one before ends, with slots that follow each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    start: Timestamp,
    /// Of each bucket; exact for every change of a clock since 1972.
    length_min: u16,
    /// Of the first bucket.
    slot: u8,
    cells: Vec<Cell>,
}

/// Twice the count, and one more where the bucket was observed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Cell(u32);

impl Cell {
    fn count(self) -> u32 {
        self.0 >> 1
    }

    fn observed(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Buckets {
    /// The bucket that starts there.
    pub(crate) fn get(&self, start: Timestamp) -> Option<Counted> {
        let counted = self.before(start)?.holding(start)?;
        (counted.bucket.start == start).then_some(counted)
    }

    /// The bucket that holds an instant.
    pub(crate) fn holding(&self, at: Timestamp) -> Option<Bucket> {
        Some(self.before(at)?.holding(at)?.bucket)
    }

    /// Counts a mention in a bucket.
    pub(crate) fn count(&mut self, bucket: Bucket) {
        let cell = self.cell(bucket);
        cell.0 = cell.0.checked_add(2).unwrap_or(cell.0);
    }

    /// Notes that a bucket was observed.
    pub(crate) fn observe(&mut self, bucket: Bucket) {
        self.cell(bucket).0 |= 1;
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Counted> {
        self.0.iter().flat_map(|run| run.range(0..run.cells.len()))
    }

    /// Those that start in the range, in order.
    pub(crate) fn range(&self, range: Range<Timestamp>) -> impl Iterator<Item = Counted> {
        let Range { start, end } = range;
        self.0.iter().flat_map(move |run| run.range(run.starting_before(start)..run.starting_before(end)))
    }

    /// Forgets those that start before.
    pub(crate) fn forget_before(&mut self, oldest: Timestamp) {
        for run in &mut self.0 {
            run.forget(run.starting_before(oldest));
        }
        self.0.retain(|run| !run.cells.is_empty());
    }

    /// The last run that does not begin after an instant.
    fn before(&self, at: Timestamp) -> Option<&Run> {
        self.0[..self.beginning_by(at)].last()
    }

    /// How many runs do not begin after an instant.
    fn beginning_by(&self, at: Timestamp) -> usize {
        self.0.partition_point(|run| run.start <= at)
    }

    /// The cell of a bucket; nothing is counted in a new one.
    fn cell(&mut self, bucket: Bucket) -> &mut Cell {
        let after = self.beginning_by(bucket.start);
        let (run, at) = match after.checked_sub(1).map(|run| (run, &self.0[run])) {
            Some((run, known)) if bucket.start < known.end() => (run, known.place(bucket.start)),
            Some((run, known)) if known.is_followed_by(&bucket) => (run, known.cells.len()),
            _ => {
                self.0.insert(after, Run::beginning_with(&bucket));
                (after, 0)
            }
        };
        self.0[run].cell(at)
    }
}

impl Run {
    /// An empty run whose first bucket is this.
    fn beginning_with(bucket: &Bucket) -> Self {
        Self { start: bucket.start, length_min: length_min(bucket), slot: bucket.slot, cells: Vec::new() }
    }

    fn length_ms(&self) -> i64 {
        i64::from(self.length_min) * MINUTE_MS
    }

    fn end(&self) -> Timestamp {
        self.start_of(self.cells.len())
    }

    fn start_of(&self, place: usize) -> Timestamp {
        self.start.plus_millis(self.length_ms() * place as i64)
    }

    fn slot_of(&self, place: usize) -> u8 {
        let slots = if self.length_min <= LONGEST_HOUR_MIN { 168 } else { 7 };
        ((usize::from(self.slot) + place) % slots) as u8
    }

    /// Which of its buckets holds an instant from its start on.
    fn place(&self, at: Timestamp) -> usize {
        ((at.as_millis() - self.start.as_millis()) / self.length_ms().max(1)) as usize
    }

    fn holding(&self, at: Timestamp) -> Option<Counted> {
        let place = self.place(at);
        self.cells.get(place).map(|cell| self.counted(place, *cell))
    }

    /// How many of its buckets start before an instant.
    fn starting_before(&self, at: Timestamp) -> usize {
        match at <= self.start {
            true => 0,
            false if at >= self.end() => self.cells.len(),
            false => self.place(at.plus_millis(-1)) + 1,
        }
    }

    fn range(&self, places: Range<usize>) -> impl Iterator<Item = Counted> {
        let cells = self.cells.get(places.clone()).unwrap_or_default();
        places.zip(cells).map(move |(place, cell)| self.counted(place, *cell))
    }

    fn counted(&self, place: usize, cell: Cell) -> Counted {
        let (start, end) = (self.start_of(place), self.start_of(place + 1));
        let bucket = Bucket { start, end, slot: self.slot_of(place) };
        Counted { bucket, count: cell.count(), observed: cell.observed() }
    }

    fn is_followed_by(&self, bucket: &Bucket) -> bool {
        bucket.start == self.end()
            && length_min(bucket) == self.length_min
            && bucket.slot == self.slot_of(self.cells.len())
    }

    /// The cell at a place, which may be the one behind its last.
    fn cell(&mut self, place: usize) -> &mut Cell {
        if place == self.cells.len() {
            if place == self.cells.capacity() {
                self.cells.reserve_exact(ROOM);
            }
            self.cells.push(Cell::default());
        }
        &mut self.cells[place]
    }

    /// Forgets so many of the first.
    fn forget(&mut self, places: usize) {
        (self.start, self.slot) = (self.start_of(places), self.slot_of(places));
        self.cells.drain(..places);
    }
}

fn length_min(bucket: &Bucket) -> u16 {
    let length_ms = bucket.end.as_millis() - bucket.start.as_millis();
    u16::try_from(length_ms / MINUTE_MS).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use earshot_common::definitions::Window;
    use jiff::tz::TimeZone;
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::fold::calendar::{DAY_MS, HOUR_MS, bucket_of};

    /// What the buckets hold, as a plain map would.
    type Plain = BTreeMap<Timestamp, (Bucket, u32, bool)>;

    fn of(buckets: impl Iterator<Item = Counted>) -> Vec<(Bucket, u32, bool)> {
        buckets.map(|counted| (counted.bucket, counted.count, counted.observed)).collect()
    }

    /// Buckets in and out of order, with gaps, over both changes of a clock, counted and observed, forgotten and
    /// written down: all as in a plain map of what the calendar says.
    #[test]
    fn buckets_hold_what_a_plain_map_of_calendar_buckets_holds() {
        for (seed, zone) in
            ["Europe/Berlin", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"].iter().enumerate()
        {
            for window in [Window::Hour, Window::Day] {
                agree(seed as u64, &TimeZone::get(zone).unwrap(), window);
            }
        }
    }

    fn agree(seed: u64, zone: &TimeZone, window: Window) {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut buckets, mut plain) = (Buckets::default(), Plain::new());
        let step = if window == Window::Hour { HOUR_MS } else { DAY_MS };
        // Both changes of the clock are within the next year.
        let mut now: Timestamp = "2026-02-01T00:30:00Z".parse().unwrap();
        for _ in 0..9_000 {
            now = now.plus_millis(if random.random_ratio(1, 40) {
                random.random_range(2..30) * step
            } else {
                step
            });
            let at = now.plus_millis(-random.random_range(0..4) * random.random_range(0..9) * step);
            let bucket = bucket_of(window, zone, at);
            let entry = plain.entry(bucket.start).or_insert((bucket, 0, false));
            if random.random_bool(0.5) {
                buckets.count(bucket);
                entry.1 += 1;
            } else {
                buckets.observe(bucket);
                entry.2 = true;
            }
            if random.random_ratio(1, 200) {
                let oldest = now.plus_millis(-random.random_range(100..1_500) * step);
                buckets.forget_before(oldest);
                plain.retain(|start, _| *start >= oldest);
                buckets = rmp_serde::from_slice(&rmp_serde::to_vec_named(&buckets).unwrap()).unwrap();
                assert_eq!(of(buckets.iter()), plain.values().copied().collect::<Vec<_>>());
            }
            let from = now.plus_millis(-random.random_range(0..300) * HOUR_MS);
            let range = from..from.plus_millis(random.random_range(0..300) * HOUR_MS);
            let wanted: Vec<_> = plain.range(range.clone()).map(|(_, known)| *known).collect();
            assert_eq!(of(buckets.range(range)), wanted);
            let held = bucket_of(window, zone, from);
            assert_eq!(buckets.holding(from), plain.get(&held.start).map(|known| known.0));
            let known = plain.get(&held.start).map(|known| (known.1, known.2));
            assert_eq!(buckets.get(held.start).map(|counted| (counted.count, counted.observed)), known);
            assert_eq!(buckets.get(held.start.plus_millis(1)), None);
        }
    }

    #[test]
    fn a_range_may_have_no_ends() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.iter().count(), 0);
        buckets.count(bucket_of(Window::Hour, &TimeZone::UTC, Timestamp::from_millis(0)));
        let always = Timestamp::from_millis(i64::MIN)..Timestamp::from_millis(i64::MAX);
        assert_eq!(buckets.range(always.clone()).count(), 1);
        assert_eq!(buckets.range(always.end..always.start).count(), 0);
    }
}
