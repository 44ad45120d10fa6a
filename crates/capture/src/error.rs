//! Why a file cannot be read, and where. An unreadable packet is not an error: it is counted
//! (`reader::Statistics`).

use std::{fmt, io};

/// Why reading of a capture file failed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("cannot open the file: {0}")]
    Open(#[source] io::Error),
    /// The operating system reported an error.
    #[error("cannot read at octet {offset}: {source}")]
    Io {
        /// Octets from the start of the file.
        offset: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has another format.
    #[error("not a pcap, pcapng or IPFIX file{0}")]
    NotACapture(&'static str),
    /// All of its packets have an unsupported link layer.
    #[error(
        "link layer type {0} is not supported: use Ethernet (1), raw IP (12, 14, 101, 228, 229), Linux cooked (113, 276) \
         or loopback (0, 108)"
    )]
    LinkLayer(u16),
    /// The file is damaged; the packets or messages before the damage were read.
    #[error("damaged at octet {offset}, after {unit} {count}: {damage}")]
    Damaged {
        /// Octets from the start of the file to the damaged record, block or message.
        offset: u64,
        /// What the file is a sequence of.
        unit: Unit,
        /// How many of them are before it.
        count: u64,
        /// The kind of damage.
        damage: Damage,
    },
}

/// What a file is a sequence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Packets, in a capture.
    Packet,
    /// IPFIX messages, in an IPFIX file.
    Message,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packet => "packet",
            Self::Message => "message",
        })
    }
}

/// The kind of damage of a record, block or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It extends beyond the end of the file.
    #[error("the file ends in the middle of the next one")]
    CutOff,
    /// A packet claims to be longer than any packet can be.
    #[error("a packet claims {0} octets")]
    PacketLength(u32),
    /// A block of a pcapng file is shorter than its contents, or its two lengths differ.
    #[error("a block claims {0} octets, which contradicts its contents")]
    BlockLength(u32),
    /// A section of a pcapng file does not declare its byte order.
    #[error("a section starts without a byte-order magic")]
    ByteOrder,
    /// A packet of a pcapng file belongs to an interface without a description.
    #[error("a packet belongs to interface {0}, which has no description")]
    Interface(u32),
    /// A section of a pcapng file describes more interfaces than any machine has.
    #[error("a section describes more than {0} interfaces")]
    TooManyInterfaces(usize),
    /// An IPFIX file has something that is no IPFIX message.
    #[error("a message has version {0}, and not 10, which is IPFIX")]
    Version(u16),
    /// A message of an IPFIX file claims to be shorter than its header.
    #[error("a message claims {0} octets, but its header has 16")]
    MessageLength(u16),
}
