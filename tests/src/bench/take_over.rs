//! How long nobody decides: two instances of alerts on Apache Kafka with a large state, of which the one that writes is
//! killed, and starts from the log and from a snapshot.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use earshot_common::broker::{Broker, MAX_BATCH, NewRecord};
use earshot_common::events::{SignalRecord, encode};
use earshot_common::topics::{self, ALERTS, SIGNALS, Topic};

use super::fold::{self, Maker, Scale};
use super::ground::Ground;
use super::programs::{DEPLOYED, own_program};
use super::usage::{Memory, Process};
use crate::cluster::Cluster;
use crate::watch::Watch;

const PAUSE: Duration = Duration::from_millis(20);
/// A take-over or a start that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakeOver {
    /// Records of `signals`.
    pub(crate) records: u64,
    /// Seconds of a start that folds the log from its first record, until it serves.
    pub(crate) start_from_log_s: f64,
    /// Seconds of a start that takes up a snapshot of the end of the log.
    pub(crate) start_from_snapshot_s: f64,
    /// Private memory of an instance that has folded all of it, at most.
    pub(crate) memory_bytes: u64,
    /// Seconds from the kill of the instance that writes until the other one's first transition is in `alerts`.
    pub(crate) first_write_s: f64,
}

/// Fills `signals` with the ordinary days of a scale and takes over once.
pub(crate) async fn measure(ground: &Ground, scale: &Scale) -> anyhow::Result<TakeOver> {
    let installation = ground.installation_with("take-over", &fold::definitions(scale), "")?;
    let broker = Broker::open(&installation.connection()?, &topics::ALL).await?;
    let definitions = installation.publish_by(&broker).await?;
    let mut cluster = Cluster::in_folder(&own_program()?, installation.folder());
    cluster.set_environment(DEPLOYED);
    let active = cluster.start("alerts").await?;
    cluster.until_defined(definitions).await?;
    let mut maker = Maker::new(scale.subjects)?;
    for _ in 0..scale.weeks * 7 * 24 {
        append(&broker, maker.ordinary_hour(scale.busiest)).await?;
    }
    until_decided(&cluster).await?;

    let started = Instant::now();
    let standby = cluster.start("alerts").await?;
    until_decided(&cluster).await?;
    let start_from_log_s = started.elapsed().as_secs_f64();
    let mut memory = Memory::default();
    let id = cluster.process_ids().last().and_then(|(_, id)| id).context("the instance has ended")?;
    memory.look(&[Process { name: "alerts".to_owned(), id }])?;
    cluster.end(&standby, STOP).await?;
    let started = Instant::now();
    cluster.start_again(&standby, &[]).await?;
    until_decided(&cluster).await?;
    let start_from_snapshot_s = started.elapsed().as_secs_f64();

    let written = end_of(&broker, &ALERTS).await?;
    cluster.kill(&active).await?;
    let killed = Instant::now();
    append(&broker, maker.outcry()).await?;
    while end_of(&broker, &ALERTS).await? == written {
        anyhow::ensure!(killed.elapsed() < PATIENCE, "nobody took over");
        tokio::time::sleep(PAUSE).await;
    }
    let first_write_s = killed.elapsed().as_secs_f64();
    let (records, memory_bytes) = (end_of(&broker, &SIGNALS).await?, memory.most_together);
    cluster.end(&standby, STOP).await?;
    Ok(TakeOver { records, start_from_log_s, start_from_snapshot_s, memory_bytes, first_write_s })
}

async fn append(broker: &Broker, records: Vec<SignalRecord>) -> anyhow::Result<()> {
    for batch in records.chunks(MAX_BATCH) {
        let batch = batch.iter().map(|record| NewRecord::unkeyed(encode(record))).collect();
        broker.append_durably(&SIGNALS, batch).await?;
    }
    Ok(())
}

/// Waits until each instance has folded all that `signals` holds.
async fn until_decided(cluster: &Cluster) -> anyhow::Result<()> {
    let start = Instant::now();
    for address in cluster.addresses("alerts") {
        let watch = Watch::new(&address);
        while watch.get("/api/decisions").await?["up_to_date"] != true {
            anyhow::ensure!(start.elapsed() < PATIENCE, "alerts is still behind");
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn end_of(broker: &Broker, topic: &Topic) -> anyhow::Result<u64> {
    let bounds = broker.bounds(topic, None).await?;
    Ok(bounds.first().context("the topic has a partition")?.next)
}
