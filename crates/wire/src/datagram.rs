//! What goes in: an export datagram, and the facts of the message header that all protocols share.

use flow::{Exporter, Protocol, Timestamp};

use crate::sflow;

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
    /// The protocol that it looks like by its first octets; nothing is decoded.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        if sflow::is_sflow(self.payload) {
            return Some(match *self.payload {
                [_, _, _, 2, ..] => Protocol::SflowV2,
                [_, _, _, 4, ..] => Protocol::SflowV4,
                [..] => Protocol::SflowV5,
            });
        }
        match *self.payload {
            [0, 1, ..] => Some(Protocol::NetflowV1),
            [0, 5, ..] => Some(Protocol::NetflowV5),
            [0, 6, ..] => Some(Protocol::NetflowV6),
            [0, 7, ..] => Some(Protocol::NetflowV7),
            [0, 8, ..] => Some(Protocol::NetflowV8),
            [0, 9, ..] => Some(Protocol::NetflowV9),
            [0, 10, ..] => Some(Protocol::Ipfix),
            [..] => None,
        }
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
