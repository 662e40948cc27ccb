//! Carries out a plan: the services as processes on Apache Kafka, killed and started again under load, and at
//! the end the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinHandle;

use super::{Fault, Membership, Moment, Plan, Victim};
use crate::cluster::{Cluster, KafkaNode};
use crate::input::{self, CRISIS_AT_LEAST};
use crate::load::{Load, Taken};
use crate::node;
use crate::oracle::{self, Undisturbed};
use crate::receiver::Receiver;
use crate::watch::{PATIENCE, Watch};

const PAUSE: Duration = Duration::from_millis(50);
/// A point that is not passed within this is not passed at all.
const REACH: Duration = Duration::from_secs(40);
/// A stop by SIGTERM.
const STOP: Duration = Duration::from_secs(40);
/// Most instances of enrich at a time.
const MOST_ENRICH: usize = 3;
/// The last mentions that were taken, enough to be in every partition.
const PROBES: usize = 24;

/// What became of one fault.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The fault.
    pub fault: Fault,
    /// Whether its point was reached; else it was killed where it was.
    pub reached: bool,
    /// From the kill until all that had been taken by then was searchable everywhere and decided. `None` where
    /// the next fault came before.
    pub recovered: Option<Duration>,
}

/// A run that has ended well.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its faults.
    pub outcomes: Vec<Outcome>,
    /// Mentions that were taken or imported: each is searchable once.
    pub mentions: usize,
    /// Transitions in `alerts`: the same as an undisturbed fold decides.
    pub transitions: usize,
    /// Messages that arrived, and how many of these were repetitions.
    pub messages: (usize, usize),
}

/// Carries out a plan. The topics are the run's own; an error says what did not hold.
pub async fn carry_out(
    binary: &Path,
    folder: &Path,
    kafka: &mut KafkaNode,
    plan: &Plan,
) -> anyhow::Result<Ran> {
    let receiver = Receiver::start(Duration::ZERO, 0).await?;
    let mut cluster = start(binary, folder, kafka, plan.seed, &receiver).await?;
    let import = import(binary, folder, &cluster.address("ingest"))?;
    let load = Load::start(&cluster.address("ingest"), plan.seed);

    let mut outcomes = Vec::new();
    for fault in &plan.faults {
        let carried = carry_out_one(&mut cluster, kafka, &load, fault).await;
        outcomes.push(carried.with_context(|| fault.to_string())?);
        load.next_company();
    }
    let taken = load.finish().await?;
    import.await?.context("import")?;
    let ran = settle(cluster, &taken, &receiver, outcomes).await;
    ran.with_context(|| format!("after all faults; the logs are in {}", folder.display()))
}

async fn start(
    binary: &Path,
    folder: &Path,
    kafka: &KafkaNode,
    seed: u64,
    receiver: &Receiver,
) -> anyhow::Result<Cluster> {
    let sections = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ntopic_prefix = \"run-{seed}-\"\n\
         [alerts]\nclaim_timeout_s = 3\n[alerts.webhooks.people]\nurl = \"{}\"\n",
        kafka.address, receiver.url
    );
    let mut cluster = Cluster::with_settings(binary, folder, &input::crises(), &sections)?;
    for service in ["index", "alerts", "ingest", "index"] {
        cluster.start(service).await?;
    }
    cluster.apply().await?;
    cluster.until_defined(input::CRISES_DEFINITIONS).await?;
    // It reads the watchlist to its end before its first mention.
    for _ in 0..2 {
        cluster.start("enrich").await?;
    }
    Ok(cluster)
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

