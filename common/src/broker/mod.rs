//! An ordered, partitioned, durable log behind a narrow interface, with two back ends.
//!
//! *Kafka* is for everything past one process. *Embedded* is one process, one folder, no port, over SQLite;
//! it is not a broker and must never become one. One suite of contract tests (`common/tests/contract.rs`)
//! runs on both.

mod embedded;
mod follow;
mod kafka;
mod readable;
mod room;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::time::Timestamp;
use crate::topics::Topic;

pub use embedded::{CopyError, EmbeddedSettings, FolderLock, LogCopy};
pub use follow::{Take, no_longer_followed};
pub use kafka::{KafkaSettings, Mechanism, Password, Sasl, Tls};
pub use readable::ReadableBytes;

/// Reading one record that is there takes longer only where the log does not answer.
const RECORD_DEADLINE: Duration = Duration::from_secs(30);

/// A connection to the log. Cloning is cheap; all clones share it.
#[derive(Clone, Debug)]
pub enum Broker {
    /// Apache Kafka.
    Kafka(kafka::Client),
    /// A folder on this machine.
    Embedded(embedded::Store),
}

/// A record to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// The partition; `None` takes the one of the key's hash, or any where there is no key.
    pub partition: Option<u32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value. There are no null values.
    pub value: Bytes,
    /// Names and values beside the value.
    pub headers: Vec<(String, Bytes)>,
}

impl NewRecord {
    /// A record whose partition follows from its key.
    pub fn keyed(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), value: value.into(), ..Self::default() }
    }

    /// A record of a topic that has one partition and no keys.
    pub fn unkeyed(value: impl Into<Bytes>) -> Self {
        Self { partition: Some(0), value: value.into(), ..Self::default() }
    }

    /// Its size as [`MAX_RECORD_BYTES`] counts it.
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.value.len() + headers
    }

    /// The partition that it goes to.
    fn partition_in(&self, topic: &Topic) -> u32 {
        match (self.partition, &self.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, topic.partitions),
            (None, None) => rand::random_range(0..topic.partitions),
        }
    }
}

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Partition of the topic.
    pub partition: u32,
    /// Its place in the partition.
    pub offset: u64,
    /// When the log took it; never falls within a partition.
    pub appended: Timestamp,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// Names and values beside the value.
    pub headers: Vec<(String, Bytes)>,
}

/// A place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Partition of the topic.
    pub partition: u32,
    /// Of an appended record its offset; of a reader the offset to read next.
    pub offset: u64,
}

/// The extent of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Partition of the topic.
    pub partition: u32,
    /// The oldest offset that can still be read.
    pub first: u64,
    /// The offset that the next record will have.
    pub next: u64,
    /// The first offset appended at or after the time asked for; `next` where there is none.
    pub since: Option<u64>,
}

/// Which log to open.
#[derive(Clone, Debug)]
pub enum Connection {
    /// Apache Kafka.
    Kafka(KafkaSettings),
    /// A folder on this machine.
    Embedded(EmbeddedSettings),
}

impl Broker {
    /// Creates the topics that are missing, verifies the rest, alters nothing.
    pub async fn open(connection: &Connection, topics: &[Topic]) -> Result<Self, OpenError> {
        match connection {
            Connection::Kafka(settings) => Ok(Self::Kafka(kafka::Client::open(settings, topics).await?)),
            Connection::Embedded(settings) => {
                Ok(Self::Embedded(embedded::Store::open(settings, topics).await?))
            }
        }
    }

    /// Appends a batch. Takes its place in the order when it returns, which waits while the queue is full;
    /// [`Durable::stored`] resolves when the batch is stored.
    pub async fn append(&self, topic: &Topic, batch: Vec<NewRecord>) -> Result<Durable, AppendError> {
        refuse_unstorable(topic, &batch)?;
        match self {
            Self::Kafka(client) => client.append(topic, batch).await.map(Durable::Kafka),
            Self::Embedded(store) => store.append(topic, batch).await.map(Durable::Embedded),
        }
    }

