//! Sums a writer's finished periods into coarser blocks: minutes into hours, hours into days, days into months, months
//! into years.
//!
//! What makes it exact, whenever it is interrupted:
//! - The writer's watermarks ([`WriterState::rolled_up`]) are the switch. Coarse blocks before a watermark count, those
//!   behind it do not exist for a reader. One interval is summed and put, and only then the watermark moves over it.
//! - Coarse blocks found behind the watermark are left from an interrupted attempt, or were lifted there by a flush that
//!   trusted a watermark which never arrived. All that they count is in the finer blocks as well: they are deleted.
//! - The state in memory moves before it is put, and never back: a put with an unknown outcome may arrive later. A flush
//!   decides by the state in memory where late flows go, so it has to be told the state that [`advance`] returned, and
//!   may not run at the same time.
//! - Finer blocks are deleted ([`Store::expire`]) only behind the watermark that the store remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, Period};
use accounting::rollup::roll_up;
use flow::{Prefix, Timestamp};

use crate::{Selection, Store, StoreError, WriterState};

/// Groups are read together up to about this many octets of blocks.
const OCTETS_AT_ONCE: usize = 8 << 20;

/// The most groups that are read together.
const GROUPS_AT_ONCE: usize = 256;

/// Puts the writer's state, then rolls up everything of it that ended at or before `until`, and returns how far it
/// came. `until` is a few minutes before now, when the last flows of a period have been flushed; all flushes of the
/// writer have to be in the store (or are late ones, lifted by the returned state).
///
/// Whoever calls this goes on with the returned state.
///
/// # Errors
/// When nothing was achieved; the state given still holds. What stops it later on shows at the next call.
pub async fn advance(store: &dyn Store, state: WriterState, until: Minute) -> Result<WriterState, StoreError> {
    store.put_writer(&state).await?;
    let mut moved = state;
    let mut outcome = Ok(());
    let mut ended = until;
    for period in Period::ALL {
        let Some(coarser) = period.coarser() else { break };
        outcome = advance_period(store, &mut moved, coarser, ended).await;
        if outcome.is_err() {
            break;
        }
        ended = moved.rolled_up(period).unwrap_or(ended);
    }
    match outcome {
        Err(error) if moved == state => Err(error),
        _ => Ok(moved),
    }
}

/// Rolls up for the writers that were not seen for `gone_after`, and returns their states; to be called by every
/// collector of a store now and then. Only the one with the smallest identity of those that are there does it.
///
/// `gone_after` has to be far longer than a collector goes without [`Store::put_writer`] while it can reach the store, and
/// the same for all collectors. A collector that could not reach the store for half as long reads its state from the
/// store before it flushes again: how far it is rolled up may have been moved by another one.
///
/// # Errors
/// When the store cannot be read, or nothing was achieved for one of them; the next call goes on from there.
pub async fn advance_gone(
    store: &dyn Store,
    own: WriterId,
    now: Timestamp,
    gone_after: Duration,
    until: Minute,
) -> Result<Vec<WriterState>, StoreError> {
    let is_gone = |state: &WriterState| state.writer != own && state.seen.saturating_add(gone_after) < now;
    let (gone, present): (Vec<_>, Vec<_>) = store.writers().await?.into_iter().partition(is_gone);
    // Who is "seen" long after now is a replay: nobody rolls up for it, and it does not for others.
    let is_here = |state: &WriterState| state.seen.abs_diff(now) <= gone_after;
    if present.iter().any(|state| state.writer < own && is_here(state)) {
        return Ok(Vec::new());
    }
    let ended = Interval::containing(Period::Hour, until).start;
    let mut moved = Vec::new();
    for state in gone {
        // Once an hour there may be something to do.
        let idle = state.rolled_up(Period::Minute).is_some_and(|reached| reached >= ended);
        moved.push(if idle { state } else { advance(store, state, until).await? });
    }
    Ok(moved)
}

/// Rolls up into all intervals of the coarser period that end at or before `ended`.
async fn advance_period(
    store: &dyn Store,
    state: &mut WriterState,
    coarser: Period,
    ended: Minute,
) -> Result<(), StoreError> {
    let Some(period) = coarser.finer() else { return Ok(()) };
    loop {
        let Some(watermark) = state.rolled_up(period) else { return Ok(()) };
        // Time without blocks is passed over in one step.
        let next = store.first_interval(state.writer, period, watermark).await?;
        let next = next.map(|block| Interval::containing(coarser, block.start)).filter(|next| next.end() <= ended);
        let reached = match next {
            Some(next) => {
                sum(store, state, next).await?;
                next.end()
            }
            None => Interval::containing(coarser, ended).start,
        };
        if reached > watermark {
            if let Some(watermark) = state.rolled_up.get_mut(period as usize) {
                *watermark = reached;
            }
            store.put_writer(state).await?;
        }
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Puts the coarse blocks of one interval in place of whatever coarse blocks are there.
async fn sum(store: &dyn Store, state: &WriterState, interval: Interval) -> Result<(), StoreError> {
    let Some(period) = interval.period.finer() else { return Ok(()) };
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
        let octets = sum_groups(store, state, interval, now).await?;
        at_once = if octets < OCTETS_AT_ONCE / 2 { (at_once * 2).min(GROUPS_AT_ONCE) } else { (at_once / 2).max(1) };
        rest = later;
    }
    Ok(())
}

/// Puts the coarse blocks of some groups; returns how many octets of finer blocks they were made from.
async fn sum_groups(
    store: &dyn Store,
    state: &WriterState,
    interval: Interval,
    groups: &[((IpAddr, Prefix), Vec<Interval>)],
) -> Result<usize, StoreError> {
    let select =
        |interval, (sender, prefix): (IpAddr, Prefix)| Selection { interval, sender, prefix, tables: TableSet::ALL };
    let finer: Vec<Selection> =
        groups.iter().flat_map(|(group, parts)| parts.iter().map(|part| select(*part, *group))).collect();
    let coarse: Vec<Selection> = groups.iter().map(|(group, _)| select(interval, *group)).collect();
    let finer = store.read_blocks_of(state.writer, &finer).await?;
    let summed = roll_up(interval, &finer);
    for damaged in &summed.damaged {
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
    Ok(finer.iter().map(|block: &Block| block.content.len()).sum())
}

#[cfg(test)]
mod tests;
