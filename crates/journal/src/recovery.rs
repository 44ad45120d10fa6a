//! Recovery: reads from the journal what was not counted when the last process ended. It is a user of [`Reader`].

use std::net::IpAddr;
use std::sync::Arc;

use flow::Counted;

use crate::lock::locked;
use crate::reader::{ReadCounts, Reader, Unreadable};
use crate::segment::{Entry, SegmentName};
use crate::{Journal, Sync, includes};

/// Reads everything that is not counted.
pub struct Recovery<'j> {
    journal: &'j Journal,
    reader: Reader,
    /// The flush that is being read.
    reading: Option<Counted>,
    /// Notes at the beginning of flushes.
    notes: Vec<Box<[u8]>>,
}

impl Journal {
    /// Everything that is not released, to be counted again. [Release](Self::release) counted flushes first.
    #[must_use]
    pub fn recovery(&self) -> Recovery<'_> {
        let released = locked(&self.released).clone();
        let segments: Vec<SegmentName> = locked(&self.segments).keys().copied().collect();
        let segments = segments.into_iter().filter(|segment| !includes(&released, segment));
        let reader = Reader::new(Arc::clone(&self.disk), segments);
        // The process that wrote a segment may not have synced it, and the segment is needed until it is flushed.
        if self.settings().sync != Sync::Off {
            let synced = reader.segments().try_for_each(|segment| self.disk.sync(&segment.to_string()));
            if let Err(error) = synced.and_then(|()| self.disk.sync_names()) {
                locked(&self.counts).sync_errors += 1;
                self.fail(&format!("sync of the segments of the last run: {error}"));
            }
        }
        Recovery { journal: self, reader, reading: None, notes: Vec::new() }
    }
}

impl Recovery<'_> {
    /// The statistics so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.reader.counts()
    }

    /// The next datagram of all flushes; `None` at the end. What was read then is [counted](Journal::counted_with) with the
    /// next flush.
    ///
    /// # Errors
    /// If a segment cannot be read; then the recovery must not be used again.
    pub fn next_datagram(&mut self) -> Result<Option<Entry<'_>>, Unreadable> {
        Ok(if self.advance()? { self.current() } else { None })
    }

    /// Advances to the next datagram; `false` at the end.
    ///
    /// # Errors
    /// As for [`next_datagram`](Self::next_datagram).
    pub fn advance(&mut self) -> Result<bool, Unreadable> {
        while !self.reader.advance()? {
            if let Some(read) = self.reading.take() {
                read.add_to(&mut locked(&self.journal.recovered));
            }
            self.reading = self.reader.next_flush()?;
            if self.reading.is_none() {
                return Ok(false);
            }
            self.notes.extend(self.reader.notes().map(Box::from));
        }
        Ok(true)
    }

    /// The notes before the current datagram, at the beginning of its flush and of flushes without any, since the last call.
    pub fn take_notes(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.notes)
    }

    /// The current datagram.
    #[must_use]
    pub fn current(&self) -> Option<Entry<'_>> {
        self.reader.current()
    }

    /// [`Reader::terms_of`].
    #[must_use]
    pub fn terms_of(&self, sender: IpAddr) -> Option<&[u8]> {
        self.reader.terms_of(sender)
    }
}
