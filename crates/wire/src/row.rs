//! A record as a row of all columns (crate `columns`), for those who keep flows. Counting makes no rows.
//!
//! The columns of the datagram and of the flow are the same in all protocols and are set here; so are those of sampled
//! packets. The others are read by [`crate::row_plan`] from fields, and by `sflow/row.rs` from the structures of sFlow.

use columns::{Id, Row, version};
use flow::sender_settings::Tunnels;
use flow::{AsSource, FlowRecord};

use crate::datagram::Message;
use crate::decoded::Decoded;
use crate::record::{Record, RecordKind};
use crate::sampled_packet::{Headers, LinkAddresses, Tunnelled};

impl Record<'_> {
    /// Makes a row of the record; earlier values of the row are removed. Returns `false`, and leaves the row as it is, if the
    /// record is none: only flows and events are, not options data, counters of interfaces, or notifications.
    ///
    /// The session has to read records by the default [`ReadOptions`](crate::ReadOptions).
    pub fn row(&self, row: &mut Row) -> bool {
        if !matches!(self.kind, RecordKind::Data | RecordKind::NoIpHeader) {
            return false;
        }
        row.clear();
        set_message(self.message, row);
        if let Some(flow) = self.flow {
            set_flow(flow, row);
        }
        let kind = self.content.set_columns(self.flow.is_some(), row);
        row.set(Id::Kind, kind as u64);
        true
    }
}

fn set_message(message: &Message, row: &mut Row) {
    row.set(Id::Received, message.received.milliseconds());
    row.set(Id::Exported, message.exported.milliseconds());
    row.set_address(Id::Exporter, message.exporter.address);
    row.set_some(Id::Domain, message.domain.into());
    row.set(Id::Version, version(message.protocol));
    row.set(Id::Rate, 1);
}

/// The columns that a flow has.
fn set_flow(flow: &FlowRecord, row: &mut Row) {
    row.set(Id::Bytes, flow.forward.bytes);
    row.set(Id::Packets, flow.forward.packets);
    row.set(Id::Flows, flow.forward.flows);
    row.set_some(Id::RevBytes, flow.reverse.bytes);
    row.set_some(Id::RevPackets, flow.reverse.packets);
    row.set(Id::Rate, flow.sampling.rate.into());
    if flow.sampling.flows > 1 {
        row.set(Id::FlowRate, flow.sampling.flows.into());
    }
    set_ends(flow, row);
}

/// The columns that an event has as well.
pub(crate) fn set_ends(flow: &FlowRecord, row: &mut Row) {
    let (source_port, destination_port) = flow.ports();
    row.set_address(Id::SrcIp, flow.source);
    row.set_address(Id::DstIp, flow.destination);
    row.set(Id::SrcPort, source_port.into());
    row.set(Id::DstPort, destination_port.into());
    row.set(Id::Proto, flow.protocol.into());
    row.set_some(Id::SrcAs, flow.source_as.into());
    row.set_some(Id::DstAs, flow.destination_as.into());
    row.set_some(Id::SrcAsFrom, from(flow.source_as_from, flow.source_as));
    row.set_some(Id::DstAsFrom, from(flow.destination_as_from, flow.destination_as));
    row.set_some(Id::SrcCountry, flow.source_country.into());
    row.set_some(Id::DstCountry, flow.destination_country.into());
    row.set_some(Id::InIf, flow.input_interface.into());
    row.set_some(Id::OutIf, flow.output_interface.into());
}

/// From where an AS number is: from the exporter, unless it was looked up.
const fn from(from: AsSource, asn: u32) -> u64 {
    match from {
        AsSource::None if asn != 0 => AsSource::Exporter as u64,
        from => from as u64,
    }
}

/// The ends of the packet inside a tunnel.
pub(crate) fn set_inner_ends(inner: &FlowRecord, row: &mut Row) {
    row.set_address(Id::InnerSrcIp, inner.source);
    row.set_address(Id::InnerDstIp, inner.destination);
    row.set(Id::InnerSrcPort, inner.source_port.into());
    row.set(Id::InnerDstPort, inner.destination_port.into());
    row.set(Id::InnerProto, inner.protocol.into());
}

/// The columns that the headers of a sampled packet have. Those that they do not have become 0.
pub(crate) fn set_headers(headers: &Headers, row: &mut Row) {
    let mac = |[a, b, c, d, e, f]: [u8; 6]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let unknown = LinkAddresses { source: [0; 6], destination: [0; 6] };
    let LinkAddresses { source, destination } = headers.link.unwrap_or(unknown);
    row.set(Id::SrcMac, mac(source));
    row.set(Id::DstMac, mac(destination));
    row.set(Id::SrcVlan, headers.vlan.unwrap_or_default().into());
    row.set(Id::InnerVlan, headers.inner_vlan.unwrap_or_default().into());
    row.set(Id::EtherType, headers.ether_type.unwrap_or_default().into());
    row.set(Id::MplsLabel, headers.mpls_label.unwrap_or_default().into());
    let ip = headers.ip;
    row.set(Id::Tos, ip.map_or(0, |ip| ip.traffic_class).into());
    row.set(Id::Ttl, ip.map_or(0, |ip| ip.hop_limit).into());
    row.set(Id::FragId, ip.and_then(|ip| ip.identification).unwrap_or_default().into());
    row.set(Id::FragOffset, ip.map_or(0, |ip| ip.fragment_offset).into());
    row.set(Id::FlowLabel, ip.and_then(|ip| ip.flow_label).unwrap_or_default().into());
    row.set(Id::TcpFlags, headers.tcp_flags.unwrap_or_default().into());
    if let Some((kind, code)) = headers.icmp {
        row.set_some(Id::IcmpType, kind.into());
        row.set_some(Id::IcmpCode, code.into());
    }
}

/// The ends of the innermost packet of a sampled packet that is a tunnel's.
#[cold]
pub(crate) fn set_tunnelled(tunnelled: &Tunnelled<'_>, message: &Message, row: &mut Row) {
    // What it counts was counted when the record was read.
    if let Some(headers) = tunnelled.accounted(Tunnels::Inner, &mut Decoded::default()) {
        let mut inner = FlowRecord::empty(message.exported);
        headers.fill(&mut inner);
        set_inner_ends(&inner, row);
    }
}
