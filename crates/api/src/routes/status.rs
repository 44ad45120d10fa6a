//! `GET /status`, `/exporters`, `/exporters/<address>` and `/unknown`: the collector itself, and what sends to it.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Extension, State};
use flow::Timestamp;
use serde::Serialize;
use tap::Taps;
use view::{DetailedExporter, Exporter, Status, Unknown, View};

use super::SenderAddress;
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::parameters::Parameters;
use crate::parameters::documentation::OfSender;

/// The collector as a whole.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusView {
    version: &'static str,
    uptime_seconds: u64,
    store: StoreView,
    #[serde(flatten)]
    collector: Status,
}

#[derive(Serialize, utoipa::ToSchema)]
struct StoreView {
    reachable: bool,
    /// The latency of a small read of the store within the last second.
    milliseconds: Option<u64>,
}

impl Api {
    /// The collector that this interface belongs to.
    pub(crate) fn view(&self) -> Result<&dyn View, Error> {
        self.collector.as_ref().map(|(view, _)| &**view).ok_or_else(no_collector)
    }

    /// The collector and its store.
    pub(crate) async fn status_view(&self) -> Result<StatusView, Error> {
        let collector = self.view()?.status();
        let latency = self.store_latency().await;
        let now = Timestamp::from(SystemTime::now());
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now.seconds().saturating_sub(collector.started.seconds()),
            store: StoreView {
                reachable: latency.is_some(),
                milliseconds: latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
            },
            collector,
        })
    }

    /// Its taps.
    pub(crate) fn taps(&self) -> Result<&Taps, Error> {
        self.collector.as_ref().map(|(_, taps)| taps).ok_or_else(no_collector)
    }
}

fn no_collector() -> Error {
    Error::NotFound("no collector runs here: this interface only reads a store".into())
}

/// State and counters of the collector.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "status",
    responses((status = 200, description = "State and counters", body = StatusView))
)]
pub(crate) async fn show(State(api): State<Api>, parameters: Parameters) -> Result<Json<StatusView>, Error> {
    parameters.only(&[])?;
    Ok(Json(api.status_view().await?))
}

/// Lists the registered exporters that have sent.
#[utoipa::path(
    get,
    path = "/exporters",
    operation_id = "exporters",
    responses((status = 200, description = "The exporters that the key is valid for, by address", body = [Exporter]))
)]
pub(crate) async fn exporters(
    State(api): State<Api>,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
) -> Result<Json<Vec<Exporter>>, Error> {
    parameters.only(&[])?;
    let exporters = api.view()?.exporters().into_iter();
    let shown = exporters.filter(|exporter| limits.as_ref().is_none_or(|limits| limits.include(exporter.address)));
    Ok(Json(shown.collect()))
}

/// Shows an exporter with its decoding state.
#[utoipa::path(
    get,
    path = "/exporters/{sender}",
    operation_id = "exporter",
    params(OfSender),
    responses((status = 200, description = "The exporter", body = DetailedExporter))
)]
pub(crate) async fn exporter(
    State(api): State<Api>,
    SenderAddress(address): SenderAddress,
    parameters: Parameters,
) -> Result<Json<DetailedExporter>, Error> {
    parameters.only(&[])?;
    let exporter = api.view()?.exporter(address).ok_or_else(|| {
        Error::NotFound(format!(
            "nothing has arrived from {address} since the collector started, or it is not registered: see /unknown"
        ))
    })?;
    Ok(Json(exporter))
}

/// An address that sends without being registered.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UnknownView {
    #[serde(flatten)]
    sender: Unknown,
    /// How to register it.
    register: Register,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Register {
    command: String,
    curl: String,
}

impl From<Unknown> for UnknownView {
    fn from(sender: Unknown) -> Self {
        let address = sender.address;
        // What it counts are the networks then: what else it carries is not known before its flows are decoded.
        let body = r#"{"prefixes":[]}"#;
        let register = Register {
            command: format!("netflow senders add {address}"),
            curl: format!(
                "curl -X PUT -H \"X-Io-Auth: $authKey\" -H \"X-Io-Sign: $(printf %s \"$authKey\" | openssl dgst -sha256 \
                 -hmac \"$signKey\")\" -d '{body}' \"$URL/senders/{address}\""
            ),
        };
        Self { sender, register }
    }
}

/// Lists addresses that send without being registered.
#[utoipa::path(
    get,
    path = "/unknown",
    operation_id = "unknown",
    responses((status = 200, description = "The addresses, the busiest first, with commands that register them", body = [UnknownView]))
)]
pub(crate) async fn unknown(State(api): State<Api>, parameters: Parameters) -> Result<Json<Vec<UnknownView>>, Error> {
    parameters.only(&[])?;
    Ok(Json(api.view()?.unknown().into_iter().map(UnknownView::from).collect()))
}
