//! With Kafka: the topics that are kept for ever, record by record.
//!
//! A topic that is never compacted comes back to the offset, since offsets are versions there: only into an
//! empty one, or one that holds the same records already. Of a compacted one each key comes back that is not
//! there by now: what is there is newer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use earshot_common::broker::{Broker, MAX_BATCH, NewRecord, Record};
use earshot_common::topics::{Cleanup, ERASURES, Topic};

use super::{Extents, kept_for_ever, lines, newest, topic_file};
use crate::print;

/// Copies the topics as they are now.
pub(super) async fn copy(broker: &Broker, to: &Path) -> anyhow::Result<Extents> {
    let mut extents = Extents::new();
    for topic in kept_for_ever() {
        let bounds = broker.bounds(&topic, None).await?;
        let file = topic_file(to, &topic);
        let mut writer = lines::Writer::create(&file)?;
        let copied = |record: &Record| {
            bounds.iter().any(|b| b.partition == record.partition && record.offset < b.next)
        };
        let take = |record: Record| {
            if copied(&record) {
                writer.take(record);
            }
        };
        drop(broker.replay(&topic, take).await?);
        writer.finish()?;
        extents.extend(bounds.into_iter().map(|bounds| (topic.name.to_owned(), bounds)));
    }
    // Topics that are missing are made when the log is opened, so a wrong prefix finds empty ones.
    anyhow::ensure!(
        extents.iter().any(|(_, bounds)| bounds.next > 0),
        "the topics hold nothing: are `kafka.bootstrap_servers` and `kafka.topic_prefix` those of the installation?"
    );
    Ok(extents)
}

/// Brings the topics back, each by its policy; compares all that must be the same before it writes anything.
pub(super) async fn bring_back(
    broker: &Broker,
    from: &Path,
    more_erasures: Option<Vec<Record>>,
) -> anyhow::Result<()> {
    let mut kept = Vec::new();
    let mut compacted = Vec::new();
    for topic in kept_for_ever() {
        let file = topic_file(from, &topic);
        if !file.exists() {
            print(&format!("{:<14} is not in this backup", topic.name));
            continue;
        }
        let records = lines::read(&file)?;
        if topic.cleanup == Cleanup::Keep {
            let wanted = Wanted::of(&records).with_context(|| format!("restore {}", file.display()))?;
            wanted.compare(broker, &topic).await?;
            kept.push((topic, records, wanted));
        } else {
            compacted.push((topic, records));
        }
    }
    for (topic, records, wanted) in kept {
        let total = records.len();
        let brought = append_missing(broker, &topic, records).await?;
        let held = wanted.compare(broker, &topic).await?;
        anyhow::ensure!(held == total, "`{}` holds {held} of the backup's {total} records", topic.name);
        print(&format!("{:<14} {brought} of {total} records were missing and came back", topic.name));
    }
    for (topic, mut records) in compacted {
        if topic == ERASURES {
            records.extend(more_erasures.iter().flatten().cloned());
        }
        let records = newest(records);
        let total = records.len();
        let brought = merge(broker, &topic, records).await?;
        print(&format!("{:<14} {brought} of {total} keys were missing and came back", topic.name));
    }
    Ok(())
}

/// The records that a topic must hold, by place.
struct Wanted(BTreeMap<u32, Vec<blake3::Hash>>);

impl Wanted {
    /// Of the records in a file, which must follow one another from the first offset on.
    fn of(records: &[Record]) -> anyhow::Result<Self> {
        let mut wanted = BTreeMap::<u32, Vec<blake3::Hash>>::new();
        for (line, record) in (1..).zip(records) {
            let partition = wanted.entry(record.partition).or_default();
            anyhow::ensure!(
                record.offset == partition.len() as u64,
                "line {line} has offset {} where {} must follow in partition {}",
                record.offset,
                partition.len(),
                record.partition
            );
            partition.push(content(record));
        }
        Ok(Self(wanted))
    }

    /// Compares with what a topic holds; answers how many of the records it has.
    async fn compare(&self, broker: &Broker, topic: &Topic) -> anyhow::Result<usize> {
        let mut same = 0;
        let mut other = None;
        let compare = |record: Record| {
            let wanted =
                self.0.get(&record.partition).and_then(|partition| partition.get(record.offset as usize));
            match wanted {
                Some(wanted) if *wanted == content(&record) => same += 1,
                _ => drop(other.get_or_insert(record.offset)),
            }
        };
        drop(broker.replay(topic, compare).await?);
        match other {
            None => Ok(same),
            Some(offset) => anyhow::bail!(
                "`{}` holds at offset {offset} what the backup does not; it can be restored only into an empty topic, \
                 since offsets are versions: stop the services, delete the topic or choose another `kafka.topic_prefix`",
                topic.name
            ),
        }
    }
}

/// A hash of what a record says, without its place and time.
fn content(record: &Record) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: Option<&[u8]>| {
        // Absent and empty are different, and so are two parts and one.
        hasher.update(&bytes.map_or(0, |bytes| bytes.len() as u64 + 1).to_le_bytes());
        hasher.update(bytes.unwrap_or_default());
    };
    part(record.key.as_deref());
    part(Some(&record.value));
    for (name, value) in &record.headers {
        part(Some(name.as_bytes()));
        part(Some(value));
    }
    hasher.finalize()
}

