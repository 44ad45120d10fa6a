//! What collectors on one store know of each other: the writers, their epochs, and how far each is rolled up.

use accounting::block::WriterId;
use accounting::period::{Minute, Period};
use async_trait::async_trait;
use flow::Timestamp;

use crate::StoreError;

/// The state of a writer, for all collectors on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterState {
    /// The writer.
    pub writer: WriterId,
    /// Its newest epoch.
    pub epoch: u32,
    /// When it last reported that it is running.
    pub seen: Timestamp,
    /// For each period (`period as usize`): all blocks of this writer that end at or before this minute are summed into
    /// the next coarser period. A query reads the coarser blocks before it and the finer ones after it.
    pub rolled_up: [Minute; 4],
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

/// The writers of a store. Every call may be repeated without harm.
#[async_trait]
pub trait Writers: Send + Sync {
    /// All writers that the store knows, sorted.
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError>;

    /// Stores the state of a writer, whatever the store knew of it.
    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError>;

    /// Stores the state of a writer if the store knows exactly `known` of it, in one atomic step (a compare-and-set).
    /// Returns whether the store has `state` now; repeated after an unknown outcome, it still does.
    async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError>;
}
