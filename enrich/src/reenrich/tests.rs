//! Runs on a log in a folder.

use earshot_common::definitions::{difference, parse_file};
use earshot_common::events::{
    Author, Deletion, DeletionReason, Erasure, Mention, Origin, RawPosition, SchemaVersion, SourceRef,
};
use earshot_common::service;
use earshot_common::settings::Settings;
use earshot_common::topics::SIGNALS;
use tempfile::TempDir;

use super::*;

const JANUARY: &str = "2026-01-01T00:00:00Z";

struct Bench {
    reenrichment: Reenrichment,
    broker: Broker,
    /// What history was judged with.
    old: Knowledge,
    _erased: watch::Sender<Arc<Erased>>,
    _watchlist: watch::Sender<Arc<Watchlist>>,
    _folder: TempDir,
}

/// A watchlist whose newest version names Tarnwick.
fn watchlist() -> Watchlist {
    let mut watchlist = Watchlist::default();
    let name = |name: &str| format!("[[subject]]\nid = \"bank\"\nkind = \"brand\"\nname = \"{name}\"\n");
    for text in [name("Somebody"), name("Tarnwick")] {
        let definitions = vec![("file:test".to_owned(), parse_file("watchlist.toml", &text).unwrap())];
        for version in difference(&watchlist.clone(), definitions).unwrap() {
            watchlist.take(watchlist.next(), version);
        }
    }
    watchlist
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::from_toml("", folder.path()).unwrap();
        let context = service::open(settings, CancellationToken::new()).await.unwrap();
        let (lexicons, risks) = (Arc::new(Lexicons::shipped()), Arc::new(Risks::english()));
        let mut erased = Erased::default();
        let erasure = Erasure {
            v: SchemaVersion::default(),
            author: context.secret.author("hackernews:erased"),
            at: JANUARY.parse().unwrap(),
        };
        erased.take(&record(encode(&erasure))).unwrap();
        let (erased_sender, erased) = watch::channel(Arc::new(erased));
        let (watchlist_sender, newest) = watch::channel(Arc::new(watchlist()));
        let metrics = Metrics::declare(&context.registry).unwrap();
        Self {
            reenrichment: Reenrichment::new(
                &context,
                metrics,
                lexicons.clone(),
                risks.clone(),
                newest,
                erased,
            ),
            broker: context.broker.clone(),
            old: Knowledge::of(&Watchlist::default(), lexicons, risks).unwrap(),
            _erased: erased_sender,
            _watchlist: watchlist_sender,
            _folder: folder,
        }
    }

    /// Stores records of history in their order.
    async fn stored(&self, events: Vec<EnrichedEvent>) {
        let records = events.iter().map(|event| {
            let id = match event {
                EnrichedEvent::Upsert(enriched) => &enriched.mention.id,
                EnrichedEvent::Delete { deletion, .. } => &deletion.id,
            };
            NewRecord::keyed(id.clone(), encode(event))
        });
        self.broker.append_durably(&MENTIONS_ENRICHED, records.collect()).await.unwrap();
    }

    fn judged(&self, mention: Mention, raw_offset: u64) -> EnrichedEvent {
        let raw = RawPosition { partition: 0, offset: raw_offset };
        EnrichedEvent::Upsert(Box::new(judge(mention, raw, &self.old, JANUARY.parse().unwrap())))
    }

    async fn run(&self, dry_run: bool) -> Report {
        let request = ReenrichRequest { since: JANUARY.parse().unwrap(), dry_run };
        self.reenrichment.begin(request).await.unwrap().unwrap().carry_out().await;
        self.reenrichment.report().unwrap()
    }

    /// Where each partition of `mentions.enriched` ends now.
    async fn ends(&self) -> Vec<Bounds> {
        self.broker.bounds(&MENTIONS_ENRICHED, None).await.unwrap()
    }

    /// Everything that was written behind these ends, in the order of ids.
    async fn written_behind(&self, ends: &[Bounds]) -> Vec<Enriched> {
        let mut written = Vec::new();
        let take = |record: Record| {
            if ends.iter().any(|end| end.partition == record.partition && end.next > record.offset) {
                return;
            }
            match decode(&record.value).unwrap() {
                EnrichedEvent::Upsert(enriched) => written.push(*enriched),
                EnrichedEvent::Delete { deletion, .. } => panic!("a run ends no mention: {deletion:?}"),
            }
        };
        self.broker.replay(&MENTIONS_ENRICHED, take).await.unwrap();
        written.sort_by(|a, b| a.mention.id.cmp(&b.mention.id));
        written
    }
}

fn record(value: Vec<u8>) -> Record {
    Record {
        partition: 0,
        offset: 0,
        appended: Timestamp::default(),
        key: None,
        value: value.into(),
        headers: Vec::new(),
    }
}

fn mention(id: &str, text: &str) -> Mention {
    let source = SourceRef { id: "hn".to_owned(), network: "hackernews".to_owned(), site: None };
    let at = JANUARY.parse().unwrap();
    Mention { revision: 1, ..Mention::new(id.to_owned(), source, text.to_owned(), at) }
}

