//! The one thread that writes: batches, group positions, retention and compaction.
//!
//! What is waiting goes into one transaction, so that many small appends share the cost of making them durable.
//! An error fails that transaction alone; the thread goes on with what comes next.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::{oneshot, watch};

use super::headers;
use super::schema::{bounds, first_since, integer, offset, table};
use crate::broker::room::Taken;
use crate::broker::{NewRecord, Position};
use crate::time::Timestamp;
use crate::topics::Topic;

/// Bytes of one transaction, at most, but always one command.
const TRANSACTION_BYTES: usize = 8 * 1024 * 1024;
/// Offsets of one step of retention or compaction: appends wait for one step at most.
const STEP_OFFSETS: u64 = 5_000;
/// From one round of retention and compaction to the next.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// Something to write.
pub(super) struct Command {
    pub(super) work: Work,
    /// Told when the work is durable, or why it failed: the places of an append, nothing of the rest.
    pub(super) answer: oneshot::Sender<Result<Vec<Position>, String>>,
}

pub(super) enum Work {
    /// Holds its part of the room until it is written.
    Append {
        topic: Topic,
        batch: Vec<NewRecord>,
        _room: Taken,
    },
    Commit {
        group: String,
        topic: Topic,
        next: Vec<Position>,
    },
    Maintain {
        now: Timestamp,
    },
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { batch, .. } => batch.iter().map(NewRecord::bytes).sum(),
            Self::Commit { .. } | Self::Maintain { .. } => 0,
        }
    }
}

/// Where each partition of each topic ends, for those who wait for records.
pub(super) type Ends = HashMap<&'static str, watch::Sender<Vec<u64>>>;

/// The end of a partition.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End {
    next: u64,
    last_appended: Timestamp,
}

type TopicEnds = HashMap<&'static str, Vec<End>>;

/// What the thread owns.
pub(super) struct Writer {
    connection: Connection,
    topics: Vec<Topic>,
    /// As they are in the file.
    stored: TopicEnds,
    published: Arc<Ends>,
    rounds: VecDeque<Round>,
    /// Held as long as the thread lives: another process must not write.
    _lock: File,
}

/// One round of retention and compaction.
struct Round {
    now: Timestamp,
    answer: Option<oneshot::Sender<Result<Vec<Position>, String>>>,
}

impl Writer {
    /// Reads where the partitions end.
    pub(super) fn new(connection: Connection, topics: &[Topic], lock: File) -> rusqlite::Result<Self> {
        let mut stored = TopicEnds::new();
        let mut published = Ends::new();
        for topic in topics {
            let ends = load_ends(&connection, topic)?;
            published.insert(topic.name, watch::Sender::new(ends.iter().map(|end| end.next).collect()));
            stored.insert(topic.name, ends);
        }
        let first_round = Round { now: jiff::Timestamp::now().into(), answer: None };
        Ok(Self {
            connection,
            topics: topics.to_vec(),
            stored,
            published: Arc::new(published),
            rounds: VecDeque::from([first_round]),
            _lock: lock,
        })
    }

    /// Where the partitions end, from now on.
    pub(super) fn ends(&self) -> Arc<Ends> {
        Arc::clone(&self.published)
    }

