//! From the structures of a flow sample to the columns of a row that its flow does not have. Of several places of a value
//! the first one counts, in the order of the table of columns: the sampled header before what the agent has read from it,
//! and the VLAN that the agent switched by before the tag of the packet.

use std::net::IpAddr;

use columns::{Id, Row};

use super::packet::{Gateway, Stripped, sampled};
use super::structure;
use crate::cursor::Cursor;
use crate::datagram::Message;
use crate::row;
use crate::sampled_packet::{Headers, Tunnelled};

/// sampled_header, which has to come first. `inner_offset` is where in it the packet inside begins, if the agent states it.
pub(super) fn header(
    mut octets: Cursor<'_>,
    stripped: Stripped,
    inner_offset: Option<u32>,
    message: &Message,
    row: &mut Row,
) -> Option<()> {
    let (link, octets) = sampled(&mut octets, stripped)?;
    let headers = Headers::parse(link, octets);
    row::set_headers(&headers, row);
    if headers.is_tunnel || inner_offset.is_some() {
        row::set_tunnelled(&Tunnelled { link, octets, inner_offset }, message, row);
    }
    Some(())
}

/// sampled_ethernet.
pub(super) fn ethernet(octets: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    let _length = octets.u32()?;
    set_missing(row, Id::SrcMac, octets.u64()? >> 16);
    set_missing(row, Id::DstMac, octets.u64()? >> 16);
    set_missing(row, Id::EtherType, octets.u32()?.into());
    Some(())
}

/// sampled_ipv4 and sampled_ipv6, with addresses of as many octets.
pub(super) fn network(octets: &mut Cursor<'_>, address_length: usize, row: &mut Row) -> Option<()> {
    // Length and protocol, addresses, ports.
    octets.skip(8 + 2 * address_length + 8)?;
    set_missing(row, Id::TcpFlags, octets.u32()?.into());
    set_missing(row, Id::Tos, octets.u32()?.into());
    Some(())
}

/// extended_switch.
pub(super) fn switch(octets: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    row.set_some(Id::SrcVlan, octets.u32()?.into());
    let _source_priority = octets.u32()?;
    row.set_some(Id::DstVlan, octets.u32()?.into());
    Some(())
}

/// extended_router.
pub(super) fn router(octets: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    set_address(row, Id::NextHop, structure::address(octets)?);
    row.set_some(Id::SrcMask, octets.u32()?.into());
    row.set_some(Id::DstMask, octets.u32()?.into());
    Some(())
}

/// extended_gateway.
pub(super) fn gateway(octets: &mut Cursor<'_>, form: Gateway, row: &mut Row) -> Option<()> {
    if form == Gateway::NextHopAndSegments {
        set_address(row, Id::BgpNextHop, structure::address(octets)?);
    }
    // The AS of the agent, of the source, and of its peer.
    octets.skip(12)?;
    let count = octets.u32()?;
    if form == Gateway::Flat {
        if count > 0 {
            row.set_some(Id::NextAs, octets.u32()?.into());
        }
        return Some(());
    }
    for _ in 0..count {
        let _set_or_sequence = octets.u32()?;
        let length = octets.u32()?;
        if length > 0 {
            row.set_some(Id::NextAs, octets.u32()?.into());
            break;
        }
    }
    Some(())
}

/// extended_nat.
pub(super) fn nat(octets: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    set_address(row, Id::NatSrcIp, structure::address(octets)?);
    set_address(row, Id::NatDstIp, structure::address(octets)?);
    Some(())
}

/// extended_nat_port.
pub(super) fn nat_port(octets: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    row.set_some(Id::NatSrcPort, octets.u32()?.into());
    row.set_some(Id::NatDstPort, octets.u32()?.into());
    Some(())
}

/// extended_vni_ingress and extended_vni_egress.
pub(super) fn vni(octets: &mut Cursor<'_>, row: &mut Row) -> Option<()> {
    set_missing(row, Id::Vni, octets.u32()?.into());
    Some(())
}

fn set_missing(row: &mut Row, id: Id, number: u64) {
    if row.number(id) == 0 {
        row.set_some(id, number);
    }
}

fn set_address(row: &mut Row, id: Id, address: Option<IpAddr>) {
    if let Some(address) = address.filter(|address| !address.is_unspecified()) {
        row.set_address(id, address);
    }
}
