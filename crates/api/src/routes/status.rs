//! `GET /status`, `/exporters`, `/exporters/<address>` and `/unknown`: the collector itself, and who sends to it.

use axum::Json;
use axum::extract::{Extension, State};
use flow::Timestamp;
use serde::Serialize;
use std::net::IpAddr;
use std::time::SystemTime;

use super::{Ordered, SenderAddress};
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::openapi::parameters::OfSender;
use crate::parameters::Parameters;
use crate::watch::{Arrivals, Counter, Detail, Exporter, Gauge, Ledger, Rates, Socket, Unknown, Watch};

/// The collector as a whole.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusView {
    version: &'static str,
    started: String,
    uptime_seconds: u64,
    /// Where it receives datagrams.
    receiving: Vec<String>,
    store: StoreView,
    /// Since the start.
    #[schema(value_type = Object)]
    counters: Ordered<CounterView>,
    /// Just now.
    #[schema(value_type = Object)]
    gauges: Ordered<GaugeView>,
    /// Where it receives.
    sockets: Vec<Socket>,
    /// When the ledgers were looked at: at the last flush. Null before the first one.
    ledgers_checked: Option<String>,
    /// What has to balance.
    ledgers: Vec<LedgerView>,
}

/// Two things that are counted in different places and have to be equal.
#[derive(Serialize, utoipa::ToSchema)]
struct LedgerView {
    #[serde(flatten)]
    ledger: Ledger,
    /// By how much the left side is larger.
    #[schema(value_type = i64)]
    difference: i128,
}

#[derive(Serialize, utoipa::ToSchema)]
struct StoreView {
    reachable: bool,
    /// How long it took to answer a small question just now.
    milliseconds: Option<u64>,
}

/// One number, or one for each label.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum CounterView {
    One(u64),
    ByLabel(Ordered<u64>),
}

#[derive(Serialize, utoipa::ToSchema)]
struct GaugeView {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
}

impl From<Ledger> for LedgerView {
    fn from(ledger: Ledger) -> Self {
        Self { difference: ledger.difference(), ledger }
    }
}

fn counters(counters: &[Counter]) -> Ordered<CounterView> {
    let view = |counter: &Counter| {
        let view = match counter.values.as_slice() {
            [(None, value)] => CounterView::One(*value),
            values => {
                let labelled = |(label, value): &(Option<(&str, &str)>, u64)| {
                    (label.map_or_else(String::new, |(_, label)| label.to_owned()), *value)
                };
                CounterView::ByLabel(Ordered(values.iter().map(labelled).collect()))
            }
        };
        (counter.name.to_owned(), view)
    };
    Ordered(counters.iter().map(view).collect())
}

impl Api {
    /// The collector, if this interface belongs to a running one.
    pub(crate) fn watched(&self) -> Result<&dyn Watch, Error> {
        let none = || Error::NotFound("no collector runs here: this interface only reads a store".into());
        self.watch.as_deref().ok_or_else(none)
    }
}

/// `GET /status`
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "status",
    responses((status = 200, description = "The collector as a whole", body = StatusView))
)]
pub(crate) async fn show(State(api): State<Api>, parameters: Parameters) -> Result<Json<StatusView>, Error> {
    parameters.only(&[])?;
    let status = api.watched()?.status();
    let latency = api.store_latency().await;
    let now = Timestamp::from(SystemTime::now());
    let gauge = |gauge: &Gauge| (gauge.name.to_owned(), GaugeView { value: gauge.value, limit: gauge.limit });
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        started: status.started.to_string(),
        uptime_seconds: now.seconds().saturating_sub(status.started.seconds()),
        receiving: status.receiving.iter().map(ToString::to_string).collect(),
        store: StoreView {
            reachable: latency.is_some(),
            milliseconds: latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        },
        counters: counters(&status.counters),
        gauges: Ordered(status.gauges.iter().map(gauge).collect()),
        ledgers_checked: status.ledgers_checked.map(|checked| checked.to_string()),
        ledgers: status.ledgers.into_iter().map(LedgerView::from).collect(),
        sockets: status.sockets,
    }))
}

