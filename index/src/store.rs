//! The index on disk: opening it, and the positions that travel inside its commits.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use earshot_common::broker::{Position, Record};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use tantivy::collector::Count;
use tantivy::directory::MmapDirectory;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyError};

use crate::query::Filter;
use crate::schema::{Fields, SCHEMA_VERSION, register_tokenizer, schema};

/// Memory for documents that are not on disk yet.
const WRITER_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// The index as readers see it: the state of the last commit. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Store {
    /// Folders of older versions, to be removed when this one has caught up.
    outdated: Vec<PathBuf>,
    index: Index,
    reader: IndexReader,
    pub(crate) fields: Fields,
}

/// What a commit carries beside the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// The documents' shape.
    pub(crate) schema: u32,
    /// How far each partition of `mentions.enriched` is in, in the order of partitions.
    pub(crate) partitions: Vec<Mark>,
}

/// How far a partition is in, and by what to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The partition.
    pub(crate) partition: u32,
    /// The offset to read next.
    pub(crate) next: u64,
    /// When the log took the last record before that.
    pub(crate) appended: Timestamp,
    /// A hash of that record.
    pub(crate) checksum: String,
}

impl Mark {
    /// The mark behind a record.
    pub(crate) fn behind(record: &Record) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(record.key.as_deref().unwrap_or_default()).update(&[0]).update(&record.value);
        let checksum = hasher.finalize().to_hex()[..16].to_owned();
        Self { partition: record.partition, next: record.offset + 1, appended: record.appended, checksum }
    }

    /// As the broker writes a place to go on from.
    pub(crate) fn position(&self) -> Position {
        Position { partition: self.partition, offset: self.next }
    }
}

impl Store {
    /// Opens the index in a folder of its own for each schema version; makes it where it is missing.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(format!("v{SCHEMA_VERSION}"));
        std::fs::create_dir_all(&path).with_context(|| format!("create the folder {}", path.display()))?;
        let directory =
            MmapDirectory::open(&path).with_context(|| format!("open the index in {}", path.display()))?;
        let store =
            Self::in_directory(directory).with_context(|| format!("open the index in {}", path.display()))?;
        Ok(Self { outdated: outdated(folder), ..store })
    }

    /// Opens the index in any of tantivy's directories.
    pub(crate) fn in_directory(directory: impl Into<Box<dyn tantivy::Directory>>) -> anyhow::Result<Self> {
        let (schema, fields) = schema();
        let index = Index::open_or_create(directory, schema)?;
        register_tokenizer(&index);
        // We reload ourselves behind each commit: watching the folder would cost a thread and a delay.
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { outdated: Vec::new(), index, reader, fields })
    }

    /// The one writer. A second one, of any process, is refused.
    pub(crate) fn writer(&self) -> anyhow::Result<IndexWriter> {
        match self.index.writer_with_num_threads(1, WRITER_MEMORY_BYTES) {
            Ok(writer) => Ok(writer),
            Err(TantivyError::LockFailure(..)) => {
                bail!("another process writes to this index; stop it, or choose another `data` folder")
            }
            Err(error) => Err(error).context("open the writer of the index"),
        }
    }

    /// What the last commit carries; empty where there is none yet.
    pub(crate) fn payload(&self) -> anyhow::Result<Payload> {
        let metas = self.index.load_metas().context("read the index's last commit")?;
        match metas.payload {
            Some(payload) => serde_json::from_str(&payload)
                .with_context(|| format!("read the positions in the index's last commit: `{payload}`")),
            None => Ok(Payload::default()),
        }
    }

    /// Makes the last commit visible to readers.
    pub(crate) fn reload(&self) -> tantivy::Result<()> {
        self.reader.reload()
    }

    /// The state of the last commit.
    pub(crate) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Bytes of the last commit's files.
    pub(crate) fn size_bytes(&self) -> tantivy::Result<u64> {
        Ok(self.searcher().space_usage()?.total().get_bytes())
    }

    /// Whether an index of an older version stands beside this one.
    pub(crate) fn has_outdated(&self) -> bool {
        !self.outdated.is_empty()
    }

    /// Removes the indexes of older versions: they would keep texts that were deleted since.
    pub(crate) fn remove_outdated(&self) {
        for folder in &self.outdated {
            match std::fs::remove_dir_all(folder) {
                Ok(()) => tracing::info!(folder = %folder.display(), "removed the index of an older version"),
                Err(error) => tracing::warn!(
                    folder = %folder.display(),
                    %error,
                    "the index of an older version is no longer used and could not be removed; remove its folder"
                ),
            }
        }
    }

    /// Mentions that can be found.
    pub(crate) fn documents(&self) -> tantivy::Result<u64> {
        let count = self.searcher().search(&Filter::default().to_tantivy(&self.fields), &Count)?;
        Ok(count as u64)
    }
}

/// Folders of indexes of older versions, beside ours. A newer one belongs to a newer program: it stays.
fn outdated(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let version = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix('v')?.parse::<u32>().ok();
    let older = |path: &PathBuf| version(path).is_some_and(|version| version < SCHEMA_VERSION);
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir() && older(path)).collect()
}
