//! `/readers`: the readers of the log, such as the archive and the stream to Kafka, and orders to them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use serde::Serialize;
use view::Reader;

use crate::Api;
use crate::auth::Bearer;
use crate::error::Error;
use crate::json::{Json as Document, JsonPath, Quoted, members};
use crate::log_readers::{LogPart, OrderReaders, ReaderOrderError, ReaderPlace};
use crate::parameters::Parameters;

const EXAMPLE: &str = r#"{"to":"oldest"}"#;

/// A reader that was set to another place of the log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ResetView {
    /// `oldest`: what is counted here is handed on again; `newest`: it is skipped.
    to: &'static str,
    /// Flushes.
    flushes: u64,
    /// Their segments in the log.
    segments: u64,
    /// The size of these.
    bytes: u64,
    /// The reader, afterwards.
    reader: Reader,
}

/// Lists the readers of the log. Needs a key for all senders.
#[utoipa::path(
    get,
    path = "/readers",
    operation_id = "readers",
    responses((status = 200, description = "The readers", body = [Reader]))
)]
pub(crate) async fn list(State(api): State<Api>, parameters: Parameters) -> Result<Json<Vec<Reader>>, Error> {
    parameters.only(&[])?;
    Ok(Json(api.view()?.status().readers))
}

/// Pauses a reader, also over restarts: what it has not read stays in the log, up to log.maxBytes. Needs an admin's key.
#[utoipa::path(
    post,
    path = "/readers/{reader}/pause",
    operation_id = "pause_reader",
    params(("reader" = String, Path, description = "The name of the reader")),
    responses((status = 200, description = "The reader, which is paused", body = Reader))
)]
pub(crate) async fn pause(
    State(api): State<Api>,
    Path(reader): Path<String>,
    Extension(bearer): Extension<Bearer>,
    body: Bytes,
) -> Result<Json<Reader>, Error> {
    set_paused(&api, reader, &bearer, &body, true).await
}

/// Lets a paused reader continue where it was. Needs an admin's key.
#[utoipa::path(
    post,
    path = "/readers/{reader}/resume",
    operation_id = "resume_reader",
    params(("reader" = String, Path, description = "The name of the reader")),
    responses((status = 200, description = "The reader, which is not paused any more", body = Reader))
)]
pub(crate) async fn resume(
    State(api): State<Api>,
    Path(reader): Path<String>,
    Extension(bearer): Extension<Bearer>,
    body: Bytes,
) -> Result<Json<Reader>, Error> {
    set_paused(&api, reader, &bearer, &body, false).await
}

/// Sets a reader to the oldest flush of the log, or after the newest one. Needs an admin's key.
#[utoipa::path(
    post,
    path = "/readers/{reader}/reset",
    operation_id = "reset_reader",
    params(("reader" = String, Path, description = "The name of the reader")),
    request_body(content = Object, description = "{\"to\":\"oldest\"}: it hands on again everything that the log still has; {\"to\":\"newest\"}: it skips everything that is in the log", content_type = "application/json"),
    responses((status = 200, description = "How much is handed on again, or skipped", body = ResetView))
)]
pub(crate) async fn reset(
    State(api): State<Api>,
    Path(reader): Path<String>,
    Extension(bearer): Extension<Bearer>,
    body: Bytes,
) -> Result<Json<ResetView>, Error> {
    let (to, place) = read_place(&body)?;
    let LogPart { flushes, segments, octets } =
        order(&api, &reader, move |readers, reader| readers.reset(reader, place)).await?;
    let key = bearer.key.name();
    tracing::warn!(reader, key, to, flushes, bytes = octets, "a reader of the log was set to another place");
    Ok(Json(ResetView { to, flushes, segments, bytes: octets, reader: shown(&api, &reader)? }))
}

async fn set_paused(
    api: &Api,
    reader: String,
    bearer: &Bearer,
    body: &Bytes,
    is_paused: bool,
) -> Result<Json<Reader>, Error> {
    if !body.is_empty() {
        return Err(Error::BadRequest("send no body: the path has everything".into()));
    }
    order(api, &reader, move |readers, reader| readers.pause(reader, is_paused)).await?;
    let key = bearer.key.name();
    if is_paused {
        tracing::warn!(reader, key, "a reader of the log is paused; its flows stay in the log, up to log.maxBytes");
    } else {
        tracing::info!(reader, key, "a reader of the log is resumed");
    }
    Ok(Json(shown(api, &reader)?))
}

/// Gives an order, and waits until it is durable. A client that hangs up does not interrupt it.
async fn order<T: Send + 'static>(
    api: &Api,
    reader: &str,
    give: impl FnOnce(&dyn OrderReaders, &str) -> Result<T, ReaderOrderError> + Send + 'static,
) -> Result<T, Error> {
    let (Some(readers), name) = (api.log_readers.as_ref().map(Arc::clone), reader.to_owned()) else {
        return Err(unknown(api, reader));
    };
    match tokio::task::spawn_blocking(move || give(readers.as_ref(), &name)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(ReaderOrderError::Unknown)) => Err(unknown(api, reader)),
        Ok(Err(ReaderOrderError::Disk(error))) => {
            tracing::error!(reader, %error, "an order to a reader of the log cannot be stored");
            Err(Error::Internal)
        }
        Err(error) => {
            tracing::error!(reader, %error, "an order to a reader of the log was aborted");
            Err(Error::Internal)
        }
    }
}

fn shown(api: &Api, reader: &str) -> Result<Reader, Error> {
    let found = api.view()?.status().readers.into_iter().find(|shown| shown.name == reader);
    found.ok_or_else(|| unknown(api, reader))
}

fn unknown(api: &Api, reader: &str) -> Error {
    let readers = api.view().map(|view| view.status().readers).unwrap_or_default();
    let names: Vec<&str> = readers.iter().map(|reader| reader.name).collect();
    let there = match names.is_empty() {
        true => "the log has none: archive.enabled, kafka.brokers and other targets add one".to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    Error::NotFound(format!("no reader of the log is called {}; {there}", Quoted(reader)))
}

/// Where a body sets a reader to.
fn read_place(body: &Bytes) -> Result<(&'static str, ReaderPlace), Error> {
    let document = Document::read(body, EXAMPLE)?;
    let object = document.object(JsonPath::Root, &format!("an object such as {EXAMPLE}"))?;
    let [to] = members(object, JsonPath::Root, ["to"])?;
    let (place, expected) = (JsonPath::Key(&JsonPath::Root, "to"), r#""oldest" or "newest""#);
    match to.text(place, expected)? {
        "oldest" => Ok(("oldest", ReaderPlace::Oldest)),
        "newest" => Ok(("newest", ReaderPlace::Newest)),
        other => Err(place.problem(format!("must be {expected}, not {}", Quoted(other)))),
    }
}
