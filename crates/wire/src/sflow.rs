//! sFlow versions 2, 4 and 5: what they share. A datagram carries samples; a flow sample holds the head of one packet
//! of many and becomes one flow record, a counter sample holds counters of an interface or a host.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `v5` | version 5 (sflow.org, "sFlow Version 5", July 2004), whose samples and records say how long they are |
//! | `v4` | versions 4 (RFC 3176) and 2, whose samples do not |
//! | `structure` | how a declared structure is read from XDR (RFC 4506) and shown as fields |
//! | `flow_data`, `counter_data` | the declared structures: tables of names and types |
//! | `interface` | input and output interface of a sample |
//! | `packet` | the sampled packet: from a packet structure to addresses, ports and bytes |
//! | [`encode`] | version 5 datagrams for tests and load |
//!
//! Rates, MIB indexes and AS numbers are taken as they stand; extrapolation is the business of accounting.

mod counter_data;
pub mod encode;
mod flow_data;
mod interface;
mod packet;
mod structure;
mod v4;
mod v5;

use std::net::IpAddr;

use flow::{Protocol, canonical};

use crate::cursor::Cursor;
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::record::{Field, Record};

/// Whether a payload starts like an sFlow datagram: a version of 32 bits, where NetFlow has one of 16.
#[must_use]
pub fn is_sflow(payload: &[u8]) -> bool {
    matches!(payload, [0, 0, 0, 2 | 4 | 5, ..])
}

/// Decodes a datagram of any version: calls `visit` with each sample and `count` with each sequence number, in the
/// order of the wire. What could not be read is in the report.
pub fn decode(
    datagram: &Datagram<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) {
    let mut octets = Cursor::new(datagram.payload);
    match Header::read(datagram, &mut octets) {
        Ok(header) => {
            report.protocol = Some(header.message.protocol);
            count(&header.sequence_number(Counted::Datagrams, header.message.sequence));
            match header.message.protocol {
                Protocol::SflowV5 => v5::decode(&header, octets, visit, count, report),
                _ => v4::decode(&header, octets, visit, count, report),
            }
        }
        Err(kind) => report.error(octets.offset(), kind),
    }
}

/// A sequence number of an agent, by which losses between it and us are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceNumber {
    /// The agent by its own account: several may send from one address, and one from several.
    pub agent: IpAddr,
    /// The part of the agent that numbers on its own; 0 before version 5.
    pub sub_agent: u32,
    /// What is numbered.
    pub of: Counted,
    /// The number: each is one more than the one before.
    pub number: u32,
}

/// What a sequence number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counted {
    /// The datagrams of a sub-agent.
    Datagrams,
    /// The flow samples of a source.
    FlowSamples(DataSource),
    /// The counter samples of a source.
    CounterSamples(DataSource),
    /// The notifications of dropped packets of a source.
    Drops(DataSource),
}

/// What samples are taken of (SFLOW-MIB, `SFlowDataSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataSource {
    /// 0 interface, 1 VLAN, 2 physical entity, 3 logical entity.
    pub kind: u32,
    /// Index among those of its kind.
    pub index: u32,
}

impl DataSource {
    /// Eight bits of kind, 24 bits of index.
    fn compact(octets: &mut Cursor<'_>) -> Option<Self> {
        octets.u32().map(|word| Self { kind: word >> 24, index: word & 0x00ff_ffff })
    }

    /// A word of each.
    fn expanded(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Self { kind: octets.u32()?, index: octets.u32()? })
    }
}

/// The header of a datagram.
struct Header {
    message: Message,
    /// The agent by its own account; `None` when it says that it has no address.
    agent: Option<IpAddr>,
    /// How many samples follow, as it says.
    samples: u32,
}

impl Header {
    fn read(datagram: &Datagram<'_>, octets: &mut Cursor<'_>) -> Result<Self, ErrorKind> {
        let protocol = match octets.u32() {
            Some(2) => Protocol::SflowV2,
            Some(4) => Protocol::SflowV4,
            Some(5) => Protocol::SflowV5,
            Some(_) => return Err(ErrorKind::UnknownVersion),
            None => return Err(ErrorKind::TruncatedHeader),
        };
        let agent = match octets.rest() {
            [0, 0, 0, 0..=2, ..] => structure::address(octets).ok_or(ErrorKind::TruncatedHeader)?,
            [_, _, _, _, ..] => return Err(ErrorKind::UnknownFormat),
            _ => return Err(ErrorKind::TruncatedHeader),
        };
        let mut word = || octets.u32().ok_or(ErrorKind::TruncatedHeader);
        let domain = if protocol == Protocol::SflowV5 { word()? } else { 0 };
        let sequence = word()?;
        let uptime = Some(word()?);
        let message = Message {
            protocol,
            exporter: datagram.exporter,
            received: datagram.received,
            exported: datagram.received,
            domain,
            sequence,
            uptime,
        };
        Ok(Self { message, agent: agent.map(canonical), samples: word()? })
    }

    fn sequence_number(&self, of: Counted, number: u32) -> SequenceNumber {
        let agent = self.agent.unwrap_or(self.message.exporter.address);
        SequenceNumber { agent, sub_agent: self.message.domain, of, number }
    }

    /// The fields that each record starts with.
    fn show(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        visitor(&structure::named("agent_address", structure::address_value(self.agent)));
    }
}
