//! Tallies become numbered, immutable blocks in the store; finished periods are rolled up; old ones expire.
//!
//! One flusher writes for one writer. It does one thing after the other, so a late flow is never booked while the
//! period that it belongs to is being rolled up. A store on the network gets its flushes over a spool on this machine's
//! disk, in their order; while some wait there, nothing is rolled up. What it has accepted is looked for once more
//! (`flusher/held.rs`).
//!
//! Which coarser blocks a flush has is decided once, when it goes into the spool, by how far this writer is rolled up, and
//! it is put exactly so. Only when another collector has rolled up for this writer since is it decided again: what of it
//! the store has was counted by that roll-up, what is missing is lifted into what is rolled up now.

mod announced;
mod blocks;
mod held;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::{Interval, Minute, Period};
use accounting::query::is_rolled_up;
use accounting::rollup;
use accounting::tally::Tally;
use flow::{FlushNumber, Timestamp};
use storage::roll_up::{Course, advance_by, advance_gone};
use storage::spool::{Spool, SpoolError};
use storage::{Flush, Retention, Store, StoreError, WriterState};

use self::blocks::{added_up, one_flush};
use self::held::Held;
use crate::status::Status;
use journal::Journal;
use pipeline::Sealed;

/// After how long without a sign of life a writer's periods are rolled up by others.
const GONE_AFTER: Duration = Duration::from_secs(3600);
/// How old what is known of the own state in the store may be when something is put.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// About how many coarse blocks are put between two looks at flushes, and held.
const MOST_SUMS: usize = 50_000;
/// How long a period must be over before it is rolled up: flows of its last moments are still on their way.
const GRACE_MINUTES: u32 = 2;
/// The first and the longest pause between two tries at a store that does not answer.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long blocks are kept, for each period that has an end; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// By `period as usize`.
    pub periods: [Option<Duration>; 5],
}

impl Keep {
    /// Whether retention may take away blocks of this interval by now.
    fn may_go(&self, interval: Interval, now: Timestamp) -> bool {
        let keep = self.periods.get(interval.period as usize).copied().flatten();
        keep.is_some_and(|keep| interval.start < Minute::of(now.saturating_sub(keep)))
    }
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
    held: Held,
    /// The store has the state as it is here.
    said: bool,
    /// The state went back on purpose: what the store says is not to be believed until it has been told.
    taken_back: bool,
    /// When the own state was read from the store last.
    looked: Timestamp,
    /// Another process with this identity has started.
    is_superseded: bool,
    /// The newest time at which this process said that it is there.
    seen: Timestamp,
    /// What senders have announced and the store has not taken yet.
    announced: BTreeMap<IpAddr, Vec<u8>>,
    /// Holds what is not durable.
    journal: Option<Arc<Journal>>,
}

