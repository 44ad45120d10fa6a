//! Everything of one store into another: senders with what they announced, and of each writer its blocks and, last, its
//! watermarks. Until those are there, readers of the target count the minutes alone.
//!
//! Copying may be interrupted and repeated: what the target has already is not put again. After it the target tells the
//! same of each writer as the source did when the copying began; what is stored in the source meanwhile is taken over by
//! the next copy.
//!
//! - Coarse blocks behind the source's watermark count for nobody (`roll_up.rs`) and are not copied. Those that the
//!   target has where its own watermark has not been are deleted: the one that is copied would make them count.
//! - A writer of which the target knows more than the source, because it has gone on there, is left alone: its totals
//!   there are made of blocks that the source does not have, and taking back its watermarks could hide them.
//! - A block that differs in the two stores (equal keys mean equal content, so one of them is damaged) is put unless the
//!   source's is the damaged one.

use std::collections::HashMap;
use std::time::SystemTime;

use accounting::block::{Block, BlockKey, Sums, WriterId};
use accounting::period::{Interval, Minute, Period};
use flow::Timestamp;

use crate::batches::{Batches, read};
use crate::check::is_summed;
use crate::{Store, StoreError, WriterState};

/// Blocks are put together up to about this many octets.
const OCTETS_AT_ONCE: usize = 4 << 20;
/// The most blocks that are put together.
const BLOCKS_AT_ONCE: usize = 4096;
/// Of how many senders announcements are put together.
const ANNOUNCED_AT_ONCE: usize = 64;
/// The intervals of a period are listed for so many minutes at a time: ten days.
const LISTED_MINUTES: u32 = 10 * 24 * 60;

/// What has been copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Senders.
    pub senders: u64,
    /// Senders whose announcements were copied.
    pub announced: u64,
    /// Writers.
    pub writers: u64,
    /// Blocks that were put.
    pub blocks: u64,
    /// Octets of these.
    pub octets: u64,
    /// Blocks that the target had already.
    pub present: u64,
    /// Writers that were left alone, because the target knows more of them.
    pub ahead: Vec<WriterId>,
}

/// Copies everything. `reached` is told what was copied so far, and which interval of which writer is being copied.
///
/// # Errors
/// When one of the stores fails: what was copied stays copied, the next call goes on.
pub async fn copy(
    source: &dyn Store,
    target: &dyn Store,
    reached: &mut dyn FnMut(WriterId, Interval, &Copied),
) -> Result<Copied, StoreError> {
    let mut copy = Copy { source, target, reached, copied: Copied::default(), pending: Vec::new(), pending_octets: 0 };
    copy.senders().await?;
    // Before any block is read: what moves meanwhile is for the next copy.
    let known: HashMap<WriterId, WriterState> =
        target.writers().await?.into_iter().map(|state| (state.writer, state)).collect();
    for state in source.writers().await? {
        copy.writer(&state, known.get(&state.writer)).await?;
    }
    Ok(copy.copied)
}

struct Copy<'c> {
    source: &'c dyn Store,
    target: &'c dyn Store,
    reached: &'c mut dyn FnMut(WriterId, Interval, &Copied),
    copied: Copied,
    /// Blocks that are to be put.
    pending: Vec<Block>,
    pending_octets: usize,
}

