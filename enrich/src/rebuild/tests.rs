//! Rebuilds on a log in a folder: what is asked for in one topic is answered in another, once.

use earshot_common::broker::MAX_BATCH;
use earshot_common::definitions::{Window, parse_file};
use earshot_common::events::{
    Author, Deletion, DeletionReason, Enriched, Erasure, Mention, Origin, RawPosition, RebuiltBucket,
    SchemaVersion, SourceRef, ToneSums,
};
use earshot_common::service;
use earshot_common::settings::Settings;
use tempfile::TempDir;

use super::*;

const WATCHLIST: &str = r#"
    [[subject]]
    id = "bank"
    kind = "brand"
    name = "Tarnwick"
    aliases = ["Oldname Bank"]
    [[subject]]
    id = "other"
    kind = "brand"
    name = "Other Company"
    [[rule]]
    id = "tone"
    when = "share of negatives against expectation"
    subjects = ["bank"]
    [[rule]]
    id = "wide"
    when = "reach against expectation"
    subjects = ["bank"]
    [[rule]]
    id = "app"
    when = "count against expectation"
    measure = "authors"
    filter = "app"
    subjects = ["bank"]
    [[rule]]
    id = "news"
    when = "novelty"
    of = "story"
    subjects = ["bank"]
    [[rule]]
    id = "spread"
    preset = "momentum"
    mentions_at_least = 2
    subjects = ["bank"]
"#;
const UNTIL: &str = "2026-01-15T09:30:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

struct Bench {
    context: Context,
    /// What the retained mentions were judged with: nothing of what the watchlist says now.
    old: Knowledge,
    watchlist: watch::Receiver<Arc<Watchlist>>,
    erased: watch::Receiver<Arc<Erased>>,
    _senders: (watch::Sender<Arc<Watchlist>>, watch::Sender<Arc<Erased>>),
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::from_toml("", folder.path()).unwrap();
        let context = service::open(settings, CancellationToken::new()).await.unwrap();
        let definitions = parse_file("watchlist.toml", WATCHLIST).unwrap();
        let watchlist = Watchlist::of(vec![("file:test".to_owned(), definitions)]).unwrap();
        let mut erased = Erased::default();
        let erasure = Erasure {
            v: SchemaVersion::default(),
            author: context.secret.author("hackernews:erased"),
            at: at(UNTIL),
        };
        let (partition, offset, appended, key, headers) = (0, 0, at(UNTIL), None, Vec::new());
        let value = encode(&erasure).into();
        erased.take(&Record { partition, offset, appended, key, value, headers }).unwrap();
        let (watchlist_sender, watchlist) = watch::channel(Arc::new(watchlist));
        let (erased_sender, erased) = watch::channel(Arc::new(erased));
        Self {
            context,
            old: Knowledge::shipped(&Watchlist::default()).unwrap(),
            watchlist,
            erased,
            _senders: (watchlist_sender, erased_sender),
            _folder: folder,
        }
    }

    async fn retained(&self, events: Vec<EnrichedEvent>) {
        let records = events.iter().map(|event| {
            let id = match event {
                EnrichedEvent::Upsert(enriched) => &enriched.mention.id,
                EnrichedEvent::Delete { deletion, .. } => &deletion.id,
            };
            NewRecord::keyed(id.clone(), encode(event))
        });
        self.context.broker.append_durably(&MENTIONS_ENRICHED, records.collect()).await.unwrap();
    }

    fn judged(&self, mention: Mention) -> EnrichedEvent {
        let raw = RawPosition { partition: 0, offset: 1 };
        let enriched: Enriched = judge(mention, raw, &self.old, at(UNTIL));
        assert_eq!(enriched.entities, [], "the watchlist of before names nobody");
        EnrichedEvent::Upsert(Box::new(enriched))
    }

    async fn ask(&self, request: &RebuildRequest) {
        let record = NewRecord::keyed(request.subject.clone(), encode(request));
        self.context.broker.append_durably(&REBUILDS, vec![record]).await.unwrap();
    }

    /// Starts the worker, and answers what it writes until it says that one is done.
    async fn answers(&self) -> Vec<Rebuilt> {
        let broker = &self.context.broker;
        let mut done = broker.read_from_start(&REBUILDS).await.unwrap();
        let rebuilds = Rebuilds::open(
            &self.context,
            Arc::new(Lexicons::shipped()),
            Arc::new(Risks::english()),
            self.watchlist.clone(),
            self.erased.clone(),
        );
        let work = tokio::spawn(rebuilds.await.unwrap().work());
        let is_done = |record: &Record| decode::<RebuildRequest>(&record.value).unwrap().done;
        while !done.next(MAX_BATCH).await.unwrap().iter().any(is_done) {}
        self.context.stop.cancel();
        work.await.unwrap().unwrap();
        let mut answers = Vec::new();
        let take = |record: Record| match decode(&record.value).unwrap() {
            SignalRecord::Rebuilt(rebuilt) => answers.push(*rebuilt),
            other => panic!("a rebuild signals nothing: {other:?}"),
        };
        broker.replay(&SIGNALS, take).await.unwrap();
        answers
    }
}

