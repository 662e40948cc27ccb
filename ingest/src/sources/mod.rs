//! Sources that we poll: which there are is said by the watchlist, and followed without a restart.
//!
//! A source module answers one question: what is new since the cursor ([`poll`])? It gets a guarded [`Client`],
//! the source's definition and its own cursor, and hands back a [`Polled`] or a [`PollError`]. All else is here
//! and the same for every source: when to ask again (`poller`), where the cursor is kept (`state`), which
//! addresses may be read (`client`, `address`), and what HTML says in plain text (`html`). A new kind of source is
//! a new folder and a new arm in [`poll`].

mod address;
mod client;
mod feed;
mod html;
mod listing;
mod poller;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use earshot_common::broker::{NewRecord, no_longer_followed};
use earshot_common::definitions::{self, Source, SourceKind, Watchlist};
use earshot_common::events::{Collecting, Mention, SignalRecord, SourceStatus, encode};
use earshot_common::service::Context;
use earshot_common::time::Timestamp;
use earshot_common::topics::{SIGNALS, WATCHLIST};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::metrics::{IngestMetrics, SourceView};
use crate::settings::IngestSettings;
use client::Client;
use poller::Poller;
use state::States;

pub use listing::{ListedSource, SourceListing, Standing};

/// Polls at once.
const POLLS_AT_ONCE: usize = 16;
/// While sources are asked and doors are open, the decision side is told so this often.
const COLLECTING_MS: i64 = 5 * 60 * 1_000;
/// How often we look after the pollers, and say that we live.
const ROUND: Duration = Duration::from_secs(30);

/// What one poll brought.
#[derive(Debug)]
struct Polled {
    /// New and changed mentions, oldest first.
    mentions: Vec<Mention>,
    /// Where to go on next time.
    cursor: Value,
    /// The source asks not to be asked again before.
    wait: Duration,
    /// The result in a word, for the metrics.
    result: &'static str,
}

/// Why a poll brought nothing.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
struct PollError {
    /// In words for a person.
    reason: String,
    /// The source asks not to be asked again before.
    wait: Duration,
    /// The result in a word, for the metrics.
    result: &'static str,
}

/// Asks a source what is new; without a cursor it is read for the first time, and what it has is history.
async fn poll(
    client: &Client,
    source: &Source,
    cursor: Option<&Value>,
    now: Timestamp,
) -> Result<Polled, PollError> {
    match source.kind {
        SourceKind::Feed => feed::poll(client, source, cursor, now).await,
    }
}

/// All sources of the watchlist.
pub(crate) struct Sources {
    around: Around,
    watchlist: watch::Receiver<Arc<Watchlist>>,
}

/// What every poller needs.
#[derive(Clone)]
struct Around {
    context: Context,
    metrics: IngestMetrics,
    client: Client,
    states: States,
    /// Whoever polls holds one.
    permits: Arc<Semaphore>,
}

struct Running {
    source: Source,
    began: Timestamp,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sources {
    /// Reads the watchlist and the states of the sources to their ends.
    pub(crate) async fn open(
        context: Context,
        settings: &IngestSettings,
        metrics: IngestMetrics,
    ) -> anyhow::Result<Self> {
        let client = Client::new(settings).context("make the HTTP client")?;
        let states = States::load(&context.broker).await?;
        let watchlist = definitions::follow(&context.broker, context.stop.clone()).await?;
        let permits = Arc::new(Semaphore::new(POLLS_AT_ONCE));
        Ok(Self { around: Around { context, metrics, client, states, permits }, watchlist })
    }

    /// What the sources show of themselves.
    pub(crate) fn routes(&self) -> Router {
        listing::routes(self.around.states.clone(), self.watchlist.clone())
    }

    /// Polls until the stop; then waits until what was brought is stored.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let stop = self.around.context.stop.clone();
        let mut running = BTreeMap::new();
        let mut told = None;
        while !stop.is_cancelled() {
            told = self.say_collecting(told).await;
            let watchlist = Arc::clone(&self.watchlist.borrow_and_update());
            self.adjust(&mut running, &watchlist).await;
            self.around.context.health.well("ingest", ROUND * 4);
            self.show(&running);
            tokio::select! {
                // First: at a stop the watchlist ends too, and its end must not be taken for another one.
                biased;
                () = stop.cancelled() => {}
                changed = self.watchlist.changed() => {
                    if changed.is_err() {
                        return Err(no_longer_followed(self.watchlist, &WATCHLIST, &stop).await.into());
                    }
                }
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        for (_, ended) in running {
            end(ended).await;
        }
        Ok(())
    }

    /// Tells the decision side that we are at work, where that was told long ago; answers when it was told. First of
    /// all at a start: what no source was asked for meanwhile follows from it.
    async fn say_collecting(&self, told: Option<Timestamp>) -> Option<Timestamp> {
        let now = self.around.context.clock.now();
        // A clock that was set back must not make the wait longer.
        if told.is_some_and(|told| told <= now && now < told.plus_millis(COLLECTING_MS)) {
            return told;
        }
        let record = NewRecord::unkeyed(encode(&SignalRecord::Collecting(Collecting::default())));
        match self.around.context.broker.append_durably(&SIGNALS, vec![record]).await {
            Ok(_) => Some(now),
            Err(error) => {
                tracing::warn!(%error, "the decision side is not told that ingest is at work; trying again");
                told
            }
        }
    }

    /// Ends what is not wanted as it is, and starts what is missing.
    async fn adjust(&self, running: &mut BTreeMap<String, Running>, watchlist: &Watchlist) {
        let wanted: BTreeMap<&str, &Source> =
            watchlist.sources().map(|source| (source.id.as_str(), source)).collect();
        let kept = |one: &Running| {
            wanted.get(one.source.id.as_str()) == Some(&&one.source) && !one.task.is_finished()
        };
        let outdated: Vec<String> =
            running.iter().filter(|(_, one)| !kept(one)).map(|(id, _)| id.clone()).collect();
        for id in outdated {
            if let Some(one) = running.remove(&id) {
                end(one).await;
            }
        }
        for (id, source) in wanted {
            if !running.contains_key(id) {
                running.insert(id.to_owned(), self.begin(source.clone()));
            }
        }
    }

    /// Shows operators how the sources are.
    fn show(&self, running: &BTreeMap<String, Running>) {
        let now = self.around.context.clock.now();
        let views = running.values().map(|one| {
            let state = self.around.states.get(&one.source);
            let answered = state.as_ref().and_then(|state| state.last_success).unwrap_or(one.began);
            let failing = state.is_some_and(|state| state.status == SourceStatus::Failing);
            SourceView { kind: one.source.kind, failing, silent_ms: now.as_millis() - answered.as_millis() }
        });
        self.around.metrics.show_sources(views);
    }

    fn begin(&self, source: Source) -> Running {
        tracing::info!(source = source.id, url = source.url, "a source is polled from now on");
        let stop = self.around.context.stop.child_token();
        let poller = Poller::new(self.around.clone(), source.clone());
        let task = tokio::spawn(poller.run(stop.clone()));
        Running { source, began: self.around.context.clock.now(), stop, task }
    }
}

/// Waits for the work in hand, so that the state a successor finds is the newest.
async fn end(running: Running) {
    running.stop.cancel();
    match running.task.await {
        Ok(()) => tracing::info!(source = running.source.id, "a source is not polled any more"),
        Err(error) => tracing::error!(source = running.source.id, %error, "a poller failed; it begins anew"),
    }
}
