//! `GET /tap`: decoded flows as they come, a JSON object on each line, until the client leaves or the collector stops.
//!
//! A client that reads too slowly misses flows, and is told how many; nobody waits for it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flow::Counters;
use hyper::body::Frame;
use serde::Serialize;
use tap::{Filter, Seen, Tap};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::Api;
use crate::auth::KeySenders;
use crate::connections::{Connection, Working};
use crate::error::Error;
use crate::parameters::Parameters;

/// What a line is; it is not compressed, which would hold lines back.
pub(crate) const LINES: &str = "application/x-ndjson";
/// How often what has gathered is fetched.
const FETCH: Duration = Duration::from_millis(100);
/// How often a line comes when nothing else does, so that a client knows that it is not forgotten.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How many flows are written at once.
const FLOWS_AT_ONCE: usize = 512;

/// A flow; a line of another kind, `{"dropped": 3}`, tells how many the client has missed so far.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TapLine {
    /// When its datagram was received.
    received: String,
    /// Who reported it.
    #[schema(value_type = String)]
    exporter: IpAddr,
    /// The protocol that it was reported by.
    protocol: &'static str,
    flow: FlowView,
    /// All TCP flags, as in the TCP header.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<u16>,
    /// The SNMP index of the interface that it came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<u32>,
    /// The SNMP index of the interface that it went out by.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<u32>,
}

/// What is counted of a flow, under the names of `netflow decode`.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct FlowView {
    #[schema(value_type = String)]
    source: IpAddr,
    #[schema(value_type = String)]
    destination: IpAddr,
    /// Its number.
    protocol: u8,
    source_port: u16,
    destination_port: u16,
    source_as: u32,
    destination_as: u32,
    #[serde(flatten)]
    forward: Amounts,
    /// From destination to source, when the record has both.
    #[serde(skip_serializing_if = "Option::is_none")]
    reverse: Option<Amounts>,
    sampling: SamplingView,
}

/// As they stand in the record: not multiplied by the sampling rate.
#[derive(Serialize, utoipa::ToSchema)]
struct Amounts {
    bytes: u64,
    packets: u64,
    flows: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SamplingView {
    rate: u32,
    /// record, options, header or none.
    source: &'static str,
}

impl From<Counters> for Amounts {
    fn from(Counters { bytes, packets, flows }: Counters) -> Self {
        Self { bytes, packets, flows }
    }
}

impl From<&Seen> for TapLine {
    fn from(seen: &Seen) -> Self {
        let Seen { received, exporter, protocol, flow, details } = seen;
        Self {
            received: received.to_string(),
            exporter: *exporter,
            protocol: protocol.name(),
            flow: FlowView {
                source: flow.source,
                destination: flow.destination,
                protocol: flow.protocol,
                source_port: flow.source_port,
                destination_port: flow.destination_port,
                source_as: flow.source_as,
                destination_as: flow.destination_as,
                forward: flow.forward.into(),
                reverse: (!flow.reverse.is_zero()).then(|| flow.reverse.into()),
                sampling: SamplingView { rate: flow.sampling.rate, source: flow.sampling.source.name() },
            },
            tcp_flags: details.tcp_flags,
            input: details.input,
            output: details.output,
        }
    }
}

#[derive(Serialize)]
struct Missed {
    dropped: u64,
}

/// `GET /tap`
#[utoipa::path(
    get,
    path = "/tap",
    operation_id = "tap",
    params(
        ("exporter" = Option<String>, Query, description = "One exporter; all of them when it is absent", example = "192.0.2.1"),
        ("filter" = Option<String>, Query, description = "Which flows, such as: src net 172.16.1.0/24 and not port 53")
    ),
    responses((status = 200, description = "Decoded flows as they come, until the client leaves: an object a line", body = TapLine, content_type = "application/x-ndjson"))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    senders: Option<Extension<KeySenders>>,
    connection: Option<Extension<Connection>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&["exporter", "filter"])?;
    let filter = parameters.read::<Filter>("filter")?.unwrap_or_default();
    let exporter = parameters.read::<IpAddr>("exporter")?.map(flow::canonical);
    let exporters = match (senders, exporter) {
        (None, None) => None,
        (None, Some(exporter)) => Some(vec![exporter]),
        (Some(Extension(senders)), None) => Some(senders.all()),
        (Some(Extension(senders)), Some(exporter)) => Some(vec![senders.permit(exporter)?]),
    };
    let tap = api.taps()?.open(filter, exporters).map_err(|full| Error::Busy(full.to_string()))?;
    let mut fetches = interval(FETCH);
    fetches.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let connection = connection.map(|Extension(connection)| connection);
    let lines = Lines { tap, fetches, more: false, told: None, connection, _working: None, ended: false };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(LINES))], Body::new(lines)).into_response())
}

/// The lines as they are written.
struct Lines {
    tap: Tap,
    fetches: Interval,
    /// Whether more waits than was fetched at once.
    more: bool,
    /// How many were missed when the client was last told, and when that was.
    told: Option<(u64, Instant)>,
    /// What carries them: it counts as work until they end, not only until they begin.
    connection: Option<Connection>,
    _working: Option<Working>,
    ended: bool,
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(connection) = self.connection.take() {
            self._working = Some(connection.work());
        }
        while !self.ended {
            if !self.more {
                ready!(self.fetches.poll_tick(context));
            }
            let lines = self.next();
            if !lines.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(lines.into()))));
            }
        }
        Poll::Ready(None)
    }
}

impl Lines {
    /// What has gathered, as text.
    fn next(&mut self) -> Vec<u8> {
        let seen = self.tap.fetch(FLOWS_AT_ONCE);
        self.ended = seen.is_none();
        self.more = seen.as_ref().is_some_and(|seen| seen.len() == FLOWS_AT_ONCE);
        let mut lines = Vec::new();
        for seen in seen.iter().flatten() {
            line(&TapLine::from(seen), &mut lines);
        }
        let (dropped, now) = (self.tap.dropped(), Instant::now());
        let known = self.told.is_some_and(|(told, at)| told == dropped && now < at + SIGN_OF_LIFE);
        if self.ended || !known {
            line(&Missed { dropped }, &mut lines);
            self.told = Some((dropped, now));
        }
        lines
    }
}

fn line(of: &impl Serialize, lines: &mut Vec<u8>) {
    // Plain structures can be written, and memory takes them.
    if serde_json::to_writer(&mut *lines, of).is_ok() {
        lines.push(b'\n');
    }
}
