//! Prometheus scrapes the real services, our rules fire on a provoked fault and name it, and Alertmanager keeps the
//! dead-man's switch alive.
//!
//! Runs where `EARSHOT_TEST_KAFKA`, `EARSHOT_TEST_PROMETHEUS` and `EARSHOT_TEST_ALERTMANAGER` are set.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use earshot_common::broker::NewRecord;
use earshot_common::topics;
use earshot_tests::cluster::{Cluster, KafkaNode};
use earshot_tests::input::WATCHLIST;
use earshot_tests::prometheus::Monitoring;
use earshot_tests::receiver::Receiver;
use earshot_tests::watch::Watch;

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
const SERVICES: [&str; 4] = ["ingest", "enrich", "index", "alerts"];

#[tokio::test(flavor = "multi_thread")]
async fn a_provoked_fault_fires_its_alarm_and_the_watchdog_reaches_the_dead_mans_switch() {
    let folder = tempfile::tempdir().unwrap();
    let Some(kafka) = KafkaNode::start(folder.path()).await.unwrap() else { return };
    let switch = Receiver::start(Duration::ZERO, 0).await.unwrap();
    let mut cluster =
        Cluster::prepare(Path::new(BINARY), folder.path(), &kafka.address, WATCHLIST).await.unwrap();
    let mut targets = Vec::new();
    for service in SERVICES {
        cluster.start(service).await.unwrap();
        targets.push(cluster.address(service).replace("http://", ""));
    }
    let Some(monitoring) = Monitoring::start(folder.path(), &targets, &switch.url).await.unwrap() else {
        return;
    };

    for service in SERVICES {
        assert_metrics_are_listed(&Watch::new(&cluster.address(service)).text("/metrics").await.unwrap());
    }
    monitoring.until_firing("Watchdog", &[]).await.unwrap();
    switch.until_taken(1).await.unwrap();
    let mut firing = monitoring.firing().await.unwrap();
    // The disk of the machine that the test runs on is what it is.
    firing.retain(|alarm| !alarm.starts_with("EarshotDisk"));
    assert_eq!(firing, ["Watchdog"], "nothing else is wrong");

    // A message that is none, written past ingest.
    let log = cluster.broker().await.unwrap();
    log.append_durably(&topics::MENTIONS_RAW, vec![NewRecord::keyed("hn:1", "not JSON")]).await.unwrap();
    let labels = [("service", "enrich"), ("reason", "unreadable")];
    let alarm = monitoring.until_firing("EarshotDeadLetters", &labels).await.unwrap();
    let summary = alarm["annotations"]["summary"].as_str().unwrap();
    assert_eq!(summary, "enrich put messages aside: unreadable.");

    let index = cluster.names("index").remove(0);
    cluster.kill(&index).await.unwrap();
    let alarm = monitoring.until_firing("EarshotServiceDown", &[("part", "index")]).await.unwrap();
    assert_eq!(alarm["labels"]["severity"], "critical");
    assert_eq!(alarm["annotations"]["summary"], "No index is running.");
    cluster.start_again(&index, &[]).await.unwrap();
    cluster.stop(Duration::from_secs(40)).await.unwrap();
}

/// Rules and dashboards are held to a list of metrics: what a program exports must stand there.
fn assert_metrics_are_listed(exported: &str) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/checks/metrics.txt");
    let list = std::fs::read_to_string(list).unwrap();
    let listed: BTreeSet<&str> = list.lines().filter_map(|line| line.split('{').next()).collect();
    let names = exported.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    let unlisted: Vec<&str> =
        names.filter(|name| name.starts_with("earshot_") && !listed.contains(name)).collect();
    assert_eq!(unlisted, Vec::<&str>::new());
}
