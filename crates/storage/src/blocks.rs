//! Blocks, and how they are found: by interval, sender and prefix, or by the writer whose periods are rolled up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use async_trait::async_trait;
use flow::Prefix;

use crate::{StoreError, WriterState};

/// Blocks of one interval, sender and prefix that hold at least one of these tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// The interval, exactly.
    pub interval: Interval,
    /// The sender.
    pub sender: IpAddr,
    /// The prefix, exactly.
    pub prefix: Prefix,
    /// At least one of these tables.
    pub tables: TableSet,
}

/// How many intervals of a period are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The period.
    pub period: Period,
    /// Blocks of this period that start before this minute may go.
    pub before: Minute,
}

impl Retention {
    /// What may go of the blocks of a writer: nothing that is not rolled up, and nothing of a writer that is not known.
    /// Years are never rolled up and may go.
    #[must_use]
    pub fn bounded(self, writer: Option<&WriterState>) -> Self {
        let watermarks = writer.map(|state| state.watermarks).unwrap_or_default();
        Self { before: watermarks.get(self.period).map_or(self.before, |until| self.before.min(until)), ..self }
    }
}

/// The blocks of a store. Every call may be repeated without harm.
#[async_trait]
pub trait Blocks: Send + Sync {
    /// Puts blocks; a block replaces the one with the same key. When this returns `Ok`, all of them are durable. A writer
    /// must be known ([`put_writer`](crate::Writers::put_writer)) before its first block is put: queries read the blocks of known
    /// writers.
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError>;

    /// All blocks that any of the selections names, in no particular order, each once.
    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError>;

    /// Those of [`read_blocks`](Self::read_blocks) that one writer wrote.
    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let mut blocks = self.read_blocks(selections).await?;
        blocks.retain(|block| block.key.writer == writer);
        Ok(blocks)
    }

    /// The blocks of these that the store lost, in the order given: those that are not there, and those that are there but
    /// would not be found by [`groups`](Self::groups) and [`intervals`](Self::intervals). Putting them again restores both.
    /// A store that need not read contents for it does not.
    async fn missing(&self, keys: &[BlockKey]) -> Result<Vec<BlockKey>, StoreError> {
        let mut selections: BTreeMap<WriterId, Vec<Selection>> = BTreeMap::new();
        for BlockKey { interval, sender, prefix, writer, tables, .. } in keys.iter().copied() {
            selections.entry(writer).or_default().push(Selection { interval, sender, prefix, tables });
        }
        let mut found = BTreeSet::new();
        for (writer, selections) in selections {
            found.extend(self.read_blocks_of(writer, &selections).await?.into_iter().map(|block| block.key));
        }
        Ok(keys.iter().copied().filter(|key| !found.contains(key)).collect())
    }

    /// The senders and prefixes for which this writer has blocks of this interval, each once, sorted.
    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError>;

    /// The start of the earliest interval of this period, at or after the minute, for which this writer has blocks.
    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError>;

    /// All intervals of this period that start at or after `from` and before `before`, for which this writer has
    /// blocks; in the order of time.
    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        let mut found = Vec::new();
        let mut from = from;
        while let Some(interval) = self.first_interval(writer, period, from).await? {
            if interval.start >= before {
                break;
            }
            found.push(interval);
            from = interval.end();
        }
        Ok(found)
    }

    /// Deletes blocks; those that are not there are ignored.
    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError>;

    /// Deletes all blocks of a writer, of every period, whether they are rolled up or not. May be interrupted: repeating it
    /// deletes the rest.
    async fn forget_writer(&self, writer: WriterId) -> Result<(), StoreError>;

    /// Deletes all blocks of a writer and period that start before a minute; returns how many went. Blocks that are not
    /// rolled up yet, as far as the store remembers of the writer, stay however old they are. A store that lets blocks
    /// expire by itself may keep them until they do. What goes is noted for [`expired`](Self::expired).
    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError>;

    /// Before which minute blocks of each period have expired, of any writer; the epoch if none have. A sum of what is left
    /// of them may be too low, whatever the retention is now: a longer one brings nothing back.
    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError>;

    /// Notes that blocks before these minutes have expired, beside what is noted already.
    async fn put_expired(&self, before: PerPeriod<Minute>) -> Result<(), StoreError>;
}
