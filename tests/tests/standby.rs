//! Two instances of alerts on Apache Kafka: one writes, the other stands by, and takes over when the first is killed.
//!
//! They run where `EARSHOT_TEST_KAFKA` is set. Without it they do not run, and say so.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;
use std::time::{Duration, Instant};

use earshot_tests::cluster::{Cluster, KafkaNode};
use earshot_tests::input;
use earshot_tests::load::Load;
use earshot_tests::oracle::{self, Undisturbed};
use earshot_tests::receiver::Receiver;
use earshot_tests::watch::{PATIENCE, Watch};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
const PAUSE: Duration = Duration::from_millis(50);
/// What the design promises.
const TAKE_OVER: Duration = Duration::from_secs(30);
const KILLS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn the_instance_that_stands_by_takes_over_and_each_transition_is_written_once() {
    if !KafkaNode::can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let people = Receiver::start(Duration::ZERO, 0).await.unwrap();
    let (kafka, prefix) = (std::env::var("EARSHOT_TEST_KAFKA").unwrap(), rand::random::<u32>());
    let sections = format!(
        "[kafka]\nbootstrap_servers = \"{kafka}\"\ntopic_prefix = \"standby-{prefix}-\"\n\
         [alerts]\nclaim_timeout_s = 3\n[alerts.webhooks.people]\nurl = \"{}\"\n",
        people.url
    );
    let mut cluster =
        Cluster::with_settings(Path::new(BINARY), folder.path(), &input::crises(), &sections).unwrap();
    cluster.start_all(input::CRISES_DEFINITIONS).await.unwrap();
    cluster.start("alerts").await.unwrap();
    let broker = cluster.broker().await.unwrap();
    let load = Load::start(&cluster.address("ingest"), 7);

    for _ in 0..KILLS {
        let before = oracle::alerts(&broker).await.unwrap().len();
        load.next_company();
        let start = Instant::now();
        while oracle::alerts(&broker).await.unwrap().len() == before {
            assert!(start.elapsed() < PATIENCE, "a new crisis raises no alert");
            tokio::time::sleep(PAUSE).await;
        }
        let (active, standby) = active_and_standby(&cluster).await;
        // What the crisis after this one raises, nobody is there to write.
        load.next_company();
        cluster.kill(&active).await.unwrap();
        let killed = Instant::now();
        Watch::new(&standby).until("/api/decisions", |standing| standing["active"] == true).await.unwrap();
        let took = killed.elapsed();
        measured(took);
        assert!(took < TAKE_OVER, "{took:?}");
        cluster.start_again(&active, &[]).await.unwrap();
    }

    let taken = load.finish().await.unwrap();
    Watch::new(&cluster.address("index")).until_searchable(taken.len() as u64).await.unwrap();
    for address in cluster.addresses("alerts") {
        Watch::new(&address).until_decided().await.unwrap();
    }
    let folded = Undisturbed::fold(&broker).await.unwrap();
    let start = Instant::now();
    let written = loop {
        let written = oracle::alerts(&broker).await.unwrap();
        let arrived = people.taken();
        let all_told = oracle::webhooks(&written).iter().all(|key| arrived.contains_key(key));
        if written.len() >= folded.live.len() && all_told {
            break written;
        }
        assert!(start.elapsed() < PATIENCE, "{} of {} are written", written.len(), folded.live.len());
        tokio::time::sleep(PAUSE).await;
    };
    oracle::every_alert_verifies(&Watch::new(&cluster.address("alerts")), &written).await.unwrap();
    cluster.stop(Duration::from_secs(40)).await.unwrap();
    oracle::numbered_and_single(&written).unwrap();
    oracle::same_decisions(&written, &folded).unwrap();
    oracle::delivered(&written, &people.taken(), KILLS).unwrap();
}

#[expect(clippy::print_stderr, reason = "a figure of a test is for whoever reads its output")]
fn measured(took: Duration) {
    eprintln!("measured: the other instance took over after {:.1} s", took.as_secs_f64());
}

/// The name of the instance that writes, and the address of the other.
async fn active_and_standby(cluster: &Cluster) -> (String, String) {
    let mut active = Vec::new();
    let mut standby = Vec::new();
    for (name, address) in cluster.names("alerts").into_iter().zip(cluster.addresses("alerts")) {
        let standing = Watch::new(&address).until("/api/decisions", |_| true).await.unwrap();
        match standing["active"] == true {
            true => active.push(name),
            false => standby.push(address),
        }
    }
    assert_eq!((active.len(), standby.len()), (1, 1), "{active:?} write, {standby:?} stand by");
    (active.remove(0), standby.remove(0))
}
