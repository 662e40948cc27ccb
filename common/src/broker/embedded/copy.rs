//! A copy of the log as it was at one moment: for backups. It is taken while a process uses the log, and read
//! without opening it as a log, which would delete what is past its retention.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::FILE;
use super::reader::to_record;
use super::schema::{VERSION, offset, quoted, version};
use crate::broker::{Bounds, Record};
use crate::time::Timestamp;

/// A file with the whole log as it was at one moment.
#[derive(Debug)]
pub struct LogCopy {
    path: PathBuf,
    connection: Connection,
}

/// Why a log cannot be copied, or a copy not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct CopyError {
    path: String,
    message: String,
}

impl CopyError {
    fn new(path: &Path, message: impl ToString) -> Self {
        Self { path: path.display().to_string(), message: message.to_string() }
    }
}

impl LogCopy {
    /// Copies the log in a folder to a new or empty file. A process that uses the log is not held up. What was deleted
    /// from the log, and may still be found in its file, is not in the copy.
    pub fn take(folder: &Path, to: &Path) -> Result<Self, CopyError> {
        let source = folder.join(FILE);
        let failed = |error: rusqlite::Error| CopyError::new(&source, error);
        if !source.is_file() {
            return Err(CopyError::new(&source, "there is no log; nothing was ever started on this folder"));
        }
        let connection =
            Connection::open_with_flags(&source, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        let target = to.to_str().ok_or_else(|| CopyError::new(to, "the path is no text"))?;
        connection.execute("VACUUM INTO ?1", [target]).map_err(failed)?;
        let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
        synced.map_err(|error| CopyError::new(to, error))?;
        Self::open(to)
    }

    /// The log of a folder that this process holds, as good as a copy.
    pub fn of(folder: &Path) -> Result<Self, CopyError> {
        Self::open(&folder.join(FILE))
    }

    /// Opens a copy that was taken before.
    pub fn open(path: &Path) -> Result<Self, CopyError> {
        let failed = |error: rusqlite::Error| CopyError::new(path, error);
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        match version(&connection).map_err(failed)? {
            VERSION => Ok(Self { path: path.to_path_buf(), connection }),
            other => Err(CopyError::new(
                path,
                format!(
                    "the tables have version {other}, and this program knows {VERSION}; use the program that wrote them"
                ),
            )),
        }
    }

    /// The extent of each partition, by topic.
    pub fn bounds(&self) -> Result<Vec<(String, Bounds)>, CopyError> {
        self.all_bounds().map_err(|error| CopyError::new(&self.path, error))
    }

    fn all_bounds(&self) -> rusqlite::Result<Vec<(String, Bounds)>> {
        let mut statement = self.connection.prepare(
            "SELECT topic, partition, first_offset, next_offset FROM partitions ORDER BY topic, partition",
        )?;
        let rows = statement.query_map([], |row| {
            let (first, next) = (offset(row.get(2)?), offset(row.get(3)?));
            Ok((row.get(0)?, Bounds { partition: row.get(1)?, first, next, since: None }))
        })?;
        rows.collect()
    }

    /// Hands over each record of a topic, in order within each partition; none where there is no such topic.
    pub fn read(&self, topic: &str, mut each: impl FnMut(Record)) -> Result<(), CopyError> {
        for (name, bounds) in self.bounds()? {
            if name == topic {
                self.read_partition(topic, bounds.partition, &mut each)
                    .map_err(|error| CopyError::new(&self.path, error))?;
            }
        }
        Ok(())
    }

    fn read_partition(
        &self,
        topic: &str,
        partition: u32,
        each: &mut impl FnMut(Record),
    ) -> rusqlite::Result<()> {
        let table = quoted(&format!("{topic}/{partition}"));
        let mut statement = self
            .connection
            .prepare(&format!("SELECT offset, appended, key, value, headers FROM {table} ORDER BY offset"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(to_record(row, partition)?);
        }
        Ok(())
    }

    /// Makes a log of the copy, in a new folder. What no group had read yet counts as appended now: else its
    /// retention might have passed, and it would be deleted before anybody reads it.
    pub fn restore_to(&self, folder: &Path, now: Timestamp) -> Result<(), CopyError> {
        let file = folder.join(FILE);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(&self.path, &file));
        written.map_err(|error| CopyError::new(&file, error))?;
        restart_retention(&file, now).map_err(|error| CopyError::new(&file, error))
    }
}

/// For each partition that groups read: where the one that is furthest back goes on.
const UNREAD: &str = "
    SELECT partitions.topic, partitions.partition, min(coalesce(committed.next_offset, first_offset)), last_appended
    FROM partitions
    JOIN (SELECT DISTINCT group_name, topic FROM group_positions) AS groups ON groups.topic = partitions.topic
    LEFT JOIN group_positions AS committed
        ON committed.group_name = groups.group_name AND committed.topic = partitions.topic
        AND committed.partition = partitions.partition
    GROUP BY partitions.topic, partitions.partition";

fn restart_retention(file: &Path, now: Timestamp) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    let unread: Vec<(String, u32, i64, i64)> = transaction
        .prepare(UNREAD)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (topic, partition, from, last_appended) in unread {
        // Append times never fall within a partition.
        let appended = now.as_millis().max(last_appended);
        let table = quoted(&format!("{topic}/{partition}"));
        let renewed = transaction.execute(
            &format!("UPDATE {table} SET appended = ?1 WHERE offset >= ?2"),
            params![appended, from],
        )?;
        if renewed > 0 {
            transaction.execute(
                "UPDATE partitions SET last_appended = ?1 WHERE topic = ?2 AND partition = ?3",
                params![appended, topic, partition],
            )?;
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Broker, Connection as Log, EmbeddedSettings, NewRecord, Position};
    use crate::topics::{Cleanup, Topic};
    use std::time::Duration;

    const READ: Topic =
        Topic { name: "read", partitions: 2, cleanup: Cleanup::Delete(Duration::from_secs(60)) };

    fn at(partition: u32, value: &str) -> NewRecord {
        NewRecord { partition: Some(partition), value: value.to_owned().into(), ..NewRecord::default() }
    }

    async fn open(folder: &Path) -> Broker {
        Broker::open(&Log::Embedded(EmbeddedSettings { folder: folder.to_path_buf() }), &[READ])
            .await
            .unwrap()
    }

    fn values(copy: &LogCopy) -> Vec<String> {
        let mut values = Vec::new();
        copy.read("read", |record| values.push(String::from_utf8_lossy(&record.value).into_owned())).unwrap();
        values
    }

    #[tokio::test]
    async fn a_copy_is_taken_in_use_and_holds_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder.path().join("log")).await;
        log.append_durably(&READ, vec![at(0, "a"), at(1, "b"), at(0, "c")]).await.unwrap();
        let file = folder.path().join("copy");
        let copy = LogCopy::take(&folder.path().join("log"), &file).unwrap();
        log.append_durably(&READ, vec![at(0, "later")]).await.unwrap();
        assert_eq!(values(&copy), ["a", "c", "b"]);
        let next: Vec<u64> = copy.bounds().unwrap().iter().map(|(_, bounds)| bounds.next).collect();
        assert_eq!(next, [2, 1]);
        let there_already = LogCopy::take(&folder.path().join("log"), &file).unwrap_err().to_string();
        assert!(there_already.contains("already exists"), "{there_already}");
    }

    #[tokio::test]
    async fn what_nobody_had_read_is_read_after_a_restore_whatever_its_age() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder.path().join("log")).await;
        log.append_durably(&READ, vec![at(0, "a"), at(0, "b"), at(1, "c")]).await.unwrap();
        let mut member = log.join("group", &READ).await.unwrap();
        member.commit(&[Position { partition: 0, offset: 1 }]).await.unwrap();
        let copy = LogCopy::take(&folder.path().join("log"), &folder.path().join("copy")).unwrap();

        // Two minutes later everything is past its retention of one.
        let later = Timestamp::from(jiff::Timestamp::now()).plus_millis(120_000);
        copy.restore_to(&folder.path().join("restored"), later).unwrap();
        let restored = open(&folder.path().join("restored")).await;
        restored.maintain(later).await.unwrap();
        let mut member = restored.join("group", &READ).await.unwrap();
        let mut read = Vec::new();
        while read.len() < 2 {
            read.extend(member.next(10).await.unwrap().into_iter().map(|record| record.value));
        }
        read.sort();
        assert_eq!(read, ["b", "c"]);
    }

    #[test]
    fn a_folder_without_a_log_and_a_file_that_is_none_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = LogCopy::take(folder.path(), &folder.path().join("copy")).unwrap_err().to_string();
        assert!(error.contains("log.sqlite3") && error.contains("there is no log"), "{error}");
        let file = folder.path().join("page.html");
        std::fs::write(&file, "<!doctype html><title>no log, and long enough to be one</title>").unwrap();
        let error = LogCopy::open(&file).unwrap_err().to_string();
        assert!(error.contains("page.html") && error.contains("not a database"), "{error}");
    }
}
