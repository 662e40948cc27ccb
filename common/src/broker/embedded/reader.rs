//! Reading: on blocking threads, each with a connection of its own, in short snapshots.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::watch;

use super::schema::{bounds, connect, integer, offset, table};
use super::writer::Work;
use super::{Store, headers};
use crate::broker::{Advice, MAX_BATCH, MAX_READ_BYTES, Position, ReadError, Record, within};
use crate::time::Timestamp;
use crate::topics::Topic;

/// Connections for reading, opened as needed and kept.
#[derive(Debug)]
pub(super) struct Connections {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Runs a read on a blocking thread.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        topic: Topic,
        read: impl FnOnce(&mut Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let connections = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let mut connection = connections.take().map_err(|error| ReadError::unavailable(&topic, error))?;
            let answer = read(&mut connection);
            connections.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        });
        match reading.await {
            Ok(answer) => answer,
            Err(stopped) => Err(ReadError::unavailable(&topic, stopped)),
        }
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| connect(&self.path), Ok)
    }
}

/// Follows a topic without a group.
#[derive(Debug)]
pub struct Reader(Follower);

impl Reader {
    pub(super) fn new(
        store: &Store,
        topic: Topic,
        from: &[Position],
        ends: watch::Receiver<Vec<u64>>,
    ) -> Self {
        Self(Follower::new(store, topic, from, ends, Advice::Rebuild))
    }

    pub(in crate::broker) async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        self.0.next(max).await
    }
}

/// The one member of a group.
#[derive(Debug)]
pub struct Member {
    follower: Follower,
    seat: Seat,
}

impl Member {
    pub(super) fn new(
        store: &Store,
        topic: Topic,
        from: &[Position],
        ends: watch::Receiver<Vec<u64>>,
        seat: Seat,
    ) -> Self {
        Self { follower: Follower::new(store, topic, from, ends, Advice::ResetGroup), seat }
    }

    pub(in crate::broker) async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        self.follower.next(max).await
    }

    pub(in crate::broker) async fn commit(&mut self, next: &[Position]) -> Result<(), ReadError> {
        let Follower { store, topic, .. } = &self.follower;
        let work = Work::Commit { group: self.seat.group.clone(), topic: *topic, next: next.to_vec() };
        let stored = store.submit(work).map_err(|message| ReadError::unavailable(topic, message))?;
        stored.wait().await.map(|_| ()).map_err(|message| ReadError::unavailable(topic, message))
    }

    pub(in crate::broker) fn owned(&self) -> Vec<Position> {
        let positions = self.follower.positions.iter();
        positions.map(|(&partition, &offset)| Position { partition, offset }).collect()
    }
}

/// Who is a member of what: group and topic.
pub(super) type Seats = Arc<Mutex<HashSet<(String, &'static str)>>>;

/// The one membership of a group and topic, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    group: String,
    topic: &'static str,
    seats: Seats,
}

impl Seat {
    pub(super) fn take(seats: &Seats, group: &str, topic: &Topic) -> Result<Self, ReadError> {
        let new = (group.to_owned(), topic.name);
        if !seats.lock().unwrap_or_else(PoisonError::into_inner).insert(new) {
            return Err(ReadError::GroupTaken { group: group.to_owned() });
        }
        Ok(Self { group: group.to_owned(), topic: topic.name, seats: Arc::clone(seats) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seat = (std::mem::take(&mut self.group), self.topic);
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).remove(&seat);
    }
}

/// What readers and members have in common.
#[derive(Debug)]
struct Follower {
    store: Store,
    topic: Topic,
    /// For each partition the offset to read next.
    positions: BTreeMap<u32, u64>,
    ends: watch::Receiver<Vec<u64>>,
    /// The partition to begin with, so that a busy one does not starve the others.
    turn: usize,
    advice: Advice,
}

impl Follower {
    fn new(
        store: &Store,
        topic: Topic,
        from: &[Position],
        ends: watch::Receiver<Vec<u64>>,
        advice: Advice,
    ) -> Self {
        let positions = from.iter().map(|position| (position.partition, position.offset)).collect();
        Self { store: store.clone(), topic, positions, ends, turn: 0, advice }
    }

