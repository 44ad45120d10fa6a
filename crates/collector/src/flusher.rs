//! Tallies become numbered, immutable blocks in the store; finished periods are rolled up; old ones expire.
//!
//! One flusher writes for one writer. It works sequentially, so a late flow is never booked while its period is being
//! rolled up. The embedded store takes a flush in one transaction. A store on the network gets it through a spool on
//! this machine's disk:
//!
//! ```text
//!   sealed ──flush──► waiting ──drain_one──► accepted ──a minute later──► gone from the spool
//!                        ▲ │ the store fails     │ ▲
//!                        └─┘                     └─┘ blocks are missing: put again
//! ```
//!
//! Flushes are put in order; while any are queued, nothing is rolled up. A flush is durable, and its segments of the
//! journal are removed, when it is in the spool or in the embedded store.
//!
//! The coarser blocks of a flush are decided once, from the watermarks of this writer when the flush enters the spool.
//! It is put exactly like that, unless another collector has rolled up for this writer since.
//!
//! | file | content |
//! | --- | --- |
//! | `blocks` | the blocks of a flush out of the tallies of all shards, and whether they hold the same |
//! | `own_state` | how far this writer is rolled up, and **the state machine** by which process and store agree on it |
//! | `reconcile` | which coarser blocks a flush has, decided again |
//! | `accepted` | data that the store has accepted and may still lose |
//! | `announcements` | templates on their way to the store |
//! | `run_minutes` | the minutes in which this run has counted |

mod accepted;
mod announcements;
mod blocks;
mod own_state;
mod reconcile;
mod run_minutes;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use accounting::block::{Block, WriterId};
use accounting::period::{Minute, Period};
use accounting::presence;
use accounting::rollup;
use accounting::tally::Tally;
use flow::{Counted, FlushNumber, Timestamp};
use journal::Journal;
use pipeline::Sealed;
use storage::roll_up::{RollUpOptions, RollUpOutcome, advance_gone};
use storage::spool::{Spool, SpoolError};
use storage::{Flush, Retention, Store, StoreError, WriterState};

use self::accepted::{Accepted, Parts};
use self::announcements::Announcements;
use self::blocks::{added_up, one_flush};
use self::own_state::{GONE_AFTER, OwnState};
use self::reconcile::reconcile;
use self::run_minutes::RunMinutes;
use crate::keep::Keep;
use crate::status::Status;

/// About how many coarse blocks are put between two checks for flushes, and kept in mind until they are checked.
const MOST_SUMS: usize = 50_000;
/// How long a period must be over before it is rolled up: flows of its last moments may still arrive.
const GRACE_MINUTES: u32 = 2;
/// The first and the longest pause between tries at an unreachable store.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Stores the counters of all shards.
pub struct Flusher {
    store: Arc<dyn Store>,
    own: OwnState,
    keep: Keep,
    status: Status,
    /// Of the last flush.
    sequence: u64,
    /// `None` for a store on this machine's disk.
    spool: Option<Spool>,
    accepted: Accepted,
    /// The newest flush that the store notes as there with all its blocks.
    noted: Option<FlushNumber>,
    /// Whether the store has notes of what expired before this start.
    expired_is_noted: bool,
    announcements: Announcements,
    run_minutes: RunMinutes,
    /// The registrations that the store had lost when its announcements were stored again.
    restored: u64,
    /// Holds datagrams that are not durable; `None` if nothing has to survive a crash.
    journal: Option<Arc<Journal>>,
}

