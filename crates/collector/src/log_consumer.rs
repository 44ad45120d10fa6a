//! The thread of a reader of the log: hands the records of each flush to a consumer, and moves the cursor when the consumer has
//! made them durable. A consumer that is slow or fails costs disk, and neither counting nor a record.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pipeline::Logged;

use crate::flusher::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::log_records::{LogRecords, ReadFlush};
use crate::pulse::Pulse;

/// What becomes of the records of the log.
pub trait LogConsumer: Send {
    /// Takes a record of the next flush.
    fn take(&mut self, record: &Logged<'_>);

    /// All records of a flush were taken. Returns whether everything taken so far is durable now: then none of it comes again.
    ///
    /// # Errors
    /// If it cannot be kept. Then everything that is not durable comes again, after [`rewind`](Self::rewind).
    fn end_flush(&mut self, read: &ReadFlush) -> io::Result<bool>;

    /// Forgets what was taken and is not durable: it comes again, exactly the same.
    fn rewind(&mut self);
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
        self.pulse.end();
    }

    /// Reads one flush; `false` if there is none.
    fn read(&mut self, is_due: &mut bool) -> io::Result<bool> {
        let Self { records, consumer, pulse, .. } = self;
        if *is_due {
            records.commit()?;
            *is_due = false;
        }
        let mut taken = 0_u32;
        let read = records.read_flush(&mut |record| {
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(1024) {
                pulse.beat();
            }
            consumer.take(record);
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
