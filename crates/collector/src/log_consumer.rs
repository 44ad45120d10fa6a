//! The thread of a reader of the log: hands the records of each flush to a consumer, and moves the cursor when the consumer has
//! made them durable. A consumer that is slow or fails costs disk, and neither counting nor a record.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flow::FlushNumber;
use journal::{Position, Unreadable};
use pipeline::Logged;

use crate::flusher::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::log_records::{LogRecords, ReadFlush};
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

    /// Forgets what was taken and is not durable: it comes again, exactly the same.
    fn rewind(&mut self);
}

/// The flushes that a reader takes when the collector stops: the last one, and one that came just before. A reader that lags
/// takes the rest after the next start.
const LAST_FLUSHES: usize = 2;

/// A flush that the disk could not read after this many tries, in half a minute, is left out.
const MOST_TRIES: u32 = 10;

/// The threads of all readers.
#[derive(Default)]
pub(crate) struct Readers {
    pub(crate) threads: Vec<JoinHandle<ReaderThread>>,
    stopping: Arc<AtomicBool>,
}

impl Readers {
    /// Set when they have to end.
    pub(crate) fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }

    /// Ends them, and takes the last flushes on this thread, which does not give way: the stop waits for it. To be called when
    /// the last flush is in the log.
    ///
    /// # Errors
    /// If one has died.
    pub(crate) fn stop(self) -> Result<(), StopError> {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.thread().unpark();
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
    stop: Arc<AtomicBool>,
    pulse: Pulse,
    /// Whether flushes were taken since the cursor, and whether all of them are durable.
    is_ahead: bool,
    is_durable: bool,
    /// How long it waits after an error.
    pause: Option<Duration>,
    unreadable: Option<UnreadableFlush>,
}

/// A flush that the disk cannot read.
#[derive(Clone, Copy, Debug)]
struct UnreadableFlush {
    flush: Position,
    /// The flush at which it was found: it may have been looked into for what is carried over.
    found_at: Position,
    tries: u32,
}

/// Gives this thread the lowest priority: what the kernel drops while the receiving threads wait for a processor is lost, and what
/// a reader has not read yet is on disk. With SCHED_IDLE it would hardly run beside another busy program, and a stop waits until
/// the flush that it reads has ended.
fn give_way() {
    const LOWEST: i32 = 19;
    // nice(2) is about the calling thread only.
    if let Err(error) = rustix::process::nice(LOWEST) {
        tracing::debug!(%error, "a reader of the log has the priority of all other threads");
    }
}

impl ReaderThread {
    /// A reader that has not begun.
    pub(crate) fn new(
        name: &'static str,
        records: LogRecords,
        consumer: Box<dyn LogConsumer>,
        stop: Arc<AtomicBool>,
        pulse: Pulse,
    ) -> Self {
        Self { name, records, consumer, stop, pulse, is_ahead: false, is_durable: false, pause: None, unreadable: None }
    }

    /// Reads until the collector stops, and gives way to the threads that count.
    pub(crate) fn run(mut self) -> Self {
        give_way();
        while !self.stop.load(Ordering::Relaxed) {
            self.pulse.beat();
            match self.read() {
                Ok(true) => {}
                Ok(false) => {
                    // Not before: what failed may be behind other flushes, which are read again and again.
                    if self.pause.take().is_some() {
                        tracing::info!(reader = self.name, "the reader of the log continues");
                    }
                    thread::park_timeout(journal::TICK);
                }
                Err(error) => self.wait_after(&error),
            }
        }
        self
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
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        thread::park_timeout(pause);
    }

    /// Takes the last flushes.
    fn finish(&mut self) -> io::Result<()> {
        for _ in 0..LAST_FLUSHES {
            if !self.read()? {
                break;
            }
        }
        self.is_durable = self.consumer.finish()?;
        self.commit()
    }

    /// Reads one flush; `false` if there is none.
    fn read(&mut self) -> io::Result<bool> {
        // Before anything else is taken: what is durable must not come again.
        self.commit()?;
        let is_read = self.take_flush().inspect_err(|_| {
            self.records.rewind();
            self.consumer.rewind();
            (self.is_ahead, self.is_durable) = (false, false);
        })?;
        self.commit()?;
        Ok(is_read)
    }

    fn take_flush(&mut self) -> io::Result<bool> {
        if let Some(UnreadableFlush { flush, found_at, tries }) = self.unreadable
            && self.records.next() == Some(found_at)
        {
            if self.is_ahead {
                // What comes before it is not to be read again with each try.
                self.is_durable = self.consumer.finish()?;
                return Ok(true);
            }
            if tries >= MOST_TRIES {
                let FlushNumber { epoch, sequence } = flush.flush;
                let reader = self.name;
                tracing::error!(reader, epoch, sequence, "left out a flush of the log that the disk cannot read");
                self.records.leave_out(flush);
                self.unreadable = None;
            }
        }
        let Self { records, consumer, pulse, .. } = self;
        let mut taken = 0_u32;
        let read = records.read_flush(&mut |flush, record| {
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(1024) {
                pulse.beat();
            }
            consumer.take(flush, record);
        });
        let read = match read {
            Ok(read) => read,
            Err(unreadable) => {
                self.note(&unreadable);
                return Err(io::Error::other(unreadable));
            }
        };
        if let Some(read) = &read {
            self.is_ahead = true;
            self.unreadable = self.unreadable.filter(|unreadable| unreadable.found_at > read.position);
        }
        self.is_durable = match &read {
            Some(read) => consumer.end_flush(read)?,
            None => consumer.idle()?,
        };
        Ok(read.is_some())
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
            self.records.commit()?;
            (self.is_ahead, self.is_durable) = (false, false);
        }
        Ok(())
    }
}
