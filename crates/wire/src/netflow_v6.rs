//! NetFlow version 6: version 5 with the encapsulation of both interfaces and the next hop of the peer. The header is
//! that of version 5; fixed records of 52 octets. Cisco has published no description; the layout is that of flow-tools.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use flow::{Counters, FlowRecord, Protocol};
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::exporter_state::ExporterState;
use crate::fixed_record::{FixedField, FixedRecord, Meaning::Address, Meaning::Element, Meaning::Named, fields};
use crate::netflow_v5;
use crate::record::Record as Visited;
use crate::row_plan::RowPlan;

pub use crate::netflow_v5::Header;

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
    /// Octets of encapsulation on the way in.
    pub input_encapsulation: u8,
    /// Octets of encapsulation on the way out.
    pub output_encapsulation: u8,
    /// Next hop of the peer.
    pub peer_next_hop: [u8; 4],
}
const _: () = assert!(size_of::<Record>() == 52);

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
        input_encapsulation: Named("in_encaps"),
        output_encapsulation: Named("out_encaps"),
        peer_next_hop: Address("peer_nexthop"),
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
    netflow_v5::decode_as::<Record>(Protocol::NetflowV6, state, datagram, visit, report);
}
