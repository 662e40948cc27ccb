//! Bad days of one machine: a full disk, a clock that is set back, a receiver that does not answer. Nothing is
//! lost, nothing is doubled, health says what is wrong, and all goes on by itself.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use earshot_tests::clock::FakeClock;
use earshot_tests::disk::SmallDisk;
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::node::Node;
use earshot_tests::receiver::Receiver;
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
/// Too much for what is left of a small disk after a few of them.
const LONG_TEXT_BYTES: usize = 60_000;

/// Posts mentions, each of which must be taken, and answers their ids.
async fn post(watch: &Watch, numbers: std::ops::Range<u32>, text: &str) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    for n in numbers {
        let mention = live_mention(n, text, None);
        assert!(watch.post_signed("test", DOOR_SECRET, &n.to_string(), &mention).await.unwrap(), "{n}");
        taken.insert(format!("test:live-{n}"));
    }
    taken
}

async fn assert_found(watch: &Watch, wanted: &BTreeSet<String>) {
    watch.until_searchable(wanted.len() as u64).await.unwrap();
    let found = watch.all_ids("").await.unwrap();
    assert_eq!(found.len(), wanted.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), *wanted);
}

/// Live alerts of a rule.
async fn alerts_of(watch: &Watch, rule: &str) -> usize {
    let answer = watch.get("/api/alerts").await.unwrap();
    let live = |a: &&Value| a["rule"] == rule && a["historic"] == json!(false);
    answer["alerts"].as_array().unwrap().iter().filter(live).count()
}

async fn until_well(watch: &Watch) {
    watch.until("/api/health", |health| health["troubles"] == json!([])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_index_is_said_and_the_index_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("data/index"), 24).unwrap() else { return };
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let mut wanted = post(&watch, 1..20, "Harbor Bank app is down, terrible").await;
    assert_found(&watch, &wanted).await;

    disk.fill().unwrap();
    wanted.extend(post(&watch, 20..60, "Harbor Bank app is down, terrible").await);
    watch.until("/api/health", |health| health["troubles"].to_string().contains("make room")).await.unwrap();
    // The rest of the house goes on: what was posted meanwhile is decided.
    watch.until_decided().await.unwrap();
    assert_eq!(alerts_of(&watch, "harbor-hour").await, 1);

    disk.make_room().unwrap();
    assert_found(&watch, &wanted).await;
    until_well(&watch).await;
    assert!(node.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_embedded_log_refuses_mentions_and_keeps_those_that_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("data"), 48).unwrap() else { return };
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let mut wanted = post(&watch, 1..20, "Harbor Bank app is down, terrible").await;
    assert_found(&watch, &wanted).await;

    disk.fill().unwrap();
    // What the log has allotted already takes some more.
    let long = "Harbor Bank is down. ".repeat(LONG_TEXT_BYTES / 21);
    let mut n = 20;
    while watch.post_signed("test", DOOR_SECRET, &n.to_string(), &live_mention(n, &long, None)).await.unwrap()
    {
        wanted.insert(format!("test:live-{n}"));
        n += 1;
        assert!(n < 1_000, "the disk does not fill");
    }
    disk.make_room().unwrap();
    wanted.extend(post(&watch, n..n + 20, "Harbor Bank app is down, terrible").await);
    assert_found(&watch, &wanted).await;
    watch.until_decided().await.unwrap();
    assert_eq!(alerts_of(&watch, "harbor-hour").await, 1);
    until_well(&watch).await;
    assert!(node.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_by_an_hour_loses_nothing_doubles_no_alert_and_stops_no_timer() {
    const BACK_S: i64 = 3_600;
    let folder = tempfile::tempdir().unwrap();
    let Some(clock) = FakeClock::find(folder.path()).unwrap() else { return };
    let people = Receiver::start(Duration::ZERO, 1).await.unwrap();
    let watchlist = WATCHLIST.replace("log = true", "webhook = [\"people\"]");
    let settings = format!("[alerts.webhooks.people]\nurl = \"{}\"\n", people.url);
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();
    let node = clock.up(BINARY, folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let text = "Harbor Bank app is down, terrible";
    let mut wanted = post(&watch, 1..40, text).await;
    // The first message is refused for now, and waits for its next attempt when the clock is set.
    let start = Instant::now();
    while people.posts() == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "nobody was told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clock.set_ahead(-BACK_S).unwrap();
    for n in 40..80 {
        let now = jiff::Timestamp::now().as_second() - BACK_S;
        let mention = live_mention(n, text, None);
        let status = watch.post_signed_at(now, "test", DOOR_SECRET, &n.to_string(), &mention).await.unwrap();
        assert!(status.is_success(), "{n}: {status}");
        wanted.insert(format!("test:live-{n}"));
    }
    assert_found(&watch, &wanted).await;
    people.until_taken(1).await.unwrap();
    watch.until_decided().await.unwrap();
    assert_eq!(alerts_of(&watch, "harbor-hour").await, 1);
    let repeated: Vec<_> = people.taken().into_iter().filter(|(_, times)| *times > 1).collect();
    assert_eq!(repeated, [], "no message is doubled");
    assert!(node.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_holds_up_neither_the_fold_nor_other_receivers() {
    let folder = tempfile::tempdir().unwrap();
    let silent = Receiver::start(Duration::from_secs(3_600), 0).await.unwrap();
    let people = Receiver::start(Duration::ZERO, 0).await.unwrap();
    let watchlist = WATCHLIST.replace("severity = 8\nroute = \"comms\"", "severity = 8\nroute = \"silent\"")
        + "webhook = [\"people\"]\n[[route]]\nid = \"silent\"\nwebhook = [\"silent\"]\n";
    let settings = format!(
        "[alerts.webhooks.silent]\nurl = \"{}\"\n[alerts.webhooks.people]\nurl = \"{}\"\n",
        silent.url, people.url
    );
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let strong = live_mention(1, "Jordan Vale is a terrible, horrible, disgusting fraud", Some(20_000));
    assert!(watch.post_signed("test", DOOR_SECRET, "1", &strong).await.unwrap());
    silent.until_taken(1).await.unwrap();

    let start = Instant::now();
    post(&watch, 2..60, "Harbor Bank app is down, terrible").await;
    people.until_taken(1).await.unwrap();
    watch.until_decided().await.unwrap();
    // An attempt at the silent one ends after fifteen seconds only.
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    let waiting = watch.text("/metrics").await.unwrap();
    assert!(
        waiting.contains("earshot_alerts_undelivered 1"),
        "the silent one's message is still to be delivered"
    );
    assert!(node.stop().await.unwrap());
}
