//! An author is exported and erased, and nothing brings them back: not the same file again, not a dead letter
//! that is driven again, not a restart, not a backup of before, not an index that is made anew.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use earshot_common::broker::{Broker, Connection, EmbeddedSettings, NewRecord, Record};
use earshot_common::events::{DeletionReason, EnrichedEvent, decode};
use earshot_common::topics::{self, DEAD_LETTERS, ERASURES, MENTIONS_ENRICHED, MENTIONS_RAW, Topic};
use earshot_tests::cluster::{Cluster, KafkaNode};
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

/// Has two good rows and a bad one in the file of the past.
const WRITER: &str = "writer97";
const AUTHOR: &str = "import:writer97";
/// How an id of that author begins that no row has.
const ODD: &str = "import:past.csv:odd";

fn binary() -> &'static Path {
    Path::new(BINARY)
}

/// A running system with its folder, asked by commands as an operator does.
struct Bench<'f> {
    folder: &'f Path,
    node: Node,
    watch: Watch,
}

impl<'f> Bench<'f> {
    async fn up(folder: &'f Path) -> Self {
        let node = Node::up(binary(), folder).await.unwrap();
        let watch = Watch::new(&node.address);
        Self { folder, node, watch }
    }

    async fn command(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut all = arguments.to_vec();
        all.extend(["--server", &self.node.address]);
        node::command(binary(), self.folder, &all).await.unwrap()
    }

    async fn import(&self) {
        let (ok, said, noted) = self.command(&["import", "past.csv"]).await;
        assert!(ok, "{said}{noted}");
    }

