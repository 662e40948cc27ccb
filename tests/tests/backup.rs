//! `earshot backup` and `earshot restore`: a backup that is taken under load comes back elsewhere as it was, and
//! a restore never harms what is there.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::path::Path;

use earshot_common::broker::{Broker, Connection, EmbeddedSettings, NewRecord, Record};
use earshot_common::settings::Settings;
use earshot_common::topics::{ALERTS, ALL, ERASURES, SOURCE_STATE, Topic, WATCHLIST};
use earshot_tests::cluster::KafkaNode;
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST as WATCHED, live_mention};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

fn binary() -> &'static Path {
    Path::new(BINARY)
}

/// Runs a command that must succeed; answers what it said.
async fn done(folder: &Path, arguments: &[&str]) -> String {
    let (ok, said, noted) = node::command(binary(), folder, arguments).await.unwrap();
    assert!(ok, "{arguments:?}: {said}{noted}");
    said
}

/// Runs a command that must fail; answers its message.
async fn refused(folder: &Path, arguments: &[&str]) -> String {
    let (ok, said, noted) = node::command(binary(), folder, arguments).await.unwrap();
    assert!(!ok, "{arguments:?} must not succeed: {said}{noted}");
    noted
}

/// The version that the watchlist stands at, as `apply` says when nothing changed.
async fn watchlist_version(folder: &Path, node: &Node) -> String {
    done(folder, &["apply", "--server", &node.address]).await
}

async fn alerts(watch: &Watch) -> BTreeSet<String> {
    let answer = watch.get("/api/alerts").await.unwrap();
    answer["alerts"].as_array().unwrap().iter().map(Value::to_string).collect()
}

async fn open_log(data: &Path) -> Broker {
    let folder = data.join("log");
    Broker::open(&Connection::Embedded(EmbeddedSettings { folder }), &ALL).await.unwrap()
}

