//! Sums finer blocks as coarser blocks, and lifts late minutes into periods that are already rolled up.
//!
//! Deterministic: the same blocks give the same sums, so any collector may repeat a roll-up.
//! The collector decides when and how far a writer rolls up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::Prefix;

use crate::block::{Block, BlockError, BlockFault, Origin, TableSet, Tables, WriterId};
use crate::five_minutes;
use crate::period::{Interval, Period};
use crate::watermarks::Watermarks;

/// The sums of finer blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollUp {
    /// The blocks of the coarser interval.
    pub blocks: Vec<Block>,
    /// The finer blocks that could not be read; the sums do not include them.
    pub damaged: Vec<BlockError>,
}

/// The blocks of a group are summed together.
type RollUpGroup = (WriterId, IpAddr, Prefix);

/// The number of names that a table of each period keeps.
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
/// separately. The order of the finer blocks does not matter.
#[must_use]
pub fn roll_up(interval: Interval, finer: &[Block]) -> RollUp {
    let mut groups: BTreeMap<RollUpGroup, Tables> = BTreeMap::new();
    let mut damaged = Vec::new();
    for block in finer {
        let key = block.key;
        let part = interval.period.finer() == Some(key.interval.period) && interval.contains(key.interval.start);
        let merged = if part {
            add(groups.entry((key.writer, key.sender, key.prefix)).or_default(), block, interval.period)
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

/// Copies of late minute blocks for every coarser period that the writer has rolled up beyond their minute: put them with
/// the minute blocks. They have the same origin. Late minutes that fall into the same coarser interval are
/// summed, so that no two blocks have the same key. Pass all blocks of a flush in one call.
///
/// # Errors
/// When a block cannot be read.
pub fn lift(blocks: &[Block], watermarks: Watermarks) -> Result<Vec<Block>, BlockError> {
    let mut sums: BTreeMap<(Interval, RollUpGroup, Origin), Tables> = BTreeMap::new();
    for block in blocks {
        let key = block.key;
        let group = (key.writer, key.sender, key.prefix);
        let mut period = key.interval.period;
        while let Some(coarser) = period.coarser() {
            let interval = Interval::containing(coarser, key.interval.start);
            // If the finer blocks are not rolled up yet, their roll-up will include the last lifted block.
            if !watermarks.is_rolled_up(interval) {
                break;
            }
            add(sums.entry((interval, group, key.origin)).or_default(), block, coarser)?;
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

/// Adds a finer block to the sums of an interval of this period.
fn add(sums: &mut Tables, block: &Block, period: Period) -> Result<(), BlockError> {
    if five_minutes::kept_by(period) {
        sums.merge_five_minutes(block, TableSet::ALL)
    } else {
        sums.merge(block, TableSet::COUNTED)
    }
}

#[cfg(test)]
mod tests;
