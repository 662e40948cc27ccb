//! Bad days on Apache Kafka: records that nobody can read, records that were deleted before they were read, topics
//! that were deleted and made again. Nothing is lost, or the program stops with one clear message.
//!
//! They run on the node that `EARSHOT_TEST_KAFKA` names, each with topics of its own. Without it they do not
//! run, and say so.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use earshot_common::broker::{Broker, NewRecord, Record};
use earshot_common::events::AlertEvent;
use earshot_common::topics::{
    ALERTS, DEAD_LETTERS, ERASURES, MENTIONS_ENRICHED, MENTIONS_RAW, SIGNALS, Topic, WATCHLIST,
};
use earshot_tests::admin::{delete_records, delete_topic};
use earshot_tests::cluster::Cluster;
use earshot_tests::input::{DOOR_SECRET, WATCHLIST as DEFINITIONS, live_mention};
use earshot_tests::oracle::{alerts, written};
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
/// In [`DEFINITIONS`].
const DEFINED: usize = 6;
const TEXT: &str = "Harbor Bank app is down, terrible";
const STOP: Duration = Duration::from_secs(40);
/// What a program may take to see that it cannot go on.
const NOTICE: Duration = Duration::from_secs(60);

/// The services, with `n` mentions that are found and counted.
async fn settled(folder: &Path, n: u32) -> Option<(Cluster, BTreeSet<String>)> {
    let mut cluster = Cluster::on_shared_kafka(Path::new(BINARY), folder, DEFINITIONS).unwrap()?;
    cluster.start_all(DEFINED).await.unwrap();
    let wanted = post(&cluster, 0..n).await;
    assert_found(&cluster, &wanted).await;
    assert_counted(&cluster, n).await;
    Some((cluster, wanted))
}

async fn post(cluster: &Cluster, numbers: Range<u32>) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    for n in numbers {
        cluster.post_until_taken(&live_mention(n, TEXT, None), DOOR_SECRET).await.unwrap();
        taken.insert(format!("test:live-{n}"));
    }
    taken
}

async fn assert_found(cluster: &Cluster, wanted: &BTreeSet<String>) {
    let index = Watch::new(&cluster.address("index"));
    index.until_searchable(wanted.len() as u64).await.unwrap();
    let found = index.all_ids("").await.unwrap();
    assert_eq!(found.len(), wanted.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), *wanted);
}

async fn assert_counted(cluster: &Cluster, n: u32) {
    Watch::new(&cluster.address("alerts")).until_decided().await.unwrap();
    assert_eq!(cluster.counted("harbor").await.unwrap(), u64::from(n), "each is counted once");
}

/// The instance stops by itself, and the last line of its log says what is wrong and what to do.
async fn assert_stops_saying(cluster: &mut Cluster, service: &str, wanted: &[&str]) -> String {
    let name = cluster.names(service).remove(0);
    assert!(cluster.ends_by_itself(&name, NOTICE).await.unwrap(), "{name} goes on:\n{}", cluster.log(&name));
    let log = cluster.log(&name);
    let last = log.lines().last().unwrap_or_default();
    for part in wanted {
        assert!(last.contains(part), "`{part}` is not in the last line of {name}:\n{log}");
    }
    name
}

async fn append(broker: &Broker, topic: &Topic, value: impl Into<Vec<u8>>) {
    let record = NewRecord {
        partition: Some(0),
        key: Some("key".into()),
        value: value.into().into(),
        headers: Vec::new(),
    };
    broker.append_durably(topic, vec![record]).await.unwrap();
}

async fn records(broker: &Broker, topic: &Topic) -> Vec<Record> {
    let mut records = Vec::new();
    broker.replay(topic, |record| records.push(record)).await.unwrap();
    records
}