    /// A call that is dropped has moved nothing: positions change only after the last await.
    async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        let max = max.clamp(1, MAX_BATCH);
        loop {
            let positions = &self.positions;
            self.ends
                .wait_for(|ends| positions.iter().any(|(partition, next)| ends[*partition as usize] != *next))
                .await
                .map_err(|_| ReadError::unavailable(&self.topic, "the store was closed"))?;
            let (topic, from, advice) = (self.topic, self.in_turn(), self.advice);
            let read = move |connection: &mut Connection| read(connection, &topic, &from, max, advice);
            let batch = self.store.connections().run(topic, read).await?;
            for position in batch.next {
                self.positions.insert(position.partition, position.offset);
            }
            self.turn = self.turn.wrapping_add(1);
            if !batch.records.is_empty() {
                return Ok(batch.records);
            }
        }
    }

    fn in_turn(&self) -> Vec<Position> {
        let mut from: Vec<Position> =
            self.positions.iter().map(|(&partition, &offset)| Position { partition, offset }).collect();
        if !from.is_empty() {
            let first = self.turn % from.len();
            from.rotate_left(first);
        }
        from
    }
}

/// Records, and where to go on.
struct Batch {
    records: Vec<Record>,
    next: Vec<Position>,
}

fn read(
    connection: &mut Connection,
    topic: &Topic,
    from: &[Position],
    max: usize,
    advice: Advice,
) -> Result<Batch, ReadError> {
    let unavailable = |error: rusqlite::Error| ReadError::unavailable(topic, error);
    let snapshot = connection.transaction().map_err(unavailable)?;
    let mut batch = Batch { records: Vec::new(), next: Vec::new() };
    let mut bytes = 0;
    for position in from {
        let bounds = bounds(&snapshot, topic, position.partition).map_err(unavailable)?;
        within(topic, *position, &bounds, advice)?;
        let wanted = max - batch.records.len();
        let found = read_partition(&snapshot, topic, *position, wanted, &mut bytes, &mut batch.records);
        let offset = match found.map_err(unavailable)? {
            Some(next) => next,
            // Nothing is left up to the end, even where compaction made gaps.
            None => bounds.next,
        };
        batch.next.push(Position { partition: position.partition, offset });
    }
    Ok(batch)
}

/// Reads one partition; answers where to go on, or nothing when it was read to its end.
fn read_partition(
    connection: &Connection,
    topic: &Topic,
    from: Position,
    wanted: usize,
    bytes: &mut usize,
    records: &mut Vec<Record>,
) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT offset, appended, key, value, headers FROM {} WHERE offset >= ?1 ORDER BY offset",
        table(topic, from.partition)
    ))?;
    let mut rows = statement.query([integer(from.offset)])?;
    let mut read = 0;
    let mut next = from.offset;
    while let Some(row) = rows.next()? {
        if read == wanted || *bytes >= MAX_READ_BYTES {
            return Ok(Some(next));
        }
        let record = to_record(row, from.partition)?;
        next = record.offset + 1;
        read += 1;
        *bytes += record.value.len() + record.key.as_ref().map_or(0, Bytes::len);
        records.push(record);
    }
    Ok(None)
}

pub(super) fn to_record(row: &rusqlite::Row<'_>, partition: u32) -> rusqlite::Result<Record> {
    let headers = headers::from_text(row.get_ref(4)?.as_str_or_null()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Record {
        partition,
        offset: offset(row.get(0)?),
        appended: Timestamp::from_millis(row.get(1)?),
        key: row.get::<_, Option<Vec<u8>>>(2)?.map(Bytes::from),
        value: row.get::<_, Vec<u8>>(3)?.into(),
        headers,
    })
}