    /// Appends a batch and waits until it is stored; answers each record's place.
    pub async fn append_durably(
        &self,
        topic: &Topic,
        batch: Vec<NewRecord>,
    ) -> Result<Vec<Position>, AppendError> {
        self.append(topic, batch).await?.stored().await
    }

    /// The same for whoever may write only as long as a lease of the log lasts: what is not stored within
    /// [`LEASED_APPEND`] is given up and not sent any more. After an error some of the batch may be stored all the same.
    pub async fn append_while_leased(
        &self,
        topic: &Topic,
        batch: Vec<NewRecord>,
    ) -> Result<Vec<Position>, AppendError> {
        match self {
            Self::Kafka(client) => {
                refuse_unstorable(topic, &batch)?;
                client.append_while_leased(topic, batch).await?.stored().await
            }
            // Without Kafka a lease never ends.
            Self::Embedded(_) => self.append_durably(topic, batch).await,
        }
    }

    /// Follows the given positions, without a group.
    pub async fn read(&self, topic: &Topic, from: Vec<Position>) -> Result<Reader, ReadError> {
        match self {
            Self::Kafka(client) => client.read(topic, from).await.map(Reader::Kafka),
            Self::Embedded(store) => store.read(topic, from).await.map(Reader::Embedded),
        }
    }

    /// Follows every partition from the oldest record that can still be read.
    pub async fn read_from_start(&self, topic: &Topic) -> Result<Reader, ReadError> {
        let bounds = self.bounds(topic, None).await?;
        let from = bounds.iter().map(|b| Position { partition: b.partition, offset: b.first }).collect();
        self.read(topic, from).await
    }

    /// The first record at a position or behind it, which must be there: an error where the log does not answer.
    pub async fn first_from(&self, topic: &Topic, position: Position) -> Result<Option<Record>, ReadError> {
        let mut reader = self.read(topic, vec![position]).await?;
        match tokio::time::timeout(RECORD_DEADLINE, reader.next(1)).await {
            Ok(records) => Ok(records?.into_iter().next()),
            Err(_) => {
                let Position { partition, offset } = position;
                Err(ReadError::unavailable(
                    topic,
                    format!("partition {partition} offset {offset}: no answer"),
                ))
            }
        }
    }

    /// Hands over every record that is there now, in order within each partition, and answers a reader that
    /// goes on behind them.
    pub async fn replay(&self, topic: &Topic, mut each: impl FnMut(Record)) -> Result<Reader, ReadError> {
        let bounds = self.bounds(topic, None).await?;
        let from = bounds.iter().map(|b| Position { partition: b.partition, offset: b.first }).collect();
        let mut reader = self.read(topic, from).await?;
        let mut behind: Vec<Bounds> = bounds.into_iter().filter(|b| b.first < b.next).collect();
        while !behind.is_empty() {
            for record in reader.next(MAX_BATCH).await? {
                behind.retain(|b| b.partition != record.partition || record.offset + 1 < b.next);
                each(record);
            }
        }
        Ok(reader)
    }

    /// Shares the partitions with the group's other members, from its committed positions; a partition that
    /// the group never committed is read from its oldest record. A revoke waits for the work in hand: it is
    /// carried out only within [`Member::next`].
    pub async fn join(&self, group: &str, topic: &Topic) -> Result<Member, ReadError> {
        match self {
            Self::Kafka(client) => client.join(group, topic).await.map(Member::Kafka),
            Self::Embedded(store) => store.join(group, topic).await.map(Member::Embedded),
        }
    }

    /// First and next offset of each partition, and the first offset appended at or after `since`.
    pub async fn bounds(&self, topic: &Topic, since: Option<Timestamp>) -> Result<Vec<Bounds>, ReadError> {
        match self {
            Self::Kafka(client) => client.bounds(topic, since).await,
            Self::Embedded(store) => store.bounds(topic, since).await,
        }
    }

    /// Deletes what is past its retention at `now`, and compacts. The embedded log does it by itself each minute,
    /// and Kafka on its own terms: there this call does nothing.
    pub async fn maintain(&self, now: Timestamp) -> Result<(), AppendError> {
        match self {
            Self::Kafka(_) => Ok(()),
            Self::Embedded(store) => store.maintain(now).await,
        }
    }
}

