//! The plain copy: consume by a group, produce, wait until it is stored, commit, a thousand at a time. Through
//! our broker, and beside it by the bare library underneath with the same settings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use earshot_common::broker::{Broker, Connection, KafkaSettings, MAX_BATCH, NewRecord, Position, Record};
use earshot_common::topics::{Cleanup, Topic};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::ground::{Installation, record};
use super::mentions::Mentions;

const PARTITIONS: u32 = 4;
const FROM: Topic = Topic { name: "copy.from", partitions: PARTITIONS, cleanup: Cleanup::Keep };
const TO: Topic = Topic { name: "copy.to", partitions: PARTITIONS, cleanup: Cleanup::Keep };

/// A message that does not come within this will not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Seconds that each kind of copy took, run by run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    /// Through our broker.
    pub(crate) broker_s: Vec<f64>,
    /// By the bare library.
    pub(crate) bare_s: Vec<f64>,
}

/// Copies so many records by both in turn, so many times.
pub(crate) async fn measure(
    installation: &Installation,
    mentions: &mut Mentions,
    count: u64,
    runs: u32,
) -> anyhow::Result<Copies> {
    let connection = installation.connection()?;
    let records: Vec<NewRecord> = mentions.take(count as usize).map(record).collect();
    fill(&connection, &records).await.context("fill the topic to copy from")?;
    let mut copies = Copies::default();
    // Run 0 does not count: a broker that has just started is slow at first, and would be so to one of the two only.
    through_broker(&connection, count, 0).await?;
    by_bare_library(installation, &records, 0).await?;
    for run in 1..=runs {
        copies.broker_s.push(through_broker(&connection, count, run).await?.as_secs_f64());
        copies.bare_s.push(by_bare_library(installation, &records, run).await?.as_secs_f64());
    }
    Ok(copies)
}

async fn fill(connection: &Connection, records: &[NewRecord]) -> anyhow::Result<()> {
    let broker = Broker::open(connection, &[FROM, TO]).await?;
    for batch in records.chunks(MAX_BATCH) {
        broker.append_durably(&FROM, batch.to_vec()).await?;
    }
    Ok(())
}

/// Both kinds of copy are measured from their first record on: joining a group is no copying.
async fn through_broker(connection: &Connection, count: u64, run: u32) -> anyhow::Result<Duration> {
    let broker = Broker::open(connection, &[FROM, TO]).await?;
    let mut member = broker.join(&format!("broker-copy-{run}"), &FROM).await?;
    let mut batch = member.next(MAX_BATCH).await?;
    let started = Instant::now();
    let mut copied = 0;
    loop {
        copied += batch.len() as u64;
        let mut next = BTreeMap::new();
        for record in &batch {
            next.insert(record.partition, record.offset + 1);
        }
        broker.append_durably(&TO, batch.into_iter().map(again).collect()).await?;
        let next: Vec<Position> =
            next.into_iter().map(|(partition, offset)| Position { partition, offset }).collect();
        member.commit(&next).await?;
        if copied >= count {
            return Ok(started.elapsed());
        }
        batch = member.next(MAX_BATCH).await?;
    }
}

fn again(record: Record) -> NewRecord {
    NewRecord {
        partition: Some(record.partition),
        key: record.key,
        value: record.value,
        headers: record.headers,
    }
}

async fn by_bare_library(
    installation: &Installation,
    records: &[NewRecord],
    run: u32,
) -> anyhow::Result<Duration> {
    match installation.connection()? {
        Connection::Kafka(settings) => {
            let count = records.len();
            tokio::task::spawn_blocking(move || by_rdkafka(&settings, count, run)).await?
        }
        Connection::Embedded(_) => {
            let (file, records) =
                (installation.folder().join(format!("bare-{run}.sqlite3")), records.to_vec());
            tokio::task::spawn_blocking(move || by_sqlite(&file, &records)).await?
        }
    }
}

