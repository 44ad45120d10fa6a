//! The input of decoding: an export datagram, and the header fields that all protocols share.

use flow::{Exporter, Protocol, Timestamp};

use crate::version;

/// One datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The exporter that sent it.
    pub exporter: Exporter,
    /// When it was received: the time of the kernel or of a capture file.
    pub received: Timestamp,
    /// The payload.
    pub payload: &'a [u8],
}

impl Datagram<'_> {
    /// The protocol, by the first octets; nothing is decoded.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        version::protocol_of(self.payload).ok()
    }
}

/// The header of an export message, in the terms that all protocols share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The protocol.
    pub protocol: Protocol,
    /// The exporter that sent it.
    pub exporter: Exporter,
    /// When it was received.
    pub received: Timestamp,
    /// The export time in its header; the time of receipt for sFlow, whose header has none.
    pub exported: Timestamp,
    /// Distinguishes the streams of one exporter: IPFIX observation domain, v9 source id, v5-v8 engine type and id
    /// (`type << 8 | id`), sFlow sub-agent; 0 where there is none.
    pub domain: u32,
    /// The sequence number in the header; its unit depends on the protocol.
    pub sequence: u32,
    /// Milliseconds since the exporter started; `None` for IPFIX, whose header has no uptime.
    pub uptime: Option<u32>,
}
