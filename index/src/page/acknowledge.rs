//! The page behind the link of a message, which acknowledges an alert from a phone without a login.
//!
//! The link proves itself ([`earshot_common::signed`]). Reading the page changes nothing, because scanners of mail
//! follow links; only its button does.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use earshot_common::broker::NewRecord;
use earshot_common::events::{Command, CommandKind, SchemaVersion, SignalRecord, encode};
use earshot_common::http::Refusal;
use earshot_common::signed::{AcknowledgeLink, LinkError};
use earshot_common::topics::SIGNALS;
use serde::Deserialize;

use super::{AlertCard, render};
use crate::alerts_view::AlertState;
use crate::api::App;
use crate::commands::ACKNOWLEDGE_MS;

/// Characters of a note, at most.
const MAX_NOTE: usize = 500;

/// Routes that ask for no login.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/acknowledge/{alert}", get(show).post(act))
}

/// The link's own parts, and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Proof {
    #[serde(rename = "for")]
    recipient: String,
    until: String,
    proof: String,
}

/// What the reader may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Words {
    note: String,
}

#[derive(Template)]
#[template(path = "acknowledge.html")]
struct AcknowledgePage {
    card: AlertCard,
    /// Who acknowledges: the address that the message went to.
    recipient: String,
    acknowledged: bool,
    /// Another who has it in hand.
    holder: Option<String>,
    max_note: usize,
}

#[derive(Template)]
#[template(path = "no_acknowledge.html")]
struct RefusedPage {
    why: String,
}

async fn show(
    State(app): State<App>,
    Path(alert): Path<String>,
    Query(proof): Query<Proof>,
) -> Result<Response, Refusal> {
    match verified(&app, &alert, &proof) {
        Ok(link) => page(&app, &link, false),
        Err(error) => refused(&error),
    }
}

async fn act(
    State(app): State<App>,
    Path(alert): Path<String>,
    Query(proof): Query<Proof>,
    Form(words): Form<Words>,
) -> Result<Response, Refusal> {
    let link = match verified(&app, &alert, &proof) {
        Ok(link) => link,
        Err(error) => return refused(&error),
    };
    let note = words.note.trim();
    if note.chars().count() > MAX_NOTE {
        return Err(Refusal::bad_request(format!("the note is longer than {MAX_NOTE} characters")));
    }
    let command = SignalRecord::Command(Command {
        v: SchemaVersion::default(),
        id: link.command_id(&app.secret),
        alert: link.alert,
        what: CommandKind::Acknowledge,
        by: link.recipient.clone(),
        note: (!note.is_empty()).then(|| note.to_owned()),
        until: Some(app.clock.now().plus_millis(ACKNOWLEDGE_MS)),
    });
    let record = NewRecord::unkeyed(encode(&command));
    app.broker.append_durably(&SIGNALS, vec![record]).await.map_err(Refusal::unavailable)?;
    tracing::info!(alert = %link.alert, by = link.recipient, "an alert was acknowledged over its link");
    page(&app, &link, true)
}

fn verified(app: &App, alert: &str, proof: &Proof) -> Result<AcknowledgeLink, LinkError> {
    let Proof { recipient, until, proof } = proof;
    AcknowledgeLink::verify(&app.secret, alert, recipient, until, proof, app.clock.now())
}

fn page(app: &App, link: &AcknowledgeLink, acknowledged: bool) -> Result<Response, Refusal> {
    let Some(alert) = app.alerts.borrow().get(link.alert) else {
        return answer(
            StatusCode::NOT_FOUND,
            &RefusedPage {
                why: "The alert is not known here yet: open the link again in a minute.".to_owned(),
            },
        );
    };
    let recipient = link.recipient.split_once(':').map_or(link.recipient.as_str(), |(_, address)| address);
    let card = AlertCard::new(&alert, &app.publisher.current());
    let holder = card.owner.clone().filter(|by| *by != link.recipient);
    let page = AcknowledgePage {
        card,
        recipient: recipient.to_owned(),
        acknowledged: acknowledged && alert.state() == AlertState::Open && holder.is_none(),
        holder,
        max_note: MAX_NOTE,
    };
    answer(StatusCode::OK, &page)
}

fn refused(error: &LinkError) -> Result<Response, Refusal> {
    let (status, why) = match error {
        LinkError::NotOurs => (
            StatusCode::FORBIDDEN,
            "The link is not complete, or was changed on its way. Open it from the message itself.",
        ),
        LinkError::Expired(_) => (
            StatusCode::GONE,
            "The link has expired. Open the alert in the console, or wait for the next message.",
        ),
    };
    answer(status, &RefusedPage { why: why.to_owned() })
}

/// A page that no cache keeps, and whose address no other site learns.
fn answer(status: StatusCode, page: &impl Template) -> Result<Response, Refusal> {
    let headers = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    Ok((status, headers, render(page)?).into_response())
}
