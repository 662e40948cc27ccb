//! `earshot status` says what is wrong and why, and its exit code says whether anything is.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;
use std::time::{Duration, Instant};

use earshot_tests::cluster::{Cluster, KafkaNode};
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::mail::free_address;
use earshot_tests::node::{self, Node};
use earshot_tests::watch::{PATIENCE, Watch};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

/// Asks until the page says what is wanted; answers it, and whether all was well.
async fn status_until(folder: &Path, arguments: &[&str], wanted: &[&str]) -> (bool, String) {
    let start = Instant::now();
    loop {
        let (well, page, noted) = node::command(Path::new(BINARY), folder, arguments).await.unwrap();
        // Long lines go on in the next.
        let words: Vec<&str> = page.split_whitespace().collect();
        if wanted.iter().all(|part| words.join(" ").contains(part)) {
            return (well, page);
        }
        assert!(start.elapsed() < PATIENCE, "{wanted:?} is not all said: {page}{noted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_and_a_message_that_nobody_takes_are_said_with_their_reasons() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "[ingest]\nallow_private_addresses = true").unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let status = ["status", "--server", &node.address];
    let (well, page) = status_until(folder.path(), &status, &["index mentions.enriched 4 0"]).await;
    assert!(well && page.ends_with("all is well\n"), "{page}");
    assert!(node.stop().await.unwrap());

    let (feed, hook) = (free_address().await.unwrap(), free_address().await.unwrap());
    let watched = format!(
        "{WATCHLIST}webhook = [\"team\"]\n[[source]]\nid = \"news\"\nkind = \"feed\"\nurl = \"http://{feed}/feed\"\n"
    );
    let more = format!(
        "[ingest]\nallow_private_addresses = true\n[alerts.webhooks.team]\nurl = \"http://{hook}/\"\nsecret = \"{DOOR_SECRET}\""
    );
    input::write_settings(folder.path(), &watched, &more).unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let shame = "Jordan Vale is a disgrace, the worst and most dishonest CEO. Horrible!";
    let mention = live_mention(1, shame, Some(50_000));
    assert!(watch.post_signed("test", DOOR_SECRET, "m1", &mention).await.unwrap());
    let address = node.address.clone();
    let status = ["status", "--server", &address];
    let wanted =
        ["source news fails: no connection", "/webhook/team is not delivered: post: Connection refused"];
    let (well, page) = status_until(folder.path(), &status, &wanted).await;
    assert!(!well && page.contains("NOT WELL: 2 faults"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");

    let (well, whole, _) =
        node::command(Path::new(BINARY), folder.path(), &["status", "--json", "--server", &address])
            .await
            .unwrap();
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert!(!well && whole["well"] == json!(false), "{whole:#}");
    let program = &whole["programs"][0];
    assert_eq!(program["sources"][0]["status"], json!("failing"), "{whole:#}");
    assert_eq!(program["undelivered"][0]["channel"], json!("webhook"), "{whole:#}");
    assert!(program["inputs"].as_array().unwrap().iter().all(|input| input["lag"] == json!(0)), "{whole:#}");
    assert!(node.stop().await.unwrap());
    let (well, page) = status_until(folder.path(), &status, &["gives no answer: "]).await;
    assert!(!well, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_programs_the_one_that_gives_no_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(kafka) = KafkaNode::start(folder.path()).await.unwrap() else { return };
    let mut cluster =
        Cluster::prepare(Path::new(BINARY), folder.path(), &kafka.address, WATCHLIST).await.unwrap();
    for service in ["ingest", "index", "alerts"] {
        cluster.start(service).await.unwrap();
    }
    let nobody = format!("http://{}", free_address().await.unwrap());
    let addresses = ["ingest", "index", "alerts"].map(|service| cluster.address(service));
    let servers = format!("{},{nobody}", addresses.join(","));
    let status = ["status", "--server", &servers];
    let (well, page) = status_until(folder.path(), &status, &["alerts signals 1 0"]).await;
    assert!(!well && page.contains(&format!("{nobody} gives no answer:")), "{page}");
    for (service, address) in ["ingest", "index", "alerts"].iter().zip(&addresses) {
        assert!(page.contains(&format!("{service:<8} answers        {address}")), "{page}");
    }
    cluster.stop(Duration::from_secs(40)).await.unwrap();
}
