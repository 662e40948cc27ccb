//! The services as processes on Apache Kafka, under a live burst and an import, until all is settled and the
//! oracle is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use earshot_common::events::AlertEvent;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::input::{self, CRISIS_AT_LEAST};
use crate::load::{Load, Taken};
use crate::node;
use crate::oracle::{self, Undisturbed};
use crate::receiver::Receiver;
use crate::watch::{PATIENCE, Watch};

const PAUSE: Duration = Duration::from_millis(50);
/// A stop by SIGTERM.
pub(super) const STOP: Duration = Duration::from_secs(40);
/// The last mentions that were taken, enough to be in every partition.
const PROBES: usize = 24;

/// Two instances of enrich, of index and of alerts, one of ingest, and what comes in.
#[derive(Debug)]
pub struct Scene {
    /// The services.
    pub cluster: Cluster,
    /// The live burst.
    pub load: Load,
    import: JoinHandle<anyhow::Result<()>>,
    people: Receiver,
}

/// What there was in the end, all of it as the oracle wants it.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// Mentions that were taken or imported: each is searchable once.
    pub mentions: usize,
    /// Transitions in `alerts`: the same as an undisturbed fold decides.
    pub transitions: usize,
    /// Alerts: each verifies.
    pub alerts: usize,
    /// How often another instance of alerts went on, or the same one again.
    pub take_overs: usize,
    /// Messages that arrived, repetitions too.
    pub messages: usize,
    /// How many of these were repetitions.
    pub repeated: usize,
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mentions, transitions, alerts, take_overs, messages, repeated } = self;
        write!(
            f,
            "{mentions} mentions, {transitions} transitions of {alerts} alerts, {messages} messages ({repeated} \
             repeated), {take_overs} take-overs"
        )
    }
}

impl Scene {
    /// Starts everything, with topics of its own.
    pub async fn start(binary: &Path, folder: &Path, kafka: &str, seed: u64) -> anyhow::Result<Self> {
        let people = Receiver::start(Duration::ZERO, 0).await?;
        let sections = format!(
            "[kafka]\nbootstrap_servers = \"{kafka}\"\ntopic_prefix = \"run-{seed}-\"\n\
             [alerts]\nclaim_timeout_s = 3\n[alerts.webhooks.people]\nurl = \"{}\"\n",
            people.url
        );
        let mut cluster = Cluster::with_settings(binary, folder, &input::crises(), &sections)?;
        cluster.start_all(input::CRISES_DEFINITIONS).await?;
        for service in ["index", "enrich", "alerts"] {
            cluster.start(service).await?;
        }
        let ingest = cluster.address("ingest");
        let import = import(binary, folder, &ingest)?;
        Ok(Self { load: Load::start(&ingest, seed), import, people, cluster })
    }

    /// Waits until what was taken last can be found in each index, and all that `signals` holds then is decided.
    pub async fn until_well(&self) -> anyhow::Result<()> {
        let probes = self.load.last_taken(PROBES);
        for address in self.cluster.addresses("index") {
            let index = Watch::new(&address);
            for id in &probes {
                index.until(&format!("/api/mentions/{id}"), |_| true).await?;
            }
        }
        until_one_decides(&self.cluster).await
    }

    /// Ends the burst, waits until all is done that was taken, stops everything, and asks the oracle. Each crash of
    /// alerts or of the broker may have repeated a message.
    pub async fn settle(self, crashes: usize) -> anyhow::Result<Settled> {
        let taken = self.load.finish().await?;
        self.import.await?.context("import")?;
        let mut wanted = input::past().ids;
        wanted.extend(taken.keys().cloned());
        for address in self.cluster.addresses("index") {
            all_found(&Watch::new(&address), &wanted).await?;
        }
        until_one_decides(&self.cluster).await?;
        for address in self.cluster.addresses("alerts") {
            Watch::new(&address).until_decided().await?;
        }
        let broker = self.cluster.broker().await?;
        let decided = oracle::alerts(&broker).await?;
        until_told(&oracle::webhooks(&decided), &self.people).await?;
        let verified =
            oracle::every_alert_verifies(&Watch::new(&self.cluster.address("alerts")), &decided).await?;
        let logs = self.cluster.names("alerts").into_iter().map(|name| self.cluster.log(&name));
        let starts: usize = logs.map(|log| log.matches("this instance is active from here on").count()).sum();
        self.cluster.stop(STOP).await?;

        let folded = Undisturbed::fold(&broker).await?;
        let alerts = oracle::alerts(&broker).await?;
        all_counted(&taken, &folded)?;
        all_alerted(&taken, &alerts)?;
        oracle::numbered_and_single(&alerts)?;
        oracle::same_decisions(&alerts, &folded)?;
        let arrived = self.people.taken();
        oracle::delivered(&alerts, &arrived, crashes)?;
        let messages: usize = arrived.values().sum();
        Ok(Settled {
            mentions: wanted.len(),
            transitions: alerts.len(),
            alerts: verified,
            // The first to write took over from nobody.
            take_overs: starts.saturating_sub(1),
            messages,
            repeated: messages - arrived.len(),
        })
    }
}