fn request() -> RebuildRequest {
    RebuildRequest {
        v: SchemaVersion::default(),
        subject: "bank".to_owned(),
        version: 0,
        asked: 901,
        until: at(UNTIL),
        without: Vec::new(),
        entering: BTreeMap::new(),
        done: false,
    }
}

fn mention(id: &str, text: &str, published: &str) -> Mention {
    let source = SourceRef { id: "hn".to_owned(), network: "hackernews".to_owned(), site: None };
    let author = Author { id: format!("hackernews:{id}"), followers: Some(500), ..Author::default() };
    let mention = Mention::new(id.to_owned(), source, text.to_owned(), at(published));
    Mention { revision: 1, author: Some(author), origin: Origin::Live, ..mention }
}

fn live(start: &str, live: u32) -> RebuiltBucket {
    RebuiltBucket { start: at(start), live, past: 0, tone: None }
}

fn series<'a>(answers: &'a [Rebuilt], rule: Option<&str>, window: Window) -> &'a Rebuilt {
    let is_it = |rebuilt: &&Rebuilt| rebuilt.rule.as_deref() == rule && rebuilt.window == window;
    answers.iter().find(is_it).expect("every series is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_mentions_are_counted_by_the_names_that_are_in_force_now() {
    let bench = Bench::new().await;
    let gone = Deletion {
        v: SchemaVersion::default(),
        id: "gone".to_owned(),
        revision: 2,
        origin: Origin::Live,
        reason: DeletionReason::DeletedAtSource,
        collected: at(UNTIL),
    };
    let by_erased = Author { id: "hackernews:erased".to_owned(), ..Author::default() };
    let imported = SourceRef { id: "import:year".to_owned(), network: "import".to_owned(), site: None };
    let past = mention("past", "Oldname Bank is there", "2026-01-10T05:00:00Z");
    bench
        .retained(vec![
            bench.judged(mention("a", "Oldname Bank has a terrible app", "2026-01-14T08:10:00Z")),
            bench.judged(mention("b", "Tarnwick is fine", "2026-01-14T08:50:00Z")),
            bench.judged(mention("b", "Tarnwick is fine", "2026-01-14T08:50:00Z")),
            bench.judged(mention("c", "the app of Tarnwick is great", "2026-01-15T09:10:00Z")),
            bench.judged(mention("later", "Tarnwick, after the change", "2026-01-15T09:30:00Z")),
            bench.judged(mention("nobody", "a quiet day", "2026-01-14T08:10:00Z")),
            bench.judged(mention("gone", "Tarnwick again", "2026-01-14T08:20:00Z")),
            EnrichedEvent::Delete { deletion: gone, raw: RawPosition { partition: 0, offset: 2 } },
            bench.judged(Mention {
                author: Some(by_erased),
                ..mention("erased", "Tarnwick again", "2026-01-14T08:20:00Z")
            }),
            bench.judged(Mention { origin: Origin::History, source: imported, ..past }),
        ])
        .await;
    bench.ask(&request()).await;
    let answers = bench.answers().await;

    for answer in &answers {
        assert_eq!((answer.name.as_str(), answer.asked, answer.until), ("rebuild:bank@0", 901, at(UNTIL)));
        assert_eq!((answer.mentions, answer.from), (4, None));
    }
    let lasts: Vec<bool> = answers.iter().map(|answer| answer.last).collect();
    assert_eq!(lasts, [false, false, false, false, false, false, true], "the last one ends it");

    let past_hour = RebuiltBucket { start: at("2026-01-10T05:00:00Z"), live: 0, past: 1, tone: None };
    let hours = series(&answers, None, Window::Hour);
    assert_eq!(hours.buckets, [past_hour, live("2026-01-14T08:00:00Z", 2), live("2026-01-15T09:00:00Z", 1)]);
    let extent = (at("2026-01-10T05:00:00Z"), at("2026-01-10T05:00:00Z"));
    assert_eq!(hours.imports, BTreeMap::from([("import:year".to_owned(), extent)]));
    let days = &series(&answers, None, Window::Day).buckets;
    assert_eq!(days[1..], [live("2026-01-14T00:00:00Z", 2), live("2026-01-15T00:00:00Z", 1)]);

    let tone = &series(&answers, Some("tone"), Window::Hour).buckets;
    let ToneSums { mentions, negatives, .. } = tone[1].tone.unwrap();
    assert_eq!((mentions, negatives), (2, 1), "one is terrible");
    let wide = &series(&answers, Some("wide"), Window::Hour).buckets;
    let ToneSums { known, reach, .. } = wide[1].tone.unwrap();
    assert_eq!((known, reach), (2, 1_000));
    let app = &series(&answers, Some("app"), Window::Hour).buckets;
    assert_eq!(app[..], [live("2026-01-14T08:00:00Z", 1), live("2026-01-15T09:00:00Z", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_spreads_only_what_may_have_spread_before_is_remembered() {
    let bench = Bench::new().await;
    let petition = "Sign the petition against the new fees of Tarnwick before the end of the month";
    let once = "Tarnwick has opened a branch in the old town hall beside the harbour this morning";
    let mentions = [("a", petition), ("b", petition), ("c", once)];
    let retained = mentions.map(|(id, text)| bench.judged(mention(id, text, "2026-01-14T08:10:00Z")));
    bench.retained(retained.into()).await;
    bench.ask(&request()).await;
    let answers = bench.answers().await;
    let remembered = |rule| series(&answers, Some(rule), Window::Hour).values.len();
    assert_eq!((remembered("news"), remembered("spread")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn young_sources_do_not_count_and_one_that_enters_and_is_large_begins_the_baseline() {
    let bench = Bench::new().await;
    let from = |source: &str, id: &str, published: &str| {
        let mention = mention(id, "Tarnwick", published);
        let source = SourceRef { id: source.to_owned(), ..mention.source.clone() };
        bench.judged(Mention { source, ..mention })
    };
    let retained = vec![
        from("hn", "a", "2025-12-20T08:10:00Z"),
        from("hn", "b", "2026-01-14T08:10:00Z"),
        from("bluesky", "c", "2026-01-14T08:20:00Z"),
        from("mastodon", "d", "2026-01-14T08:30:00Z"),
    ];
    bench.retained(retained).await;
    let came = at("2026-01-01T00:00:00Z");
    let without = vec!["mastodon".to_owned()];
    let entering = BTreeMap::from([("bluesky".to_owned(), came)]);
    bench.ask(&RebuildRequest { without, entering, ..request() }).await;
    let answers = bench.answers().await;
    let hours = series(&answers, None, Window::Hour);
    assert_eq!((hours.from, hours.mentions), (Some(came), 3));
    assert_eq!(hours.buckets, [live("2025-12-20T08:00:00Z", 1), live("2026-01-14T08:00:00Z", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_no_longer_watched_is_answered_with_nothing_but_that_it_is_done() {
    let bench = Bench::new().await;
    bench.ask(&RebuildRequest { subject: "retired".to_owned(), ..request() }).await;
    assert_eq!(bench.answers().await, []);
}
