//! What operators ask of the sender over HTTP: a test of a route, why somebody was or was not told, and messages to a
//! webhook once more. None of it changes what was decided.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use earshot_common::broker::{Broker, MAX_BATCH, Position, ReadError};
use earshot_common::definitions::Watchlist;
use earshot_common::events::{AlertEvent, Channel, SignalRecord, decode};
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
    while next < bounds.next {
        for record in reader.next(MAX_BATCH).await.map_err(Refusal::unavailable)? {
            if sent == REPLAYED_AT_ONCE {
                return Ok(Json(ReplayAnswer { sent, next: Some(next), refused: None }));
            }
            next = record.offset + 1;
            let Ok(event) = decode::<AlertEvent>(&record.value) else { continue };
            let notification = event.notify.iter().find(|notification| notification.to == to);
            let Some(notification) = notification.filter(|_| event.signals.offset >= request.from) else {
                continue;
            };
            let offset = event.signals.offset;
            if let Err(refused) =
                operators.outbox.send_again(notification.clone(), event.clone(), &watchlist).await
            {
                let refused = Some((offset, refused.to_string()));
                return Ok(Json(ReplayAnswer { sent, next: None, refused }));
            }
            sent += 1;
        }
    }
    Ok(Json(ReplayAnswer { sent, next: None, refused: None }))
}