impl Copy<'_> {
    async fn senders(&mut self) -> Result<(), StoreError> {
        let senders = self.source.senders().await?;
        for sender in &senders {
            self.target.add_prefixes(sender.address, &sender.prefixes).await?;
            self.copied.senders += 1;
        }
        let last: Vec<_> = senders.iter().filter_map(|sender| Some((sender.address, sender.last?))).collect();
        self.target.touch_senders(&last).await?;
        for some in self.source.templates().await?.chunks(ANNOUNCED_AT_ONCE) {
            self.target.put_templates(some).await?;
            self.copied.announced += some.len() as u64;
        }
        Ok(())
    }

    /// `known` is what the target has of the writer.
    async fn writer(&mut self, state: &WriterState, known: Option<&WriterState>) -> Result<(), StoreError> {
        if known.is_some_and(|known| is_ahead(known, state)) {
            self.copied.ahead.push(state.writer);
            return Ok(());
        }
        // A writer comes before its blocks; without watermarks, only its minutes count. It shows as one that is there, so
        // that no collector of the target takes it for gone and rolls up what is half copied.
        let seen = Timestamp::from(SystemTime::now());
        let begun = known.copied().unwrap_or(WriterState::new(state.writer, state.epoch, seen));
        self.target.put_writer(&WriterState { seen, ..begun }).await?;
        for period in Period::ALL {
            let mut from = Minute(0);
            while let Some(first) = self.source.first_interval(state.writer, period, from).await? {
                let before = Minute(first.start.0.saturating_add(LISTED_MINUTES)).max(first.end());
                for interval in self.source.intervals(state.writer, period, first.start, before).await? {
                    if is_summed(state, interval) {
                        self.interval(interval, &begun).await?;
                    }
                }
                if before <= from {
                    break;
                }
                from = before;
            }
        }
        self.put().await?;
        self.target.put_writer(state).await?;
        self.copied.writers += 1;
        Ok(())
    }

    /// Copies all blocks of a writer's interval. `known` is what the target has of the writer.
    async fn interval(&mut self, interval: Interval, known: &WriterState) -> Result<(), StoreError> {
        let writer = known.writer;
        let there = self.target.groups(writer, interval).await?;
        if !is_summed(known, interval) {
            self.delete_foreign(interval, known).await?;
        }
        let mut batches = Batches::of(self.source, writer, interval).await?;
        while let Some(batch) = batches.next(self.source).await? {
            let common: Vec<_> = batch.keys().filter(|group| there.binary_search(group).is_ok()).copied().collect();
            let found =
                if common.is_empty() { Vec::new() } else { read(self.target, writer, interval, &common).await? };
            let found: HashMap<BlockKey, Vec<u8>> = found.into_iter().map(|block| (block.key, block.content)).collect();
            for block in batch.into_values().flatten() {
                match found.get(&block.key) {
                    Some(content) if *content == block.content || !is_readable(&block) => self.copied.present += 1,
                    _ => self.push(block).await?,
                }
            }
            (self.reached)(writer, interval, &self.copied);
        }
        Ok(())
    }

    /// Deletes coarse blocks of the target that the source does not have, where the target's watermark has not been.
    async fn delete_foreign(&self, interval: Interval, known: &WriterState) -> Result<(), StoreError> {
        let mut batches = Batches::of(self.target, known.writer, interval).await?;
        while let Some(batch) = batches.next(self.target).await? {
            let groups: Vec<_> = batch.keys().copied().collect();
            let ours = read(self.source, known.writer, interval, &groups).await?;
            let theirs = batch.values().flatten().map(|block| block.key);
            let foreign: Vec<BlockKey> = theirs.filter(|key| ours.iter().all(|block| block.key != *key)).collect();
            if !foreign.is_empty() {
                self.target.delete_blocks(&foreign).await?;
            }
        }
        Ok(())
    }

    async fn push(&mut self, block: Block) -> Result<(), StoreError> {
        self.pending_octets += block.content.len();
        self.pending.push(block);
        if self.pending_octets >= OCTETS_AT_ONCE || self.pending.len() >= BLOCKS_AT_ONCE {
            self.put().await?;
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<(), StoreError> {
        if !self.pending.is_empty() {
            self.target.put_blocks(&self.pending).await?;
        }
        self.copied.blocks += self.pending.len() as u64;
        self.copied.octets += self.pending_octets as u64;
        self.pending.clear();
        self.pending_octets = 0;
        Ok(())
    }
}

/// Whether the first of two stores has more of a writer than the second one.
fn is_ahead(first: &WriterState, second: &WriterState) -> bool {
    let further = first.rolled_up.iter().zip(&second.rolled_up).any(|(first, second)| first > second);
    first.epoch > second.epoch || further
}

fn is_readable(block: &Block) -> bool {
    Sums::default().merge(block).is_ok()
}

#[cfg(test)]
mod tests;