/// What no later attempt could store is refused before it has a place in the order.
fn refuse_unstorable(topic: &Topic, batch: &[NewRecord]) -> Result<(), AppendError> {
    for record in batch {
        let bytes = record.bytes();
        if bytes > MAX_RECORD_BYTES {
            return Err(AppendError::TooLarge {
                topic: topic.name.to_owned(),
                bytes,
                limit: MAX_RECORD_BYTES,
            });
        }
        if let Some(partition) = record.partition.filter(|partition| *partition >= topic.partitions) {
            let message = format!("there is no partition {partition}, only {}", topic.partitions);
            return Err(AppendError::unavailable(topic, message));
        }
    }
    Ok(())
}

/// Whether a position can be read; an error where its records are gone or the log is another.
fn within(topic: &Topic, position: Position, bounds: &Bounds, advice: Advice) -> Result<(), ReadError> {
    if (bounds.first..=bounds.next).contains(&position.offset) {
        return Ok(());
    }
    Err(ReadError::OutOfRange {
        topic: topic.name.to_owned(),
        partition: position.partition,
        wanted: position.offset,
        first: bounds.first,
        next: bounds.next,
        advice,
    })
}

impl AppendError {
    fn unavailable(topic: &Topic, message: impl fmt::Display) -> Self {
        Self::Unavailable { topic: topic.name.to_owned(), message: message.to_string() }
    }
}

impl ReadError {
    /// That a newer Earshot wrote this record of a topic.
    pub fn newer_version(topic: &Topic, record: &Record) -> Self {
        Self::NewerVersion { topic: topic.name.to_owned(), place: format!(" offset {}", record.offset) }
    }

    fn unavailable(topic: &Topic, message: impl fmt::Display) -> Self {
        Self::Unavailable { topic: topic.name.to_owned(), message: message.to_string() }
    }
}

/// A batch that has its place in the order and is on its way to storage.
#[must_use = "an append is only done when it is stored"]
#[derive(Debug)]
pub enum Durable {
    /// On Apache Kafka.
    Kafka(kafka::Pending),
    /// In a folder.
    Embedded(embedded::Pending),
}

impl Durable {
    /// Waits until the batch is stored; answers each record's place, in the order of the batch.
    pub async fn stored(self) -> Result<Vec<Position>, AppendError> {
        match self {
            Self::Kafka(pending) => pending.stored().await,
            Self::Embedded(pending) => pending.stored().await,
        }
    }
}

/// Follows a topic without a group.
#[derive(Debug)]
pub enum Reader {
    /// On Apache Kafka.
    Kafka(kafka::Reader),
    /// In a folder.
    Embedded(embedded::Reader),
}

impl Reader {
    /// Waits for records; answers at least one and at most `max`, in order within each partition. May be
    /// dropped while it waits: nothing is lost.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        match self {
            Self::Kafka(reader) => reader.next(max).await,
            Self::Embedded(reader) => reader.next(max).await,
        }
    }
}

/// A member of a group that shares a topic's partitions.
#[derive(Debug)]
pub enum Member {
    /// On Apache Kafka.
    Kafka(kafka::Member),
    /// In a folder.
    Embedded(embedded::Member),
}