impl Flusher {
    /// A flusher for one writer; `state` is its state in the store, with the epoch of this start.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, state: WriterState, keep: Keep, status: Status) -> Self {
        Self {
            store,
            own: OwnState::published(state),
            keep,
            status,
            sequence: 0,
            spool: None,
            accepted: Accepted::default(),
            noted: None,
            expired_is_noted: false,
            announcements: Announcements::default(),
            run_minutes: RunMinutes::default(),
            restored: 0,
            journal: None,
        }
    }

    /// The same; if its state is not published, the store may have another one, and nothing is put before both agree.
    #[must_use]
    pub fn published(self, is_published: bool) -> Self {
        if is_published { self } else { Self { own: self.own.unread(), ..self } }
    }

    /// The same, of a collector that starts now: the minutes from now on count as run, as far as the monotonic clock agrees.
    #[must_use]
    pub fn running_from(self, now: Timestamp) -> Self {
        Self { run_minutes: RunMinutes::of_run(Minute::of(now), Instant::now()), ..self }
    }

    /// The same, of an import: the minutes between flushes that are further apart than this do not count as run.
    #[must_use]
    pub fn importing(self, apart: Duration) -> Self {
        Self { run_minutes: RunMinutes::of_import(apart), ..self }
    }

    /// The same, releasing durable segments of the journal.
    #[must_use]
    pub fn releasing(self, journal: Option<Arc<Journal>>) -> Self {
        Self { journal, ..self }
    }

    /// The same, through a spool.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn over(self, spool: Option<Spool>) -> Result<Self, StoreError> {
        let Some(spool) = spool else { return Ok(self) };
        let (accepted, announcements) = (Accepted::left_in(&spool)?, Announcements::left_in(&spool)?);
        let flusher = Self { spool: Some(spool), accepted, announcements, ..self };
        flusher.publish_spool();
        flusher.status.flushed(|counts| counts.durable = counts.waiting);
        Ok(flusher)
    }

    /// From now on keeps blocks for this long.
    pub fn set(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Whether another process with this identity has started on the store. Then nothing more is put.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.own.is_superseded()
    }

    /// The error for that case.
    #[must_use]
    pub fn superseded(&self) -> StoreError {
        self.own.superseded()
    }

    /// The number of senders whose announcements the store has not accepted yet.
    #[must_use]
    pub fn unstored_announcements(&self) -> usize {
        self.announcements.senders()
    }

    /// The number of flushes in the spool that the store has not accepted.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::waiting)
    }

    /// The number of the next flush.
    #[must_use]
    pub fn next(&self) -> FlushNumber {
        FlushNumber { epoch: self.own.get().epoch, sequence: self.sequence + 1 }
    }

    /// Puts everything that was sealed at one moment into the spool, or else the store, as the next numbered flush.
    /// Returns when it is durable, and retries until then, unless `give_up` returns true.
    ///
    /// # Errors
    /// The last error, once `give_up` returns true. Retrying is safe.
    pub async fn flush(
        &mut self,
        sealed: &Sealed,
        now: Timestamp,
        mut give_up: impl FnMut() -> bool,
    ) -> Result<(), StoreError> {
        // Never reuse a number: the store may have accepted a put that it did not acknowledge.
        self.sequence += 1;
        let WriterState { writer, epoch, .. } = *self.own.get();
        let number = FlushNumber { epoch, sequence: self.sequence };
        let mut blocks = one_flush(sealed.tallies.iter().map(|tally| tally.blocks(writer, number)));
        let (balance, in_blocks) = added_up(&sealed.tallies, &blocks);
        self.status.sealed(balance, in_blocks.values().flatten().copied());
        let seen = (Minute::of(now), Instant::now());
        let ran = self.run_minutes.until(seen, &sealed.arrived);
        blocks.extend(presence::blocks(&sealed.arrived, (&ran, self.run_minutes.counted_by()), writer, number));
        // Queued data were carried over from the segments of this flush: once it is durable, this is their only copy.
        if let Some(journal) = &self.journal {
            journal.sync_written();
        }
        let begun = Instant::now();
        let count = blocks.len();
        let counted = self.journal.as_ref().map(|journal| journal.counted_with(number)).unwrap_or_default();
        self.put(blocks, &sealed.announced, &counted, now, &mut give_up).await?;
        self.run_minutes.are_stored(seen);
        self.status.prefixes().add(&in_blocks);
        let took = begun.elapsed();
        if let Some(journal) = &self.journal {
            journal.release(&counted);
        }
        // The embedded store has them with the flush.
        if self.spool.is_some() {
            self.announcements.extend(&sealed.announced);
            self.announce_again();
        }
        // Not while the store is unreachable.
        if self.waiting() <= 1 {
            // Does not affect totals; the next flush repeats it.
            if let Err(error) = self.store.touch_senders(&sealed.heard).await {
                tracing::debug!(%error, "the times of the last datagrams were not stored");
            }
            self.announcements.put(self.store.as_ref(), self.spool.as_mut()).await;
        }
        self.status.flushed(|counts| {
            counts.flushes += 1;
            counts.durable += 1;
            counts.blocks += count as u64;
            counts.folded += sealed.tallies.iter().map(Tally::folded).sum::<u64>();
            counts.last_took = took;
            counts.took.note(took);
        });
        self.publish_spool();
        Ok(())
    }

    /// A store that has lost registrations has lost what the senders have announced too.
    fn announce_again(&mut self) {
        let restored = self.status.restored_registrations();
        let Some(spool) = self.spool.as_mut().filter(|_| self.restored != restored) else { return };
        match spool.announce_again().and_then(|()| Announcements::left_in(spool)) {
            Ok(announcements) => (self.announcements, self.restored) = (announcements, restored),
            Err(error) => tracing::warn!(%error, "cannot store again the templates that the store has lost"),
        }
    }

    fn publish_spool(&self) {
        let Some(spool) = &self.spool else { return };
        self.status.flushed(|counts| (counts.waiting, counts.waiting_bytes) = (spool.waiting(), spool.waiting_bytes()));
    }

    async fn put(
        &mut self,
        blocks: Vec<Block>,
        announced: &[(IpAddr, Vec<u8>)],
        counted: &[Counted],
        now: Timestamp,
        give_up: &mut impl FnMut() -> bool,
    ) -> Result<(), StoreError> {
        let number = FlushNumber { epoch: self.own.get().epoch, sequence: self.sequence };
        // The journal must not release anything before it is recorded as counted.
        let is_journalled = self.journal.as_ref().is_some_and(|journal| journal.holds(counted));
        if blocks.is_empty() && announced.is_empty() && !is_journalled {
            self.status.taken();
            return Ok(());
        }
        let (mut pause, mut failing): (_, Option<(Instant, String)>) = (FIRST_PAUSE, None);
        let minutes = blocks.len();
        let mut flush = Arc::new(Flush { number, watermarks: self.own.get().watermarks, blocks });
        loop {
            match self.put_once(&mut flush, minutes, announced, counted, now).await {
                Ok(()) => {
                    self.status.flushed(|counts| counts.failing_since = None);
                    if let Some((since, _)) = failing {
                        tracing::info!(seconds = since.elapsed().as_secs(), "the store takes flushes again");
                    }
                    return Ok(());
                }
                Err(error) if give_up() => return Err(error),
                Err(error) => {
                    let (since, logged) = failing.unwrap_or_else(|| (Instant::now(), String::new()));
                    let text = error.to_string();
                    // A store that fails for days is one event, until it fails for another reason.
                    if text != logged {
                        tracing::error!(%error, blocks = minutes, "cannot store a flush, retrying");
                    }
                    failing = Some((since, text));
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

    /// The first blocks of the flush are its minutes; the coarser ones are decided here.
    async fn put_once(
        &mut self,
        flush: &mut Arc<Flush>,
        minutes: usize,
        announced: &[(IpAddr, Vec<u8>)],
        counted: &[Counted],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // The only reference now, so this copies nothing.
        let Flush { watermarks, blocks, .. } = Arc::make_mut(flush);
        *watermarks = self.own.get().watermarks;
        blocks.truncate(minutes);
        let late = rollup::lift(blocks, *watermarks).map_err(|error| StoreError::Corrupt(error.into()))?;
        blocks.extend(late);
        let Some(spool) = &mut self.spool else {
            let begun = Instant::now();
            let put = self.store.put_flush(self.own.get().writer, flush, announced, counted).await;
            self.status.flushed(|counts| counts.puts.note(begun.elapsed()));
            put?;
            self.status.taken();
            return Ok(());
        };
        let pushed = spool.push(flush, announced, counted);
        self.status.flushed(|counts| counts.is_spool_full = matches!(pushed, Err(SpoolError::Full { .. })));
        match pushed {
            Ok(()) => {
                if flush.blocks.is_empty() {
                    self.status.taken();
                }
                Ok(())
            }
            Err(SpoolError::Store(error)) => Err(error),
            Err(full @ SpoolError::Full { .. }) => {
                // An operator reads that the spool is full, rather than once more that the store is unreachable.
                match self.make_room(now).await {
                    Err(superseded @ StoreError::Superseded { .. }) => Err(superseded),
                    _ => Err(StoreError::Reject(full.into())),
                }
            }
        }
    }

    /// Makes room in the spool: flushes that the store has accepted, then the oldest one.
    async fn make_room(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.check_accepted(now, true).await?;
        self.drain_one(now).await.map(drop)
    }

    /// Puts the oldest flush of the spool into the store; `false` if there is none.
    ///
    /// # Errors
    /// When the store does not accept it: it stays queued. [`StoreError::Superseded`] when another process with this
    /// identity has started: nothing more may be put.
    pub async fn drain_one(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let Some(flush) = self.spool.as_ref().map_or(Ok(None), Spool::oldest)? else { return Ok(false) };
        if let Err(error) = self.put_waiting(flush, now).await {
            self.accepted.doubt();
            return Err(error);
        }
        // Does not affect the flush that was just accepted; the next call checks again.
        if let Err(error) = self.check_accepted(now, false).await {
            tracing::debug!(%error, "cannot check what the store has accepted");
            self.accepted.doubt();
        }
        self.publish_spool();
        Ok(true)
    }

    async fn put_waiting(&mut self, mut flush: Flush, now: Timestamp) -> Result<(), StoreError> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        // Late copies count only if the store has the watermarks of this writer, and it may have lost them.
        if flush.blocks.iter().any(|block| block.key.interval.period != Period::Minute) {
            self.own.agree_now(self.store.as_ref(), now).await?;
        } else {
            self.own.agree(self.store.as_ref(), now).await?;
        }
        reconcile(&mut flush, self.own.get(), self.store.as_ref(), spool, |_| false).await?;
        let WriterState { writer, .. } = *self.own.get();
        if self.noted.is_none_or(|noted| noted.epoch != flush.number.epoch) {
            // From here on no reader counts a flush of which only some blocks are there.
            let before = FlushNumber { sequence: flush.number.sequence.saturating_sub(1), ..flush.number };
            self.store.put_flushed(writer, before).await?;
            self.noted = Some(before);
        }
        let begun = Instant::now();
        let put = self.store.put_blocks(&flush.blocks).await;
        self.status.flushed(|counts| counts.puts.note(begun.elapsed()));
        put?;
        // Before it can be rolled up: what is rolled up counts for every reader.
        self.store.put_flushed(writer, flush.number).await?;
        self.noted = Some(flush.number);
        spool.accept(flush.number)?;
        self.status.taken();
        self.accepted.add_flush(&flush, now);
        Ok(())
    }

    /// Checks data that the store has accepted and may have lost; with `make_room`, releases all that it still has.
    async fn check_accepted(&mut self, now: Timestamp, make_room: bool) -> Result<(), StoreError> {
        let Self { store, spool: Some(spool), own, keep, accepted, noted, .. } = self else { return Ok(()) };
        let mut parts = Parts { store: store.as_ref(), spool, own, keep: *keep };
        if accepted.check(&mut parts, now, make_room).await?
            && let Some(noted) = noted
        {
            // A store that lost blocks may have lost this too.
            store.put_flushed(own.get().writer, *noted).await?;
        }
        Ok(())
    }

    /// Rolls up the finished periods of this writer and of writers that are gone, and deletes expired blocks.
    /// An interval that flushes in the spool have blocks of is left for later.
    ///
    /// # Errors
    /// If the store does not answer: finished steps remain, and the next call continues after them. As
    /// [`drain_one`](Self::drain_one) when this process was superseded.
    pub async fn maintain(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.waiting() > 0 {
            return Ok(());
        }
        let outcome = self.maintain_all(now).await;
        if outcome.is_err() {
            self.accepted.doubt();
        }
        outcome
    }

    async fn maintain_all(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let mut options = RollUpOptions::default();
        if self.spool.is_some() {
            self.own.agree_now(self.store.as_ref(), now).await?;
            self.check_accepted(now, false).await?;
            options = RollUpOptions { skip: self.accepted.intervals(), most_blocks: MOST_SUMS, ..options };
        }
        let until = Minute::of(now).saturating_sub(GRACE_MINUTES);
        let RollUpOutcome { mut sums, result } = self.own.roll_up(self.store.as_ref(), now, until, &options).await;
        let own = self.own.get().writer;
        let gone = match result {
            Ok(()) => {
                let gone = advance_gone(self.store.as_ref(), own, now, GONE_AFTER, until).await;
                sums.extend(gone.sums);
                gone.result
            }
            Err(error) => Err(error),
        };
        if self.spool.is_some() {
            self.accepted.add_sums(sums, now);
        }
        // A lost roll-up is repeated from its finer blocks, so they must not expire before the check.
        if self.accepted.has_sums() {
            return gone.map(drop);
        }
        if !self.expired_is_noted {
            storage::kept::note_expired(self.store.as_ref()).await?;
            self.expired_is_noted = true;
        }
        self.expire(own, now).await?;
        for gone in gone? {
            self.expire(gone.writer, now).await?;
        }
        Ok(())
    }

    /// Deletes the expired blocks of a writer.
    async fn expire(&self, writer: WriterId, now: Timestamp) -> Result<(), StoreError> {
        for period in Period::ALL {
            let Some(keep) = self.keep.periods[period] else { continue };
            let before = Minute::of(now.saturating_sub(keep));
            let gone = self.store.expire(writer, Retention { period, before }).await?;
            if gone > 0 {
                tracing::info!(period = period.name(), blocks = gone, "retention: blocks deleted");
            }
        }
        Ok(())
    }
}
