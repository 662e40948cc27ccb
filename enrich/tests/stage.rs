//! The stage on a real log: bytes in `mentions.raw`, records in `mentions.enriched`, `signals` and
//! `dead-letters`.

#![expect(clippy::unwrap_used, reason = "all of this file is tests, and a panic is how they fail")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use earshot_common::broker::{MAX_BATCH, NewRecord, Reader, Record};
use earshot_common::definitions::{Watchlist, difference, parse_file};
use earshot_common::erasures::Erased;
use earshot_common::events::{
    DefinitionVersion, DeletionReason, EnrichedEvent, Erasure, Progress, SchemaVersion, Signal, SignalRecord,
    decode, encode,
};
use earshot_common::service::{self, Context};
use earshot_common::settings::Settings;
use earshot_common::stage::{Fate, Stage};
use earshot_common::topics::{DEAD_LETTERS, MENTIONS_ENRICHED, MENTIONS_RAW, SIGNALS, WATCHLIST};
use earshot_enrich::metrics::Metrics;
use earshot_enrich::risk::Risks;
use earshot_enrich::sentiment::Lexicons;
use earshot_enrich::stage::EnrichStage;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn surroundings() -> (Context, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::from_toml("", folder.path()).unwrap();
    (service::open(settings, CancellationToken::new()).await.unwrap(), folder)
}

fn versions(known: &Watchlist, name: &str) -> Vec<DefinitionVersion> {
    let text = format!("[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"{name}\"\n");
    let definitions = parse_file("watchlist.toml", &text).unwrap();
    difference(known, vec![("file:test".to_owned(), definitions)]).unwrap()
}

fn mention(id: &str, text: &str) -> NewRecord {
    let value = json!({
        "v": 1, "kind": "upsert", "id": id, "revision": 1, "origin": "live",
        "source": { "id": "hn", "network": "hackernews" }, "text": text,
        "published": "2026-01-01T00:00:00.000Z", "collected": "2026-01-01T00:00:12.345Z"
    });
    NewRecord::keyed(id.to_owned(), value.to_string())
}

fn deletion(id: &str) -> NewRecord {
    let value = json!({
        "v": 1, "kind": "delete", "id": id, "revision": 2, "origin": "live", "reason": "deleted_at_source",
        "collected": "2026-01-01T01:00:00.000Z"
    });
    NewRecord::keyed(id.to_owned(), value.to_string())
}

