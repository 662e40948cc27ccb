//! The log in a folder, over SQLite: for one process. No network, no replication, no membership.

mod copy;
mod headers;
mod reader;
mod schema;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use super::room::Room;
use super::{Advice, AppendError, Bounds, NewRecord, OpenError, Position, ReadError, within};
use crate::time::Timestamp;
use crate::topics::Topic;
use reader::{Connections, Seat, Seats};
use writer::{Command, Ends, Work, Writer};

pub use copy::{CopyError, LogCopy};
pub(super) use reader::{Member, Reader};

/// The database within the folder.
const FILE: &str = "log.sqlite3";

/// Where the embedded log is.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The folder; made where it is missing.
    pub folder: PathBuf,
}

impl EmbeddedSettings {
    /// Takes a folder that is there for this process, without opening it: nobody can open it meanwhile.
    pub fn hold(&self) -> Result<FolderLock, OpenError> {
        lock(&self.folder).map(FolderLock)
    }
}

/// A folder that is held, until this is dropped.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "an open file is the lock")] File);

/// An open folder.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    room: Room,
    connections: Arc<Connections>,
    ends: Arc<Ends>,
    seats: Seats,
    /// Both are there until the drop.
    commands: Option<mpsc::Sender<Command>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Inner {
    /// What was appended is stored, and the folder is free when this returns.
    fn drop(&mut self) {
        self.commands = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so itself.
            let _ = writer.join();
        }
    }
}

impl Store {
    pub(super) async fn open(settings: &EmbeddedSettings, topics: &[Topic]) -> Result<Self, OpenError> {
        let (folder, topics) = (settings.folder.clone(), topics.to_vec());
        let at = folder.display().to_string();
        let opening = tokio::task::spawn_blocking(move || open(&folder, &topics));
        match opening.await {
            Ok(opened) => opened,
            Err(stopped) => Err(OpenError::Unreachable { at, message: stopped.to_string() }),
        }
    }

    pub(super) async fn append(&self, topic: &Topic, batch: Vec<NewRecord>) -> Result<Pending, AppendError> {
        let unavailable = |message: String| AppendError::unavailable(topic, message);
        self.ends(topic).map_err(unavailable)?;
        let _room = self.0.room.take(&batch).await;
        let answer = self.submit(Work::Append { topic: *topic, batch, _room }).map_err(unavailable)?;
        Ok(Pending { topic: *topic, answer })
    }

    pub(super) async fn read(&self, topic: &Topic, from: Vec<Position>) -> Result<Reader, ReadError> {
        let bounds = self.bounds(topic, None).await?;
        for position in &from {
            let Some(bounds) = bounds.get(position.partition as usize) else {
                return Err(ReadError::unavailable(
                    topic,
                    format!("there is no partition {}", position.partition),
                ));
            };
            within(topic, *position, bounds, Advice::Rebuild)?;
        }
        let ends = self.ends(topic).map_err(|message| ReadError::unavailable(topic, message))?;
        Ok(Reader::new(self, *topic, &from, ends))
    }

    pub(super) async fn join(&self, group: &str, topic: &Topic) -> Result<Member, ReadError> {
        let ends = self.ends(topic).map_err(|message| ReadError::unavailable(topic, message))?;
        let seat = Seat::take(&self.0.seats, group, topic)?;
        let (group, topic) = (group.to_owned(), *topic);
        let load = move |connection: &mut rusqlite::Connection| {
            committed_or_first(connection, &group, &topic)
                .map_err(|error| ReadError::unavailable(&topic, error))
        };
        let from = self.0.connections.run(topic, load).await?;
        Ok(Member::new(self, topic, &from, ends, seat))
    }

    pub(super) async fn bounds(
        &self,
        topic: &Topic,
        since: Option<Timestamp>,
    ) -> Result<Vec<Bounds>, ReadError> {
        let topic = *topic;
        self.ends(&topic).map_err(|message| ReadError::unavailable(&topic, message))?;
        let load = move |connection: &mut rusqlite::Connection| {
            load_bounds(connection, &topic, since).map_err(|error| ReadError::unavailable(&topic, error))
        };
        self.0.connections.run(topic, load).await
    }

    pub(super) async fn maintain(&self, now: Timestamp) -> Result<(), AppendError> {
        let unavailable = |message| AppendError::Unavailable { topic: "all topics".to_owned(), message };
        let answer = self.submit(Work::Maintain { now }).map_err(unavailable)?;
        answer.wait().await.map(|_| ()).map_err(unavailable)
    }

