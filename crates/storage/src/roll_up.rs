//! Sums a writer's finished periods into coarser blocks: minutes into hours, hours into days, days into months, months
//! into years.
//!
//! What makes it exact, whenever it is interrupted:
//! - The writer's watermarks ([`WriterState::watermarks`]) are the switch. Coarse blocks before a watermark count, those
//!   after it do not exist for a reader. One interval is summed and put, and only then the watermark moves over it.
//! - Coarse blocks found after the watermark are left from an interrupted attempt, or were lifted there by a flush that
//!   trusted a watermark which never arrived. All that they count is in the finer blocks as well: they are deleted.
//! - The state in memory moves before it is put, and never back: a put with an unknown outcome may arrive later. A flush
//!   decides by the state in memory where late flows go, so it needs the state that [`advance`] returned, and may
//!   not run at the same time.
//! - Finer blocks are deleted ([`Blocks::expire`]) only before the watermark in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, Period};
use accounting::rollup::roll_up;
use flow::{Prefix, Timestamp};

use crate::{Blocks, Selection, Store, StoreError, WriterState};

/// Groups are read together up to about this many octets of blocks.
const OCTETS_AT_ONCE: usize = 8 << 20;

/// The most groups that are read together.
const GROUPS_AT_ONCE: usize = 256;

/// What a roll-up has put for one interval. When some of it is missing later, the store has lost what it accepted:
/// [take back](accounting::watermarks::Watermarks::take_back) the interval, and it is summed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summed {
    /// Whose blocks were summed.
    pub writer: WriterId,
    /// The coarser interval.
    pub interval: Interval,
    /// The blocks that were put.
    pub keys: Vec<BlockKey>,
}

/// What a roll-up does and leaves.
#[derive(Clone, Debug)]
pub struct RollUpOptions {
    /// Nothing is summed that contains one of these intervals: their blocks may have to be put again.
    pub skip: BTreeSet<Interval>,
    /// Whether the writer is that of another collector: the roll-up stops when that collector is seen again.
    pub for_another: bool,
    /// It ends early after about this many blocks; the next one continues from there.
    pub most_blocks: usize,
}

impl Default for RollUpOptions {
    /// Everything that has ended, of the caller's own writer.
    fn default() -> Self {
        Self { skip: BTreeSet::new(), for_another: false, most_blocks: usize::MAX }
    }
}

/// How far a roll-up came.
#[derive(Debug)]
#[must_use]
pub struct RollUpOutcome<T = ()> {
    /// What it has put, also if it was stopped.
    pub sums: Vec<Summed>,
    /// What stopped it, if anything.
    pub result: Result<T, StoreError>,
}

/// Puts the writer's state, then rolls up everything of it that ended at or before `until`, and returns how far it
/// came. `until` is a few minutes before now, when the last flows of a period have been flushed; all flushes of the
/// writer have to be in the store (or are late ones, lifted by the returned state).
///
/// The caller continues with the returned state.
///
/// # Errors
/// When nothing was achieved; the state given still holds. What stops it later on shows at the next call.
pub async fn advance(store: &dyn Store, state: WriterState, until: Minute) -> Result<WriterState, StoreError> {
    let mut moved = state;
    match advance_by(store, &mut moved, until, &RollUpOptions::default()).await.result {
        Err(error) if moved == state => Err(error),
        _ => Ok(moved),
    }
}

/// The same, with options; the state moves as far as the roll-up comes. What stops it may be [`StoreError::Newer`], before
/// an interval that has a block of a newer program. When it was stopped, the store may not know how far the state has
/// moved: put it before anything is decided by it.
pub async fn advance_by(
    store: &dyn Store,
    state: &mut WriterState,
    until: Minute,
    options: &RollUpOptions,
) -> RollUpOutcome {
    let mut sums = Vec::new();
    let result = advance_all(store, state, until, options, &mut sums).await;
    RollUpOutcome { sums, result }
}

async fn advance_all(
    store: &dyn Store,
    state: &mut WriterState,
    until: Minute,
    options: &RollUpOptions,
    sums: &mut Vec<Summed>,
) -> Result<(), StoreError> {
    if !options.for_another {
        store.put_writer(state).await?;
    }
    let mut ended = until;
    for period in Period::ALL {
        let Some(coarser) = period.coarser() else { break };
        advance_period(store, state, coarser, ended, options, sums).await?;
        ended = state.watermarks.get(period).unwrap_or(ended);
    }
    Ok(())
}

/// Rolls up for the writers that were not seen for `gone_after`, and returns their states; to be called by every
/// collector of a store now and then. Only the one with the smallest identity of those that are there does it. What stops it
/// is that the store cannot be read, or that nothing was achieved for one of them; the next call continues from there.
///
/// `gone_after` has to be far longer than a collector goes without [`Writers::put_writer`](crate::Writers::put_writer) while it can reach the store, and
/// the same for all collectors. A collector that could not reach the store for half as long reads its state from the
/// store before it flushes again: how far it is rolled up may have been moved by another one.
pub async fn advance_gone(
    store: &dyn Store,
    own: WriterId,
    now: Timestamp,
    gone_after: Duration,
    until: Minute,
) -> RollUpOutcome<Vec<WriterState>> {
    let mut sums = Vec::new();
    let result = advance_all_gone(store, own, now, gone_after, until, &mut sums).await;
    RollUpOutcome { sums, result }
}

