//! Asking for a run, and asking how far it is.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use earshot_common::http::Refusal;

use super::{ReenrichRequest, Reenrichment, Report};

/// `POST /api/reenrich` begins a run, `GET /api/reenrich` says how far the newest one is.
pub(crate) fn routes(reenrichment: Reenrichment) -> Router {
    Router::new().route("/api/reenrich", post(begin).get(report)).with_state(reenrichment)
}

async fn begin(
    State(reenrichment): State<Reenrichment>,
    request: Result<Json<ReenrichRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Report>), Refusal> {
    let Json(request) = request.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    let begun = reenrichment.begin(request).await;
    let Some(run) = begun.map_err(|error| Refusal::unavailable(format!("{error:#}")))? else {
        return Err(Refusal::conflict(
            "history is being judged again already; `GET /api/reenrich` says how far it is",
        ));
    };
    tokio::spawn(run.carry_out());
    report(State(reenrichment)).await.map(|report| (StatusCode::ACCEPTED, report))
}

async fn report(State(reenrichment): State<Reenrichment>) -> Result<Json<Report>, Refusal> {
    reenrichment.report().map(Json).ok_or_else(|| {
        Refusal::not_found(
            "nothing was judged again since this program started; `POST /api/reenrich` begins it",
        )
    })
}
