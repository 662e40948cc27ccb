//! A subject gets another name while all runs: the change raises no alert, its counts are made anew from what is
//! retained, also through kills in the middle, and the next burst is one.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use earshot_alerts::State;
use earshot_common::broker::{Broker, Connection, EmbeddedSettings, Record};
use earshot_common::events::{SignalRecord, decode};
use earshot_common::topics::{self, SIGNALS};
use earshot_tests::cluster::Cluster;
use earshot_tests::input::{self, DOOR_SECRET, live_mention};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

const WATCHLIST: &str = r#"
[[subject]]
id = "harbor"
kind = "brand"
name = "Harbor Bank"

[[rule]]
id = "harbor-hour"
when = "count of mentions against expectation"
subjects = ["harbor"]
window = "1h"
severity = 6
route = "comms"

[[route]]
id = "comms"
log = true
"#;
const DEFINITIONS: usize = 3;

/// In each hour of the past so many by the name, and so many by what becomes another name.
const BY_NAME: u32 = 2;
const BY_ALIAS: u32 = 10;
const HOURS: u32 = 14 * 24;

/// Where each service is.
struct Places {
    ingest: String,
    index: String,
    alerts: String,
}

impl Places {
    fn of(node: &Node) -> Self {
        let address = || node.address.clone();
        Self { ingest: address(), index: address(), alerts: address() }
    }
}

/// Mentions that were posted so far.
#[derive(Default)]
struct Posted(u32);

impl Posted {
    async fn more(&mut self, at: &Places, mentions: u32, name: &str) {
        let ingest = Watch::new(&at.ingest);
        for _ in 0..mentions {
            self.0 += 1;
            let mention = live_mention(self.0, &format!("{name} again, number {}", self.0), None);
            assert!(
                ingest.post_signed("test", DOOR_SECRET, &format!("m{}", self.0), &mention).await.unwrap()
            );
        }
        self.are_decided(at).await;
    }

    async fn are_decided(&self, at: &Places) {
        let mentions = HOURS * (BY_NAME + BY_ALIAS) + self.0;
        Watch::new(&at.index).until_searchable(mentions.into()).await.unwrap();
        Watch::new(&at.alerts).until_decided().await.unwrap();
    }
}

/// Two weeks up to this hour, as an export of another tool has them.
fn two_weeks() -> String {
    let hour = jiff::Timestamp::now().as_second() / 3_600;
    let mut csv = String::from("id,time,author,text\n");
    let mut row = 0;
    for back in (1..=i64::from(HOURS)).rev() {
        for n in 0..BY_NAME + BY_ALIAS {
            row += 1;
            let time = jiff::Timestamp::from_second((hour - back) * 3_600 + i64::from(n) * 290).unwrap();
            let name = if n < BY_NAME { "Harbor Bank" } else { "Port Trust" };
            writeln!(csv, "{row},{time},writer{},{name} is in the news", row % 150).unwrap();
        }
    }
    csv
}

async fn command(folder: &Path, server: &str, arguments: &[&str]) -> (bool, String) {
    let all = [arguments, &["--server", server]].concat();
    let (ok, said, noted) = node::command(Path::new(BINARY), folder, &all).await.unwrap();
    (ok, format!("{said}{noted}"))
}

/// Two weeks, and an hour that is as usual, of which the decision side hears what the name says.
async fn as_usual(folder: &Path, at: &Places, posted: &mut Posted) {
    std::fs::write(folder.join("past.csv"), two_weeks()).unwrap();
    let (ok, said) = command(folder, &at.ingest, &["import", "past.csv"]).await;
    assert!(ok, "{said}");
    posted.are_decided(at).await;
    posted.more(at, BY_NAME, "Harbor Bank").await;
    posted.more(at, BY_ALIAS, "Port Trust").await;
}

fn write_alias(folder: &Path) {
    let name = "name = \"Harbor Bank\"";
    let with_alias = WATCHLIST.replace(name, &format!("{name}\naliases = [\"Port Trust\"]"));
    std::fs::write(folder.join("watchlist.toml"), with_alias).unwrap();
}

async fn alerts(at: &Places) -> Vec<Value> {
    let answer = Watch::new(&at.index).get("/api/alerts").await.unwrap();
    answer["alerts"].as_array().unwrap().clone()
}

