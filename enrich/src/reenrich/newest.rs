//! The newest version of each mention in one partition of `mentions.enriched`, followed to its end.
//!
//! It costs about 100 bytes for each mention of the partition.

use std::collections::HashMap;

use earshot_common::broker::{Broker, MAX_BATCH, Position, ReadError, Reader, Record};
use earshot_common::events::{EnrichedEvent, MentionVersion, decode};
use earshot_common::keys::MentionKey;
use earshot_common::service::Health;
use earshot_common::topics::MENTIONS_ENRICHED;

use super::{PART, PROGRESS_DEADLINE};

/// What stands of each mention.
#[derive(Debug)]
pub(super) struct Newest {
    reader: Reader,
    partition: u32,
    /// The offset to read next.
    next: u64,
    mentions: HashMap<MentionKey, Standing>,
    /// Records that could not be read, and were not asked for yet.
    unreadable: u64,
}

/// The newest of a mention.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// This version, at this offset.
    At(MentionVersion, u64),
    /// This program cannot read all of them, so that it cannot tell.
    Unknown,
}

impl Newest {
    /// From a position on.
    pub(super) async fn follow(broker: &Broker, from: Position) -> Result<Self, ReadError> {
        let reader = broker.read(&MENTIONS_ENRICHED, vec![from]).await?;
        let Position { partition, offset: next } = from;
        Ok(Self { reader, partition, next, mentions: HashMap::new(), unreadable: 0 })
    }

    /// Reads to the end that the partition has now.
    pub(super) async fn catch_up(&mut self, broker: &Broker, health: &Health) -> Result<(), ReadError> {
        let all = broker.bounds(&MENTIONS_ENRICHED, None).await?;
        let Some(bounds) = all.into_iter().find(|bounds| bounds.partition == self.partition) else {
            return Ok(());
        };
        // Where all records have left the log by their age, none will come.
        while self.next < bounds.next && bounds.first < bounds.next {
            health.well(PART, PROGRESS_DEADLINE);
            for record in self.reader.next(MAX_BATCH).await? {
                self.take(&record);
            }
        }
        health.well(PART, PROGRESS_DEADLINE);
        Ok(())
    }

    /// Whether the newest of a mention stands at an offset.
    pub(super) fn is_at(&self, key: MentionKey, offset: u64) -> bool {
        matches!(self.mentions.get(&key), Some(Standing::At(_, at)) if *at == offset)
    }

    /// How many records could not be read since this was last asked.
    pub(super) fn take_unreadable(&mut self) -> u64 {
        std::mem::take(&mut self.unreadable)
    }

    fn take(&mut self, record: &Record) {
        self.next = record.offset + 1;
        let key = MentionKey::of(&record.key_lossy());
        let Ok(event) = decode::<EnrichedEvent>(&record.value) else {
            self.unreadable += 1;
            self.mentions.insert(key, Standing::Unknown);
            return;
        };
        let version = event.version();
        match self.mentions.get(&key) {
            Some(Standing::Unknown) => {}
            Some(Standing::At(known, _)) if *known > version => {}
            _ => drop(self.mentions.insert(key, Standing::At(version, record.offset))),
        }
    }
}