/// What came from one exporter since the collector started.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExporterView {
    #[schema(value_type = String)]
    address: IpAddr,
    /// Datagrams by protocol.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    protocols: Ordered<u64>,
    first: Option<String>,
    last: Option<String>,
    /// Null until they are known, some seconds after the start.
    rates: Option<Rates>,
    /// What its sequence numbers tell.
    arrivals: Vec<Arrivals>,
    /// How far the time in its last datagram with flows was ahead of the time of its receipt; null when its protocol does
    /// not say.
    clock_offset_seconds: Option<f64>,
    #[schema(value_type = Object)]
    counters: Ordered<CounterView>,
}

impl From<Exporter> for ExporterView {
    fn from(exporter: Exporter) -> Self {
        let protocols = exporter.protocols.iter().map(|(name, datagrams)| ((*name).to_owned(), *datagrams)).collect();
        Self {
            address: exporter.address,
            protocols: Ordered(protocols),
            first: exporter.first.map(|first| first.to_string()),
            last: exporter.last.map(|last| last.to_string()),
            rates: exporter.rates,
            arrivals: exporter.arrivals,
            clock_offset_seconds: exporter.clock_offset_seconds,
            counters: counters(&exporter.counters),
        }
    }
}

/// One exporter with what decoding remembers of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DetailedView {
    #[serde(flatten)]
    exporter: ExporterView,
    #[serde(flatten)]
    detail: Detail,
}

/// `GET /exporters`
#[utoipa::path(
    get,
    path = "/exporters",
    operation_id = "exporters",
    responses((status = 200, description = "What came from each exporter that the key is good for", body = [ExporterView]))
)]
pub(crate) async fn exporters(
    State(api): State<Api>,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
) -> Result<Json<Vec<ExporterView>>, Error> {
    parameters.only(&[])?;
    let exporters = api.watched()?.exporters().into_iter();
    let shown = exporters.filter(|exporter| limits.as_ref().is_none_or(|limits| limits.hold(exporter.address)));
    Ok(Json(shown.map(ExporterView::from).collect()))
}

/// `GET /exporters/<address>`
#[utoipa::path(
    get,
    path = "/exporters/{sender}",
    operation_id = "exporter",
    params(OfSender),
    responses((status = 200, description = "What came from one, and what decoding remembers of it", body = DetailedView))
)]
pub(crate) async fn exporter(
    State(api): State<Api>,
    SenderAddress(address): SenderAddress,
    parameters: Parameters,
) -> Result<Json<DetailedView>, Error> {
    parameters.only(&[])?;
    let (exporter, detail) = api.watched()?.exporter(address).ok_or_else(|| {
        Error::NotFound(format!(
            "nothing has come from {address} since the collector started, or it is not registered: see /unknown"
        ))
    })?;
    Ok(Json(DetailedView { exporter: exporter.into(), detail }))
}

/// An address that sends without being registered.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UnknownView {
    #[schema(value_type = String)]
    address: IpAddr,
    datagrams: u64,
    last: String,
    protocol: Option<&'static str>,
    /// What registers it.
    register: Register,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Register {
    command: String,
    curl: String,
}

impl From<Unknown> for UnknownView {
    fn from(Unknown { address, datagrams, last, protocol }: Unknown) -> Self {
        // What it should be counted for is not known: everything is a beginning.
        let (any, length) = (if address.is_ipv4() { "0.0.0.0" } else { "::" }, 0);
        let body = format!(r#"{{"prefixes":[{{"prefix":"{any}","prefixLen":{length}}}]}}"#);
        let register = Register {
            command: format!("netflow senders add {address} {any}/{length}"),
            curl: format!(
                "curl -X PUT -H \"X-Io-Auth: $authKey\" -H \"X-Io-Sign: $(printf %s \"$authKey\" | openssl dgst -sha256 \
                 -hmac \"$signKey\")\" -d '{body}' \"$URL/senders/{address}\""
            ),
        };
        Self { address, datagrams, last: last.to_string(), protocol, register }
    }
}

/// `GET /unknown`
#[utoipa::path(
    get,
    path = "/unknown",
    operation_id = "unknown",
    responses((status = 200, description = "Who sends without being registered", body = [UnknownView]))
)]
pub(crate) async fn unknown(State(api): State<Api>, parameters: Parameters) -> Result<Json<Vec<UnknownView>>, Error> {
    parameters.only(&[])?;
    Ok(Json(api.watched()?.unknown().into_iter().map(UnknownView::from).collect()))
}
