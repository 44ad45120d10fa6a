//! `GET /healthz`, `GET /readyz`, `GET /metrics`: for load balancers and Prometheus. They need no credentials and reveal
//! no secrets.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use view::Status;

use super::index;
use crate::Api;
use crate::error::Error;
use crate::metrics;

/// How long a thread may report no progress. They do so every few seconds; only a flush of very many blocks, a store that
/// does not answer, or a machine without time for them delays that.
const STALLED: Duration = Duration::from_secs(60);

/// Checks that the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    security(()),
    responses((status = 200, description = "The process answers", body = index::Index))
)]
pub(crate) async fn alive() -> Json<index::Index> {
    index::ok()
}

/// The result of a readiness check.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Ready {
    status: &'static str,
    /// Why not, a sentence each; empty when it is ready.
    reasons: Vec<String>,
}

/// Checks that received flows are counted and stored.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    security(()),
    responses((status = 200, description = "Ready", body = Ready),
        (status = 503, description = "Not ready, for these reasons", body = Ready))
)]
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    let mut reasons = Vec::new();
    if api.store_latency().await.is_none() {
        reasons.push("the store is unreachable".to_owned());
    }
    if let Some((view, _)) = &api.collector {
        reasons.extend(problems(&view.status()));
    }
    let (code, status) = match reasons.as_slice() {
        [] => (StatusCode::OK, "OK"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
    };
    (code, Json(Ready { status, reasons })).into_response()
}

/// What keeps a collector from counting or storing what it receives.
fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    for thread in status.threads.iter().filter(|thread| thread.silent > STALLED) {
        let seconds = thread.silent.as_secs();
        problems.push(format!("the thread {} is stalled: no progress for {seconds} seconds", thread.name));
    }
    let is_failing = |name| status.gauge(name).is_some_and(|gauge| gauge.value > 0.0);
    if is_failing("spool_full") {
        problems.push(
            "the spool is full: counters stay in memory until the store accepts flushes again; raise spool.maxBytes and \
             reload to queue more on disk"
                .to_owned(),
        );
    } else if is_failing("flush_failing_seconds") {
        problems.push(
            "a flush cannot be stored, not even on the local disk: counters stay in memory; see the log".to_owned(),
        );
    }
    if is_failing("journal_failing") {
        problems.push("the journal cannot be written: a crash would lose new datagrams; see the log".to_owned());
    }
    problems
}

/// Metrics for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    security(()),
    responses((status = 200, description = "Metrics in Prometheus' text format", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Result<Response, Error> {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let text = metrics::encode(&api, api.store_latency().await)?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}