    /// Writes until the last sender of commands is gone.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut last_round = Instant::now();
        loop {
            while let Some(round) = self.rounds.pop_front() {
                self.maintain(round, commands);
                last_round = Instant::now();
            }
            match commands.recv_timeout(MAINTENANCE_INTERVAL.saturating_sub(last_round.elapsed())) {
                Ok(command) => self.serve(command, commands),
                Err(RecvTimeoutError::Timeout) => {
                    self.rounds.push_back(Round { now: jiff::Timestamp::now().into(), answer: None });
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes a command and what waits behind it.
    fn serve(&mut self, first: Command, commands: &Receiver<Command>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            bytes += command.work.bytes();
            match command.work {
                Work::Maintain { now } => self.rounds.push_back(Round { now, answer: Some(command.answer) }),
                Work::Append { .. } | Work::Commit { .. } => group.push(command),
            }
            next = if bytes < TRANSACTION_BYTES { commands.try_recv().ok() } else { None };
        }
        let mut ends = self.stored.clone();
        match write(&mut self.connection, &mut ends, &group, jiff::Timestamp::now().into()) {
            Ok(answers) => {
                self.publish(ends);
                for (command, places) in group.into_iter().zip(answers) {
                    // Whoever does not wait for the answer has dropped its receiver.
                    let _ = command.answer.send(Ok(places));
                }
            }
            Err(error) => {
                tracing::warn!(%error, commands = group.len(), "embedded log could not write");
                for command in group {
                    let _ = command.answer.send(Err(error.to_string()));
                }
            }
        }
    }

    fn publish(&mut self, ends: TopicEnds) {
        for (topic, ends) in &ends {
            self.published[topic].send_if_modified(|published| {
                let mut grown = false;
                for (published, end) in published.iter_mut().zip(ends) {
                    grown |= *published != end.next;
                    *published = end.next;
                }
                grown
            });
        }
        self.stored = ends;
    }

    /// One round over all partitions, in steps; appends are served between them.
    fn maintain(&mut self, round: Round, commands: &Receiver<Command>) {
        let mut outcome = Ok(Vec::new());
        'round: for topic in self.topics.clone() {
            for partition in 0..topic.partitions {
                loop {
                    match step(&mut self.connection, &topic, partition, round.now) {
                        Ok(Progress::Done) => break,
                        Ok(Progress::More) => {}
                        Err(error) => {
                            tracing::warn!(topic = topic.name, partition, %error, "embedded log could not be trimmed");
                            outcome = Err(error.to_string());
                            break 'round;
                        }
                    }
                    match commands.try_recv() {
                        Ok(command) => self.serve(command, commands),
                        Err(TryRecvError::Empty) => {}
                        Err(TryRecvError::Disconnected) => break 'round,
                    }
                }
            }
        }
        if let Some(answer) = round.answer {
            let _ = answer.send(outcome);
        }
    }
}

fn load_ends(connection: &Connection, topic: &Topic) -> rusqlite::Result<Vec<End>> {
    connection
        .prepare("SELECT next_offset, last_appended FROM partitions WHERE topic = ?1 ORDER BY partition")?
        .query_map([topic.name], |row| {
            Ok(End { next: offset(row.get(0)?), last_appended: Timestamp::from_millis(row.get(1)?) })
        })?
        .collect()
}

/// Writes the group in one transaction and moves the ends; answers each command's places.
fn write(
    connection: &mut Connection,
    ends: &mut TopicEnds,
    group: &[Command],
    now: Timestamp,
) -> rusqlite::Result<Vec<Vec<Position>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut answers = Vec::with_capacity(group.len());
    for command in group {
        let places = match &command.work {
            Work::Append { topic, batch, .. } => {
                let ends = ends.get_mut(topic.name).expect("the store knows the topics that it opened");
                append(&transaction, topic, batch, ends, now)?
            }
            Work::Commit { group, topic, next } => {
                commit(&transaction, group, topic, next)?;
                Vec::new()
            }
            // Rounds are taken out before; they have transactions of their own.
            Work::Maintain { .. } => Vec::new(),
        };
        answers.push(places);
    }
    transaction.commit()?;
    Ok(answers)
}

fn append(
    connection: &Connection,
    topic: &Topic,
    batch: &[NewRecord],
    ends: &mut [End],
    now: Timestamp,
) -> rusqlite::Result<Vec<Position>> {
    let before = ends.to_vec();
    let mut places = Vec::with_capacity(batch.len());
    for record in batch {
        let partition = record.partition_in(topic);
        let end = &mut ends[partition as usize];
        end.last_appended = end.last_appended.max(now);
        connection
            .prepare_cached(&format!(
                "INSERT INTO {}(offset, appended, key, value, headers) VALUES (?1, ?2, ?3, ?4, ?5)",
                table(topic, partition)
            ))?
            .execute(params![
                integer(end.next),
                end.last_appended.as_millis(),
                record.key.as_deref(),
                record.value.as_ref(),
                headers::to_text(&record.headers),
            ])?;
        places.push(Position { partition, offset: end.next });
        end.next += 1;
    }
    let mut update = connection.prepare_cached(
        "UPDATE partitions SET next_offset = ?3, last_appended = ?4 WHERE topic = ?1 AND partition = ?2",
    )?;
    for (partition, (before, end)) in before.iter().zip(ends.iter()).enumerate() {
        if before != end {
            let partition = partition as u32;
            update.execute(params![
                topic.name,
                partition,
                integer(end.next),
                end.last_appended.as_millis()
            ])?;
        }
    }
    Ok(places)
}

fn commit(connection: &Connection, group: &str, topic: &Topic, next: &[Position]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO group_positions(group_name, topic, partition, next_offset) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
    )?;
    for position in next {
        upsert.execute(params![group, topic.name, position.partition, integer(position.offset)])?;
    }
    Ok(())
}

