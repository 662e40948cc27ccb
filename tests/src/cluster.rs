//! Apache Kafka and the four services as processes of their own, killed and started again at will.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use earshot_alerts::State;
use earshot_common::broker::{Broker, Connection};
use earshot_common::events::{SignalRecord, decode};
use earshot_common::settings::Settings;
use earshot_common::topics;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::input;
use crate::mail::{free_address, skipped};
use crate::node;
use crate::watch::{PATIENCE, Watch};

const PAUSE: Duration = Duration::from_millis(100);

/// One node of Apache Kafka, killed when dropped.
#[derive(Debug)]
pub struct KafkaNode {
    /// Its bootstrap address.
    pub address: String,
    folder: PathBuf,
    child: Child,
}

impl KafkaNode {
    /// Starts a node of its own where `EARSHOT_TEST_KAFKA` says that Apache Kafka can run here.
    pub async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        if std::env::var_os("EARSHOT_TEST_KAFKA").is_none() {
            skipped("EARSHOT_TEST_KAFKA is not set: this test on Apache Kafka does not run");
            return Ok(None);
        }
        Self::run(folder).await.map(Some)
    }

    /// Starts a node of its own; it needs Java, and Maven the first time.
    pub async fn run(folder: &Path) -> anyhow::Result<Self> {
        let address = free_address().await?;
        let folder = folder.join("kafka");
        std::fs::create_dir_all(&folder)?;
        let child = Self::spawn(&address, &folder).await?;
        Ok(Self { address, folder, child })
    }

    /// Its process, unless it has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, then a start on the same port and folder.
    pub async fn kill_and_start_again(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill Apache Kafka")?;
        self.child = Self::spawn(&self.address, &self.folder).await?;
        Ok(())
    }

    async fn spawn(address: &str, folder: &Path) -> anyhow::Result<Child> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/run");
        let port = address.rsplit(':').next().unwrap_or_default();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.with_extension("log"))?;
        let child = Command::new(script)
            .args(["--port", port, "--data"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("run deploy/kafka/run")?;
        let answering = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, answering).await.context("wait for Apache Kafka to answer")?;
        Ok(child)
    }
}

/// The services as processes, each on an address of its own.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    instances: Vec<Instance>,
}

#[derive(Debug)]
struct Instance {
    service: String,
    address: String,
    data: PathBuf,
    child: Child,
}

impl Cluster {
    /// Writes the settings that all services share.
    pub async fn prepare(binary: &Path, folder: &Path, kafka: &str, watchlist: &str) -> anyhow::Result<Self> {
        let more = format!("secret_file = \"secret\"\n[kafka]\nbootstrap_servers = \"{kafka}\"\n");
        input::write_settings(folder, watchlist, &more)?;
        Ok(Self::in_folder(binary, folder))
    }

    /// Services by the settings that a folder holds.
    pub fn in_folder(binary: &Path, folder: &Path) -> Self {
        Self {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            environment: Vec::new(),
            instances: Vec::new(),
        }
    }

    /// Variables for the environment of what is started from now on.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        self.environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// Each instance's service and process; none of one that has ended.
    pub fn process_ids(&self) -> impl Iterator<Item = (&str, Option<u32>)> {
        self.instances.iter().map(|instance| (instance.service.as_str(), instance.child.id()))
    }

    /// Starts one more instance of a service and waits until it serves.
    pub async fn start(&mut self, service: &str) -> anyhow::Result<()> {
        let data = self.folder.join(format!("data-{service}-{}", self.instances.len()));
        let address = free_address().await?;
        let child = self.spawn(service, &address, &data).await?;
        self.instances.push(Instance { service: service.to_owned(), address, data, child });
        Ok(())
    }

    /// SIGKILL for the first instance of a service, then a start on the same address and folder.
    pub async fn kill_and_start_again(&mut self, service: &str) -> anyhow::Result<()> {
        let at = self.instances.iter().position(|i| i.service == service).context("no such service")?;
        self.instances[at].child.kill().await.with_context(|| format!("kill {service}"))?;
        let (address, data) = (self.instances[at].address.clone(), self.instances[at].data.clone());
        self.instances[at].child = self.spawn(service, &address, &data).await?;
        Ok(())
    }

