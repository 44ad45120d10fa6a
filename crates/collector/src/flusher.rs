//! Tallies become numbered, immutable blocks in the store; finished periods are rolled up; old ones expire.
//!
//! One flusher writes for one writer. It does one thing after the other, so a late flow is never booked while the
//! period that it belongs to is being rolled up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::block::Block;
use accounting::period::{Minute, Period};
use accounting::rollup;
use flow::Timestamp;
use storage::{Retention, Store, StoreError, WriterState};

use crate::shard::Sealed;
use crate::status::Status;

/// How long a period must be over before it is rolled up: flows of its last moments are still on their way.
const GRACE_MINUTES: u32 = 2;
/// The longest pause between two tries at a store that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Of how many senders announcements are stored at once: usually a hundred kilobytes, megabytes at worst.
const ANNOUNCED_AT_ONCE: usize = 64;

/// How long blocks are kept, for each period that has an end; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// By `period as usize`.
    pub periods: [Option<Duration>; 5],
}

/// Writes what shards have counted.
pub struct Flusher {
    store: Arc<dyn Store>,
    state: WriterState,
    keep: Keep,
    status: Status,
    sequence: u64,
    /// What senders have announced and the store has not taken yet.
    announced: BTreeMap<IpAddr, Vec<u8>>,
}

impl Flusher {
    /// A flusher for one writer; `state` is that of the store, with the epoch of this start.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, state: WriterState, keep: Keep, status: Status) -> Self {
        Self { store, state, keep, status, sequence: 0, announced: BTreeMap::new() }
    }

    /// Puts everything that was sealed, as the next numbered flush. Comes back when it is durable; a store that does
    /// not answer is asked again, for as long as `give_up` does not say otherwise.
    ///
    /// # Errors
    /// What the store said last, when `give_up` ended the trying. Nothing is half-done: putting again is harmless.
    pub async fn flush(&mut self, sealed: &Sealed, mut give_up: impl FnMut() -> bool) -> Result<(), StoreError> {
        let mut blocks = sealed.tally.blocks(self.state.writer, self.state.epoch, self.sequence + 1);
        let late =
            rollup::lift(&blocks, &self.state.rolled_up).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        blocks.extend(late);
        self.put(&blocks, &mut give_up).await?;
        self.sequence += 1;
        // Of no weight for the totals: the next flush says it again.
        if let Err(error) = self.store.touch_senders(&sealed.heard).await {
            tracing::debug!(%error, "the times of the last datagrams were not stored");
        }
        self.remember(&sealed.announced).await;
        self.status.flushed(|counts| {
            counts.flushes += 1;
            counts.blocks += blocks.len() as u64;
            counts.folded += sealed.tally.folded();
        });
        Ok(())
    }

    /// Of how many senders the store has not taken yet what they announced.
    #[must_use]
    pub fn unremembered(&self) -> usize {
        self.announced.len()
    }

    /// Stores what senders have announced. Of no weight for the totals either; but it may not be said again for long, so
    /// what the store does not take is put with the next flush.
    async fn remember(&mut self, announced: &[(IpAddr, Vec<u8>)]) {
        self.announced.extend(announced.iter().cloned());
        while !self.announced.is_empty() {
            let some = self.announced.iter().take(ANNOUNCED_AT_ONCE);
            let some: Vec<_> = some.map(|(sender, announced)| (*sender, announced.clone())).collect();
            match self.store.put_templates(&some).await {
                Ok(()) => {}
                Err(error @ StoreError::Reject(_)) => {
                    tracing::warn!(%error, senders = some.len(), "templates are not kept: data wait for the next ones after a restart");
                }
                Err(error) => {
                    tracing::debug!(%error, senders = self.announced.len(), "templates are not kept yet");
                    return;
                }
            }
            for (sender, _) in &some {
                self.announced.remove(sender);
            }
        }
    }

    async fn put(&self, blocks: &[Block], give_up: &mut impl FnMut() -> bool) -> Result<(), StoreError> {
        let mut pause = Duration::from_millis(100);
        if blocks.is_empty() {
            return Ok(());
        }
        loop {
            match self.store.put_blocks(blocks).await {
                Ok(()) => return Ok(()),
                Err(error) if give_up() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, blocks = blocks.len(), "a flush is not stored; trying again");
                    self.status.flushed(|counts| counts.retries += 1);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Rolls up the periods that are over and lets go of what is kept no longer.
    ///
    /// # Errors
    /// When the store does not answer: what was done stays done, the next call goes on from there.
    pub async fn maintain(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let until = Minute(Minute::of(now).0.saturating_sub(GRACE_MINUTES));
        self.state.seen = now;
        self.state = storage::roll_up::advance(self.store.as_ref(), self.state, until).await?;
        for period in Period::ALL {
            let Some(Some(keep)) = self.keep.periods.get(period as usize).copied() else { continue };
            let before = Minute::of(now.saturating_sub(keep));
            let gone = self.store.expire(self.state.writer, Retention { period, before }).await?;
            if gone > 0 {
                tracing::info!(period = period.name(), blocks = gone, "retention: blocks deleted");
            }
        }
        Ok(())
    }
}