impl Flusher {
    /// A flusher for one writer; `state` is that of the store, with the epoch of this start.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, state: WriterState, keep: Keep, status: Status) -> Self {
        Self {
            store,
            state,
            keep,
            status,
            sequence: 0,
            spool: None,
            held: Held::default(),
            said: true,
            taken_back: false,
            looked: Timestamp::EPOCH,
            is_superseded: false,
            seen: state.seen,
            announced: BTreeMap::new(),
            journal: None,
        }
    }

    /// The same, letting go in the journal of what is durable.
    #[must_use]
    pub fn releasing(self, journal: Option<Arc<Journal>>) -> Self {
        Self { journal, ..self }
    }

    /// The same, by way of a spool.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn over(self, spool: Option<Spool>) -> Result<Self, StoreError> {
        let held = spool.as_ref().map_or_else(|| Ok(Held::default()), Held::of)?;
        let announced = spool.as_ref().map_or_else(|| Ok(Vec::new()), Spool::announced)?;
        let flusher = Self { spool, held, announced: announced.into_iter().collect(), ..self };
        flusher.note_spool();
        flusher.status.flushed(|counts| counts.durable = counts.waiting);
        Ok(flusher)
    }

    /// Keeps blocks for as long as is said from now on, and lets as much wait.
    pub fn set(&mut self, keep: Keep, spool_bytes: Option<u64>) {
        self.keep = keep;
        if let (Some(spool), Some(limit)) = (&mut self.spool, spool_bytes) {
            spool.set_limit(limit);
        }
    }

    /// Whether another process with this identity has started on the store. Then nothing is put any more.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.is_superseded
    }

    /// What is said then.
    #[must_use]
    pub fn superseded(&self) -> StoreError {
        StoreError::Superseded(format!(
            "another process with the identity of this one (writer {}) has started on the store: was the data directory \
             copied? Each collector needs its own",
            self.state.writer
        ))
    }

    /// How many flushes wait for the store.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::waiting)
    }

    /// The numbers that the next flush will have.
    #[must_use]
    pub fn next(&self) -> FlushNumber {
        FlushNumber { epoch: self.state.epoch, sequence: self.sequence + 1 }
    }

    /// Puts everything that was sealed at one moment, as the next numbered flush, into the spool or else into the store.
    /// Comes back when it is durable; what does not take it is asked again, for as long as `give_up` does not say
    /// otherwise.
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
        let WriterState { writer, epoch, .. } = self.state;
        let number = FlushNumber { epoch, sequence: self.sequence };
        let blocks = one_flush(sealed.tallies.iter().map(|tally| tally.blocks(writer, number)));
        self.status.sealed(added_up(&sealed.tallies, &blocks));
        // What waits was carried out of the segments of this flush: once that is durable it is found nowhere else.
        if let Some(journal) = &self.journal {
            journal.sync_written();
        }
        let begun = Instant::now();
        let count = blocks.len();
        self.put(blocks, &sealed.announced, now, &mut give_up).await?;
        let took = begun.elapsed();
        if let Some(journal) = &self.journal {
            journal.release(FlushNumber { epoch, sequence: self.sequence });
        }
        // The embedded store has them with the flush.
        if self.spool.is_some() {
            self.announced.extend(sealed.announced.iter().cloned());
        }
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
            counts.durable += 1;
            counts.blocks += count as u64;
            counts.folded += sealed.tallies.iter().map(Tally::folded).sum::<u64>();
            counts.last_took = took;
            counts.took.note(took);
        });
        self.note_spool();
        Ok(())
    }

    /// Shows what waits.
    fn note_spool(&self) {
        let Some(spool) = &self.spool else { return };
        self.status.flushed(|counts| (counts.waiting, counts.waiting_bytes) = (spool.waiting(), spool.waiting_bytes()));
    }

    async fn put(
        &mut self,
        blocks: Vec<Block>,
        announced: &[(IpAddr, Vec<u8>)],
        now: Timestamp,
        give_up: &mut impl FnMut() -> bool,
    ) -> Result<(), StoreError> {
        let number = FlushNumber { epoch: self.state.epoch, sequence: self.sequence };
        // What is in the journal may not be let go of before the number is written down.
        let is_journalled = self.journal.as_ref().is_some_and(|journal| journal.holds(number));
        if blocks.is_empty() && announced.is_empty() && !is_journalled {
            self.status.taken();
            return Ok(());
        }
        let mut pause = FIRST_PAUSE;
        let minutes = blocks.len();
        let mut flush = Arc::new(Flush { number, decided: self.state.rolled_up, blocks });
        loop {
            match self.put_once(&mut flush, minutes, announced, now).await {
                Ok(()) => {
                    self.status.flushed(|counts| counts.failing_since = None);
                    return Ok(());
                }
                Err(error) if give_up() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, blocks = minutes, "a flush is not stored; trying again");
                    self.status.flushed(|counts| {
                        counts.retries += 1;
                        counts.failing_since.get_or_insert_with(Instant::now);
                    });
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The first blocks of the flush are its minutes; which coarser ones follow is decided here.
    async fn put_once(
        &mut self,
        flush: &mut Arc<Flush>,
        minutes: usize,
        announced: &[(IpAddr, Vec<u8>)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Nobody else has it by now, so nothing is copied.
        let Flush { decided, blocks, .. } = Arc::make_mut(flush);
        *decided = self.state.rolled_up;
        blocks.truncate(minutes);
        let late = rollup::lift(blocks, decided).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        blocks.extend(late);
        let Some(spool) = &mut self.spool else {
            let begun = Instant::now();
            let put = self.store.put_flush(self.state.writer, flush, announced).await;
            self.status.flushed(|counts| counts.puts.note(begun.elapsed()));
            put?;
            self.status.taken();
            return Ok(());
        };
        match spool.push(flush, announced) {
            Ok(()) => {
                if flush.blocks.is_empty() {
                    self.status.taken();
                }
                Ok(())
            }
            Err(SpoolError::Store(error)) => Err(error),
            Err(full @ SpoolError::Full { .. }) => {
                // What was accepted makes room first.
                self.see_again(now, true).await?;
                self.drain_one(now).await?;
                Err(StoreError::Reject(full.to_string()))
            }
        }
    }

    /// Puts the flush that has waited longest into the store; `false` when none waits.
    ///
    /// # Errors
    /// When the store does not take it: it goes on waiting. [`StoreError::Superseded`] when another process with this
    /// identity has started: nothing more may be put.
    pub async fn drain_one(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let Some(flush) = self.spool.as_ref().map_or(Ok(None), Spool::oldest)? else { return Ok(false) };
        if let Err(error) = self.put_waiting(flush, now).await {
            self.held.doubt();
            return Err(error);
        }
        // Of no weight for the flush that was just accepted: the next one looks again.
        if let Err(error) = self.see_again(now, false).await {
            tracing::debug!(%error, "what the store has accepted could not be looked for");
            self.held.doubt();
        }
        self.note_spool();
        Ok(true)
    }

    async fn put_waiting(&mut self, mut flush: Flush, now: Timestamp) -> Result<(), StoreError> {
        // Late copies count only where the store knows how far this writer is rolled up, and it may have lost that since.
        if flush.blocks.iter().any(|block| block.key.interval.period != Period::Minute) {
            self.look_now(now).await?;
        } else {
            self.look(now).await?;
        }
        self.settle(&mut flush, |_| false).await?;
        let begun = Instant::now();
        let put = self.store.put_blocks(&flush.blocks).await;
        self.status.flushed(|counts| counts.puts.note(begun.elapsed()));
        put?;
        if let Some(spool) = &mut self.spool {
            spool.accept(flush.number)?;
        }
        self.status.taken();
        self.held.hold(&flush, now);
        Ok(())
    }

    /// [`look`](Self::look), although that may have been done just before.
    async fn look_now(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.looked = Timestamp::EPOCH;
        self.look(now).await
    }

    /// Reads what the store knows of this writer, when that was not done lately: another collector may have taken it for
    /// gone and rolled up for it, another process may have its identity, or the store may have lost what it was told.
    async fn look(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.is_superseded {
            return Err(self.superseded());
        }
        if self.looked.abs_diff(now) < LOOK_AGAIN && self.said {
            return Ok(());
        }
        let known = self.known(self.state.writer).await?;
        if let Some(known) = known {
            if (known.epoch, known.seen) > (self.state.epoch, self.seen) {
                self.is_superseded = true;
            }
            if self.is_superseded {
                return Err(self.superseded());
            }
            for (own, known) in self.state.rolled_up.iter_mut().zip(known.rolled_up) {
                // Where the store has forgotten what it was told, it may have lost what was rolled up as well.
                let forgotten = self.said && known < *own;
                if forgotten || (known > *own && !self.taken_back) {
                    *own = known;
                }
            }
        }
        self.said &=
            known.is_some_and(|known| (known.epoch, known.rolled_up) == (self.state.epoch, self.state.rolled_up));
        if self.state.seen.abs_diff(now) > GONE_AFTER / 2 {
            self.state.seen = now;
            self.said = false;
        }
        self.say().await?;
        self.looked = now;
        Ok(())
    }

    /// Tells the store how far this writer is rolled up, unless it knows. Nothing is decided by what it does not know.
    async fn say(&mut self) -> Result<(), StoreError> {
        if !self.said {
            self.seen = self.seen.max(self.state.seen);
            self.store.put_writer(&self.state).await?;
            self.said = true;
            self.taken_back = false;
        }
        Ok(())
    }

    /// Brings the coarser blocks of a flush in line with how far this writer is rolled up now, should that have been
    /// changed by others than itself since they were decided; in the spool first. Blocks of intervals that were `taken` away
    /// by retention were there.
    async fn settle(&mut self, flush: &mut Flush, taken: impl Fn(Interval) -> bool) -> Result<(), StoreError> {
        let now = self.state.rolled_up;
        if flush.decided == now {
            return Ok(());
        }
        let before = flush.blocks.len();
        flush.blocks.retain(|block| is_rolled_up(block.key.interval, &now));
        let newly = |key: &BlockKey| {
            let coarser =
                key.interval.period.coarser().map(|coarser| Interval::containing(coarser, key.interval.start));
            coarser.is_some_and(|coarser| !is_rolled_up(coarser, &flush.decided) && is_rolled_up(coarser, &now))
        };
        let reached: Vec<BlockKey> = flush.blocks.iter().map(|block| block.key).filter(newly).collect();
        if reached.is_empty() && flush.blocks.len() == before {
            return Ok(());
        }
        let mut uncounted = self.store.missing(&reached).await?;
        uncounted.retain(|key| !taken(key.interval));
        let uncounted: Vec<Block> =
            flush.blocks.iter().filter(|block| uncounted.contains(&block.key)).cloned().collect();
        let late = rollup::lift(&uncounted, &now).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        flush.blocks.extend(late);
        flush.decided = now;
        self.spool.as_mut().map_or(Ok(()), |spool| spool.decide(flush))
    }

    /// Rolls up the periods that are over, of this writer and of those that are gone, and lets go of what is kept no
    /// longer. An interval that held flushes have blocks of is left for later.
    ///
    /// # Errors
    /// When the store does not answer: what was done stays done, the next call goes on from there. As
    /// [`drain_one`](Self::drain_one) when this process was superseded.
    pub async fn maintain(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.waiting() > 0 {
            return Ok(());
        }
        let outcome = self.maintain_all(now).await;
        if outcome.is_err() {
            self.held.doubt();
        }
        outcome
    }

    async fn maintain_all(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.spool.is_some() {
            self.look_now(now).await?;
            self.see_again(now, false).await?;
        }
        let until = Minute(Minute::of(now).0.saturating_sub(GRACE_MINUTES));
        self.state.seen = now;
        self.seen = self.seen.max(now);
        self.said = false;
        let mut course = Course { spared: self.held.intervals(), ..Course::default() };
        if self.spool.is_some() {
            course.most_blocks = MOST_SUMS;
        }
        let outcome = advance_by(self.store.as_ref(), &mut self.state, until, &mut course).await;
        self.said = outcome.is_ok();
        let mut summed = course.summed;
        let gone = match outcome {
            Ok(()) => {
                let own = self.state.writer;
                advance_gone(self.store.as_ref(), own, now, GONE_AFTER, until, &mut summed).await
            }
            Err(error) => Err(error),
        };
        if self.spool.is_some() {
            self.held.hold_sums(summed, now);
        }
        // What a roll-up that is lost again was made from must still be there.
        if self.held.has_sums() {
            return gone.map(drop);
        }
        self.expire(self.state.writer, now).await?;
        for gone in gone? {
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
