//! What the benchmark runs on: a back end, and on it one empty installation after the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::broker::{Broker, Connection, MAX_BATCH, NewRecord, OpenError};
use earshot_common::definitions::{Watchlist, difference, parse_file};
use earshot_common::events::{DefinitionVersion, Mention, MentionEvent, encode};
use earshot_common::settings::Settings;
use earshot_common::topics::{self, MENTIONS_RAW, WATCHLIST};
use tempfile::TempDir;

use super::mentions::{self, Mentions};
use super::usage::Process;
use crate::cluster::KafkaNode;
use crate::input;
use crate::watch::PATIENCE;

const PAUSE: Duration = Duration::from_millis(10);

/// Where logs are.
#[derive(Debug)]
pub(crate) enum Ground {
    /// In folders.
    Embedded(TempDir),
    /// On Apache Kafka, and the folder of the programs.
    Kafka {
        /// Its bootstrap addresses.
        address: String,
        /// The node, where the benchmark has started one itself.
        node: Option<Box<KafkaNode>>,
        /// The folder of the programs.
        folder: TempDir,
    },
}

impl Ground {
    /// Folders, below the system's folder for temporary files.
    pub(crate) fn embedded() -> anyhow::Result<Self> {
        Ok(Self::Embedded(temporary()?))
    }

    /// Apache Kafka at an address, or a node of its own.
    pub(crate) async fn kafka(address: Option<String>) -> anyhow::Result<Self> {
        let folder = temporary()?;
        if let Some(address) = address {
            return Ok(Self::Kafka { address, node: None, folder });
        }
        let node = KafkaNode::run(folder.path()).await?;
        Ok(Self::Kafka { address: node.address.clone(), node: Some(Box::new(node)), folder })
    }

    /// The back end's name in the report.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Kafka { .. } => "kafka",
        }
    }

    /// The broker's process, where it is one of its own and known.
    pub(crate) fn broker_process(&self) -> Option<Process> {
        match self {
            Self::Kafka { node: Some(node), .. } => {
                node.process_id().map(|id| Process { name: "kafka".to_owned(), id })
            }
            _ => None,
        }
    }

    /// An empty installation with the benchmark's watchlist in its settings.
    pub(crate) fn installation(&self, name: &str) -> anyhow::Result<Installation> {
        self.installation_with(name, mentions::WATCHLIST, "")
    }

    /// An empty installation with a watchlist and sections of the settings of its own.
    pub(crate) fn installation_with(
        &self,
        name: &str,
        watchlist: &str,
        sections: &str,
    ) -> anyhow::Result<Installation> {
        let mut settings = format!("secret_file = \"secret\"\n{sections}");
        let parent = match self {
            Self::Embedded(folder) => folder,
            Self::Kafka { address, folder, .. } => {
                settings.push_str(&format!(
                    "[kafka]\nbootstrap_servers = \"{address}\"\ntopic_prefix = \"{name}-\"\n"
                ));
                folder
            }
        };
        let folder = parent.path().join(name);
        std::fs::create_dir(&folder).with_context(|| format!("create the folder {}", folder.display()))?;
        input::write_settings(&folder, watchlist, &settings)?;
        Ok(Installation { folder, watchlist: watchlist.to_owned() })
    }
}

fn temporary() -> anyhow::Result<TempDir> {
    tempfile::tempdir().context("create a folder for the benchmark")
}

/// One installation of Earshot.
#[derive(Debug)]
pub(crate) struct Installation {
    folder: PathBuf,
    watchlist: String,
}

impl Installation {
    /// Where its settings are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its settings.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::load(&self.folder.join("earshot.toml"))?)
    }

    /// Its log.
    pub(crate) fn connection(&self) -> anyhow::Result<Connection> {
        Ok(self.settings()?.connection())
    }

    /// Waits until nobody uses the log: the last tasks of a service that has stopped may hold it a moment longer.
    pub(crate) async fn wait_until_free(&self) -> anyhow::Result<()> {
        let connection = self.connection()?;
        let free = async {
            while let Err(OpenError::InUse { .. }) = Broker::open(&connection, &[]).await {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.context("wait until the log is free")
    }

    /// Publishes the watchlist and appends so many mentions to `mentions.raw`.
    pub(crate) async fn fill(&self, mentions: &mut Mentions, count: u64) -> anyhow::Result<()> {
        let broker = Broker::open(&self.connection()?, &topics::ALL).await?;
        self.publish_by(&broker).await?;
        let mut left = count as usize;
        while left > 0 {
            let batch: Vec<NewRecord> = mentions.take(left.min(MAX_BATCH)).map(record).collect();
            left -= batch.len();
            broker.append_durably(&MENTIONS_RAW, batch).await?;
        }
        Ok(())
    }

    /// Publishes the watchlist, as `earshot up` and `earshot apply` do.
    pub(crate) async fn publish(&self) -> anyhow::Result<()> {
        self.publish_by(&Broker::open(&self.connection()?, &topics::ALL).await?).await.map(drop)
    }

    /// The same over a connection to the log. Answers how many definitions it holds.
    pub(crate) async fn publish_by(&self, broker: &Broker) -> anyhow::Result<usize> {
        let definitions = parse_file("watchlist.toml", &self.watchlist)?;
        let changes =
            difference(&Watchlist::default(), vec![("file:watchlist.toml".to_owned(), definitions)])?;
        for batch in changes.chunks(MAX_BATCH) {
            let record = |change: &DefinitionVersion| NewRecord::keyed(change.id.clone(), encode(change));
            broker.append_durably(&WATCHLIST, batch.iter().map(record).collect()).await?;
        }
        Ok(changes.len())
    }
}

/// A mention as ingest writes it.
pub(crate) fn record(mention: Mention) -> NewRecord {
    let id = mention.id.clone();
    NewRecord::keyed(id, encode(&MentionEvent::Upsert(Box::new(mention))))
}
