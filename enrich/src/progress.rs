//! How far enrichment is: what a `Progress` may say. Pure; the stage asks the log and the clock.

use std::collections::BTreeMap;

use earshot_common::broker::{Bounds, Position};
use earshot_common::events::{PartitionProgress, Progress, SchemaVersion};
use earshot_common::time::Timestamp;

/// What is known to be done of each raw partition.
#[derive(Debug, Default)]
pub struct Done {
    /// All that was appended to the partition before this time is done.
    up_to: BTreeMap<u32, Timestamp>,
}

impl Done {
    /// A record is done, and with it all that was appended before it.
    pub fn record(&mut self, partition: u32, appended: Timestamp) {
        let up_to = self.up_to.entry(partition).or_insert(appended);
        *up_to = appended.max(*up_to);
    }

    /// What can be said of the partitions that are owned. `asked` is a time before the bounds were read: what
    /// was appended after it was appended later, so a partition that was drained then is done up to it.
    /// Nothing is said of a partition of which nothing is known yet.
    pub fn report(&mut self, owned: &[Position], bounds: &[Bounds], asked: Timestamp) -> Progress {
        let mut partitions = Vec::new();
        for at in owned {
            if is_drained(at, bounds) {
                self.record(at.partition, asked);
            }
            if let Some(up_to) = self.up_to.get(&at.partition) {
                let (partition, next) = (at.partition, at.offset);
                partitions.push(PartitionProgress { partition, next, done_up_to: *up_to });
            }
        }
        Progress { v: SchemaVersion::default(), judged_with: None, partitions }
    }
}

/// Whether nothing waits in the partitions that are owned.
pub fn all_drained(owned: &[Position], bounds: &[Bounds]) -> bool {
    owned.iter().all(|at| is_drained(at, bounds))
}

fn is_drained(at: &Position, bounds: &[Bounds]) -> bool {
    bounds.iter().any(|extent| extent.partition == at.partition && extent.next <= at.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: i64 = 10_000;

    fn at(partition: u32, offset: u64) -> Position {
        Position { partition, offset }
    }

    fn extent(partition: u32, next: u64) -> Bounds {
        Bounds { partition, first: 0, next, since: None }
    }

    fn report(done: &mut Done, owned: &[Position], bounds: &[Bounds], asked: i64) -> Vec<(u32, u64, i64)> {
        let progress = done.report(owned, bounds, Timestamp::from_millis(asked));
        let line = |p: &PartitionProgress| (p.partition, p.next, p.done_up_to.as_millis());
        progress.partitions.iter().map(line).collect()
    }

    #[test]
    fn a_drained_partition_is_done_up_to_the_question_and_another_up_to_its_last_record() {
        let mut done = Done::default();
        done.record(1, Timestamp::from_millis(7_000));
        let owned = [at(0, 5), at(1, 8), at(2, 0)];
        let bounds = [extent(0, 5), extent(1, 9), extent(2, 3), extent(3, 1)];
        // Nothing of partition 2 was done here, so nothing is said of it; partition 3 is another's.
        assert_eq!(report(&mut done, &owned, &bounds, ASKED), [(0, 5, ASKED), (1, 8, 7_000)]);
        assert!(!all_drained(&owned, &bounds));
        assert!(all_drained(&owned[..1], &bounds));
    }

    #[test]
    fn time_never_goes_back() {
        let mut done = Done::default();
        assert_eq!(report(&mut done, &[at(0, 5)], &[extent(0, 5)], ASKED), [(0, 5, ASKED)]);
        // One more has come, and the last that is done is from before the first question.
        done.record(0, Timestamp::from_millis(9_000));
        assert_eq!(report(&mut done, &[at(0, 6)], &[extent(0, 7)], ASKED + 5_000), [(0, 6, ASKED)]);
    }
}
