//! Exporting what the index holds of one author: a person's right to a copy, asked for by the operator.

use std::collections::VecDeque;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use earshot_common::events::{Enriched, encode};
use earshot_common::http::Refusal;
use futures::stream;

use crate::api::{App, Pairs};
use crate::erasures::author_id;
use crate::params::{ParameterError, Parameters};
use crate::query::Filter;
use crate::search::{self, Cursor, Page, Sort};

/// Mentions that are read, and held, at once.
const PAGE: usize = 200;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/export", get(export))
}

/// Every mention of an author with its judgement, newest first, one JSON object a line.
async fn export(State(app): State<App>, Query(pairs): Pairs) -> Result<Response, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::EXPORT)?;
    let author = parameters.get("author").ok_or_else(|| ParameterError {
        name: "author".to_owned(),
        message: "is missing; give NETWORK:NAME".to_owned(),
    })?;
    let author = app.secret.author(author_id(author)?);
    let filter = Filter { author: Some(author), ..Filter::default() };
    // The first page before the answer begins, so that a failure is a refusal still.
    let mut export = Export { app, filter, ready: VecDeque::new(), rest: Rest::FromStart };
    export.read_on().await?;
    let lines = stream::try_unfold(export, async |mut export| match export.next().await {
        Ok(line) => Ok(line.map(|line| (line, export))),
        Err(_) => Err(std::io::Error::other("the export broke off")),
    });
    Ok(([(CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response())
}

struct Export {
    app: App,
    filter: Filter,
    ready: VecDeque<Enriched>,
    rest: Rest,
}

/// What is not read yet.
#[derive(Clone, Copy)]
enum Rest {
    FromStart,
    Behind(Cursor),
    Nothing,
}

impl Export {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        if self.ready.is_empty() {
            self.read_on().await?;
        }
        let line = self.ready.pop_front().map(|mention| {
            let mut line = encode(&mention);
            line.push(b'\n');
            line
        });
        Ok(line)
    }

    async fn read_on(&mut self) -> Result<(), Refusal> {
        let after = match self.rest {
            Rest::FromStart => None,
            Rest::Behind(cursor) => Some(cursor),
            Rest::Nothing => return Ok(()),
        };
        let filter = self.filter.clone();
        let read = move |store: &_| search::search(store, &filter, Sort::Time, after, PAGE);
        let Page { mentions, next, .. } = self.app.blocking(read).await?;
        self.ready = mentions.into();
        self.rest = next.map_or(Rest::Nothing, Rest::Behind);
        Ok(())
    }
}
