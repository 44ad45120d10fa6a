//! The thread between the shards and the store: it cuts after each interval, and soon after the first flows of a newly
//! registered prefix; retries flushes that the store did not accept; and rolls up once a minute. The flusher does the work of each step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use accounting::period::Minute;
use accounting::tally::Tally;
use flow::Timestamp;
use journal::Journal;
use pipeline::{Exporters, Sealed};
use storage::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::first_flush::FirstFlush;
use crate::flusher::{FIRST_PAUSE, Flusher, LONGEST_PAUSE};
use crate::journaled_shard::{self, JournaledShard};
use crate::ledgers::CutCounts;
use crate::lock::locked;
use crate::pulse::Pulse;
use crate::settings::Reloadable;
use crate::status::Status;
use crate::turn_mutex::TurnMutex;

/// How long a stopping collector keeps trying to store its last flush.
const LAST_TRIES: Duration = Duration::from_secs(10);
/// How often the thread checks whether a period is over.
const LOOK: Duration = Duration::from_secs(1);

/// The thread between the shards and the store.
pub(crate) struct FlusherThread {
    pub(crate) flusher: Flusher,
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) status: Status,
    /// At the last cut.
    pub(crate) counted: CutCounts,
    pub(crate) exporters: Exporters,
    pub(crate) shards: Vec<Arc<TurnMutex<JournaledShard>>>,
    /// One for each shard; a cut exchanges it with the shard's.
    pub(crate) empties: Vec<Tally>,
    /// Disconnected when all receivers have ended.
    pub(crate) ended: Receiver<()>,
    pub(crate) current: Arc<Mutex<Reloadable>>,
    pub(crate) first: FirstFlush,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) runtime: Handle,
    pub(crate) tries: Tries,
    pub(crate) superseded: Arc<Notify>,
    pub(crate) pulse: Pulse,
}

/// When to retry a store that did not accept a flush of the spool.
pub(crate) struct Tries {
    next: Instant,
    pause: Duration,
}

impl FlusherThread {
    /// Flushes recovered data first, then until all receivers have ended. The error is that of the first flush that was
    /// given up.
    pub(crate) fn run(mut self, recovered: Option<Sealed>) -> Result<(), StoreError> {
        self.take_settings();
        let mut outcome = recovered.map_or(Ok(()), |recovered| self.flush(&recovered));
        let mut maintained = Minute::EPOCH;
        let mut sealed_at = Instant::now();
        self.status.cut(&[], sealed_at);
        loop {
            self.pulse.beat();
            let (interval, first_flush) = self.take_settings();
            let until_next_try = self.tries.next.saturating_duration_since(Instant::now());
            let nap = if self.flusher.waiting() > 0 { until_next_try.min(LOOK) } else { LOOK };
            let until_next_cut = interval.saturating_sub(sealed_at.elapsed());
            if self.ended.recv_timeout(nap.min(until_next_cut)) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            // What is found now has waited since the last look, or less.
            let is_first = self.first.is_due(&self.shards, Instant::now(), first_flush.saturating_sub(LOOK));
            if is_first || sealed_at.elapsed() >= interval {
                sealed_at = Instant::now();
                self.first.flushing(&self.shards, sealed_at, is_first);
                outcome = self.cut_unless_failed(outcome);
            }
            if outcome.is_ok() && self.flusher.is_superseded() {
                outcome = self.stop_superseded();
            }
            if self.flusher.waiting() > 0 && self.tries.next <= Instant::now() {
                self.drain_one();
            }
            let now = Timestamp::from(SystemTime::now());
            if Minute::of(now) != maintained && !self.stop.load(Ordering::Relaxed) {
                maintained = Minute::of(now);
                if let Err(error) = self.runtime.block_on(self.pulse.during(self.flusher.maintain(now))) {
                    tracing::error!(%error, "roll-up and retention did not finish, continuing in a minute");
                }
            }
        }
        outcome = self.cut_unless_failed(outcome);
        while self.flusher.waiting() > 0 && self.drain_one() {}
        self.check();
        self.log_queued();
        self.pulse.end();
        outcome
    }

