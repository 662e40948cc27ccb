//! What operators ask of the sender over HTTP: a test of a route, why somebody was or was not told, and messages to a
//! webhook once more. None of it changes what was decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use earshot_common::broker::{Broker, MAX_BATCH, Position, ReadError};
use earshot_common::definitions::Watchlist;
use earshot_common::events::{AlertEvent, Channel, DeliveryState, Notification, SignalRecord, decode};
use earshot_common::http::Refusal;
use earshot_common::keys::AlertKey;
use earshot_common::time::Clock;
use earshot_common::topics::{ALERTS, SIGNALS};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::delivery::{Outbox, Refused};
use crate::why::{Told, WhyAnswer, explain};

/// Messages that one request sends once more, at most.
const REPLAYED_AT_ONCE: usize = 100;

/// What the requests work with.
#[derive(Clone)]
pub(crate) struct Operators {
    pub(crate) broker: Broker,
    pub(crate) watchlist: watch::Receiver<Arc<Watchlist>>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) clock: Clock,
}

pub(crate) fn routes(operators: Operators) -> Router {
    Router::new()
        .route("/api/routes/{id}/test", post(test))
        .route("/api/alerts/{id}/why", get(why))
        .route("/api/webhooks/{name}/replay", post(replay))
        .with_state(operators)
}

/// The answer of `POST /api/routes/{id}/test`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteTest {
    /// What each channel answered.
    pub results: Vec<ChannelTest>,
    /// The route that would be told where one of these fails; it is not tested.
    pub fallback: Option<String>,
}

/// What a channel answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelTest {
    /// The channel and the address on it.
    pub to: Channel,
    /// Why it did not take the test; `None` where it did.
    pub error: Option<String>,
    /// Whether a message would be tried again after this.
    pub retried: bool,
}

async fn test(
    State(operators): State<Operators>,
    Path(id): Path<String>,
) -> Result<Json<RouteTest>, Refusal> {
    let watchlist = Arc::clone(&operators.watchlist.borrow());
    let route =
        watchlist.route(&id).ok_or_else(|| Refusal::not_found(format!("there is no route `{id}`")))?;
    let mut attempts = JoinSet::new();
    for (place, to) in route.channels().into_iter().enumerate() {
        let (outbox, id, now) = (Arc::clone(&operators.outbox), id.clone(), operators.clock.now());
        attempts.spawn(async move {
            let result = outbox.send_test(&id, to.clone(), now).await;
            (place, ChannelTest::of(to, result))
        });
    }
    let mut results = attempts.join_all().await;
    results.sort_by_key(|(place, _)| *place);
    let results = results.into_iter().map(|(_, result)| result).collect();
    Ok(Json(RouteTest { results, fallback: route.fallback.clone() }))
}

impl ChannelTest {
    fn of(to: Channel, result: Result<(), Refused>) -> Self {
        let (error, retried) = match result {
            Ok(()) => (None, false),
            Err(Refused::ForNow { error, .. }) => (Some(error), true),
            Err(Refused::ForGood { error }) => (Some(error), false),
        };
        Self { to, error, retried }
    }
}

async fn why(State(operators): State<Operators>, Path(id): Path<String>) -> Result<Json<WhyAnswer>, Refusal> {
    let unknown = || Refusal::not_found(format!("there is no alert `{id}`"));
    let alert: AlertKey = id.parse().map_err(|_| unknown())?;
    let events = events_of(&operators.broker, alert).await.map_err(Refusal::unavailable)?;
    let Some(first) = events.first() else { return Err(unknown()) };
    let from = events.iter().map(|event| event.signals.offset).min().unwrap_or(first.signals.offset);
    let told = told(&operators.broker, from, &format!("{alert}/")).await.map_err(Refusal::unavailable)?;
    explain(&events, &told).map(Json).ok_or_else(unknown)
}

async fn events_of(broker: &Broker, alert: AlertKey) -> Result<Vec<AlertEvent>, ReadError> {
    let mut events = Vec::new();
    let take = |record: earshot_common::broker::Record| {
        events.extend(decode::<AlertEvent>(&record.value).ok().filter(|event| event.alert == alert));
    };
    drop(broker.replay(&ALERTS, take).await?);
    Ok(events)
}

/// What `signals` says, from an offset on, of the messages whose keys begin so.
async fn told(broker: &Broker, from: u64, prefix: &str) -> Result<Told, ReadError> {
    let mut told = Told::new();
    let bounds = broker.bounds(&SIGNALS, None).await?;
    let Some(bounds) = bounds.first() else { return Ok(told) };
    let mut next = from.max(bounds.first);
    let mut reader = broker.read(&SIGNALS, vec![Position { partition: 0, offset: next }]).await?;
    while next < bounds.next {
        for record in reader.next(MAX_BATCH).await? {
            next = record.offset + 1;
            if let Ok(SignalRecord::Delivery(delivery)) = decode(&record.value)
                && delivery.key.starts_with(prefix)
            {
                told.insert(delivery.key.clone(), (record.appended, delivery));
            }
        }
    }
    Ok(told)
}

