//! What people tell the decision side about an alert: they have it in hand, nobody is to be told more, a note,
//! whether it was worth the attention.
//!
//! A command goes to `signals` and is carried out by the fold of alerts; its answer is the transition that comes
//! back in `alerts`. So the answer says what is so, also where two people want the same alert at once.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use earshot_common::broker::NewRecord;
use earshot_common::events::{
    Acknowledgement, AlertEvent, COMMANDS_AFTER_END_MS, Command, CommandKind, SchemaVersion, SignalRecord,
    Transition, encode,
};
use earshot_common::http::Refusal;
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use earshot_common::topics::SIGNALS;
use serde::{Deserialize, Serialize};

use crate::alerts_view::{Alert, AlertState, AlertsView};
use crate::api::App;

/// The decision side answers within this, where it runs.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longer ones are no name and no note.
const MAX_NAME_CHARS: usize = 100;
const MAX_NOTE_CHARS: usize = 1_000;
/// What holds for a time holds for 30 days at most.
const MAX_HOURS: u32 = 30 * 24;
/// An acknowledgement that names no time holds this long, so that nobody's absence keeps others from being called.
const ACKNOWLEDGE_HOURS: u32 = 4;
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// The same in milliseconds.
pub(crate) const ACKNOWLEDGE_MS: i64 = ACKNOWLEDGE_HOURS as i64 * HOUR_MS;

/// What `POST /api/alerts/{alert}/{what}` takes; `what` is `acknowledge`, `release`, `mute`, `mute_rule`, `unmute`,
/// `unmute_rule`, `note`, `useful` or `noise`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// Makes a repetition of the request recognisable. Without it every request is another command.
    #[serde(default)]
    pub id: Option<String>,
    /// Who says so.
    pub by: String,
    /// In their words.
    #[serde(default)]
    pub note: Option<String>,
    /// Hours for which it holds: four for an acknowledgement that names none, a day for a mute.
    #[serde(default)]
    pub for_hours: Option<u32>,
}

/// What the request answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandAnswer {
    /// The command's id.
    pub id: String,
    /// Whether it is carried out; where not, it is stored and will be when alerts runs.
    pub carried_out: bool,
    /// Who has the alert in hand now, as far as is known.
    pub acknowledged: Option<Acknowledgement>,
}

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/alerts/{alert}/{what}", post(command))
}

async fn command(
    State(app): State<App>,
    path: Result<Path<(String, CommandKind)>, PathRejection>,
    request: Result<Json<CommandRequest>, JsonRejection>,
) -> Result<Json<CommandAnswer>, Refusal> {
    let Path((alert, what)) = path.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    let Json(request) = request.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    app.command(&alert, what, request).await.map(Json)
}

impl App {
    /// Has a command carried out. Of two people who want an alert the second one is refused, by the name of the
    /// first.
    pub(crate) async fn command(
        &self,
        alert: &str,
        what: CommandKind,
        request: CommandRequest,
    ) -> Result<CommandAnswer, Refusal> {
        let unknown = || Refusal::not_found(format!("there is no alert `{alert}`"));
        let key: AlertKey = alert.parse().map_err(|_| unknown())?;
        let known = self.alerts.borrow().get(key).ok_or_else(unknown)?;
        let now = self.clock.now();
        takes_commands(&known, now)?;
        let command = compose(key, what, request, now)?;
        let id = command.id.clone();
        match self.carry_out(command).await? {
            Some(event) => answer(id, &event),
            None => {
                Ok(CommandAnswer { id, carried_out: false, acknowledged: known.now().acknowledged.clone() })
            }
        }
    }

