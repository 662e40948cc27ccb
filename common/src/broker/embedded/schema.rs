//! The database file: its tables, and the statements that more than one file of this folder needs.
//!
//! Each partition is a table named `topic/partition`, so that an operator can look inside with the `sqlite3`
//! shell: `SELECT * FROM "mentions.raw/0" ORDER BY offset DESC LIMIT 10`.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::broker::{Bounds, OpenError};
use crate::time::Timestamp;
use crate::topics::Topic;

/// Version of the tables; another one is refused.
pub(super) const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE topics(
        name TEXT NOT NULL PRIMARY KEY,
        partitions INTEGER NOT NULL,
        cleanup TEXT NOT NULL
    ) STRICT;
    CREATE TABLE partitions(
        topic TEXT NOT NULL REFERENCES topics(name),
        partition INTEGER NOT NULL,
        first_offset INTEGER NOT NULL DEFAULT 0,
        next_offset INTEGER NOT NULL DEFAULT 0,
        -- Milliseconds since 1970; kept here because retention may empty the partition.
        last_appended INTEGER NOT NULL DEFAULT 0,
        -- Below this offset each key was compacted; unused where the topic does not compact.
        compacted_to INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (topic, partition)
    ) STRICT;
    CREATE TABLE group_positions(
        group_name TEXT NOT NULL,
        topic TEXT NOT NULL REFERENCES topics(name),
        partition INTEGER NOT NULL,
        next_offset INTEGER NOT NULL,
        PRIMARY KEY (group_name, topic, partition)
    ) STRICT;
";

/// Opens the file for writing; creates and verifies what it must hold.
pub(super) fn open(path: &Path, topics: &[Topic]) -> Result<Connection, OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::Unreachable {
        at: path.display().to_string(),
        message: format!("{error}; free the disk or restore the file"),
    };
    let mut connection = connect(path).map_err(unusable)?;
    let version = create_tables(&mut connection).map_err(unusable)?;
    if version != VERSION {
        return Err(OpenError::Unreachable {
            at: path.display().to_string(),
            message: format!(
                "the tables have version {version}, and this program knows {VERSION}; use the program that wrote them"
            ),
        });
    }
    for topic in topics {
        verify(topic, &find_or_create_topic(&mut connection, topic).map_err(unusable)?)?;
    }
    Ok(connection)
}

/// A connection with the settings that all of them share.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A burst may make the write-ahead log large: it is cut to this again.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Creates the tables in an empty file; answers the version of what is there.
fn create_tables(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found != 0 {
        return Ok(found);
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(VERSION)
}

/// The version of the tables in a file; zero where there are none.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// What a topic is in the file.
struct Found {
    partitions: u32,
    cleanup: String,
}

fn find_or_create_topic(connection: &mut Connection, topic: &Topic) -> rusqlite::Result<Found> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = transaction
        .query_row("SELECT partitions, cleanup FROM topics WHERE name = ?1", [topic.name], |row| {
            Ok(Found { partitions: row.get(0)?, cleanup: row.get(1)? })
        })
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let created = Found { partitions: topic.partitions, cleanup: topic.cleanup.to_string() };
    transaction.execute(
        "INSERT INTO topics(name, partitions, cleanup) VALUES (?1, ?2, ?3)",
        params![topic.name, created.partitions, created.cleanup],
    )?;
    for partition in 0..topic.partitions {
        transaction.execute(
            "INSERT INTO partitions(topic, partition) VALUES (?1, ?2)",
            params![topic.name, partition],
        )?;
        let table = table(topic, partition);
        transaction.execute_batch(&format!(
            "CREATE TABLE {table}(
                offset INTEGER PRIMARY KEY,
                appended INTEGER NOT NULL,
                key BLOB,
                value BLOB NOT NULL,
                headers TEXT
            ) STRICT;"
        ))?;
        if topic.cleanup.compacts() {
            let index = quoted(&format!("{}/{partition} by key", topic.name));
            transaction.execute_batch(&format!("CREATE INDEX {index} ON {table}(key);"))?;
        }
    }
    transaction.commit()?;
    Ok(created)
}

fn verify(topic: &Topic, found: &Found) -> Result<(), OpenError> {
    let differs = |setting, found: String, wanted: String| OpenError::TopicDiffers {
        topic: topic.name.to_owned(),
        setting,
        found,
        wanted,
    };
    if found.partitions != topic.partitions {
        return Err(differs("partitions", found.partitions.to_string(), topic.partitions.to_string()));
    }
    let cleanup = topic.cleanup.to_string();
    if found.cleanup != cleanup {
        return Err(differs("cleanup", found.cleanup.clone(), cleanup));
    }
    Ok(())
}

/// The table of a partition, quoted.
pub(super) fn table(topic: &Topic, partition: u32) -> String {
    quoted(&format!("{}/{partition}", topic.name))
}

/// A table's name, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// First and next offset of a partition.
pub(super) fn bounds(connection: &Connection, topic: &Topic, partition: u32) -> rusqlite::Result<Bounds> {
    connection
        .prepare_cached(
            "SELECT first_offset, next_offset FROM partitions WHERE topic = ?1 AND partition = ?2",
        )?
        .query_row(params![topic.name, partition], |row| {
            Ok(Bounds { partition, first: offset(row.get(0)?), next: offset(row.get(1)?), since: None })
        })
}

/// The first offset appended at or after `since`, by bisection: append times never fall within a partition.
pub(super) fn first_since(
    connection: &Connection,
    topic: &Topic,
    bounds: &Bounds,
    since: Timestamp,
) -> rusqlite::Result<u64> {
    let table = table(topic, bounds.partition);
    let mut at_or_after = connection.prepare_cached(&format!(
        "SELECT offset, appended FROM {table} WHERE offset >= ?1 ORDER BY offset LIMIT 1"
    ))?;
    let (mut low, mut high) = (bounds.first, bounds.next);
    while low < high {
        let middle = low + (high - low) / 2;
        let record: Option<(i64, i64)> =
            at_or_after.query_row([integer(middle)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match record {
            Some((found, appended)) if appended < since.as_millis() => low = offset(found) + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// An offset as SQLite stores it.
pub(super) fn integer(offset: u64) -> i64 {
    i64::try_from(offset).expect("offsets ascend by one from zero")
}

/// An offset as SQLite stored it.
pub(super) fn offset(integer: i64) -> u64 {
    u64::try_from(integer).expect("offsets ascend by one from zero")
}
