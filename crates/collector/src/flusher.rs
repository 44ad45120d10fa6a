//! Tallies become numbered, immutable blocks in the store; finished periods are rolled up; old ones expire.
//!
//! One flusher writes for one writer. It does one thing after the other, so a late flow is never booked while the
//! period that it belongs to is being rolled up. A store on the network gets its flushes over a spool on this machine's
//! disk, in their order; while some wait there, nothing is rolled up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use accounting::block::{Block, WriterId};
use accounting::period::{Minute, Period};
use accounting::rollup;
use flow::Timestamp;
use storage::spool::{FlushNumber, Spool, SpoolError};
use storage::{Retention, Store, StoreError, WriterState};

use crate::shard::Sealed;
use crate::status::Status;

/// After how long without a sign of life a writer's periods are rolled up by others.
const GONE_AFTER: Duration = Duration::from_secs(3600);
/// How long a period must be over before it is rolled up: flows of its last moments are still on their way.
const GRACE_MINUTES: u32 = 2;
/// The first and the longest pause between two tries at a store that does not answer.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
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
    /// `None` for a store on this machine's disk.
    spool: Option<Spool>,
    /// What senders have announced and the store has not taken yet.
    announced: BTreeMap<IpAddr, Vec<u8>>,
}

impl Flusher {
    /// A flusher for one writer; `state` is that of the store, with the epoch of this start.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, state: WriterState, keep: Keep, status: Status) -> Self {
        Self { store, state, keep, status, sequence: 0, spool: None, announced: BTreeMap::new() }
    }

    /// The same, by way of a spool.
    #[must_use]
    pub fn over(self, spool: Option<Spool>) -> Self {
        let flusher = Self { spool, ..self };
        flusher.note_spool();
        flusher
    }

    /// How many flushes wait for the store.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::waiting)
    }

    /// Puts everything that was sealed, as the next numbered flush, into the spool or else into the store. Comes back
    /// when it is durable; what does not take it is asked again, for as long as `give_up` does not say otherwise.
    ///
    /// # Errors
    /// What was said last, when `give_up` ended the trying. Nothing is half-done: putting again is harmless.
    pub async fn flush(
        &mut self,
        sealed: &Sealed,
        now: Timestamp,
        mut give_up: impl FnMut() -> bool,
    ) -> Result<(), StoreError> {
        // A number is never used again, not even after giving up: the store may have taken what it did not answer to.
        self.sequence += 1;
        let blocks = sealed.tally.blocks(self.state.writer, self.state.epoch, self.sequence);
        let begun = Instant::now();
        self.put(&blocks, now, &mut give_up).await?;
        let took = begun.elapsed();
        self.announced.extend(sealed.announced.iter().cloned());
        // A store that is away is not asked for what can wait.
        if self.waiting() <= 1 {
            // Of no weight for the totals: the next flush says it again.
            if let Err(error) = self.store.touch_senders(&sealed.heard).await {
                tracing::debug!(%error, "the times of the last datagrams were not stored");
            }
            self.remember().await;
        }
        self.status.flushed(|counts| {
            counts.flushes += 1;
            counts.blocks += blocks.len() as u64;
            counts.folded += sealed.tally.folded();
            counts.last_took = took;
        });
        self.note_spool();
        Ok(())
    }

    /// Shows what waits.
    fn note_spool(&self) {
        let Some(spool) = &self.spool else { return };
        self.status.flushed(|counts| (counts.waiting, counts.waiting_bytes) = (spool.waiting(), spool.bytes()));
    }

    /// Of how many senders the store has not taken yet what they announced.
    #[must_use]
    pub fn unremembered(&self) -> usize {
        self.announced.len()
    }

    /// Stores what senders have announced. Of no weight for the totals either; but it may not be said again for long, so
    /// what the store does not take is put with the next flush.
    async fn remember(&mut self) {
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

    async fn put(
        &mut self,
        blocks: &[Block],
        now: Timestamp,
        give_up: &mut impl FnMut() -> bool,
    ) -> Result<(), StoreError> {
        let mut pause = FIRST_PAUSE;
        if blocks.is_empty() {
            return Ok(());
        }
        loop {
            match self.put_once(blocks, now).await {
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

    async fn put_once(&mut self, blocks: &[Block], now: Timestamp) -> Result<(), StoreError> {
        let Some(spool) = &mut self.spool else { return self.put_into_store(blocks).await };
        let number = FlushNumber { epoch: self.state.epoch, sequence: self.sequence };
        match spool.push(number, blocks) {
            Ok(()) => Ok(()),
            Err(SpoolError::Store(error)) => Err(error),
            Err(full @ SpoolError::Full { .. }) => {
                self.drain_one(now).await?;
                Err(StoreError::Reject(full.to_string()))
            }
        }
    }

    /// Puts the minutes of a flush into the store, and those that come late at every coarser period too that is rolled up.
    async fn put_into_store(&self, minutes: &[Block]) -> Result<(), StoreError> {
        let late =
            rollup::lift(minutes, &self.state.rolled_up).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        if late.is_empty() {
            return self.store.put_blocks(minutes).await;
        }
        self.store.put_blocks(&[minutes, &late].concat()).await
    }

    /// Puts the flush that has waited longest into the store; `false` when none waits.
    ///
    /// # Errors
    /// When the store does not take it: it goes on waiting.
    pub async fn drain_one(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let Some((number, minutes)) = self.spool.as_ref().map_or(Ok(None), Spool::oldest)? else { return Ok(false) };
        if self.state.seen.abs_diff(now) > GONE_AFTER / 2 {
            self.see_how_far_rolled_up(now).await?;
        }
        self.put_into_store(&minutes).await?;
        if let Some(spool) = &mut self.spool {
            spool.remove(number)?;
        }
        self.note_spool();
        Ok(true)
    }

    /// Another collector may have taken this one for gone, and rolled up for it, while it could not reach the store.
    async fn see_how_far_rolled_up(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let writers = self.store.writers().await?;
        if let Some(known) = writers.into_iter().find(|known| known.writer == self.state.writer) {
            self.state.rolled_up = known.rolled_up;
        }
        self.state.seen = now;
        self.store.put_writer(&self.state).await
    }

    /// Rolls up the periods that are over, of this writer and of those that are gone, and lets go of what is kept no longer.
    ///
    /// # Errors
    /// When the store does not answer: what was done stays done, the next call goes on from there.
    pub async fn maintain(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.waiting() > 0 {
            return Ok(());
        }
        let until = Minute(Minute::of(now).0.saturating_sub(GRACE_MINUTES));
        self.state =
            storage::roll_up::advance(self.store.as_ref(), WriterState { seen: now, ..self.state }, until).await?;
        self.expire(self.state.writer, now).await?;
        let own = self.state.writer;
        for gone in storage::roll_up::advance_gone(self.store.as_ref(), own, now, GONE_AFTER, until).await? {
            self.expire(gone.writer, now).await?;
        }
        Ok(())
    }

    /// Lets go of the blocks of a writer that are kept no longer.
    async fn expire(&self, writer: WriterId, now: Timestamp) -> Result<(), StoreError> {
        for period in Period::ALL {
            let Some(Some(keep)) = self.keep.periods.get(period as usize).copied() else { continue };
            let before = Minute::of(now.saturating_sub(keep));
            let gone = self.store.expire(writer, Retention { period, before }).await?;
            if gone > 0 {
                tracing::info!(period = period.name(), blocks = gone, "retention: blocks deleted");
            }
        }
        Ok(())
    }
}
