//! Apache Kafka and the four services as processes of their own, killed and started again at will.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use earshot_alerts::State;
use earshot_common::broker::{Broker, KafkaSettings, Record};
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
    /// How `deploy/kafka/run` is told to run it.
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
}

impl KafkaNode {
    /// Starts a node of its own where `EARSHOT_TEST_KAFKA` says that Apache Kafka can run here.
    pub async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        if Self::can_run() { Self::run(folder).await.map(Some) } else { Ok(None) }
    }

    /// Whether `EARSHOT_TEST_KAFKA` says that Apache Kafka can run here; where not, that is told.
    pub fn can_run() -> bool {
        let can = std::env::var_os("EARSHOT_TEST_KAFKA").is_some();
        if !can {
            skipped("EARSHOT_TEST_KAFKA is not set: this test on Apache Kafka does not run");
        }
        can
    }

    /// Starts a node of its own.
    pub async fn run(folder: &Path) -> anyhow::Result<Self> {
        let address = free_address().await?;
        Self::serving(folder, &address, &[]).await
    }

    /// Starts a node at an address that names another one to programs, that of a proxy before it.
    pub async fn run_behind(folder: &Path, address: &str, proxy: &str) -> anyhow::Result<Self> {
        Self::serving(folder, address, &["--advertised", proxy]).await
    }

    /// Starts three nodes that keep a copy each of everything.
    pub async fn run_three(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let port = free_ports(3 + 6).await?;
        let mut nodes = Vec::new();
        for node in 1..=3 {
            let arguments = [
                "--nodes",
                "3",
                "--only-node",
                &node.to_string(),
                "--controller-port",
                &(port + 3).to_string(),
            ];
            nodes.push(Self::spawned(folder, port, &format!("127.0.0.1:{}", port + node - 1), &arguments)?);
        }
        // One alone does not serve.
        for node in &mut nodes {
            node.until_serving().await?;
        }
        Ok(nodes)
    }

    /// Its process, unless it has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill Apache Kafka")
    }

    /// A start on the same port and folder.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn_kafka(&self.arguments, &self.log)?;
        self.until_serving().await
    }

    /// SIGKILL, then a start on the same port and folder.
    pub async fn kill_and_start_again(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.start_again().await
    }

    async fn serving(folder: &Path, address: &str, more: &[&str]) -> anyhow::Result<Self> {
        let port = address.rsplit(':').next().unwrap_or_default().parse()?;
        // The port behind the first one may be somebody's.
        let controller_port = free_ports(1).await?.to_string();
        let arguments = [&["--controller-port", controller_port.as_str()], more].concat();
        let mut node = Self::spawned(folder, port, address, &arguments)?;
        node.until_serving().await?;
        Ok(node)
    }

    fn spawned(folder: &Path, port: u16, address: &str, more: &[&str]) -> anyhow::Result<Self> {
        let folder = folder.join("kafka");
        std::fs::create_dir_all(&folder)?;
        let mut arguments = vec!["--port".to_owned(), port.to_string(), "--data".to_owned()];
        arguments.push(folder.to_str().context("the folder's name is text")?.to_owned());
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let log = folder.with_extension("log");
        let child = spawn_kafka(&arguments, &log)?;
        Ok(Self { address: address.to_owned(), arguments, log, child })
    }

    async fn until_serving(&mut self) -> anyhow::Result<()> {
        let address = self.address.clone();
        let answering = async {
            while tokio::net::TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            answered = tokio::time::timeout(PATIENCE, answering) => answered.context("wait for Apache Kafka to answer"),
            _ = self.child.wait() => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                anyhow::bail!("Apache Kafka ended before it answered; its log:\n{log}")
            }
        }
    }
}

fn spawn_kafka(arguments: &[String], log: &Path) -> anyhow::Result<Child> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/run");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    Command::new(script)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("run deploy/kafka/run")
}

/// The first of so many ports in a row on loopback that nobody uses now.
async fn free_ports(count: u16) -> anyhow::Result<u16> {
    loop {
        let address = free_address().await?;
        let first: u16 = address.rsplit(':').next().unwrap_or_default().parse()?;
        let ports = first..=first.saturating_add(count - 1);
        if ports.clone().count() == usize::from(count)
            && ports.into_iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok())
        {
            return Ok(first);
        }
    }
}

/// The services as processes, each on an address of its own.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    instances: Vec<Instance>,
    started: usize,
}