async fn records(broker: &Broker, topic: &Topic) -> Vec<Record> {
    let mut records = Vec::new();
    drop(broker.replay(topic, |record| records.push(record)).await.unwrap());
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_under_load_comes_back_elsewhere_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    input::write_settings(&home, WATCHED, "").unwrap();
    let past = input::past();
    std::fs::write(home.join("past.csv"), &past.csv).unwrap();
    let node = Node::up(binary(), &home).await.unwrap();
    let watch = Watch::new(&node.address);
    done(&home, &["import", "past.csv", "--server", &node.address]).await;
    watch.until_searchable(past.ids.len() as u64).await.unwrap();
    watch.until_decided().await.unwrap();
    let before = alerts(&watch).await;
    assert!(!before.is_empty(), "the past had a crisis");

    // Mentions come in while the backup is taken; the same text again and again raises no alert by authors.
    let backup = folder.path().join("backup");
    let (counted, mut taken) = tokio::sync::watch::channel(0);
    let load = async {
        loop {
            let n = *counted.borrow();
            let mut mention = live_mention(n, "Harbor Bank once more", None);
            mention["author"]["name"] = "one and the same".into();
            mention["author"]["handle"] = "same".into();
            if watch.post_signed("test", DOOR_SECRET, &n.to_string(), &mention).await.unwrap() {
                counted.send_replace(n + 1);
            }
        }
    };
    let backing_up = async {
        taken.wait_for(|taken| *taken >= 30).await.unwrap();
        done(&home, &["backup", backup.to_str().unwrap()]).await
    };
    tokio::select! {
        () = load => {}
        said = backing_up => assert!(said.contains("wrote "), "{said}"),
    }
    let version = watchlist_version(&home, &node).await;
    assert!(node.stop().await.unwrap());

    for file in ["log.sqlite3", "secret", "settings/earshot.toml", "topics/alerts.jsonl", "manifest.json"] {
        assert_private(&backup.join(file));
    }

    // Elsewhere there is nothing: settings, watchlist, secret and log come from the backup.
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    done(&elsewhere, &["restore", backup.to_str().unwrap()]).await;
    for file in ["earshot.toml", "watchlist.toml", "data/secret"] {
        let (ours, theirs) = (home.join(file), elsewhere.join(file));
        assert_eq!(std::fs::read(ours).unwrap(), std::fs::read(theirs).unwrap(), "{file}");
    }
    assert_private(&elsewhere.join("data/secret"));
    let node = Node::up(binary(), &elsewhere).await.unwrap();
    let watch = Watch::new(&node.address);
    watch.until("/api/status", |status| status["up_to_date"] == Value::Bool(true)).await.unwrap();
    watch.until_decided().await.unwrap();
    let found: BTreeSet<String> = watch.all_ids("").await.unwrap().into_iter().collect();
    assert!(found.is_superset(&past.ids), "all that was there before the backup began");
    // What came in meanwhile is there without a gap, up to the moment of the copy.
    let live = found.len() - past.ids.len();
    assert!(live >= 30, "{live}");
    let wanted: BTreeSet<String> = (0..live).map(|n| format!("test:live-{n}")).collect();
    assert_eq!(found.difference(&past.ids).cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(alerts(&watch).await, before);
    assert_eq!(watchlist_version(&elsewhere, &node).await, version);
    assert!(node.stop().await.unwrap());
}

fn assert_private(file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_refused_where_it_would_harm_and_carries_erasures_over() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    input::write_settings(home, WATCHED, "").unwrap();
    let no_log = refused(home, &["backup", "early"]).await;
    assert!(no_log.contains("there is no log"), "{no_log}");
    let node = Node::up(binary(), home).await.unwrap();
    done(home, &["backup", "backup"]).await;
    let there = refused(home, &["backup", "backup"]).await;
    assert!(there.contains("create the folder backup"), "{there}");

    let in_use = refused(home, &["restore", "backup", "--replace"]).await;
    assert!(in_use.contains("another earshot process uses this folder"), "{in_use}");
    // A kill leaves the log's last records in the write-ahead log.
    node.kill().await.unwrap();
    let not_empty = refused(home, &["restore", "backup"]).await;
    assert!(
        not_empty.contains("data/log is there already") && not_empty.contains("--replace"),
        "{not_empty}"
    );

    let erasure = NewRecord::keyed("5b1e", r#"{"v":1}"#);
    {
        let log = open_log(&home.join("data")).await;
        log.append_durably(&ERASURES, vec![erasure.clone()]).await.unwrap();
    }
    for file in ["log.sqlite3", "topics/watchlist.jsonl", "secret", "settings/earshot.toml"] {
        let path = home.join("backup").join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&path, bad).unwrap();
        let message = refused(home, &["restore", "backup", "--replace"]).await;
        assert!(message.contains(&format!("backup/{file} has changed")), "{message}");
        std::fs::write(&path, good).unwrap();
    }

    let said = done(home, &["restore", "backup", "--replace"]).await;
    assert!(said.contains("carried over 1 erasures") && said.contains("data/replaced-"), "{said}");
    let log = open_log(&home.join("data")).await;
    let carried = records(&log, &ERASURES).await;
    assert_eq!(carried.len(), 1);
    assert_eq!((&carried[0].key, &carried[0].value), (&erasure.key, &erasure.value));
    drop(log);

    // A log that cannot be read does not say who was erased: somebody else must.
    done(home, &["backup", "later"]).await;
    std::fs::write(home.join("data/log/log.sqlite3"), "broken, and long enough to be read as a file")
        .unwrap();
    let message = refused(home, &["restore", "backup", "--replace"]).await;
    assert!(message.contains("--erasures FILE"), "{message}");
    let arguments = ["restore", "backup", "--replace", "--erasures", "later/topics/erasures.jsonl"];
    assert!(done(home, &arguments).await.contains("carried over 1 erasures"));

    // Keys of authors mean nobody under another secret.
    std::fs::write(home.join("data/secret"), format!("{}\n", "0".repeat(64))).unwrap();
    let message = refused(home, &["restore", "backup", "--replace"]).await;
    assert!(message.contains("another secret than the backup's"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_what_is_kept_for_ever_comes_back_record_by_record() {
    let folder = tempfile::tempdir().unwrap();
    let Some(kafka) = KafkaNode::start(folder.path()).await.unwrap() else { return };
    let home = |prefix: &str| {
        let home = folder.path().join(prefix);
        std::fs::create_dir_all(home.join("data")).unwrap();
        let more =
            format!("[kafka]\nbootstrap_servers = \"{}\"\ntopic_prefix = \"{prefix}.\"\n", kafka.address);
        input::write_settings(&home, WATCHED, &more).unwrap();
        std::fs::write(home.join("data/secret"), format!("{}\n", "5".repeat(64))).unwrap();
        home
    };
    let (first, second, third) = (home("first"), home("second"), home("third"));
    let open = async |home: &Path| {
        let settings = Settings::load(&home.join("earshot.toml")).unwrap();
        Broker::open(&settings.connection(), &ALL).await.unwrap()
    };
    let nothing = refused(&first, &["backup", "../nothing"]).await;
    assert!(nothing.contains("`kafka.topic_prefix`"), "{nothing}");
    let broker = open(&first).await;
    let many =
        (0..2_500).map(|n| NewRecord::keyed(format!("subject/{}", n % 7), format!("version {n}"))).collect();
    broker.append_durably(&WATCHLIST, many).await.unwrap();
    let odd = NewRecord {
        headers: vec![("bytes".to_owned(), vec![0xff, 0x00].into())],
        ..NewRecord::keyed(vec![0xc3], vec![0xfe, b'"'])
    };
    broker.append_durably(&ALERTS, vec![odd, NewRecord::unkeyed("without a key")]).await.unwrap();
    let states = (0..20).map(|n| NewRecord::keyed(format!("source-{}", n % 10), format!("{n}"))).collect();
    broker.append_durably(&SOURCE_STATE, states).await.unwrap();
    broker
        .append_durably(&ERASURES, vec![NewRecord::keyed("ann", "early"), NewRecord::keyed("ann", "late")])
        .await
        .unwrap();
    done(&first, &["backup", "../backup"]).await;

    let said = done(&second, &["restore", "../backup"]).await;
    assert!(said.contains("2500 of 2500 records"), "{said}");
    let again = done(&second, &["restore", "../backup"]).await;
    assert!(again.contains("0 of 2500 records") && again.contains("0 of 10 keys"), "{again}");
    let restored = open(&second).await;
    let timeless = |mut records: Vec<Record>| {
        records.iter_mut().for_each(|record| record.appended = Default::default());
        records
    };
    for topic in [WATCHLIST, ALERTS] {
        let (ours, theirs) = (records(&broker, &topic).await, records(&restored, &topic).await);
        assert_eq!(timeless(ours), timeless(theirs), "{}", topic.name);
    }
    let newest = |records: Vec<Record>| {
        let pairs = records.into_iter().map(|record| ((record.partition, record.key), record.value));
        pairs.collect::<std::collections::BTreeMap<_, _>>()
    };
    for topic in [SOURCE_STATE, ERASURES] {
        let (ours, theirs) = (records(&broker, &topic).await, records(&restored, &topic).await);
        assert_eq!(newest(ours), newest(theirs), "{}", topic.name);
    }

    // A watchlist of its own is left alone, and so is everything beside it.
    let other = open(&third).await;
    other.append_durably(&WATCHLIST, vec![NewRecord::keyed("subject/0", "another")]).await.unwrap();
    let message = refused(&third, &["restore", "../backup"]).await;
    assert!(message.contains("`watchlist` holds at offset 0"), "{message}");
    assert!(records(&other, &ALERTS).await.is_empty());
    std::fs::write(third.join("data/secret"), format!("{}\n", "6".repeat(64))).unwrap();
    let message = refused(&third, &["restore", "../backup"]).await;
    assert!(message.contains("is another than the backup's"), "{message}");
}
