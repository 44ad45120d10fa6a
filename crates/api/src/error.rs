//! Errors as a client sees them: one shape, `{"status", "message"}`, with the status name of the original interface.
//!
//! A message says what to change. What went wrong inside is logged here and never sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use storage::StoreError;

/// Why a request was not answered. The texts are for the client.
#[derive(Debug)]
pub(crate) enum Error {
    /// The request is not what the route takes; names the field and the right value.
    BadRequest(String),
    /// It does not prove that it knows the keys.
    Unauthorized(String),
    /// It has failed to too often.
    TooManyFailures,
    /// So many requests were signed within the window that the next one cannot be told from a repeated one.
    TooManyRequests,
    /// Its key is not good for this.
    Forbidden(String),
    /// There is no such route or sender.
    NotFound(String),
    /// The route exists, but not with this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is larger than this many bytes.
    PayloadTooLarge(usize),
    /// It would cost too much, or asks for more than is kept; says what to ask instead.
    TooMuch(String),
    /// All places for what it asks are taken; says which.
    Busy(String),
    /// The store does not answer; the same request may be sent again.
    Unavailable,
    /// Anything else; the log has it.
    Internal,
}

/// What every error answers. The status is the name of the HTTP status, in capitals.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body {
    status: &'static str,
    message: String,
}

/// After how many seconds a client should come back when the store does not answer, or when it asked too often.
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
            Self::Busy(_) | Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR"),
        }
    }

    fn message(self) -> String {
        match self {
            Self::BadRequest(message)
            | Self::Unauthorized(message)
            | Self::Forbidden(message)
            | Self::NotFound(message)
            | Self::Busy(message)
            | Self::TooMuch(message) => message,
            Self::TooManyFailures => {
                "too many requests of this client were not signed as they should be; good ones are let through".into()
            }
            Self::TooManyRequests => {
                "too many requests were signed within the last minutes; send it again later".into()
            }
            Self::MethodNotAllowed => {
                "this path does not take this method; the Allow header lists those it takes".into()
            }
            Self::RequestTimeout => "the body did not arrive in time".into(),
            Self::PayloadTooLarge(limit) => {
                format!("the body is larger than {limit} bytes; send it in several requests")
            }
            Self::Unavailable => "the store does not answer; send the same request again in a few seconds".into(),
            Self::Internal => "the request could not be carried out; the log of the collector says why".into(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Retry(_) => {
                tracing::warn!(%error, "a request was not answered");
                Self::Unavailable
            }
            StoreError::Reject(_) | StoreError::Corrupt(_) | StoreError::Superseded(_) | StoreError::Config(_) => {
                tracing::error!(%error, "a request was not answered");
                Self::Internal
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (code, status) = self.status();
        let mut response = (code, Json(Body { status, message: self.message() })).into_response();
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
