//! A change of the watchlist is carried over history: search finds what it names, nobody is alarmed, and what was
//! deleted stays deleted, also in an index that is made anew.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;
use std::time::Duration;

use earshot_common::broker::{Broker, Connection, EmbeddedSettings};
use earshot_common::events::{SignalRecord, decode};
use earshot_common::topics::{self, SIGNALS};
use earshot_tests::cluster::Cluster;
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, WATCHLIST_DEFINITIONS, live_mention};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

/// Of somebody whom the watchlist does not know at first, and loud enough for an alert.
const SHAME: &str = "Morgan Reed is a disgrace, the worst and most dishonest CEO. Horrible!";

/// Where each service is.
struct Places {
    ingest: String,
    enrich: String,
    index: String,
    alerts: String,
}

/// The watchlist with the executive's new name.
fn renamed() -> String {
    WATCHLIST.replace("name = \"Jordan Vale\"", "name = \"Jordan Vale\"\naliases = [\"Morgan Reed\"]")
}

async fn post(ingest: &Watch, id: &str, mention: &Value) {
    assert!(ingest.post_signed("test", DOOR_SECRET, id, mention).await.unwrap(), "{id} is taken");
}

async fn about_vale(index: &Watch) -> Vec<String> {
    let mut ids = index.all_ids("subject=vale").await.unwrap();
    ids.sort();
    ids
}

async fn command(folder: &Path, server: &str, arguments: &[&str]) -> String {
    let all = [arguments, &["--server", server]].concat();
    let (ok, said, noted) = node::command(Path::new(BINARY), folder, &all).await.unwrap();
    assert!(ok, "{arguments:?}: {said}{noted}");
    said
}

/// From mentions that concern nobody to those that the changed watchlist names.
async fn carry_a_change_over(folder: &Path, at: &Places) {
    let (ingest, index, alerts) = (Watch::new(&at.ingest), Watch::new(&at.index), Watch::new(&at.alerts));
    for n in [1, 2] {
        post(&ingest, &format!("m{n}"), &live_mention(n, SHAME, Some(50_000))).await;
    }
    post(&ingest, "m3", &live_mention(3, "a quiet day in the harbour", None)).await;
    index.until_searchable(3).await.unwrap();
    post(
        &ingest,
        "end",
        &json!({"id": "live-2", "deleted": true, "published": jiff::Timestamp::now().to_string()}),
    )
    .await;
    index.until_searchable(2).await.unwrap();
    assert_eq!(about_vale(&index).await, Vec::<String>::new());

    std::fs::write(folder.join("watchlist.toml"), renamed()).unwrap();
    command(folder, &at.index, &["apply"]).await;
    let dry_run = ["reenrich", "--since", "2026-01-01", "--dry-run"];
    let said = command(folder, &at.enrich, &dry_run).await;
    assert!(said.contains("2 mentions judged again, 1 would change"), "{said}");
    index.until_searchable(2).await.unwrap();
    assert_eq!(about_vale(&index).await, Vec::<String>::new(), "a dry run writes nothing");

    let reenrich = ["reenrich", "--since", "2026-01-01", "--json"];
    let report: Value = serde_json::from_str(&command(folder, &at.enrich, &reenrich).await).unwrap();
    assert_eq!((&report["judged"], &report["changed"]), (&json!(2), &json!(1)), "{report:#}");
    let tags = json!({"before": 0, "after": 1, "gained": 1, "lost": 0});
    assert_eq!(report["changes"]["subjects"]["vale"]["sure"], tags, "{report:#}");
    assert_eq!(report["changes"]["largest"][0]["id"], "test:live-1", "{report:#}");
    index.until_searchable(2).await.unwrap();
    assert_eq!(about_vale(&index).await, ["test:live-1"], "the one that was deleted stays deleted");

    let once_more = command(folder, &at.enrich, &["reenrich", "--since", "2026-01-01"]).await;
    assert!(once_more.contains("2 mentions judged again, 0 changed"), "{once_more}");

    // What comes from now on is told to the decision side, and nothing of history is.
    post(&ingest, "m4", &live_mention(4, "Harbor Bank opens", None)).await;
    index.until_searchable(3).await.unwrap();
    alerts.until_decided().await.unwrap();
    assert_eq!(index.get("/api/alerts").await.unwrap()["alerts"], json!([]), "history pages nobody");
}

/// The subjects of all signals, in their order.
async fn signalled(broker: &Broker) -> Vec<String> {
    let mut subjects = Vec::new();
    let take = |record: earshot_common::broker::Record| {
        if let SignalRecord::Signal(signal) = decode(&record.value).unwrap() {
            subjects.extend(signal.subjects.into_iter().map(|subject| subject.id));
        }
    };
    broker.replay(&SIGNALS, take).await.unwrap();
    subjects
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_watchlist_is_carried_over_history_and_nobody_is_alarmed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    input::write_settings(folder, WATCHLIST, "").unwrap();
    let node = Node::up(Path::new(BINARY), folder).await.unwrap();
    let address = || node.address.clone();
    let at = Places { ingest: address(), enrich: address(), index: address(), alerts: address() };
    carry_a_change_over(folder, &at).await;
    assert!(node.stop().await.unwrap());
    {
        let settings = EmbeddedSettings { folder: folder.join("data/log") };
        let broker = Broker::open(&Connection::Embedded(settings), &topics::ALL).await.unwrap();
        assert_eq!(signalled(&broker).await, ["harbor"]);
    }

    // An index that is made anew from the topic shows the same.
    std::fs::remove_dir_all(folder.join("data/index")).unwrap();
    let node = Node::up(Path::new(BINARY), folder).await.unwrap();
    let index = Watch::new(&node.address);
    index.until_searchable(3).await.unwrap();
    assert_eq!(about_vale(&index).await, ["test:live-1"]);
    assert!(node.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_a_changed_watchlist_is_carried_over_history_by_one_of_two_instances() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(mut cluster) = Cluster::on_shared_kafka(Path::new(BINARY), folder, WATCHLIST).unwrap() else {
        return;
    };
    cluster.start_all(WATCHLIST_DEFINITIONS).await.unwrap();
    cluster.start("enrich").await.unwrap();
    let at = Places {
        ingest: cluster.address("ingest"),
        enrich: cluster.last_address("enrich"),
        index: cluster.address("index"),
        alerts: cluster.address("alerts"),
    };
    carry_a_change_over(folder, &at).await;
    assert_eq!(signalled(&cluster.broker().await.unwrap()).await, ["harbor"]);
    cluster.stop(Duration::from_secs(40)).await.unwrap();
}
