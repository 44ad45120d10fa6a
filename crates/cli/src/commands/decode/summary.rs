//! The totals of `netflow decode --summary`: what was decoded, what was not, and gaps of sequence numbers. Counters are as
//! exported, not multiplied by sampling rates, each under its own name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::Protocol;
use serde::Serialize;
use wire::information_element::{self, Semantics};
use wire::{Datagram, Decoded, ElementId, Field, FieldName, Record, RecordKind, Session, Stream, StreamKey, Value};

/// The most errors that are listed; all are counted.
const MALFORMED_LISTED: usize = 1000;
const OCTET_DELTA_COUNT: ElementId = ElementId { enterprise: 0, id: 1 };
const PACKET_DELTA_COUNT: ElementId = ElementId { enterprise: 0, id: 2 };

/// What `--summary` prints.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    datagrams: Datagrams,
    /// Datagrams by exporter address; without those of IPFIX files, which have none.
    exporters: BTreeMap<IpAddr, u64>,
    templates: Templates,
    records: Records,
    sum: Sum,
    /// Every counter of the data records, by name and number of its information element.
    sums_by_field: BTreeMap<String, FieldSum>,
    #[serde(skip_serializing_if = "Sflow::is_empty")]
    sflow: Sflow,
    missing_template: MissingTemplate,
    /// The number of malformed parts of datagrams; `malformed` lists the first ones.
    malformed_total: u64,
    malformed: Vec<Malformed>,
    /// By exporter address, or number of the file, and numbered stream.
    sequence: BTreeMap<String, Sequence>,
}

#[derive(Debug, Default, Serialize)]
struct Datagrams {
    total: u64,
    /// The version number, or `sflow` and its version; `short` when there is none.
    by_version: BTreeMap<String, u64>,
}

/// Announcements, repeated ones included.
#[derive(Debug, Default, Serialize)]
struct Templates {
    data_announced: u64,
    options_announced: u64,
    withdrawals: u64,
}

/// Data records. Samples of sFlow are in [`Sflow`].
#[derive(Debug, Default, Serialize)]
struct Records {
    data: u64,
    options: u64,
    /// Data records with both octetDeltaCount and packetDeltaCount.
    data_with_bytes_and_packets: u64,
}

/// octetDeltaCount and packetDeltaCount of the data records.
#[derive(Debug, Default, Serialize)]
struct Sum {
    octets: u64,
    packets: u64,
}

#[derive(Debug, Default, Serialize)]
struct FieldSum {
    records: u64,
    sum: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Sflow {
    flow_samples: u64,
    counter_samples: u64,
    dropped_packets: u64,
    /// Frame lengths of the samples with a flow.
    sum_frame_length: u64,
    /// The same, multiplied by their sampling rates.
    sum_frame_length_x_rate: u64,
}

impl Sflow {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Data sets that arrived before their template.
#[derive(Debug, Default, Serialize)]
struct MissingTemplate {
    sets: u64,
    bytes: u64,
    /// Those decoded once their template arrived; `records` and `sum` include them.
    decoded_later: u64,
    data_decoded_later: u64,
    options_decoded_later: u64,
}

#[derive(Debug, Serialize)]
struct Malformed {
    /// The number of the datagram, from 1.
    datagram: u64,
    /// Octets from the start of its payload.
    offset: usize,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Sequence {
    datagrams: u64,
    first: u32,
    last: u32,
    breaks: u64,
}

impl Summary {
    pub(super) fn add_datagram(&mut self, datagram: &Datagram<'_>, decoded: &Decoded) {
        self.datagrams.total += 1;
        *self.datagrams.by_version.entry(version(datagram.payload)).or_default() += 1;
        if !datagram.exporter.address.is_unspecified() {
            *self.exporters.entry(datagram.exporter.address).or_default() += 1;
        }
        self.templates.data_announced += u64::from(decoded.templates);
        self.templates.options_announced += u64::from(decoded.options_templates);
        self.templates.withdrawals += u64::from(decoded.withdrawals);
        self.missing_template.sets += u64::from(decoded.missing_template_sets);
        self.missing_template.bytes += u64::from(decoded.missing_template_bytes);
        self.missing_template.decoded_later += u64::from(decoded.pending_decoded);
        self.missing_template.data_decoded_later += u64::from(decoded.pending_data);
        self.missing_template.options_decoded_later += u64::from(decoded.pending_options);
        self.malformed_total += u64::from(decoded.errors);
        for error in decoded.listed_errors() {
            if self.malformed.len() < MALFORMED_LISTED {
                let (offset, reason) = (error.offset, error.kind.name());
                self.malformed.push(Malformed { datagram: self.datagrams.total, offset, reason });
            }
        }
    }

    pub(super) fn add_record(&mut self, record: &Record<'_>) {
        match (record.kind, record.message.protocol) {
            (RecordKind::Options, _) => self.records.options += 1,
            (RecordKind::Counters, _) => self.sflow.counter_samples += 1,
            (RecordKind::Drop, _) => self.sflow.dropped_packets += 1,
            (RecordKind::Data | RecordKind::NoIpHeader, protocol) if protocol.is_sflow() => self.add_sample(record),
            (RecordKind::Data | RecordKind::NoIpHeader, _) => self.add_data(record),
        }
    }

