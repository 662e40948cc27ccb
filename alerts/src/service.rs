//! The service: reads `signals`, folds it, writes `alerts`, and has people told.
//!
//! Every instance folds. The one that holds the lease is active: it writes and sends. The others keep what they decide
//! until they see it in `alerts`, so that the one that takes over writes what its predecessor did not come to.
//!
//! One loop does all of it in turn, so that the order of writes is the order of decisions. A transition is stored
//! before anything acts on it. What takes long (sending, the fold over the past) runs beside the loop and reports
//! back to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::get;
use axum::{Json, Router};
use earshot_common::broker::{
    AppendError, Bounds, Broker, MAX_BATCH, NewRecord, Position, ReadError, Reader, Record,
    no_longer_followed,
};
use earshot_common::definitions::{Watchlist, doubts, follow};
use earshot_common::events::{
    AlertEvent, DefinitionVersion, DeliveryState, RebuildRequest, SchemaVersion, SignalRecord, Tick,
    Transition, decode, encode,
};
use earshot_common::fail_point;
use earshot_common::http::Refusal;
use earshot_common::lease::Lease;
use earshot_common::metrics::Hop;
use earshot_common::service::{Context, Service};
use earshot_common::time::Timestamp;
use earshot_common::topics::{ALERTS, REBUILDS, SIGNALS, Topic, WATCHLIST};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::briefs::{self, Asked, Briefs};
use crate::delivery::{
    Ledger, Limits, Outbox, Outcome, RESEND_MS, Refused, Standing as StandingAlerts, Undelivered,
};
use crate::fold::{HistoryDue, State};
use crate::heartbeat::Heartbeat;
use crate::history::{Found, Past};
use crate::metrics::{Metrics, band};
use crate::operators::{self, Operators};
use crate::proof::Proof;
use crate::rebuilds::{self, RebuildListing, Rebuilds};
use crate::settings::{AlertsSettings, check};
use crate::snapshot::{self, Folded, Mark, Snapshots};
use crate::ticks::Ticks;
use crate::written::Written;

/// The group of instances: who holds its lease writes what was decided and has people told.
const LEASE: &str = "alerts-writer";
/// Claims that have run out and waits that are over are looked for this often.
const TICK: Duration = Duration::from_secs(1);
/// The loop reports within this.
const DEADLINE: Duration = Duration::from_secs(60);
/// Attempts that run at the same time, at most.
const MOST_ATTEMPTS: usize = 64;
/// Definitions are copied again after this, so that the log always holds them for far longer than a baseline looks
/// back before its oldest records go.
const COPIES_LAST_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// Old copies are looked for this often.
const CHECK_COPIES_MS: i64 = 60 * 60 * 1_000;
/// What is being sent at a stop may take this long.
const LAST_ATTEMPTS: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Opens what the service needs.
pub async fn start(context: Context) -> anyhow::Result<Service> {
    let settings: AlertsSettings = context.settings.section("alerts")?;
    let outbox = Arc::new(Outbox::open(&settings, &context)?);
    let metrics = Metrics::declare(&context.registry).context("declare the metrics of alerts")?;
    let watchlist = follow(&context.broker, context.stop.clone()).await.context("follow the watchlist")?;
    let limits = Limits {
        claim_timeout_ms: i64::from(settings.claim_timeout_s) * 1_000,
        retry_for_ms: i64::from(settings.retry_for_s) * 1_000,
        fallback_after_ms: i64::from(settings.fallback_after_s) * 1_000,
    };
    let sender = format!("alerts-{:016x}", rand::random::<u64>());
    let broker = context.broker.clone();
    let proof = Proof::new(broker.clone(), watchlist.clone());
    let (standing, stands) = watch::channel(Standing::default());
    let (asking, asked) = mpsc::channel(1);
    let briefs = Briefs { asking, outbox: Arc::clone(&outbox), clock: context.clock.clone() };
    let operators = Operators {
        broker: broker.clone(),
        watchlist: watchlist.clone(),
        outbox: Arc::clone(&outbox),
        clock: context.clock.clone(),
    };
    let rebuilds = Rebuilds { broker: broker.clone(), watchlist: watchlist.clone(), stands: stands.clone() };
    let mut worker = Worker {
        lease: Lease::join(&broker, LEASE, ALERTS).await.context("join the instances of alerts")?,
        active: false,
        decided: Vec::new(),
        alerts: broker.read_from_start(&ALERTS).await.context("read `alerts`")?,
        alerts_next: 0,
        signals_first: 0,
        signals_begin: None,
        folded: Folded::default(),
        at: None,
        snapshots: Snapshots::open(context.settings.shared.data.join("alerts"))?,
        saving: None,
        saved: context.clock.now(),
        saved_offset: None,
        written: Written::default(),
        ledger: Ledger::new(sender, limits, context.clock.now()),
        outbox: Arc::clone(&outbox),
        attempts: JoinSet::new(),
        standing_alerts: StandingAlerts::default(),
        refreshed: Timestamp::default(),
        refreshes: JoinSet::new(),
        past: None,
        past_done: None,
        rebuilds: Arc::default(),
        rebuilds_asked: Vec::new(),
        definitions_due: true,
        copies_checked: Timestamp::default(),
        unreadable: false,
        ticks: Ticks::default(),
        next: 0,
        asked,
        watchlist,
        standing,
        settings,
        metrics,
        context,
    };
    let heartbeat = worker.settings.heartbeat.as_ref();
    let heartbeat = heartbeat
        .map(|settings| Heartbeat::open(settings, &worker.context.settings.base))
        .transpose()
        .context("settings section `alerts.heartbeat`")?;
    let signals = worker.catch_up().await?;
    if let Some(heartbeat) = heartbeat {
        let results = worker.metrics.heartbeats.clone();
        tokio::spawn(heartbeat.run(worker.context.clone(), stands.clone(), results));
    }
    Ok(Service {
        name: "alerts",
        routes: Router::new()
            .route("/api/decisions", get(decisions))
            .route("/api/deliveries", get(deliveries))
            .with_state((broker, stands))
            .merge(operators::routes(operators))
            .merge(rebuilds::routes(rebuilds))
            .merge(briefs::routes(briefs))
            .merge(proof.routes()),
        signed_routes: Router::new(),
        work: Box::pin(worker.run(signals)),
    })
}

