//! Finer blocks summed into coarser ones, and late minutes lifted into what is summed already.
//!
//! Pure and deterministic: the same blocks give the same sums, so that a roll-up may be repeated, also by another collector.
//! The collector decides when and how far a writer rolls up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::Prefix;

use crate::block::{Block, BlockError, BlockFault, Origin, TableSet, Tables, WriterId};
use crate::period::{Interval, Minute, Period};
use crate::query::is_rolled_up;

/// The sums of finer blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollUp {
    /// The blocks of the coarser interval.
    pub blocks: Vec<Block>,
    /// The finer blocks that could not be read; they are not in the sums.
    pub damaged: Vec<BlockError>,
}

/// The blocks of a group are summed together.
type RollUpGroup = (WriterId, IpAddr, Prefix);

/// How many names a table of a period keeps.
#[must_use]
pub const fn names_per_table(period: Period) -> usize {
    match period {
        Period::Minute => 10_000,
        Period::Hour => 20_000,
        Period::Day | Period::Month | Period::Year => 50_000,
    }
}

/// Sums all blocks of the next finer period in an interval into blocks of that interval,
/// folded to the number of names that its period keeps. Blocks of different writers, senders or prefixes are summed
/// apart. The order of the finer blocks does not matter.
#[must_use]
pub fn roll_up(interval: Interval, finer: &[Block]) -> RollUp {
    let mut groups: BTreeMap<RollUpGroup, Tables> = BTreeMap::new();
    let mut damaged = Vec::new();
    for block in finer {
        let key = block.key;
        let part = interval.period.finer() == Some(key.interval.period) && interval.contains(key.interval.start);
        let merged = if part {
            groups.entry((key.writer, key.sender, key.prefix)).or_default().merge(block, TableSet::ALL)
        } else {
            Err(BlockError { key, fault: BlockFault::Misplaced })
        };
        damaged.extend(merged.err());
    }
    let mut blocks = Vec::new();
    for ((writer, sender, prefix), mut tables) in groups {
        tables.fold(names_per_table(interval.period));
        blocks.append(&mut tables.blocks(interval, sender, prefix, writer, Origin::RolledUp));
    }
    RollUp { blocks, damaged }
}

/// Copies of late minute blocks for every coarser period that is rolled up already over their minute: put them beside
/// the minute blocks, with the same origin. Late minutes that fall into the same coarser interval are
/// summed, so that no two blocks have the same key; so all blocks of one flush have to be given at once.
///
/// `rolled_up` is the state of the writer, as for [`covering`](crate::query::covering).
///
/// # Errors
/// When a block cannot be read.
pub fn lift(blocks: &[Block], rolled_up: &[Minute; 4]) -> Result<Vec<Block>, BlockError> {
    let mut sums: BTreeMap<(Interval, RollUpGroup, Origin), Tables> = BTreeMap::new();
    for block in blocks {
        let key = block.key;
        let group = (key.writer, key.sender, key.prefix);
        let mut period = key.interval.period;
        while let Some(coarser) = period.coarser() {
            let interval = Interval::containing(coarser, key.interval.start);
            // Where the finer blocks are not summed yet, their roll-up will include the block that was lifted last.
            if !is_rolled_up(interval, rolled_up) {
                break;
            }
            sums.entry((interval, group, key.origin)).or_default().merge(block, TableSet::ALL)?;
            period = coarser;
        }
    }
    let mut lifted = Vec::new();
    for ((interval, (writer, sender, prefix), origin), mut tables) in sums {
        tables.fold(names_per_table(interval.period));
        lifted.append(&mut tables.blocks(interval, sender, prefix, writer, origin));
    }
    Ok(lifted)
}

#[cfg(test)]
mod tests;
