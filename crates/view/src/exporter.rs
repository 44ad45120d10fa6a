//! What arrived from one address since the collector started.

use std::fmt;
use std::net::IpAddr;

use flow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{BmpRouter, Counter, EndedExportConnection, ExportConnection, RouterNames, json};

/// What arrived from a registered exporter since the collector started.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exporter {
    /// Its source address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// What it is called.
    #[serde(flatten)]
    pub names: RouterNames,
    /// The relay that its last datagram or records came through; null if it sends them itself.
    #[schema(value_type = Option<String>)]
    pub relay: Option<IpAddr>,
    /// Its datagrams by protocol; also those of a relay with records of it, and those that a relay passes on for others.
    #[serde(serialize_with = "json::numbers")]
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub protocols: Vec<(&'static str, u64)>,
    /// When its first datagram was received, RFC 3339.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub first: Option<Timestamp>,
    /// When its last datagram was received, RFC 3339.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub last: Option<Timestamp>,
    /// Rates over the last 10 seconds; null in the first seconds after the start.
    pub rates: Option<Rates>,
    /// Mean bit rates of its flows in the last flush, by direction; null before the first one, and while flushes fail.
    pub bits_per_second: Option<BitRates>,
    /// What its sequence numbers show, by unit.
    pub arrivals: Vec<Arrivals>,
    /// The offset of its clock from the collector's, from its last datagram with flows; positive when it is ahead. Null
    /// when its protocol carries no time (sFlow).
    pub clock_offset_seconds: Option<f64>,
    /// The routes that it has sent by BMP, and its session; left out if it has had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub bmp: Option<BmpRouter>,
    /// Its export connections that are open, by port; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub export_connections: Vec<ExportConnection>,
    /// How the last of its export connections ended that is over; left out if none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub ended_export_connection: Option<EndedExportConnection>,
    /// Counters since the start; at least `datagrams` and `flows`.
    #[serde(serialize_with = "json::counters")]
    #[schema(value_type = Object)]
    pub counters: Vec<Counter>,
}

/// What the sequence numbers of an exporter show, over all its streams with the same unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arrivals {
    /// What they count: `datagrams`, or `records` (NetFlow v5 to v8, IPFIX).
    pub unit: &'static str,
    /// Units received.
    pub received: u64,
    /// Units missing.
    pub lost: u64,
    /// Units that were counted as lost and arrived late. The sum of this and `lost` never decreases.
    #[serde(skip)]
    #[schema(ignore)]
    pub filled: u64,
    /// Datagrams received twice in a row.
    pub duplicates: u64,
    /// Datagrams received after later ones.
    pub late: u64,
    /// Restarts of the exporter.
    pub restarts: u64,
}

/// Current rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Datagrams a second.
    pub datagrams_per_second: f64,
    /// Flows a second.
    pub flows_per_second: f64,
}

/// Mean bit rates of what was counted between two flushes, over all prefixes of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct BitRates {
    /// To its prefixes.
    #[serde(rename = "in")]
    pub incoming: f64,
    /// From them.
    #[serde(rename = "out")]
    pub outgoing: f64,
    /// Between own networks, counted where it arrives.
    pub local: f64,
}

/// An address that sends, or that a relay names, without being registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unknown {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// What it is called.
    #[serde(flatten)]
    pub names: RouterNames,
    /// The relay whose datagrams name it; null if it sends itself.
    #[schema(value_type = Option<String>)]
    pub relay: Option<IpAddr>,
    /// Its datagrams since it was first noticed, and its export connections that were refused; a lower bound.
    pub datagrams: u64,
    /// When its last datagram was received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub last: Timestamp,
    /// The protocol that the first octets of its last datagram suggest; null when they suggest none, and for a refused export
    /// connection, of which nothing is read.
    pub protocol: Option<&'static str>,
    /// What carried its last datagram, or the kind of its last export connection.
    pub transport: SenderTransport,
}

/// How an address sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SenderTransport {
    /// Datagrams.
    Udp,
    /// Export connections without TLS.
    Tcp,
    /// Export connections with TLS.
    Tls,
}

impl fmt::Display for SenderTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}
