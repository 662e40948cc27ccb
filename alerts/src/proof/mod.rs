//! Proof: what people need to trust an alert, or a rule before it is in force.
//!
//! What belongs here: answers that follow from what the topics hold, by the fold's own code: a back-test of a
//! rule, and the verification of an alert. Nothing here writes to a topic, and nothing runs on the fold's task.

mod arithmetic;
mod backtest;
mod before;
mod gaps;
mod numbers;
mod recount;
mod verify;

use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use earshot_common::broker::{Broker, MAX_BATCH, Position, ReadError};
use earshot_common::definitions::Watchlist;
use earshot_common::events::{AlertEvent, SignalRecord, decode};
use earshot_common::http::Refusal;
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use earshot_common::topics::{ALERTS, SIGNALS, Topic};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use backtest::{Backtest, BacktestRequest, Existing, Fired, SubjectHistory};
pub use gaps::{Period, SourceGap};

pub use verify::{Check, Finding, Verification, VerifiedTransition};

pub(crate) use backtest::{Gathered, Plan};
pub(crate) use before::Bursts;
pub(crate) use recount::Recount;
pub(crate) use verify::verify;

/// A back-test holds no more mentions than this at once: about a gigabyte, beside the state of the writer.
const MOST_MENTIONS: usize = 5_000_000;

/// What the routes answer from.
#[derive(Clone)]
pub(crate) struct Proof {
    broker: Broker,
    watchlist: watch::Receiver<Arc<Watchlist>>,
    /// An answer takes a reading of the whole log: one at a time.
    turn: Arc<Semaphore>,
}

impl Proof {
    /// Answers from these topics, with the definitions that are published.
    pub(crate) fn new(broker: Broker, watchlist: watch::Receiver<Arc<Watchlist>>) -> Self {
        Self { broker, watchlist, turn: Arc::new(Semaphore::new(1)) }
    }

    fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let taken = Arc::clone(&self.turn).try_acquire_owned();
        taken.map_err(|_| {
            Refusal::unavailable("another back-test or verification is running; ask again when it has ended")
        })
    }

    /// The routes.
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/api/backtests", post(backtest))
            .route("/api/alerts/{id}/verify", get(verification))
            .with_state(self)
    }
}

async fn backtest(
    State(proof): State<Proof>,
    Json(request): Json<BacktestRequest>,
) -> Result<Json<Backtest>, Refusal> {
    let turn = proof.turn()?;
    let watchlist = Arc::clone(&proof.watchlist.borrow());
    let plan = Plan::of(request, &watchlist).map_err(Refusal::bad_request)?;
    let gathered = gather(&proof.broker, plan).await.map_err(Refusal::unavailable)?;
    gathered.fits().map_err(Refusal::bad_request)?;
    let folding = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        gathered.fold()
    });
    let found = folding.await.context("the back-test panicked");
    Ok(Json(found.map_err(|error| Refusal::internal(&error))?))
}

async fn verification(
    State(proof): State<Proof>,
    Path(id): Path<String>,
) -> Result<Json<Verification>, Refusal> {
    let alert: AlertKey = id
        .parse()
        .map_err(|_| Refusal::bad_request(format!("`{id}` is no id of an alert: 32 hexadecimal digits")))?;
    let _turn = proof.turn()?;
    let found = verified(&proof.broker, alert).await.map_err(Refusal::unavailable)?;
    found.map(Json).ok_or_else(|| Refusal::not_found(format!("there is no alert {alert}")))
}

/// Verifies an alert by what the topics hold now; `None` where there is none.
async fn verified(broker: &Broker, alert: AlertKey) -> Result<Option<Verification>, ReadError> {
    let mut transitions = Vec::new();
    each_record(broker, &ALERTS, |_, event: AlertEvent| {
        if event.alert == alert {
            transitions.push(event);
        }
    })
    .await?;
    let Some(opening) = transitions.first() else { return Ok(None) };
    let mut bursts = Bursts::around(opening);
    each_record(broker, &ALERTS, |_, event: AlertEvent| bursts.take(&event)).await?;
    let Some(mut recount) = Recount::of(&transitions, bursts) else { return Ok(None) };
    each_record(broker, &SIGNALS, |place, record: SignalRecord| recount.take(place, &record)).await?;
    Ok(verify(&transitions, &recount))
}

/// Reads what the log holds of a back-test's rule now.
async fn gather(broker: &Broker, plan: Plan) -> Result<Gathered, ReadError> {
    let mut raised = Vec::new();
    each_record(broker, &ALERTS, |_, event: AlertEvent| {
        if plan.is_of_this_rule(&event) {
            Existing::take(&mut raised, &event);
        }
    })
    .await?;
    let mut gathered = Gathered::new(plan, raised, MOST_MENTIONS);
    each_record(broker, &SIGNALS, |place, record: SignalRecord| {
        gathered.take(place.offset, place.appended, record);
    })
    .await?;
    Ok(gathered)
}

/// Where a record stands in its log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its offset.
    pub(crate) offset: u64,
    /// When the log took it.
    pub(crate) appended: Timestamp,
}

/// Hands over every record of a topic of one partition that is there now. What cannot be read is passed over, as
/// the fold does, unless a newer Earshot wrote it.
async fn each_record<T: DeserializeOwned>(
    broker: &Broker,
    topic: &Topic,
    mut each: impl FnMut(Place, T),
) -> Result<(), ReadError> {
    let Some(bounds) = broker.bounds(topic, None).await?.first().copied() else { return Ok(()) };
    let from = Position { partition: bounds.partition, offset: bounds.first };
    let mut reader = broker.read(topic, vec![from]).await?;
    let mut next = bounds.first;
    while next < bounds.next {
        for record in reader.next(MAX_BATCH).await? {
            next = record.offset + 1;
            match decode::<T>(&record.value) {
                Ok(value) => each(Place { offset: record.offset, appended: record.appended }, value),
                Err(error) if error.newer_version => return Err(ReadError::newer_version(topic, &record)),
                Err(_) => {}
            }
        }
    }
    Ok(())
}