/// Reads on until enough was read.
async fn read_until(reader: &mut Reader, mut is_enough: impl FnMut(&[Record]) -> bool) -> Vec<Record> {
    let mut records = Vec::new();
    let reading = async {
        while !is_enough(&records) {
            records.extend(reader.next(MAX_BATCH).await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("what is awaited comes in time");
    records
}

fn progress(record: &Record) -> Option<Progress> {
    match decode(&record.value).unwrap() {
        SignalRecord::Progress(progress) => Some(progress),
        _ => None,
    }
}

fn signal(record: &Record) -> Option<Signal> {
    match decode(&record.value).unwrap() {
        SignalRecord::Signal(signal) => Some(*signal),
        _ => None,
    }
}

/// Whether a progress says that this many raw records are done.
fn is_done(record: &Record, count: u64) -> bool {
    progress(record).is_some_and(|p| p.partitions.iter().map(|part| part.next).sum::<u64>() == count)
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_mentions_become_judgements_signals_progress_and_dead_letters() {
    let (context, _folder) = surroundings().await;
    let broker = context.broker.clone();
    for version in versions(&Watchlist::default(), "Harbor") {
        broker
            .append_durably(&WATCHLIST, vec![NewRecord::keyed("subject/harbor", encode(&version))])
            .await
            .unwrap();
    }
    let raw = vec![
        mention("hn:1", "Harbor is great"),
        mention("hn:2", "a quiet day"),
        deletion("hn:3"),
        mention("hn:4", &"long ".repeat(20_001)),
        NewRecord::keyed("hn:5", r#"{"v":1,"kind":"upsert","id":5}"#),
    ];
    let count = raw.len() as u64;
    broker.append_durably(&MENTIONS_RAW, raw).await.unwrap();

    let stop = context.stop.clone();
    let service = earshot_enrich::start(context).await.unwrap();
    let work = tokio::spawn(service.work);

    let mut signals = broker.read_from_start(&SIGNALS).await.unwrap();
    let told =
        read_until(&mut signals, |records| records.last().is_some_and(|last| is_done(last, count))).await;
    let found: Vec<Signal> = told.iter().filter_map(signal).collect();
    assert_eq!(found.len(), 1, "one mention of five concerns somebody");
    assert_eq!((found[0].subjects[0].id.as_str(), found[0].watchlist), ("harbor", 1));

    let mut enriched = broker.read_from_start(&MENTIONS_ENRICHED).await.unwrap();
    let mut fates = BTreeMap::new();
    for record in read_until(&mut enriched, |records| records.len() == 3).await {
        let fate = match decode(&record.value).unwrap() {
            EnrichedEvent::Upsert(enriched) => format!("{} subjects", enriched.entities.len()),
            EnrichedEvent::Delete { deletion, .. } => format!("revision {} deleted", deletion.revision),
        };
        fates.insert(record.key_lossy(), fate);
    }
    let wanted = [("hn:1", "1 subjects"), ("hn:2", "0 subjects"), ("hn:3", "revision 2 deleted")];
    assert_eq!(fates, wanted.map(|(id, fate)| (id.to_owned(), fate.to_owned())).into());

    let mut letters = broker.read_from_start(&DEAD_LETTERS).await.unwrap();
    let mut reasons: Vec<String> = Vec::new();
    for letter in read_until(&mut letters, |records| records.len() == 2).await {
        let reason = String::from_utf8_lossy(letter.header("reason").unwrap()).into_owned();
        reasons.push(format!("{}: {reason}", letter.key_lossy()));
    }
    reasons.sort();
    assert_eq!(
        reasons[0],
        "hn:4: fields `title` and `text` have 100005 bytes, more than the 100000 of a mention"
    );
    assert!(reasons[1].starts_with("hn:5: decode field `"), "{}", reasons[1]);

    stop.cancel();
    tokio::time::timeout(PATIENCE, work).await.unwrap().unwrap().unwrap();
}

fn stage(context: &Context, watchlist: watch::Receiver<Arc<Watchlist>>) -> EnrichStage {
    let metrics = Metrics::declare(&context.registry).unwrap();
    // The sender may go: what it sent stays.
    let (_, erased) = watch::channel(Arc::default());
    EnrichStage::new(
        context,
        metrics,
        Arc::new(Lexicons::shipped()),
        Arc::new(Risks::english()),
        watchlist,
        erased,
    )
    .unwrap()
}

/// A raw record as the loop hands it over.
async fn stored(context: &Context, record: NewRecord) -> Record {
    let at = context.broker.append_durably(&MENTIONS_RAW, vec![record]).await.unwrap();
    let mut reader = context.broker.read(&MENTIONS_RAW, at).await.unwrap();
    read_until(&mut reader, |records| !records.is_empty()).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_watchlist_holds_from_the_next_batch_on() {
    let (context, _folder) = surroundings().await;
    let (newest, receiver) = watch::channel(Arc::new(Watchlist::default()));
    let mut stage = stage(&context, receiver);
    let record = stored(&context, mention("hn:1", "Harbor is great")).await;

    let outputs = |stage: &mut EnrichStage| match stage.process(&record) {
        Fate::Emitted(outputs) => outputs.iter().map(|output| output.topic.name).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    stage.prepare().await.unwrap();
    assert_eq!(outputs(&mut stage), ["mentions.enriched"]);
    newest.send_modify(|watchlist| {
        for version in versions(&Watchlist::default(), "Harbor") {
            Arc::make_mut(watchlist).take(0, version);
        }
    });
    assert_eq!(outputs(&mut stage), ["mentions.enriched"], "a batch is judged with one watchlist");
    stage.prepare().await.unwrap();
    assert_eq!(outputs(&mut stage), ["mentions.enriched", "signals"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_cores_share_keeps_its_order() {
    let (context, _folder) = surroundings().await;
    let (_newest, receiver) = watch::channel(Arc::new(Watchlist::default()));
    let mut stage = stage(&context, receiver);
    let example = stored(&context, mention("hn:0", "a quiet day")).await;
    let mut batch = Vec::new();
    for n in 0..1_000 {
        let value = if n % 7 == 0 { "{}".into() } else { mention(&format!("hn:{n}"), "a quiet day").value };
        batch.push(Record { offset: n, value, ..example.clone() });
    }
    let fates = stage.process_batch(&batch);
    assert_eq!(fates.len(), batch.len());
    for (n, fate) in fates.iter().enumerate() {
        let key = match fate {
            Fate::Emitted(outputs) => outputs[0].record.key.clone(),
            Fate::Rejected(_) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(key, (n % 7 != 0).then(|| format!("hn:{n}").into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_in_its_time_and_soon_after_the_last_of_some_work() {
    let (context, _folder) = surroundings().await;
    let (_newest, receiver) = watch::channel(Arc::new(Watchlist::default()));
    let mut stage = stage(&context, receiver);
    let record = stored(&context, mention("hn:1", "a quiet day")).await;
    let at = |offset| {
        let partition = record.partition;
        vec![earshot_common::broker::Position { partition, offset }]
    };

    // The first progress is due at once. The one record waits, and nothing is known to be done.
    assert_eq!(stage.tick(&at(0)).await.unwrap().len(), 0);
    let idle = stage.due().unwrap();
    assert!(matches!(stage.process(&record), Fate::Emitted(_)));
    stage.settle(&at(1)).await.unwrap();
    let settled = stage.due().unwrap();
    assert!(settled < idle, "after work the question comes earlier");
    // More work does not put it off.
    stage.settle(&at(1)).await.unwrap();
    assert_eq!(stage.due(), Some(settled));

    // Something waits still: nothing is told before its time.
    assert_eq!(stage.tick(&at(0)).await.unwrap().len(), 0);
    assert_eq!(stage.due(), Some(idle));
    stage.settle(&at(1)).await.unwrap();
    let told = stage.tick(&at(1)).await.unwrap();
    let SignalRecord::Progress(progress) = decode(&told[0].record.value).unwrap() else {
        panic!("a tick tells progress")
    };
    assert_eq!(progress.partitions[0].next, 1);
    assert!(progress.partitions[0].done_up_to >= record.appended);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_authors_mention_becomes_a_deletion_and_says_nothing_to_the_decision_side() {
    let (context, _folder) = surroundings().await;
    let (_newest, watchlist) = watch::channel(Arc::new(Watchlist::default()));
    let metrics = Metrics::declare(&context.registry).unwrap();
    let (erased, erasures) = watch::channel(Arc::default());
    let mut stage = EnrichStage::new(
        &context,
        metrics,
        Arc::new(Lexicons::shipped()),
        Arc::new(Risks::english()),
        watchlist,
        erasures,
    )
    .unwrap();
    let said = json!({
        "v": 1, "kind": "upsert", "id": "hn:1", "revision": 3, "origin": "live",
        "source": { "id": "hn", "network": "hackernews" }, "text": "a secret",
        "author": { "id": "hackernews:ann", "name": "Ann" },
        "published": "2026-01-01T00:00:00.000Z", "collected": "2026-01-01T00:00:12.345Z"
    });
    let record = stored(&context, NewRecord::keyed("hn:1", said.to_string())).await;
    assert!(!matches!(made_of(stage.process(&record)), EnrichedEvent::Delete { .. }));

    let author = context.secret.author("hackernews:ann");
    let erasure = Erasure { v: SchemaVersion::default(), author, at: record.appended };
    let erasure = Record { value: encode(&erasure).into(), ..record.clone() };
    erased.send_modify(|erased: &mut Arc<Erased>| Arc::make_mut(erased).take(&erasure).unwrap());
    let EnrichedEvent::Delete { deletion, raw } = made_of(stage.process(&record)) else {
        panic!("nothing of an erased author goes on")
    };
    assert_eq!(
        (deletion.id.as_str(), deletion.revision, deletion.reason),
        ("hn:1", 3, DeletionReason::Erased)
    );
    assert_eq!((raw.partition, raw.offset), (record.partition, record.offset));
}

/// The one record that a mention becomes, which concerns nobody.
fn made_of(fate: Fate) -> EnrichedEvent {
    let Fate::Emitted(outputs) = fate else { panic!("{fate:?}") };
    assert_eq!(outputs.iter().map(|output| output.topic.name).collect::<Vec<_>>(), ["mentions.enriched"]);
    decode(&outputs[0].record.value).unwrap()
}

/// The versions that make a watchlist of this text.
fn changes(known: &Watchlist, text: &str) -> Vec<DefinitionVersion> {
    difference(known, vec![("file:test".to_owned(), parse_file("watchlist.toml", text).unwrap())]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_and_filters_stand_on_the_stream_and_change_between_two_batches() {
    let (context, _folder) = surroundings().await;
    let (newest, receiver) = watch::channel(Arc::new(Watchlist::default()));
    let mut stage = stage(&context, receiver);
    let record = stored(&context, mention("hn:1", "the app of Harbor is down")).await;
    let publish = |text: &str| {
        newest.send_modify(|watchlist| {
            let watchlist = Arc::make_mut(watchlist);
            for version in changes(watchlist, text) {
                watchlist.take(watchlist.next(), version);
            }
        });
    };
    let judged = |stage: &mut EnrichStage| {
        let Fate::Emitted(outputs) = stage.process(&record) else { panic!("a mention is judged") };
        let EnrichedEvent::Upsert(enriched) = decode(&outputs[0].record.value).unwrap() else {
            panic!("a mention stays one")
        };
        let signal = outputs.get(1).map(|output| match decode(&output.record.value).unwrap() {
            SignalRecord::Signal(signal) => *signal,
            other => panic!("{other:?}"),
        });
        (enriched.searches, signal.map(|signal| (signal.matched, signal.polarity)))
    };

    publish("[[search]]\nid = \"app\"\nquery = \"app NEAR/3 harbor\"\n");
    stage.prepare().await.unwrap();
    let (searches, signal) = judged(&mut stage);
    assert_eq!(searches, ["app"]);
    let (matched, polarity) = signal.expect("a match is a signal, though no subject is named");
    assert_eq!(matched, ["app"]);
    assert!(polarity.is_some());

    // Changed, so that it matches no more; and a rule with a filter beside it.
    publish(
        "[[search]]\nid = \"app\"\nquery = \"app NEAR/2 harbor down NOT is\"\n[[search]]\nid = \"other\"\nquery = \"down\"\n\
         [[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsearches = [\"other\"]\nfilter = \"lang:en\"\n",
    );
    stage.prepare().await.unwrap();
    let (searches, signal) = judged(&mut stage);
    assert_eq!(searches, ["other"]);
    assert_eq!(signal.unwrap().0, ["other", "rule:strong"]);

    publish("");
    stage.prepare().await.unwrap();
    assert_eq!(judged(&mut stage), (Vec::new(), None));
}
