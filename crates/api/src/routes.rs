//! The routes: one file for each kind of resource, and here what they share.

pub(crate) mod billing;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod flows;
pub(crate) mod health;
pub(crate) mod index;
pub(crate) mod networks;
pub(crate) mod page;
pub(crate) mod readers;
pub(crate) mod remarks;
pub(crate) mod senders;
pub(crate) mod series;
pub(crate) mod session;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod tap;
pub(crate) mod top;

use std::collections::HashSet;
use std::net::IpAddr;

use accounting::block::BlockError;
use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use flow::Counters;
use serde::ser::{Serialize, Serializer};

use crate::Api;
use crate::error::Error;
use crate::json::Quoted;

/// Answers a path that is no route.
pub(crate) async fn unknown_path(uri: Uri) -> Error {
    Error::NotFound(format!(
        "no such path: {}; the paths are /, /senders, /senders/<address>, /networks, /networks/<prefix>, /stats/<address>, /top/<address>, \
         /series/<address>, /billing/<address>, /stats, /top, /series, /billing, /flows, /flows/top, /flows/series, /readers, /readers/<reader>/pause, /readers/<reader>/resume, /readers/<reader>/reset, /status, /exporters, /exporters/<address>, /unknown, /doctor, /tap, /events, /session, /openapi.json, \
         /healthz, /readyz and /metrics",
        Quoted(uri.path())
    ))
}

/// Answers a method that a route does not allow; the router adds the `Allow` header.
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
                "{} in the path is not an IP address: use one such as 172.16.1.1 or 2001:db8::1",
                Quoted(&text)
            ))),
        }
    }
}

/// The error for a sender that is not registered.
pub(crate) fn unknown_sender(address: IpAddr) -> Error {
    Error::NotFound(format!("{address} is not a registered sender: PUT /senders/{address} registers it"))
}

/// Bytes, packets and flows.
#[derive(Clone, Copy, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct CountersView {
    bytes: u64,
    pkts: u64,
    flows: u64,
    /// Present and true when one of them is 2^64 - 1, where sums end: it is a lower bound.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
}

impl From<Counters> for CountersView {
    fn from(counters: Counters) -> Self {
        let Counters { bytes, packets, flows } = counters;
        Self { bytes, pkts: packets, flows, saturated: counters.is_saturated() }
    }
}

/// An object with its keys in this order.
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The number of damaged blocks, if any: their counters are missing in the answer.
const DAMAGED: HeaderName = HeaderName::from_static("x-io-damaged-blocks");

/// An answer; reports the damaged blocks that it lacks in the header and the log.
pub(crate) fn damage_noted(answer: impl Serialize, damaged: impl IntoIterator<Item = BlockError>) -> Response {
    let mut keys = HashSet::new();
    for error in damaged {
        if keys.insert(error.key) {
            tracing::error!(%error, "damaged block: its counters are missing in an answer");
        }
    }
    let mut response = Json(answer).into_response();
    if !keys.is_empty() {
        response.headers_mut().insert(DAMAGED, HeaderValue::from(keys.len()));
    }
    response
}
