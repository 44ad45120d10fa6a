//! sFlow versions 4 (RFC 3176) and 2. Their samples have no lengths: after one of an unknown format the rest of the datagram
//! cannot be read.
//!
//! Version 2 differs in the AS path, which has no segments, and in the gateway, which has no communities.

use columns::{Row, RowKind};
use flow::Protocol;
use flow::sender_settings::Tunnels;

use super::header::Header;
use super::packet::{Gateway, Packet, Stripped, show_header};
use super::structure::{self, Kind, Member, Structure, members};
use super::{counter_data, flow_data, interface, row};
use crate::cursor::Cursor;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::record::{Field, Fields, Record, RecordKind};
use crate::sequence_number::{DataSource, Numbered, SequenceNumber};

const FLOW_SAMPLE: u32 = 1;
const COUNTERS_SAMPLE: u32 = 2;

pub(super) fn decode(
    header: &Header,
    mut octets: Cursor<'_>,
    tunnels: Tunnels,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) {
    for _ in 0..header.samples {
        if octets.is_empty() {
            return report.error(octets.offset(), ErrorKind::TruncatedRecords);
        }
        let offset = octets.offset();
        let read = match octets.u32() {
            Some(FLOW_SAMPLE) => read_flow_sample(header, &mut octets, tunnels, visit, count, report),
            Some(COUNTERS_SAMPLE) => read_counters_sample(header, &mut octets, visit, count, report),
            Some(_) => Err(ErrorKind::UnknownFormat),
            None => Err(ErrorKind::TruncatedSample),
        };
        if let Err(kind) = read {
            return report.error(offset, kind);
        }
    }
}

/// How a flow sample describes its packet (packet_information_type).
const HEADER: u32 = 1;
const IPV4: u32 = 2;
const IPV6: u32 = 3;

/// Further structures of a flow sample (extended_information_type).
const SWITCH: u32 = 1;
const ROUTER: u32 = 2;
const GATEWAY: u32 = 3;

const FLOW_SAMPLE_HEAD: &[Member] = members! { flow_sample {
    sequence_number: Kind::Unsigned,
    source_id_type: Kind::Upper(8),
    source_id_index: Kind::Lower(24),
    sampling_rate: Kind::Unsigned,
    sample_pool: Kind::Unsigned,
    drops: Kind::Unsigned,
    input: Kind::Unsigned,
    output_format: Kind::Upper(2),
    output_value: Kind::Lower(30),
} };

const COUNTERS_SAMPLE_HEAD: &[Member] = members! { counters_sample {
    sequence_number: Kind::Unsigned,
    source_id_type: Kind::Upper(8),
    source_id_index: Kind::Lower(24),
    sampling_interval: Kind::Unsigned,
} };

/// The further structures of a version.
fn extended_data(protocol: Protocol) -> &'static [Structure] {
    if protocol == Protocol::SflowV2 { flow_data::EXTENDED_V2 } else { flow_data::EXTENDED_V4 }
}

/// The form of the AS path in a version.
fn gateway_form(protocol: Protocol) -> Gateway {
    if protocol == Protocol::SflowV2 { Gateway::Flat } else { Gateway::Segments }
}

/// A sample whose packet was read is a flow, even if its further structures cannot be read.
fn read_flow_sample(
    header: &Header,
    octets: &mut Cursor<'_>,
    tunnels: Tunnels,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) -> Result<(), ErrorKind> {
    let start = *octets;
    let number = whole(octets.u32())?;
    let source = whole(DataSource::compact(octets))?;
    let rate = whole(octets.u32())?;
    // Sample pool and drops.
    whole(octets.skip(8))?;
    let mut packet = Packet::new(header.message.exported, rate);
    packet.interfaces(whole(octets.u32())?, whole(interface::v4_output(octets))?);
    let format = whole(octets.u32())?;
    let sampled = *octets;
    whole(match format {
        HEADER => packet.header(octets, Stripped::Unstated),
        IPV4 => packet.ipv4(octets),
        IPV6 => packet.ipv6(octets),
        _ => return Err(ErrorKind::UnknownFormat),
    })?;
    let extended = read_extended_data(header.message.protocol, octets, &mut packet);
    count(&header.sequence_number(Numbered::FlowSamples(source), number));
    report.data += 1;
    if packet.is_in_tunnel() {
        let _ = packet.enter_tunnel(sampled, Stripped::Unstated, tunnels, report);
    }
    let (kind, flow) = packet.into_flow();
    visit(&Record {
        message: &header.message,
        kind,
        format: Some(FLOW_SAMPLE),
        flow: Some(&flow),
        content: &FlowSample { header, octets: start },
    });
    extended
}

