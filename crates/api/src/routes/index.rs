//! `GET /`: whether the interface answers and the keys are right.

use axum::Json;
use serde::Serialize;

/// That all is well.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Index {
    status: &'static str,
}

/// `GET /`: whether the keys are right.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "index",
    responses((status = 200, description = "They are", body = Index))
)]
pub(crate) async fn show() -> Json<Index> {
    Json(Index { status: "OK" })
}