async fn advance_all_gone(
    store: &dyn Store,
    own: WriterId,
    now: Timestamp,
    gone_after: Duration,
    until: Minute,
    sums: &mut Vec<Summed>,
) -> Result<Vec<WriterState>, StoreError> {
    let is_gone = |state: &WriterState| state.writer != own && state.presence.is_gone(now, gone_after);
    let (gone, present): (Vec<_>, Vec<_>) = store.writers().await?.into_iter().partition(is_gone);
    if present.iter().any(|state| state.writer < own && state.presence.is_here(now, gone_after)) {
        return Ok(Vec::new());
    }
    let ended = Interval::containing(Period::Hour, until).start;
    let mut moved = Vec::new();
    for mut state in gone {
        // Once an hour there may be something to do.
        let idle = state.watermarks.get(Period::Minute).is_some_and(|reached| reached >= ended);
        if !idle {
            let options = RollUpOptions { for_another: true, ..RollUpOptions::default() };
            advance_all(store, &mut state, until, &options, sums).await?;
        }
        moved.push(state);
    }
    Ok(moved)
}

/// Rolls up into all intervals of the coarser period that end at or before `ended`.
async fn advance_period(
    store: &dyn Store,
    state: &mut WriterState,
    coarser: Period,
    ended: Minute,
    options: &RollUpOptions,
    sums: &mut Vec<Summed>,
) -> Result<(), StoreError> {
    let Some(period) = coarser.finer() else { return Ok(()) };
    let Some(begun) = state.watermarks.get(period) else { return Ok(()) };
    let skipped = options.skip.iter().filter(|part| part.period == period && part.start >= begun);
    let ended = skipped.map(|part| part.start).chain([ended]).min().unwrap_or(ended);
    let mut left = options.most_blocks.saturating_sub(sums.iter().map(|summed| summed.keys.len()).sum());
    while left > 0 {
        let Some(watermark) = state.watermarks.get(period) else { return Ok(()) };
        // Time without blocks is passed over in one step.
        let next = store.first_interval(state.writer, period, watermark).await?;
        let next = next.map(|block| Interval::containing(coarser, block.start)).filter(|next| next.end() <= ended);
        let reached = match next {
            Some(next) => {
                let keys = sum(store, state, next).await?;
                left = left.saturating_sub(keys.len());
                sums.push(Summed { writer: state.writer, interval: next, keys });
                next.end()
            }
            None => Interval::containing(coarser, ended).start,
        };
        if reached > watermark {
            let known = *state;
            if let Some(watermark) = state.watermarks.get_mut(period) {
                *watermark = reached;
            }
            if !options.for_another {
                store.put_writer(state).await?;
            } else if !store.replace_writer(&known, state).await? {
                // Its own collector has returned, and continues from the state that it read.
                return Err(StoreError::Retry(
                    format!("writer {} has returned: it rolls up for itself", state.writer).into(),
                ));
            }
        }
        if next.is_none() {
            break;
        }
    }
    Ok(())
}

/// Replaces the coarse blocks of one interval; returns the keys of the new ones.
async fn sum(store: &dyn Blocks, state: &WriterState, interval: Interval) -> Result<Vec<BlockKey>, StoreError> {
    let mut keys = Vec::new();
    let Some(period) = interval.period.finer() else { return Ok(keys) };
    let mut groups: BTreeMap<(IpAddr, Prefix), Vec<Interval>> = BTreeMap::new();
    for part in store.intervals(state.writer, period, interval.start, interval.end()).await? {
        for group in store.groups(state.writer, part).await? {
            groups.entry(group).or_default().push(part);
        }
    }
    for group in store.groups(state.writer, interval).await? {
        groups.entry(group).or_default();
    }
    let groups: Vec<_> = groups.into_iter().collect();
    let mut rest = groups.as_slice();
    let mut at_once = 1;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(at_once.min(rest.len()));
        let octets = sum_groups(store, state, interval, now, &mut keys).await?;
        at_once = if octets < OCTETS_AT_ONCE / 2 { (at_once * 2).min(GROUPS_AT_ONCE) } else { (at_once / 2).max(1) };
        rest = later;
    }
    Ok(keys)
}

/// Puts the coarse blocks of some groups; returns how many octets of finer blocks they were made from.
async fn sum_groups(
    store: &dyn Blocks,
    state: &WriterState,
    interval: Interval,
    groups: &[((IpAddr, Prefix), Vec<Interval>)],
    keys: &mut Vec<BlockKey>,
) -> Result<usize, StoreError> {
    let select =
        |interval, (sender, prefix): (IpAddr, Prefix)| Selection { interval, sender, prefix, tables: TableSet::ALL };
    let finer: Vec<Selection> =
        groups.iter().flat_map(|(group, parts)| parts.iter().map(|part| select(*part, *group))).collect();
    let coarse: Vec<Selection> = groups.iter().map(|(group, _)| select(interval, *group)).collect();
    let finer = store.read_blocks_of(state.writer, &finer).await?;
    let summed = roll_up(interval, &finer);
    for damaged in &summed.damaged {
        if damaged.fault.is_newer() {
            // Summed without it, its counters would be lost when the finer blocks are deleted.
            return Err(StoreError::Newer((*damaged).into()));
        }
        tracing::error!(error = %damaged, "a damaged block is left out of the coarser ones");
    }
    let fresh: BTreeSet<BlockKey> = summed.blocks.iter().map(|block| block.key).collect();
    let found = store.read_blocks_of(state.writer, &coarse).await?;
    // Blocks under a fresh key are replaced by the put: a store may not keep the order of a deletion and a put.
    let stale: Vec<BlockKey> = found.into_iter().map(|block| block.key).filter(|key| !fresh.contains(key)).collect();
    if !stale.is_empty() {
        store.delete_blocks(&stale).await?;
    }
    store.put_blocks(&summed.blocks).await?;
    keys.extend(fresh);
    Ok(finer.iter().map(|block: &Block| block.content.len()).sum())
}

#[cfg(test)]
mod tests;
