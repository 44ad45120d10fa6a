//! What the interface shows of the collector that it belongs to: plain numbers, as they are at the moment of asking. Who
//! counts them is the collector's matter, and reads no clock and waits for nobody because of a question. What is known of
//! a single exporter is in `watch/detail.rs`.

mod detail;

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use flow::{Durations, Timestamp};
use serde::Serialize;
use tap::Taps;

pub use detail::{
    AnnouncedRate, Detail, LeftOut, OptionsRecord, Pending, SampledRate, Sampling, Stream, Template, TemplateField,
    Unmatched, UnmatchedNetwork, Unreadable,
};

/// A read-only view of a running collector.
pub trait Watch: Debug + Send + Sync {
    /// The collector as a whole.
    fn status(&self) -> Status;

    /// The exporters that it has heard of since it started, by address.
    fn exporters(&self) -> Vec<Exporter>;

    /// One of them, with what decoding remembers of it.
    fn exporter(&self, address: IpAddr) -> Option<(Exporter, Detail)>;

    /// What its sequence numbers tell of the month that begins then: known of the month that is running and of the one
    /// before, since the collector started.
    fn losses(&self, address: IpAddr, month: Timestamp) -> Option<Losses>;

    /// Who sends without being registered, the busiest first.
    fn unknown(&self) -> Vec<Unknown>;

    /// From where its flows can be looked at as they come.
    fn taps(&self) -> &Taps;
}

/// The collector as a whole.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// When it started.
    pub started: Timestamp,
    /// Where it receives datagrams.
    pub receiving: Vec<SocketAddr>,
    /// What it has counted since.
    pub counters: Vec<Counter>,
    /// What it holds just now.
    pub gauges: Vec<Gauge>,
    /// How long things took since it started.
    pub histograms: Vec<Histogram>,
    /// Where it receives.
    pub sockets: Vec<Socket>,
    /// When it last looked whether its ledgers balance; `None` before the first flush.
    pub ledgers_checked: Option<Timestamp>,
    /// Its ledgers as they were then.
    pub ledgers: Vec<Ledger>,
}

/// Two things that are counted in different places and have to be equal.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Ledger {
    /// Which.
    pub name: &'static str,
    /// What is on each side.
    pub sides: [&'static str; 2],
    /// How many.
    pub left: u64,
    /// How many.
    pub right: u64,
    /// How often the difference became another one, and not 0.
    pub violations: u64,
}

/// A socket that is received at. Each thread has one of its own for each address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Socket {
    /// Where it receives.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// The number of the thread that reads it, from 0.
    pub thread: usize,
    /// What waits to be read, in octets of the kernel's memory, as of the last second.
    pub waiting_bytes: u64,
    /// How much may wait before datagrams are dropped.
    pub waiting_limit: u64,
    /// Datagrams that the kernel dropped since the start.
    pub dropped: u64,
}

/// Something that is counted, and only grows.
#[derive(Clone, Debug)]
pub struct Counter {
    /// By Prometheus' convention, without `netflow_` and `_total`, such as `datagrams`.
    pub name: &'static str,
    /// What is counted.
    pub help: &'static str,
    /// How many, each with the label that tells it apart (`("fate", "decoded")`); one without a label, if it has none.
    pub values: Vec<(Option<(&'static str, &'static str)>, u64)>,
}

/// Something that grows and shrinks.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// By Prometheus' convention, with its unit last, such as `spool_bytes`.
    pub name: &'static str,
    /// What is measured.
    pub help: &'static str,
    /// How much it is.
    pub value: f64,
    /// How much it may be.
    pub limit: Option<f64>,
}

/// How long something took, each time.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    /// By Prometheus' convention, such as `flush_duration_seconds`.
    pub name: &'static str,
    /// What took so long.
    pub help: &'static str,
    /// How often it took how long.
    pub durations: Durations,
}

impl Ledger {
    /// By how much the left side is larger.
    #[must_use]
    pub fn difference(&self) -> i128 {
        i128::from(self.left) - i128::from(self.right)
    }
}

impl Status {
    /// A gauge by its name.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<&Gauge> {
        self.gauges.iter().find(|gauge| gauge.name == name)
    }
}

impl Counter {
    /// One that has no label.
    #[must_use]
    pub fn plain(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, values: vec![(None, value)] }
    }

    /// One with a value for each fate.
    #[must_use]
    pub fn fates<F: flow::Fate>(name: &'static str, help: &'static str, tallied: &flow::Tallied<F>) -> Self {
        let values = tallied.iter().map(|(fate, count)| (Some(("fate", fate.name())), count)).collect();
        Self { name, help, values }
    }
}

/// What came from one exporter since the collector started.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// The address that it sends from.
    pub address: IpAddr,
    /// The protocols that it speaks, with the datagrams of each.
    pub protocols: Vec<(&'static str, u64)>,
    /// When it was first heard.
    pub first: Option<Timestamp>,
    /// When it was last heard.
    pub last: Option<Timestamp>,
    /// What was counted; at least `datagrams` and `flows`.
    pub counters: Vec<Counter>,
    /// Datagrams and flows a second, of the last seconds; `None` until they are known.
    pub rates: Option<Rates>,
    /// What its sequence numbers tell.
    pub arrivals: Vec<Arrivals>,
    /// How far the time in its last datagram with flows was ahead of the time of its receipt; `None` when its protocol
    /// does not say, or nothing came.
    pub clock_offset_seconds: Option<f64>,
}

/// What the sequence numbers of an exporter tell, of all its streams that count the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arrivals {
    /// What they count: `datagrams`, or `records` (NetFlow v5 to v8, IPFIX).
    pub unit: &'static str,
    /// How many of these came.
    pub received: u64,
    /// How many never came.
    pub lost: u64,
    /// How many seemed lost, and came late. `lost` with these only grows.
    #[serde(skip)]
    #[schema(ignore)]
    pub filled: u64,
    /// Datagrams that came twice in a row.
    pub duplicates: u64,
    /// Datagrams that came after later ones.
    pub late: u64,
    /// How often the exporter started again.
    pub restarts: u64,
}

/// What the sequence numbers of an exporter tell of a month.
#[derive(Clone, Debug)]
pub struct Losses {
    /// From when on they were followed.
    pub since: Timestamp,
    /// What they tell.
    pub arrivals: Vec<Arrivals>,
}

/// How much comes just now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Datagrams a second.
    pub datagrams_per_second: f64,
    /// Flows a second.
    pub flows_per_second: f64,
}

/// An address that sends without being registered.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// Where it sends from.
    pub address: IpAddr,
    /// Datagrams that are its own for certain, since it was first noticed.
    pub datagrams: u64,
    /// When it was last heard.
    pub last: Timestamp,
    /// What the first octets of its last datagram look like; `None` when like nothing that is known.
    pub protocol: Option<&'static str>,
}
