//! The header of sFlow datagrams, of all versions.

use std::net::IpAddr;

use flow::{Protocol, canonical};

use super::structure;
use crate::cursor::Cursor;
use crate::datagram::{Datagram, Message};
use crate::error::ErrorKind;
use crate::record::Field;
use crate::sequence_number::{Numbered, SequenceNumber};
use crate::version;

/// Octets of the version.
const VERSION_LENGTH: usize = 4;

/// The header of a datagram.
pub(super) struct Header {
    pub(super) message: Message,
    /// The address of the agent as the header has it; `None` for an unknown one.
    pub(super) agent: Option<IpAddr>,
    /// Milliseconds since the agent started.
    uptime: u32,
    /// Number of samples, as the header has it.
    pub(super) samples: u32,
}

impl Header {
    pub(super) fn read(datagram: &Datagram<'_>, octets: &mut Cursor<'_>) -> Result<Self, ErrorKind> {
        let protocol = version::protocol_of(octets.rest())?;
        if !protocol.is_sflow() {
            return Err(ErrorKind::UnknownVersion);
        }
        octets.skip(VERSION_LENGTH).ok_or(ErrorKind::TruncatedHeader)?;
        let agent = match octets.rest() {
            [0, 0, 0, 0..=2, ..] => structure::address(octets).ok_or(ErrorKind::TruncatedHeader)?,
            [_, _, _, _, ..] => return Err(ErrorKind::UnknownFormat),
            _ => return Err(ErrorKind::TruncatedHeader),
        };
        let mut word = || octets.u32().ok_or(ErrorKind::TruncatedHeader);
        let domain = if protocol == Protocol::SflowV5 { word()? } else { 0 };
        let sequence = word()?;
        let uptime = word()?;
        let message = Message {
            protocol,
            exporter: datagram.exporter,
            received: datagram.received,
            exported: datagram.received,
            domain,
            sequence,
            uptime: Some(uptime),
        };
        Ok(Self { message, agent: agent.map(canonical), uptime, samples: word()? })
    }

    pub(super) fn sequence_number(&self, of: Numbered, number: u32) -> SequenceNumber {
        let agent = self.agent.unwrap_or(self.message.exporter.address);
        SequenceNumber { agent, sub_agent: self.message.domain, of, number, uptime: self.uptime }
    }

    /// Lists the fields that each record starts with.
    pub(super) fn show(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        visitor(&structure::named("agent_address", structure::address_value(self.agent)));
    }
}