    fn submit(&self, work: Work) -> Result<Answer, String> {
        let (answer, wait) = oneshot::channel();
        let commands = self.0.commands.as_ref().expect("there until the drop");
        commands.send(Command { work, answer }).map_err(|_| WRITER_STOPPED.to_owned())?;
        Ok(Answer(wait))
    }

    fn ends(&self, topic: &Topic) -> Result<watch::Receiver<Vec<u64>>, String> {
        let ends = self.0.ends.get(topic.name).ok_or_else(|| "the topic was not opened".to_owned())?;
        Ok(ends.subscribe())
    }

    fn connections(&self) -> &Arc<Connections> {
        &self.0.connections
    }
}

const WRITER_STOPPED: &str = "the writer has stopped; start the program again";

/// What the writer will say.
#[derive(Debug)]
struct Answer(oneshot::Receiver<Result<Vec<Position>, String>>);

impl Answer {
    async fn wait(self) -> Result<Vec<Position>, String> {
        self.0.await.unwrap_or_else(|_| Err(WRITER_STOPPED.to_owned()))
    }
}

/// A batch that waits for the writer.
#[derive(Debug)]
pub struct Pending {
    topic: Topic,
    answer: Answer,
}

impl Pending {
    pub(super) async fn stored(self) -> Result<Vec<Position>, AppendError> {
        let Self { topic, answer } = self;
        answer.wait().await.map_err(|message| AppendError::unavailable(&topic, message))
    }
}

fn open(folder: &Path, topics: &[Topic]) -> Result<Store, OpenError> {
    let unusable = |error: &dyn std::fmt::Display| OpenError::Unreachable {
        at: folder.display().to_string(),
        message: format!("the folder cannot be used: {error}"),
    };
    std::fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
    let lock = lock(folder)?;
    let path = folder.join(FILE);
    let connection = schema::open(&path, topics)?;
    let writer = Writer::new(connection, topics, lock).map_err(|error| unusable(&error))?;
    let ends = writer.ends();
    let (commands, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("log-writer".to_owned())
        .spawn(move || writer.run(&receiver))
        .map_err(|error| unusable(&error))?;
    Ok(Store(Arc::new(Inner {
        room: Room::new(),
        connections: Arc::new(Connections::new(path)),
        ends,
        seats: Seats::default(),
        commands: Some(commands),
        writer: Some(thread),
    })))
}

/// Takes the folder for this process. The system gives it back even when the process is killed.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let at = || folder.display().to_string();
    let path = folder.join("lock");
    let opened = File::options().create(true).truncate(false).write(true).open(path);
    let file = opened.map_err(|error| OpenError::Unreachable {
        at: at(),
        message: format!("the folder cannot be written: {error}"),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: at() }),
        Err(TryLockError::Error(error)) => Err(OpenError::Unreachable {
            at: at(),
            message: format!("the folder cannot be locked: {error}; choose one on a local disk"),
        }),
    }
}

fn committed_or_first(
    connection: &mut rusqlite::Connection,
    group: &str,
    topic: &Topic,
) -> rusqlite::Result<Vec<Position>> {
    let mut statement = connection.prepare_cached(
        "SELECT partitions.partition, coalesce(committed.next_offset, first_offset) FROM partitions
         LEFT JOIN group_positions AS committed
             ON committed.group_name = ?2 AND committed.topic = partitions.topic
             AND committed.partition = partitions.partition
         WHERE partitions.topic = ?1 ORDER BY partitions.partition",
    )?;
    let positions = statement.query_map([topic.name, group], |row| {
        Ok(Position { partition: row.get(0)?, offset: schema::offset(row.get(1)?) })
    })?;
    positions.collect()
}

fn load_bounds(
    connection: &mut rusqlite::Connection,
    topic: &Topic,
    since: Option<Timestamp>,
) -> rusqlite::Result<Vec<Bounds>> {
    let snapshot = connection.transaction()?;
    let mut all = Vec::new();
    for partition in 0..topic.partitions {
        let mut bounds = schema::bounds(&snapshot, topic, partition)?;
        if let Some(since) = since {
            bounds.since = Some(schema::first_since(&snapshot, topic, &bounds, since)?);
        }
        all.push(bounds);
    }
    Ok(all)
}