    fn add_sample(&mut self, record: &Record<'_>) {
        self.sflow.flow_samples += 1;
        if let Some(flow) = record.flow {
            let bytes = flow.forward.bytes;
            let scaled = bytes.saturating_mul(flow.sampling.rate.into());
            self.sflow.sum_frame_length = self.sflow.sum_frame_length.saturating_add(bytes);
            self.sflow.sum_frame_length_x_rate = self.sflow.sum_frame_length_x_rate.saturating_add(scaled);
        }
    }

    fn add_data(&mut self, record: &Record<'_>) {
        self.records.data += 1;
        let (mut octets, mut packets) = (None, None);
        record.fields(&mut |field| {
            let Some((element, name, count)) = counter(field) else { return };
            match element {
                OCTET_DELTA_COUNT => octets = Some(count),
                PACKET_DELTA_COUNT => packets = Some(count),
                _ => {}
            }
            let field = self.sums_by_field.entry(label(element, name)).or_default();
            field.records += 1;
            field.sum = field.sum.saturating_add(count);
        });
        self.records.data_with_bytes_and_packets += u64::from(octets.is_some() && packets.is_some());
        self.sum.octets = self.sum.octets.saturating_add(octets.unwrap_or(0));
        self.sum.packets = self.sum.packets.saturating_add(packets.unwrap_or(0));
    }

    /// The summary, with the sequence numbers of the sessions.
    pub(super) fn finish<'s>(mut self, sessions: impl Iterator<Item = (IpAddr, &'s Session)>) -> Self {
        for (address, session) in sessions {
            let mut streams: BTreeMap<String, Vec<&Stream>> = BTreeMap::new();
            for (key, stream) in session.streams().filter(|(key, _)| key.samples.is_none()) {
                streams.entry(stream_name(address, key)).or_default().push(stream);
            }
            for (name, streams) in streams {
                for Stream { port, datagrams, first, last, breaks, .. } in &streams {
                    let (datagrams, first, last, breaks) = (*datagrams, *first, *last, *breaks);
                    let name = match streams.len() {
                        _ if address.is_unspecified() => format!("file {port} {name}"),
                        1 => name.clone(),
                        _ => format!("{name} port {port}"),
                    };
                    self.sequence.insert(name, Sequence { datagrams, first, last, breaks });
                }
            }
        }
        self
    }

    /// The number of datagrams, if none of them has a version of an export protocol.
    pub(super) fn without_export(&self) -> Option<u64> {
        let is_export = |version: &str| {
            version.starts_with("sflow") || matches!(version.parse(), Ok(1_u16 | 5 | 6 | 7 | 8 | 9 | 10))
        };
        let Datagrams { total, by_version } = &self.datagrams;
        (*total > 0 && !by_version.keys().any(|version| is_export(version))).then_some(*total)
    }

    /// What could not be decoded; `None` if everything was.
    pub(super) fn losses(&self) -> Option<String> {
        let missing = self.missing_template.sets.saturating_sub(self.missing_template.decoded_later);
        let losses =
            [(self.malformed_total, "malformed parts of datagrams"), (missing, "data sets without a template")];
        let losses: Vec<String> =
            losses.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what}: {count}")).collect();
        (!losses.is_empty()).then(|| losses.join(", "))
    }
}

/// From the payload alone, so that unreadable datagrams count under their version too.
fn version(payload: &[u8]) -> String {
    match *payload {
        [0, 0, 0, version @ (2 | 4 | 5), ..] => format!("sflow{version}"),
        [high, low, ..] => u16::from_be_bytes([high, low]).to_string(),
        [..] => "short".to_owned(),
    }
}

/// The element, name and value of a field that counts something.
fn counter(field: &Field<'_>) -> Option<(ElementId, &'static str, u64)> {
    let (FieldName::Element(element, name), Value::Unsigned(count)) = (field.name, field.value) else { return None };
    let semantics = information_element::lookup(element)?.semantics;
    matches!(semantics, Semantics::DeltaCounter | Semantics::TotalCounter).then_some((element, name, count))
}

fn label(element: ElementId, name: &str) -> String {
    match element {
        ElementId { enterprise: 0, id } => format!("{name} ({id})"),
        ElementId { enterprise, id } => format!("{name} ({enterprise}/{id})"),
    }
}

fn stream_name(exporter: IpAddr, key: &StreamKey) -> String {
    let domain = key.domain;
    match (key.protocol, key.agent) {
        // In an IPFIX file, which has no addresses.
        (Protocol::Ipfix, _) if exporter.is_unspecified() => format!("ipfix domain {domain}"),
        (Protocol::Ipfix, _) => format!("{exporter} ipfix domain {domain}"),
        (Protocol::NetflowV9, _) => format!("{exporter} v9 source {domain}"),
        (Protocol::NetflowV7, _) => format!("{exporter} v7"),
        (Protocol::NetflowV1, _) => format!("{exporter} v1"),
        (Protocol::NetflowV5, _) => format!("{exporter} v5 engine {}/{}", domain >> 8, domain & 0xff),
        (Protocol::NetflowV6, _) => format!("{exporter} v6 engine {}/{}", domain >> 8, domain & 0xff),
        (Protocol::NetflowV8, _) => format!("{exporter} v8 engine {}/{}", domain >> 8, domain & 0xff),
        (Protocol::SflowV2 | Protocol::SflowV4 | Protocol::SflowV5, agent) => {
            format!("{exporter} sflow agent {}/{domain}", agent.unwrap_or(exporter))
        }
    }
}
