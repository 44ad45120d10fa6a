//! `GET /`: whether the interface answers and the keys are right.

use axum::Json;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Index {
    status: &'static str,
}

pub(crate) async fn show() -> Json<Index> {
    Json(Index { status: "OK" })
}
