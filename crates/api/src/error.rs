//! Errors as a client sees them: one shape, `{"status", "message"}`, with the status name of the original interface.
//!
//! A message gives the fix. Internal errors are logged here and never sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use storage::StoreError;

/// Why a request was not answered. The texts are for the client.
#[derive(Debug)]
pub(crate) enum Error {
    /// The request is invalid; names the field and the expected value.
    BadRequest(String),
    /// The credentials are missing or wrong.
    Unauthorized(String),
    /// The client has failed to authenticate too often.
    TooManyFailures,
    /// The nonces of the key are too many, so a new request could not be distinguished from a replayed one.
    TooManyRequests,
    /// The key does not permit this.
    Forbidden(String),
    /// There is no such route or sender.
    NotFound(String),
    /// The route exists, but not with this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is larger than this many bytes.
    PayloadTooLarge(usize),
    /// It would cost too much, or needs counters that have expired; the message gives an alternative.
    TooMuch(String),
    /// A limit on concurrent requests is reached; the message names it.
    Busy(String),
    /// The store is unreachable; the same request may be repeated.
    Unavailable,
    /// The database that has the answer gives none; the message has its reason.
    NoAnswer(String),
    /// Anything else; it is logged.
    Internal,
}

/// The body of every error. `status` is the name of the HTTP status in capitals.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body {
    status: &'static str,
    message: String,
}

/// When a client should retry: the store is unreachable, or it sent too many requests.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

impl Error {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::TooManyFailures | Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Self::PayloadTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
            Self::TooMuch(_) => (StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY"),
            Self::Busy(_) | Self::NoAnswer(_) | Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR"),
        }
    }

    /// The body of the response.
    pub(crate) fn body(self) -> Body {
        let (_, status) = self.status();
        Body { status, message: self.message() }
    }

    fn message(self) -> String {
        match self {
            Self::BadRequest(message)
            | Self::Unauthorized(message)
            | Self::Forbidden(message)
            | Self::NotFound(message)
            | Self::Busy(message)
            | Self::NoAnswer(message)
            | Self::TooMuch(message) => message,
            Self::TooManyFailures => {
                "this client has sent too many requests with wrong credentials; requests with valid ones are still accepted".into()
            }
            Self::TooManyRequests => {
                "too many requests with this key within the last 10 minutes; retry later".into()
            }
            Self::MethodNotAllowed => {
                "method not allowed; the Allow header lists the allowed ones".into()
            }
            Self::RequestTimeout => "the body did not arrive in time".into(),
            Self::PayloadTooLarge(limit) => {
                format!("the body is larger than {limit} bytes; split it into several requests")
            }
            Self::Unavailable => "the store is unreachable; retry in a few seconds".into(),
            Self::Internal => "internal error; see the log of the collector".into(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Retry(_) => {
                tracing::warn!(%error, "request failed: the store is unreachable");
                Self::Unavailable
            }
            StoreError::Reject(_)
            | StoreError::Corrupt(_)
            | StoreError::Newer(_)
            | StoreError::Superseded(_)
            | StoreError::Config(_) => {
                tracing::error!(%error, "request failed");
                Self::Internal
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (code, _) = self.status();
        let mut response = (code, Json(self.body())).into_response();
        let extra = match code {
            // RFC 9110, section 11.6.1: a 401 names the scheme that would be accepted.
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("X-Io-Sign"))),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS))
            }
            _ => None,
        };
        response.headers_mut().extend(extra);
        response
    }
}
