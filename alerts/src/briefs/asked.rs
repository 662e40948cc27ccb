//! A brief as it would read now, for whoever asks: `GET /api/briefs/{id}`.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use earshot_common::definitions::Brief;
use earshot_common::events::Channel;
use earshot_common::http::Refusal;
use earshot_common::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::letter::{Letter, Told};
use crate::delivery::{Message, Outbox};
use crate::fold::{self, Facts};

/// The fold answers between two batches; only at a start it may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the requests work with.
#[derive(Clone)]
pub(crate) struct Briefs {
    pub(crate) asking: mpsc::Sender<Asked>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) clock: Clock,
}

/// Somebody asks the fold for a brief.
#[derive(Debug)]
pub(crate) struct Asked {
    id: String,
    now: Timestamp,
    answer: oneshot::Sender<Result<Known, String>>,
}

/// What the fold knows of a brief.
#[derive(Debug)]
struct Known {
    brief: Brief,
    period: Range<Timestamp>,
    facts: Facts,
}

/// The answer of `GET /api/briefs/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefAnswer {
    /// Since when it tells what changed.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The subject line of a mail.
    pub subject_line: String,
    /// The text of a mail.
    pub text: String,
    /// The HTML of a mail.
    pub html: String,
}

pub(crate) fn routes(briefs: Briefs) -> Router {
    Router::new().route("/api/briefs/{id}", get(brief)).with_state(briefs)
}

async fn brief(State(briefs): State<Briefs>, Path(id): Path<String>) -> Result<Json<BriefAnswer>, Refusal> {
    let Known { brief, period, facts } = briefs.ask(id).await?;
    let digests = briefs.outbox.digests().read(&brief, &facts, &period).await;
    let console = briefs.outbox.links().console_url();
    let told = Told { brief: &brief, period: period.clone(), facts: &facts, console };
    let letter = Letter::of(&told, digests.as_deref().ok());
    let message = Message {
        key: format!("brief/{}/now", brief.id),
        route: brief.to.clone(),
        to: Channel::Log,
        notes: Vec::new(),
        told: Vec::new(),
        letter: Some(letter),
    };
    let failed = |error: askama::Error| Refusal::internal(&anyhow::Error::from(error));
    Ok(Json(BriefAnswer {
        from: period.start,
        until: period.end,
        subject_line: message.subject_line(),
        text: message.text().map_err(failed)?,
        html: message.html().map_err(failed)?,
    }))
}

impl Briefs {
    async fn ask(&self, id: String) -> Result<Known, Refusal> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { id, now: self.clock.now(), answer };
        let asking = async {
            self.asking.send(asked).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Some(known)) => known.map_err(Refusal::not_found),
            Ok(None) | Err(_) => Err(Refusal::unavailable("the decisions are still being read; ask again")),
        }
    }
}

impl Asked {
    /// Answers from the decisions as they stand.
    pub(crate) fn answer(self, state: &fold::State) {
        let known = match state.watchlist().brief(&self.id) {
            Some(brief) => {
                let period = state.period_to(brief, self.now);
                let facts = state.facts(brief, &period);
                Ok(Known { brief: brief.clone(), period, facts })
            }
            None => Err(unknown(&self.id, state)),
        };
        // Who asked may have gone.
        drop(self.answer.send(known));
    }
}

fn unknown(id: &str, state: &fold::State) -> String {
    let known: Vec<&str> = state.watchlist().briefs().map(|brief| brief.id.as_str()).collect();
    match known.as_slice() {
        [] => format!("there is no brief `{id}`; none is defined"),
        known => format!("there is no brief `{id}`; there are: {}", known.join(", ")),
    }
}