/// The counts come to be those of both names, and what follows is judged by them.
async fn counted_anew(folder: &Path, at: &Places, posted: &mut Posted) {
    let watch = Watch::new(&at.alerts);
    let is_taken = |listing: &Value| listing["taken"][0]["name"].as_str().is_some();
    let listing = watch.until("/api/rebuilds", is_taken).await.unwrap();
    let name = listing["taken"][0]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("rebuild:harbor@"), "{listing:#}");
    assert_eq!((&listing["warming"], &listing["waiting"]), (&json!([]), &json!([])), "{listing:#}");
    let retained = HOURS * (BY_NAME + BY_ALIAS) + BY_NAME + BY_ALIAS;
    assert_eq!(listing["taken"][0]["mentions"], retained, "{listing:#}");
    assert!(watch.text("/metrics").await.unwrap().contains("earshot_alerts_warming 0"));

    posted.more(at, BY_ALIAS, "Port Trust").await;
    assert_eq!(alerts(at).await, Vec::<Value>::new(), "what the other name adds is no burst");
    posted.more(at, 120, "Port Trust").await;
    let is_raised = |answer: &Value| answer["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
    Watch::new(&at.index).until("/api/alerts", is_raised).await.unwrap();
    let raised = alerts(at).await;
    assert_eq!((raised.len(), &raised[0]["rule"]), (1, &json!("harbor-hour")), "{raised:#?}");
    let written = raised[0].to_string();
    assert!(!written.contains("\"little_data\":true"), "{written}");
    let expected = raised[0]["transitions"][0]["arithmetic"]["expected"].as_f64();
    let expected = expected.or(raised[0]["arithmetic"]["expected"].as_f64()).unwrap();
    // An hour alone, or with the one before.
    let both = f64::from(BY_NAME + BY_ALIAS);
    assert!((both - 1.0..both * 2.0 + 1.0).contains(&expected), "{expected} of {both} an hour: {written}");
    let id = raised[0]["id"].as_str().unwrap();
    let (ok, said) = command(folder, &at.alerts, &["alerts", "verify", id]).await;
    assert!(ok && said.contains("counted anew"), "{said}");

    let (ok, said) = command(folder, &at.alerts, &["rebuild", "harbor"]).await;
    let all = HOURS * (BY_NAME + BY_ALIAS) + posted.0;
    assert!(ok && said.starts_with(&format!("{name}: {all} retained mentions")), "{said}");
    let (ok, said) = command(folder, &at.alerts, &["rebuild", "harbour"]).await;
    assert!(!ok && said.contains("there is no subject `harbour`; there are: harbor"), "{said}");
}

/// What the fold has counted live, by folding the log from its start.
async fn counted(broker: &Broker) -> u64 {
    let mut state = State::new();
    let take = |record: Record| {
        let signal: SignalRecord = decode(&record.value).unwrap();
        state.apply(record.offset, record.appended, &signal);
    };
    broker.replay(&SIGNALS, take).await.unwrap();
    state.counted("harbor")
}

async fn counted_in(folder: &Path) -> u64 {
    let connection = Connection::Embedded(EmbeddedSettings { folder: folder.join("data/log") });
    counted(&Broker::open(&connection, &topics::ALL).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_no_burst_and_its_past_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    input::write_settings(folder, WATCHLIST, "").unwrap();
    let node = Node::up(Path::new(BINARY), folder).await.unwrap();
    let (at, mut posted) = (Places::of(&node), Posted::default());
    as_usual(folder, &at, &mut posted).await;
    write_alias(folder);
    let (ok, said) = command(folder, &at.index, &["apply"]).await;
    assert!(ok, "{said}");
    counted_anew(folder, &at, &mut posted).await;
    assert!(node.stop().await.unwrap());
    assert_eq!(counted_in(folder).await, u64::from(posted.0));
}

/// A start of the program that ends where it passes a point for the first time.
async fn up_until(folder: &Path, point: &str) -> anyhow::Result<Node> {
    let up = ["up", "--listen", "127.0.0.1:0"];
    Node::start_with(Path::new(BINARY), folder, &up, &[("EARSHOT_KILL_AT", &format!("{point}:1"))]).await
}

/// Waits until a program is dead; one that died before it served is.
async fn until_killed(node: anyhow::Result<Node>) {
    let Ok(node) = node else { return };
    let watch = Watch::new(&node.address);
    let dead = async {
        while watch.get("/api/decisions").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), dead).await.expect("it is killed at its point");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_the_sums_are_stored_it_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    input::write_settings(folder, WATCHLIST, "").unwrap();
    let node = up_until(folder, "recounted").await.unwrap();
    let (at, mut posted) = (Places::of(&node), Posted::default());
    as_usual(folder, &at, &mut posted).await;
    write_alias(folder);
    // It may be dead before it answers.
    drop(command(folder, &at.index, &["apply"]).await);
    until_killed(Ok(node)).await;
    until_killed(up_until(folder, "rebuilt").await).await;

    let node = Node::up(Path::new(BINARY), folder).await.unwrap();
    counted_anew(folder, &Places::of(&node), &mut posted).await;
    assert!(node.stop().await.unwrap());
    assert_eq!(counted_in(folder).await, u64::from(posted.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_two_other_instances_take_up_what_one_that_was_killed_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(mut cluster) = Cluster::on_shared_kafka(Path::new(BINARY), folder, WATCHLIST).unwrap() else {
        return;
    };
    cluster.set_environment(&[("EARSHOT_KILL_AT", "recounted:1")]);
    cluster.start_all(DEFINITIONS).await.unwrap();
    cluster.set_environment(&[]);
    let at = Places {
        ingest: cluster.address("ingest"),
        index: cluster.address("index"),
        alerts: cluster.address("alerts"),
    };
    let mut posted = Posted::default();
    as_usual(folder, &at, &mut posted).await;
    let first = cluster.names("enrich").remove(0);
    write_alias(folder);
    cluster.apply().await.unwrap();
    let is_killed = cluster.ends_by_itself(&first, Duration::from_secs(60)).await.unwrap();
    assert!(is_killed, "{}", cluster.log(&first));
    cluster.forget(&first);
    for _ in 0..2 {
        cluster.start("enrich").await.unwrap();
    }
    counted_anew(folder, &at, &mut posted).await;
    assert_eq!(counted(&cluster.broker().await.unwrap()).await, u64::from(posted.0));
    cluster.stop(Duration::from_secs(40)).await.unwrap();
}
