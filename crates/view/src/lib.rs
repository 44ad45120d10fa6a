//! What a running collector publishes about itself: plain values that the collector fills and the REST interface shows.
//! They serialise to the JSON of that interface, and its OpenAPI document is made from them.
//!
//! | file | what it describes |
//! | --- | --- |
//! | `lib.rs` | the collector as a whole: counters, gauges, sockets, ledgers, threads; and [`View`], through which it is asked |
//! | `bmp.rs` | the sessions in which routers send their routes |
//! | `export_connections.rs` | the TCP connections over which exporters send IPFIX messages |
//! | `forward.rs` | the collectors that get copies of datagrams |
//! | `exporter.rs` | what arrived from one address |
//! | `detail.rs` | the decoding state of one exporter |
//! | `interface.rs` | what an interface of it is called |
//! | `router_names.rs` | what a router is called, and the source of each name |
//! | `origins.rs` | the files with AS numbers, AS names and countries |
//! | `prefixes.rs` | what was counted for each monitored prefix |
//! | `json.rs` | how lists of named values become JSON objects |
//!
//! Nothing is counted here, and there is no clock and no I/O.

mod bmp;
mod detail;
mod export_connections;
mod exporter;
mod forward;
mod interface;
mod json;
mod origins;
mod prefixes;
mod router_names;

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use flow::{Durations, Networks, Timestamp};
use names::{AsNames, NoAsNames};
use serde::Serialize;
use utoipa::ToSchema;

pub use bmp::{Bmp, BmpReceived, BmpRouter, BmpSession, EndedSession, Refusals, RefusedSession};
pub use detail::{
    Ambiguities, AnnouncedRate, AppliedRate, Connections, Detail, DetailedExporter, ImplausibleRate, LeftOut,
    OptionsRecord, Pending, RateChange, SampledRate, Sampling, Stream, Template, TemplateField, Unmatched,
    UnmatchedNetwork, Unreadable,
};
pub use export_connections::{
    EndedExportConnection, ExportConnection, ExportConnectionCounts, ExportConnections, ListeningAddress,
    RefusedExportConnection, TlsOfConnection,
};
pub use exporter::{Arrivals, BitRates, Exporter, Rates, SenderTransport, Unknown};
pub use forward::{ForwardDrops, ForwardTarget};
pub use interface::Interface;
pub use origins::{OriginFile, OriginFiles};
pub use prefixes::PrefixCounters;
pub use router_names::{NameSource, RouterName, RouterNames};

/// A read-only view of a running collector. No method waits for a shard's thread or for the store.
pub trait View: Debug + Send + Sync {
    /// The collector as a whole.
    fn status(&self) -> Status;

    /// The registered exporters that have sent anything since the start, by address.
    fn exporters(&self) -> Vec<Exporter>;

    /// One of them, with its decoding state.
    fn exporter(&self, address: IpAddr) -> Option<DetailedExporter>;

    /// Addresses that send without being registered, the busiest first.
    fn unknown(&self) -> Vec<Unknown>;

    /// What the interfaces of a router are and were called, by index and time.
    fn interfaces(&self, router: IpAddr) -> Vec<Interface>;

    /// What a router is called; also one that is not registered.
    fn names_of(&self, _router: IpAddr) -> RouterNames {
        RouterNames::default()
    }

    /// What AS are called at present.
    fn as_names(&self) -> Arc<dyn AsNames> {
        Arc::new(NoAsNames)
    }

    /// The networks of the operator.
    fn networks(&self) -> Arc<Networks>;

    /// What was counted for each monitored prefix, by router and prefix; empty where there are more than the limit.
    fn prefixes(&self) -> Vec<PrefixCounters> {
        Vec::new()
    }
}

/// The collector as a whole.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// When it started, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub started: Timestamp,
    /// The addresses that it listens on.
    #[schema(value_type = Vec<String>)]
    pub receiving: Vec<SocketAddr>,
    /// Counters since the start: a number each, or an object with a number for each label.
    #[serde(serialize_with = "json::counters")]
    #[schema(value_type = Object)]
    pub counters: Vec<Counter>,
    /// Current values, each with its limit if it has one.
    #[serde(serialize_with = "json::gauges")]
    #[schema(value_type = Object)]
    pub gauges: Vec<Gauge>,
    /// Latencies since the start; metrics only.
    #[serde(skip)]
    #[schema(ignore)]
    pub histograms: Vec<Histogram>,
    /// The sockets that it reads: one for each thread and address.
    pub sockets: Vec<Socket>,
    /// When the ledgers were last compared, at a flush, RFC 3339; null before the first flush.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub ledgers_checked: Option<Timestamp>,
    /// The ledgers as they were then.
    pub ledgers: Vec<Ledger>,
    /// The readers of the log; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<Reader>,
    /// The files with AS numbers, AS names and countries; left out if none are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub origin_files: Option<OriginFiles>,
    /// The sessions in which routers send their routes; left out without `bmp.listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub bmp: Option<Bmp>,
    /// The TCP connections over which exporters send IPFIX messages; left out where none are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub export_connections: Option<ExportConnections>,
    /// The collectors that get copies of datagrams; left out without `forward.targets`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<ForwardTarget>,
    /// The threads that receive and flush; readiness only.
    #[serde(skip)]
    #[schema(ignore)]
    pub threads: Vec<Thread>,
}

