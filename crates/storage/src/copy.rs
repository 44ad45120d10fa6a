//! Copies everything of one store into another: senders with what they announced, remarks, and of each writer its blocks and, last,
//! its watermarks. Before these are written, readers of the target count the minutes only.
//!
//! Copying may be interrupted and repeated: what the target has already is not put again. Afterwards the target gives
//! the answers that the source gave when the copy began; what the source stores meanwhile is left to the next copy.
//!
//! - Coarse blocks after the source's watermark do not count (`roll_up.rs`) and are not copied. Those that only the
//!   target has are deleted where its own watermark has not been, because the one that is copied would make them count;
//!   and where they are sums that another collector has made there of what was copied by then.
//! - A writer of which the target knows more than the source, because it continued or was rolled up further there, is
//!   skipped: its totals there are made of blocks that the source does not have, and taking back its watermarks could
//!   hide them.
//! - A block that differs in the two stores is put unless it is damaged in the source.
//!
//! [`repair`] puts back single blocks from an older copy, and changes nothing else.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use accounting::block::{Block, BlockKey, Origin, Sums, WriterId};
use accounting::period::{Interval, Minute, Period};
use bytes::Bytes;
use flow::Timestamp;

use crate::batches::{Batches, Group, read};
use crate::registrations::{OPERATOR, RegisteredBy};
use crate::{Presence, Sender, Store, StoreError, WriterState};

/// Blocks are put together up to about this many octets.
const OCTETS_AT_ONCE: usize = 4 << 20;
/// The most blocks that are put together.
const BLOCKS_AT_ONCE: usize = 4096;
/// Of how many senders announcements are put together.
const ANNOUNCED_AT_ONCE: usize = 64;
/// The intervals of a period are listed for this many minutes at a time: ten days.
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
    /// Writers that were skipped, because the target knows more of them.
    pub ahead: Vec<WriterId>,
}

/// Replaces blocks that cannot be read in the target, where the source has them whole. `reached` is called as by [`copy`].
/// Nothing else changes: what the target has stored since the source was copied from it stays.
///
/// # Errors
/// When one of the stores fails: what was put stays, the next call continues.
pub async fn repair(
    source: &dyn Store,
    target: &dyn Store,
    reached: &mut dyn FnMut(WriterId, Interval, &Copied),
) -> Result<Copied, StoreError> {
    let mut copy = Copy::new(source, target, reached);
    copy.repairs = true;
    for state in source.writers().await? {
        copy.blocks(&state, &state).await?;
        copy.copied.writers += 1;
    }
    Ok(copy.copied)
}

/// Copies everything. `reached` is called with the writer and interval that are copied next, and what was copied so far.
///
/// # Errors
/// When one of the stores fails: what was copied stays, the next call continues.
pub async fn copy(
    source: &dyn Store,
    target: &dyn Store,
    reached: &mut dyn FnMut(WriterId, Interval, &Copied),
) -> Result<Copied, StoreError> {
    let mut copy = Copy::new(source, target, reached);
    // Before any block is read: the journal beside the target may have segments of flushes that are copied.
    let counted = source.counted().await?;
    copy.senders().await?;
    // What the source has lost is missing in the target.
    target.put_expired(source.expired().await?).await?;
    // Before any block is read: what moves meanwhile is for the next copy.
    let known: HashMap<WriterId, WriterState> =
        target.writers().await?.into_iter().map(|state| (state.writer, state)).collect();
    for state in source.writers().await? {
        copy.writer(&state, known.get(&state.writer)).await?;
    }
    if copy.copied.ahead.is_empty() {
        target.put_counted(&counted).await?;
    }
    Ok(copy.copied)
}

struct Copy<'c> {
    source: &'c dyn Store,
    target: &'c dyn Store,
    reached: &'c mut dyn FnMut(WriterId, Interval, &Copied),
    /// Only what is damaged in the target is copied.
    repairs: bool,
    copied: Copied,
    /// Blocks that are to be put.
    pending: Vec<Block>,
    pending_octets: usize,
}

impl<'c> Copy<'c> {
    fn new(
        source: &'c dyn Store,
        target: &'c dyn Store,
        reached: &'c mut dyn FnMut(WriterId, Interval, &Copied),
    ) -> Self {
        let (copied, pending) = (Copied::default(), Vec::new());
        Self { source, target, reached, repairs: false, copied, pending, pending_octets: 0 }
    }

    async fn senders(&mut self) -> Result<(), StoreError> {
        let senders = self.source.senders().await?;
        for sender in &senders {
            self.sender(sender).await?;
            self.copied.senders += u64::from(sender.address != OPERATOR);
        }
        let last: Vec<_> = senders.iter().filter_map(|sender| Some((sender.address, sender.last?))).collect();
        self.target.touch_senders(&last).await?;
        for some in self.source.templates().await?.chunks(ANNOUNCED_AT_ONCE) {
            self.target.put_templates(some).await?;
            self.copied.announced += some.len() as u64;
        }
        self.target.put_remarks(&self.source.all_remarks().await?).await?;
        Ok(())
    }