/// The names of the two instances of alerts: the one that writes and the one that stands by. Where none writes just
/// now, as soon after a fault, they are in any order.
pub(super) async fn alerts(cluster: &Cluster) -> anyhow::Result<(String, String)> {
    let mut names = cluster.names("alerts");
    ensure!(names.len() == 2, "there are two instances of alerts, not {names:?}");
    let second = Watch::new(&cluster.last_address("alerts")).get("/api/decisions").await;
    if second.is_ok_and(|standing| standing["active"] == true) {
        names.swap(0, 1);
    }
    let standby = names.remove(1);
    Ok((names.remove(0), standby))
}

/// Waits until this instance of alerts writes, or has come to its end by doing so.
pub(super) async fn until_active(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let place = cluster.names("alerts").iter().position(|known| known == name).context("no such instance")?;
    let watch = Watch::new(&cluster.addresses("alerts")[place]);
    let start = Instant::now();
    while watch.get("/api/decisions").await.is_ok_and(|standing| standing["active"] == false) {
        ensure!(start.elapsed() < PATIENCE, "{name} does not take over");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Waits until an instance of alerts writes and has decided what `signals` holds when it is asked first.
async fn until_one_decides(cluster: &Cluster) -> anyhow::Result<()> {
    let (start, mut end) = (Instant::now(), None);
    loop {
        for address in cluster.addresses("alerts") {
            // Where the log is not to be reached, this is not to be had.
            let Ok(standing) = Watch::new(&address).get("/api/decisions").await else { continue };
            end = end.or(standing["end"].as_u64());
            if standing["active"] == true && standing["next"].as_u64() >= end {
                return Ok(());
            }
        }
        ensure!(start.elapsed() < PATIENCE, "no instance of alerts writes, or the one that does is behind");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What was taken of each subject.
fn subjects(taken: &Taken) -> BTreeMap<&str, u64> {
    let mut subjects = BTreeMap::new();
    for subject in taken.values() {
        *subjects.entry(subject.as_str()).or_default() += 1;
    }
    subjects
}

async fn all_found(index: &Watch, wanted: &BTreeSet<String>) -> anyhow::Result<()> {
    index.until_searchable(wanted.len() as u64).await?;
    let found = index.all_ids("").await?;
    ensure!(found.len() == wanted.len(), "{} are found of {} mentions", found.len(), wanted.len());
    ensure!(found.into_iter().collect::<BTreeSet<_>>() == *wanted, "other mentions are found");
    Ok(())
}

fn all_counted(taken: &Taken, folded: &Undisturbed) -> anyhow::Result<()> {
    for (subject, wanted) in subjects(taken) {
        let found = folded.state.counted(subject);
        ensure!(found == wanted, "{wanted} mentions of {subject} were taken, and {found} are counted");
    }
    Ok(())
}

fn all_alerted(taken: &Taken, alerts: &[AlertEvent]) -> anyhow::Result<()> {
    for (subject, mentions) in subjects(taken) {
        // The first company has a past, so that its threshold is another.
        let is_crisis =
            subject.starts_with("chief") || (subject != "company0" && mentions >= CRISIS_AT_LEAST);
        let opened = alerts.iter().any(|event| !event.historic && event.subject == subject);
        ensure!(opened || !is_crisis, "{subject} has {mentions} mentions and no alert");
    }
    Ok(())
}

/// Imports the past, again and again until it is told that all went well.
fn import(binary: &Path, folder: &Path, server: &str) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    std::fs::write(folder.join("past.csv"), input::past().csv)?;
    let (binary, folder, server) = (binary.to_path_buf(), folder.to_path_buf(), server.to_owned());
    Ok(tokio::spawn(async move {
        let start = Instant::now();
        loop {
            let arguments = ["import", "past.csv", "--server", &server];
            let (ok, said, noted) = node::command(&binary, &folder, &arguments).await?;
            if ok {
                return Ok(());
            }
            ensure!(start.elapsed() < 3 * PATIENCE, "{said}{noted}");
            tokio::time::sleep(PAUSE).await;
        }
    }))
}

async fn until_told(keys: &[String], receiver: &Receiver) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let arrived = receiver.taken();
        match keys.iter().find(|key| !arrived.contains_key(*key)) {
            None => return Ok(()),
            Some(key) => ensure!(start.elapsed() < PATIENCE, "{key} was decided and does not arrive"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
