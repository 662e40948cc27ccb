//! How far each stage is behind its input, and how long it may stay so until unread records are deleted.
//!
//! Stages say where they stand; whoever asks compares it with the ends of the topics at that moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::broker::{Broker, Position, ReadError, Record};
use crate::time::Timestamp;
use crate::topics::Topic;

/// Where the stages of this process stand in their inputs. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    stages: Arc<Mutex<BTreeMap<&'static str, Input>>>,
}

#[derive(Clone, Debug)]
struct Input {
    topic: Topic,
    partitions: BTreeMap<u32, Reading>,
}

/// How far one partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    next: u64,
    /// Whatever is unread was appended at this time or later; `None` until something is known.
    unread_since: Option<Timestamp>,
}

/// How far one partition's reader is behind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputLag {
    /// The stage that reads.
    pub stage: &'static str,
    /// The topic that it reads.
    pub topic: &'static str,
    /// The partition.
    pub partition: u32,
    /// The offset that it reads next.
    pub next: u64,
    /// The offset that the next record will have.
    pub end: u64,
    /// Records that wait.
    pub lag: u64,
    /// Seconds until the oldest record that waits is deleted, at least. `None` where the topic keeps for ever,
    /// or where nothing was read yet that could tell.
    pub retention_left_s: Option<f64>,
}

impl Inputs {
    /// A stage reads these partitions now, and has done with these records.
    pub fn stands(&self, stage: &'static str, topic: Topic, owned: &[Position], done: &[Record]) {
        let mut stages = self.stages();
        let input = stages.entry(stage).or_insert(Input { topic, partitions: BTreeMap::new() });
        input.partitions.retain(|partition, _| owned.iter().any(|at| at.partition == *partition));
        for at in owned {
            let reading = Reading { next: at.offset, unread_since: None };
            input.partitions.entry(at.partition).or_insert(reading).next = at.offset;
        }
        for record in done {
            if let Some(reading) = input.partitions.get_mut(&record.partition) {
                reading.unread_since = reading.unread_since.max(Some(record.appended));
            }
        }
    }

    /// Compares where the stages stand with the ends of their topics. `now` is a time before the question.
    pub async fn measure(&self, broker: &Broker, now: Timestamp) -> Result<Vec<InputLag>, ReadError> {
        let topics: BTreeMap<&'static str, Topic> =
            self.stages().iter().map(|(stage, input)| (*stage, input.topic)).collect();
        let mut lags = Vec::new();
        for (stage, topic) in topics {
            let bounds = broker.bounds(&topic, None).await?;
            let mut stages = self.stages();
            let Some(input) = stages.get_mut(stage) else { continue };
            for (partition, reading) in &mut input.partitions {
                let Some(bounds) = bounds.iter().find(|bounds| bounds.partition == *partition) else {
                    continue;
                };
                let lag = bounds.next.saturating_sub(reading.next);
                if lag == 0 {
                    reading.unread_since = reading.unread_since.max(Some(now));
                }
                lags.push(InputLag {
                    stage,
                    topic: topic.name,
                    partition: *partition,
                    next: reading.next,
                    end: bounds.next,
                    lag,
                    retention_left_s: retention_left_s(topic, *reading, now),
                });
            }
        }
        Ok(lags)
    }

    fn stages(&self) -> MutexGuard<'_, BTreeMap<&'static str, Input>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn retention_left_s(topic: Topic, reading: Reading, now: Timestamp) -> Option<f64> {
    let retention = topic.cleanup.retention()?;
    let waited_ms = (now.as_millis() - reading.unread_since?.as_millis()).max(0);
    Some((retention.as_secs_f64() - waited_ms as f64 / 1_000.0).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::{MENTIONS_RAW, WATCHLIST};

    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

    fn reading(unread_since: Option<i64>) -> Reading {
        Reading { next: 1, unread_since: unread_since.map(Timestamp::from_millis) }
    }

    #[test]
    fn what_waits_is_deleted_seven_days_after_it_was_appended_at_the_earliest() {
        let now = Timestamp::from_millis(10 * DAY_MS);
        let left = |since| retention_left_s(MENTIONS_RAW, reading(since), now);
        assert_eq!(left(Some(10 * DAY_MS)), Some(7.0 * 86_400.0));
        assert_eq!(left(Some(4 * DAY_MS)), Some(86_400.0));
        assert_eq!(left(Some(0)), Some(0.0), "it is gone already, and no number is negative");
        assert_eq!(left(None), None, "nothing is known yet");
        assert_eq!(retention_left_s(WATCHLIST, reading(Some(0)), now), None, "kept for ever");
    }

    #[test]
    fn partitions_that_went_are_forgotten_and_others_keep_what_is_known() {
        let inputs = Inputs::default();
        let at = |partition, offset| Position { partition, offset };
        let record = Record {
            partition: 0,
            offset: 4,
            appended: Timestamp::from_millis(9),
            key: None,
            value: Default::default(),
            headers: Vec::new(),
        };
        inputs.stands("enrich", MENTIONS_RAW, &[at(0, 5), at(1, 2)], &[record]);
        inputs.stands("enrich", MENTIONS_RAW, &[at(0, 7)], &[]);
        let stages = inputs.stages();
        let partitions = &stages["enrich"].partitions;
        let kept = Reading { next: 7, unread_since: Some(Timestamp::from_millis(9)) };
        assert_eq!(partitions.iter().collect::<Vec<_>>(), [(&0, &kept)]);
    }
}