    /// The HTTP address of the first instance of a service.
    pub fn address(&self, service: &str) -> String {
        let instance = self.instances.iter().find(|instance| instance.service == service);
        instance.map(|instance| format!("http://{}", instance.address)).unwrap_or_default()
    }

    /// The HTTP address of the last instance of a service.
    pub fn last_address(&self, service: &str) -> String {
        let instance = self.instances.iter().rfind(|instance| instance.service == service);
        instance.map(|instance| format!("http://{}", instance.address)).unwrap_or_default()
    }

    /// Publishes the watchlist, as an operator does.
    pub async fn apply(&self) -> anyhow::Result<()> {
        let arguments = ["apply", "--server", &self.address("index")];
        let (ok, said, noted) = node::command(&self.binary, &self.folder, &arguments).await?;
        anyhow::ensure!(ok, "apply: {said}{noted}");
        Ok(())
    }

    /// Sends a mention again until it is taken, as a sender of webhooks does.
    pub async fn post_until_taken(&self, mention: &Value, secret: &str) -> anyhow::Result<()> {
        let watch = Watch::new(&self.address("ingest"));
        let id = mention["id"].as_str().context("the mention has an id")?;
        let start = Instant::now();
        while !watch.post_signed("test", secret, id, mention).await.unwrap_or(false) {
            anyhow::ensure!(start.elapsed() < PATIENCE, "{id} is not taken after {PATIENCE:?}");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// What the fold has counted live for a subject, by folding the log from its start as the service does.
    pub async fn counted(&self, subject: &str) -> anyhow::Result<u64> {
        let connection: Connection = Settings::load(&self.folder.join("earshot.toml"))?.connection();
        let broker = Broker::open(&connection, &topics::ALL).await?;
        let mut state = State::new();
        let mut unreadable = None;
        broker
            .replay(&topics::SIGNALS, |record| match decode::<SignalRecord>(&record.value) {
                Ok(signal) => drop(state.apply(record.offset, record.appended, &signal)),
                Err(error) => unreadable = Some(error),
            })
            .await?;
        match unreadable {
            Some(error) => Err(error.into()),
            None => Ok(state.counted(subject)),
        }
    }

    /// SIGTERM for all; each must end well within the time.
    pub async fn stop(mut self, within: Duration) -> anyhow::Result<()> {
        let mut outcomes = BTreeMap::new();
        for instance in &mut self.instances {
            let pid = instance.child.id().context("a service has ended by itself")?;
            Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await?;
        }
        for instance in &mut self.instances {
            let ended = tokio::time::timeout(within, instance.child.wait()).await;
            outcomes.insert(
                instance.address.clone(),
                (instance.service.clone(), ended.is_ok_and(|e| e.is_ok_and(|s| s.success()))),
            );
        }
        let bad: Vec<_> = outcomes.values().filter(|(_, well)| !well).map(|(service, _)| service).collect();
        anyhow::ensure!(bad.is_empty(), "these did not end well: {bad:?}");
        Ok(())
    }

    async fn spawn(&self, service: &str, address: &str, data: &Path) -> anyhow::Result<Child> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(data.with_extension("log"))?;
        let child = Command::new(&self.binary)
            .args(["service", service, "earshot.toml"])
            .env(format!("EARSHOT__{}__LISTEN", service.to_uppercase()), address)
            .env("EARSHOT__DATA", data)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {service}"))?;
        let watch = Watch::new(&format!("http://{address}"));
        watch
            .until("/api/services", |names| {
                names.as_array().is_some_and(|names| names.iter().any(|n| n == service))
            })
            .await
            .with_context(|| {
                format!("wait until {service} serves; its log is {}", data.with_extension("log").display())
            })?;
        Ok(child)
    }
}