/// How far the decisions and the messages are.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Whether this instance writes and sends, and no other.
    active: bool,
    /// The offset of `signals` to fold next.
    pub(crate) next: u64,
    /// Whether a fold over the past is running or to come.
    past_due: bool,
    /// Whether anything was decided that is not written.
    unwritten: bool,
    /// Alerts that are open.
    open: usize,
    /// Counts that are made anew.
    pub(crate) rebuilds: Arc<RebuildListing>,
    /// When enrichment last told its progress, where this instance is active: only then it gives signs of life.
    pub(crate) progress: Option<Timestamp>,
    /// Messages that nobody has taken.
    undelivered: Vec<Undelivered>,
}

/// The answer of `GET /api/deliveries`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryListing {
    /// Messages that were decided and that nobody has taken: those that wait, and those that were given up
    /// within a day.
    pub undelivered: Vec<Undelivered>,
}

/// Whether all that the log held when the question came is decided and written, the past included.
async fn decisions(
    axum::extract::State((broker, stands)): axum::extract::State<(Broker, watch::Receiver<Standing>)>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let bounds = broker.bounds(&SIGNALS, None).await.map_err(Refusal::unavailable)?;
    let end = bounds.first().map_or(0, |bounds| bounds.next);
    let stands = stands.borrow();
    let up_to_date = stands.next >= end && !stands.past_due && !stands.unwritten;
    Ok(Json(serde_json::json!({
        "up_to_date": up_to_date, "active": stands.active, "next": stands.next, "end": end, "open": stands.open,
        // Their rules that compare with a baseline open nothing until their counts are made anew.
        "warming": stands.rebuilds.warming,
    })))
}

/// The messages that nobody has taken.
async fn deliveries(
    axum::extract::State((_, stands)): axum::extract::State<(Broker, watch::Receiver<Standing>)>,
) -> Json<DeliveryListing> {
    Json(DeliveryListing { undelivered: stands.borrow().undelivered.clone() })
}

struct Worker {
    context: Context,
    settings: AlertsSettings,
    metrics: Metrics,
    watchlist: watch::Receiver<Arc<Watchlist>>,
    standing: watch::Sender<Standing>,
    /// Who asks for a brief as it would read now.
    asked: mpsc::Receiver<Asked>,
    lease: Lease,
    /// Whether this instance writes and sends.
    active: bool,
    /// What was decided and is not in `alerts`.
    decided: Vec<AlertEvent>,
    alerts: Reader,
    /// The offset of `alerts` to read next.
    alerts_next: u64,
    /// The oldest offset of `signals` at the start.
    signals_first: u64,
    /// When the log took the oldest record of `signals`, as soon as it has one.
    signals_begin: Option<Timestamp>,
    folded: Folded,
    /// The record that was folded last.
    at: Option<Mark>,
    snapshots: Snapshots,
    /// The snapshot that is being written.
    saving: Option<JoinHandle<()>>,
    /// When the last snapshot was begun.
    saved: Timestamp,
    /// The offset that the newest snapshot stands at.
    saved_offset: Option<u64>,
    written: Written,
    ledger: Ledger,
    outbox: Arc<Outbox>,
    attempts: JoinSet<Attempt>,
    /// What Alertmanagers are told of again and again.
    standing_alerts: StandingAlerts,
    /// When they were last told; long ago where there is news for them.
    refreshed: Timestamp,
    refreshes: JoinSet<()>,
    /// The fold over the past that is running.
    past: Option<JoinHandle<anyhow::Result<(HistoryDue, Found)>>>,
    /// The record that asked for the last fold over the past whose result was written.
    past_done: Option<u64>,
    /// What is counted anew, as the state has it.
    rebuilds: Arc<RebuildListing>,
    /// The outstanding rebuilds that this instance has asked for.
    rebuilds_asked: Vec<RebuildRequest>,
    /// Whether the watchlist may hold what the state lacks.
    definitions_due: bool,
    /// When old copies of definitions were last looked for.
    copies_checked: Timestamp,
    /// Whether the last read failed.
    unreadable: bool,
    ticks: Ticks,
    /// The offset of `signals` to fold next.
    next: u64,
}

