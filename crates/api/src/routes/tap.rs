//! `GET /tap`: decoded flows as they arrive, a JSON object on each line, until the client disconnects or the collector
//! stops.
//!
//! A client that reads too slowly misses flows and gets their number; counting never waits for it.

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
use flow::{Counters, Country, FlowRecord, Networks};
use hyper::body::Frame;
use names::AsNames;
use serde::Serialize;
use tap::{Seen, Tap};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::Api;
use crate::auth::KeySenders;
use crate::connections::{Connection, Working};
use crate::error::Error;
use crate::naming::{Naming, OfNaming};
use crate::parameters::Parameters;
use crate::party::Party;

/// How often queued flows are fetched.
const FETCH: Duration = Duration::from_millis(100);
/// The interval of lines in an idle stream, so that a client can detect a dead one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// The number of flows written at once.
const FLOWS_AT_ONCE: usize = 512;

/// A flow. Lines of another kind, `{"dropped": 3}`, count the flows that the client has missed so far.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TapLine {
    /// When its datagram was received.
    received: String,
    /// The exporter that reported it.
    #[schema(value_type = String)]
    exporter: IpAddr,
    /// The export protocol.
    protocol: &'static str,
    flow: FlowView,
    /// All TCP flags, as in the TCP header.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<u16>,
    /// The SNMP index of the input interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<u32>,
    /// The SNMP index of the output interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<u32>,
    /// What AS, countries and addresses of the flow are called; with `names=1` only, and only those that have a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<NamesView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TapNames)]
struct NamesView {
    /// The network around the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// The network around the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_country: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_country: Option<&'static str>,
}

impl NamesView {
    /// `None` if nothing of the flow has a name.
    fn of(flow: &FlowRecord, of_as: &dyn AsNames, networks: &Networks) -> Option<Self> {
        let [source_as, destination_as] =
            [flow.source_as, flow.destination_as].map(|asn| of_as.of_as(asn).map(str::to_owned));
        let [source, destination] = [flow.source, flow.destination].map(|address| networks.label(address));
        let [source_country, destination_country] = countries(flow).map(|country| names::country(country?.as_str()));
        let is_named = [&source_as, &destination_as, &source, &destination].into_iter().any(Option::is_some)
            || [source_country, destination_country].into_iter().any(|name| name.is_some());
        is_named.then_some(Self { source, destination, source_as, destination_as, source_country, destination_country })
    }
}

/// The countries of source and destination.
fn countries(flow: &FlowRecord) -> [Option<Country>; 2] {
    [flow.source_country, flow.destination_country].map(Country::of_number)
}

/// The counted part of a flow, under the names of `netflow decode`.
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
    /// The type of ICMP or ICMPv6, which have no ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    /// The code of ICMP or ICMPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    source_as: u32,
    destination_as: u32,
    /// The two letters of the source's country, if a file has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_country: Option<String>,
    /// The AS path to the destination, by BMP, if it is known: `64500 64501 {64502,64503}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_as_path: Option<String>,
    #[serde(flatten)]
    forward: Amounts,
    /// From destination to source, when the record has both.
    #[serde(skip_serializing_if = "Option::is_none")]
    reverse: Option<Amounts>,
    sampling: SamplingView,
}

/// As in the record: not multiplied by the sampling rate.
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
        let Seen { received, exporter, protocol, flow, path, details } = seen;
        let (source_port, destination_port) = flow.ports();
        let [source_country, destination_country] = countries(flow).map(|country| Some(country?.as_str().to_owned()));
        Self {
            received: received.to_string(),
            exporter: *exporter,
            protocol: protocol.name(),
            flow: FlowView {
                source: flow.source,
                destination: flow.destination,
                protocol: flow.protocol,
                source_port,
                destination_port,
                icmp_type: details.icmp.map(|(kind, _)| kind),
                icmp_code: details.icmp.map(|(_, code)| code),
                source_as: flow.source_as,
                destination_as: flow.destination_as,
                source_country,
                destination_country,
                destination_as_path: path.as_deref().map(str::to_owned),
                forward: flow.forward.into(),
                reverse: (!flow.reverse.is_zero()).then(|| flow.reverse.into()),
                sampling: SamplingView { rate: flow.sampling.rate, source: flow.sampling.source.name() },
            },
            tcp_flags: details.tcp_flags,
            input: details.input,
            output: details.output,
            names: None,
        }
    }
}

