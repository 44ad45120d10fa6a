//! The trait that every store implements, small enough to break on purpose in tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, Period};
use async_trait::async_trait;
use flow::{Prefix, Timestamp};

use crate::spool::Flush;

/// Why a store did not do what it was asked. One variant for each decision of the caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or may not have carried it out: do it again, which is always harmless.
    #[error("the store is not reachable: {0}")]
    Retry(String),
    /// The store will never accept this: report it, do not repeat it.
    #[error("the store refuses: {0}")]
    Reject(String),
    /// What the store holds is damaged: report it, serve the rest.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// Another process with this identity has started after this one: stop.
    #[error("{0}")]
    Superseded(String),
    /// The settings are wrong: tell the operator, do not start.
    #[error("{0}")]
    Config(String),
}

/// A registered sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The source address of its datagrams, canonical.
    pub address: IpAddr,
    /// Its monitored prefixes, sorted, each once.
    pub prefixes: Vec<Prefix>,
    /// When its last datagram was received.
    pub last: Option<Timestamp>,
}

/// What a writer has to have remembered by all collectors of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterState {
    /// Who.
    pub writer: WriterId,
    /// Its newest epoch.
    pub epoch: u32,
    /// When it last said that it is there.
    pub seen: Timestamp,
    /// For each period (`period as usize`): all blocks of this writer that end at or before this minute are summed into
    /// the next coarser period. A query reads the coarser blocks before it and the finer ones behind it.
    pub rolled_up: [Minute; 4],
}

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

impl WriterState {
    /// A writer that has written nothing yet.
    #[must_use]
    pub fn new(writer: WriterId, epoch: u32, seen: Timestamp) -> Self {
        Self { writer, epoch, seen, rolled_up: [Minute(0); 4] }
    }

    /// All blocks of this period that start before this minute are rolled up; `None` for years, which never are.
    #[must_use]
    pub fn rolled_up(&self, period: Period) -> Option<Minute> {
        self.rolled_up.get(period as usize).copied()
    }
}

impl Retention {
    /// What may go of the blocks of a writer: nothing that is not rolled up, and nothing of a writer that is not known.
    /// Years are never rolled up and may go.
    #[must_use]
    pub fn bounded(self, writer: Option<&WriterState>) -> Self {
        let rolled_up = writer.map_or(Some(Minute(0)), |state| state.rolled_up(self.period));
        Self { before: rolled_up.map_or(self.before, |rolled_up| self.before.min(rolled_up)), ..self }
    }
}

/// What every store does. All of it may be repeated without harm.
#[async_trait]
pub trait Store: Send + Sync {
    /// All registered senders, sorted by address.
    async fn senders(&self) -> Result<Vec<Sender>, StoreError>;

    /// One sender.
    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError>;

    /// Registers the sender if it is not yet, and adds these prefixes to those it has.
    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError>;

    /// Takes these prefixes away; those that it has not are ignored. `false` when there is no such sender.
    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError>;

    /// Forgets the sender; what was counted for it stays. `false` when there is no such sender.
    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError>;

    /// Remembers when datagrams of these senders were last received; an older time never replaces a newer one, and a
    /// sender that is not registered is ignored.
    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError>;

    /// Remembers what senders have announced (templates, sampling rates), in the encoding of `wire`, in place of what was
    /// remembered of each before. A store may ignore senders that are not registered.
    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError>;

    /// What senders have announced, in no particular order. Removing a sender removes it too.
    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError>;

    /// Puts blocks; one whose key is there already replaces it. When this returns `Ok`, all of them are durable. A writer
    /// says who it is ([`put_writer`](Self::put_writer)) before it puts its first block: queries ask for the blocks of
    /// known writers.
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError>;

    /// Puts a flush of this writer, which may have no blocks, and what senders have announced until it was made. A store on
    /// this machine's disk does both at once and [notes](crate::State::durable) that the flush is durable: then a crash
    /// never leaves one without the other.
    async fn put_flush(
        &self,
        _writer: WriterId,
        flush: &Arc<Flush>,
        announced: &[(IpAddr, Vec<u8>)],
    ) -> Result<(), StoreError> {
        self.put_blocks(&flush.blocks).await?;
        self.put_templates(announced).await
    }

    /// All blocks that any of the selections names, in no particular order, each once.
    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError>;

    /// Those of [`read_blocks`](Self::read_blocks) that one writer wrote.
    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let mut blocks = self.read_blocks(selections).await?;
        blocks.retain(|block| block.key.writer == writer);
        Ok(blocks)
    }

    /// Those of these blocks that are not here, in the order given. A store that can tell without reading contents does.
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

    /// The start of the earliest interval of this period, at or behind the minute, for which this writer has blocks.
    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError>;

    /// All intervals of this period that start at or behind `from` and before `before`, for which this writer has
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

    /// Deletes all blocks of a writer and period that start before a minute; returns how many went. Blocks that are not
    /// rolled up yet, as far as the store remembers of the writer, stay however old they are. A store that lets blocks
    /// expire by itself may keep them until they do.
    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError>;

    /// All writers that were ever here, sorted.
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError>;

    /// Remembers a writer's state.
    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError>;
}
