//! sFlow versions 2, 4 and 5. A datagram contains samples: a flow sample has the headers of one sampled packet and becomes
//! one flow record; a counter sample has counters of an interface or a host.
//!
//! | file | content |
//! | --- | --- |
//! | `v5` | version 5 (sflow.org, "sFlow Version 5", July 2004), whose samples and records have lengths |
//! | `v4` | versions 4 (RFC 3176) and 2, whose samples have none |
//! | `header` | the header of a datagram |
//! | `structure` | how a declared structure is read from XDR (RFC 4506) and shown as fields |
//! | `flow_data`, `counter_data` | the declared structures: tables of names and types |
//! | `interface` | input and output interface of a sample |
//! | `packet` | the sampled packet: from a packet structure to addresses, ports and bytes |
//! | `row` | the columns of a sample that its flow does not have |
//! | [`encode`] | version 5 datagrams for tests and load |
//!
//! Bytes and packets are not multiplied by the sampling rate here, but in accounting.

mod counter_data;
pub mod encode;
mod flow_data;
mod header;
mod interface;
mod packet;
mod row;
mod structure;
mod v4;
mod v5;

use std::net::IpAddr;

use flow::Protocol;
use flow::sender_settings::Tunnels;

use crate::cursor::Cursor;
use crate::datagram::Datagram;
use crate::decoded::Decoded;
use crate::record::Record;
use crate::sequence_number::{Numbered, SequenceNumber};

use self::header::Header;

/// The agent that a datagram names as its origin: another address than its source if a relay has sent it. `None` if it names
/// none, or is no sFlow datagram.
#[must_use]
pub fn agent(datagram: &Datagram<'_>) -> Option<IpAddr> {
    let header = Header::read(datagram, &mut Cursor::new(datagram.payload)).ok()?;
    header.agent.filter(|agent| !agent.is_unspecified())
}

/// Decodes a datagram of any version: calls `visit` with each sample and `count` with each sequence number, in the
/// order of the wire. Of packets in tunnels, `tunnels` decides which headers count. What could not be read is in the report.
pub fn decode(
    datagram: &Datagram<'_>,
    tunnels: Tunnels,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) {
    let mut octets = Cursor::new(datagram.payload);
    match Header::read(datagram, &mut octets) {
        Ok(header) => {
            report.protocol = Some(header.message.protocol);
            count(&header.sequence_number(Numbered::Datagrams, header.message.sequence));
            match header.message.protocol {
                Protocol::SflowV5 => v5::decode(&header, octets, tunnels, visit, count, report),
                _ => v4::decode(&header, octets, tunnels, visit, count, report),
            }
        }
        Err(kind) => report.error(octets.offset(), kind),
    }
}
