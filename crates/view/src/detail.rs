//! The decoding state of one exporter. The collector truncates long lists; [`LeftOut`] has the number of omitted items.

use std::net::IpAddr;

use flow::{Prefix, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Exporter, Interface, json};

/// One exporter with its decoding state.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DetailedExporter {
    /// What arrived from it.
    #[serde(flatten)]
    pub exporter: Exporter,
    /// Its decoding state.
    #[serde(flatten)]
    pub detail: Detail,
}

/// The decoding state of an exporter.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// The sampling rates of its flows, with their sources.
    pub sampling: Sampling,
    /// The templates that it announced.
    pub templates: Vec<Template>,
    /// Its options data: the newest record of each scope.
    pub options: Vec<OptionsRecord>,
    /// What its interfaces are and were called, by index and time.
    pub interfaces: Vec<Interface>,
    /// Its streams of numbered datagrams.
    pub streams: Vec<Stream>,
    /// The missing templates that data sets are queued for.
    pub pending: Vec<Pending>,
    /// Data sets queued for a missing template.
    pub pending_sets: usize,
    /// The networks of flows that match no monitored prefix.
    pub unmatched: Unmatched,
    /// Connections that are reported more than once, by sums.
    pub connections: Connections,
    /// Flows that could be counted in another way.
    pub ambiguities: Ambiguities,
    /// The last datagram that could not be decoded completely.
    pub unreadable: Option<Unreadable>,
    /// How many entries the lists above omit.
    pub left_out: LeftOut,
}

/// Connections that are reported more than once, by sums, such as those of a firewall.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// Connections of which it is known what was counted.
    pub tracked: usize,
    /// Limit of `tracked`.
    pub most: usize,
    /// Reports that were not counted because there was no room for their connection. Later sums include them.
    pub deferred: u64,
}

/// How many flows an exporter has sent since the start that could be counted in another way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ambiguities {
    /// Flows observed at ingress, as their flowDirection (61) says.
    pub ingress: u64,
    /// Flows observed at egress.
    pub egress: u64,
    /// Flows with octets in 1 and in 23, of which one is more than twice the other.
    pub out_counters_differ: u64,
    /// Flows whose destination address was translated.
    pub translated: u64,
    /// Flows of packets in tunnels.
    pub tunnelled: u64,
    /// Those of which the packet inside is unknown although it should count: it is cut off, or is not IP. The innermost known
    /// headers count. Always 0 without the setting `tunnels` of the sender.
    pub inner_unknown: u64,
}

/// The sampling rates of an exporter.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sampling {
    /// Whether bytes and packets are multiplied by the rate: `netflow.calculateSamples`.
    pub multiplied: bool,
    /// The rates of its flows, the most recent first, at most 8.
    pub rates: Vec<SampledRate>,
    /// The rates that its options data announce.
    pub announced: Vec<AnnouncedRate>,
    /// Which rate applies to which records, for each template of NetFlow v9 and IPFIX that has described data.
    pub applied: Vec<AppliedRate>,
    /// The templates whose records gave rates that cannot be, the most recent last, at most 8. These rates are ignored.
    pub implausible: Vec<ImplausibleRate>,
    /// When the rate of its flows changed to at least twice or at most half of what it was, the most recent first, at most 16.
    pub changes: Vec<RateChange>,
}

/// A sampling rate of flows.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SampledRate {
    /// One of this many packets was sampled.
    pub rate: u32,
    /// The source of the rate: `record` (the data record or sFlow sample), `options` (options data), `header` (of the
    /// datagram), or `none`.
    pub source: &'static str,
    /// When the last flow with this rate was received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub last: Timestamp,
}

/// A sampling rate that options data announce.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedRate {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The source port of the announcement. Rates of other ports than that of the flows count only in part: docs/protocols.md.
    pub port: u16,
    /// The part of the domain that the rate is for: `domain` (all of it), `template 259`, `interface 5`, `output interface 5`,
    /// `line card 1`, `observation point 1`, `exporter 192.0.2.1`, or `scope 1` for something that records do not name.
    pub scope: String,
    /// The sampler or selector; null when the rate applies to everything in the scope.
    pub sampler: Option<u64>,
    /// One of this many packets is sampled.
    pub rate: u32,
    /// One of this many flows is reported: more than 1 if flows are sampled (RFC 7014). A factor of the rate.
    pub flows: u16,
    /// When this port last announced a rate of the domain, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub announced: Timestamp,
}