fn end(id: &str, revision: i64) -> EnrichedEvent {
    let deletion = Deletion {
        v: SchemaVersion::default(),
        id: id.to_owned(),
        revision,
        origin: Origin::Live,
        reason: DeletionReason::DeletedAtSource,
        collected: JANUARY.parse().unwrap(),
    };
    EnrichedEvent::Delete { deletion, raw: RawPosition { partition: 0, offset: 99 } }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_watchlist_says_is_carried_over_history_once_and_nobody_is_signalled() {
    let bench = Bench::new().await;
    let by_erased = Author { id: "hackernews:erased".to_owned(), ..Author::default() };
    let before = JANUARY.parse::<Timestamp>().unwrap().plus_millis(-1);
    let mut newer = bench.judged(mention("newer", "Tarnwick is great"), 5);
    if let EnrichedEvent::Upsert(newer) = &mut newer {
        newer.enrichment.watchlist = 99;
    }
    let history = vec![
        bench.judged(mention("changed", "Tarnwick is great"), 1),
        bench.judged(mention("unchanged", "a quiet day"), 2),
        bench.judged(mention("deleted", "Tarnwick is great"), 3),
        end("deleted", 2),
        bench.judged(mention("edited", "Tarnwick is bad"), 4),
        bench.judged(Mention { revision: 2, ..mention("edited", "Tarnwick is excellent") }, 6),
        newer,
        bench.judged(Mention { author: Some(by_erased), ..mention("erased", "Tarnwick is great") }, 7),
        bench.judged(Mention { published: before, ..mention("earlier", "Tarnwick is great") }, 8),
    ];
    let records = history.len() as u64;
    bench.stored(history).await;
    let ends = bench.ends().await;

    // First what it would do.
    let tried = bench.run(true).await;
    assert_eq!((tried.state, tried.judged, tried.changed), (State::Done, 3, 2), "{tried:#?}");
    assert_eq!(bench.written_behind(&ends).await, []);

    let report = bench.run(false).await;
    assert_eq!((report.records, report.records_read), (records, records));
    assert_eq!((report.judged, report.changed, &report.changes), (3, 2, &tried.changes));
    assert_eq!(report.left, Left { newer: 1, erased: 1, too_large: 0, unreadable: 0 });
    assert_eq!(report.changes.subjects["bank"].sure, Count { before: 0, after: 2, gained: 2, lost: 0 });
    let written = bench.written_behind(&ends).await;
    let places: Vec<(&str, i64, u64)> = written
        .iter()
        .map(|again| (again.mention.id.as_str(), again.mention.revision, again.raw.offset))
        .collect();
    assert_eq!(places, [("changed", 1, 1), ("edited", 2, 6)], "revision and place stay");
    for again in &written {
        assert_eq!(again.entities[0].subject, "bank");
        assert_eq!(again.enrichment.watchlist, 2);
        assert!(again.enriched > JANUARY.parse().unwrap());
    }

    let once_more = bench.run(false).await;
    assert_eq!((once_more.judged, once_more.changed), (3, 0));
    assert_eq!(once_more.changes.subjects["bank"].sure, Count { before: 2, after: 2, gained: 0, lost: 0 });
    assert_eq!(bench.written_behind(&ends).await.len(), 2);
    let signals = bench.broker.bounds(&SIGNALS, None).await.unwrap();
    assert!(signals.iter().all(|bounds| bounds.next == 0), "{signals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_and_an_edit_that_come_while_a_batch_is_judged_stand() {
    let bench = Bench::new().await;
    let ids = ["deleted", "edited", "stays"];
    bench.stored(ids.map(|id| bench.judged(mention(id, "Tarnwick is great"), 1)).to_vec()).await;
    let request = ReenrichRequest { since: JANUARY.parse().unwrap(), dry_run: false };
    let run = bench.reenrichment.begin(request).await.unwrap().unwrap();
    let health = Health::default();
    let mut written = Vec::new();
    for partition in 0..MENTIONS_ENRICHED.partitions {
        let start = Position { partition, offset: 0 };
        let mut newest = Newest::follow(&bench.broker, start).await.unwrap();
        newest.catch_up(&bench.broker, &health).await.unwrap();
        let mut batch = Vec::new();
        bench.broker.replay(&MENTIONS_ENRICHED, |record| batch.push(record)).await.unwrap();
        batch.retain(|record| record.partition == partition);
        let judged = run.judge_batch(&batch, u64::MAX, &newest);
        let meanwhile = judged.iter().filter_map(|judged| match judged.before.mention.id.as_str() {
            "deleted" => Some(end("deleted", 1)),
            "edited" => Some(bench.judged(Mention { revision: 2, ..mention("edited", "no longer") }, 2)),
            _ => None,
        });
        bench.stored(meanwhile.collect()).await;
        newest.catch_up(&bench.broker, &health).await.unwrap();
        written.extend(run.settle(judged, &newest).into_iter().filter_map(|record| record.key));
    }
    assert_eq!(written, ["stays"]);
    assert_eq!(bench.reenrichment.report().unwrap().left.newer, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_program_cannot_read_is_left_alone_and_so_is_what_it_may_replace() {
    let bench = Bench::new().await;
    bench.stored(vec![bench.judged(mention("a", "Tarnwick is great"), 1)]).await;
    let of_a_newer_program = NewRecord::keyed("a", r#"{"v":99,"kind":"upsert","id":"a"}"#);
    bench.broker.append_durably(&MENTIONS_ENRICHED, vec![of_a_newer_program]).await.unwrap();
    let report = bench.run(false).await;
    assert_eq!((report.state, report.judged, report.left.unreadable), (State::Done, 0, 1), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_goes_on_at_a_time() {
    let bench = Bench::new().await;
    let request = ReenrichRequest { since: JANUARY.parse().unwrap(), dry_run: true };
    let run = bench.reenrichment.begin(request).await.unwrap().unwrap();
    assert!(bench.reenrichment.begin(request).await.unwrap().is_none());
    run.carry_out().await;
    assert!(bench.reenrichment.begin(request).await.unwrap().is_some());
}