    /// Stores a command and waits for the transition that it comes to; `None` where the decision side takes longer.
    pub(crate) async fn carry_out(&self, command: Command) -> Result<Option<AlertEvent>, Refusal> {
        let (key, id) = (command.alert, command.id.clone());
        let record = NewRecord::unkeyed(encode(&SignalRecord::Command(command)));
        self.broker.append_durably(&SIGNALS, vec![record]).await.map_err(Refusal::unavailable)?;

        let mut alerts = self.alerts.clone();
        let answered = |view: &AlertsView| Some(view.get(key)?.answer_to(&id)?.clone());
        let carried_out = alerts.wait_for(|view| answered(view).is_some());
        match tokio::time::timeout(DEADLINE, carried_out).await {
            Ok(Ok(view)) => Ok(answered(&view)),
            _ => Ok(None),
        }
    }
}

fn answer(id: String, event: &AlertEvent) -> Result<CommandAnswer, Refusal> {
    match (&event.transition, &event.acknowledged) {
        (Transition::Declined, Some(held)) => Err(Refusal::conflict(format!(
            "{} has alert {} in hand since {}{}",
            held.by,
            event.alert,
            held.since,
            held.until.map_or_else(String::new, |until| format!(", until {until}")),
        ))),
        _ => Ok(CommandAnswer { id, carried_out: true, acknowledged: event.acknowledged.clone() }),
    }
}

/// The decision side of the present knows alerts that are open, or were not long ago.
fn takes_commands(alert: &Alert, now: Timestamp) -> Result<(), Refusal> {
    let event = alert.now();
    let last = alert.life().decided.plus_millis(COMMANDS_AFTER_END_MS);
    if event.historic {
        return Err(Refusal::bad_request(format!(
            "alert {} is about the past: nobody is told of it, and nobody has to take it in hand",
            event.alert
        )));
    }
    if alert.state() == AlertState::Resolved && last < now {
        return Err(Refusal::bad_request(format!(
            "alert {} was over more than 30 days ago and takes no more commands",
            event.alert
        )));
    }
    Ok(())
}

fn compose(
    alert: AlertKey,
    what: CommandKind,
    request: CommandRequest,
    now: Timestamp,
) -> Result<Command, Refusal> {
    let by = plain("by", &request.by, MAX_NAME_CHARS)?
        .ok_or_else(|| Refusal::bad_request("`by` is empty: say who you are"))?;
    let note = plain("note", request.note.as_deref().unwrap_or_default(), MAX_NOTE_CHARS)?;
    if what == CommandKind::Note && note.is_none() {
        return Err(Refusal::bad_request("`note` is empty: say what there is to know"));
    }
    let hours = match (what, request.for_hours) {
        (_, Some(hours)) if !(1..=MAX_HOURS).contains(&hours) => {
            return Err(Refusal::bad_request(format!(
                "`for_hours` = {hours} must be between 1 and {MAX_HOURS}"
            )));
        }
        (CommandKind::Acknowledge, None) => Some(ACKNOWLEDGE_HOURS),
        (CommandKind::Acknowledge | CommandKind::Mute | CommandKind::MuteRule, hours) => hours,
        _ => None,
    };
    let id = request.id.filter(|id| !id.is_empty());
    if id.as_ref().is_some_and(|id| id.len() > MAX_NAME_CHARS) {
        return Err(Refusal::bad_request(format!("`id` is longer than {MAX_NAME_CHARS} bytes")));
    }
    Ok(Command {
        v: SchemaVersion::default(),
        id: id.unwrap_or_else(new_id),
        alert,
        what,
        by,
        note,
        until: hours.map(|hours| now.plus_millis(i64::from(hours) * HOUR_MS)),
    })
}

/// A text as a person typed it, without what is not seen; `None` where nothing is left.
pub(crate) fn plain(field: &str, text: &str, most: usize) -> Result<Option<String>, Refusal> {
    if text.chars().count() > most {
        return Err(Refusal::bad_request(format!("`{field}` is longer than {most} characters")));
    }
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    Ok((!plain.is_empty()).then(|| plain.to_owned()))
}

/// An id that no other command has.
pub(crate) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
