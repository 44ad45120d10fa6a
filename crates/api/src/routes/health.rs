//! `GET /healthz`, `GET /readyz`, `GET /metrics`: for the machines that watch the machine. They ask for no credentials and
//! tell no secrets.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::index;
use crate::Api;
use crate::error::Error;
use crate::metrics;

/// How long the store may take to be taken for reachable.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// `GET /healthz`: the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    security(()),
    responses((status = 200, description = "The process answers", body = index::Index))
)]
pub(crate) async fn alive() -> Json<index::Index> {
    index::show().await
}

/// What a readiness check finds.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Ready {
    status: &'static str,
    /// One line for each reason why not.
    reasons: Vec<&'static str>,
}

/// `GET /readyz`: what is received now will be stored and can be asked for.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    security(()),
    responses((status = 200, description = "What is received will be stored", body = Ready),
        (status = 503, description = "It may not, for these reasons", body = Ready))
)]
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    let mut reasons = Vec::new();
    if api.store_latency().await.is_none() {
        reasons.push("the store does not answer");
    }
    let watched = api.collector.as_ref().map(|(view, _)| view.status());
    if watched.as_ref().is_some_and(spool_is_full) {
        reasons.push("the spool is full: what is counted has no room to wait for the store");
    }
    let above_zero = |name| watched.as_ref().and_then(|it| it.gauge(name)).is_some_and(|gauge| gauge.value > 0.0);
    if above_zero("flush_failing_seconds") {
        reasons.push("a flush cannot be stored, on this machine's disk either: what is counted stays in memory, the log says why");
    }
    if above_zero("journal_failing") {
        reasons.push("the journal cannot be written: what comes now would be lost in a crash, the log says why");
    }
    let (code, status) = match reasons.as_slice() {
        [] => (StatusCode::OK, "OK"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
    };
    (code, Json(Ready { status, reasons })).into_response()
}

/// The next flush would not fit: that is some part of what waits already.
fn spool_is_full(status: &view::Status) -> bool {
    const FULL: f64 = 0.99;
    let spool = status.gauge("spool_bytes");
    spool.is_some_and(|spool| spool.limit.is_some_and(|limit| spool.value >= limit * FULL))
}

/// `GET /metrics`: everything that is counted, as Prometheus reads it.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    security(()),
    responses((status = 200, description = "Everything that is counted, as Prometheus reads it", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Result<Response, Error> {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let text = metrics::encode(&api, api.store_latency().await)?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

impl Api {
    /// How long the store takes to answer a small question; `None` when it does not.
    pub(crate) async fn store_latency(&self) -> Option<Duration> {
        let asked = Instant::now();
        match timeout(STORE_TIMEOUT, self.store.writers()).await {
            Ok(Ok(_)) => Some(asked.elapsed()),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}
