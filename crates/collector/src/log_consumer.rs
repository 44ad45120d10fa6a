//! The thread of a reader of the log: hands the records of each flush to a consumer, and moves the cursor when the consumer has
//! made them durable. A consumer that is slow or fails costs disk, and neither counting nor a record.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flow::FlushNumber;
use journal::{Position, Unreadable};
use pipeline::Logged;

use crate::flusher::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::give_way::{Step, give_way};
use crate::lock::locked;
use crate::log_records::{LogRecords, LostFlushes, Part, ReadFlush};
use crate::pulse::Pulse;
use crate::start::join;
use crate::stop_error::StopError;

/// What becomes of the records of the log.
pub trait LogConsumer: Send {
    /// Takes a record of a flush.
    fn take(&mut self, flush: Position, record: &Logged<'_>);

    /// All records of a flush were taken. Returns whether everything taken so far is durable now: then none of it comes again.
    ///
    /// # Errors
    /// If it cannot be kept. Then everything that is not durable comes again, after [`rewind`](Self::rewind).
    fn end_flush(&mut self, read: &ReadFlush) -> io::Result<bool>;

    /// There is nothing more to take for the moment. Returns as [`end_flush`](Self::end_flush).
    ///
    /// # Errors
    /// As [`end_flush`](Self::end_flush).
    fn idle(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// Nothing comes for a while: the collector stops, or the disk cannot read the next flush. Returns as
    /// [`end_flush`](Self::end_flush).
    ///
    /// # Errors
    /// As [`end_flush`](Self::end_flush).
    fn finish(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// Flushes are left out, because the operator has ordered it. Everything taken before them is durable.
    ///
    /// # Errors
    /// If that cannot be noted. Then it comes again.
    fn skip(&mut self, _skipped: &LostFlushes) -> io::Result<()> {
        Ok(())
    }

    /// Nothing comes because the operator has paused the reader. Called again and again until it reads on.
    fn rest(&mut self) {}

    /// Forgets what was taken and is not durable: it comes again, exactly the same.
    fn rewind(&mut self);

    /// As [`rewind`](Self::rewind); what comes now may have been taken and durable before, because the operator has ordered it.
    fn begin_again(&mut self) {
        self.rewind();
    }
}

/// The flushes that a reader takes when the collector stops: the last one, and one that came just before. A reader that lags
/// takes the rest after the next start.
const LAST_FLUSHES: usize = 2;

/// After this long, it begins no other part of them: the stop waits.
const LAST_TIME: Duration = Duration::from_secs(10);

/// A flush that the disk could not read after this many tries, in half a minute, is left out.
const MOST_TRIES: u32 = 10;

/// After this many flushes that were skipped, the cursor moves.
const MOST_SKIPPED: u64 = 1000;

/// The records that a reader takes before it looks whether it has to stop: less than a millisecond's work, unless a file ends
/// with them.
const RECORDS_OF_A_PART: u64 = 1024;

/// A reader that has not caught up for this long, because other programs use all processors, gets a share of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// The threads of all readers.
#[derive(Default)]
pub(crate) struct Readers {
    pub(crate) threads: Vec<JoinHandle<ReaderThread>>,
    stopping: Arc<Stopping>,
}

/// Whether readers have to end.
#[derive(Default)]
pub(crate) struct Stopping {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    fn set(&self) {
        *locked(&self.is_set) = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *locked(&self.is_set)
    }

    /// Waits for this long, unless they have to end.
    fn wait(&self, pause: Duration) {
        // A poisoned lock has the same flag.
        drop(self.changed.wait_timeout_while(locked(&self.is_set), pause, |is_set| !*is_set));
    }
}

impl Readers {
    /// Set when they have to end.
    pub(crate) fn stopping(&self) -> Arc<Stopping> {
        Arc::clone(&self.stopping)
    }

    /// Ends them, and takes the last flushes on this thread, which does not give way: the stop waits for it. To be called when
    /// the last flush is in the log.
    ///
    /// # Errors
    /// If one has died.
    pub(crate) fn stop(self) -> Result<(), StopError> {
        self.stopping.set();
        for thread in self.threads {
            join(thread)?.end();
        }
        Ok(())
    }
}

/// The thread of one reader.
pub(crate) struct ReaderThread {
    name: &'static str,
    records: LogRecords,
    consumer: Box<dyn LogConsumer>,
    stop: Arc<Stopping>,
    pulse: Pulse,
    /// Whether flushes were taken since the cursor, and whether all of them are durable.
    is_ahead: bool,
    is_durable: bool,
    /// How long it waits after an error.
    pause: Option<Duration>,
    /// Whether the operator has paused it, and it has noticed.
    is_resting: bool,
    /// What was skipped since the cursor, and how many flushes of that were read.
    skipped: Option<(LostFlushes, u64)>,
    unreadable: Option<UnreadableFlush>,
}

/// What a reader has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// A part of a flush, of which there is more.
    Part,
    /// The last part.
    Flush,
    Nothing,
}

/// A flush that the disk cannot read.
#[derive(Clone, Copy, Debug)]
struct UnreadableFlush {
    flush: Position,
    /// The flush at which it was found: it may have been looked into for what is carried over.
    found_at: Position,
    tries: u32,
}

impl ReaderThread {
    /// A reader that has not begun.
    pub(crate) fn new(
        name: &'static str,
        records: LogRecords,
        consumer: Box<dyn LogConsumer>,
        stop: Arc<Stopping>,
        pulse: Pulse,
    ) -> Self {
        Self {
            name,
            records,
            consumer,
            stop,
            pulse,
            is_ahead: false,
            is_durable: false,
            pause: None,
            is_resting: false,
            skipped: None,
            unreadable: None,
        }
    }

    /// Reads until the collector stops, and gives way to the threads that count.
    pub(crate) fn run(mut self) -> Self {
        give_way(self.name, PATIENCE, &mut || self.step());
        self
    }

    fn step(&mut self) -> Step {
        if self.stop.is_set() {
            return Step::End;
        }
        self.pulse.beat();
        if self.records.is_reset() {
            self.go_back();
        }
        if self.is_paused() {
            self.rest();
            return Step::Idle;
        }
        self.is_resting = false;
        match self.read() {
            Ok(Taken::Part | Taken::Flush) => Step::Busy,
            Ok(Taken::Nothing) => {
                // Not before: what failed may be behind other flushes, which are read again and again.
                if self.pause.take().is_some() {
                    self.records.status().reader_continues(self.name);
                    tracing::info!(reader = self.name, "the reader of the log continues");
                }
                self.stop.wait(journal::TICK);
                Step::Idle
            }
            Err(error) => {
                self.wait_after(&error);
                Step::Idle
            }
        }
    }

    /// Whether the operator has paused it, and it has finished the flush that it was reading, and what it has to skip.
    fn is_paused(&self) -> bool {
        self.records.is_paused() && !self.records.is_within_flush() && !self.records.skips_next()
    }

    /// Makes durable what it has taken, once, and waits.
    fn rest(&mut self) {
        if !std::mem::replace(&mut self.is_resting, true) {
            let ended = if self.is_ahead { self.end_taken().and_then(|()| self.commit()) } else { Ok(()) };
            // What is not durable is taken again when it reads on.
            if ended.is_err() || self.is_ahead {
                self.go_back();
            }
            if let Err(error) = ended {
                tracing::warn!(reader = self.name, %error, "what the reader of the log has taken is not durable");
            }
            self.pause = None;
            self.records.status().reader_continues(self.name);
            tracing::info!(reader = self.name, "the reader of the log is paused");
        }
        self.consumer.rest();
        self.stop.wait(journal::TICK);
    }

    /// Goes back to the cursor, which the operator may have set to another place.
    fn go_back(&mut self) {
        if self.records.rewind() {
            self.consumer.begin_again();
            self.pause = None;
        } else {
            self.consumer.rewind();
        }
        self.skipped = None;
        (self.is_ahead, self.is_durable) = (false, false);
    }

    /// Makes durable what it has taken, or notes what it has skipped.
    fn end_taken(&mut self) -> io::Result<()> {
        self.is_durable = match self.skipped.take() {
            Some((skipped, flushes)) => {
                self.consumer.skip(&skipped)?;
                let (reader, bytes) = (self.name, skipped.flushes.octets);
                tracing::warn!(reader, flushes, bytes, "skipped flushes of the log, as ordered");
                true
            }
            None => self.consumer.finish()?,
        };
        Ok(())
    }

    /// Takes the last flushes. The next start continues at the cursor.
    fn end(mut self) {
        // What fails now is taken again after the next start.
        if self.pause.is_none()
            && let Err(error) = self.finish()
        {
            tracing::error!(reader = self.name, %error, "a reader of the log has not finished");
        }
        self.pulse.end();
    }

    fn wait_after(&mut self, error: &io::Error) {
        if self.pause.is_none() {
            tracing::error!(reader = self.name, %error, "a reader of the log cannot continue, retrying");
        }
        self.records.status().reader_failed(self.name, error.to_string());
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        self.stop.wait(pause);
    }

    /// Takes the rest of the flush that it reads, and the last ones.
    fn finish(&mut self) -> io::Result<()> {
        let last = if self.records.is_paused() { 0 } else { LAST_FLUSHES };
        let mut left = last + usize::from(self.records.is_within_flush());
        let begun = Instant::now();
        while left > 0 && begun.elapsed() < LAST_TIME {
            self.pulse.beat();
            match self.read()? {
                Taken::Part => {}
                Taken::Flush => left -= 1,
                Taken::Nothing => break,
            }
        }
        self.end_taken()?;
        self.commit()
    }

    /// Reads a part of a flush.
    fn read(&mut self) -> io::Result<Taken> {
        // Before anything else is taken: what is durable must not come again.
        self.commit()?;
        let taken = self.take().inspect_err(|_| self.go_back())?;
        self.commit()?;
        Ok(taken)
    }

    fn take(&mut self) -> io::Result<Taken> {
        if !self.records.is_within_flush()
            && let Some(UnreadableFlush { flush, found_at, tries }) = self.unreadable
            && self.records.next() == Some(found_at)
        {
            if self.is_ahead {
                // What comes before it is not to be read again with each try.
                self.end_taken()?;
                return Ok(Taken::Flush);
            }
            if tries >= MOST_TRIES {
                let FlushNumber { epoch, sequence } = flush.flush;
                let reader = self.name;
                tracing::error!(reader, epoch, sequence, "left out a flush of the log that the disk cannot read");
                self.records.leave_out(flush);
                self.unreadable = None;
            }
        }
        let skips = !self.records.is_within_flush() && self.records.skips_next();
        if skips && self.is_ahead && self.skipped.is_none() {
            // What cannot become durable is skipped too.
            self.end_taken()?;
            if !self.is_durable {
                self.go_back();
            }
            return Ok(Taken::Flush);
        }
        let is_over = !self.records.is_within_flush() && !skips;
        if is_over && (self.skipped.is_some() || self.is_ahead && self.records.is_skipping()) {
            // Before anything else is taken, and not only when what is taken becomes durable by itself.
            self.end_taken()?;
            if self.is_durable {
                return Ok(Taken::Flush);
            }
        }
        let Self { records, consumer, .. } = self;
        let read = records.read_part(RECORDS_OF_A_PART, skips, &mut |flush, record| consumer.take(flush, record));
        let part = read.map_err(|unreadable| {
            self.note(&unreadable);
            io::Error::other(unreadable)
        })?;
        match part {
            Some(Part::More) => Ok(Taken::Part),
            Some(Part::Last(read)) => {
                self.is_ahead = true;
                self.unreadable = self.unreadable.filter(|unreadable| unreadable.found_at > read.position);
                if self.skipped.is_some() {
                    self.end_taken()?;
                }
                self.is_durable = self.consumer.end_flush(&read)?;
                Ok(Taken::Flush)
            }
            Some(Part::Skipped(more)) => {
                self.is_ahead = true;
                self.unreadable = self.unreadable.filter(|unreadable| unreadable.found_at > more.flushes.last);
                let (skipped, flushes) = match self.skipped {
                    Some((skipped, flushes)) => (skipped.and(more), flushes + 1),
                    None => (more, 1),
                };
                self.skipped = Some((skipped, flushes));
                if flushes >= MOST_SKIPPED || !self.records.skips_next() {
                    self.end_taken()?;
                }
                Ok(Taken::Flush)
            }
            None => {
                self.is_durable = self.consumer.idle()?;
                Ok(Taken::Nothing)
            }
        }
    }

    fn note(&mut self, error: &Unreadable) {
        let flush = Position::from(error.segment);
        let known = self.unreadable.filter(|known| known.flush == flush);
        let found_at = self.records.next().unwrap_or(flush);
        self.unreadable = Some(UnreadableFlush { flush, found_at, tries: 1 + known.map_or(0, |known| known.tries) });
    }

    /// Moves the cursor, if it is behind what is durable.
    fn commit(&mut self) -> io::Result<()> {
        if self.is_ahead && self.is_durable {
            match self.records.commit() {
                // The next step goes back.
                Err(_) if self.records.is_reset() => return Ok(()),
                committed => committed?,
            }
            self.records.status().reader_continues(self.name);
            (self.is_ahead, self.is_durable) = (false, false);
        }
        Ok(())
    }
}