/// An attempt that has ended.
struct Attempt {
    /// The notifications that it was to deliver.
    keys: Vec<String>,
    channel: &'static str,
    decided: Timestamp,
    result: Result<(), Refused>,
}

impl Worker {
    /// Learns what `alerts` holds and folds what `signals` does. Where nobody else can be writing, this instance becomes
    /// active here: so the definitions stand in the log before the first mention that a service of this process judges.
    async fn catch_up(&mut self) -> anyhow::Result<Reader> {
        let bounds =
            self.context.broker.bounds(&SIGNALS, None).await.context("find the ends of `signals`")?;
        let bounds = *bounds.first().context("`signals` has no partition")?;
        self.signals_first = bounds.first;
        self.signals_begin = beginning(&self.context.broker, bounds).await.context("read `signals`")?;
        self.next = bounds.first;
        if let Some((at, folded)) = self.newest_snapshot(bounds).await? {
            tracing::info!(
                offset = at.offset,
                behind = bounds.next - at.offset - 1,
                "a snapshot is taken up"
            );
            (self.next, self.saved_offset) = (at.offset + 1, Some(at.offset));
            (self.at, self.folded) = (Some(at), folded);
        }
        self.learn_to_the_end().await.context("replay `alerts`")?;
        let from = vec![Position { partition: bounds.partition, offset: self.next }];
        self.context.inputs.stands("alerts", SIGNALS, &from, &[]);
        let mut signals = self.context.broker.read(&SIGNALS, from).await.context("read `signals`")?;
        while self.next < bounds.next {
            let records = signals.next(MAX_BATCH).await;
            self.read(records).await?;
        }
        self.note_rebuilds();
        self.look_at_lease().await?;
        Ok(signals)
    }

