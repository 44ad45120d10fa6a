//! `/session`: how a browser logs in and out. The rules are in `auth/login`.

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::index::{self, Index};
use crate::Api;
use crate::auth::{Bearer, Login, SessionView};
use crate::error::Error;
use crate::parameters::Parameters;

/// What a login signs.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Nonce {
    /// `login-` and 64 hexadecimal digits; valid once, for 60 seconds.
    nonce: String,
}

/// What logs in without keys.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Ticket {
    /// Valid once, for 60 seconds.
    ticket: String,
}

/// A nonce to log in with.
#[utoipa::path(
    get,
    path = "/session/nonce",
    operation_id = "loginNonce",
    security(()),
    responses((status = 200, description = "The nonce", body = Nonce))
)]
pub(crate) async fn nonce(State(api): State<Api>, parameters: Parameters) -> Result<Json<Nonce>, Error> {
    parameters.only(&[])?;
    Ok(Json(Nonce { nonce: api.login_nonce()? }))
}

/// Logs in: the answer sets a cookie that other requests may carry instead of a signature.
#[utoipa::path(
    post,
    path = "/session",
    operation_id = "logIn",
    security(()),
    params(("X-Netflow" = String, Header, description = "1; Origin and Host must also name the same host", example = "1")),
    request_body = Login,
    responses((status = 200, description = "Who is logged in", body = SessionView))
)]
pub(crate) async fn log_in(State(api): State<Api>, request: Request) -> Result<Response, Error> {
    api.log_in(request).await
}

/// Who is logged in, or whose signature the request has.
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "session",
    responses((status = 200, description = "The key, its role and its senders", body = SessionView))
)]
pub(crate) async fn show(
    Extension(Bearer { key, .. }): Extension<Bearer>,
    parameters: Parameters,
) -> Result<Json<SessionView>, Error> {
    parameters.only(&[])?;
    Ok(Json(SessionView::from(&key)))
}

/// Logs out.
#[utoipa::path(
    delete,
    path = "/session",
    operation_id = "logOut",
    responses((status = 200, description = "The session has ended", body = Index))
)]
pub(crate) async fn log_out(State(api): State<Api>, request: Request) -> Result<Response, Error> {
    let (parts, _) = request.into_parts();
    let cookie: [(_, HeaderValue); 1] = [(header::SET_COOKIE, api.log_out(&parts)?)];
    Ok((cookie, index::ok()).into_response())
}

/// A ticket, which logs in with the key that signed this request. Needs a signature, not a session.
#[utoipa::path(
    post,
    path = "/session/ticket",
    operation_id = "ticket",
    responses((status = 200, description = "The ticket", body = Ticket))
)]
pub(crate) async fn ticket(
    State(api): State<Api>,
    Extension(bearer): Extension<Bearer>,
    parameters: Parameters,
) -> Result<Json<Ticket>, Error> {
    parameters.only(&[])?;
    if !bearer.is_signed {
        return Err(Error::Forbidden("a ticket needs a signed request: a session must not outlive its end".into()));
    }
    Ok(Json(Ticket { ticket: api.ticket(&bearer.key)? }))
}
