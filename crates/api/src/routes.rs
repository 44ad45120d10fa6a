//! The routes: one file for each kind of thing that can be asked for, and here what they share.

pub(crate) mod billing;
pub(crate) mod health;
pub(crate) mod index;
pub(crate) mod senders;
pub(crate) mod series;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod tap;
pub(crate) mod top;

use std::collections::HashSet;
use std::net::IpAddr;

use accounting::block::BlockError;
use accounting::period::{Minute, Period};
use accounting::range::Range;
use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use flow::{Counters, Prefix};
use serde::ser::{Serialize, Serializer};
use storage::Sender;

use crate::Api;
use crate::error::Error;
use crate::json::Quoted;
use crate::parameters::now;

/// Any path that is no route.
pub(crate) async fn unknown_path(uri: Uri) -> Error {
    Error::NotFound(format!(
        "there is nothing at {}: the paths are /, /senders, /senders/<address>, and /stats/<address>, /top/<address>, \
         /series/<address>, /billing/<address>, /status, /exporters, /exporters/<address>, /unknown, /tap, /openapi.json, \
         /healthz, /readyz and /metrics",
        Quoted(uri.path())
    ))
}

/// A route with a method that it has not; the router adds the `Allow` header.
pub(crate) async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Error::MethodNotAllowed.into_response()
}

/// The sender that a path names, canonical.
pub(crate) struct SenderAddress(pub(crate) IpAddr);

impl FromRequestParts<Api> for SenderAddress {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_| Error::BadRequest("the path is not UTF-8 text".into()))?;
        match text.parse() {
            Ok(address) => Ok(Self(flow::canonical(address))),
            Err(_) => Err(Error::BadRequest(format!(
                "{} in the path is not an IP address: write one such as 172.16.1.1 or 2001:db8::1",
                Quoted(&text)
            ))),
        }
    }
}

/// A sender that is not registered.
pub(crate) fn unknown_sender(address: IpAddr) -> Error {
    Error::NotFound(format!("{address} is not a registered sender: PUT /senders/{address} registers it"))
}

/// Bytes, packets and flows as the interface shows them.
#[derive(Clone, Copy, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct CountersView {
    bytes: u64,
    pkts: u64,
    flows: u64,
}

impl From<Counters> for CountersView {
    fn from(Counters { bytes, packets, flows }: Counters) -> Self {
        Self { bytes, pkts: packets, flows }
    }
}

/// An object that is written in this order.
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// In the answer when some blocks could not be read: how many. The totals lack what they hold.
const DAMAGED: HeaderName = HeaderName::from_static("x-io-damaged-blocks");

/// An answer, with the blocks that it lacks in the header and in the log.
pub(crate) fn damage_noted(answer: impl Serialize, damaged: impl IntoIterator<Item = BlockError>) -> Response {
    let mut keys = HashSet::new();
    for error in damaged {
        if keys.insert(error.key) {
            tracing::error!(%error, "totals lack a damaged block");
        }
    }
    let mut response = Json(answer).into_response();
    if !keys.is_empty() {
        response.headers_mut().insert(DAMAGED, HeaderValue::from(keys.len()));
    }
    response
}

/// A sender that is registered.
pub(crate) struct Registered(Sender);

impl Registered {
    /// Whether the prefix is monitored: for when nothing is stored of it, which is no mistake then.
    pub(crate) fn monitors(&self, prefix: Prefix) -> Result<(), Error> {
        /// More would not be read.
        const LISTED: usize = 10;
        let Sender { address, prefixes, .. } = &self.0;
        if prefixes.contains(&prefix) {
            return Ok(());
        }
        let mut listed: Vec<_> = prefixes.iter().take(LISTED).map(ToString::to_string).collect();
        if prefixes.len() > LISTED {
            listed.push(format!("and {} more", prefixes.len() - LISTED));
        }
        let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        Err(Error::NotFound(format!(
            "{prefix} is not a monitored prefix of {address}, and nothing is stored of it for that time: its prefixes are {listed}"
        )))
    }
}

impl Api {
    /// The sender, when it is registered.
    pub(crate) async fn registered(&self, address: IpAddr) -> Result<Registered, Error> {
        self.store.sender(address).await?.map(Registered).ok_or_else(|| unknown_sender(address))
    }

    /// From which minute on counters of a period are kept.
    pub(crate) fn kept_since(&self, period: Period, now: Minute) -> Minute {
        let Some(Some(keep)) = self.keep.get(period as usize) else { return Minute(0) };
        Minute(now.0.saturating_sub(u32::try_from(keep.as_secs() / 60).unwrap_or(u32::MAX)))
    }

    /// Refuses a range whose ends cut through intervals that are kept only as a whole by now: the answer would be too low.
    pub(crate) fn refuse_expired(&self, range: Range) -> Result<(), Error> {
        let now = now();
        for interval in range.cover() {
            let since = self.kept_since(interval.period, now);
            if interval.start < since {
                let (name, coarser) = (interval.period.name(), interval.period.coarser().map_or("year", Period::name));
                return Err(Error::TooMuch(format!(
                    "{name}s are kept since {} only, and {interval} is asked for: let from and to be the start of \
                     some {coarser} when they lie before",
                    since.timestamp()
                )));
            }
        }
        Ok(())
    }
}
