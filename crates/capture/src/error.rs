//! Why a capture file cannot be read, and where. An unreadable packet is not an error: it is counted
//! (`reader::Statistics`).

use std::io;

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
    #[error("not a pcap or pcapng file{0}")]
    NotACapture(&'static str),
    /// All of its packets have an unsupported link layer.
    #[error(
        "link layer type {0} is not supported: use Ethernet (1), raw IP (12, 14, 101, 228, 229), Linux cooked (113, 276) \
         or loopback (0, 108)"
    )]
    LinkLayer(u16),
    /// The file is damaged; the packets before the damage were read.
    #[error("damaged at octet {offset}, after packet {packets}: {damage}")]
    Damaged {
        /// Octets from the start of the file to the damaged record or block.
        offset: u64,
        /// Number of packets before it.
        packets: u64,
        /// The kind of damage.
        damage: Damage,
    },
}

/// The kind of damage of a record or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It extends beyond the end of the file.
    #[error("the file ends in the middle of a record")]
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
}
