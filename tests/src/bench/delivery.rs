//! How long it takes from the door to a person: a steady load, of which one mention in each request raises an alert, and
//! a webhook that takes what is signed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use earshot_common::broker::Broker;
use earshot_common::topics;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::ground::{Ground, Installation};
use super::mentions::{self, Mentions};
use super::programs::{DEPLOYED, Programs};
use super::steady::{at_the_door, share_of};
use super::usage::{Meter, Spent};
use crate::input::DOOR_SECRET;
use crate::watch::{PATIENCE, Watch};

/// Mentions a second.
pub(crate) const RATE: u64 = 2_000;
/// Requests a second; each brings the same number of mentions, and one of them raises an alert.
const REQUESTS_A_SECOND: u64 = 10;
const BATCH: u64 = RATE / REQUESTS_A_SECOND;
const PAUSE: Duration = Duration::from_millis(20);
const SECRET: &str = "whsec_dGhlIHJlY2VpdmVyIG9mIHRoZSBiZW5jaG1hcmsu";

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    /// Seconds from just before a request was sent until its alert arrived, in order.
    delays_s: Vec<f64>,
    /// Processor time and seconds of the whole.
    pub(crate) spent: Spent,
}

impl Delays {
    /// The delay that this share of the alerts does not exceed.
    pub(crate) fn delay_s(&self, share: f64) -> f64 {
        share_of(&self.delays_s, share)
    }

    /// How many alerts.
    pub(crate) fn count(&self) -> usize {
        self.delays_s.len()
    }
}

/// Loads an empty installation for so many seconds.
pub(crate) async fn measure(ground: &Ground, seconds: u64) -> anyhow::Result<Delays> {
    let people = People::start().await?;
    let requests = seconds * REQUESTS_A_SECOND;
    let sections = format!("[alerts.webhooks.people]\nurl = \"{}\"\nsecret = \"{SECRET}\"\n", people.url);
    let installation = ground.installation_with("delivery", &watchlist(requests), &sections)?;
    let programs = start(ground, &installation).await?;
    let door = Watch::new(&programs.address("ingest"));
    let mut mentions = Mentions::new(None)?;
    // A group that is new has its partitions when the first request is through.
    send(&door, 0, &body(&mut mentions, 0)).await?;
    people.until_told(1).await?;

    let mut metered = programs.processes()?;
    metered.extend(ground.broker_process());
    let meter = Meter::start(&metered)?;
    let sent = send_steadily(&door, &mut mentions, requests).await?;
    people.until_told(1 + requests as usize).await?;
    let spent = meter.read(&metered)?;
    let told = people.told();
    let mut delays_s = Vec::new();
    for (request, sent) in sent {
        let arrived = told.get(&subject(request)).context("every alert has arrived")?;
        delays_s.push(arrived.duration_since(sent).as_secs_f64());
    }
    delays_s.sort_by(f64::total_cmp);
    Ok(Delays { delays_s, spent })
}

/// Starts the programs and waits until the definitions are in force.
async fn start(ground: &Ground, installation: &Installation) -> anyhow::Result<Programs> {
    let Ground::Kafka { .. } = ground else {
        // It copies the definitions before it serves.
        return Programs::let_flow(None, installation, DEPLOYED).await;
    };
    let broker = Broker::open(&installation.connection()?, &topics::ALL).await?;
    let definitions = installation.publish_by(&broker).await?;
    let prepared = Programs::prepare(ground, installation, DEPLOYED).await?;
    prepared.as_ref().context("services of their own")?.until_defined(definitions).await?;
    Programs::let_flow(prepared, installation, DEPLOYED).await
}

/// Beside what the benchmark watches a subject for each request, all told by one rule about single mentions, on a route
/// that groups nothing.
fn watchlist(requests: u64) -> String {
    let mut text = mentions::WATCHLIST.to_owned();
    let mut subjects = Vec::new();
    for request in 0..=requests {
        let id = subject(request);
        let _ =
            write!(text, "\n[[subject]]\nid = \"{id}\"\nkind = \"brand\"\nname = \"{}\"\n", name(request));
        subjects.push(format!("\"{id}\""));
    }
    let _ = write!(
        text,
        "\n[[rule]]\nid = \"planted\"\nwhen = \"each mention\"\nsubjects = [{}]\nsentiment_at_most = -0.3\n\
         reach_at_least = 0\nseverity = 8\nroute = \"people\"\n\n[[route]]\nid = \"people\"\nwebhook = [\"people\"]\n",
        subjects.join(", ")
    );
    text
}

fn subject(request: u64) -> String {
    format!("planted-{request}")
}

fn name(request: u64) -> String {
    format!("Zephyrine{request}")
}

/// The mentions of a request; the last is about its subject.
fn body(mentions: &mut Mentions, request: u64) -> Value {
    let mut sent = Vec::new();
    for mention in mentions.take(BATCH as usize) {
        let text = match sent.len() as u64 + 1 == BATCH {
            true => format!("{} is a terrible, horrible, disgusting fraud", name(request)),
            false => mention.text.clone(),
        };
        sent.push(at_the_door(&mention, &text));
    }
    json!({ "mentions": sent })
}

async fn send(door: &Watch, request: u64, body: &Value) -> anyhow::Result<()> {
    let taken = door.post_signed("test", DOOR_SECRET, &format!("request-{request}"), body).await?;
    anyhow::ensure!(taken, "the door refused request {request}");
    Ok(())
}

/// Sends a request at each tick, whether the one before is answered or not. Answers when each was sent.
async fn send_steadily(
    door: &Watch,
    mentions: &mut Mentions,
    requests: u64,
) -> anyhow::Result<Vec<(u64, Instant)>> {
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / REQUESTS_A_SECOND));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut sent, mut under_way) = (Vec::new(), JoinSet::new());
    for request in 1..=requests {
        ticks.tick().await;
        let (door, body) = (door.clone(), body(mentions, request));
        sent.push((request, Instant::now()));
        under_way.spawn(async move { send(&door, request, &body).await });
        while let Some(answered) = under_way.try_join_next() {
            answered??;
        }
    }
    while let Some(answered) = under_way.join_next().await {
        answered??;
    }
    Ok(sent)
}

/// Who is told: takes what is signed, and remembers when the first message on each subject came.
#[derive(Clone)]
struct People {
    url: String,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    first: BTreeMap<String, Instant>,
    refused: usize,
}

impl People {
    async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen for webhooks")?;
        let people = Self { url: format!("http://{}/hook", listener.local_addr()?), heard: Arc::default() };
        let (kept, webhook) = (people.clone(), Arc::new(Webhook::new(SECRET)?));
        let hook = post(async move |headers: HeaderMap, body: Bytes| {
            let arrived = Instant::now();
            let subject = webhook.verify(&body, &headers).ok().and_then(|()| subject_of(&body));
            let mut heard = kept.heard();
            let Some(subject) = subject else {
                heard.refused += 1;
                return StatusCode::UNAUTHORIZED;
            };
            heard.first.entry(subject).or_insert(arrived);
            StatusCode::NO_CONTENT
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", hook)).await });
        Ok(people)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> BTreeMap<String, Instant> {
        self.heard().first.clone()
    }

    async fn until_told(&self, subjects: usize) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let (told, refused) = {
                let heard = self.heard();
                (heard.first.len(), heard.refused)
            };
            anyhow::ensure!(refused == 0, "{refused} messages were not signed as they must be");
            if told >= subjects {
                return Ok(());
            }
            anyhow::ensure!(start.elapsed() < PATIENCE, "{told} of {subjects} alerts have arrived");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn subject_of(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?["subject"].as_str().map(str::to_owned)
}