/// Appends what comes behind the records that a topic holds; answers how many that were.
async fn append_missing(broker: &Broker, topic: &Topic, mut records: Vec<Record>) -> anyhow::Result<usize> {
    let next: BTreeMap<u32, u64> =
        broker.bounds(topic, None).await?.into_iter().map(|bounds| (bounds.partition, bounds.next)).collect();
    records.retain(|record| next.get(&record.partition).is_none_or(|next| record.offset >= *next));
    for batch in records.chunks(MAX_BATCH) {
        let places = broker.append_durably(topic, batch.iter().map(to_new).collect()).await?;
        for (record, place) in batch.iter().zip(places) {
            anyhow::ensure!(
                (record.partition, record.offset) == (place.partition, place.offset),
                "`{}` took the record of offset {} at {}: somebody else writes there; stop the services, delete the \
                 topic and restore again",
                topic.name,
                record.offset,
                place.offset
            );
        }
    }
    Ok(records.len())
}

/// Appends the records whose keys a compacted topic lacks; answers how many that were.
pub(super) async fn merge(broker: &Broker, topic: &Topic, mut records: Vec<Record>) -> anyhow::Result<usize> {
    let mut held = BTreeSet::<(u32, Option<Bytes>)>::new();
    let note = |record: Record| {
        held.insert((record.partition, record.key));
    };
    drop(broker.replay(topic, note).await?);
    records.retain(|record| !held.contains(&(record.partition, record.key.clone())));
    for batch in records.chunks(MAX_BATCH) {
        broker.append_durably(topic, batch.iter().map(to_new).collect()).await?;
    }
    Ok(records.len())
}

fn to_new(record: &Record) -> NewRecord {
    NewRecord {
        partition: Some(record.partition),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::broker::{Connection, EmbeddedSettings};
    use earshot_common::topics::{SOURCE_STATE, WATCHLIST};

    use super::*;

    async fn open(folder: &tempfile::TempDir) -> Broker {
        let settings = EmbeddedSettings { folder: folder.path().join("log") };
        Broker::open(&Connection::Embedded(settings), &[WATCHLIST, SOURCE_STATE]).await.unwrap()
    }

    fn record(offset: u64, key: &str, value: &str) -> Record {
        let (key, value) = (Some(key.to_owned().into()), value.to_owned().into());
        Record { partition: 0, offset, appended: Default::default(), key, value, headers: Vec::new() }
    }

    async fn held(broker: &Broker, topic: &Topic) -> Vec<(u64, String)> {
        let mut held = Vec::new();
        let take =
            |record: Record| held.push((record.offset, String::from_utf8_lossy(&record.value).into_owned()));
        drop(broker.replay(topic, take).await.unwrap());
        held
    }

    #[tokio::test]
    async fn a_topic_that_is_kept_comes_back_to_the_offset_also_after_a_restore_that_was_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let broker = open(&folder).await;
        let records = vec![record(0, "a", "1"), record(1, "b", "2"), record(2, "a", "3")];
        let wanted = Wanted::of(&records).unwrap();
        append_missing(&broker, &WATCHLIST, records[..1].to_vec()).await.unwrap();
        assert_eq!(wanted.compare(&broker, &WATCHLIST).await.unwrap(), 1);
        assert_eq!(append_missing(&broker, &WATCHLIST, records.clone()).await.unwrap(), 2);
        assert_eq!(wanted.compare(&broker, &WATCHLIST).await.unwrap(), 3);
        assert_eq!(append_missing(&broker, &WATCHLIST, records).await.unwrap(), 0);
        let values = [(0, "1".to_owned()), (1, "2".to_owned()), (2, "3".to_owned())];
        assert_eq!(held(&broker, &WATCHLIST).await, values);
    }

    #[tokio::test]
    async fn a_topic_that_holds_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let broker = open(&folder).await;
        append_missing(&broker, &WATCHLIST, vec![record(0, "z", "other")]).await.unwrap();
        let wanted = Wanted::of(&[record(0, "a", "1")]).unwrap();
        let error = wanted.compare(&broker, &WATCHLIST).await.unwrap_err().to_string();
        assert!(error.contains("`watchlist` holds at offset 0"), "{error}");
        let gap = Wanted::of(&[record(0, "a", "1"), record(2, "a", "2")]).err().unwrap().to_string();
        assert!(gap.contains("line 2 has offset 2 where 1 must follow"), "{gap}");
    }

    #[tokio::test]
    async fn of_a_compacted_topic_only_what_is_missing_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let broker = open(&folder).await;
        merge(&broker, &SOURCE_STATE, vec![record(0, "news", "newer")]).await.unwrap();
        let backup = vec![record(5, "news", "older"), record(6, "blog", "first"), record(7, "blog", "last")];
        assert_eq!(merge(&broker, &SOURCE_STATE, newest(backup)).await.unwrap(), 1);
        let values: Vec<String> =
            held(&broker, &SOURCE_STATE).await.into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["newer", "last"]);
    }
}
