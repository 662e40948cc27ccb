//! SIGKILL at random moments: whatever was answered is kept, nothing is counted twice, no alert is missing or
//! doubled. The oracle is computed from the input.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use earshot_alerts::State;
use earshot_common::broker::{Broker, Connection, EmbeddedSettings};
use earshot_common::events::{AlertEvent, SignalRecord, decode};
use earshot_common::topics;
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
const KILLS: usize = 10;

fn binary() -> &'static Path {
    Path::new(BINARY)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_an_import_and_imported_again_every_mention_is_there_once() {
    let mut random = seeded();
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let past = input::past();
    std::fs::write(folder.path().join("past.csv"), &past.csv).unwrap();

    for _ in 0..KILLS {
        let node = Node::up(binary(), folder.path()).await.unwrap();
        let import = ["import", "past.csv", "--server", &node.address];
        // The moment is random on purpose: between the first byte and some while after the last.
        let moment = Duration::from_millis(random.random_range(0..800));
        tokio::select! {
            _ = node::command(binary(), folder.path(), &import) => {}
            () = tokio::time::sleep(moment) => {}
        }
        node.kill().await.unwrap();
    }

    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let import = ["import", "past.csv", "--server", &node.address];
    let (ok, said, noted) = node::command(binary(), folder.path(), &import).await.unwrap();
    assert!(ok, "{said}{noted}");
    watch.until_searchable(past.ids.len() as u64).await.unwrap();
    let found = watch.all_ids("").await.unwrap();
    assert_eq!(found.len(), past.ids.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), past.ids);
    let day = |a: &&Value| a["rule"] == "harbor-day";
    let answer = watch
        .until("/api/alerts?historic=true", |a| {
            a["alerts"].as_array().is_some_and(|a| a.iter().any(|a| day(&a)))
        })
        .await
        .unwrap();
    watch.until_decided().await.unwrap();
    assert_eq!(answer["alerts"].as_array().unwrap().iter().filter(day).count(), 1, "{answer:#}");
    assert!(node.stop().await.unwrap());
    assert_transitions_are_numbered_without_gaps(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_live_burst_every_answered_mention_counts_exactly_once() {
    let mut random = seeded();
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let mut taken = BTreeSet::new();
    let mut n = 0;
    for _ in 0..KILLS {
        let node = Node::up(binary(), folder.path()).await.unwrap();
        let watch = Watch::new(&node.address);
        let moment = tokio::time::Instant::now() + Duration::from_millis(random.random_range(100..1_500));
        while tokio::time::Instant::now() < moment {
            n += 1;
            let mention = live_mention(n, "Harbor Bank app is down, terrible", None);
            // Sent again after the restart where it was not answered, as a sender of webhooks does.
            let answered = tokio::time::timeout_at(
                moment,
                watch.post_signed("test", DOOR_SECRET, &n.to_string(), &mention),
            )
            .await;
            match answered {
                Ok(Ok(true)) => {
                    taken.insert(format!("test:live-{n}"));
                }
                _ => n -= 1,
            }
        }
        node.kill().await.unwrap();
    }
    // One more start, so that what was in hand is done. The mention that got no answer is sent again, and the
    // burst must be large enough to alert.
    let last = n;
    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    while taken.len() < 60 || n == last {
        n += 1;
        let mention = live_mention(n, "Harbor Bank app is down, terrible", None);
        assert!(watch.post_signed("test", DOOR_SECRET, &n.to_string(), &mention).await.unwrap());
        taken.insert(format!("test:live-{n}"));
    }
    watch.until_searchable(taken.len() as u64).await.unwrap();
    let found = watch.all_ids("").await.unwrap();
    assert_eq!(found.len(), taken.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), taken);
    watch.until_decided().await.unwrap();
    let answer = watch.get("/api/alerts").await.unwrap();
    let hours: BTreeSet<&str> = answer["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|a| a["rule"] == "harbor-hour")
        .map(|a| a["id"].as_str().unwrap())
        .collect();
    assert_eq!(hours.len(), 1, "one situation is one alert: {answer:#}");
    assert!(node.stop().await.unwrap());

    let counted = live_mentions_counted(folder.path()).await;
    assert_eq!(counted, taken.len() as u64, "each signal is counted once");
    assert_transitions_are_numbered_without_gaps(folder.path()).await;
}

/// A new seed each time, printed so that a failure can be repeated with `EARSHOT_TEST_SEED`.
fn seeded() -> StdRng {
    let seed = match std::env::var("EARSHOT_TEST_SEED") {
        Ok(seed) => seed.parse().expect("EARSHOT_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    eprintln!("EARSHOT_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

async fn open(folder: &Path) -> Broker {
    let connection = Connection::Embedded(EmbeddedSettings { folder: folder.join("data/log") });
    Broker::open(&connection, &topics::ALL).await.unwrap()
}

/// What the fold has counted for the brand, by folding the log from its start as the service does.
async fn live_mentions_counted(folder: &Path) -> u64 {
    let mut state = State::new();
    open(folder)
        .await
        .replay(&topics::SIGNALS, |record| {
            let signal: SignalRecord = decode(&record.value).unwrap();
            state.apply(record.offset, record.appended, &signal);
        })
        .await
        .unwrap();
    state.counted("harbor")
}

/// Of each alert the transitions are 1, 2, 3 … and it opened once.
async fn assert_transitions_are_numbered_without_gaps(folder: &Path) {
    let mut next = std::collections::BTreeMap::new();
    open(folder)
        .await
        .replay(&topics::ALERTS, |record| {
            let event: AlertEvent = decode(&record.value).unwrap();
            let wanted = next.entry(event.alert).or_insert(1);
            assert_eq!(event.sequence, *wanted, "{}: {}", event.alert, json!(event.transition));
            *wanted += 1;
        })
        .await
        .unwrap();
    assert!(!next.is_empty());
}
