//! The service on a real log: what it writes, what it tells, and what a restart does not do twice.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::net::SocketAddr;
use std::time::Duration;

use earshot_alerts::{Backtest, BacktestRequest, DeliveryListing, Undelivered, Verification};
use earshot_common::broker::{NewRecord, Reader};
use earshot_common::definitions::{Definition, Watchlist, difference, parse_file};
use earshot_common::events::{
    AlertEvent, Delivery, DeliveryState, Lane, Origin, PartitionProgress, Progress, RawPosition,
    SchemaVersion, Signal, SignalRecord, SourceHealth, SourceStatus, SubjectSignal, Transition, decode,
    encode,
};
use earshot_common::keys::{MentionKey, Secret};
use earshot_common::service::{Context, listen, open, run};
use earshot_common::settings::Settings;
use earshot_common::time::{Clock, Timestamp};
use earshot_common::topics::{ALERTS, SIGNALS, Topic, WATCHLIST};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const WATCHED: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[route]]
    id = "desk"
    log = true
    webhook = ["missing"]
    [[rule]]
    id = "strong"
    when = "each mention"
    subjects = ["harbor"]
    reach_at_least = 1000
    route = "desk"
"#;

struct Running {
    context: Context,
    address: SocketAddr,
    work: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(context: &Context) -> Self {
        let context = Context {
            stop: CancellationToken::new(),
            registry: prometheus::Registry::new(),
            ..context.clone()
        };
        // As a program does at its start; a second time it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let service = earshot_alerts::start(context.clone()).await.unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = context.clone();
        let work = tokio::spawn(async move { run(&running, listener, vec![service]).await });
        Self { context, address, work }
    }

