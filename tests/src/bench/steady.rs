//! A steady load through a door: how long a mention takes until it can be found, and the memory of the programs.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use earshot_common::events::Mention;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::ground::{Ground, Installation};
use super::mentions::Mentions;
use super::programs::Programs;
use super::usage::{Memory, Meter, Process, Spent};
use crate::input::DOOR_SECRET;
use crate::watch::{PATIENCE, Watch};

/// Mentions a second.
pub(crate) const RATE: u64 = 1_000;
/// Requests a second; each brings the same number of mentions.
const REQUESTS_A_SECOND: u64 = 10;
const BATCH: u64 = RATE / REQUESTS_A_SECOND;
/// Between two questions whether the oldest batch can be found: it adds to the delay that is measured.
const PAUSE: Duration = Duration::from_millis(10);
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

/// What a steady load showed.
#[derive(Clone, Debug)]
pub(crate) struct Steady {
    /// For each request the seconds from just before it was sent until its last mention could be found, in order.
    pub(crate) delays_s: Vec<f64>,
    /// Mentions that were sent.
    pub(crate) mentions: u64,
    /// The most private memory of the programs.
    pub(crate) memory: Memory,
    /// Processor time and seconds of the whole.
    pub(crate) spent: Spent,
}

impl Steady {
    /// The delay that this share of the mentions does not exceed.
    pub(crate) fn delay_s(&self, share: f64) -> f64 {
        share_of(&self.delays_s, share)
    }
}

/// Loads an empty installation for so many seconds, with programs that have an environment.
pub(crate) async fn measure(
    ground: &Ground,
    installation: &Installation,
    mentions: &mut Mentions,
    seconds: u64,
    environment: &[(&str, &str)],
) -> anyhow::Result<Steady> {
    if let Ground::Kafka { .. } = ground {
        installation.publish().await?;
    }
    let prepared = Programs::prepare(ground, installation, environment).await?;
    let programs = Programs::let_flow(prepared, installation, environment).await?;
    let (door, index) = (Watch::new(&programs.address("ingest")), Watch::new(&programs.address("index")));
    // A group that is new has its partitions when the first batch is through.
    let warm_up = Batch::new(0, mentions);
    warm_up.send(&door).await?;
    warm_up.wait_until_found(&index).await?;

    let processes = programs.processes()?;
    let mut metered = processes.clone();
    metered.extend(ground.broker_process());
    let meter = Meter::start(&metered)?;
    let (sent, to_find) = mpsc::unbounded_channel();
    let (delays, memory, ()) = tokio::try_join!(
        find_in_order(to_find, &index),
        watch_memory(&processes, seconds),
        send_steadily(sent, &door, mentions, seconds),
    )?;
    let spent = meter.read(&metered)?;
    let mut delays_s = delays;
    delays_s.sort_by(f64::total_cmp);
    let mentions = delays_s.len() as u64 * BATCH;
    Ok(Steady { delays_s, mentions, memory, spent })
}

/// The mentions of one request.
#[derive(Clone, Debug)]
struct Batch {
    /// A word that all its texts hold and no others do.
    word: String,
    body: Value,
}

impl Batch {
    fn new(number: u64, mentions: &mut Mentions) -> Self {
        let word = format!("steady{number:06}");
        let mut sent = Vec::new();
        for mention in mentions.take(BATCH as usize) {
            let text = format!("{} {word}", mention.text);
            sent.push(at_the_door(&mention, &text));
        }
        Self { word, body: json!({ "mentions": sent }) }
    }

    async fn send(&self, door: &Watch) -> anyhow::Result<()> {
        let taken = door.post_signed("test", DOOR_SECRET, &self.word, &self.body).await?;
        anyhow::ensure!(taken, "the door refused the request `{}`", self.word);
        Ok(())
    }

    async fn wait_until_found(&self, index: &Watch) -> anyhow::Result<()> {
        let path = format!("/api/search?limit=1&q={}", self.word);
        let found = async {
            while index.get(&path).await?["total"].as_u64() != Some(BATCH) {
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, found).await.with_context(|| format!("wait for `{}`", self.word))?
    }
}

/// A mention as it is posted, with this text.
pub(crate) fn at_the_door(mention: &Mention, text: &str) -> Value {
    json!({
        "id": mention.id,
        "text": text,
        "url": mention.url,
        "author": mention.author,
        "published": mention.published,
    })
}

/// The delay that this share of so many in order does not exceed.
pub(crate) fn share_of(delays_s: &[f64], share: f64) -> f64 {
    let last = delays_s.len() - 1;
    delays_s[(share * last as f64).ceil() as usize]
}

type Sent = (Batch, Instant);

/// Sends a request at each tick, whether the one before is answered or not.
async fn send_steadily(
    sent: mpsc::UnboundedSender<Sent>,
    door: &Watch,
    mentions: &mut Mentions,
    seconds: u64,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / REQUESTS_A_SECOND));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    for number in 1..=seconds * REQUESTS_A_SECOND {
        ticks.tick().await;
        let batch = Batch::new(number, mentions);
        sent.send((batch.clone(), Instant::now())).context("nobody looks for what is sent")?;
        let door = door.clone();
        requests.spawn(async move { batch.send(&door).await });
        while let Some(answered) = requests.try_join_next() {
            answered??;
        }
    }
    while let Some(answered) = requests.join_next().await {
        answered??;
    }
    Ok(())
}

/// Waits for each request's mentions in turn. One that is found before its turn counts as found at its turn.
async fn find_in_order(
    mut to_find: mpsc::UnboundedReceiver<Sent>,
    index: &Watch,
) -> anyhow::Result<Vec<f64>> {
    let mut delays_s = Vec::new();
    while let Some((batch, sent)) = to_find.recv().await {
        batch.wait_until_found(index).await?;
        delays_s.push(sent.elapsed().as_secs_f64());
    }
    Ok(delays_s)
}

async fn watch_memory(processes: &[Process], seconds: u64) -> anyhow::Result<Memory> {
    let mut memory = Memory::default();
    let mut ticks = tokio::time::interval(MEMORY_INTERVAL);
    for _ in 0..seconds {
        ticks.tick().await;
        memory.look(processes)?;
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_share_of_the_delays_is_read_from_their_order() {
        let spent = Spent { seconds: 1.0, cpu_s: BTreeMap::new(), others_cores: 0.0 };
        let delays_s = (0..=100).map(f64::from).collect();
        let steady = Steady { delays_s, mentions: 0, memory: Memory::default(), spent };
        assert_eq!((steady.delay_s(0.5), steady.delay_s(0.99), steady.delay_s(1.0)), (50.0, 99.0, 100.0));
    }
}
