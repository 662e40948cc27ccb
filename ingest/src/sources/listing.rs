//! `GET /api/sources`: how each source of the watchlist fares, for operators.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use earshot_common::definitions::{Source, SourceKind, Watchlist};
use earshot_common::events::{SourceState, SourceStatus};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::state::States;

/// The answer of `GET /api/sources`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceListing {
    /// Every source of the watchlist, by id.
    pub sources: Vec<ListedSource>,
}

/// A source of the watchlist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedSource {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: SourceKind,
    /// How it fares.
    pub status: Standing,
    /// When it last answered, to within ten minutes.
    pub last_success: Option<Timestamp>,
    /// Why it fails, in words for a person.
    pub reason: Option<String>,
}

/// How a source fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody has asked it yet.
    New,
    /// It answers.
    Healthy,
    /// It does not, and is tried again.
    Failing,
}

/// The route, over what the pollers know.
pub(super) fn routes(states: States, watchlist: watch::Receiver<Arc<Watchlist>>) -> Router {
    Router::new().route("/api/sources", get(list)).with_state((states, watchlist))
}

async fn list(
    State((states, watchlist)): State<(States, watch::Receiver<Arc<Watchlist>>)>,
) -> Json<SourceListing> {
    let watchlist = Arc::clone(&watchlist.borrow());
    let mut sources: Vec<ListedSource> =
        watchlist.sources().map(|source| listed(source, states.get(source))).collect();
    sources.sort_by(|a, b| a.id.cmp(&b.id));
    Json(SourceListing { sources })
}

fn listed(source: &Source, state: Option<SourceState>) -> ListedSource {
    let status = match state.as_ref().map(|state| state.status) {
        None => Standing::New,
        Some(SourceStatus::Failing) => Standing::Failing,
        Some(SourceStatus::Healthy | SourceStatus::Finished) => Standing::Healthy,
    };
    let (last_success, reason) = state.map_or((None, None), |state| (state.last_success, state.reason));
    ListedSource { id: source.id.clone(), kind: source.kind, status, last_success, reason }
}
