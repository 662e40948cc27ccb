//! Counts that are made anew: asking enrich for what the fold waits for, and what people ask and are told of it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use earshot_common::broker::{Broker, NewRecord};
use earshot_common::definitions::Watchlist;
use earshot_common::events::{Rebuild, RebuildRequest, SchemaVersion, SignalRecord, encode};
use earshot_common::http::Refusal;
use earshot_common::topics::SIGNALS;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::fold::{self, TakenRebuild};
use crate::service::Standing;

/// The answer of `GET /api/rebuilds`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RebuildListing {
    /// The offset of `signals` that is folded next.
    pub next: u64,
    /// Subjects of which rules that compare with a baseline open nothing until their counts are made anew.
    pub warming: Vec<String>,
    /// Rebuilds that are outstanding.
    pub waiting: Vec<RebuildRequest>,
    /// Of each subject the one that was taken last.
    pub taken: Vec<TakenRebuild>,
}

/// The answer of `POST /api/subjects/ID/rebuild`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildAsked {
    /// The offset of `signals` at which it stands.
    pub asked: u64,
}

/// What the requests work with.
#[derive(Clone)]
pub(crate) struct Rebuilds {
    pub(crate) broker: Broker,
    pub(crate) watchlist: watch::Receiver<Arc<Watchlist>>,
    pub(crate) stands: watch::Receiver<Standing>,
}

pub(crate) fn routes(rebuilds: Rebuilds) -> Router {
    Router::new()
        .route("/api/rebuilds", get(listing))
        .route("/api/subjects/{id}/rebuild", post(ask))
        .with_state(rebuilds)
}

impl RebuildListing {
    /// How it stands in a state.
    pub(crate) fn of(state: &fold::State) -> Self {
        Self {
            next: 0,
            warming: state.warming().map(str::to_owned).collect(),
            waiting: state.rebuilds().collect(),
            taken: state.rebuilt().cloned().collect(),
        }
    }
}

async fn listing(State(rebuilds): State<Rebuilds>) -> Json<RebuildListing> {
    let stands = rebuilds.stands.borrow();
    Json(RebuildListing { next: stands.next, ..(*stands.rebuilds).clone() })
}

async fn ask(
    State(rebuilds): State<Rebuilds>,
    Path(id): Path<String>,
) -> Result<Json<RebuildAsked>, Refusal> {
    let watchlist = Arc::clone(&rebuilds.watchlist.borrow());
    if watchlist.subject(&id).is_none() {
        return Err(Refusal::not_found(unknown(&id, &watchlist)));
    }
    let record = SignalRecord::Rebuild(Rebuild { v: SchemaVersion::default(), subject: id });
    let appended = rebuilds.broker.append_durably(&SIGNALS, vec![NewRecord::unkeyed(encode(&record))]).await;
    let places = appended.map_err(Refusal::unavailable)?;
    let asked = places.first().map_or(0, |place| place.offset);
    Ok(Json(RebuildAsked { asked }))
}

fn unknown(id: &str, watchlist: &Watchlist) -> String {
    let known: Vec<&str> = watchlist.watched().map(|subject| subject.id.as_str()).collect();
    match known.is_empty() {
        true => format!("there is no subject `{id}`: none is in force"),
        false => format!("there is no subject `{id}`; there are: {}", known.join(", ")),
    }
}
