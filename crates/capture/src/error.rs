//! Why a capture file cannot be read, and where. A packet that cannot be read is no error: it is counted
//! (`reader::Statistics`).

use std::io;

/// Why a capture file cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("cannot open it: {0}")]
    Open(#[source] io::Error),
    /// The operating system refuses to read on.
    #[error("cannot read at octet {offset}: {source}")]
    Io {
        /// Octets from the start of the file.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is something else.
    #[error("this is no pcap or pcapng file{0}")]
    NotACapture(&'static str),
    /// All of its packets have a link layer that is not known.
    #[error(
        "link layer type {0} is not known: Ethernet (1), raw IP (12, 14, 101, 228, 229), Linux cooked (113, 276) and \
         loopback (0, 108) are"
    )]
    LinkLayer(u16),
    /// It is damaged from here on; what came before was read.
    #[error("damaged at octet {offset}, behind packet {packets}: {damage}")]
    Damaged {
        /// Octets from the start of the file to the record or block that is damaged.
        offset: u64,
        /// How many packets came before.
        packets: u64,
        /// What is wrong.
        damage: Damage,
    },
}

/// What is wrong with a record or block of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It goes on beyond the end of the file.
    #[error("the file ends in the middle of a record")]
    CutOff,
    /// A packet says that it is longer than any packet can be.
    #[error("a packet claims {0} octets")]
    PacketLength(u32),
    /// A block of a pcapng file is shorter than its contents, or its two lengths differ.
    #[error("a block claims {0} octets, which its contents contradict")]
    BlockLength(u32),
    /// A section of a pcapng file does not say in which order its octets are.
    #[error("a section starts without a byte-order magic")]
    ByteOrder,
    /// A packet of a pcapng file belongs to an interface that was not described.
    #[error("a packet belongs to interface {0}, which is not described")]
    Interface(u32),
    /// A section of a pcapng file describes more interfaces than anybody has.
    #[error("a section describes more than {0} interfaces")]
    TooManyInterfaces(usize),
}
