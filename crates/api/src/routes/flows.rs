//! `GET /flows`, `/flows/top` and `/flows/series`: the flows that the archive keeps, one by one, in groups, and in groups over
//! time. `questions` has their words and answers, `flow_stream` answers in lines.

use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flow::Timestamp;
use questions::{FlowRows, FlowSeries, FlowTop, Question, RowsQuestion, Scope, SeriesQuestion, TopQuestion};
use utoipa::openapi::schema::Object;

use crate::Api;
use crate::auth::KeySenders;
use crate::connections::Connection;
use crate::error::Error;
use crate::flow_stream::AnyLine;
use crate::parameters::Parameters;
use crate::parameters::documentation::{OfZone, one_of};
use crate::party::Party;
use crate::server::Until;

/// Of which flows an answer is.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfScope {
    /// A filter, such as: dst net 192.0.2.0/24 and not port 443
    filter: Option<String>,
    /// One exporter or several, with commas; default: all that the key is valid for
    exporter: Option<String>,
    /// When the first flows were received: 2026-11-29T14:00:30Z, 2026-11-29T14:00 or 2026-11-29; default: an hour before `to`
    from: Option<String>,
    /// Flows received at this time or later are left out; default: now
    to: Option<String>,
    /// The time before `to`, instead of `from`: 30s, 15m, 1h or 7d
    last: Option<String>,
    /// Whether bytes, packets and flows are multiplied by the sampling rate (default), or as the exporter sent them
    #[param(schema_with = counters)]
    counters: Option<String>,
    /// 1 for the names of values beside the values, such as those of protocols and ports; default: 0
    #[param(schema_with = zero_or_one)]
    names: Option<String>,
    /// 1 for lines (application/x-ndjson): how far the question is, answers about the newest part of the time, and at last the answer; default: 0
    #[param(schema_with = zero_or_one)]
    stream: Option<String>,
}

/// The parameters of `/flows`.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfRows {
    /// Columns, with commas, or: all
    columns: Option<String>,
    /// Which flows come first; default: newest
    #[param(schema_with = orders)]
    order: Option<String>,
    /// Number of flows; default: 100
    #[param(minimum = 1, maximum = 10_000)]
    n: Option<u32>,
    /// `next` of the answer before: the same question continues there, with its range of time
    cursor: Option<String>,
}

/// The parameters of `/flows/top`.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfTop {
    /// By what flows are grouped: columns, networks such as srcip/24 or srcip/24/56, and steps of time such as received/5m; with commas; default: srcip
    by: Option<String>,
    /// The sum to sort by; default: bytes
    #[param(schema_with = all_sums)]
    sum: Option<String>,
    /// Columns, with commas, of which different values are counted in each group
    distinct: Option<String>,
    /// Number of groups; default: 20
    #[param(minimum = 1, maximum = 10_000)]
    n: Option<u32>,
}

/// The parameters of `/flows/series`.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfSeries {
    /// By what flows are grouped, as in /flows/top; default: all flows are one group
    by: Option<String>,
    /// The sum to sort by; default: bytes
    #[param(schema_with = sums)]
    sum: Option<String>,
    /// Number of groups; default: 10
    #[param(minimum = 1, maximum = 50)]
    n: Option<u32>,
    /// Length of a step: 30s, 5m, 1h or 1d; default: 5m
    every: Option<String>,
}

fn counters() -> Object {
    one_of(["scaled", "sent"])
}

fn zero_or_one() -> Object {
    one_of(["0", "1"])
}

fn orders() -> Object {
    one_of(["newest", "oldest"])
}

fn sums() -> Object {
    one_of(["bytes", "packets", "flows"])
}

fn all_sums() -> Object {
    one_of(["bytes", "packets", "flows", "distinct"])
}

/// Flows one by one.
#[utoipa::path(
    get,
    path = "/flows",
    operation_id = "flows",
    params(OfScope, OfZone, OfRows),
    responses((status = 200, description = "Flows, the newest or the oldest first", content(
        (FlowRows = "application/json"),
        (AnyLine = "application/x-ndjson"),
    )))
)]
pub(crate) async fn rows(State(api): State<Api>, asker: Asker, parameters: Parameters) -> Result<Response, Error> {
    asker.answer(&api, RowsQuestion::read(&parameters.words(), now())?).await
}

/// Groups of flows.
#[utoipa::path(
    get,
    path = "/flows/top",
    operation_id = "flowsTop",
    params(OfScope, OfZone, OfTop),
    responses((status = 200, description = "The largest groups, and the sums of the others", content(
        (FlowTop = "application/json"),
        (AnyLine = "application/x-ndjson"),
    )))
)]
pub(crate) async fn top(State(api): State<Api>, asker: Asker, parameters: Parameters) -> Result<Response, Error> {
    asker.answer(&api, TopQuestion::read(&parameters.words(), now())?).await
}

/// Groups of flows over time.
#[utoipa::path(
    get,
    path = "/flows/series",
    operation_id = "flowsSeries",
    params(OfScope, OfZone, OfSeries),
    responses((status = 200, description = "The largest groups in steps of time", content(
        (FlowSeries = "application/json"),
        (AnyLine = "application/x-ndjson"),
    )))
)]
pub(crate) async fn series(State(api): State<Api>, asker: Asker, parameters: Parameters) -> Result<Response, Error> {
    asker.answer(&api, SeriesQuestion::read(&parameters.words(), now())?).await
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Who asks, and on which connection.
pub(crate) struct Asker {
    party: Party,
    senders: Option<KeySenders>,
    connection: Option<Connection>,
    until: Option<Until>,
}

impl FromRequestParts<Api> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        let party = Party::from_request_parts(parts, api).await?;
        let Parts { extensions, .. } = parts;
        Ok(Self {
            party,
            senders: extensions.get().cloned(),
            connection: extensions.get().cloned(),
            until: extensions.get().cloned(),
        })
    }
}

impl Asker {
    /// Answers a question, in lines if it asks for them.
    async fn answer(self, api: &Api, mut question: impl Question) -> Result<Response, Error> {
        let Self { party, senders, connection, until } = self;
        let scope = question.scope();
        limit(scope, senders)?;
        scope.name_from(|| api.as_names());
        if scope.is_streamed {
            return api.stream_flow_archive(party, connection.as_ref(), until, question);
        }
        api.ask_flow_archive(party, move |scan| question.answer(scan)).await.map(json)
    }
}

/// Limits a question to the senders of a key.
fn limit(scope: &mut Scope, senders: Option<KeySenders>) -> Result<(), Error> {
    let Some(senders) = senders else { return Ok(()) };
    for exporter in scope.exporters.iter().flatten() {
        senders.permit(*exporter)?;
    }
    scope.limit_to(senders.all());
    Ok(())
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