/// The settings are those of `common::broker`, so that only its own work makes a difference.
fn by_rdkafka(settings: &KafkaSettings, count: usize, run: u32) -> anyhow::Result<Duration> {
    let (from, to) =
        (format!("{}{}", settings.topic_prefix, FROM.name), format!("{}{}", settings.topic_prefix, TO.name));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("group.id", format!("{}bare-copy-{run}", settings.topic_prefix))
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.message.max.bytes", "262144")
        .set("fetch.max.bytes", "1048588")
        .set("fetch.queue.backoff.ms", "20")
        .create()?;
    let (reports, outcomes) = mpsc::channel();
    let producer: ThreadedProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .set("queue.buffering.max.messages", "0")
        .create_with_context(Reports(reports))?;
    consumer.subscribe(&[&from])?;

    let mut message = next_message(&consumer)?;
    let started = Instant::now();
    let mut copied = 0;
    while copied < count {
        let mut next = BTreeMap::new();
        let batch = MAX_BATCH.min(count - copied);
        for _ in 0..batch {
            send(&producer, &to, &message)?;
            next.insert(message.partition(), message.offset() + 1);
            copied += 1;
            if copied < count {
                message = next_message(&consumer)?;
            }
        }
        for _ in 0..batch {
            outcomes.recv()?.map_err(anyhow::Error::msg)?;
        }
        let mut positions = TopicPartitionList::new();
        for (partition, offset) in next {
            positions.add_partition_offset(&from, partition, Offset::Offset(offset))?;
        }
        consumer.commit(&positions, CommitMode::Sync)?;
    }
    Ok(started.elapsed())
}

fn next_message(consumer: &BaseConsumer) -> anyhow::Result<BorrowedMessage<'_>> {
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        // A poll may end with nothing because something else than a message came.
        if let Some(message) = consumer.poll(PATIENCE) {
            return Ok(message?);
        }
    }
    anyhow::bail!("no message came to the bare copy in {PATIENCE:?}")
}

fn send(
    producer: &ThreadedProducer<Reports>,
    topic: &str,
    message: &BorrowedMessage<'_>,
) -> anyhow::Result<()> {
    let record = BaseRecord::to(topic)
        .partition(message.partition())
        .key(message.key().unwrap_or_default())
        .payload(message.payload().unwrap_or_default());
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(())
}

/// Passes on what became of each message.
struct Reports(mpsc::Sender<Result<(), String>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let outcome = result.as_ref().map(drop).map_err(|(error, _)| error.to_string());
        // A copy that has failed meanwhile listens no more.
        let _ = self.0.send(outcome);
    }
}

/// The same rows in the same steps in one table: read a thousand, insert them, then move the position.
fn by_sqlite(file: &Path, records: &[NewRecord]) -> anyhow::Result<Duration> {
    let mut database = rusqlite::Connection::open(file)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE source(offset INTEGER PRIMARY KEY, appended INTEGER NOT NULL, key BLOB, value BLOB NOT NULL, headers TEXT) STRICT;
         CREATE TABLE target(offset INTEGER PRIMARY KEY, appended INTEGER NOT NULL, key BLOB, value BLOB NOT NULL, headers TEXT) STRICT;
         CREATE TABLE position(next INTEGER NOT NULL) STRICT;
         INSERT INTO position VALUES (0);",
    )?;
    let rows: Vec<(Vec<u8>, Bytes)> =
        records.iter().map(|r| (r.key.as_deref().unwrap_or_default().to_vec(), r.value.clone())).collect();
    let mut filled = 0;
    for batch in rows.chunks(MAX_BATCH) {
        filled = insert(&mut database, "source", filled, batch)?;
    }

    let started = Instant::now();
    let mut next = 0;
    while next < filled {
        let batch = select(&database, next)?;
        next = insert(&mut database, "target", next, &batch)?;
        database.execute("UPDATE position SET next = ?1", [next])?;
    }
    Ok(started.elapsed())
}

fn select(database: &rusqlite::Connection, from: i64) -> rusqlite::Result<Vec<(Vec<u8>, Bytes)>> {
    database
        .prepare_cached("SELECT key, value FROM source WHERE offset >= ?1 ORDER BY offset LIMIT ?2")?
        .query_map([from, MAX_BATCH as i64], |row| Ok((row.get(0)?, Bytes::from(row.get::<_, Vec<u8>>(1)?))))?
        .collect()
}

/// Inserts rows from an offset on; answers the one behind them.
fn insert(
    database: &mut rusqlite::Connection,
    table: &str,
    from: i64,
    rows: &[(Vec<u8>, Bytes)],
) -> rusqlite::Result<i64> {
    let transaction = database.transaction()?;
    let mut insert = transaction.prepare_cached(&format!(
        "INSERT INTO {table}(offset, appended, key, value, headers) VALUES (?1, 0, ?2, ?3, NULL)"
    ))?;
    let mut offset = from;
    for (key, value) in rows {
        insert.execute(rusqlite::params![offset, key, value.as_ref()])?;
        offset += 1;
    }
    drop(insert);
    transaction.commit()?;
    Ok(offset)
}
