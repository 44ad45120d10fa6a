//! A reader of the log: reads flush by flush after its cursor, and moves the cursor when what it has read is safe where it
//! was handed to. What it reads depends on the cursor and the segments only.
//!
//! Data that were queued for a template at a cut are also in the next segment. A reader that has read them skips them there, also
//! after a restart: its cursor has them. One that begins there reads them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use flow::{Exporter, Timestamp};

use crate::Journal;
use crate::cursor::{Cursor, Orders, StoredCursor};
use crate::lock::locked;
use crate::log::Position;
use crate::lost::{ForcedOut, Lost};
use crate::reader::{Identity, ReadCounts, Reader, Unreadable};
use crate::segment::Entry;

/// A set that is queued for a template: its exporter, its time of receipt, and a message with it.
pub type Waiting = (Exporter, Timestamp, Vec<u8>);

/// Reads the log after a cursor.
pub struct LogReader {
    journal: Arc<Journal>,
    name: &'static str,
    cursor: Arc<Mutex<StoredCursor>>,
    /// How often the cursor was reset when this reader last went back to it.
    resets: u64,
    /// The last flush that was read to its end.
    read: Option<Position>,
    open: Option<(Position, Reader)>,
    /// Data in the following segments that were read before.
    returned: HashSet<Identity>,
    /// Flushes that the disk cannot read, and that are left out.
    unreadable: BTreeMap<Position, Lost>,
    /// What is missing before the open flush, and in it as far as it is read.
    lost: Option<Lost>,
    /// The segments of the open flush.
    segments: u64,
}

impl LogReader {
    pub(crate) fn new(journal: Arc<Journal>, name: &'static str, cursor: Arc<Mutex<StoredCursor>>) -> Self {
        let (returned, unreadable) = (HashSet::new(), BTreeMap::new());
        let (read, open, lost) = (None, None, None);
        let mut reader = Self { journal, name, cursor, resets: 0, read, open, returned, unreadable, lost, segments: 0 };
        reader.rewind();
        reader
    }

    /// The name of the reader.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What exporters had announced at the cursor.
    #[must_use]
    pub fn announced(&self) -> BTreeMap<IpAddr, Vec<u8>> {
        locked(&self.cursor).get().map(|cursor| cursor.announced.clone()).unwrap_or_default()
    }