enum Progress {
    More,
    Done,
}

/// One step of retention and one of compaction.
fn step(
    connection: &mut Connection,
    topic: &Topic,
    partition: u32,
    now: Timestamp,
) -> rusqlite::Result<Progress> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let trimmed = trim(&transaction, topic, partition, now)?;
    let compacted = compact(&transaction, topic, partition)?;
    transaction.commit()?;
    match (trimmed, compacted) {
        (Progress::Done, Progress::Done) => Ok(Progress::Done),
        _ => Ok(Progress::More),
    }
}

/// Deletes from the front what is older than the retention.
fn trim(
    connection: &Connection,
    topic: &Topic,
    partition: u32,
    now: Timestamp,
) -> rusqlite::Result<Progress> {
    let Some(retention) = topic.cleanup.retention() else { return Ok(Progress::Done) };
    let age = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let bounds = bounds(connection, topic, partition)?;
    let kept_from = first_since(connection, topic, &bounds, now.plus_millis(-age))?;
    let to = kept_from.min(bounds.first + STEP_OFFSETS);
    if to == bounds.first {
        return Ok(Progress::Done);
    }
    let table = table(topic, partition);
    connection.prepare_cached(&format!("DELETE FROM {table} WHERE offset < ?1"))?.execute([integer(to)])?;
    connection
        .prepare_cached("UPDATE partitions SET first_offset = ?3 WHERE topic = ?1 AND partition = ?2")?
        .execute(params![topic.name, partition, integer(to)])?;
    Ok(if to < kept_from { Progress::More } else { Progress::Done })
}

/// Deletes what newer records of the same keys replace. Looks only at records that no step has looked at.
fn compact(connection: &Connection, topic: &Topic, partition: u32) -> rusqlite::Result<Progress> {
    if !topic.cleanup.compacts() {
        return Ok(Progress::Done);
    }
    let (from, next): (i64, i64) = connection
        .prepare_cached(
            "SELECT compacted_to, next_offset FROM partitions WHERE topic = ?1 AND partition = ?2",
        )?
        .query_row(params![topic.name, partition], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let to = next.min(from + integer(STEP_OFFSETS));
    if to == from {
        return Ok(Progress::Done);
    }
    let table = table(topic, partition);
    connection
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE offset IN (
                SELECT older.offset FROM {table} AS newer
                JOIN {table} AS older ON older.key = newer.key AND older.offset < newer.offset
                WHERE newer.offset >= ?1 AND newer.offset < ?2)"
        ))?
        .execute([from, to])?;
    connection
        .prepare_cached("UPDATE partitions SET compacted_to = ?3 WHERE topic = ?1 AND partition = ?2")?
        .execute(params![topic.name, partition, to])?;
    Ok(if to < next { Progress::More } else { Progress::Done })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::embedded::schema;
    use crate::broker::room::Room;
    use crate::topics::Cleanup;

    const TOPIC: Topic = Topic { name: "one", partitions: 1, cleanup: Cleanup::Keep };

    /// Appends 100 kB as the thread would.
    async fn append(writer: &mut Writer) -> Result<Vec<Position>, String> {
        let (_sender, commands) = std::sync::mpsc::channel();
        let (answer, outcome) = oneshot::channel();
        let batch = vec![NewRecord::unkeyed(vec![7; 100_000])];
        let room = Room::new().take(&batch).await;
        writer.serve(Command { work: Work::Append { topic: TOPIC, batch, _room: room }, answer }, &commands);
        outcome.await.unwrap()
    }

    #[tokio::test]
    async fn after_a_full_disk_the_log_goes_on_without_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open(&folder.path().join("log.sqlite3"), &[TOPIC]).unwrap();
        let lock = File::create(folder.path().join("lock")).unwrap();
        let mut writer = Writer::new(connection, &[TOPIC], lock).unwrap();
        let place = |offset| Ok(vec![Position { partition: 0, offset }]);
        assert_eq!(append(&mut writer).await, place(0));

        let set_pages = |writer: &Writer, pages: i64| {
            writer.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        };
        set_pages(&writer, 40);
        let refused = append(&mut writer).await.unwrap_err();
        assert!(refused.contains("full"), "{refused}");
        set_pages(&writer, 4_000);
        assert_eq!(append(&mut writer).await, place(1));
        assert_eq!(*writer.published[TOPIC.name].borrow(), [2]);
    }
}
