//! `earshot backup` and `earshot restore`: what cannot be made anew, to a folder and back.
//!
//! A backup is a folder: `manifest.json` with the checksum of everything else, the installation's secret, the
//! settings with their watchlist files, and each topic that is kept for ever as JSON Lines in `topics/`. Without
//! Kafka it has the whole log beside them. The index is not in it: it is rebuilt from `mentions.enriched`.
//!
//! What belongs here: the order of things. The parts are [`manifest`], [`lines`] (records as JSON Lines),
//! [`settings`] (secret, settings and watchlist files), [`folder`] (without Kafka) and [`topics`] (with Kafka).

mod folder;
mod lines;
mod manifest;
mod settings;
mod topics;

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use earshot_common::broker::{Bounds, Broker, Connection, Record};
use earshot_common::settings::Settings;
use earshot_common::topics::{ALL, Cleanup, Topic};
use indicatif::HumanBytes;

use crate::print;
use manifest::{Log, Manifest};

/// The folder of the topics that are kept for ever.
const TOPICS: &str = "topics";

#[derive(Debug, Args)]
pub(crate) struct BackupCommand {
    /// The folder to write to; it must not exist yet
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreCommand {
    /// The folder that `earshot backup` wrote
    folder: PathBuf,
    /// Put the backup in the place of a log that is there; the old one is kept beside it
    #[arg(long)]
    replace: bool,
    /// Erasures of authors that the backup may not know yet: `topics/erasures.jsonl` of a later backup
    #[arg(long, value_name = "FILE")]
    erasures: Option<PathBuf>,
}

/// Writes a backup; the manifest comes last, so that one that was cut short is none.
pub(crate) async fn backup(command: BackupCommand, file: &Path) -> anyhow::Result<()> {
    let settings = Settings::load(file)?;
    let to = command.folder;
    create_private_folder(&to)?;
    create_private_folder(&to.join(TOPICS))?;
    let (log, extents) = match settings.connection() {
        Connection::Embedded(embedded) => (Log::Embedded, folder::copy(&embedded, &to)?),
        Connection::Kafka(_) => {
            let broker = Broker::open(&settings.connection(), &ALL).await?;
            (Log::Kafka, topics::copy(&broker, &to).await?)
        }
    };
    let notes = settings::copy(&settings, file, &to)?;
    let manifest = Manifest::write(&to, log, &extents)?;
    for note in notes {
        print(&note);
    }
    let bytes = manifest.files.iter().map(|file| file.bytes).sum();
    print(&format!("wrote {}: {} files, {}", to.display(), manifest.files.len(), HumanBytes(bytes)));
    Ok(())
}

/// Verifies a backup and brings it back.
pub(crate) async fn restore(command: RestoreCommand, file: &Path) -> anyhow::Result<()> {
    let from = command.folder;
    let manifest = Manifest::verify(&from)?;
    if !file.exists() {
        settings::bring_back(&from, file)?;
    }
    let settings = Settings::load(file)?;
    let more_erasures = match &command.erasures {
        Some(file) => Some(lines::read(file)?),
        None => None,
    };
    match settings.connection() {
        Connection::Embedded(_) => {
            anyhow::ensure!(
                manifest.log == Log::Embedded,
                "{} is a backup of Apache Kafka, and {} names none: set `kafka.bootstrap_servers` to restore it",
                from.display(),
                file.display()
            );
            folder::bring_back(&from, &settings, command.replace, more_erasures).await?;
        }
        Connection::Kafka(_) => {
            settings::refuse_another_secret(&from, &settings)?;
            settings::bring_back_secret(&from, &settings)?;
            let broker = Broker::open(&settings.connection(), &ALL).await?;
            topics::bring_back(&broker, &from, more_erasures).await?;
        }
    }
    print(&format!("restored the backup of {} from {}", manifest.made, from.display()));
    Ok(())
}

/// The topics that nothing else can make anew, in the order in which they are copied: what refers to another
/// topic's offsets comes before it, so that a copy refers to nothing that it lacks.
fn kept_for_ever() -> impl Iterator<Item = Topic> {
    ALL.into_iter().filter(|topic| matches!(topic.cleanup, Cleanup::Keep | Cleanup::Compact))
}

/// The file of a topic in a backup.
fn topic_file(backup: &Path, topic: &Topic) -> PathBuf {
    backup.join(TOPICS).join(format!("{}.jsonl", topic.name))
}

/// Of each partition and key the newest record.
fn newest(records: Vec<Record>) -> Vec<Record> {
    let mut newest = std::collections::BTreeMap::new();
    for record in records {
        newest.insert((record.partition, record.key.clone()), record);
    }
    newest.into_values().collect()
}

/// How far the partitions of a topic were when they were copied.
type Extents = Vec<(String, Bounds)>;

/// Makes a folder that only its owner may open: it is going to hold secrets.
fn create_private_folder(path: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("create the folder {}", path.display()))
}

/// Writes a new file that only its owner may read.
fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.with_context(|| format!("write {}", path.display()))
}