    /// The data that it had queued for a template at the cursor, each set as a message: its exporter, its time of receipt.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let cursor = locked(&self.cursor);
        let known =
            cursor.get().into_iter().flat_map(|cursor| &cursor.known).filter(|(_, message)| !message.is_empty());
        let waiting = known.map(|((exporter, received), message)| {
            (Exporter::udp(exporter.ip(), exporter.port()), *received, message.clone())
        });
        waiting.collect()
    }

    /// Whether it is paused: then it is not to read.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.journal.orders(self.name).paused.is_some()
    }

    /// Whether what exporters have announced is all that is wanted of the next flush, after the open one.
    #[must_use]
    pub fn skips_next(&self) -> bool {
        let Some(skip_to) = self.journal.orders(self.name).skip_to else { return false };
        let read = self.open.as_ref().map_or(self.read, |(open, _)| Some(*open));
        self.journal.log_after(read).first().is_some_and(|next| Position::from(*next) <= skip_to)
    }

    /// Whether what exporters have announced is all that is wanted of a flush.
    #[must_use]
    pub fn skips(&self, flush: Position) -> bool {
        self.journal.orders(self.name).skip_to.is_some_and(|skip_to| flush <= skip_to)
    }

    /// Whether flushes are to be skipped, and the cursor is not behind all of them yet.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.journal.orders(self.name).skip_to.is_some()
    }

    /// Whether the cursor was reset since this reader last went back to it: then it has to [rewind](Self::rewind).
    #[must_use]
    pub fn is_reset(&self) -> bool {
        locked(&self.cursor).resets() != self.resets
    }

    /// The open flush, as the log has it.
    #[must_use]
    pub fn open_flush(&self) -> Option<Lost> {
        self.open.as_ref().map(|(flush, _)| self.journal.of_flush(*flush))
    }

    /// What it has lost because the log exceeded its limit.
    #[must_use]
    pub fn forced_out(&self) -> ForcedOut {
        self.journal.forced_out(self.name)
    }

    /// What is missing after the flush that was read before, up to the end of the open one. To be called there.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// Whether what was read since the cursor, with the open flush, takes more than half of the log: it is forced out soon if the
    /// cursor does not move.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.open.as_ref().is_some_and(|(flush, _)| self.journal.is_held_back(self.name, *flush))
    }

    /// The flush that is read next, or again after an error; `None` while there is none.
    #[must_use]
    pub fn next(&self) -> Option<Position> {
        self.journal.log_after(self.read).first().copied().map(Position::from)
    }

    /// Leaves out a flush that the disk cannot read from now on. To be called after [`rewind`](Self::rewind).
    pub fn leave_out(&mut self, flush: Position) {
        let lost = self.journal.of_flush(flush);
        self.unreadable.insert(flush, Lost { unreadable: lost.segments, ..lost });
    }

    /// Opens the next flush in the log; `None` while there is none. Skips the unread rest of the previous one.
    ///
    /// # Errors
    /// If a segment cannot be read; then [`rewind`](Self::rewind).
    pub fn next_flush(&mut self) -> Result<Option<Position>, Unreadable> {
        self.close();
        let (first, segments) = loop {
            let mut segments = self.journal.log_after(self.read);
            let Some(first) = segments.first().copied().map(Position::from) else { return Ok(None) };
            self.lose(self.journal.removed(self.name, self.read, first));
            if let Some(left_out) = self.unreadable.get(&first) {
                self.lose(Some(*left_out));
                self.read = Some(first);
                continue;
            }
            segments.retain(|segment| !self.unreadable.contains_key(&Position::from(*segment)));
            break (first, segments);
        };
        self.segments = segments.iter().filter(|segment| Position::from(**segment) == first).count() as u64;
        let mut reader = Reader::of_log(Arc::clone(&self.journal.disk), segments, std::mem::take(&mut self.returned));
        reader.next_flush()?;
        self.open = Some((first, reader));
        Ok(Some(first))
    }

    /// Advances to the next datagram of the open flush; `false` at its end.
    ///
    /// # Errors
    /// As for [`next_flush`](Self::next_flush).
    pub fn advance(&mut self) -> Result<bool, Unreadable> {
        let Some((position, reader)) = &mut self.open else { return Ok(false) };
        if reader.advance()? {
            return Ok(true);
        }
        // The others were forced out before they were opened.
        let segments = self.segments.saturating_sub(reader.counts().segments);
        if segments > 0 {
            self.segments = reader.counts().segments;
            let (first, last) = (*position, *position);
            self.lose(Some(Lost { first, last, segments, octets: 0, unreadable: 0 }));
        }
        Ok(false)
    }

    /// The current datagram.
    #[must_use]
    pub fn current(&self) -> Option<Entry<'_>> {
        self.open.as_ref()?.1.current()
    }

    /// [`Reader::terms_of`].
    #[must_use]
    pub fn terms_of(&self, sender: IpAddr) -> Option<&[u8]> {
        self.open.as_ref()?.1.terms_of(sender)
    }

    /// The notes in the open flush, as far as it is read. Those at the beginning of a segment are here from the start.
    pub fn notes(&self) -> impl Iterator<Item = &[u8]> {
        self.open.iter().flat_map(|(_, reader)| reader.notes())
    }

    /// Statistics of the open flush.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.open.as_ref().map(|(_, reader)| reader.counts()).unwrap_or_default()
    }

    /// Everything up to the end of the open flush is safe: it is not read again. `announced` is what exporters have newly
    /// announced since the cursor; nothing removes an exporter. `waiting` are the data that the reader has queued for a template.
    ///
    /// # Errors
    /// If the disk refuses, or if the cursor was [reset](Self::is_reset), and then it stays where it is. Else it may have moved on
    /// the disk or not; it can be tried again, with what was announced since.
    pub fn commit(&mut self, announced: Vec<(IpAddr, Vec<u8>)>, waiting: Vec<Waiting>) -> io::Result<()> {
        self.close();
        let identity = |exporter: Exporter| SocketAddr::new(exporter.address, exporter.port);
        let mut known: HashMap<Identity, Vec<u8>> = HashMap::new();
        // Each set of a datagram is a message.
        let mut more = Vec::new();
        for (exporter, received, message) in waiting {
            if let Some(other) = known.insert((identity(exporter), received), message) {
                more.push(((identity(exporter), received), other));
            }
        }
        let read = self.returned.iter().filter(|identity| !known.contains_key(identity));
        more.extend(read.map(|identity| (*identity, Vec::new())));
        more.extend(known);
        let changed = Cursor {
            position: self.read,
            forced_out: self.forced_out(),
            known: more,
            announced: announced.into_iter().collect(),
            orders: Orders::default(),
        };
        let sync_names = || self.journal.sync_names(self.name, self.read);
        // Held until the log knows it: the cursor is not set to another place between.
        let mut cursor = locked(&self.cursor);
        if cursor.resets() != self.resets {
            return Err(io::Error::other("the reader was set to another place of the log"));
        }
        cursor.advance(self.journal.disk.as_ref(), changed, sync_names)?;
        self.unreadable.retain(|flush, _| Some(*flush) > self.read);
        self.journal.moved(self.name, self.read);
        Ok(())
    }

    /// Goes back to the cursor: everything after it is read again, by sessions that begin with what was
    /// [announced](Self::announced) then. Returns whether the cursor was [reset](Self::is_reset) before.
    pub fn rewind(&mut self) -> bool {
        (self.open, self.lost) = (None, None);
        self.returned.clear();
        let cursor = locked(&self.cursor);
        let was_reset = std::mem::replace(&mut self.resets, cursor.resets()) != cursor.resets();
        if let Some(Cursor { position, known, .. }) = cursor.get() {
            self.read = *position;
            self.returned.extend(known.iter().map(|(identity, _)| identity));
        }
        was_reset
    }

    fn lose(&mut self, lost: Option<Lost>) {
        self.lost = self.lost.into_iter().chain(lost).reduce(Lost::and);
    }

    fn close(&mut self) {
        if let Some((position, reader)) = self.open.take() {
            (self.read, self.lost) = (Some(position), None);
            self.returned = reader.into_returned();
        }
    }
}
