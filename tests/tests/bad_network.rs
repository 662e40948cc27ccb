//! Bad days between the services and Apache Kafka, under load: one of three brokers is lost and comes back, the
//! network is cut for a minute. Everything goes on by itself, and the oracle of the input holds.
//!
//! They run where `EARSHOT_TEST_KAFKA` is set, on nodes of their own by `deploy/kafka/run`, one test after the other.

use std::path::Path;
use std::time::{Duration, Instant};

use earshot_tests::admin::until_replicated;
use earshot_tests::cluster::KafkaNode;
use earshot_tests::faults::Scene;
use earshot_tests::mail::free_address;
use earshot_tests::proxy::Proxy;
use tokio::sync::Mutex;

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
const CUT: Duration = Duration::from_secs(60);
/// So many mentions are in every partition.
const PROBES: usize = 24;
/// Three nodes and all services are enough for a small machine.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_brokers_is_lost_and_comes_back_and_nothing_stops() {
    if !KafkaNode::can_run() {
        return;
    }
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = KafkaNode::run_three(folder.path()).await.unwrap();
    let addresses: Vec<&str> = nodes.iter().map(|node| node.address.as_str()).collect();
    let scene = Scene::start(Path::new(BINARY), folder.path(), &addresses.join(","), 0).await.unwrap();
    scene.until_well().await.unwrap();

    // The first is where all programs connect first.
    for lost in [0, 2] {
        scene.load.next_company();
        nodes[lost].kill().await.unwrap();
        let start = Instant::now();
        // Something must be taken after the loss before we ask for it.
        scene.load.until_more_taken(PROBES).await.unwrap();
        scene.until_well().await.unwrap();
        eprintln!("without broker {}: all is well after {:.1} s", lost + 1, start.elapsed().as_secs_f64());
        nodes[lost].start_again().await.unwrap();
        scene.load.until_more_taken(PROBES).await.unwrap();
        scene.until_well().await.unwrap();
        until_replicated(&scene.cluster.kafka().unwrap(), 3).await.unwrap();
    }
    let settled = scene.settle(0).await.unwrap();
    assert_eq!(settled.repeated, 0, "{settled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_cut_for_a_minute_and_all_go_on_when_it_is_mended() {
    if !KafkaNode::can_run() {
        return;
    }
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let address = free_address().await.unwrap();
    let proxy = Proxy::start(&address).await.unwrap();
    let _kafka = KafkaNode::run_behind(folder.path(), &address, &proxy.address).await.unwrap();
    let scene = Scene::start(Path::new(BINARY), folder.path(), &proxy.address, 0).await.unwrap();
    scene.until_well().await.unwrap();

    scene.load.next_company();
    proxy.cut();
    // The length of the cut is the fault itself.
    tokio::time::sleep(CUT).await;
    proxy.mend();
    let start = Instant::now();
    scene.load.until_more_taken(PROBES).await.unwrap();
    scene.until_well().await.unwrap();
    eprintln!("after the cut: all is well after {:.1} s", start.elapsed().as_secs_f64());
    let settled = scene.settle(0).await.unwrap();
    assert_eq!(settled.repeated, 0, "{settled:?}");
}
