//! The routes: one file for each kind of thing that can be asked for, and here what they share.

pub(crate) mod index;
pub(crate) mod senders;
pub(crate) mod stats;

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::Api;
use crate::error::Error;
use crate::json::Quoted;

/// Any path that is no route.
pub(crate) async fn unknown_path(uri: Uri) -> Error {
    Error::NotFound(format!(
        "there is nothing at {}: the paths are /, /senders, /senders/<address> and /stats/<address>",
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
