//! Recovery: reads from the journal what was not durable when the last process ended. It is a user of [`Reader`], with
//! the newest durable flush as its cursor.

use crate::lock::locked;
use crate::reader::{ReadCounts, Reader, Unreadable};
use crate::segment::Entry;
use crate::{Journal, Sync};

/// Reads everything after the newest durable flush.
pub struct Recovery<'d>(Reader<'d>);

impl Journal {
    /// Everything that is not released, to be counted again. [Release](Self::release) durable flushes first.
    #[must_use]
    pub fn recovery(&self) -> Recovery<'_> {
        let released = *locked(&self.released);
        let reader = self.reader(released);
        // The process that wrote a segment may not have synced it, and the segment is needed until it is flushed.
        if self.settings().sync != Sync::Off {
            let synced = reader.segments().try_for_each(|segment| self.disk.sync(&segment.to_string()));
            if let Err(error) = synced.and_then(|()| self.disk.sync_names()) {
                locked(&self.counts).sync_errors += 1;
                self.fail(&format!("sync of the segments of the last run: {error}"));
            }
        }
        Recovery(reader)
    }
}

impl Recovery<'_> {
    /// The statistics so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.0.counts()
    }

    /// The next datagram of all flushes; `None` at the end.
    ///
    /// # Errors
    /// If a segment cannot be read; then the recovery must not be used again.
    pub fn next_datagram(&mut self) -> Result<Option<Entry<'_>>, Unreadable> {
        while !self.0.advance()? {
            if self.0.next_flush()?.is_none() {
                return Ok(None);
            }
        }
        Ok(self.0.current())
    }
}
