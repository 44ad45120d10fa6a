//! What collectors on one store know of each other: the writers, their epochs, and how far each is rolled up.

use std::time::Duration;

use accounting::block::WriterId;
use accounting::watermarks::Watermarks;
use async_trait::async_trait;
use flow::{FlushNumber, Timestamp};

use crate::StoreError;

/// Whether a writer is running, as far as other writers know: the blocks of one that is gone are rolled up by another one.
/// Ordered by time; an import comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// A collector, or an import that has finished: it last reported at this time that it is running.
    Seen(Timestamp),
    /// An import that has not finished: it is never gone, and rolls up for no other writer.
    Importing,
}

impl Presence {
    /// Stored times are signed in some stores and end there; no later one is a time of a collector.
    const IMPORTING: u64 = i64::MAX.cast_unsigned();

    /// From the time that a store has.
    #[must_use]
    pub(crate) fn of_stored(seen: Timestamp) -> Self {
        if seen.nanoseconds() < Self::IMPORTING { Self::Seen(seen) } else { Self::Importing }
    }

    /// The time that a store has for it.
    #[must_use]
    pub(crate) fn stored(self) -> Timestamp {
        match self {
            Self::Seen(seen) => seen,
            Self::Importing => Timestamp::from_nanoseconds(u64::MAX),
        }
    }

    /// Whether it has not reported for so long.
    #[must_use]
    pub fn is_gone(self, now: Timestamp, after: Duration) -> bool {
        matches!(self, Self::Seen(seen) if seen.saturating_add(after) < now)
    }

    /// Whether it has reported within so long, before or after `now`.
    #[must_use]
    pub fn is_here(self, now: Timestamp, within: Duration) -> bool {
        matches!(self, Self::Seen(seen) if seen.abs_diff(now) <= within)
    }
}

/// The state of a writer, for all collectors on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterState {
    /// The writer.
    pub writer: WriterId,
    /// Its newest epoch.
    pub epoch: u32,
    /// Whether it is running.
    pub presence: Presence,
    /// How far it is rolled up. A query reads the coarser blocks before a watermark and the finer ones after it.
    pub watermarks: Watermarks,
}

impl WriterState {
    /// A collector that has written nothing yet.
    #[must_use]
    pub fn new(writer: WriterId, epoch: u32, seen: Timestamp) -> Self {
        Self { writer, epoch, presence: Presence::Seen(seen), watermarks: Watermarks::default() }
    }

    /// An import that has written nothing yet.
    #[must_use]
    pub fn import(writer: WriterId) -> Self {
        Self { writer, epoch: 1, presence: Presence::Importing, watermarks: Watermarks::default() }
    }
}

/// How far a writer has come, of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: WriterState,
    /// The newest of its flushes of which the store has all blocks; of later ones it may have some. `None` when that is
    /// not known: then whatever is there counts.
    pub flushed: Option<FlushNumber>,
}

impl Progress {
    /// Of a store that keeps both apart. The number is out of date when the writer has started since: with a program that
    /// does not note it, or with flushes of its former run to put before its own.
    #[must_use]
    pub(crate) fn of_stored(state: WriterState, noted: Option<FlushNumber>) -> Self {
        Self { state, flushed: noted.filter(|noted| noted.epoch == state.epoch) }
    }

    /// Without the number if the writer is not running: a store that lost it just before the end of the writer must not
    /// hide blocks forever.
    #[must_use]
    #[cfg(any(feature = "redis", feature = "cassandra"))]
    pub(crate) fn if_running(self, now: Timestamp) -> Self {
        /// How long after it last reported a writer may still be putting a flush.
        const MAY_FLUSH: Duration = Duration::from_secs(3600);
        Self { flushed: self.flushed.filter(|_| self.state.presence.is_here(now, MAY_FLUSH)), ..self }
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

    /// Notes that the store has all blocks of this flush and of the ones before it, and maybe not all of the next. A store
    /// that takes a flush in one step ([`put_flush`](crate::Store::put_flush)) notes it with that.
    async fn put_flushed(&self, _writer: WriterId, _number: FlushNumber) -> Result<(), StoreError> {
        Ok(())
    }

    /// All writers and how far they have come, sorted. What was rolled up in a state that this returns was flushed
    /// by the number that is returned with it.
    async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        let states = self.writers().await?.into_iter();
        Ok(states.map(|state| Progress { state, flushed: None }).collect())
    }
}