    async fn exported(&self) -> Vec<Value> {
        let (ok, lines, noted) = self.command(&["export", "--author", AUTHOR]).await;
        assert!(ok, "{noted}");
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Everything is judged and indexed, so many mentions stand, and none of the author's.
    async fn assert_author_is_away(&self, documents: usize) {
        settled(&self.watch).await;
        assert_eq!(self.watch.get("/api/status").await.unwrap()["documents"], json!(documents));
        assert_eq!(self.exported().await, Vec::<Value>::new());
        let by_author: Vec<String> =
            self.watch.all_ids("").await.unwrap().into_iter().filter(|id| is_authors(id)).collect();
        assert_eq!(by_author, Vec::<String>::new());
        let refusal = self.watch.get("/api/mentions/import:past.csv:247").await.unwrap_err().to_string();
        assert!(refusal.contains("404"), "{refusal}");
    }

    async fn stop(self) {
        assert!(self.node.stop().await.unwrap());
    }
}

/// Waits until enrich has done all of `mentions.raw`, and the index all that came of it.
async fn settled(watch: &Watch) {
    let done = |health: &Value| {
        let inputs = health["inputs"].as_array().unwrap();
        let mut raw = inputs.iter().filter(|input| input["stage"] == "enrich").peekable();
        raw.peek().is_some() && raw.all(|input| input["lag"] == json!(0))
    };
    watch.until("/api/health", done).await.unwrap();
    watch.until("/api/status", |status| status["up_to_date"] == json!(true)).await.unwrap();
}

fn is_authors(id: &str) -> bool {
    [ODD, "import:past.csv:247", "import:past.csv:397"].iter().any(|authors| id.starts_with(authors))
}

async fn log_in(folder: &Path) -> Broker {
    let settings = EmbeddedSettings { folder: folder.join("data/log") };
    Broker::open(&Connection::Embedded(settings), &topics::ALL).await.unwrap()
}

async fn records(broker: &Broker, topic: &Topic) -> Vec<Record> {
    let mut records = Vec::new();
    broker.replay(topic, |record| records.push(record)).await.unwrap();
    records
}

/// A mention as a source sends it.
fn raw(id: &str, author: &str, text: &str) -> Value {
    json!({
        "v": 1, "kind": "upsert", "id": id, "revision": 1, "origin": "history",
        "source": {"id": "import:past.csv", "network": "import"}, "text": text, "author": {"id": author},
        "published": "2026-03-01T00:00:00.000Z", "collected": "2026-03-01T00:00:00.000Z"
    })
}

/// The letter of a mention that an older program could not read, and this one can.
fn letter(mention: &Value) -> NewRecord {
    let headers =
        [("service", "enrich"), ("kind", "newer_version"), ("reason", "schema version 1 is too new")];
    let from = [("topic", "mentions.raw"), ("partition", "0"), ("offset", "0")];
    let header = |(name, text): (&str, &'static str)| (name.to_owned(), Bytes::from_static(text.as_bytes()));
    NewRecord {
        partition: Some(0),
        key: Some(Bytes::from(mention["id"].as_str().unwrap().to_owned())),
        value: Bytes::from(mention.to_string()),
        headers: headers.into_iter().chain(from).map(header).collect(),
    }
}

/// Runs a command that needs no running system, and must succeed.
async fn earshot(folder: &Path, arguments: &[&str]) {
    let (ok, said, noted) = node::command(binary(), folder, arguments).await.unwrap();
    assert!(ok, "{arguments:?}: {said}{noted}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_author_stays_away_whatever_comes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    input::write_settings(folder, WATCHLIST, "").unwrap();
    let past = input::past();
    std::fs::write(folder.join("past.csv"), &past.csv).unwrap();
    let of_author = past.csv.lines().filter(|line| line.contains(&format!(",{WRITER},"))).count();
    let found = past.ids.iter().filter(|id| is_authors(id)).count();
    assert_eq!((of_author, found), (3, 2), "two good rows and a bad one");
    {
        // One that is rejected for its size, one for a field, and two letters that can be driven again.
        let broker = log_in(folder).await;
        let too_large = raw(&format!("{ODD}:1"), AUTHOR, &"Harbor ".repeat(20_000));
        let mut unreadable = raw(&format!("{ODD}:2"), AUTHOR, "Harbor");
        unreadable["revision"] = json!("first");
        let rejected = [too_large, unreadable]
            .map(|mention| NewRecord::keyed(mention["id"].as_str().unwrap().to_owned(), mention.to_string()));
        broker.append_durably(&MENTIONS_RAW, rejected.to_vec()).await.unwrap();
        let letters = [raw(&format!("{ODD}:3"), AUTHOR, "Harbor"), raw("import:bo", "import:bo", "Harbor")];
        broker.append_durably(&DEAD_LETTERS, letters.iter().map(letter).collect()).await.unwrap();
    }

    // As it is before, and what is put aside then.
    let bench = Bench::up(folder).await;
    bench.import().await;
    bench.watch.until_searchable(past.ids.len() as u64).await.unwrap();
    settled(&bench.watch).await;
    let exported = bench.exported().await;
    assert_eq!(exported.len(), found);
    assert!(exported[0]["published"].as_str() > exported[1]["published"].as_str(), "newest first");
    assert!(
        exported.iter().all(|mention| mention["author"]["id"] == AUTHOR && mention["sentiment"].is_object())
    );
    let letters = bench.watch.get("/api/dead-letters?limit=100").await.unwrap();
    let of_all = letters["letters"].as_array().unwrap();
    assert_eq!(of_all.len(), 4 + past.bad_lines.len());
    let kept = tempfile::tempdir().unwrap();
    let (snapshot, backup) = (kept.path().join("snapshot"), kept.path().join("backup"));
    earshot(folder, &["backup", backup.to_str().unwrap()]).await;
    bench.stop().await;
    copy(&folder.join("data"), &snapshot);

    let bench = Bench::up(folder).await;
    let (ok, said, noted) = bench.command(&["erase", "--author", WRITER]).await;
    assert!(!ok && noted.contains("names no network"), "{said}{noted}");
    let (ok, said, noted) = bench.command(&["erase", "--author", AUTHOR]).await;
    assert!(
        ok && said.contains("erased: 2 mentions")
            && said.contains("mentions.raw: what sources sent, for 7 days"),
        "{said}{noted}"
    );
    let left = past.ids.len() - found;
    assert_eq!(
        bench.watch.get("/api/search").await.unwrap()["total"],
        json!(left),
        "when the command ends, it is so"
    );
    bench.assert_author_is_away(left).await;
    let (ok, said, _) = bench.command(&["erase", "--author", "import:nobody", "--no-wait"]).await;
    assert!(ok && said.contains("0 mentions"), "{said}");

    // The same file again.
    bench.import().await;
    bench.assert_author_is_away(left).await;

    // The dead letters: nothing of the author's is told or driven again; somebody else's is.
    let letters = bench.watch.get("/api/dead-letters?limit=100").await.unwrap();
    let erased: Vec<&Value> = letters["letters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|letter| letter["erased"] == json!(true))
        .collect();
    // Two that were rejected, one that was put there, and the bad row of each import.
    assert_eq!(erased.len(), 5, "{letters:#}");
    for letter in &erased {
        let offset = letter["offset"].to_string();
        let (ok, shown, _) = bench.command(&["dead-letters", "show", &offset]).await;
        assert!(ok && shown.contains("its author was erased"), "{shown}");
        assert!(!shown.contains("Harbor") && !shown.contains(WRITER), "{shown}");
        let (ok, said, noted) = bench.command(&["dead-letters", "redrive", &offset]).await;
        assert!(!ok && noted.contains("its author was erased"), "{said}{noted}");
    }
    let (ok, said, noted) = bench.command(&["dead-letters", "redrive", "--kind", "newer_version"]).await;
    assert!(ok && said.contains("1 letter driven again: 1 to mentions.raw"), "{said}{noted}");
    bench.watch.until_searchable(left as u64 + 1).await.unwrap();
    // Twice is harmless.
    let (ok, said, noted) = bench.command(&["dead-letters", "redrive", "--all"]).await;
    assert!(
        ok && said.contains("1 letter driven again") && noted.contains("import the file again"),
        "{said}{noted}"
    );
    let left = left + 1;
    bench.assert_author_is_away(left).await;
    let (_, list, _) = bench.command(&["dead-letters", "list", "--limit", "200"]).await;
    assert_eq!(
        list.lines().count(),
        1 + letters["letters"].as_array().unwrap().len(),
        "no new letter: {list}"
    );
    assert!(!list.contains(WRITER), "{list}");
    bench.stop().await;

    // A restart, and an index that is made anew from the topic.
    let bench = Bench::up(folder).await;
    bench.assert_author_is_away(left).await;
    bench.stop().await;
    std::fs::remove_dir_all(folder.join("data/index")).unwrap();
    let bench = Bench::up(folder).await;
    bench.assert_author_is_away(left).await;
    bench.stop().await;

    // A backup of before: what replaces the log takes its erasures along.
    earshot(folder, &["restore", backup.to_str().unwrap(), "--replace"]).await;
    let bench = Bench::up(folder).await;
    bench.assert_author_is_away(past.ids.len() - found).await;
    bench.stop().await;

    // A snapshot of the disk, index and all, together with the erasures.
    let erasures = records(&log_in(folder).await, &ERASURES).await;
    std::fs::remove_dir_all(folder.join("data")).unwrap();
    copy(&snapshot, &folder.join("data"));
    let again =
        erasures.into_iter().map(|record| NewRecord::keyed(record.key.unwrap(), record.value)).collect();
    log_in(folder).await.append_durably(&ERASURES, again).await.unwrap();
    let bench = Bench::up(folder).await;
    let total = bench.watch.get("/api/search").await.unwrap()["total"].clone();
    assert_eq!(total, json!(past.ids.len() - found), "from the first answer on");
    bench.assert_author_is_away(past.ids.len() - found).await;
    bench.stop().await;

    // What compaction would leave of the author, whatever is restored from it later.
    let mut newest = BTreeMap::new();
    for record in records(&log_in(folder).await, &MENTIONS_ENRICHED).await {
        newest.insert(record.key_lossy(), record.value);
    }
    let of_author: Vec<EnrichedEvent> = newest
        .into_iter()
        .filter(|(id, _)| is_authors(id))
        .map(|(_, value)| decode(&value).unwrap())
        .collect();
    assert_eq!(of_author.len(), found);
    for event in of_author {
        let EnrichedEvent::Delete { deletion, .. } = event else { panic!("a text is left: {event:?}") };
        assert_eq!(deletion.reason, DeletionReason::Erased);
    }
    let log = std::fs::read_to_string(folder.join("node.log")).unwrap();
    assert!(!log.contains(WRITER), "no log spells the name");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_an_erased_author_leaves_every_index_and_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let Some(kafka) = KafkaNode::start(folder.path()).await.unwrap() else { return };
    let mut cluster = Cluster::prepare(binary(), folder.path(), &kafka.address, WATCHLIST).await.unwrap();
    for service in ["ingest", "enrich", "index", "index"] {
        cluster.start(service).await.unwrap();
    }
    let index = Watch::new(&cluster.address("index"));
    let ann = live_mention(1, "Harbor Bank, a secret", None);
    for mention in [&ann, &live_mention(2, "Harbor Bank, another", None)] {
        cluster.post_until_taken(mention, DOOR_SECRET).await.unwrap();
    }
    index.until_searchable(2).await.unwrap();
    let server = cluster.address("index");
    let erase = ["erase", "--author", "test:live1", "--server", &server];
    let (ok, said, noted) = node::command(binary(), folder.path(), &erase).await.unwrap();
    assert!(ok && said.contains("erased: 1 mention"), "{said}{noted}");
    index.until_searchable(1).await.unwrap();

    // It comes again, and another word behind it.
    cluster.post_until_taken(&ann, DOOR_SECRET).await.unwrap();
    cluster.post_until_taken(&live_mention(3, "Harbor Bank, a later word", None), DOOR_SECRET).await.unwrap();
    index.until("/api/search?q=later", |found| found["total"] == json!(1)).await.unwrap();
    let export = ["export", "--author", "test:live1", "--server", &server];
    let (ok, lines, noted) = node::command(binary(), folder.path(), &export).await.unwrap();
    assert!(ok && lines.is_empty() && noted.contains("0 mentions"), "{lines}{noted}");
    // The other index took its own from the same topic.
    let second = Watch::new(&cluster.last_address("index"));
    second.until_searchable(2).await.unwrap();
    assert_eq!(second.get("/api/search?q=secret").await.unwrap()["total"], json!(0));
    cluster.stop(Duration::from_secs(40)).await.unwrap();
}
