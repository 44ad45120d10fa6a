//! NetFlow version 5 (Cisco, "NetFlow Export Datagram Format", table B-3 and B-4). Fixed records of 48 octets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use flow::{Counters, FlowRecord, Protocol, Sampling, SamplingSource, Timestamp};
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cursor::Cursor;
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::ExporterState;
use crate::fixed_record::{self, FixedField, FixedRecord, Meaning::Element, fields};
use crate::record::Record as Visited;
use crate::row_plan::RowPlan;

/// The header, which version 6 shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 5, or 6.
    pub version: U16,
    /// Records in the datagram.
    pub count: U16,
    /// Milliseconds since the exporter started.
    pub uptime: U32,
    /// Seconds since 1970.
    pub unix_seconds: U32,
    /// Nanoseconds beyond the seconds.
    pub unix_nanoseconds: U32,
    /// Flow records sent before this datagram.
    pub sequence: U32,
    /// Type of the flow switching engine.
    pub engine_type: u8,
    /// Slot number of the flow switching engine.
    pub engine_id: u8,
    /// Two bits of sampling mode, fourteen bits of sampling interval.
    pub sampling: U16,
}
const _: () = assert!(size_of::<Header>() == 24);

impl Header {
    /// The fields that all protocols share.
    pub(crate) fn message(&self, protocol: Protocol, datagram: &Datagram<'_>) -> Message {
        Message {
            protocol,
            exporter: datagram.exporter,
            received: datagram.received,
            exported: Timestamp::new(u64::from(self.unix_seconds.get()), self.unix_nanoseconds.get()),
            domain: u32::from(self.engine_type) << 8 | u32::from(self.engine_id),
            sequence: self.sequence.get(),
            uptime: Some(self.uptime.get()),
        }
    }

    /// The sampling rate of the header. The mode bits are ignored: exporters that sample leave them at 0.
    pub(crate) fn sampling(&self) -> Sampling {
        match u32::from(self.sampling.get() & 0x3fff) {
            0 => Sampling::NONE,
            rate => Sampling::of_packets(rate, SamplingSource::Header),
        }
    }
}

/// A flow record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Record {
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// Next router.
    pub next_hop: [u8; 4],
    /// ifIndex that the flow came in by.
    pub input: U16,
    /// ifIndex that the flow went out by.
    pub output: U16,
    /// Packets.
    pub packets: U32,
    /// Octets at layer 3.
    pub octets: U32,
    /// System uptime at the first packet, milliseconds.
    pub first: U32,
    /// System uptime at the last packet, milliseconds.
    pub last: U32,
    /// Source port.
    pub source_port: U16,
    /// Destination port; type and code for ICMP.
    pub destination_port: U16,
    /// Unused.
    pub padding: u8,
    /// TCP flags of all packets.
    pub tcp_flags: u8,
    /// IP protocol.
    pub protocol: u8,
    /// Type of service.
    pub type_of_service: u8,
    /// AS of the source.
    pub source_as: U16,
    /// AS of the destination.
    pub destination_as: U16,
    /// Prefix length of the source.
    pub source_prefix_length: u8,
    /// Prefix length of the destination.
    pub destination_prefix_length: u8,
    /// Unused.
    pub trailer: U16,
}
const _: () = assert!(size_of::<Record>() == 48);

impl FixedRecord for Record {
    const FIELDS: &'static [FixedField] = fields!(Record {
        source: Element(8),
        destination: Element(12),
        next_hop: Element(15),
        input: Element(10),
        output: Element(14),
        packets: Element(2),
        octets: Element(1),
        first: Element(22),
        last: Element(21),
        source_port: Element(7),
        destination_port: Element(11),
        tcp_flags: Element(6),
        protocol: Element(4),
        type_of_service: Element(5),
        source_as: Element(16),
        destination_as: Element(17),
        source_prefix_length: Element(9),
        destination_prefix_length: Element(13),
    });

    fn flow(&self, message: &Message) -> FlowRecord {
        FlowRecord {
            source: IpAddr::V4(Ipv4Addr::from(self.source)),
            destination: IpAddr::V4(Ipv4Addr::from(self.destination)),
            protocol: self.protocol,
            source_port: self.source_port.get(),
            destination_port: self.destination_port.get(),
            source_as: u32::from(self.source_as.get()),
            destination_as: u32::from(self.destination_as.get()),
            is_source_by_default: self.source_prefix_length == 0,
            is_destination_by_default: self.destination_prefix_length == 0,
            input_interface: u32::from(self.input.get()),
            output_interface: u32::from(self.output.get()),
            forward: Counters { bytes: u64::from(self.octets.get()), packets: u64::from(self.packets.get()), flows: 1 },
            ..FlowRecord::empty(message.exported)
        }
    }

    fn row_plan() -> &'static RowPlan {
        static PLAN: LazyLock<RowPlan> = LazyLock::new(|| RowPlan::of_fixed(Record::FIELDS));
        &PLAN
    }
}

pub(crate) fn decode(
    state: &mut ExporterState,
    datagram: &Datagram<'_>,
    visit: &mut impl FnMut(&Visited<'_>),
    report: &mut Decoded,
) {
    decode_as::<Record>(Protocol::NetflowV5, state, datagram, visit, report);
}

/// Decodes a datagram with this header and the records of version 5 or 6.
pub(crate) fn decode_as<R: FixedRecord>(
    protocol: Protocol,
    state: &mut ExporterState,
    datagram: &Datagram<'_>,
    visit: &mut impl FnMut(&Visited<'_>),
    report: &mut Decoded,
) {
    report.protocol = Some(protocol);
    let mut cursor = Cursor::new(datagram.payload);
    let Some(header) = fixed_record::header::<Header>(&mut cursor) else {
        report.error(0, ErrorKind::TruncatedHeader);
        return;
    };
    let message = header.message(protocol, datagram);
    fixed_record::decode::<R>(&mut cursor, header.count.get(), &message, header.sampling(), visit, report);
    state.note_arrival(&message, Some(report.data), report);
}
