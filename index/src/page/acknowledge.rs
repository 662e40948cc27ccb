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
use earshot_common::events::{AlertEvent, Command, CommandKind, SchemaVersion, Transition};
use earshot_common::http::Refusal;
use earshot_common::signed::{AcknowledgeLink, LinkError};
use serde::Deserialize;

use super::{AlertCard, render, words, zone_of};
use crate::alerts_view::{Alert, AlertState};
use crate::api::App;
use crate::commands::{ACKNOWLEDGE_MS, new_id, plain};

/// Characters of a note, at most.
const MAX_NOTE: usize = 500;
/// Characters of a name, at most.
const MAX_NAME: usize = 60;

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

/// What the form sends: what the reader may say, and which showing of the page it is of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pressed {
    note: String,
    /// Who presses, where several read what is sent to the address.
    name: String,
    /// The alert's last transition as the page showed it.
    seen: String,
    /// Tells this showing of the page from any other.
    press: String,
}

/// What a press of the button came to.
enum Outcome {
    /// The alert has changed since the page was shown, so that it was not meant as it stands now.
    Changed,
    /// It is stored, and not carried out yet.
    Stored,
    /// It is carried out, with this transition.
    Decided(Box<AlertEvent>),
}

#[derive(Template)]
#[template(path = "acknowledge.html")]
struct AcknowledgePage {
    card: AlertCard,
    /// Whom the message went to.
    recipient: String,
    /// What the press came to.
    came_to: Option<&'static str>,
    /// Who has it in hand, since when.
    in_hand: Option<String>,
    /// What the form sends back; none where there is nothing to press.
    form: Option<FormMarks>,
    max_note: usize,
    max_name: usize,
}

/// The fields of the form that nobody sees.
struct FormMarks {
    seen: u32,
    press: String,
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
        Ok(link) => page(&app, &link, None),
        Err(error) => refused(&error),
    }
}

async fn act(
    State(app): State<App>,
    Path(alert): Path<String>,
    Query(proof): Query<Proof>,
    Form(pressed): Form<Pressed>,
) -> Result<Response, Refusal> {
    let link = match verified(&app, &alert, &proof) {
        Ok(link) => link,
        Err(error) => return refused(&error),
    };
    let note = plain("note", &pressed.note, MAX_NOTE)?;
    let by = match plain("name", &pressed.name, MAX_NAME)? {
        Some(name) => format!("{name} ({})", link.recipient),
        None => link.recipient.clone(),
    };
    let known = app.alerts.borrow().get(link.alert);
    let Some(showing) = known.and_then(|alert| pressed.showing(&alert)) else {
        return page(&app, &link, Some(Outcome::Changed));
    };
    let command = Command {
        v: SchemaVersion::default(),
        id: link.command_id(&app.secret, &showing),
        alert: link.alert,
        what: CommandKind::Acknowledge,
        by,
        note,
        until: Some(app.clock.now().plus_millis(ACKNOWLEDGE_MS)),
    };
    let outcome = match app.carry_out(command).await? {
        Some(event) => Outcome::Decided(Box::new(event)),
        None => Outcome::Stored,
    };
    page(&app, &link, Some(outcome))
}

impl Pressed {
    /// Which showing of the page this is of; `None` where what it showed is no longer so: the alert is over, or who had
    /// it in hand then has it no longer.
    fn showing(&self, alert: &Alert) -> Option<String> {
        let (seen, press): (u32, u128) =
            (self.seen.parse().ok()?, u128::from_str_radix(&self.press, 16).ok()?);
        let ends = |transition| {
            matches!(transition, Transition::Resolved | Transition::Reopened | Transition::Lapsed)
        };
        let changed = alert.transitions().iter().any(|event| event.sequence > seen && ends(event.transition));
        let stands = alert.state() == AlertState::Open && seen <= alert.now().sequence && !changed;
        stands.then(|| format!("{seen}-{press:032x}"))
    }
}

fn verified(app: &App, alert: &str, proof: &Proof) -> Result<AcknowledgeLink, LinkError> {
    let Proof { recipient, until, proof } = proof;
    AcknowledgeLink::verify(&app.secret, alert, recipient, until, proof, app.clock.now())
}

fn page(app: &App, link: &AcknowledgeLink, outcome: Option<Outcome>) -> Result<Response, Refusal> {
    let Some(alert) = app.alerts.borrow().get(link.alert) else {
        return answer(
            StatusCode::NOT_FOUND,
            &RefusedPage {
                why: "The alert is not known here yet: open the link again in a minute.".to_owned(),
            },
        );
    };
    let watchlist = app.publisher.current();
    let zone = zone_of(&watchlist, Some(&alert.now().subject));
    let now = app.clock.now();
    let held = match &outcome {
        Some(Outcome::Decided(event)) => event.acknowledged.as_ref(),
        // Whose time has run out has it no longer, also where alerts has not come to say so.
        _ => alert.now().acknowledged.as_ref().filter(|held| held.until.is_none_or(|until| now < until)),
    };
    let may_press = matches!(outcome, None | Some(Outcome::Changed)) && held.is_none();
    let (status, came_to) = outcome.as_ref().map_or((StatusCode::OK, None), |outcome| {
        let (status, words) = outcome.in_words();
        (status, Some(words))
    });
    let recipient = link.recipient.split_once(':').map_or(link.recipient.as_str(), |(_, address)| address);
    let page = AcknowledgePage {
        card: AlertCard::new(&alert, &watchlist),
        recipient: recipient.to_owned(),
        came_to,
        in_hand: held.map(|held| words::in_hand(held, &zone)),
        form: (may_press && alert.state() == AlertState::Open)
            .then(|| FormMarks { seen: alert.now().sequence, press: new_id() }),
        max_note: MAX_NOTE,
        max_name: MAX_NAME,
    };
    answer(status, &page)
}

impl Outcome {
    fn in_words(&self) -> (StatusCode, &'static str) {
        let event = match self {
            Self::Changed => {
                return (
                    StatusCode::CONFLICT,
                    "Nothing was acknowledged: the alert has changed since this page was opened.",
                );
            }
            Self::Stored => {
                return (
                    StatusCode::ACCEPTED,
                    "Stored, not carried out yet: look again in a minute whether it is in hand.",
                );
            }
            Self::Decided(event) => event,
        };
        match &event.acknowledged {
            Some(held) if event.transition == Transition::Acknowledged && held.since == event.decided => {
                (StatusCode::OK, "Acknowledged. The others can see that.")
            }
            _ => (StatusCode::CONFLICT, "It was in hand already."),
        }
    }
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