/// Two counts that are made in different places and must be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ledger {
    /// Its name.
    pub name: &'static str,
    /// What each side counts.
    pub sides: [&'static str; 2],
    /// The count of the first side.
    pub left: u64,
    /// The count of the second side.
    pub right: u64,
    /// How often the difference changed to a value other than 0.
    pub violations: u64,
    /// `left` minus `right`: 0 when the ledger balances.
    #[schema(value_type = i64)]
    pub difference: i128,
}

/// A reader of the log, which holds what was received until all of them have read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reader {
    /// Its name.
    pub name: &'static str,
    /// Since when it is paused, RFC 3339; null if it is not.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub paused: Option<Timestamp>,
    /// Whether it has been ordered to skip flushes, and has not done so yet.
    pub skipping: bool,
    /// Flushes in the log that it has not finished.
    pub unread_flushes: u64,
    /// Their segments.
    pub unread_segments: u64,
    /// The size of these.
    pub unread_bytes: u64,
    /// How long the oldest of them has been in the log, since the start at most.
    pub unread_seconds: u64,
    /// Records that it has handed on since the start.
    pub records: u64,
    /// Records that were counted and that it could not hand on, since the start: the journal did not have them.
    pub missing_records: u64,
    /// Segments that it has lost because the log was full, since the start.
    pub forced_out_segments: u64,
    /// Their size.
    pub forced_out_bytes: u64,
    /// Flushes that it has skipped because that was ordered, since the start.
    pub skipped_flushes: u64,
    /// The size of their segments.
    pub skipped_bytes: u64,
    /// How long ago it lost the last of them; null if it has lost none.
    pub lost_seconds_ago: Option<u64>,
    /// For how long it has made nothing durable; null while it can.
    pub failing_seconds: Option<u64>,
    /// Its last error since the start; null if it had none.
    pub last_error: Option<String>,
}

/// A socket that receives datagrams. Each thread has its own for each address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Socket {
    /// The address that it is bound to.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// The number of the thread that reads it, from 0.
    pub thread: usize,
    /// The length of its receive queue within the last second, in bytes of kernel memory: about 2300 for a datagram of
    /// 1500.
    pub waiting_bytes: u64,
    /// The limit of the queue; beyond it datagrams are dropped.
    pub waiting_limit: u64,
    /// Datagrams that the kernel dropped since the start.
    pub dropped: u64,
}

/// A thread that receives or flushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its name, such as `receiver-0`.
    pub name: String,
    /// How long ago it last reported progress. Each does so every few seconds, also without traffic.
    pub silent: Duration,
}

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Counter {
    /// By Prometheus' convention, without `netflow_` and `_total`, such as `datagrams`.
    pub name: &'static str,
    /// What is counted.
    pub help: &'static str,
    /// One value for each label, such as `("fate", "decoded")`; a counter without labels has one value.
    pub values: Vec<(Option<(&'static str, &'static str)>, u64)>,
}

/// A number that grows and shrinks.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// By Prometheus' convention, with its unit last, such as `spool_bytes`.
    pub name: &'static str,
    /// What is measured.
    pub help: &'static str,
    /// The current value.
    pub value: f64,
    /// The largest value possible.
    pub limit: Option<f64>,
}

/// The distribution of a latency.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    /// By Prometheus' convention, such as `flush_duration_seconds`.
    pub name: &'static str,
    /// What is measured.
    pub help: &'static str,
    /// How often it took how long.
    pub durations: Durations,
}

impl Ledger {
    /// A ledger without violations.
    #[must_use]
    pub fn new(name: &'static str, sides: [&'static str; 2], left: u64, right: u64) -> Self {
        Self { name, sides, left, right, violations: 0, difference: i128::from(left) - i128::from(right) }
    }
}

impl Status {
    /// The gauge of this name.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<&Gauge> {
        self.gauges.iter().find(|gauge| gauge.name == name)
    }
}

impl Counter {
    /// A counter without labels.
    #[must_use]
    pub fn plain(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, values: vec![(None, value)] }
    }

    /// A counter with a value for each fate.
    #[must_use]
    pub fn fates<F: flow::Fate>(name: &'static str, help: &'static str, tallied: &flow::Tallied<F>) -> Self {
        let values = tallied.iter().map(|(fate, count)| (Some(("fate", fate.name())), count)).collect();
        Self { name, help, values }
    }
}
