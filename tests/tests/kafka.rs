//! The four services as programs of their own on Apache Kafka: two instances share the partitions, each is
//! killed once, the broker too, and the oracle of the input holds.
//!
//! They run where `EARSHOT_TEST_KAFKA` is set, on a node of their own by `deploy/kafka/run`. Without it they do
//! not run, and say so.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use earshot_tests::cluster::{Cluster, KafkaNode};
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, WATCHLIST_DEFINITIONS, live_mention};
use earshot_tests::node;
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_every_program_and_the_broker_are_killed_once_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut kafka) = KafkaNode::start(folder.path()).await.unwrap() else { return };
    let mut cluster =
        Cluster::prepare(Path::new(BINARY), folder.path(), &kafka.address, WATCHLIST).await.unwrap();
    for service in ["ingest", "enrich", "enrich", "index", "alerts"] {
        cluster.start(service).await.unwrap();
    }
    cluster.apply().await.unwrap();
    // A mention that is judged before alerts has copied its definitions is not counted.
    cluster.until_defined(WATCHLIST_DEFINITIONS).await.unwrap();
    let index = Watch::new(&cluster.address("index"));
    let alerts = Watch::new(&cluster.address("alerts"));

    let past = input::past();
    std::fs::write(folder.path().join("past.csv"), &past.csv).unwrap();
    let server = cluster.address("ingest");
    let import = ["import", "past.csv", "--server", &server];
    let (ok, said, noted) = node::command(Path::new(BINARY), folder.path(), &import).await.unwrap();
    assert!(ok, "{said}{noted}");
    let mut wanted: BTreeSet<String> = past.ids.clone();
    index.until_searchable(wanted.len() as u64).await.unwrap();

    // A live burst, with one kill after each tenth mention.
    let mut n = 0;
    for victim in ["enrich", "index", "alerts", "ingest", "broker", "none"] {
        for _ in 0..20 {
            n += 1;
            let mention = live_mention(n, "Harbor Bank app is down, terrible", None);
            cluster.post_until_taken(&mention, DOOR_SECRET).await.unwrap();
            wanted.insert(format!("test:live-{n}"));
        }
        match victim {
            "broker" => kafka.kill_and_start_again().await.unwrap(),
            "none" => {}
            service => cluster.kill_and_start_again(service).await.unwrap(),
        }
    }

    index.until_searchable(wanted.len() as u64).await.unwrap();
    let found = index.all_ids("").await.unwrap();
    assert_eq!(found.len(), wanted.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);

    alerts.until_decided().await.unwrap();
    let live = |a: &&Value| a["rule"] == "harbor-hour" && a["historic"] == json!(false);
    let answer = index
        .until("/api/alerts", |a| a["alerts"].as_array().is_some_and(|a| a.iter().any(|a| live(&a))))
        .await
        .unwrap();
    assert_eq!(answer["alerts"].as_array().unwrap().iter().filter(live).count(), 1, "{answer:#}");
    assert_eq!(cluster.counted("harbor").await.unwrap(), u64::from(n), "each signal is counted once");
    cluster.stop(Duration::from_secs(40)).await.unwrap();
}
