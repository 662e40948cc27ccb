//! `manifest.json`: what a backup holds, by which it is verified before anything is changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use earshot_common::events::SchemaVersion;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Extents, write_private};

const FILE: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of the backup's form.
    v: SchemaVersion<1>,
    /// The program that wrote it.
    program: String,
    /// When it was complete.
    pub(super) made: Timestamp,
    /// Which log it is of.
    pub(super) log: Log,
    /// How far each partition was, by topic.
    topics: BTreeMap<String, Vec<Extent>>,
    /// Every other file.
    pub(super) files: Vec<ListedFile>,
}

/// Which log a backup is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Log {
    Embedded,
    Kafka,
}

/// The extent of a partition.
#[derive(Debug, Serialize, Deserialize)]
struct Extent {
    partition: u32,
    first: u64,
    next: u64,
}

/// A file as it was written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ListedFile {
    /// Its path within the backup.
    path: String,
    /// Its size.
    pub(super) bytes: u64,
    /// The BLAKE3 hash of its content.
    blake3: String,
}

impl Manifest {
    /// Lists what is in the folder, and writes that there.
    pub(super) fn write(folder: &Path, log: Log, extents: &Extents) -> anyhow::Result<Self> {
        let mut topics = BTreeMap::<String, Vec<Extent>>::new();
        for (topic, bounds) in extents {
            let extent = Extent { partition: bounds.partition, first: bounds.first, next: bounds.next };
            topics.entry(topic.clone()).or_default().push(extent);
        }
        let mut paths = Vec::new();
        walk(folder, folder, &mut paths)?;
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let (bytes, blake3) = fingerprint(&folder.join(&path))?;
            files.push(ListedFile { path, bytes, blake3 });
        }
        let manifest = Self {
            v: SchemaVersion::default(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made: jiff::Timestamp::now().into(),
            log,
            topics,
            files,
        };
        let text = serde_json::to_vec_pretty(&manifest).context("write the manifest")?;
        write_private(&folder.join(FILE), &text)?;
        Ok(manifest)
    }

    /// Reads a backup's manifest, and compares every file with it.
    pub(super) fn verify(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read(&path).with_context(|| {
            format!("read {}: without it this is no backup, or one that was cut short", path.display())
        })?;
        let manifest: Self =
            earshot_common::events::decode(&text).with_context(|| format!("read {}", path.display()))?;
        for file in &manifest.files {
            let path = folder.join(&file.path);
            let (bytes, blake3) = fingerprint(&path)?;
            if (bytes, &blake3) != (file.bytes, &file.blake3) {
                anyhow::bail!(
                    "{} has changed since it was written ({bytes} bytes with BLAKE3 {blake3}, and were {} with {}); \
                     nothing was restored, use another backup",
                    path.display(),
                    file.bytes,
                    file.blake3
                );
            }
        }
        Ok(manifest)
    }
}

/// The paths of all files in a folder, from its root.
pub(super) fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) -> anyhow::Result<()> {
    let listing = || format!("list {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        if path.is_dir() {
            walk(root, &path, paths)?;
            continue;
        }
        let within = path.strip_prefix(root).unwrap_or(&path);
        let text = within.to_str().with_context(|| format!("{}: the path is no text", path.display()))?;
        paths.push(text.to_owned());
    }
    Ok(())
}

/// Size and hash of a file.
fn fingerprint(path: &Path) -> anyhow::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let mut file = std::fs::File::open(path).with_context(|| format!("read {}", path.display()))?;
    let bytes = std::io::copy(&mut file, &mut hasher).with_context(|| format!("read {}", path.display()))?;
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("topics")).unwrap();
        std::fs::write(folder.path().join("topics/alerts.jsonl"), "{}\n").unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        Manifest::write(folder.path(), Log::Kafka, &Extents::new()).unwrap();
        folder
    }

    #[test]
    fn an_untouched_backup_is_verified_and_a_changed_one_refused_by_the_file_name() {
        let folder = backup();
        let manifest = Manifest::verify(folder.path()).unwrap();
        let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            (manifest.log, paths.as_slice()),
            (Log::Kafka, ["secret", "topics/alerts.jsonl"].as_slice())
        );

        std::fs::write(folder.path().join("topics/alerts.jsonl"), "{ \n").unwrap();
        let error = Manifest::verify(folder.path()).unwrap_err().to_string();
        assert!(error.contains("topics/alerts.jsonl has changed"), "{error}");
        std::fs::remove_file(folder.path().join("topics/alerts.jsonl")).unwrap();
        let error = Manifest::verify(folder.path()).unwrap_err().to_string();
        assert!(error.contains("topics/alerts.jsonl"), "{error}");
    }

    #[test]
    fn a_backup_that_was_cut_short_or_is_of_a_later_form_is_refused() {
        let folder = backup();
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"v\": 1", "\"v\": 2")).unwrap();
        let error = format!("{:#}", Manifest::verify(folder.path()).unwrap_err());
        assert!(error.contains("manifest.json") && error.contains("schema version 2"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = Manifest::verify(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{error}");
    }
}