    /// The messages that nobody has taken, once they are as wanted.
    async fn undelivered(&self, wanted: impl Fn(&[Undelivered]) -> bool) -> Vec<Undelivered> {
        let asking = async {
            loop {
                let response = reqwest::get(format!("http://{}/api/deliveries", self.address)).await.unwrap();
                let listing: DeliveryListing = response.json().await.unwrap();
                if wanted(&listing.undelivered) {
                    return listing.undelivered;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.expect("what was wanted did not come")
    }

    async fn stop(self) {
        self.context.stop.cancel();
        self.work.await.unwrap().unwrap();
    }
}

/// A log with the watchlist published, before the service has ever run.
async fn log(folder: &tempfile::TempDir) -> Context {
    log_with(folder, WATCHED).await
}

async fn log_with(folder: &tempfile::TempDir, watched: &str) -> Context {
    let settings = Settings::from_toml("data = \"data\"", folder.path()).unwrap();
    let context = open(settings, CancellationToken::new()).await.unwrap();
    let owners = vec![("file:f".to_owned(), parse_file("f", watched).unwrap())];
    for version in difference(&Watchlist::default(), owners).unwrap() {
        append(&context, &WATCHLIST, NewRecord::keyed(version.id.clone(), encode(&version))).await;
    }
    context
}

async fn append(context: &Context, topic: &Topic, record: NewRecord) {
    context.broker.append_durably(topic, vec![record]).await.unwrap();
}

async fn signal(context: &Context, raw_offset: u64, origin: Origin) {
    let signal = Signal {
        v: SchemaVersion::default(),
        mention: MentionKey::of(&format!("mention-{raw_offset}")),
        revision: 1,
        author: Some(Secret::from_bytes([7; 32]).author("ann")),
        origin,
        story: None,
        event_time: format!("2026-01-05T09:{:02}:00Z", raw_offset % 60).parse().unwrap(),
        subjects: vec![SubjectSignal {
            id: "harbor".to_owned(),
            polarity: -0.9,
            risk: Vec::new(),
            lane: Lane::Sure,
            passing: false,
        }],
        polarity: None,
        risk: Vec::new(),
        desks: Vec::new(),
        reach: Some(9_000),
        reach_unit: None,
        matched: Vec::new(),
        source: "file".to_owned(),
        raw: RawPosition { partition: 0, offset: raw_offset },
        raw_appended: None,
        watchlist: 3,
        lexicon: "general-1".to_owned(),
    };
    append(context, &SIGNALS, NewRecord::unkeyed(encode(&SignalRecord::Signal(Box::new(signal))))).await;
}

async fn progress(context: &Context, next: u64) {
    let done_up_to: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let partitions = vec![PartitionProgress { partition: 0, next, done_up_to }];
    let progress =
        SignalRecord::Progress(Progress { v: SchemaVersion::default(), judged_with: None, partitions });
    append(context, &SIGNALS, NewRecord::unkeyed(encode(&progress))).await;
}

async fn finished_import(context: &Context, next: u64) {
    let health = SignalRecord::SourceHealth(SourceHealth {
        v: SchemaVersion::default(),
        source: "file".to_owned(),
        state: SourceStatus::Finished,
        reason: None,
        raw: vec![RawPosition { partition: 0, offset: next }],
        at: "2026-01-05T10:00:00Z".parse().unwrap(),
    });
    append(context, &SIGNALS, NewRecord::unkeyed(encode(&health))).await;
}

/// Reads on until `wanted` says that it has seen enough.
async fn read_until<T>(
    reader: &mut Reader,
    read: fn(&[u8]) -> Option<T>,
    wanted: impl Fn(&[T]) -> bool,
) -> Vec<T> {
    let mut found = Vec::new();
    let reading = async {
        while !wanted(&found) {
            for record in reader.next(100).await.unwrap() {
                found.extend(read(&record.value));
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("what was wanted did not come");
    found
}

fn alert(value: &[u8]) -> Option<AlertEvent> {
    Some(decode(value).unwrap())
}

fn delivery(value: &[u8]) -> Option<Delivery> {
    match decode(value).unwrap() {
        SignalRecord::Delivery(delivery) => Some(delivery),
        _ => None,
    }
}

fn history(value: &[u8]) -> Option<String> {
    match decode(value).unwrap() {
        SignalRecord::History(history) => Some(history.rule),
        _ => None,
    }
}

/// Every record of a topic now.
async fn all<T>(context: &Context, topic: &Topic, read: fn(&[u8]) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    let reader = context.broker.replay(topic, |record| found.extend(read(&record.value))).await;
    drop(reader.unwrap());
    found
}

#[tokio::test]
async fn an_alert_is_written_once_and_told_once_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let mut signals = context.broker.read_from_start(&SIGNALS).await.unwrap();

    let running = Running::start(&context).await;
    let definition = |value: &[u8]| match decode(value).unwrap() {
        SignalRecord::Definition(version) => Some(version.id),
        _ => None,
    };
    let mut copied = read_until(&mut signals, definition, |copied| copied.len() == 3).await;
    copied.sort();
    assert_eq!(copied, ["route/desk", "rule/strong", "subject/harbor"]);

    signal(&context, 0, Origin::Live).await;
    let opened = read_until(&mut alerts, alert, |alerts| !alerts.is_empty()).await;
    assert_eq!(opened[0].transition, Transition::Opened);
    let done = |deliveries: &[Delivery]| {
        deliveries.iter().filter(|d| d.state != DeliveryState::Sending).count() == 2
    };
    let deliveries = read_until(&mut signals, delivery, done).await;
    let undelivered = running.undelivered(|listed| listed.iter().any(|message| message.given_up)).await;
    running.stop().await;
    assert_eq!(undelivered.len(), 1, "the log took its message: {undelivered:?}");
    assert_eq!((undelivered[0].route.as_str(), undelivered[0].channel.as_str()), ("desk", "webhook"));
    assert_eq!((undelivered[0].alert, undelivered[0].since), (Some(opened[0].alert), opened[0].decided));
    assert!(undelivered[0].error.as_ref().unwrap().contains("alerts.webhooks.missing"), "{undelivered:?}");

    let failed = deliveries.iter().find(|delivery| delivery.state == DeliveryState::Failed).unwrap();
    assert!(failed.error.as_ref().unwrap().contains("no section `alerts.webhooks.missing`"), "{failed:?}");
    let delivered = deliveries.iter().find(|delivery| delivery.state == DeliveryState::Delivered).unwrap();
    assert_eq!(delivered.key, format!("{}/1/log", opened[0].alert));
    let first = deliveries.iter().find(|delivery| delivery.key == delivered.key).unwrap();
    assert_eq!(first.state, DeliveryState::Sending, "claimed before it is sent");

    // The next start folds the same log, and has nothing to add until something new comes.
    let running = Running::start(&context).await;
    signal(&context, 1, Origin::Live).await;
    let rising = read_until(&mut alerts, alert, |alerts| !alerts.is_empty()).await;
    assert_eq!((rising[0].transition, rising[0].sequence), (Transition::Rising, 2));
    running.stop().await;
    assert_eq!(all(&context, &ALERTS, alert).await.len(), 2);
    assert_eq!(all(&context, &SIGNALS, delivery).await.len(), 4);
    assert_eq!(all(&context, &SIGNALS, definition).await.len(), 3);
}

#[tokio::test]
async fn the_log_is_told_the_time_where_a_timer_is_due_and_enrichment_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    let steps = "escalate = [{ after_minutes = 15, route = \"desk\" }]";
    let context = log_with(&folder, &format!("{WATCHED}{steps}\n")).await;
    let began = Timestamp::from(jiff::Timestamp::now());
    let context = Context { clock: Clock::manual(began), ..context };
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let mut signals = context.broker.read_from_start(&SIGNALS).await.unwrap();
    let running = Running::start(&context).await;
    signal(&context, 0, Origin::Live).await;
    read_until(&mut alerts, alert, |alerts| !alerts.is_empty()).await;
    // What the sender writes moves the log's clock too: only after it does everything stand still.
    running.undelivered(|listed| matches!(listed, [message] if message.given_up)).await;
    context.clock.set(began.plus_millis(16 * 60_000));
    let tick = |value: &[u8]| matches!(decode(value).unwrap(), SignalRecord::Tick(_)).then_some(());
    read_until(&mut signals, tick, |ticks| !ticks.is_empty()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_rule_is_tested_on_history_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let running = Running::start(&context).await;
    signal(&context, 0, Origin::Live).await;
    let opened = read_until(&mut alerts, alert, |alerts| !alerts.is_empty()).await.remove(0);

    let asked = |definitions: Vec<Definition>| {
        let since = "2026-01-05T00:00:00Z".parse().unwrap();
        let request = BacktestRequest { rule: "strong".to_owned(), definitions, since };
        reqwest::Client::new().post(format!("http://{}/api/backtests", running.address)).json(&request).send()
    };
    let found: Backtest = asked(Vec::new()).await.unwrap().json().await.unwrap();
    assert_eq!(found.fired.len(), 1, "{found:?}");
    assert_eq!((found.fired[0].alert, found.fired[0].opened), (Some(opened.alert), opened.opened));
    // The same rule for a reach that the mention does not have.
    let harder =
        parse_file("f", &WATCHED.replace("reach_at_least = 1000", "reach_at_least = 10000")).unwrap();
    let found: Backtest = asked(harder).await.unwrap().json().await.unwrap();
    assert_eq!((found.fired.len(), found.not_fired[0].alert), (0, opened.alert), "{found:?}");
    running.stop().await;
}

/// Records of `signals` that a service has folded since its start.
fn folded(running: &Running) -> usize {
    let metrics = earshot_common::telemetry::render(&running.context.registry).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("earshot_alerts_signals_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_start_goes_on_from_a_snapshot_of_its_own_log() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let mut signals = context.broker.read_from_start(&SIGNALS).await.unwrap();
    let running = Running::start(&context).await;
    signal(&context, 0, Origin::Live).await;
    let done =
        |told: &[Delivery]| told.iter().filter(|told| told.state != DeliveryState::Sending).count() == 2;
    read_until(&mut signals, delivery, done).await;
    running.stop().await;
    let before = all(&context, &SIGNALS, |value| Some(value.to_vec())).await.len();
    assert!(before >= 8, "definitions, a signal, claims and results: {before}");

    let running = Running::start(&context).await;
    assert!(folded(&running) < before, "the snapshot has the most of it");
    signal(&context, 1, Origin::Live).await;
    let found = read_until(&mut alerts, alert, |alerts| alerts.len() == 2).await;
    assert_eq!((found[1].alert, found[1].sequence), (found[0].alert, 2), "the open alert was in it");
    running.stop().await;
    let told = all(&context, &SIGNALS, delivery).await;
    assert_eq!(told.len(), 4, "each message was claimed and ended once: {told:?}");

    // The snapshots beside another log, which has another record at their place or none.
    let other_folder = tempfile::tempdir().unwrap();
    let other = log(&other_folder).await;
    let snapshots = other_folder.path().join("data/alerts");
    std::fs::create_dir_all(&snapshots).unwrap();
    for file in std::fs::read_dir(folder.path().join("data/alerts")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), snapshots.join(file.file_name())).unwrap();
    }
    for raw_offset in 0..20 {
        signal(&other, raw_offset, Origin::History).await;
    }
    let running = Running::start(&other).await;
    assert_eq!(folded(&running), 20, "all of it from the start");
    running.stop().await;
}

#[tokio::test]
async fn a_snapshot_that_stands_at_a_record_past_retention_is_not_used_and_decisions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let running = Running::start(&context).await;
    signal(&context, 0, Origin::Live).await;
    read_until(&mut alerts, alert, |alerts| alerts.len() == 1).await;
    running.stop().await;
    // Nothing ran for longer than `signals` keeps its records.
    let later = Timestamp::from(jiff::Timestamp::now()).plus_millis(121 * 24 * 60 * 60 * 1_000);
    context.broker.maintain(later).await.unwrap();
    signal(&context, 1, Origin::Live).await;
    let left = all(&context, &SIGNALS, |value| Some(value.to_vec())).await.len();

    let running = Running::start(&context).await;
    assert_eq!(folded(&running), left, "what is left of the log, from its start");
    // What the definitions were is in the log again, and what is decided from here on is written.
    signal(&context, 2, Origin::Live).await;
    let found = read_until(&mut alerts, alert, |alerts| alerts.len() == 1).await;
    assert_eq!((found[0].sequence, found[0].transition), (1, Transition::Opened));
    running.stop().await;
}

#[tokio::test]
async fn an_alert_verifies_and_a_forged_transition_of_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let running = Running::start(&context).await;
    signal(&context, 0, Origin::Live).await;
    let opened = read_until(&mut alerts, alert, |alerts| !alerts.is_empty()).await.remove(0);
    let asked = |id: &str| reqwest::get(format!("http://{}/api/alerts/{id}/verify", running.address));
    let id = opened.alert.to_string();
    let verified: Verification = asked(&id).await.unwrap().json().await.unwrap();
    assert!(!verified.differs() && verified.transitions.len() == 1, "{verified:?}");
    let checks = [&verified.transitions[0].arithmetic, &verified.transitions[0].evidence].map(Vec::len);
    assert_eq!(checks, [5, 4], "{verified:?}");

    let mut forged = opened.clone();
    forged.sequence = 2;
    forged.evidence = vec![MentionKey::of("nobody said this")];
    append(&context, &ALERTS, NewRecord::keyed(id.clone(), encode(&forged))).await;
    let verified: Verification = asked(&id).await.unwrap().json().await.unwrap();
    assert!(verified.differs(), "{verified:?}");
    assert_eq!(asked("00ff").await.unwrap().status(), 404);
    assert_eq!(asked("harbor").await.unwrap().status(), 400);
    running.stop().await;
}

#[tokio::test]
async fn an_import_opens_historic_alerts_that_nobody_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut signals = context.broker.read_from_start(&SIGNALS).await.unwrap();
    let running = Running::start(&context).await;
    for raw_offset in 0..3 {
        signal(&context, raw_offset, Origin::History).await;
    }
    finished_import(&context, 3).await;
    progress(&context, 3).await;
    assert_eq!(read_until(&mut signals, history, |found| !found.is_empty()).await, ["strong"]);
    let found = all(&context, &ALERTS, alert).await;
    assert_eq!(found.len(), 3, "opened, rising, resolved");
    assert!(found.iter().all(|event| event.historic && event.notify.is_empty()));

    // The same file again, after a restart, opens nothing.
    running.stop().await;
    let running = Running::start(&context).await;
    for raw_offset in 3..6 {
        signal(&context, raw_offset - 3, Origin::History).await;
    }
    finished_import(&context, 3).await;
    assert_eq!(read_until(&mut signals, history, |found| !found.is_empty()).await, ["strong"]);
    running.stop().await;
    assert_eq!(all(&context, &ALERTS, alert).await.len(), 3);
    assert!(all(&context, &SIGNALS, delivery).await.is_empty());
}

#[tokio::test]
async fn a_fold_over_the_past_that_a_crash_cut_short_is_completed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let mut signals = context.broker.read_from_start(&SIGNALS).await.unwrap();
    let running = Running::start(&context).await;
    for raw_offset in 0..3 {
        signal(&context, raw_offset, Origin::History).await;
    }
    finished_import(&context, 3).await;
    progress(&context, 3).await;
    read_until(&mut signals, history, |found| !found.is_empty()).await;
    running.stop().await;
    let complete = all(&context, &ALERTS, alert).await;