/// A running service.
#[derive(Debug)]
struct Instance {
    name: String,
    service: String,
    address: String,
    child: Child,
}

impl Cluster {
    /// Writes the settings that all services share.
    pub async fn prepare(binary: &Path, folder: &Path, kafka: &str, watchlist: &str) -> anyhow::Result<Self> {
        Self::with_settings(binary, folder, watchlist, &format!("[kafka]\nbootstrap_servers = \"{kafka}\"\n"))
    }

    /// Services by the settings that a folder holds.
    pub fn in_folder(binary: &Path, folder: &Path) -> Self {
        Self {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            environment: Vec::new(),
            instances: Vec::new(),
            started: 0,
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

    /// The same with sections of the settings of one's own.
    pub fn with_settings(
        binary: &Path,
        folder: &Path,
        watchlist: &str,
        sections: &str,
    ) -> anyhow::Result<Self> {
        input::write_settings(folder, watchlist, &format!("secret_file = \"secret\"\n{sections}"))?;
        Ok(Self::in_folder(binary, folder))
    }

    /// On the Apache Kafka that `EARSHOT_TEST_KAFKA` names, which other tests share, with topics of its own.
    pub fn on_shared_kafka(binary: &Path, folder: &Path, watchlist: &str) -> anyhow::Result<Option<Self>> {
        let Ok(kafka) = std::env::var("EARSHOT_TEST_KAFKA") else {
            skipped("EARSHOT_TEST_KAFKA is not set: this test on Apache Kafka does not run");
            return Ok(None);
        };
        let prefix: u32 = rand::random();
        let sections =
            format!("[kafka]\nbootstrap_servers = \"{kafka}\"\ntopic_prefix = \"day-{prefix}-\"\n");
        Self::with_settings(binary, folder, watchlist, &sections).map(Some)
    }

    /// Starts one instance of each service, publishes the watchlist, and waits until it is in force everywhere:
    /// a mention that is judged before is not counted.
    pub async fn start_all(&mut self, definitions: usize) -> anyhow::Result<()> {
        for service in ["index", "alerts", "ingest"] {
            self.start(service).await?;
        }
        self.apply().await?;
        self.until_defined(definitions).await?;
        // It reads the watchlist to its end before its first mention.
        self.start("enrich").await.map(drop)
    }

    /// Waits until alerts has copied so many definitions into `signals`.
    pub async fn until_defined(&self, definitions: usize) -> anyhow::Result<()> {
        let broker = self.broker().await?;
        let start = Instant::now();
        loop {
            let mut defined = BTreeSet::new();
            let take = |record: Record| {
                if let Ok(SignalRecord::Definition(version)) = decode(&record.value) {
                    defined.insert(version.id);
                }
            };
            broker.replay(&topics::SIGNALS, take).await?;
            if defined.len() == definitions {
                return Ok(());
            }
            anyhow::ensure!(start.elapsed() < PATIENCE, "only {} definitions are copied", defined.len());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Starts one more instance of a service, waits until it serves, and answers its name.
    pub async fn start(&mut self, service: &str) -> anyhow::Result<String> {
        let name = format!("{service}-{}", self.started);
        self.started += 1;
        let data = instance_data(&self.folder, &name);
        let address = free_address().await?;
        let mut child = self.spawn(service, &address, &data, &[])?;
        anyhow::ensure!(serves(&mut child, service, &address).await?, self.ended(&name));
        self.instances.push(Instance { name: name.clone(), service: service.to_owned(), address, child });
        Ok(name)
    }

    /// The names of a service's instances, oldest first.
    pub fn names(&self, service: &str) -> Vec<String> {
        self.instances.iter().filter(|i| i.service == service).map(|i| i.name.clone()).collect()
    }

    /// SIGKILL.
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.instance(name)?.child.kill().await.with_context(|| format!("kill {name}"))
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub async fn end(&mut self, name: &str, within: Duration) -> anyhow::Result<()> {
        let instance = self.instance(name)?;
        terminate(instance).await?;
        let status = tokio::time::timeout(within, instance.child.wait()).await;
        let status = status.with_context(|| format!("{name} does not end after SIGTERM"))??;
        anyhow::ensure!(status.success(), "{name} did not end well: {status}");
        Ok(())
    }

    /// Waits until an instance ends by itself; answers whether it did so within the time.
    pub async fn ends_by_itself(&mut self, name: &str, within: Duration) -> anyhow::Result<bool> {
        let ended = tokio::time::timeout(within, self.instance(name)?.child.wait()).await;
        Ok(ended.is_ok())
    }

    /// Starts an instance that has ended, on its address and folder, with more in its environment. It may have
    /// ended again when this returns.
    pub async fn start_again(&mut self, name: &str, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        let instance = self.instance(name)?;
        let (service, address) = (instance.service.clone(), instance.address.clone());
        let mut child = self.spawn(&service, &address, &instance_data(&self.folder, name), environment)?;
        serves(&mut child, &service, &address).await.with_context(|| self.ended(name))?;
        self.instance(name)?.child = child;
        Ok(())
    }

    /// Forgets an instance that has ended.
    pub fn forget(&mut self, name: &str) {
        self.instances.retain(|instance| instance.name != name);
    }

    /// SIGKILL for the first instance of a service, then a start on the same address and folder.
    pub async fn kill_and_start_again(&mut self, service: &str) -> anyhow::Result<()> {
        let name = self.names(service).first().cloned().context("no such service")?;
        self.kill(&name).await?;
        self.start_again(&name, &[]).await
    }

    /// The HTTP address of the first instance of a service.
    pub fn address(&self, service: &str) -> String {
        self.addresses(service).into_iter().next().unwrap_or_default()
    }

    /// The HTTP addresses of a service's instances.
    pub fn addresses(&self, service: &str) -> Vec<String> {
        let instances = self.instances.iter().filter(|instance| instance.service == service);
        instances.map(|instance| format!("http://{}", instance.address)).collect()
    }

    /// What an instance has logged so far.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(instance_data(&self.folder, name).with_extension("log")).unwrap_or_default()
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

    /// A connection of one's own to the log. Topics that are missing are made.
    pub async fn broker(&self) -> anyhow::Result<Broker> {
        Ok(Broker::open(&self.settings()?.connection(), &topics::ALL).await?)
    }

    /// Apache Kafka as the services know it.
    pub fn kafka(&self) -> anyhow::Result<KafkaSettings> {
        self.settings()?.shared.kafka.context("the settings name no Apache Kafka")
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::load(&self.folder.join("earshot.toml"))?)
    }

    /// What the fold has counted live for a subject, by folding the log from its start as the service does.
    pub async fn counted(&self, subject: &str) -> anyhow::Result<u64> {
        let mut state = State::new();
        let mut unreadable = None;
        self.broker()
            .await?
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
        for instance in &mut self.instances {
            terminate(instance).await?;
        }
        let mut bad = Vec::new();
        for instance in &mut self.instances {
            let ended = tokio::time::timeout(within, instance.child.wait()).await;
            if !ended.is_ok_and(|ended| ended.is_ok_and(|status| status.success())) {
                bad.push(instance.name.as_str());
            }
        }
        anyhow::ensure!(bad.is_empty(), "these did not end well: {bad:?}");
        Ok(())
    }

    fn instance(&mut self, name: &str) -> anyhow::Result<&mut Instance> {
        let found = self.instances.iter_mut().find(|instance| instance.name == name);
        found.with_context(|| format!("there is no instance `{name}`"))
    }

    fn spawn(
        &self,
        service: &str,
        address: &str,
        data: &Path,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Child> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(data.with_extension("log"))?;
        Command::new(&self.binary)
            .args(["service", service, "earshot.toml"])
            .env(format!("EARSHOT__{}__LISTEN", service.to_uppercase()), address)
            .env("EARSHOT__DATA", data)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {service}"))
    }

    fn ended(&self, name: &str) -> String {
        format!("{name} ended before it served; its log:\n{}", self.log(name))
    }
}

fn instance_data(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("data-{name}"))
}

async fn terminate(instance: &Instance) -> anyhow::Result<()> {
    let pid = instance.child.id().with_context(|| format!("{} has ended by itself", instance.name))?;
    Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await?;
    Ok(())
}

/// Waits until a service serves; false where it has ended.
async fn serves(child: &mut Child, service: &str, address: &str) -> anyhow::Result<bool> {
    let watch = Watch::new(&format!("http://{address}"));
    let serving = watch.until("/api/services", |names| {
        names.as_array().is_some_and(|names| names.iter().any(|name| name == service))
    });
    tokio::select! {
        answer = serving => answer.map(|_| true).with_context(|| format!("wait until {service} serves")),
        _ = child.wait() => Ok(false),
    }
}