/// The keys of the messages that were given up, from an offset of `signals` on.
async fn failures(broker: &Broker, from: u64) -> Result<BTreeSet<String>, ReadError> {
    let told = told(broker, from, "").await?;
    let failed = told.into_iter().filter(|(_, (_, delivery))| delivery.state == DeliveryState::Failed);
    Ok(failed.map(|(key, _)| key).collect())
}

/// The messages to an address: those of a transition, and those in place of one that failed.
fn meant_for<'a>(
    notify: &'a [Notification],
    to: &Channel,
    failed: Option<&BTreeSet<String>>,
) -> Vec<&'a Notification> {
    let mut meant = Vec::new();
    for first in notify {
        meant.extend(Some(first).filter(|first| first.to == *to));
        if failed.is_some_and(|failed| failed.contains(&first.key)) {
            meant.extend(stand_ins(first, to));
        }
    }
    meant
}

fn stand_ins<'a>(first: &'a Notification, to: &Channel) -> impl Iterator<Item = &'a Notification> {
    first.fallback.iter().filter(move |instead| instead.to == *to)
}

/// What `POST /api/webhooks/{name}/replay` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The offset in `signals` to begin with: that of a message which came, as `signals.offset` in its body.
    pub from: u64,
    /// Where in `alerts` to go on: the `next` of the answer before.
    #[serde(default)]
    pub next: u64,
}

/// What `POST /api/webhooks/{name}/replay` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayAnswer {
    /// Messages that the webhook took.
    pub sent: usize,
    /// Where to go on; `None` where this was all, or where the webhook refused one.
    pub next: Option<u64>,
    /// The offset in `signals` of the message that was refused, and why.
    pub refused: Option<(u64, String)>,
}

/// Sends once more what was meant for a webhook, in its order, with the ids that it had: a receiver that has one already
/// can tell.
async fn replay(
    State(operators): State<Operators>,
    Path(name): Path<String>,
    Json(request): Json<ReplayRequest>,
) -> Result<Json<ReplayAnswer>, Refusal> {
    let to = Channel::Webhook(name);
    let bounds = operators.broker.bounds(&ALERTS, None).await.map_err(Refusal::unavailable)?;
    let bounds = bounds.first().copied().ok_or_else(|| Refusal::unavailable("`alerts` has no partition"))?;
    let mut next = request.next.max(bounds.first);
    let from = vec![Position { partition: 0, offset: next }];
    let mut reader = operators.broker.read(&ALERTS, from).await.map_err(Refusal::unavailable)?;
    let watchlist = Arc::clone(&operators.watchlist.borrow());
    let mut sent = 0;
    let mut failed = None;
    while next < bounds.next {
        for record in reader.next(MAX_BATCH).await.map_err(Refusal::unavailable)? {
            if sent == REPLAYED_AT_ONCE {
                return Ok(Json(ReplayAnswer { sent, next: Some(next), refused: None }));
            }
            next = record.offset + 1;
            let Ok(event) = decode::<AlertEvent>(&record.value) else { continue };
            let offset = event.signals.offset;
            if offset < request.from {
                continue;
            }
            if failed.is_none() && event.notify.iter().any(|first| stand_ins(first, &to).next().is_some()) {
                failed = Some(failures(&operators.broker, request.from).await.map_err(Refusal::unavailable)?);
            }
            for notification in meant_for(&event.notify, &to, failed.as_ref()) {
                let sending = operators.outbox.send_again(notification.clone(), event.clone(), &watchlist);
                if let Err(refused) = sending.await {
                    let refused = Some((offset, refused.to_string()));
                    return Ok(Json(ReplayAnswer { sent, next: None, refused }));
                }
                sent += 1;
            }
        }
    }
    Ok(Json(ReplayAnswer { sent, next: None, refused: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_sent_again_what_was_meant_for_it_and_what_came_to_it_in_place_of_another() {
        let to = |name: &str| Channel::Webhook(name.to_owned());
        let notification = |key: &str, to: Channel, fallback: Vec<Notification>| Notification {
            key: key.to_owned(),
            route: "comms".to_owned(),
            to,
            group_wait_s: 0,
            fallback,
        };
        let mail = |key: &str| {
            let instead = notification(&format!("{key}/instead"), to("team"), Vec::new());
            notification(key, Channel::Mail("a@harbor.example".to_owned()), vec![instead])
        };
        let notify = [
            notification("own", to("team"), Vec::new()),
            mail("failed"),
            mail("taken"),
            notification("other", to("other"), Vec::new()),
        ];
        let failed = BTreeSet::from(["failed".to_owned()]);
        let keys = |failed: Option<&BTreeSet<String>>| -> Vec<String> {
            meant_for(&notify, &to("team"), failed).into_iter().map(|meant| meant.key.clone()).collect()
        };
        assert_eq!(keys(Some(&failed)), ["own", "failed/instead"]);
        assert_eq!(keys(None), ["own"]);
    }
}
