//! Recovery: what was not durable when the process ended, read again from the journal. The first user of a [`Reader`]: its
//! cursor is the newest durable flush, and it reads to the end.

use crate::lock::locked;
use crate::reader::{ReadCounts, Reader, Unreadable};
use crate::segment::Entry;
use crate::{Journal, Sync};

/// Reads everything after the newest durable flush.
pub struct Recovery<'d>(Reader<'d>);

impl Journal {
    /// Everything that was not released, to be counted again. [Release](Self::release) what is durable before.
    #[must_use]
    pub fn recovery(&self) -> Recovery<'_> {
        let released = *locked(&self.released);
        let reader = self.reader(released);
        // The process that wrote a segment may have died before it synced it, and it has to stay until it is flushed.
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
    /// What was read so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.0.counts()
    }

    /// The next datagram of all flushes; `None` at the end.
    ///
    /// # Errors
    /// When a segment cannot be read; the recovery is not to be used again then.
    pub fn next_datagram(&mut self) -> Result<Option<Entry<'_>>, Unreadable> {
        while !self.0.advance()? {
            if self.0.next_flush()?.is_none() {
                return Ok(None);
            }
        }
        Ok(self.0.current())
    }
}