    /// Applies the current settings; returns the interval between flushes, and how long first flows wait.
    fn take_settings(&mut self) -> (Duration, Duration) {
        let Reloadable { flush_interval, first_flush, keep, counted_prefixes, .. } = *locked(&self.current);
        self.flusher.set(keep);
        self.status.prefixes().follow(self.first.admitted(), counted_prefixes);
        (flush_interval, first_flush)
    }

    /// Another process has this identity: nothing more is put, and data that arrive until the end go into the spool.
    fn stop_superseded(&self) -> Result<(), StoreError> {
        let error = self.flusher.superseded();
        tracing::error!(%error, waiting = self.flusher.waiting(), "stopping; waiting flushes stay on disk");
        self.superseded.notify_one();
        Err(error)
    }

    /// Makes a flush of everything counted so far, unless an earlier one was given up and is in the journal: a later flush
    /// that became durable would release its segments too.
    fn cut_unless_failed(&mut self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        match outcome {
            Err(error) if self.journal.is_some() => Err(error),
            outcome => outcome.and(self.cut_and_flush()),
        }
    }

    fn cut_and_flush(&mut self) -> Result<(), StoreError> {
        let following = self.flusher.next().following();
        let empties = std::mem::take(&mut self.empties);
        let Self { shards, exporters, journal, counted, .. } = self;
        let sealed = journaled_shard::cut(shards, exporters, empties, journal.as_deref(), following, counted);
        self.status.cut(&sealed.tallies, Instant::now());
        let outcome = self.flush(&sealed);
        self.check();
        self.empties = sealed.tallies;
        self.empties.iter_mut().for_each(Tally::clear);
        outcome
    }

    fn flush(&mut self, sealed: &Sealed) -> Result<(), StoreError> {
        let stop = Arc::clone(&self.stop);
        let mut stopping_since = None;
        let give_up =
            || stop.load(Ordering::Relaxed) && stopping_since.get_or_insert_with(Instant::now).elapsed() > LAST_TRIES;
        let outcome =
            self.runtime.block_on(self.pulse.during(self.flusher.flush(sealed, SystemTime::now().into(), give_up)));
        if let Err(error) = &outcome {
            let then = match &self.journal {
                None => "what it counted is lost",
                Some(journal) if journal.is_failing() => {
                    "the next start counts what the journal has of it, but that could not be written lately"
                }
                Some(_) => "the next start counts it from the journal",
            };
            tracing::error!(%error, "a flush could not be stored, stopping: {then}");
        }
        outcome
    }

    /// Checks the ledgers.
    fn check(&self) {
        self.status.check(&self.counted, SystemTime::now().into());
    }

    /// Tries once to store the oldest flush of the spool. Returns whether the store accepted it.
    fn drain_one(&mut self) -> bool {
        match self.runtime.block_on(self.pulse.during(self.flusher.drain_one(SystemTime::now().into()))) {
            Ok(_) => {
                if self.tries.pause > FIRST_PAUSE {
                    tracing::info!(flushes = self.flusher.waiting(), "the store takes flushes again");
                }
                self.tries = Tries::now();
                true
            }
            Err(error) => {
                if self.tries.pause == FIRST_PAUSE {
                    let waiting = self.flusher.waiting();
                    tracing::error!(%error, waiting, "the store does not take flushes; they wait on disk");
                }
                self.tries = self.tries.later();
                false
            }
        }
    }

    fn log_queued(&self) {
        let flushes = self.flusher.waiting();
        if flushes > 0 {
            tracing::warn!(flushes, "stopping; flushes wait on disk for the store, and the next start stores them");
        }
        let senders = self.flusher.unstored_announcements();
        if senders > 0 {
            tracing::warn!(
                senders,
                "stopping; templates could not be stored: after a start, data wait for the next announcement"
            );
        }
    }
}

impl Tries {
    pub(crate) fn now() -> Self {
        Self { next: Instant::now(), pause: FIRST_PAUSE }
    }

    fn later(&self) -> Self {
        Self { next: Instant::now() + self.pause, pause: (self.pause * 2).min(LONGEST_PAUSE) }
    }
}
