//! The thread of a reader of the log: hands the records of each flush to a consumer, and moves the cursor when the consumer has
//! made them durable. A consumer that is slow or fails costs disk, and neither counting nor a record.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use journal::Position;
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

    /// The collector stops: nothing comes until the next start. Returns as [`end_flush`](Self::end_flush).
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

/// The threads of all readers.
#[derive(Default)]
pub(crate) struct Readers {
    pub(crate) threads: Vec<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
}

impl Readers {
    /// Set when they have to end.
    pub(crate) fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }

    /// Ends them. To be called when the last flush is in the log.
    ///
    /// # Errors
    /// If one has died.
    pub(crate) fn stop(self) -> Result<(), StopError> {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.thread().unpark();
            join(thread)?;
        }
        Ok(())
    }
}

/// The thread of one reader.
pub(crate) struct ReaderThread {
    pub(crate) name: &'static str,
    pub(crate) records: LogRecords,
    pub(crate) consumer: Box<dyn LogConsumer>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) pulse: Pulse,
}

impl ReaderThread {
    /// Reads until the collector stops. The next start continues at the cursor.
    pub(crate) fn run(mut self) {
        let mut pause = None;
        let mut is_due = false;
        while !self.stop.load(Ordering::Relaxed) {
            self.pulse.beat();
            match self.read(&mut is_due) {
                Ok(is_read) => {
                    if pause.take().is_some() {
                        tracing::info!(reader = self.name, "the reader of the log continues");
                    }
                    if !is_read {
                        thread::park_timeout(journal::TICK);
                    }
                }
                Err(error) => {
                    if pause.is_none() {
                        tracing::error!(reader = self.name, %error, "a reader of the log cannot continue, retrying");
                    }
                    self.records.rewind();
                    self.consumer.rewind();
                    let next = pause.map_or(FIRST_PAUSE, |pause: Duration| (pause * 2).min(LONGEST_PAUSE));
                    thread::park_timeout(*pause.insert(next));
                }
            }
        }
        // What fails now is taken again after the next start.
        let ended = if pause.is_none() { self.finish(&mut is_due) } else { Ok(()) };
        ended.unwrap_or_else(
            |error| tracing::error!(reader = self.name, %error, "a reader of the log has not finished"),
        );
        self.pulse.end();
    }

    /// Takes the last flushes.
    fn finish(&mut self, is_due: &mut bool) -> io::Result<()> {
        for _ in 0..LAST_FLUSHES {
            if !self.read(is_due)? {
                break;
            }
        }
        if self.consumer.finish()? { self.records.commit() } else { Ok(()) }
    }

    /// Reads one flush; `false` if there is none.
    fn read(&mut self, is_due: &mut bool) -> io::Result<bool> {
        let Self { records, consumer, pulse, .. } = self;
        if *is_due {
            records.commit()?;
            *is_due = false;
        }
        let mut taken = 0_u32;
        let read = records.read_flush(&mut |flush, record| {
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(1024) {
                pulse.beat();
            }
            consumer.take(flush, record);
        });
        let Some(read) = read.map_err(io::Error::other)? else { return Ok(false) };
        *is_due = consumer.end_flush(&read)?;
        if *is_due {
            records.commit()?;
            *is_due = false;
        }
        Ok(true)
    }
}
