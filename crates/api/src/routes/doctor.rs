//! `GET /doctor`: what is wrong, as `netflow doctor` finds it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::Api;
use crate::diagnosis::Finding;
use crate::error::Error;
use crate::parameters::Parameters;

/// What is wrong.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DiagnosisView {
    /// When it was found, RFC 3339.
    at: String,
    /// Those of the collector, then those of routers.
    findings: Vec<Finding>,
}

/// What keeps flows from being counted correctly. Needs a key for all senders: findings name other routers.
#[utoipa::path(
    get,
    path = "/doctor",
    operation_id = "doctor",
    responses((status = 200, description = "The findings", body = DiagnosisView))
)]
pub(crate) async fn show(State(api): State<Api>, parameters: Parameters) -> Result<Json<DiagnosisView>, Error> {
    parameters.only(&[])?;
    api.view()?;
    let diagnosis = api.diagnosis().await?;
    Ok(Json(DiagnosisView { at: diagnosis.at.to_string(), findings: diagnosis.findings.clone() }))
}
