//! What was not durable when the process ended, in the order in which it was received: flush by flush, and within one,
//! the shards' segments merged by their times. Each shard has received in order, and what one told the others of an
//! exporter (its templates) they see in nearly the order in which they saw it then; data that come before their template
//! wait for it, now as then.

use std::collections::VecDeque;

use capture::UdpDatagram;
use storage::spool::FlushNumber;

use super::disk::Disk;
use super::segment::{Reader, SegmentName};
use super::writer::is_carried;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments that were read.
    pub segments: u64,
    /// Datagrams in them.
    pub datagrams: u64,
    /// Segments that could not be read to their end: the tail was torn, or the disk refuses.
    pub cut: u64,
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
    reader: Option<Reader>,
}

impl<'d> Recovery<'d> {
    pub(super) fn new(disk: &'d dyn Disk, segments: Vec<SegmentName>) -> Self {
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
    pub fn next_datagram(&mut self) -> Option<UdpDatagram<'_>> {
        loop {
            if let Some(last) = self.current.take() {
                self.advance(last);
            }
            while self.shards.is_empty() {
                self.begin_flush()?;
            }
            let heads = self.shards.iter().map(|chain| chain.current().map(|it| (it.received, is_carried(&it))));
            let (earliest, (_, is_carried)) =
                heads.enumerate().filter_map(|(n, head)| Some((n, head?))).min_by_key(|it| it.1.0)?;
            self.current = Some(earliest);
            if self.flushes == 1 || !is_carried {
                break;
            }
        }
        self.recovered.datagrams += 1;
        self.shards.get(self.current?)?.current()
    }

    /// Opens the segments of the next flush; `None` when there is none.
    fn begin_flush(&mut self) -> Option<FlushNumber> {
        let flush = self.segments.front()?.flush;
        self.flushes += 1;
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.flush == flush) {
            match self.shards.last_mut().filter(|chain| chain.shard == segment.shard) {
                Some(chain) => chain.parts.push_back(segment),
                None => {
                    self.shards.push(Chain { shard: segment.shard, parts: [segment].into(), reader: None });
                }
            }
        }
        for shard in (0..self.shards.len()).rev() {
            self.advance(shard);
        }
        Some(flush)
    }

    /// Goes on to the next datagram of a shard; one that has no more is done with.
    fn advance(&mut self, shard: usize) {
        let Some(chain) = self.shards.get_mut(shard) else { return };
        if !chain.advance(self.disk, &mut self.recovered) {
            self.shards.remove(shard);
        }
    }
}

impl Chain {
    fn current(&self) -> Option<UdpDatagram<'_>> {
        self.reader.as_ref()?.current()
    }

    /// `false` when there are no more datagrams.
    fn advance(&mut self, disk: &dyn Disk, recovered: &mut Recovered) -> bool {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.advance() {
                    Ok(true) => return true,
                    Ok(false) => recovered.cut += u64::from(reader.left() > 0),
                    Err(error) => {
                        tracing::error!(shard = self.shard, %error, "a segment of the journal is not readable to its end");
                        recovered.cut += 1;
                    }
                }
                self.reader = None;
            }
            let Some(segment) = self.parts.pop_front() else { return false };
            recovered.segments += 1;
            match disk.read(&segment.to_string()) {
                Ok(input) => self.reader = Some(Reader::new(input)),
                Err(error) => {
                    tracing::error!(%segment, %error, "a segment of the journal cannot be read: what is in it is lost");
                    recovered.cut += 1;
                }
            }
        }
    }
}
