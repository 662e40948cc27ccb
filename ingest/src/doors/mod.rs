//! Doors for webhooks: `POST /api/doors/NAME`, signed as [Standard Webhooks](https://www.standardwebhooks.com)
//! says, so they ask for no login.
//!
//! A request is taken whole or not at all, and answered once its mentions are stored.

mod signature;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use earshot_common::broker::NewRecord;
use earshot_common::events::MentionEvent;
use earshot_common::http::Refusal;
use earshot_common::service::Context;
use earshot_common::topics::MENTIONS_RAW;
use serde::{Deserialize, Serialize};

use crate::cleaning::{is_plain_name, raw_record};
use crate::metrics::{DoorKind, IngestMetrics, observe_delay};
use crate::settings::IngestSettings;
use signature::Secrets;
use wire::Provenance;

/// Larger requests are refused.
const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;
/// A sender hears after this long that the log does not answer. It will try again.
const STORE_TIMEOUT: Duration = Duration::from_secs(20);

/// The answer of a door: so many mentions are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// How many.
    pub accepted: usize,
}

/// The routes of the doors in the settings. A door whose secrets cannot be had stops the start.
pub(crate) fn routes(
    context: &Context,
    settings: &IngestSettings,
    metrics: &IngestMetrics,
) -> anyhow::Result<Router> {
    let mut doors = BTreeMap::new();
    for (name, door) in &settings.doors {
        let network = door.network.clone().unwrap_or_else(|| name.clone());
        for part in [name, &network] {
            anyhow::ensure!(
                is_plain_name(part),
                "open the door `{name}`: `{part}` must be 1 to 100 letters, digits, `-`, `_` or `.`"
            );
        }
        let secrets =
            Secrets::load(door, &context.settings.base).with_context(|| format!("open the door `{name}`"))?;
        let provenance = Provenance { source: format!("door:{name}"), network };
        doors.insert(name.clone(), OpenDoor { secrets, provenance });
    }
    let state = Doors { context: context.clone(), metrics: metrics.clone(), doors: Arc::new(doors) };
    Ok(Router::new()
        .route("/api/doors/{name}", post(take))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state))
}

#[derive(Clone)]
struct Doors {
    context: Context,
    metrics: IngestMetrics,
    doors: Arc<BTreeMap<String, OpenDoor>>,
}

struct OpenDoor {
    secrets: Secrets,
    provenance: Provenance,
}

async fn take(
    State(state): State<Doors>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match body {
        Ok(body) => match state.take(&name, &headers, &body).await {
            Ok(accepted) => Json(accepted).into_response(),
            Err(refusal) => refusal.into_response(),
        },
        Err(too_large) => too_large.into_response(),
    }
}

impl Doors {
    async fn take(&self, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<Accepted, Refusal> {
        let door = self
            .doors
            .get(name)
            .ok_or_else(|| Refusal::not_found(format!("there is no door `{name}` in the settings")))?;
        door.secrets.verify(headers, body).map_err(Refusal::unauthorized)?;
        let events =
            wire::read(body, &door.provenance, self.context.clock.now()).map_err(Refusal::bad_request)?;
        self.store(&events).await?;
        for event in &events {
            if let MentionEvent::Upsert(mention) = event {
                observe_delay(&self.context.metrics, mention);
            }
        }
        self.metrics.count_stored(DoorKind::Webhook, events.len());
        Ok(Accepted { accepted: events.len() })
    }

    async fn store(&self, events: &[MentionEvent]) -> Result<(), Refusal> {
        let records: Vec<NewRecord> = events.iter().map(raw_record).collect();
        let storing = self.context.broker.append_durably(&MENTIONS_RAW, records);
        match tokio::time::timeout(STORE_TIMEOUT, storing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Refusal::unavailable(format!("{error}; send it again later"))),
            Err(_) => Err(Refusal::unavailable("the log does not answer in time; send it again later")),
        }
    }
}
