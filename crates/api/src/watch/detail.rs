//! What decoding remembers of one exporter, as the interface shows it. Lists are cut to a length that whoever makes them
//! chooses; [`LeftOut`] says what is missing.

use std::net::IpAddr;

use serde::Serialize;

/// What decoding remembers of an exporter.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// The sampling rates of its flows, and how they are known.
    pub sampling: Sampling,
    /// The templates that it has announced.
    pub templates: Vec<Template>,
    /// What it has told of itself in options data: the newest record of each scope.
    pub options: Vec<OptionsRecord>,
    /// Its streams of numbered datagrams.
    pub streams: Vec<Stream>,
    /// For which templates data sets wait.
    pub pending: Vec<Pending>,
    /// How many data sets wait for their template.
    pub pending_sets: usize,
    /// Which networks the flows are of that match no monitored prefix.
    pub unmatched: Unmatched,
    /// The last datagram that could not be read, or not to its end.
    pub unreadable: Option<Unreadable>,
    /// How much of the lists above is not shown.
    pub left_out: LeftOut,
}

/// The sampling rates of an exporter.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sampling {
    /// Whether bytes and packets are multiplied by the rate: `netflow.calculateSamples`.
    pub multiplied: bool,
    /// The rates that its flows came with, the last seen first, at most 8.
    pub rates: Vec<SampledRate>,
    /// The rates that its options data tell.
    pub announced: Vec<AnnouncedRate>,
}

/// A sampling rate that flows came with.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SampledRate {
    /// One packet of this many was looked at.
    pub rate: u32,
    /// Where that was learnt: `record` (the data record or sFlow sample itself), `options` (options data), `header` (of the
    /// datagram), or `none`: nobody said anything.
    pub source: &'static str,
    /// When a flow came with it last, RFC 3339.
    pub last: String,
}

/// A sampling rate that options data tell.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedRate {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The sampler or selector; null when the rate is that of the domain.
    pub sampler: Option<u64>,
    /// One packet of this many is looked at.
    pub rate: u32,
}

/// A template of NetFlow v9 or IPFIX.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The port that it was announced from.
    pub port: u16,
    /// Its id.
    pub id: u16,
    /// Which records it describes: `data` or `options`.
    pub kind: &'static str,
    /// When it was announced last, RFC 3339.
    pub announced: String,
    /// What its records consist of.
    pub fields: Vec<TemplateField>,
}

/// A field of a template.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateField {
    /// The information element; `<enterprise>.<id>` when it is in no registry.
    pub name: String,
    /// Whose element it is; 0 is IANA.
    pub enterprise: u32,
    /// Its number there; of a scope field of NetFlow v9, the scope type.
    pub id: u16,
    /// Octets; 65535 when each record says it.
    pub length: u16,
    /// Whether it is a scope field.
    pub scope: bool,
}

/// An options data record.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptionsRecord {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// Its template.
    pub template: u32,
    /// When it came last, RFC 3339.
    pub received: String,
    /// What it is about, by the names of fields.
    #[schema(value_type = Object)]
    pub scope: serde_json::Value,
    /// What it says, by the names of fields.
    #[schema(value_type = Object)]
    pub fields: serde_json::Value,
}

/// What the sequence numbers of a stream tell. The unit of what is lost is that of the protocol: datagrams or records.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Stream {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain, source id, engine or sub-agent.
    pub domain: u32,
    /// The agent address of an sFlow stream.
    #[schema(value_type = Option<String>)]
    pub agent: Option<IpAddr>,
    /// How many datagrams had a number.
    pub datagrams: u64,
    /// What never came.
    pub lost: u64,
    /// Datagrams that came twice in a row.
    pub duplicates: u64,
    /// Datagrams that came after later ones.
    pub late: u64,
    /// How often the exporter started again.
    pub restarts: u64,
}

/// Data sets that wait for a template.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The protocol.
    pub protocol: &'static str,
    /// The observation domain or source id.
    pub domain: u32,
    /// The template that they wait for.
    pub template: u16,
    /// How many there are.
    pub sets: usize,
    /// Octets in them.
    pub bytes: usize,
    /// When the first of them came, RFC 3339.
    pub since: String,
}

/// A sample of the flows that match no monitored prefix: the first 256 or a few more, and one of 256 of the others.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unmatched {
    /// How many flows were looked at.
    pub sampled: u64,
    /// Their networks, the busiest first.
    pub networks: Vec<UnmatchedNetwork>,
}

/// A network of unmatched flows.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnmatchedNetwork {
    /// A /24 of IPv4, a /48 of IPv6.
    pub network: String,
    /// Flows of the sample from there.
    pub from: u64,
    /// Flows of the sample to there.
    pub to: u64,
}

/// A datagram that could not be read, or not to its end.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// When it came, RFC 3339.
    pub received: String,
    /// What was wrong with it first, such as `truncated_records`.
    pub error: &'static str,
    /// Where, in octets from its start.
    pub offset: usize,
    /// The version that its first two octets say.
    pub version: u16,
}

/// How much is not shown because a list is cut; of options records, also those that were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Templates.
    pub templates: u64,
    /// Options records.
    pub options: u64,
    /// Streams.
    pub streams: u64,
    /// Templates that data sets wait for.
    pub pending: u64,
    /// Announced sampling rates.
    pub announced: u64,
}