async fn carry_out_one(
    cluster: &mut Cluster,
    kafka: &mut KafkaNode,
    load: &Load,
    fault: &Fault,
) -> anyhow::Result<Outcome> {
    change_members(cluster, fault.membership).await?;
    let mut reached = true;
    let killed;
    if fault.victim == Victim::Broker {
        wait(fault.moment).await;
        killed = Instant::now();
        kafka.kill_and_start_again().await?;
    } else {
        let names = cluster.names(fault.victim.name());
        let name = names[fault.which % names.len()].clone();
        match fault.moment {
            Moment::After(_) => wait(fault.moment).await,
            Moment::At { point, passing } => {
                cluster.end(&name, STOP).await?;
                cluster.start_again(&name, &[("EARSHOT_KILL_AT", &format!("{point}:{passing}"))]).await?;
                reached = cluster.ends_by_itself(&name, REACH).await?;
            }
        }
        cluster.kill(&name).await?;
        killed = Instant::now();
        cluster.start_again(&name, &[]).await?;
    }
    if fault.hasty {
        return Ok(Outcome { fault: *fault, reached, recovered: None });
    }
    until_well(cluster, &load.last_taken(PROBES)).await?;
    Ok(Outcome { fault: *fault, reached, recovered: Some(killed.elapsed()) })
}

async fn wait(moment: Moment) {
    if let Moment::After(wait) = moment {
        tokio::time::sleep(wait).await;
    }
}

async fn change_members(cluster: &mut Cluster, membership: Membership) -> anyhow::Result<()> {
    let names = cluster.names("enrich");
    match membership {
        Membership::Joins if names.len() < MOST_ENRICH => {
            cluster.start("enrich").await?;
        }
        Membership::Leaves if names.len() > 1 => {
            cluster.end(&names[0], STOP).await?;
            cluster.forget(&names[0]);
        }
        _ => {}
    }
    Ok(())
}

/// Waits until these mentions can be found in each index, and all that `signals` holds then is decided.
async fn until_well(cluster: &Cluster, probes: &[String]) -> anyhow::Result<()> {
    for address in cluster.addresses("index") {
        let index = Watch::new(&address);
        for id in probes {
            index.until(&format!("/api/mentions/{id}"), |_| true).await?;
        }
    }
    let alerts = Watch::new(&cluster.address("alerts"));
    let end = alerts.until("/api/decisions", |_| true).await?["end"].as_u64();
    alerts.until("/api/decisions", |standing| standing["next"].as_u64() >= end).await.map(drop)
}

/// Waits until all is done that was taken, stops everything, and asks the oracle.
async fn settle(
    cluster: Cluster,
    taken: &Taken,
    receiver: &Receiver,
    outcomes: Vec<Outcome>,
) -> anyhow::Result<Ran> {
    let mut wanted = input::past().ids;
    wanted.extend(taken.keys().cloned());
    for address in cluster.addresses("index") {
        let index = Watch::new(&address);
        index.until_searchable(wanted.len() as u64).await?;
        let found = index.all_ids("").await?;
        ensure!(found.len() == wanted.len(), "{} are found of {} mentions", found.len(), wanted.len());
        ensure!(found.into_iter().collect::<BTreeSet<_>>() == wanted, "other mentions are found");
    }
    Watch::new(&cluster.address("alerts")).until_decided().await?;
    let broker = cluster.broker().await?;
    until_told(&oracle::webhooks(&oracle::alerts(&broker).await?), receiver).await?;
    cluster.stop(STOP).await?;

    let folded = Undisturbed::fold(&broker).await?;
    let alerts = oracle::alerts(&broker).await?;
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for subject in taken.values() {
        *counted.entry(subject).or_default() += 1;
    }
    for (subject, wanted) in &counted {
        let found = folded.state.counted(subject);
        ensure!(found == *wanted, "{wanted} mentions of {subject} were taken, and {found} are counted");
        // The first company has a past, so that its threshold is another.
        if *subject != "company0" && (subject.starts_with("chief") || *wanted >= CRISIS_AT_LEAST) {
            let opened = alerts.iter().any(|event| !event.historic && event.subject == *subject);
            ensure!(opened, "{subject} has {wanted} mentions and no alert");
        }
    }
    oracle::numbered_and_single(&alerts)?;
    oracle::same_decisions(&alerts, &folded)?;
    let arrived = receiver.taken();
    let crashes = outcomes.iter().filter(|outcome| outcome.fault.victim == Victim::Alerts).count();
    oracle::delivered(&alerts, &arrived, crashes)?;
    let posts: usize = arrived.values().sum();
    Ok(Ran {
        outcomes,
        mentions: wanted.len(),
        transitions: alerts.len(),
        messages: (posts, posts - arrived.len()),
    })
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
