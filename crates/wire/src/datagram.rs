//! What goes in: an export datagram, and the facts of the message header that all protocols share.

use flow::{Exporter, Protocol, Timestamp};

use crate::version;

/// One UDP payload as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub exporter: Exporter,
    /// When it was received: by the kernel, or as a capture file says.
    pub received: Timestamp,
    /// The UDP payload.
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
    /// Who sent it.
    pub exporter: Exporter,
    /// When it was received.
    pub received: Timestamp,
    /// When it was sent, as its header says; when it was received for protocols whose header does not say (sFlow).
    pub exported: Timestamp,
    /// What tells apart the streams of one exporter: IPFIX observation domain, v9 source id, v5-v8 engine type and id
    /// (`type << 8 | id`), sFlow sub-agent; 0 where there is none.
    pub domain: u32,
    /// The sequence number as it stands in the header; its unit differs by protocol.
    pub sequence: u32,
    /// Milliseconds since the exporter started, where the header says so (v1-v9, sFlow).
    pub uptime: Option<u32>,
}
