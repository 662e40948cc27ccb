//! Snapshots of what was folded, so that a start need not fold the whole log again.
//!
//! A snapshot is a file of its own, `snapshot-OFFSET`, that appears by rename. Its first line says where in
//! `signals` it stands and what the record there is; the rest is the state in MessagePack. One that does not fit
//! (another program's, damaged, ahead of the log or of another log) is left alone and said: a start without a
//! snapshot folds the log from its start, and comes to the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use earshot_common::broker::Record;
use earshot_common::events::{Delivery, DeliveryState, Notification};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::Ledger;
use crate::fold::State;

/// Changed whenever what the bytes mean changes.
const FORMAT: u32 = 7;
/// The version, and a hash of the sources that decide (`build.rs`): other code may come to another state from the same log.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("EARSHOT_DECIDING_CODE"));
const PREFIX: &str = "snapshot-";
/// While it is written.
const PART: &str = "snapshot.part";
/// One may turn out to be damaged.
const KEPT: usize = 2;
/// Results are forgotten when the log has long forgotten them.
const TOLD_FOR_MS: i64 = 150 * 24 * 60 * 60 * 1_000;

/// All that follows from `signals` up to one record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Folded {
    /// The fold.
    pub(crate) state: State,
    /// What senders wrote of each message.
    pub(crate) told: Told,
    /// When enrichment last told its progress.
    pub(crate) progress: Option<Timestamp>,
    /// Where `alerts` ended, at least: one that ends before has lost what was decided.
    pub(crate) alerts_end: u64,
}

/// What senders wrote of each message: all of one that is under way, the result of one that is delivered. A failure may
/// be that of one whose claim was taken over, so the claims before it are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told(BTreeMap<String, Vec<(Timestamp, Delivery)>>);

impl Told {
    /// Takes a record in.
    pub(crate) fn take(&mut self, appended: Timestamp, delivery: &Delivery) {
        let told = self.0.entry(delivery.key.clone()).or_default();
        if delivery.state == DeliveryState::Delivered {
            told.clear();
        }
        told.push((appended, delivery.clone()));
    }

    /// What was written of a message, in the order of the log.
    fn of(&self, key: &str) -> &[(Timestamp, Delivery)] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Tells a ledger what was written of these messages, and of those in their place.
    pub(crate) fn tell_of(&self, notify: &[Notification], ledger: &mut Ledger) {
        for notification in notify.iter().flat_map(|first| std::iter::once(first).chain(&first.fallback)) {
            for (appended, delivery) in self.of(&notification.key) {
                ledger.take(*appended, delivery);
            }
        }
    }

    /// Forgets what the log has long forgotten.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, told| told.last().is_some_and(|(appended, _)| !is_forgotten(*appended, now)));
    }
}

/// Whether nobody knows any more, at this time of the log, what became of messages that were decided then.
pub(crate) fn is_forgotten(decided: Timestamp, now: Timestamp) -> bool {
    decided < now.plus_millis(-TOLD_FOR_MS)
}

/// The record of `signals` that a snapshot stands at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Its offset.
    pub(crate) offset: u64,
    /// When the log took it.
    pub(crate) appended: Timestamp,
    /// The BLAKE3 hash of its value: another log has another record there.
    value: String,
}

impl Mark {
    /// The mark of a record.
    pub(crate) fn of(record: &Record) -> Self {
        let value = blake3::hash(&record.value).to_hex().to_string();
        Self { offset: record.offset, appended: record.appended, value }
    }
}

/// The first line of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    /// Another version of the program may decide otherwise, so it folds the log itself.
    program: String,
    at: Mark,
    bytes: u64,
    /// The BLAKE3 hash of the rest.
    checksum: String,
}

/// The folder of snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
}

impl Snapshots {
    /// Opens the folder, and makes it where it is missing.
    pub(crate) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Writes a snapshot and removes those that are no longer kept. Answers its size.
    pub(crate) fn write(&self, at: &Mark, folded: &Folded) -> anyhow::Result<u64> {
        let bytes = rmp_serde::to_vec_named(folded).context("encode the state")?;
        let header = Header {
            format: FORMAT,
            program: PROGRAM.to_owned(),
            at: at.clone(),
            bytes: bytes.len() as u64,
            checksum: blake3::hash(&bytes).to_hex().to_string(),
        };
        let part = self.folder.join(PART);
        let writing = || format!("write {}", part.display());
        let mut file = BufWriter::new(File::create(&part).with_context(writing)?);
        serde_json::to_writer(&mut file, &header).with_context(writing)?;
        file.write_all(b"\n").and_then(|()| file.write_all(&bytes)).with_context(writing)?;
        file.into_inner().with_context(writing)?.sync_all().with_context(writing)?;
        let path = self.folder.join(format!("{PREFIX}{:020}", at.offset));
        fs::rename(&part, &path).with_context(|| format!("name it {}", path.display()))?;
        // One that stands further on is of a log that is no more, or was refused: else this one began with it.
        let (others, ours): (Vec<_>, Vec<_>) = self.paths()?.into_iter().partition(|known| *known > path);
        for old in others.into_iter().chain(ours.into_iter().skip(KEPT)) {
            fs::remove_file(&old).with_context(|| format!("remove {}", old.display()))?;
        }
        Ok(header.bytes)
    }

    /// Where each snapshot stands, the newest first. One that cannot be used is said and left out.
    pub(crate) fn marks(&self) -> anyhow::Result<Vec<(PathBuf, Mark)>> {
        let mut marks = Vec::new();
        for path in self.paths()? {
            match header(&path) {
                Ok((header, _)) => marks.push((path, header.at)),
                Err(error) => ignored(&path, &error),
            }
        }
        Ok(marks)
    }

    fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        let reading = || format!("read the folder {}", self.folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                paths.push(entry.path());
            }
        }
        paths.sort_unstable_by(|a, b| b.cmp(a));
        Ok(paths)
    }
}

/// Reads a snapshot; `None` where it is damaged, which is said.
pub(crate) fn read(path: &Path) -> Option<Folded> {
    match body(path) {
        Ok(folded) => Some(folded),
        Err(error) => {
            ignored(path, &error);
            None
        }
    }
}

/// Says that a snapshot is not used, and why.
pub(crate) fn ignored(path: &Path, error: &anyhow::Error) {
    let error = format!("{error:#}");
    tracing::warn!(path = %path.display(), error, "a snapshot is not used; an older one or the log itself is");
}

fn header(path: &Path) -> anyhow::Result<(Header, BufReader<File>)> {
    let mut file = BufReader::new(File::open(path).context("open it")?);
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).context("read its first line")?;
    let header: Header = serde_json::from_slice(&line).context("read its first line")?;
    let (format, program) = (header.format, &header.program);
    ensure!(format == FORMAT, "its format is {format}, and this program writes {FORMAT}");
    ensure!(
        program == PROGRAM,
        "earshot {program} wrote it, and this is {PROGRAM}, which may decide otherwise"
    );
    Ok((header, file))
}

fn body(path: &Path) -> anyhow::Result<Folded> {
    let (header, mut file) = header(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).context("read it")?;
    ensure!(bytes.len() as u64 == header.bytes, "it has {} bytes of {}", bytes.len(), header.bytes);
    ensure!(blake3::hash(&bytes).to_hex().as_str() == header.checksum, "its checksum is another");
    rmp_serde::from_slice(&bytes).context("decode the state")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64) -> Mark {
        let value = offset.to_string().into();
        let (key, headers, appended) = (None, Vec::new(), Timestamp::from_millis(0));
        Mark::of(&Record { partition: 0, offset, appended, key, value, headers })
    }

    fn offsets(snapshots: &Snapshots) -> Vec<u64> {
        snapshots.marks().unwrap().into_iter().map(|(_, mark)| mark.offset).collect()
    }

    #[test]
    fn the_two_newest_are_kept_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path().join("alerts")).unwrap();
        for offset in [7, 12, 100] {
            snapshots.write(&mark(offset), &Folded::default()).unwrap();
        }
        assert_eq!(offsets(&snapshots), [100, 12]);
        let (path, at) = snapshots.marks().unwrap().remove(0);
        assert_eq!(at, mark(100));
        assert!(read(&path).is_some());
    }

    #[test]
    fn those_of_a_log_that_was_made_anew_do_not_take_the_place_of_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path().to_path_buf()).unwrap();
        for offset in [7_000, 8_000, 5, 6] {
            snapshots.write(&mark(offset), &Folded::default()).unwrap();
        }
        assert_eq!(offsets(&snapshots), [6, 5]);
    }

    #[test]
    fn a_damaged_one_and_one_of_another_program_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path().to_path_buf()).unwrap();
        snapshots.write(&mark(7), &Folded::default()).unwrap();
        let (path, _) = snapshots.marks().unwrap().remove(0);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let cut = whole[..whole.len() - 1].to_vec();
        for damaged in [flipped, cut] {
            fs::write(&path, damaged).unwrap();
            assert!(read(&path).is_none());
        }
        let text = String::from_utf8_lossy(&whole).into_owned();
        let of_format = |format: u32| format!("\"format\":{format}");
        for (ours, others) in [
            (of_format(FORMAT), of_format(FORMAT + 1)),
            (PROGRAM.to_owned(), "99.0.0".to_owned()),
            // The same version, built from other sources.
            (env!("EARSHOT_DECIDING_CODE").to_owned(), "0123456789abcdef".to_owned()),
        ] {
            assert!(text.contains(&ours));
            fs::write(&path, text.replacen(&ours, &others, 1)).unwrap();
            assert_eq!(offsets(&snapshots), [0; 0], "{others}");
        }
    }

    #[test]
    fn of_a_message_that_is_done_only_the_result_is_kept() {
        let delivery = |key: &str, state, attempt| Delivery {
            v: Default::default(),
            key: key.to_owned(),
            state,
            attempt,
            sender: "a".to_owned(),
            error: None,
            out_of_time: false,
        };
        let mut told = Told::default();
        for (key, state, attempt) in [
            ("done", DeliveryState::Sending, 1),
            ("open", DeliveryState::Sending, 1),
            ("done", DeliveryState::Delivered, 1),
            ("open", DeliveryState::Sending, 2),
        ] {
            told.take(Timestamp::from_millis(0), &delivery(key, state, attempt));
        }
        assert_eq!(
            told.of("done").iter().map(|(_, delivery)| delivery.state).collect::<Vec<_>>(),
            [DeliveryState::Delivered]
        );
        assert_eq!(told.of("open").iter().map(|(_, delivery)| delivery.attempt).collect::<Vec<_>>(), [1, 2]);
        let decided = Timestamp::from_millis(0);
        for (now_ms, forgotten) in [(TOLD_FOR_MS, false), (TOLD_FOR_MS + 1, true)] {
            let now = Timestamp::from_millis(now_ms);
            told.forget(now);
            // What is not told again is exactly what is not known.
            assert_eq!((told.of("done").is_empty(), is_forgotten(decided, now)), (forgotten, forgotten));
        }
    }
}
