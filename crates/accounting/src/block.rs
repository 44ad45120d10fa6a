//! Blocks: tables of counters that never change once written. The only thing a store keeps of flows.
//!
//! A block holds one or more *tables*; a table is all counters of one field in one direction. Which tables a block
//! holds stands in its key, so that a reader asks only for the blocks that it needs: many small tables share one block
//! (a quiet prefix costs one row a flush), a large table has blocks of its own.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `tables` | decoded blocks, which can be summed |
//! | `packer` | which tables share a block |
//! | `sums` | what tables add up to, without their names |
//! | `encoding` | the bytes of a block |

mod encoding;
mod packer;
mod sums;
mod tables;

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use flow::{FlushNumber, Prefix};

use crate::direction::Direction;
use crate::field::Field;
use crate::period::Interval;

pub(crate) use packer::Packer;
pub use sums::{Fingerprint, Sums, TableSum};
pub use tables::Tables;

/// A collector's lasting identity. Blocks of different writers add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId(pub u64);

/// What a block is: two blocks with equal keys have equal content, so that putting one again is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockKey {
    /// The minute, hour, day, month or year that it counts.
    pub interval: Interval,
    /// Whose flows.
    pub sender: IpAddr,
    /// The monitored prefix.
    pub prefix: Prefix,
    /// Who wrote it.
    pub writer: WriterId,
    /// What it was made of.
    pub origin: Origin,
    /// Tells apart the blocks that one flush or roll-up makes of the same interval, sender and prefix.
    pub part: u16,
    /// The tables that it holds.
    pub tables: TableSet,
}

/// What a block was made of. Stores keep it as the two numbers of [`Origin::numbers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Of the finer blocks of the same writer.
    RolledUp,
    /// Of what was counted until this flush. Its epoch is never 0.
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

    /// The origin that stores keep as these numbers; `None` for an epoch of 0 with a sequence, which nothing has.
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
    /// What it is.
    pub key: BlockKey,
    /// The encoded tables, as docs/storage.md describes them. Blocks of one flush may share the memory that this is in.
    pub content: Bytes,
}

/// Why a block cannot be read. The others can: report it and serve the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block of {key}: {fault}")]
pub struct BlockError {
    /// Which block.
    pub key: BlockKey,
    /// What is wrong with it.
    pub fault: BlockFault,
}

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// Written by a newer program.
    #[error("its encoding has version {0}, and this program reads version 1 only")]
    Version(u8),
    /// It ends too early.
    #[error("its content ends too early")]
    Truncated,
    /// Some of its bytes have changed since it was written.
    #[error("its checksum does not fit its content")]
    Checksum,
    /// It holds other tables than its key says.
    #[error("its content holds other tables than its key says")]
    Tables,
    /// The checksum fits and yet the content is none that could have been written.
    #[error("its content is malformed")]
    Malformed,
    /// It was given as part of an interval that it does not lie in.
    #[error("it is no part of the interval that is being summed")]
    Misplaced,
}

/// In hexadecimal, sixteen digits.
impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// For messages: `minute 2014-02-02 05:01, sender 192.0.2.1, prefix 172.16.1.0/24, writer ..., epoch 3, flush 7, part 0`.
impl fmt::Display for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interval, sender, prefix, writer, origin, part, tables: _ } = self;
        let period = interval.period.name();
        write!(f, "{period} {interval}, sender {sender}, prefix {prefix}, ")?;
        write!(f, "writer {writer}, {origin}, part {part}")
    }
}

/// A set of tables: one bit for each direction and field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableSet(pub u32);

impl TableSet {
    /// No table.
    pub const EMPTY: Self = Self(0);
    /// All 32 tables.
    pub const ALL: Self = Self(u32::MAX);

    /// The table of one direction and field.
    #[must_use]
    pub const fn of(direction: Direction, field: Field) -> Self {
        Self(1 << (direction as u32 * 8 + field as u32))
    }

    /// The tables of one field in all directions.
    #[must_use]
    pub const fn of_field(field: Field) -> Self {
        Self(0x0101_0101 << field as u32)
    }

    /// The tables that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a table in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The tables in the order of their bits: by direction, then by field.
    pub fn iter(self) -> impl Iterator<Item = (Direction, Field)> {
        Direction::ALL
            .into_iter()
            .flat_map(|direction| Field::ALL.into_iter().map(move |field| (direction, field)))
            .filter(move |(direction, field)| self.intersects(Self::of(*direction, *field)))
    }
}

#[cfg(test)]
mod tests;
