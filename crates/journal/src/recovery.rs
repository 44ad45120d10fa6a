//! What was not durable when the process ended, in the order in which it was received: flush by flush, and within one,
//! the shards' segments merged by their times. Each shard has received in order, and what one told the others of an
//! exporter (its templates) they see in nearly the order in which they saw it then; data that come before their template
//! wait for it, now as then.

use std::collections::VecDeque;
use std::io;

use capture::UdpDatagram;

use crate::disk::{Disk, uninterrupted};
use crate::segment::{Reader, SegmentName};
use crate::writer::is_carried;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments that were read.
    pub segments: u64,
    /// Datagrams in them.
    pub datagrams: u64,
    /// Segments whose tail was torn.
    pub cut: u64,
}

/// The disk does not say what is in a segment. Nothing may be made durable for what was left: that would let go of this
/// segment too.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read journal/{segment} in dataDir: {error}; nothing of the journal was stored or removed. Start again when the disk can be read, or move the file away to start without what is in it"
)]
pub struct Unreadable {
    /// The segment.
    pub segment: SegmentName,
    /// What the disk says.
    pub error: io::Error,
}

/// Reads all segments that are there.
pub struct Recovery<'d> {
    disk: &'d dyn Disk,
    /// Those of flushes that were not begun yet, sorted.
    segments: VecDeque<SegmentName>,
    /// How many flushes were begun.
    flushes: u64,
    /// Of the flush that is being read, for each shard.
    shards: Vec<Chain>,
    recovered: Recovered,
    /// Which shard has the current datagram.
    current: Option<usize>,
}

/// The segments of one shard and flush, one after the other.
struct Chain {
    shard: u16,
    parts: VecDeque<SegmentName>,
    reading: Option<(SegmentName, Reader)>,
}

impl<'d> Recovery<'d> {
    pub(crate) fn new(disk: &'d dyn Disk, segments: Vec<SegmentName>) -> Self {
        Self {
            disk,
            segments: segments.into(),
            flushes: 0,
            shards: Vec::new(),
            recovered: Recovered::default(),
            current: None,
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// The next datagram; `None` at the end.
    ///
    /// What was carried into the segments of a flush is given only where the flush before is durable: else the datagrams
    /// that it was carried from were given already.
    ///
    /// # Errors
    /// When the disk refuses to read; it is not to be asked again then.
    pub fn next_datagram(&mut self) -> Result<Option<UdpDatagram<'_>>, Unreadable> {
        loop {
            if let Some(last) = self.current.take() {
                self.advance(last)?;
            }
            while self.shards.is_empty() {
                if !self.begin_flush()? {
                    return Ok(None);
                }
            }
            let heads = self.shards.iter().map(|chain| chain.current().map(|it| (it.received, is_carried(&it))));
            let heads = heads.enumerate().filter_map(|(shard, head)| Some((shard, head?)));
            let Some((earliest, (_, is_carried))) = heads.min_by_key(|it| it.1.0) else { return Ok(None) };
            self.current = Some(earliest);
            if self.flushes == 1 || !is_carried {
                break;
            }
        }
        self.recovered.datagrams += 1;
        Ok(self.current.and_then(|shard| self.shards.get(shard)?.current()))
    }

    /// Opens the segments of the next flush; `false` when there is none.
    fn begin_flush(&mut self) -> Result<bool, Unreadable> {
        let Some(SegmentName { flush, .. }) = self.segments.front().copied() else { return Ok(false) };
        self.flushes += 1;
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.flush == flush) {
            match self.shards.last_mut().filter(|chain| chain.shard == segment.shard) {
                Some(chain) => chain.parts.push_back(segment),
                None => {
                    self.shards.push(Chain { shard: segment.shard, parts: [segment].into(), reading: None });
                }
            }
        }
        for shard in (0..self.shards.len()).rev() {
            self.advance(shard)?;
        }
        Ok(true)
    }

    /// Goes on to the next datagram of a shard; one that has no more is done with.
    fn advance(&mut self, shard: usize) -> Result<(), Unreadable> {
        let Some(chain) = self.shards.get_mut(shard) else { return Ok(()) };
        if !chain.advance(self.disk, &mut self.recovered)? {
            self.shards.remove(shard);
        }
        Ok(())
    }
}

impl Chain {
    fn current(&self) -> Option<UdpDatagram<'_>> {
        self.reading.as_ref()?.1.current()
    }

    /// `false` when there are no more datagrams.
    fn advance(&mut self, disk: &dyn Disk, recovered: &mut Recovered) -> Result<bool, Unreadable> {
        loop {
            if let Some((segment, reader)) = &mut self.reading {
                if reader.advance().map_err(|error| Unreadable { segment: *segment, error })? {
                    return Ok(true);
                }
                recovered.cut += u64::from(reader.left() > 0);
                self.reading = None;
            }
            let Some(segment) = self.parts.pop_front() else { return Ok(false) };
            let input = uninterrupted(|| disk.read(&segment.to_string()));
            let input = input.map_err(|error| Unreadable { segment, error })?;
            self.reading = Some((segment, Reader::new(input)));
            recovered.segments += 1;
        }
    }
}
