//! `GET /`: checks the interface and the keys; without any, it is the page of the web interface.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::page;
use crate::auth::Bearer;

/// Success.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Index {
    status: &'static str,
}

/// The answer to something that was done.
pub(crate) fn ok() -> Json<Index> {
    Json(Index { status: "OK" })
}

/// Checks the keys. Without credentials, the page of the web interface.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "index",
    security((), ("authKey" = [], "signature" = [])),
    responses((status = 200, description = "Keys are valid", content((Index = "application/json"), (String = "text/html"))))
)]
pub(crate) async fn show(request: Request) -> Response {
    match request.extensions().get::<Bearer>() {
        Some(_) => ok().into_response(),
        None => page::show(request.headers().clone()).await,
    }
}