/// The sampling rate of some records of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedRate {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The source port of the template.
    pub port: u16,
    /// The template.
    pub template: u16,
    /// Only records that name this sampler; null for all.
    pub sampler: Option<u64>,
    /// Only records of this part of the domain, such as `interface 5`; null for all others.
    pub part: Option<String>,
    /// One of this many packets is sampled; null when each record gives its rate.
    pub rate: Option<u32>,
    /// One of this many flows is reported. A factor of the rate.
    pub flows: u16,
    /// The source of the rate: `record`, `options`, or `none`.
    pub source: &'static str,
    /// Whether the records may be sampled, and the options data do not give their rate.
    pub unknown: bool,
    /// What the options data announced the rate for: a scope, or `sampler 1`, or both; `only rate` if it is the only rate of
    /// what the records do not name. Null for other sources.
    pub statement: Option<String>,
    /// The source port of these options data.
    pub announced_by: Option<u16>,
}

/// Records of a template that give a sampling rate that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImplausibleRate {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// Their source port.
    pub port: u16,
    /// Their template.
    pub template: u16,
    /// The information element that cannot have this value.
    pub element: String,
    /// Its value in the last of them, or the rate that it gives; a probability in thousandths.
    pub value: u64,
    /// How many records.
    pub records: u64,
    /// When the last was received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub last: Timestamp,
}

/// A change of the sampling rate of flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateChange {
    /// When the first flow with the new rate was received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// The protocol of the flows.
    pub protocol: &'static str,
    /// Their observation domain, source id, engine or sub-agent.
    pub domain: u32,
    /// Their source port.
    pub port: u16,
    /// The rate before; 1 is none.
    pub before: u32,
    /// The new rate.
    pub after: u32,
    /// The source of the new rate: `record`, `options`, `header`, or `none`.
    pub source: &'static str,
    /// The source port of the options data that announced the new rate; null if it has another source.
    pub announced_by: Option<u16>,
}

/// A template of NetFlow v9 or IPFIX.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The source port of its announcement.
    pub port: u16,
    /// The template id.
    pub id: u16,
    /// The records that it describes: `data` or `options`.
    pub kind: &'static str,
    /// When it was last announced, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub announced: Timestamp,
    /// The fields of its records.
    pub fields: Vec<TemplateField>,
}

/// A field of a template.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateField {
    /// The information element; `<enterprise>.<id>` when it is not registered.
    pub name: String,
    /// The enterprise number; 0 is IANA.
    pub enterprise: u32,
    /// The number of the element; for a scope field of NetFlow v9, the scope type.
    pub id: u16,
    /// Its length in octets; 65535 for variable length.
    pub length: u16,
    /// Whether it is a scope field.
    pub scope: bool,
}

/// An options data record.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptionsRecord {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The template id.
    pub template: u32,
    /// When it was last received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub received: Timestamp,
    /// The scope, by the names of fields.
    #[schema(value_type = Object)]
    pub scope: serde_json::Value,
    /// The values, by the names of fields.
    #[schema(value_type = Object)]
    pub fields: serde_json::Value,
}

/// What the sequence numbers of a stream show. Losses are in the unit of the protocol: datagrams or records.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stream {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain, source id, engine or sub-agent.
    pub domain: u32,
    /// The agent address of an sFlow stream; null for other protocols.
    #[schema(value_type = Option<String>)]
    pub agent: Option<IpAddr>,
    /// The source port that it came from first.
    pub port: u16,
    /// Datagrams with a sequence number.
    pub datagrams: u64,
    /// Units missing.
    pub lost: u64,
    /// Datagrams received twice in a row.
    pub duplicates: u64,
    /// Datagrams received after later ones.
    pub late: u64,
    /// Restarts of the exporter.
    pub restarts: u64,
    /// Datagrams with a number far from all others, which no other datagrams followed.
    pub strays: u64,
}

/// Data sets queued for a missing template.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The missing template.
    pub template: u16,
    /// The number of data sets.
    pub sets: usize,
    /// Their size in octets.
    pub bytes: usize,
    /// When the first of them was received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub since: Timestamp,
}

/// A sample of the flows that match no monitored prefix: about the first 256, then one of 256.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unmatched {
    /// Flows in the sample.
    pub sampled: u64,
    /// Their networks, the busiest first.
    pub networks: Vec<UnmatchedNetwork>,
}

/// A network of unmatched flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnmatchedNetwork {
    /// A /24 of IPv4, a /48 of IPv6.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub network: Prefix,
    /// Flows of the sample with a source there.
    pub from: u64,
    /// Flows of the sample with a destination there.
    pub to: u64,
}

/// A datagram that could not be decoded completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// When it was received, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub received: Timestamp,
    /// The first error, such as `truncated_records`.
    pub error: &'static str,
    /// The position of the error, in octets from the start.
    pub offset: usize,
    /// The version in its first two octets.
    pub version: u16,
}

/// The number of entries that truncated lists omit; for options records, also those that were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Templates.
    pub templates: u64,
    /// Options records.
    pub options: u64,
    /// Interfaces.
    pub interfaces: u64,
    /// Streams.
    pub streams: u64,
    /// Missing templates.
    pub pending: u64,
    /// Announced sampling rates.
    pub announced: u64,
    /// Sampling rates of records.
    pub applied: u64,
}