fn read_extended_data(protocol: Protocol, octets: &mut Cursor<'_>, packet: &mut Packet) -> Result<(), ErrorKind> {
    for _ in 0..whole(octets.u32())? {
        let format = whole(octets.u32())?;
        let structure = structure::find(extended_data(protocol), format).ok_or(ErrorKind::UnknownFormat)?;
        let mut again = *octets;
        match format {
            ROUTER => whole(packet.router(&mut again))?,
            GATEWAY => whole(packet.gateway(&mut again, gateway_form(protocol)))?,
            _ => {}
        }
        whole(structure::read(structure.members, octets, &mut |_| ()))?;
    }
    Ok(())
}

fn read_counters_sample(
    header: &Header,
    octets: &mut Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) -> Result<(), ErrorKind> {
    let start = *octets;
    let number = whole(octets.u32())?;
    let source = whole(DataSource::compact(octets))?;
    let _sampling_interval = whole(octets.u32())?;
    let version = whole(octets.u32())?;
    let structures = counters(version).ok_or(ErrorKind::UnknownFormat)?;
    for structure in structures {
        whole(structure::read(structure.members, octets, &mut |_| ()))?;
    }
    count(&header.sequence_number(Numbered::CounterSamples(source), number));
    report.options += 1;
    visit(&Record {
        message: &header.message,
        kind: RecordKind::Counters,
        format: Some(COUNTERS_SAMPLE),
        flow: None,
        content: &CountersSample { header, octets: start },
    });
    Ok(())
}

/// The value, or an error if the datagram ended within it.
fn whole<T>(read: Option<T>) -> Result<T, ErrorKind> {
    read.ok_or(ErrorKind::TruncatedSample)
}

/// The structures of a counters_version: that of all interfaces, then that of the medium.
fn counters(version: u32) -> Option<impl Iterator<Item = &'static Structure>> {
    let formats = usize::try_from(version).ok().and_then(|version| counter_data::V4.get(version))?;
    (!formats.is_empty()).then(|| formats.iter().filter_map(|format| structure::find(counter_data::V5, *format)))
}

/// The fields of a flow sample, as far as it can be read.
struct FlowSample<'a> {
    header: &'a Header,
    octets: Cursor<'a>,
}

impl FlowSample<'_> {
    fn show(&self, visitor: &mut dyn FnMut(&Field<'_>)) -> Option<()> {
        self.header.show(visitor);
        let mut octets = self.octets;
        structure::read(FLOW_SAMPLE_HEAD, &mut octets, visitor)?;
        let packet = structure::find(flow_data::PACKET_V4, octets.u32()?)?;
        let mut header = octets;
        structure::read(packet.members, &mut octets, visitor)?;
        if packet.format == HEADER {
            let _ = show_header(&mut header, Stripped::Unstated, visitor);
        }
        for _ in 0..octets.u32()? {
            let structure = structure::find(extended_data(self.header.message.protocol), octets.u32()?)?;
            structure::read(structure.members, &mut octets, visitor)?;
        }
        Some(())
    }

    /// The structures that have columns, as far as the sample can be read.
    fn set_structures(&self, row: &mut Row) -> Option<()> {
        let message = &self.header.message;
        let mut octets = self.octets;
        structure::read(FLOW_SAMPLE_HEAD, &mut octets, &mut |_| ())?;
        let packet = structure::find(flow_data::PACKET_V4, octets.u32()?)?;
        let mut sampled = octets;
        structure::read(packet.members, &mut octets, &mut |_| ())?;
        let _ = match packet.format {
            HEADER => row::header(sampled, Stripped::Unstated, None, message, row),
            IPV4 => row::network(&mut sampled, 4, row),
            _ => row::network(&mut sampled, 16, row),
        };
        for _ in 0..octets.u32()? {
            let structure = structure::find(extended_data(message.protocol), octets.u32()?)?;
            let mut extended = octets;
            let _ = match structure.format {
                SWITCH => row::switch(&mut extended, row),
                ROUTER => row::router(&mut extended, row),
                GATEWAY => row::gateway(&mut extended, gateway_form(message.protocol), row),
                _ => Some(()),
            };
            structure::read(structure.members, &mut octets, &mut |_| ())?;
        }
        Some(())
    }
}

impl Fields for FlowSample<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        let _ = self.show(visitor);
    }

    fn set_columns(&self, _has_flow: bool, row: &mut Row) -> RowKind {
        let _ = self.set_structures(row);
        RowKind::Packet
    }
}

/// The fields of a counter sample, which is known to be complete.
struct CountersSample<'a> {
    header: &'a Header,
    octets: Cursor<'a>,
}

impl CountersSample<'_> {
    fn show(&self, visitor: &mut dyn FnMut(&Field<'_>)) -> Option<()> {
        self.header.show(visitor);
        let mut octets = self.octets;
        structure::read(COUNTERS_SAMPLE_HEAD, &mut octets, visitor)?;
        for structure in counters(octets.u32()?)? {
            structure::read(structure.members, &mut octets, visitor)?;
        }
        Some(())
    }
}

impl Fields for CountersSample<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        let _ = self.show(visitor);
    }
}
