//! The identity of a block, and its octets in the checksum.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use flow::{FlushNumber, Prefix, WriterId};

use super::table_set::TableSet;
use crate::period::Interval;

/// The identity of a block: two blocks with equal keys have equal content, so that putting one again is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockKey {
    /// The minute, hour, day, month or year of its flows.
    pub interval: Interval,
    /// The exporter of its flows.
    pub sender: IpAddr,
    /// The monitored prefix.
    pub prefix: Prefix,
    /// The collector that wrote it.
    pub writer: WriterId,
    /// Its source.
    pub origin: Origin,
    /// Distinguishes the blocks of one flush or roll-up for the same interval, sender and prefix.
    pub part: u16,
    /// Its tables.
    pub tables: TableSet,
}

/// The source of a block. Stores keep it as the two numbers of [`Origin::numbers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// The finer blocks of the same writer.
    RolledUp,
    /// The flows counted until this flush. Its epoch is never 0.
    Flush(FlushNumber),
}

impl Origin {
    /// Epoch and sequence as stores keep them: both are 0 for a block that was rolled up.
    #[must_use]
    pub const fn numbers(self) -> (u32, u64) {
        match self {
            Self::RolledUp => (0, 0),
            Self::Flush(FlushNumber { epoch, sequence }) => (epoch, sequence),
        }
    }

    /// The origin that stores keep as these numbers; `None` for the invalid epoch 0 with a sequence.
    #[must_use]
    pub const fn of_numbers(epoch: u32, sequence: u64) -> Option<Self> {
        match (epoch, sequence) {
            (0, 0) => Some(Self::RolledUp),
            (0, _) => None,
            _ => Some(Self::Flush(FlushNumber { epoch, sequence })),
        }
    }
}

impl From<FlushNumber> for Origin {
    fn from(number: FlushNumber) -> Self {
        Self::Flush(number)
    }
}

/// For messages: `epoch 3, flush 7`, or `rolled up`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RolledUp => f.write_str("rolled up"),
            Self::Flush(number) => number.fmt(f),
        }
    }
}

/// A block as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its identity.
    pub key: BlockKey,
    /// The encoded tables, as docs/storage.md describes them. Blocks of one flush may share the memory that this is in.
    pub content: Bytes,
}

impl BlockKey {
    /// The octets of the key in the checksum, as docs/storage.md lists them.
    pub(super) fn octets(&self) -> [u8; KEY_LENGTH] {
        let Self { interval, sender, prefix, writer, origin, part, tables } = self;
        let (epoch, sequence) = origin.numbers();
        let mut octets = [0; KEY_LENGTH];
        let mut rest = octets.as_mut_slice();
        let mut put = |field: &[u8]| {
            if let Some(place) = rest.split_off_mut(..field.len()) {
                place.copy_from_slice(field);
            }
        };
        put(&[interval.period as u8]);
        put(&interval.start.number().to_le_bytes());
        put(&ipv6_octets(*sender));
        put(&ipv6_octets(prefix.address()));
        put(&[prefix.length()]);
        put(&writer.0.to_le_bytes());
        put(&epoch.to_le_bytes());
        put(&sequence.to_le_bytes());
        put(&part.to_le_bytes());
        put(&tables.bits().to_le_bytes());
        octets
    }
}

/// The number of octets of a key in the checksum.
const KEY_LENGTH: usize = 1 + 4 + 16 + 16 + 1 + 8 + 4 + 8 + 2 + 8;

/// IPv4 addresses as IPv4-mapped ones.
fn ipv6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// For messages: `minute 2014-02-02 05:01, sender 192.0.2.1, prefix 172.16.1.0/24, writer ..., epoch 3, flush 7, part
/// 0`.
impl fmt::Display for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interval, sender, prefix, writer, origin, part, tables: _ } = self;
        let period = interval.period.name();
        write!(f, "{period} {interval}, sender {sender}, prefix {prefix}, ")?;
        write!(f, "writer {writer}, {origin}, part {part}")
    }
}