/// A record of a topic, changed.
async fn altered(broker: &Broker, topic: &Topic, change: impl Fn(&mut Value)) -> Vec<u8> {
    let first = records(broker, topic).await.remove(0);
    let mut value: Value = serde_json::from_slice(&first.value).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

fn of_the_future(value: &mut Value) {
    value["v"] = json!(99);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_becomes_a_dead_letter_and_what_follows_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let Some((cluster, mut wanted)) = settled(folder.path(), 5).await else { return };
    let broker = cluster.broker().await.unwrap();
    for topic in [MENTIONS_RAW, MENTIONS_ENRICHED] {
        append(&broker, &topic, "poison").await;
        append(&broker, &topic, altered(&broker, &topic, of_the_future).await).await;
    }
    let oversized = |value: &mut Value| {
        value["id"] = json!("test:oversized");
        value["text"] = json!("x".repeat(200_000));
    };
    append(&broker, &MENTIONS_RAW, altered(&broker, &MENTIONS_RAW, oversized).await).await;
    append(&broker, &SIGNALS, "poison").await;

    wanted.extend(post(&cluster, 5..25).await);
    assert_found(&cluster, &wanted).await;
    Watch::new(&cluster.address("alerts")).until_decided().await.unwrap();
    let mut letters = Vec::new();
    for letter in records(&broker, &DEAD_LETTERS).await {
        let header = |name| String::from_utf8(letter.header(name).unwrap().to_vec()).unwrap();
        letters.push(format!("{} {} {}", header("service"), header("topic"), header("kind")));
    }
    letters.sort();
    let told = [
        "enrich mentions.raw newer_version",
        "enrich mentions.raw too_large",
        "enrich mentions.raw unreadable",
        "index mentions.enriched newer_version",
        "index mentions.enriched unreadable",
    ];
    assert_eq!(letters, told);
    let measured = Watch::new(&cluster.address("alerts")).text("/metrics").await.unwrap();
    assert!(measured.contains("earshot_alerts_undecodable_total 1"), "{measured}");
    cluster.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_cuts_an_oversized_text_and_refuses_an_oversized_request() {
    let folder = tempfile::tempdir().unwrap();
    let Some((cluster, mut wanted)) = settled(folder.path(), 1).await else { return };
    let ingest = Watch::new(&cluster.address("ingest"));
    for (n, bytes, answer) in [(1, 1_200_000, 200), (2, 6_000_000, 413)] {
        let mention = live_mention(n, &"Harbor Bank ".repeat(bytes / 12), None);
        let now = jiff::Timestamp::now().as_second();
        let status = ingest.post_signed_at(now, "test", DOOR_SECRET, &n.to_string(), &mention).await.unwrap();
        assert_eq!(status.as_u16(), answer, "{bytes} bytes");
    }
    wanted.insert("test:live-1".to_owned());
    assert_found(&cluster, &wanted).await;
    cluster.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_says_to_all_stops_those_who_would_act_on_it_with_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut cluster, _)) = settled(folder.path(), 40).await else { return };
    let broker = cluster.broker().await.unwrap();
    let upgrade = |topic| [topic, "a newer Earshot wrote", "upgrade"];

    append(&broker, &ALERTS, altered(&broker, &ALERTS, of_the_future).await).await;
    assert_stops_saying(&mut cluster, "index", &upgrade("`alerts`")).await;
    append(&broker, &ERASURES, r#"{"v":99,"author":"00000000000000000000000000000000"}"#).await;
    assert_stops_saying(&mut cluster, "enrich", &upgrade("`erasures`")).await;
    append(&broker, &SIGNALS, altered(&broker, &SIGNALS, of_the_future).await).await;
    let name = assert_stops_saying(&mut cluster, "alerts", &upgrade("`signals`")).await;
    // Not even a start goes over what is in `alerts`: it would write transitions again.
    cluster.start_again(&name, &[]).await.unwrap();
    assert_stops_saying(&mut cluster, "alerts", &upgrade("`alerts`")).await;
    append(&broker, &WATCHLIST, altered(&broker, &WATCHLIST, of_the_future).await).await;
    assert_stops_saying(&mut cluster, "ingest", &upgrade("`watchlist`")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_fell_out_of_retention_stops_the_reader_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut cluster, _)) = settled(folder.path(), 20).await else { return };
    let (kafka, broker) = (cluster.kafka().unwrap(), cluster.broker().await.unwrap());
    let enrich = cluster.names("enrich").remove(0);
    let index = cluster.names("index").remove(0);
    cluster.end(&index, STOP).await.unwrap();
    post(&cluster, 20..60).await;
    Watch::new(&cluster.address("alerts")).until_decided().await.unwrap();
    cluster.end(&enrich, STOP).await.unwrap();
    post(&cluster, 60..100).await;
    delete_records(&kafka, &broker, &MENTIONS_RAW).await.unwrap();
    delete_records(&kafka, &broker, &MENTIONS_ENRICHED).await.unwrap();

    cluster.start_again(&enrich, &[]).await.unwrap();
    assert_stops_saying(&mut cluster, "enrich", &["`mentions.raw`", "is gone", "reset them on purpose"])
        .await;
    cluster.start_again(&index, &[]).await.unwrap();
    let rebuild = ["`mentions.enriched`", "deleted before they were read", "Delete the folder `index`"];
    assert_stops_saying(&mut cluster, "index", &rebuild).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_of_raw_mentions_is_deleted_and_made_again_and_a_start_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut cluster, mut wanted)) = settled(folder.path(), 60).await else { return };
    delete_topic(&cluster.kafka().unwrap(), &MENTIONS_RAW).await.unwrap();
    cluster.broker().await.unwrap();
    wanted.extend(post(&cluster, 60..90).await);
    let told = ["`mentions.raw`", "made anew", "Start again"];
    let name = assert_stops_saying(&mut cluster, "enrich", &told).await;
    cluster.start_again(&name, &[]).await.unwrap();
    assert_found(&cluster, &wanted).await;
    // Offsets begin anew, which must not be taken for what was counted already.
    assert_counted(&cluster, 90).await;
    cluster.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_of_enriched_mentions_is_deleted_and_made_again_and_the_index_says_to_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut cluster, _)) = settled(folder.path(), 60).await else { return };
    delete_topic(&cluster.kafka().unwrap(), &MENTIONS_ENRICHED).await.unwrap();
    cluster.broker().await.unwrap();
    let after = post(&cluster, 60..90).await;
    let name = assert_stops_saying(&mut cluster, "index", &["`mentions.enriched`", "made anew"]).await;
    cluster.start_again(&name, &[]).await.unwrap();
    assert_stops_saying(&mut cluster, "index", &["Delete the folder `index`"]).await;
    std::fs::remove_dir_all(folder.path().join(format!("data-{name}/index"))).unwrap();
    cluster.start_again(&name, &[]).await.unwrap();
    assert_found(&cluster, &after).await;
    assert_counted(&cluster, 90).await;
    cluster.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_of_signals_is_deleted_and_made_again_and_a_start_begins_decisions_anew() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut cluster, _)) = settled(folder.path(), 60).await else { return };
    let before = alerts(&cluster.broker().await.unwrap()).await.unwrap();
    delete_topic(&cluster.kafka().unwrap(), &SIGNALS).await.unwrap();
    let broker = cluster.broker().await.unwrap();
    let told = ["`signals`", "made anew", "start again"];
    let name = assert_stops_saying(&mut cluster, "alerts", &told).await;
    cluster.start_again(&name, &[]).await.unwrap();
    cluster.until_defined(DEFINED).await.unwrap();
    // Nobody is told again of what was decided before.
    Watch::new(&cluster.address("alerts")).until_decided().await.unwrap();
    let first = &before[0].notify[0].key;
    let log = cluster.log(&name);
    assert_eq!(log.matches(&format!("delivered key=\"{first}\"")).count(), 1, "{log}");
    post(&cluster, 60..120).await;
    assert_counted(&cluster, 60).await;
    // Offsets begin anew, which must not be taken for what was decided already.
    let strong = live_mention(120, "Jordan Vale is a terrible, horrible, disgusting fraud", Some(20_000));
    cluster.post_until_taken(&strong, DOOR_SECRET).await.unwrap();
    let opened = |event: &AlertEvent| event.rule == "vale-negative";
    Watch::new(&cluster.address("index"))
        .until("/api/alerts", |answer| answer["alerts"].to_string().contains("vale-negative"))
        .await
        .unwrap();
    // The same hour opens its alert once more: what decided it is another log.
    let after = written(&broker).await.unwrap();
    assert!(after.len() > before.len() && after.iter().any(opened));
    cluster.stop(STOP).await.unwrap();
}