    async fn run(mut self, mut signals: Reader) -> anyhow::Result<()> {
        let stop = self.context.stop.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order: a stop ends the other tasks too, and a long log must not keep results waiting.
                biased;
                () = stop.cancelled() => break,
                Some(attempt) = self.attempts.join_next() => self.settle(attempt?).await?,
                found = finished(&mut self.past) => self.hand_over(found).await?,
                changed = self.watchlist.changed() => {
                    if changed.is_err() {
                        return Err(no_longer_followed(self.watchlist, &WATCHLIST, &stop).await.into());
                    }
                    self.definitions_due = true;
                }
                Some(asked) = self.asked.recv() => asked.answer(&self.folded.state),
                _ = ticks.tick() => {}
                records = self.alerts.next(MAX_BATCH), if !self.active => self.follow_alerts(records).await?,
                records = signals.next(MAX_BATCH) => self.read(records).await?,
            }
            self.look_at_lease().await?;
            let unwritten = self.lease.is_held() && !self.decided.is_empty();
            if !self.unreadable && !unwritten {
                self.context.health.well("alerts", DEADLINE);
            }
            self.act().await?;
            let now = self.context.clock.now();
            let undelivered = if self.active { self.ledger.listing(now) } else { Vec::new() };
            self.metrics.show_undelivered(&undelivered, now);
            self.standing.send_replace(Standing {
                active: self.active,
                next: self.next,
                past_due: self.folded.state.awaits_history() || self.past.is_some(),
                unwritten: !self.decided.is_empty(),
                open: self.folded.state.open_severities().count(),
                rebuilds: Arc::clone(&self.rebuilds),
                progress: self.folded.progress.filter(|_| self.active),
                undelivered,
            });
        }
        self.finish_attempts().await
    }

    /// Becomes active when the lease is ours, and stands by when it no longer is.
    async fn look_at_lease(&mut self) -> anyhow::Result<()> {
        match (self.active, self.lease.is_held()) {
            (false, true) => self.take_over().await,
            (true, false) => {
                self.stand_by();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Learns what the one before has written, writes what it did not come to, and goes on from there.
    async fn take_over(&mut self) -> anyhow::Result<()> {
        match self.learn_to_the_end().await {
            Ok(()) => {}
            Err(error @ ReadError::Unavailable { .. }) => {
                tracing::warn!(%error, "`alerts` cannot be read, so nothing is written yet; trying again");
                return Ok(());
            }
            Err(error) => return Err(error).context("read `alerts`"),
        }
        tracing::info!(
            offset = self.next,
            unwritten = self.decided.len(),
            "this instance is active from here on"
        );
        self.active = true;
        // Whether the one before came to ask is not known.
        self.rebuilds_asked.clear();
        self.metrics.active.set(1);
        self.write_decided().await?;
        self.copy_definitions().await
    }

    fn stand_by(&mut self) {
        tracing::warn!(
            "another instance may be active by now, or what was written is not known: this one stands by"
        );
        self.active = false;
        self.metrics.active.set(0);
    }

    /// Reads `alerts` to where it ends now.
    async fn learn_to_the_end(&mut self) -> Result<(), ReadError> {
        let bounds = self.context.broker.bounds(&ALERTS, None).await?;
        let end = bounds.first().map_or(0, |bounds| bounds.next);
        let mut of_another_log = 0;
        while self.alerts_next < end {
            let records = self.alerts.next(MAX_BATCH).await?;
            of_another_log += self.learn(&records)?;
        }
        if of_another_log > 0 {
            tracing::warn!(
                alerts = of_another_log,
                "`signals` holds nothing of what these transitions were decided from: baselines and decisions begin \
                 anew, and alerts that are open stay as they are"
            );
        }
        Ok(())
    }

    /// Takes in what the active instance wrote.
    async fn follow_alerts(&mut self, records: Result<Vec<Record>, ReadError>) -> anyhow::Result<()> {
        match records {
            Ok(records) => drop(self.learn(&records)?),
            Err(error @ ReadError::Unavailable { .. }) => {
                tracing::warn!(%error, "`alerts` cannot be read; trying again");
                tokio::time::sleep(TICK).await;
            }
            Err(error) => return Err(error).context("read `alerts`"),
        }
        self.decided.retain(|event| self.written.lacks(event));
        Ok(())
    }

    /// Learns what was written. Answers how many transitions were decided from another `signals`.
    fn learn(&mut self, records: &[Record]) -> Result<usize, ReadError> {
        let mut of_another_log = 0;
        for record in records {
            self.alerts_next = record.offset + 1;
            self.folded.alerts_end = self.folded.alerts_end.max(self.alerts_next);
            match decode::<AlertEvent>(&record.value) {
                // What caused it is no longer in the log, or was in another log whose offsets say nothing about this
                // one, as after a restore of `alerts` alone or where `signals` was made anew: it holds nothing back,
                // and nobody is told again.
                Ok(event)
                    if !event.historic
                        && (event.signals.offset < self.signals_first
                            || self.signals_begin.is_none_or(|begin| event.decided < begin)) =>
                {
                    of_another_log += usize::from(event.signals.offset >= self.signals_first);
                }
                Ok(event) if self.written.lacks(&event) => {
                    self.written.take(&event);
                    self.expect(&event);
                }
                Ok(_) => {}
                // What is not known to be written would be written again.
                Err(error) if error.newer_version => return Err(ReadError::newer_version(&ALERTS, record)),
                Err(error) => {
                    tracing::error!(offset = record.offset, %error, "a record of `alerts` is passed over");
                }
            }
        }
        Ok(of_another_log)
    }

    /// Expects the messages of a transition to be sent, and knows of each what was written of it already, and of those
    /// that took its place.
    fn expect(&mut self, event: &AlertEvent) {
        if self.standing_alerts.take(event) {
            self.refreshed = Timestamp::default();
        }
        // A snapshot holds the results of the last months only: nobody is told again of what was before.
        if self.at.as_ref().is_some_and(|at| snapshot::is_forgotten(event.decided, at.appended)) {
            return;
        }
        self.ledger.expect(event);
        self.folded.told.tell_of(&event.notify, &mut self.ledger);
    }

    /// Expects the messages of the briefs that were due last, and knows of each what was written of it already.
    fn expect_briefs(&mut self) {
        for due in self.folded.state.due_briefs() {
            if self.ledger.expect_brief(due) {
                self.folded.told.tell_of(&due.notify, &mut self.ledger);
            }
        }
    }

    /// The newest snapshot that is sound and of this log. The record that it stands at must be there: a log that was
    /// made anew, brought back from a backup or cut by retention has another.
    async fn newest_snapshot(&mut self, bounds: Bounds) -> anyhow::Result<Option<(Mark, Folded)>> {
        let alerts = self.context.broker.bounds(&ALERTS, None).await.context("find the end of `alerts`")?;
        let alerts_end = alerts.first().map_or(0, |bounds| bounds.next);
        for (path, at) in self.snapshots.marks()? {
            let position = Position { partition: bounds.partition, offset: at.offset };
            let is_there = (bounds.first..bounds.next).contains(&at.offset);
            let known = match is_there {
                true => self.context.broker.first_from(&SIGNALS, position).await.context("read `signals`")?,
                false => None,
            };
            if known.is_none_or(|record| Mark::of(&record) != at) {
                let error =
                    anyhow::anyhow!("`signals` does not hold the record {} that it stands at", at.offset);
                snapshot::ignored(&path, &error);
                continue;
            }
            let from = path.clone();
            let reading = tokio::task::spawn_blocking(move || snapshot::read(&from));
            match reading.await.context("reading a snapshot panicked")? {
                Some(folded) if folded.alerts_end <= alerts_end => return Ok(Some((at, folded))),
                Some(_) => {
                    let error = anyhow::anyhow!("`alerts` has lost records since, so all is decided again");
                    snapshot::ignored(&path, &error);
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// Has a snapshot written beside the loop, unless one is being written or nothing new was folded. All that was
    /// decided before it is in `alerts`: what is not would be lost with the records that it stands for.
    fn save(&mut self, now: Timestamp) {
        let is_saving = self.saving.as_ref().is_some_and(|saving| !saving.is_finished());
        let is_new = |at: &Mark| self.saved_offset != Some(at.offset);
        let Some(at) = self.at.clone().filter(|at| !is_saving && self.decided.is_empty() && is_new(at))
        else {
            return;
        };
        (self.saved, self.saved_offset) = (now, Some(at.offset));
        // Not in the copy alone: a program that runs for years must not remember every message.
        self.folded.told.forget(at.appended);
        let (snapshots, folded, saved) =
            (self.snapshots.clone(), self.folded.clone(), self.metrics.snapshots.clone());
        self.saving = Some(tokio::task::spawn_blocking(move || {
            let written = snapshots.write(&at, &folded);
            let result = if written.is_ok() { "written" } else { "failed" };
            saved.with_label_values(&[result]).inc();
            match written {
                Ok(bytes) => tracing::info!(offset = at.offset, bytes, "a snapshot is written"),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "a snapshot could not be written; a start takes longer meanwhile");
                }
            }
        }));
    }

    async fn read(&mut self, records: Result<Vec<Record>, ReadError>) -> anyhow::Result<()> {
        self.unreadable = records.is_err();
        match records {
            Ok(records) => self.fold(&records).await,
            Err(error @ ReadError::Unavailable { .. }) => {
                self.context.health.trouble("alerts", error.to_string());
                tracing::warn!(%error, "`signals` cannot be read; trying again");
                tokio::time::sleep(TICK).await;
                Ok(())
            }
            Err(error) => Err(error).context(
                "what was decided from `signals` no longer follows from what it holds: start again to go on with that",
            ),
        }
    }

    /// Folds a batch, stores what follows from it, and only then lets anybody act on it.
    async fn fold(&mut self, records: &[Record]) -> anyhow::Result<()> {
        let mut events = Vec::new();
        let mut counts_may_change = false;
        if let Some(first) = records.first() {
            self.signals_begin.get_or_insert(first.appended);
        }
        for record in records {
            self.next = record.offset + 1;
            match decode::<SignalRecord>(&record.value) {
                Ok(signal) => {
                    match &signal {
                        SignalRecord::Delivery(delivery) => {
                            self.ledger.take(record.appended, delivery);
                            self.folded.told.take(record.appended, delivery);
                        }
                        SignalRecord::Progress(_) => self.folded.progress = Some(record.appended),
                        _ => {}
                    }
                    counts_may_change |= !matches!(
                        signal,
                        SignalRecord::Signal(_)
                            | SignalRecord::Delivery(_)
                            | SignalRecord::Command(_)
                            | SignalRecord::Tick(_)
                            | SignalRecord::Collecting(_)
                    );
                    events.extend(self.folded.state.apply(record.offset, record.appended, &signal));
                }
                // Passing over what a newer Earshot says would make other decisions than it makes.
                Err(error) if error.newer_version => {
                    let offset = record.offset;
                    return Err(error).with_context(|| {
                        format!(
                            "fold `signals` offset {offset}: a newer Earshot wrote it; upgrade alerts first"
                        )
                    });
                }
                Err(error) => {
                    self.metrics.undecodable.inc();
                    tracing::error!(offset = record.offset, %error, "a record of `signals` is passed over");
                }
            }
        }
        self.metrics.signals.inc_by(records.len() as u64);
        if let Some(last) = records.last() {
            let next = Position { partition: 0, offset: last.offset + 1 };
            self.context.inputs.stands("alerts", SIGNALS, &[next], std::slice::from_ref(last));
            self.at = Some(Mark::of(last));
            self.ledger.note_time(last.appended);
            self.ticks.note_append(self.context.clock.now());
        }
        self.write(events).await?;
        self.metrics.show_open(&self.folded.state);
        self.metrics.show_feedback(&self.folded.state);
        if counts_may_change {
            self.note_rebuilds();
        }
        Ok(())
    }

    /// Keeps what was decided and is new, and writes it where this instance is active.
    async fn write(&mut self, events: Vec<AlertEvent>) -> anyhow::Result<()> {
        self.decided.extend(events);
        if self.active {
            return self.write_decided().await;
        }
        self.decided.retain(|event| self.written.lacks(event));
        Ok(())
    }

    /// Stores the transitions that are new, then expects their messages to be sent. Where the lease goes meanwhile, or
    /// nobody knows what was stored, they are kept, and `alerts` is read again before more is written.
    async fn write_decided(&mut self) -> anyhow::Result<()> {
        let mut events = std::mem::take(&mut self.decided);
        events.retain(|event| self.written.lacks(event));
        let records =
            events.iter().map(|event| NewRecord::keyed(event.alert.to_string(), encode(event))).collect();
        if !self.append_alerts(records).await? {
            self.decided = events;
            self.stand_by();
            return Ok(());
        }
        if !events.is_empty() {
            fail_point::passed("alerted");
        }
        self.folded.alerts_end += events.len() as u64;
        for event in &events {
            self.written.take(event);
            self.expect(event);
            self.report(event);
        }
        Ok(())
    }

    fn report(&self, event: &AlertEvent) {
        let transition = event.transition.name();
        let historic = if event.historic { "true" } else { "false" };
        self.metrics.transitions.with_label_values(&[transition, historic]).inc();
        if event.historic {
            return;
        }
        if event.transition == Transition::Opened {
            let now = self.context.clock.now();
            self.context.metrics.hop(Hop::SignalAlerted, event.decided, now);
            self.context.metrics.hop(Hop::PublishedAlerted, event.opened, now);
        }
        if let Some(after_ms) = event.acknowledged.as_ref().and_then(|held| held.assessed_after_ms)
            && event.transition == Transition::Acknowledged
        {
            self.metrics.assessment_seconds.observe(after_ms as f64 / 1_000.0);
        }
        tracing::info!(
            alert = %event.alert, sequence = event.sequence, rule = event.rule, subject = event.subject,
            severity = event.severity, "alert {transition}"
        );
        if event.unrouted {
            self.metrics.unrouted.with_label_values(&[band(event.severity)]).inc();
            tracing::warn!(
                alert = %event.alert, rule = event.rule, subject = event.subject, severity = event.severity,
                "no route takes this alert, so nobody is told; `earshot alerts why` says which condition failed"
            );
        }
    }

    /// Copies into `signals` what the state lacks of the watchlist.
    async fn copy_definitions(&mut self) -> anyhow::Result<()> {
        let now = self.context.clock.now();
        (self.definitions_due, self.copies_checked) = (false, now);
        let published = Arc::clone(&self.watchlist.borrow_and_update());
        for fault in check(&self.settings, &published) {
            tracing::warn!("{fault}; its messages fail");
        }
        for doubt in doubts(&published) {
            tracing::warn!("{doubt}");
        }
        let missing = missing(&published, &self.folded.state, now);
        self.append_signals(missing.into_iter().map(SignalRecord::Definition)).await
    }

    /// What is to be done once all is folded that was read: tell the time, copy definitions, send, look into the past.
    async fn act(&mut self) -> anyhow::Result<()> {
        let now = self.context.clock.now();
        let interval_ms = i64::from(self.settings.snapshot_interval_s) * 1_000;
        if self.saved.plus_millis(interval_ms) <= now {
            self.save(now);
        }
        if !self.active {
            return Ok(());
        }
        if !self.unreadable && self.ticks.take_due(self.folded.state.next_timer(), now) {
            self.append_signals([SignalRecord::Tick(Tick::default())]).await?;
        }
        if self.definitions_due || self.copies_checked.plus_millis(CHECK_COPIES_MS) <= now {
            self.copy_definitions().await?;
        }
        self.ask_for_rebuilds().await?;
        self.expect_briefs();
        let claims = self.ledger.claims(now);
        if !claims.is_empty() {
            self.append_signals(claims.into_iter().map(SignalRecord::Delivery)).await?;
            fail_point::passed("claimed");
        }
        let room = MOST_ATTEMPTS.saturating_sub(self.attempts.len());
        for job in self.ledger.jobs(room, now) {
            let (keys, channel) = (job.keys(), job.to.name());
            let decided = job.decided().unwrap_or(now);
            let draft = self.outbox.draft(job, &self.folded.state);
            let outbox = Arc::clone(&self.outbox);
            self.attempts.spawn(async move {
                let result = outbox.send(draft, now).await;
                Attempt { keys, channel, decided, result }
            });
        }
        self.refresh_alertmanagers(now);
        if self.past.is_none()
            && let Some(due) =
                self.folded.state.history_due().filter(|due| self.past_done != Some(due.offset))
        {
            let (broker, watchlist) = (self.context.broker.clone(), self.folded.state.watchlist().clone());
            tracing::info!(imports = ?due.imports, "folding the past");
            self.past = Some(tokio::spawn(fold_past(broker, watchlist, due)));
        }
        Ok(())
    }

    /// Looks at what is counted anew: seldom, for there may be many subjects.
    fn note_rebuilds(&mut self) {
        self.rebuilds = Arc::new(RebuildListing::of(&self.folded.state));
        self.metrics.warming.set(self.rebuilds.warming.len() as i64);
    }

    /// Asks enrich for the rebuilds that the fold waits for.
    async fn ask_for_rebuilds(&mut self) -> anyhow::Result<()> {
        let outstanding = Arc::clone(&self.rebuilds);
        if outstanding.waiting == self.rebuilds_asked {
            return Ok(());
        }
        let is_new = |request: &&RebuildRequest| !self.rebuilds_asked.contains(request);
        let asks: Vec<NewRecord> = outstanding
            .waiting
            .iter()
            .filter(is_new)
            .map(|request| NewRecord::keyed(request.subject.clone(), encode(request)))
            .collect();
        self.append_patiently(&REBUILDS, asks).await?;
        self.rebuilds_asked = outstanding.waiting.clone();
        Ok(())
    }

    /// Tells Alertmanagers again what stands, one telling at a time. One that is missed is made up for by the next.
    fn refresh_alertmanagers(&mut self, now: Timestamp) {
        while self.refreshes.try_join_next().is_some() {}
        // A clock that was set back must not make the wait longer.
        let waits = self.refreshed <= now && now < self.refreshed.plus_millis(RESEND_MS);
        if waits || !self.refreshes.is_empty() {
            return;
        }
        self.refreshed = now;
        for (name, alerts) in self.standing_alerts.due(now) {
            let alerts = self.outbox.refresh(&name, alerts, self.folded.state.watchlist(), now);
            let outbox = Arc::clone(&self.outbox);
            self.refreshes.spawn(async move {
                if let Err(error) = outbox.post(&name, &alerts).await {
                    tracing::warn!(
                        alertmanager = name,
                        %error,
                        "an Alertmanager was not told again; it is tried again"
                    );
                }
            });
        }
    }

    /// Writes what became of an attempt.
    async fn settle(&mut self, attempt: Attempt) -> anyhow::Result<()> {
        for key in &attempt.keys {
            self.settle_one(key, &attempt).await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self, key: &str, attempt: &Attempt) -> anyhow::Result<()> {
        let outcome = self.ledger.settle(key, attempt.result.clone(), self.context.clock.now());
        let result = match &outcome {
            Outcome::Later => "retry",
            Outcome::Done(delivery) if delivery.state == DeliveryState::Delivered => "delivered",
            Outcome::Done(_) => "failed",
        };
        self.metrics.deliveries.with_label_values(&[attempt.channel, result]).inc();
        let Outcome::Done(delivery) = outcome else { return Ok(()) };
        if delivery.state == DeliveryState::Failed && self.ledger.has_fallback(key) {
            self.metrics.fallbacks.with_label_values(&[attempt.channel]).inc();
        }
        fail_point::passed("sent");
        match &delivery.error {
            Some(error) => tracing::error!(key = delivery.key, error, "a message was not delivered"),
            None => {
                self.context.metrics.hop(Hop::AlertedDelivered, attempt.decided, self.context.clock.now());
                tracing::info!(key = delivery.key, attempt = delivery.attempt, "a message was delivered");
            }
        }
        self.append_signals([SignalRecord::Delivery(delivery)]).await?;
        fail_point::passed("delivered");
        Ok(())
    }

    /// Writes what the fold over the past found, unless something has asked for another meanwhile.
    async fn hand_over(&mut self, found: anyhow::Result<(HistoryDue, Found)>) -> anyhow::Result<()> {
        let (due, found) = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the past could not be folded; trying again");
                return Ok(());
            }
        };
        if !self.active || self.folded.state.history_due().is_none_or(|newest| newest.offset != due.offset) {
            return Ok(());
        }
        tracing::info!(transitions = found.events.len(), "the past is folded");
        self.write(found.events).await?;
        // Where the lease went meanwhile, whoever has it folds the past again: `signals` must not say that it is done.
        if !self.active {
            return Ok(());
        }
        self.append_signals(found.histories.into_iter().map(SignalRecord::History)).await?;
        self.past_done = Some(due.offset);
        Ok(())
    }

    /// Lets the attempts under way end, and writes what became of them: what is cut short is sent again. The next
    /// start goes on from a snapshot of here.
    async fn finish_attempts(mut self) -> anyhow::Result<()> {
        let rest = async {
            while let Some(attempt) = self.attempts.join_next().await {
                self.settle(attempt?).await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(LAST_ATTEMPTS, rest).await.unwrap_or(Ok(()))?;
        if let Some(saving) = self.saving.take() {
            saving.await.context("writing a snapshot panicked")?;
        }
        self.save(self.context.clock.now());
        if let Some(saving) = self.saving.take() {
            saving.await.context("writing a snapshot panicked")?;
        }
        self.lease.release().await;
        Ok(())
    }

    async fn append_signals(
        &mut self,
        records: impl IntoIterator<Item = SignalRecord>,
    ) -> anyhow::Result<()> {
        let records = records.into_iter().map(|record| NewRecord::unkeyed(encode(&record))).collect();
        self.append_patiently(&SIGNALS, records).await
    }

    /// Stores records in order. While the log is unavailable it waits, and says so; a stop ends the wait.
    async fn append_patiently(&mut self, topic: &Topic, records: Vec<NewRecord>) -> anyhow::Result<()> {
        for batch in records.chunks(MAX_BATCH) {
            let mut wait = FIRST_RETRY;
            while let Err(error) = self.context.broker.append_durably(topic, batch.to_vec()).await {
                self.note_unavailable(error)?;
                tokio::select! {
                    () = self.context.stop.cancelled() => anyhow::bail!("stopped while waiting for `{}`", topic.name),
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(LAST_RETRY),
                }
            }
        }
        Ok(())
    }

    /// Stores transitions in order, as long as the lease is ours. Answers whether all are known to be stored. An append
    /// that fails is not tried again: some of it may be there.
    async fn append_alerts(&mut self, records: Vec<NewRecord>) -> anyhow::Result<bool> {
        for batch in records.chunks(MAX_BATCH) {
            if !self.lease.is_held() {
                return Ok(false);
            }
            if let Err(error) = self.context.broker.append_while_leased(&ALERTS, batch.to_vec()).await {
                self.note_unavailable(error)?;
                tokio::select! {
                    () = self.context.stop.cancelled() => {}
                    () = tokio::time::sleep(FIRST_RETRY) => {}
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says that the log takes nothing now; any other error is one.
    fn note_unavailable(&self, error: AppendError) -> anyhow::Result<()> {
        let AppendError::Unavailable { .. } = &error else { return Err(error.into()) };
        self.context.health.trouble("alerts", error.to_string());
        tracing::warn!(%error, "the log takes nothing; trying again");
        Ok(())
    }
}

/// When the log took the oldest record of `signals` that it still has.
async fn beginning(broker: &Broker, bounds: Bounds) -> Result<Option<Timestamp>, ReadError> {
    if bounds.first == bounds.next {
        return Ok(None);
    }
    let first = Position { partition: bounds.partition, offset: bounds.first };
    let oldest = broker.first_from(&SIGNALS, first).await?;
    Ok(Some(oldest.map_or_else(Timestamp::default, |record| record.appended)))
}

/// Waits for the fold over the past; for ever where none is running.
async fn finished(
    past: &mut Option<JoinHandle<anyhow::Result<(HistoryDue, Found)>>>,
) -> anyhow::Result<(HistoryDue, Found)> {
    let Some(running) = past.as_mut() else { return std::future::pending().await };
    let found = running.await;
    *past = None;
    found.context("the fold over the past panicked")?
}

/// Reads the log up to the record that asked, and folds what it holds of the past.
async fn fold_past(
    broker: Broker,
    watchlist: Watchlist,
    due: HistoryDue,
) -> anyhow::Result<(HistoryDue, Found)> {
    let mut past = Past::default();
    let mut reader = broker.read_from_start(&SIGNALS).await?;
    let mut last = None;
    while last < Some(due.offset) {
        for record in reader.next(MAX_BATCH).await? {
            last = Some(record.offset);
            if record.offset <= due.offset
                && let Ok(SignalRecord::Signal(signal)) = decode(&record.value)
            {
                past.take(&signal);
            }
        }
    }
    let fold = move || {
        let found = past.fold(&watchlist, &due);
        (due, found)
    };
    tokio::task::spawn_blocking(fold).await.context("the fold over the past panicked")
}

/// The versions to copy into `signals` so that the state holds what is published, and the log will for long.
fn missing(published: &Watchlist, state: &State, now: Timestamp) -> Vec<DefinitionVersion> {
    let known: BTreeMap<&str, Option<u64>> =
        state.watchlist().versions().map(|version| (version.id.as_str(), version.version)).collect();
    let mut missing = Vec::new();
    for version in published.versions() {
        let is_known = known.get(version.id.as_str()) == Some(&version.version);
        let is_fresh =
            state.copied(&version.id).is_some_and(|copied| now < copied.plus_millis(COPIES_LAST_MS));
        if !(is_known && is_fresh) {
            missing.push(version.clone());
        }
    }
    let in_force: BTreeSet<&str> = published.versions().map(|version| version.id.as_str()).collect();
    for version in state.watchlist().versions().filter(|version| !in_force.contains(version.id.as_str())) {
        missing.push(DefinitionVersion {
            v: SchemaVersion::default(),
            id: version.id.clone(),
            owner: version.owner.clone(),
            definition: None,
            version: published.next().checked_sub(1),
        });
    }
    missing
}

#[cfg(test)]
mod tests {
    use earshot_common::definitions::parse_file;

    use super::*;

    fn published(text: &str) -> Watchlist {
        Watchlist::of(vec![("file:f".to_owned(), parse_file("f", text).unwrap())]).unwrap()
    }

    #[test]
    fn definitions_are_copied_when_the_state_lacks_them_or_their_copies_grow_old() {
        let harbor = published("[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n");
        let now = Timestamp::from_millis(0);
        let mut state = State::new();
        let missing_now = missing(&harbor, &state, now);
        assert_eq!(missing_now.len(), 1);
        state.apply(0, now, &SignalRecord::Definition(missing_now[0].clone()));
        assert_eq!(missing(&harbor, &state, now), []);
        // Before the log loses its oldest records, each definition has a younger copy.
        let later = now.plus_millis(COPIES_LAST_MS);
        assert_eq!(missing(&harbor, &state, later), missing_now);
        // What is no longer published is retired.
        let retired = missing(&Watchlist::default(), &state, now);
        assert_eq!((retired[0].id.as_str(), retired[0].definition.is_none()), ("subject/harbor", true));
        state.apply(1, now, &SignalRecord::Definition(retired[0].clone()));
        assert_eq!(missing(&Watchlist::default(), &state, now), []);
    }
}
