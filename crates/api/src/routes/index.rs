//! `GET /`: checks the interface and the keys.

use axum::Json;
use serde::Serialize;

/// Success.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Index {
    status: &'static str,
}

/// Checks the keys.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "index",
    responses((status = 200, description = "Keys are valid", body = Index))
)]
pub(crate) async fn show() -> Json<Index> {
    Json(Index { status: "OK" })
}
