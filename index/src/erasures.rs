//! Asking for an erasure, and asking how far it is. The stage carries it out (`crate::stage`).
//!
//! Nothing here keeps a name: a request's name becomes its key at once, and no log line spells it.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use earshot_common::broker::NewRecord;
use earshot_common::events::{Erasure, SchemaVersion, encode};
use earshot_common::http::Refusal;
use earshot_common::keys::AuthorKey;
use earshot_common::topics::ERASURES;
use serde::{Deserialize, Serialize};

use crate::api::App;
use crate::query::Filter;
use crate::search;

/// A longer name is none: it is more than any network or feed gives.
const MAX_AUTHOR_BYTES: usize = 1_000;
/// Following the end of `erasures` takes longer only where the log does not answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What `POST /api/erasures` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// The author as mentions give them: `NETWORK:NAME`.
    pub author: String,
}

/// What `POST /api/erasures` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureAnswer {
    /// What stands for the author from now on.
    pub author_key: AuthorKey,
    /// Mentions of the author that could be found at the request.
    pub found: u64,
}

/// What `GET /api/erasures/{author_key}` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureProgress {
    /// Mentions of the author that can still be found.
    pub left: u64,
    /// Whether the erasure is carried out here: none can be found, and none that is on its way will be.
    pub done: bool,
}

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/erasures", post(erase)).route("/api/erasures/{author_key}", get(progress))
}

/// An author's id in the form in which mentions carry it. The words of the refusal reach the caller alone.
pub(crate) fn author_id(text: &str) -> Result<&str, Refusal> {
    let wrong = |why: &str| {
        Refusal::bad_request(format!(
            "author {text:?} {why}; give NETWORK:NAME exactly as a mention's `author.id` has it, such as \
             `hackernews:someone`"
        ))
    };
    let (network, name) = text.split_once(':').ok_or_else(|| wrong("names no network"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if network.is_empty() || !network.chars().all(plain) {
        return Err(wrong("begins with no network's name"));
    }
    if name.is_empty() {
        return Err(wrong("names nobody on the network"));
    }
    if text.contains(char::is_control) || text.trim() != text || name.trim_start() != name {
        return Err(wrong("has control characters, or white space around a name"));
    }
    if text.len() > MAX_AUTHOR_BYTES {
        return Err(wrong("is longer than any name"));
    }
    Ok(text)
}

async fn erase(
    State(app): State<App>,
    request: Result<Json<ErasureRequest>, JsonRejection>,
) -> Result<Json<ErasureAnswer>, Refusal> {
    let Json(request) = request.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    let author_key = app.secret.author(author_id(&request.author)?);
    let found = count(&app, author_key).await?;
    let erasure = Erasure { v: SchemaVersion::default(), author: author_key, at: app.clock.now() };
    let record = NewRecord::keyed(author_key.to_string(), encode(&erasure));
    let stored = app.broker.append_durably(&ERASURES, vec![record]).await.map_err(Refusal::unavailable)?;
    let end = stored.iter().map(|position| position.offset + 1).max().unwrap_or_default();
    let mut erased = app.erased.clone();
    let followed = erased.wait_for(|erased| erased.next() >= end);
    match tokio::time::timeout(DEADLINE, followed).await {
        Ok(Ok(_)) => Ok(Json(ErasureAnswer { author_key, found })),
        _ => Err(Refusal::unavailable(
            "the erasure is stored and will be carried out, but the topic `erasures` cannot be read to its end \
             now; the log says why",
        )),
    }
}

async fn progress(
    State(app): State<App>,
    Path(author_key): Path<String>,
) -> Result<Json<ErasureProgress>, Refusal> {
    let author_key = author_key.parse().map_err(|_| {
        Refusal::bad_request(format!("author key {author_key:?} is not one of hexadecimal digits"))
    })?;
    if !app.erased.borrow().contains(author_key) {
        return Err(Refusal::not_found(format!("there is no erasure of the author {author_key}")));
    }
    // What is carried out first: what is found behind that can only be less.
    let carried_out = app.committed.borrow().erased.contains(author_key);
    let left = count(&app, author_key).await?;
    Ok(Json(ErasureProgress { left, done: carried_out && left == 0 }))
}

async fn count(app: &App, author: AuthorKey) -> Result<u64, Refusal> {
    let filter = Filter { author: Some(author), ..Filter::default() };
    app.blocking(move |store| search::count(store, &filter)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_network_and_a_name_and_nothing_else() {
        for good in ["hackernews:someone", "feed:news.example:Jane Doe", "mastodon:@a@b.example", "x:1:2"] {
            assert_eq!(author_id(good).unwrap(), good);
        }
        for (bad, why) in [
            ("someone", "names no network"),
            (":someone", "begins with no network's name"),
            ("hacker news:someone", "begins with no network's name"),
            ("hackernews:", "names nobody"),
            ("hackernews: someone", "white space"),
            ("hackernews:some\u{1b}one", "control characters"),
        ] {
            let refusal = format!("{:?}", author_id(bad).unwrap_err());
            assert!(refusal.contains(why) && refusal.contains("NETWORK:NAME"), "{bad:?}: {refusal}");
        }
        assert!(author_id(&format!("x:{}", "y".repeat(MAX_AUTHOR_BYTES))).is_err());
    }
}