#[derive(Serialize)]
struct Missed {
    dropped: u64,
}

/// Streams decoded flows.
#[utoipa::path(
    get,
    path = "/tap",
    operation_id = "tap",
    params(
        ("exporter" = Option<String>, Query, description = "One exporter; default: all", example = "192.0.2.1"),
        ("filter" = Option<String>, Query, description = "A filter such as: src net 172.16.1.0/24 and not port 53"),
        OfNaming
    ),
    responses((status = 200, description = "Decoded flows, an object a line, until the client disconnects", body = TapLine, content_type = "application/x-ndjson"))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    party: Party,
    senders: Option<Extension<KeySenders>>,
    connection: Option<Extension<Connection>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&["exporter", "filter", "names"])?;
    let naming = Naming::read(&parameters)?;
    let named = naming.is_wanted().then(|| api.clone());
    // A key that is limited to some senders knows none.
    let names_networks = senders.is_none();
    let filter = parameters.filter()?;
    let exporter = parameters.read::<IpAddr>("exporter")?.map(flow::canonical);
    let exporters = match (senders, exporter) {
        (None, None) => None,
        (None, Some(exporter)) => Some(vec![exporter]),
        (Some(Extension(senders)), None) => Some(senders.all()),
        (Some(Extension(senders)), Some(exporter)) => Some(vec![senders.permit(exporter)?]),
    };
    let client = party.key().ok_or(Error::Internal)?.number();
    let tap = api.taps()?.open(client, filter, exporters).map_err(|full| Error::Busy(full.to_string()))?;
    let mut fetches = interval(FETCH);
    fetches.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let connection = connection.map(|Extension(connection)| (connection, party));
    let lines = Lines {
        tap,
        named,
        names_networks,
        fetches,
        more: false,
        reported: None,
        connection,
        _working: None,
        ended: false,
    };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(crate::streams::LINES))], Body::new(lines)).into_response())
}

/// The lines as they are written.
struct Lines {
    tap: Tap,
    /// Who knows the names of AS, if lines have them.
    named: Option<Api>,
    /// Whether addresses have the names of networks.
    names_networks: bool,
    fetches: Interval,
    /// Whether more flows are queued than were fetched.
    more: bool,
    /// The number of missed flows last reported to the client, and when.
    reported: Option<(u64, Instant)>,
    /// The connection: it counts as working until the lines end, not only until they begin.
    connection: Option<(Connection, Party)>,
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
        if let Some((connection, party)) = self.connection.take() {
            self._working = Some(connection.work(party));
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
    /// The queued flows as text.
    fn next(&mut self) -> Vec<u8> {
        let seen = self.tap.fetch(FLOWS_AT_ONCE);
        self.ended = seen.is_none();
        self.more = seen.as_ref().is_some_and(|seen| seen.len() == FLOWS_AT_ONCE);
        let mut lines = Vec::new();
        // For these lines only: a client can listen for days.
        let of_as = self.named.as_ref().map(Api::as_names);
        let networks = self.named.as_ref().filter(|_| self.names_networks).map(Api::known_networks).unwrap_or_default();
        for seen in seen.iter().flatten() {
            let names = of_as.as_ref().and_then(|of_as| NamesView::of(&seen.flow, &**of_as, &networks));
            line(&TapLine { names, ..TapLine::from(seen) }, &mut lines);
        }
        let (dropped, now) = (self.tap.dropped(), Instant::now());
        let known = self.reported.is_some_and(|(reported, at)| reported == dropped && now < at + SIGN_OF_LIFE);
        if self.ended || !known {
            line(&Missed { dropped }, &mut lines);
            self.reported = Some((dropped, now));
        }
        lines
    }
}

fn line(of: &impl Serialize, lines: &mut Vec<u8>) {
    // Writing plain structures to memory does not fail.
    if serde_json::to_writer(&mut *lines, of).is_ok() {
        lines.push(b'\n');
    }
}