impl Member {
    /// Waits for records of the partitions that this member owns; answers at least one and at most `max`.
    /// Whoever calls it says that the work in hand is done and committed. May be dropped while it waits.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        match self {
            Self::Kafka(member) => member.next(max).await,
            Self::Embedded(member) => member.next(max).await,
        }
    }

    /// Stores the group's positions: for each partition the offset to read next. After an error go on with
    /// [`Member::next`]: what was not committed is committed with what follows, or delivered again.
    pub async fn commit(&mut self, next: &[Position]) -> Result<(), ReadError> {
        match self {
            Self::Kafka(member) => member.commit(next).await,
            Self::Embedded(member) => member.commit(next).await,
        }
    }

    /// Asks the log whether a partition that was this member's still is, by a commit of a position in it. An error says
    /// that it is not, or that nobody answers.
    pub async fn still_owns(&mut self, committing: Position) -> Result<(), ReadError> {
        match self {
            Self::Kafka(member) => member.still_owns(committing).await,
            // There is no other member.
            Self::Embedded(_) => Ok(()),
        }
    }

    /// The offset to read next of each partition that this member owns now.
    pub fn owned(&self) -> Vec<Position> {
        match self {
            Self::Kafka(member) => member.owned(),
            Self::Embedded(member) => member.owned(),
        }
    }
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nobody answers there or lets us in, or the folder cannot be used.
    #[error("open {at}: {message}")]
    Unreachable {
        /// The addresses or the folder.
        at: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// Another process has the folder.
    #[error(
        "open {folder}: another earshot process uses this folder; stop it, or choose another with --data"
    )]
    InUse {
        /// The folder.
        folder: String,
    },
    /// A topic exists with other values.
    #[error(
        "topic `{topic}` has {setting} = {found}, and must have {wanted}; nothing was changed. \
         Alter the topic, or choose another `kafka.topic_prefix`, without Kafka another `data` folder"
    )]
    TopicDiffers {
        /// The topic.
        topic: String,
        /// Which of its settings.
        setting: &'static str,
        /// Its value.
        found: String,
        /// The value that it must have.
        wanted: String,
    },
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It can be tried again.
    #[error("append to `{topic}`: {message}")]
    Unavailable {
        /// The topic.
        topic: String,
        /// What is wrong.
        message: String,
    },
    /// It can never be stored: a record is larger than the log takes.
    #[error("append to `{topic}`: a record of {bytes} bytes is larger than the {limit} that the log takes")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It can be tried again.
    #[error("read `{topic}`: {message}")]
    Unavailable {
        /// The topic.
        topic: String,
        /// What is wrong.
        message: String,
    },
    /// The position is no longer there: records were deleted before they were read.
    #[error(
        "read `{topic}` partition {partition}: offset {wanted} is gone, the log holds {first} to {next}; \
         records were deleted before they were read, or the topic was made anew. {advice}"
    )]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        wanted: u64,
        /// The oldest offset that can still be read.
        first: u64,
        /// The offset that the next record will have.
        next: u64,
        /// What to do.
        advice: Advice,
    },
    /// A newer Earshot wrote to it what may not be passed over.
    #[error(
        "read `{topic}`{place}: a newer Earshot wrote there; upgrade this program, and it goes on where it is"
    )]
    NewerVersion {
        /// The topic.
        topic: String,
        /// The offset in words, where it is known.
        place: String,
    },
    /// The embedded log has one member a group.
    #[error(
        "join group `{group}`: it has a member already, and an embedded log takes one; use Kafka for more"
    )]
    GroupTaken {
        /// The group.
        group: String,
    },
}

/// What to do about a position that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// For a group's committed position.
    ResetGroup,
    /// For a position that the reader keeps itself.
    Rebuild,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResetGroup => {
                "Start again where the topic was made anew, which Kafka forgets the group's offsets with; else reset \
                 them on purpose to go on past the gap"
            }
            Self::Rebuild => "Rebuild what was made from the topic to go on past the gap",
        })
    }
}

/// The largest value, with key and headers, that the log takes: 1 MiB less room for the batch around it, so
/// that both back ends take the same.
pub const MAX_RECORD_BYTES: usize = 1_000_000;

/// Records of one batch, and of one read, at most.
pub const MAX_BATCH: usize = 1_000;

/// What [`Broker::append_while_leased`] may take. A member that is silent for 15 seconds is replaced: whoever knew less
/// than ten seconds ago that a partition was its own is done before that.
pub const LEASED_APPEND: Duration = Duration::from_secs(4);

/// Bytes of one read, at most, but always one record.
const MAX_READ_BYTES: usize = 8 * 1024 * 1024;

impl Record {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// The key as text, for messages to people.
    pub fn key_lossy(&self) -> String {
        self.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default()
    }
}

/// The partition of a key: the same on both back ends and in every program.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let hash = blake3::hash(key);
    let (first, _) = hash.as_bytes().split_at(8);
    let number = u64::from_be_bytes(first.try_into().expect("split at eight bytes"));
    (number % u64::from(partitions)) as u32
}
