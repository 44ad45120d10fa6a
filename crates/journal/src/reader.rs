//! Reads the journal as a log: flush by flush after a cursor, and within a flush the shards' segments merged by their
//! receive times. The result depends only on the cursor and the segments.
//!
//! Each shard received in order. The merge gives shards the templates that they shared in nearly the original order;
//! data that arrived before their template are queued for it, as they were then.
//!
//! This file does not decide which flushes are durable or which segments are released.

use std::collections::VecDeque;
use std::io;

use flow::FlushNumber;

use crate::disk::{Disk, uninterrupted};
use crate::segment::{Entry, EntryKind, SegmentName, SegmentReader};

/// Statistics of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Segments opened.
    pub segments: u64,
    /// Datagrams returned.
    pub datagrams: u64,
    /// Segments with an incomplete end.
    pub torn: u64,
}

/// A segment cannot be read. Then nothing in the journal may be made durable, because that would release this segment
/// too.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read journal/{segment} in dataDir: {source}; nothing of the journal was stored or removed. Start again when the disk can be read, or move the file away to start without its content"
)]
pub struct Unreadable {
    /// The segment.
    pub segment: SegmentName,
    /// The error of the disk.
    pub source: io::Error,
}

/// Reads the datagrams of all flushes after a cursor.
///
/// Data that were queued for a template at a cut are also in the next segment. A reader that has read the previous
/// flush has them already; a reader that starts at a flush needs those in its segments. Carried-over data are therefore
/// returned in the first flush only, so that each datagram is returned exactly once.
pub struct Reader<'d> {
    disk: &'d dyn Disk,
    /// Segments of flushes not opened yet, sorted.
    segments: VecDeque<SegmentName>,
    is_first_flush: bool,
    /// The segments of the open flush, for each shard.
    shards: Vec<Chain>,
    /// The shard of the current datagram.
    current: Option<usize>,
    counts: ReadCounts,
}

/// The segments of one shard and flush, one after the other.
struct Chain {
    shard: u16,
    parts: VecDeque<SegmentName>,
    open: Option<(SegmentName, SegmentReader)>,
}

impl<'d> Reader<'d> {
    /// A reader of the `segments` (sorted) of flushes after the cursor.
    pub(crate) fn new(
        disk: &'d dyn Disk,
        cursor: Option<FlushNumber>,
        segments: impl Iterator<Item = SegmentName>,
    ) -> Self {
        Self {
            disk,
            segments: segments.filter(|segment| Some(segment.flush) > cursor).collect(),
            is_first_flush: true,
            shards: Vec::new(),
            current: None,
            counts: ReadCounts::default(),
        }
    }

    /// Its statistics so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.counts
    }

    /// The segments that it has not opened yet.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.iter()
    }

    /// Opens the next flush and returns its number, which becomes the cursor once the flush is read completely. `None`
    /// at the end. Skips the unread rest of the previous flush.
    ///
    /// # Errors
    /// If a segment cannot be read; then the reader must not be used again.
    pub fn next_flush(&mut self) -> Result<Option<FlushNumber>, Unreadable> {
        let Some(SegmentName { flush, .. }) = self.segments.front().copied() else { return Ok(None) };
        self.is_first_flush = self.counts.segments == 0;
        self.current = None;
        self.shards.clear();
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.flush == flush) {
            match self.shards.last_mut().filter(|chain| chain.shard == segment.shard) {
                Some(chain) => chain.parts.push_back(segment),
                None => self.shards.push(Chain { shard: segment.shard, parts: [segment].into(), open: None }),
            }
        }
        for shard in (0..self.shards.len()).rev() {
            self.advance_shard(shard)?;
        }
        Ok(Some(flush))
    }

    /// Advances to the next datagram of the open flush; `false` at the end of the flush.
    ///
    /// # Errors
    /// If a segment cannot be read; then the reader must not be used again.
    pub fn advance(&mut self) -> Result<bool, Unreadable> {
        loop {
            if let Some(last) = self.current.take() {
                self.advance_shard(last)?;
            }
            let heads = self.shards.iter().map(|chain| chain.current().map(|entry| (entry.received, entry.kind)));
            let heads = heads.enumerate().filter_map(|(shard, head)| Some((shard, head?)));
            let Some((earliest, (_, kind))) = heads.min_by_key(|head| head.1.0) else { return Ok(false) };
            self.current = Some(earliest);
            if self.is_first_flush || kind != EntryKind::Carried {
                self.counts.datagrams += 1;
                return Ok(true);
            }
        }
    }

    /// The current datagram.
    #[must_use]
    pub fn current(&self) -> Option<Entry<'_>> {
        self.shards.get(self.current?)?.current()
    }

    /// Advances to the next datagram of a shard; removes a shard at its end.
    fn advance_shard(&mut self, shard: usize) -> Result<(), Unreadable> {
        let Some(chain) = self.shards.get_mut(shard) else { return Ok(()) };
        if !chain.advance(self.disk, &mut self.counts)? {
            self.shards.remove(shard);
        }
        Ok(())
    }
}

impl Chain {
    fn current(&self) -> Option<Entry<'_>> {
        self.open.as_ref()?.1.current()
    }

    /// `false` when there are no more datagrams.
    fn advance(&mut self, disk: &dyn Disk, counts: &mut ReadCounts) -> Result<bool, Unreadable> {
        loop {
            if let Some((segment, reader)) = &mut self.open {
                if reader.advance().map_err(|source| Unreadable { segment: *segment, source })? {
                    return Ok(true);
                }
                counts.torn += u64::from(reader.left() > 0);
                self.open = None;
            }
            let Some(segment) = self.parts.pop_front() else { return Ok(false) };
            let input = uninterrupted(|| disk.read(&segment.to_string()));
            let input = input.map_err(|source| Unreadable { segment, source })?;
            self.open = Some((segment, SegmentReader::new(input)));
            counts.segments += 1;
        }
    }
}