    // The same log without what came after the first transition.
    let cut_folder = tempfile::tempdir().unwrap();
    let cut = log(&cut_folder).await;
    let records = all(&context, &SIGNALS, |value| Some(value.to_vec())).await;
    for record in records.into_iter().filter(|record| history(record).is_none()) {
        append(&cut, &SIGNALS, NewRecord::unkeyed(record)).await;
    }
    append(&cut, &ALERTS, NewRecord::keyed(complete[0].alert.to_string(), encode(&complete[0]))).await;
    let mut signals = cut.broker.read_from_start(&SIGNALS).await.unwrap();
    let running = Running::start(&cut).await;
    assert_eq!(read_until(&mut signals, history, |found| !found.is_empty()).await, ["strong"]);
    running.stop().await;
    let numbers = |events: &[AlertEvent]| -> Vec<_> {
        events.iter().map(|e| (e.alert, e.sequence, e.transition)).collect()
    };
    assert_eq!(numbers(&all(&cut, &ALERTS, alert).await), numbers(&complete));
}

#[tokio::test]
async fn alerts_restored_beside_a_new_log_hold_nothing_back_and_are_told_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let context = log(&folder).await;
    let running = Running::start(&context).await;
    signal(&context, 0, Origin::Live).await;
    let mut alerts = context.broker.read_from_start(&ALERTS).await.unwrap();
    let opened = read_until(&mut alerts, alert, |alerts| !alerts.is_empty()).await.remove(0);
    running.stop().await;

    // The same alert as a backup brings it back: from far along a log that is gone, told to somebody there.
    let restored_folder = tempfile::tempdir().unwrap();
    let restored = log(&restored_folder).await;
    let mut earlier = opened.clone();
    earlier.signals.offset = 500_000;
    for notification in &mut earlier.notify {
        notification.key = format!("earlier/{}", notification.key);
    }
    append(&restored, &ALERTS, NewRecord::keyed(earlier.alert.to_string(), encode(&earlier))).await;
    let mut alerts = restored.broker.read_from_start(&ALERTS).await.unwrap();
    let mut signals = restored.broker.read_from_start(&SIGNALS).await.unwrap();
    for start in 0..2 {
        let running = Running::start(&restored).await;
        signal(&restored, start, Origin::Live).await;
        let wanted = if start == 0 { 2 } else { 1 };
        let events = read_until(&mut alerts, alert, |alerts| alerts.len() == wanted).await;
        assert_ne!(events.last().unwrap().signals.offset, 500_000, "the new log raises its own alert");
        if start == 0 {
            let done = |told: &[Delivery]| told.iter().any(|told| told.state == DeliveryState::Delivered);
            read_until(&mut signals, delivery, done).await;
        }
        running.stop().await;
    }
    let told = all(&restored, &SIGNALS, delivery).await;
    assert!(
        !told.is_empty() && told.iter().all(|delivery| !delivery.key.starts_with("earlier/")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_is_sent_while_enrichment_tells_its_progress_and_not_before() {
    let (beaten, mut beats) = tokio::sync::mpsc::unbounded_channel();
    let beat = axum::routing::get(async move || beaten.send(()).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/ping", beat)).await });

    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("data = \"data\"\n[alerts.heartbeat]\nurl = \"http://{address}/ping\"\ninterval_s = 1\n");
    let settings = Settings::from_toml(&text, folder.path()).unwrap();
    let context = open(settings, CancellationToken::new()).await.unwrap();
    let running = Running::start(&context).await;
    // The first beat is due at once, and nobody listens yet.
    let counted = "earshot_heartbeats_total{result=\"failed\"} 1";
    let withheld = async {
        while !earshot_common::telemetry::render(&running.context.registry).unwrap().contains(counted) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), withheld).await.expect("the first beat is withheld");
    assert!(beats.try_recv().is_err());
    progress(&context, 1).await;
    tokio::time::timeout(Duration::from_secs(20), beats.recv()).await.expect("a beat comes").unwrap();
    running.stop().await;
}
