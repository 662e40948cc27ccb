//! The stage on an index in memory and a log in a folder.

use earshot_common::broker::{Connection, EmbeddedSettings};
use earshot_common::events::MentionEvent;
use earshot_common::keys::AuthorKey;
use earshot_common::time::Timestamp;
use earshot_common::topics;
use prometheus::Registry;
use tantivy::directory::RamDirectory;
use tempfile::TempDir;

use super::*;
use crate::fixtures::{delete, mention, upsert, version};
use crate::search::by_id;

/// A stage and what surrounds it.
struct Bench {
    stage: IndexStage,
    committed: watch::Receiver<Committed>,
    erased: watch::Sender<Arc<Erased>>,
    broker: Broker,
    _folder: TempDir,
}

impl Bench {
    async fn new(directory: &RamDirectory) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings { folder: folder.path().to_owned() };
        let broker = Broker::open(&Connection::Embedded(settings), &topics::ALL).await.unwrap();
        let (sender, committed) = watch::channel(Committed::default());
        let (erased, erasures) = watch::channel(Arc::default());
        let registry = Registry::new();
        let pipeline = earshot_common::metrics::Metrics::declare(&registry).unwrap();
        let parts = Parts {
            store: Store::in_directory(directory.clone()).unwrap(),
            broker: broker.clone(),
            secret: secret(),
            erased: erasures,
            commit_interval: Duration::from_millis(500),
            clock: Clock::system(),
            metrics: Metrics::declare(&registry, pipeline).unwrap(),
            committed: sender,
        };
        let stage = IndexStage::open(parts, CancellationToken::new()).unwrap();
        Self { stage, committed, erased, broker, _folder: folder }
    }

    async fn take(&mut self, from: u64, values: &[Vec<u8>]) {
        for (value, offset) in values.iter().zip(from..) {
            let fate = self.stage.process(&record(offset, value.clone()));
            assert!(!matches!(fate, Fate::Failed(_) | Fate::Rejected(_)), "{fate:?}");
        }
        self.stage.settle(&[]).await.unwrap();
    }

    /// Waits until a commit is due, and answers all that was ever said again behind one.
    async fn said_again(&mut self) -> Vec<Record> {
        tokio::time::sleep_until(self.stage.commit_due().unwrap()).await;
        self.stage.tick(&[]).await.unwrap();
        let mut again = Vec::new();
        self.broker.replay(&MENTIONS_ENRICHED, |record| again.push(record)).await.unwrap();
        again
    }

    fn text(&self, id: &str) -> Option<String> {
        by_id(&self.stage.parts.store, id).unwrap().map(|found: Enriched| found.mention.text)
    }

    /// Asks for the erasure of an author, as the topic tells it.
    fn erase(&self, author: AuthorKey, offset: u64) {
        let at = Timestamp::from_millis(offset as i64);
        let value = encode(&earshot_common::events::Erasure { v: Default::default(), author, at });
        self.erased.send_modify(|erased| Arc::make_mut(erased).take(&record(offset, value)).unwrap());
    }

    async fn carry_out(&mut self) {
        while self.stage.erase_some().await.unwrap() {}
    }

    /// The deletions in `mentions.raw` by id, revision and reason, in the order of ids.
    async fn deletions(&self) -> Vec<(String, i64, DeletionReason)> {
        let mut deletions = Vec::new();
        let take = |record: Record| match decode::<MentionEvent>(&record.value).unwrap() {
            MentionEvent::Delete(end) => deletions.push((end.id, end.revision, end.reason)),
            MentionEvent::Upsert(mention) => panic!("no mention is appended here: {}", mention.id),
        };
        self.broker.replay(&MENTIONS_RAW, take).await.unwrap();
        deletions.sort_by(|a, b| a.0.cmp(&b.0));
        deletions
    }
}

fn secret() -> Secret {
    Secret::from_bytes([7; 32])
}

/// The author of every mention of the fixtures.
fn ann() -> AuthorKey {
    secret().author("hackernews:ann")
}

fn by(mut mention: Enriched, author: &str) -> Enriched {
    mention.mention.author.as_mut().unwrap().id = author.to_owned();
    mention
}

fn record(offset: u64, value: Vec<u8>) -> Record {
    Record {
        partition: 0,
        offset,
        appended: Timestamp::from_millis(offset as i64),
        key: None,
        value: value.into(),
        headers: Vec::new(),
    }
}