    async fn sender(&mut self, sender: &Sender) -> Result<(), StoreError> {
        self.target.add_prefixes(sender.address, &sender.prefixes).await?;
        let settings: Vec<_> = sender.settings.changed().collect();
        self.target.set(sender.address, &settings).await?;
        if !sender.tags.is_empty() {
            self.target.put_tags(sender.address, &sender.tags).await?;
        }
        if sender.name.is_some() {
            self.target.put_name(sender.address, sender.name.clone()).await?;
        }
        if sender.certificate_name.is_some() {
            self.target.put_certificate_name(sender.address, sender.certificate_name.clone()).await?;
        }
        if sender.by != RegisteredBy::Request {
            self.target.register(sender.address, sender.by).await?;
        }
        for network in &sender.networks {
            self.target.put_network(network.prefix, Some(network)).await?;
        }
        for address in &sender.refused {
            self.target.refuse(*address, true).await?;
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
        self.target.put_writer(&WriterState { presence: Presence::Seen(seen), ..begun }).await?;
        self.blocks(state, &begun).await?;
        self.target.put_writer(state).await?;
        self.copied.writers += 1;
        Ok(())
    }

    /// Copies the blocks of a writer that count. `known` is what the target has of the writer.
    async fn blocks(&mut self, state: &WriterState, known: &WriterState) -> Result<(), StoreError> {
        for period in Period::ALL {
            let mut from = Minute::EPOCH;
            while let Some(first) = self.source.first_interval(state.writer, period, from).await? {
                let before = first.start.saturating_add(LISTED_MINUTES).max(first.end());
                for interval in self.source.intervals(state.writer, period, first.start, before).await? {
                    if state.watermarks.is_rolled_up(interval) {
                        self.interval(interval, known).await?;
                    }
                }
                if before <= from {
                    break;
                }
                from = before;
            }
        }
        self.put().await
    }

    /// Copies all blocks of a writer's interval. `known` is what the target has of the writer.
    async fn interval(&mut self, interval: Interval, known: &WriterState) -> Result<(), StoreError> {
        let writer = known.writer;
        let counted = known.watermarks.is_rolled_up(interval);
        let there = self.target.groups(writer, interval).await?;
        let mut groups = self.source.groups(writer, interval).await?;
        if !counted {
            groups.extend(&there);
            groups.sort_unstable();
            groups.dedup();
        }
        let mut batches = Batches::of_groups(writer, interval, groups);
        while let Some(batch) = batches.next(self.source).await? {
            let common: Vec<_> = batch.keys().filter(|group| there.binary_search(group).is_ok()).copied().collect();
            let found =
                if common.is_empty() { Vec::new() } else { read(self.target, writer, interval, &common).await? };
            let mut found: HashMap<BlockKey, Bytes> =
                found.into_iter().map(|block| (block.key, block.content)).collect();
            let mut summed: HashSet<Group> = HashSet::new();
            for block in batch.into_values().flatten() {
                if block.key.origin == Origin::RolledUp {
                    summed.insert((block.key.sender, block.key.prefix));
                }
                let there = found.remove(&block.key).map(|content| Block { content, ..block });
                if self.is_wanted(&block, there.as_ref()) {
                    self.push(block).await?;
                } else if there.is_some() {
                    self.copied.present += 1;
                }
            }
            // What is left is in the target alone. Where it does not count yet it would from now on; and of a group there
            // is one sum, which another collector may have made of other blocks.
            let again = |key: &BlockKey| key.origin == Origin::RolledUp && summed.contains(&(key.sender, key.prefix));
            let foreign: Vec<BlockKey> = found.into_keys().filter(|key| !counted || again(key)).collect();
            if !foreign.is_empty() && !self.repairs {
                self.target.delete_blocks(&foreign).await?;
            }
            (self.reached)(writer, interval, &self.copied);
        }
        Ok(())
    }

    /// Whether a block of the source has to be put, when the target has this one under its key.
    fn is_wanted(&self, block: &Block, there: Option<&Block>) -> bool {
        match there {
            None => !self.repairs,
            Some(there) if there.content == block.content || !is_readable(block) => false,
            Some(there) => !self.repairs || !is_readable(there),
        }
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
    first.epoch > second.epoch || first.watermarks.latest(second.watermarks) != second.watermarks
}

fn is_readable(block: &Block) -> bool {
    Sums::default().merge(block).is_ok()
}

#[cfg(test)]
mod tests;
