//! Each stage alone, in the benchmark's own process: what it takes when nothing else works.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::broker::Broker;
use earshot_common::service::{self, Context, Service};
use earshot_common::topics::{MENTIONS_ENRICHED, SIGNALS, Topic};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ground::{Ground, Installation};
use super::usage::{Meter, Process, Spent};
use crate::watch::Watch;

/// Between two questions whether a stage is done: often enough for the figure, too seldom to cost anything.
const PAUSE: Duration = Duration::from_millis(50);
/// A stage that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

/// What one stage took for all its input.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Its name.
    pub(crate) name: &'static str,
    /// The messages that it read.
    pub(crate) messages: u64,
    /// What it took.
    pub(crate) spent: Spent,
}

/// Runs enrich, index and alerts one after the other on an installation that holds so many raw mentions.
pub(crate) async fn measure(
    ground: &Ground,
    installation: &Installation,
    mentions: u64,
) -> anyhow::Result<Vec<Stage>> {
    let broker: Vec<Process> = ground.broker_process().into_iter().collect();
    // The decision side copies the watchlist first, as in a running system: without it nothing is decided.
    alone(installation, &broker, earshot_alerts::start, Until::Decided).await?;
    let enrich = alone(installation, &broker, earshot_enrich::start, Until::Enriched(mentions)).await?;
    let index = alone(installation, &broker, earshot_index::start, Until::Searchable(mentions)).await?;
    let signals = count(&Broker::open(&installation.connection()?, &[SIGNALS]).await?, &SIGNALS).await?;
    let alerts = alone(installation, &broker, earshot_alerts::start, Until::Decided).await?;
    Ok(vec![
        Stage { name: "enrich", messages: mentions, spent: enrich },
        Stage { name: "index", messages: mentions, spent: index },
        Stage { name: "alerts", messages: signals, spent: alerts },
    ])
}

/// When a stage is done.
#[derive(Clone, Copy, Debug)]
enum Until {
    Enriched(u64),
    Searchable(u64),
    Decided,
}

impl Until {
    async fn reached(self, broker: &Broker, watch: &Watch) -> anyhow::Result<bool> {
        Ok(match self {
            Self::Enriched(mentions) => count(broker, &MENTIONS_ENRICHED).await? >= mentions,
            Self::Searchable(mentions) => documents(watch).await? >= mentions,
            Self::Decided => watch.get("/api/decisions").await?["up_to_date"] == Value::Bool(true),
        })
    }
}

/// Runs one service until it is done with what the log holds. Opening and starting count as its work.
async fn alone<F>(
    installation: &Installation,
    broker: &[Process],
    start: impl FnOnce(Context) -> F,
    until: Until,
) -> anyhow::Result<Spent>
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let meter = Meter::start(broker)?;
    let stop = CancellationToken::new();
    let context = service::open(installation.settings()?, stop.clone()).await?;
    let listener = service::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
    let watch = Watch::new(&format!("http://{}", listener.local_addr()?));
    let service = start(context.clone()).await?;
    let log = context.broker.clone();
    let running = tokio::spawn(async move { service::run(&context, listener, vec![service]).await });
    let done = async {
        while !until.reached(&log, &watch).await? {
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, done).await.with_context(|| format!("wait for {until:?}"))??;
    let spent = meter.read(broker)?;
    stop.cancel();
    drop(log);
    running.await??;
    installation.wait_until_free().await?;
    Ok(spent)
}

/// Mentions that can be found.
pub(crate) async fn documents(watch: &Watch) -> anyhow::Result<u64> {
    watch.get("/api/status").await?["documents"].as_u64().context("the status has no number of documents")
}

/// Records that a topic holds.
async fn count(broker: &Broker, topic: &Topic) -> anyhow::Result<u64> {
    Ok(broker.bounds(topic, None).await?.iter().map(|bounds| bounds.next - bounds.first).sum())
}