/// The deletion that a fate sends to `mentions.raw`: revision and reason.
fn end_in(fate: &Fate) -> Option<(i64, DeletionReason)> {
    let Fate::Emitted(outputs) = fate else { return None };
    let [output] = outputs.as_slice() else { return None };
    assert_eq!(output.topic, MENTIONS_RAW);
    match decode(&output.record.value).unwrap() {
        MentionEvent::Delete(end) => Some((end.revision, end.reason)),
        MentionEvent::Upsert(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_stands_whatever_the_order_and_the_commits_between() {
    let old = upsert(version(mention("a", "old"), 1, 1));
    let edited = upsert(version(mention("a", "edited"), 2, 2));
    let collected_again = upsert(version(mention("a", "again"), 2, 3));
    for commit_between in [false, true] {
        let mut bench = Bench::new(&RamDirectory::create()).await;
        for (offset, value) in [&edited, &old, &collected_again, &edited].into_iter().enumerate() {
            bench.take(offset as u64, std::slice::from_ref(value)).await;
            if commit_between {
                bench.stage.commit().unwrap();
            }
        }
        bench.stage.commit().unwrap();
        assert_eq!(bench.text("a").as_deref(), Some("again"), "commits between: {commit_between}");
        assert_eq!(bench.committed.borrow().documents, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_text_never_comes_back_with_a_copy_that_is_not_newer() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    bench.take(0, &[upsert(version(mention("a", "secret"), 1, 1)), delete("a", 5, 2)]).await;
    bench.stage.commit().unwrap();
    assert_eq!((bench.text("a"), bench.committed.borrow().documents), (None, 0));
    for (offset, revision) in [(2, 4), (3, 5)] {
        bench.take(offset, &[upsert(version(mention("a", "secret"), revision, 9))]).await;
        bench.stage.commit().unwrap();
        assert_eq!(bench.text("a"), None, "revision {revision}");
    }
    // A delete may come before all: its copy stays away too, and a later edit is a mention again.
    bench.take(4, &[delete("b", 5, 3), upsert(version(mention("b", "late"), 1, 1))]).await;
    bench.take(6, &[upsert(version(mention("a", "restored"), 6, 10))]).await;
    bench.stage.commit().unwrap();
    assert_eq!((bench.text("b"), bench.text("a").as_deref()), (None, Some("restored")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_behind_an_end_has_the_end_said_again_so_that_compaction_keeps_the_end() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    bench.take(0, &[delete("a", 5, 2)]).await;
    for commit_between in [false, true] {
        if commit_between {
            bench.stage.commit().unwrap();
        }
        let fate = bench.stage.process(&record(1, upsert(version(mention("a", "secret"), 4, 9))));
        assert_eq!(end_in(&fate), Some((5, DeletionReason::DeletedAtSource)), "{fate:?}");
    }
    // The end that comes round says nothing more.
    let fate = bench.stage.process(&record(2, delete("a", 5, 10)));
    assert!(matches!(&fate, Fate::Emitted(outputs) if outputs.is_empty()), "{fate:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_is_said_again_behind_an_older_copy_so_that_compaction_keeps_it() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    bench.take(0, &[upsert(version(mention("b", "new"), 2, 2)), upsert(mention("c", "once"))]).await;
    let fate = bench.stage.process(&record(2, upsert(version(mention("b", "old"), 1, 3))));
    assert!(matches!(fate, Fate::Skipped("older")), "{fate:?}");
    bench.stage.settle(&[]).await.unwrap();
    let again = bench.said_again().await;
    let EnrichedEvent::Upsert(newest) = decode(&again[0].value).unwrap() else { panic!("{again:?}") };
    assert_eq!((again.len(), again[0].key_lossy().as_str()), (1, "b"));
    assert_eq!((newest.mention.text.as_str(), newest.mention.revision), ("new", 2));
    // As it comes round it changes nothing, and nothing more is said.
    bench.take(3, &[again[0].value.to_vec()]).await;
    assert_eq!(bench.said_again().await.len(), 1);
    assert_eq!(bench.text("b").as_deref(), Some("new"));
}

/// The same mention, judged with a watchlist, so many milliseconds later.
fn judged(mut mention: Enriched, watchlist: u64, later_ms: i64) -> Enriched {
    mention.enrichment.watchlist = watchlist;
    mention.enriched = mention.enriched.plus_millis(later_ms);
    mention.mention.text = format!("judged with {watchlist} after {later_ms} ms");
    mention
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_mention_the_newest_judgement_stands_whatever_the_order_and_in_an_index_made_anew() {
    let first = upsert(judged(mention("a", ""), 5, 0));
    // A newer watchlist, and then a newer lexicon with the same watchlist.
    let again = upsert(judged(mention("a", ""), 6, 10));
    let newest = upsert(judged(mention("a", ""), 6, 20));
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let values = order.map(|n| [&first, &again, &newest][n].clone());
        let mut bench = Bench::new(&RamDirectory::create()).await;
        for (offset, value) in values.iter().enumerate() {
            bench.take(offset as u64, std::slice::from_ref(value)).await;
        }
        let said = bench.said_again().await;
        assert_eq!(bench.text("a").as_deref(), Some("judged with 6 after 20 ms"), "{order:?}");
        // What compaction would keep: the newest, said again where it did not come last.
        let kept = said.last().map_or(values[2].clone(), |record| record.value.to_vec());
        let mut anew = Bench::new(&RamDirectory::create()).await;
        anew.take(0, &[kept]).await;
        anew.stage.commit().unwrap();
        assert_eq!(anew.text("a").as_deref(), Some("judged with 6 after 20 ms"), "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_judged_again_beats_neither_an_end_nor_an_edit() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    let edited = version(judged(mention("edited", ""), 5, 0), 2, 2);
    let values = [delete("deleted", 2, 2), delete("erased", 1, 2), upsert(edited)];
    bench.take(0, &values).await;
    for id in ["deleted", "erased"] {
        let fate = bench.stage.process(&record(3, upsert(judged(mention(id, ""), 9, 90))));
        assert!(end_in(&fate).is_some(), "the end of {id} is said again: {fate:?}");
    }
    bench.take(5, &[upsert(judged(mention("edited", ""), 9, 90))]).await;
    bench.stage.commit().unwrap();
    assert_eq!((bench.text("deleted"), bench.text("erased")), (None, None));
    assert_eq!(bench.text("edited").as_deref(), Some("judged with 5 after 0 ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_judged_again_is_not_measured_as_if_it_came_late() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    let mut live = mention("a", "x");
    live.mention.origin = Origin::Live;
    bench.take(0, &[upsert(live.clone())]).await;
    assert_eq!(bench.stage.waiting.len(), 1);
    bench.take(1, &[upsert(judged(live.clone(), 9, 90))]).await;
    assert_eq!(bench.stage.waiting.len(), 1);
    bench.take(2, &[upsert(version(live, 2, 7))]).await;
    assert_eq!(bench.stage.waiting.len(), 2, "an edit is on its way from the source");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_is_said_again_behind_an_older_end() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    bench.take(0, &[upsert(version(mention("a", "restored"), 5, 2)), delete("a", 4, 3)]).await;
    let again = bench.said_again().await;
    assert_eq!((again.len(), bench.text("a").as_deref()), (1, Some("restored")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_commits_repeats_harmlessly() {
    let directory = RamDirectory::create();
    let values: Vec<Vec<u8>> = (0..4).map(|n| upsert(mention(&format!("m{n}"), "x"))).collect();
    let mut bench = Bench::new(&directory).await;
    bench.take(0, &values[..2]).await;
    bench.stage.commit().unwrap();
    bench.take(2, &values[2..]).await;
    // The kill: what was settled and not committed is gone with the writer.
    drop(bench);

    let mut bench = Bench::new(&directory).await;
    assert_eq!(bench.committed.borrow().positions, [Position { partition: 0, offset: 2 }]);
    assert_eq!(bench.committed.borrow().documents, 2);
    // The last committed record is delivered again too.
    bench.take(1, &values[1..]).await;
    bench.stage.commit().unwrap();
    assert_eq!(bench.committed.borrow().positions, [Position { partition: 0, offset: 4 }]);
    assert_eq!(bench.committed.borrow().documents, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_none_moves_on_and_an_idle_stage_only_looks_at_the_erasures() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    bench.stage.tick(&[]).await.unwrap();
    let look = bench.stage.due().unwrap();
    let fate = bench.stage.process(&record(7, b"{\"kind\":\"upsert\",\"v\":99}".to_vec()));
    assert!(matches!(fate, Fate::Rejected(_)), "{fate:?}");
    bench.stage.settle(&[]).await.unwrap();
    assert!(bench.stage.due().unwrap() < look, "its position must be committed too");
    bench.stage.commit().unwrap();
    assert_eq!(bench.committed.borrow().positions, [Position { partition: 0, offset: 8 }]);
    assert_eq!(bench.stage.due(), Some(look));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_removes_what_stands_and_what_waits_and_tells_the_topics_once() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    let by_bo = by(mention("bo:1", "stays"), "hackernews:bo");
    bench.take(0, &[upsert(version(mention("hn:1", "secret"), 3, 1)), upsert(by_bo)]).await;
    bench.stage.commit().unwrap();
    // This one was judged and written before the erasure is known, and is not searchable yet.
    bench.take(2, &[upsert(version(mention("hn:2", "secret"), 4, 2))]).await;
    bench.erase(ann(), 0);
    bench.carry_out().await;
    assert!(bench.committed.borrow().erased.contains(ann()));
    assert_eq!((bench.text("hn:1"), bench.text("hn:2")), (None, None));
    assert_eq!((bench.text("bo:1").as_deref(), bench.committed.borrow().documents), (Some("stays"), 1));
    let told =
        [("hn:1", 3), ("hn:2", 4)].map(|(id, revision)| (id.to_owned(), revision, DeletionReason::Erased));
    assert_eq!(bench.deletions().await, told);

    // The deletions come round, the author is erased once more, and the stage starts anew: nothing is told again.
    bench.take(3, &[delete("hn:1", 3, 5), delete("hn:2", 4, 6)]).await;
    bench.erase(ann(), 1);
    bench.carry_out().await;
    bench.stage.erasing = Erasing::new(secret(), bench.erased.subscribe());
    bench.carry_out().await;
    assert_eq!(bench.deletions().await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_deletions_and_the_commit_leaves_what_stood_to_be_found_again() {
    let directory = RamDirectory::create();
    let mut bench = Bench::new(&directory).await;
    bench.take(0, &[upsert(mention("hn:1", "secret"))]).await;
    bench.stage.commit().unwrap();
    bench.erase(ann(), 0);
    assert!(bench.stage.erase_some().await.unwrap());
    assert_eq!(bench.deletions().await.len(), 1);
    drop(bench);

    let mut bench = Bench::new(&directory).await;
    assert_eq!(bench.committed.borrow().documents, 1);
    bench.erase(ann(), 0);
    bench.carry_out().await;
    assert_eq!((bench.committed.borrow().documents, bench.deletions().await.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_an_erased_author_is_never_written_and_leaves_the_topic_too() {
    let mut bench = Bench::new(&RamDirectory::create()).await;
    bench.erase(ann(), 0);
    bench.stage.prepare().await.unwrap();
    let fate = bench.stage.process(&record(0, upsert(version(mention("hn:1", "secret"), 3, 1))));
    assert_eq!(end_in(&fate), Some((3, DeletionReason::Erased)), "{fate:?}");
    let fate = bench.stage.process(&record(1, upsert(by(mention("bo:1", "stays"), "hackernews:bo"))));
    assert_eq!(end_in(&fate), None);
    bench.stage.settle(&[]).await.unwrap();
    bench.stage.commit().unwrap();
    assert_eq!((bench.text("hn:1"), bench.committed.borrow().documents), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_before_the_erasure_loses_the_author_when_it_is_opened() {
    let directory = RamDirectory::create();
    let mut bench = Bench::new(&directory).await;
    // More than are removed at once.
    let mentions: Vec<Vec<u8>> = (0..MAX_BATCH + 5).map(|n| upsert(mention(&format!("m{n}"), "x"))).collect();
    bench.take(0, &mentions).await;
    bench.stage.commit().unwrap();
    drop(bench);

    let mut bench = Bench::new(&directory).await;
    bench.erase(ann(), 0);
    assert!(!bench.committed.borrow().erased.contains(ann()), "it is not carried out yet");
    bench.carry_out().await;
    assert_eq!(bench.committed.borrow().documents, 0);
    assert!(bench.committed.borrow().erased.contains(ann()));
    assert_eq!(bench.deletions().await.len(), MAX_BATCH + 5);
}
