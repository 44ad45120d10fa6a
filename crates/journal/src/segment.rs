//! Names and content of segments, and reading a segment up to the first damaged octet: what follows was never synced.
//!
//! A segment is a pcap file of UDP datagrams. Carried-over data are marked by the destination 0.0.0.0:0, on which
//! nothing is received; only [`Entry`] and [`append`] know this mark.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use capture::{UdpDatagram, frame};
use flow::{Counted, FlushNumber, Timestamp, WriterId};

/// Octets in one read.
const READ_AT_ONCE: u64 = 256 << 10;
/// Maximum length of a record: record header, IPv6 header, longest payload of an IP packet.
const LONGEST_RECORD: usize = 16 + 40 + 65_535;

/// The destination of carried-over data, whose original destination is unknown.
const CARRIED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The reason why a datagram is in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// It was received on this address and belongs to the flush of the segment.
    Received(SocketAddr),
    /// It was carried over: a data set that was queued for its template at the previous cut, as a separate message.
    Carried,
}

/// A datagram in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its receive time.
    pub received: Timestamp,
    /// Its exporter.
    pub source: SocketAddr,
    /// Why it is in this segment.
    pub kind: EntryKind,
    /// The export datagram.
    pub payload: &'a [u8],
}

impl<'a> From<UdpDatagram<'a>> for Entry<'a> {
    fn from(UdpDatagram { received, source, destination, payload }: UdpDatagram<'a>) -> Self {
        let is_carried = destination.port() == CARRIED.port();
        let kind = if is_carried { EntryKind::Carried } else { EntryKind::Received(destination) };
        Self { received, source, kind, payload }
    }
}

/// Appends a datagram as a record of a segment.
///
/// # Errors
/// If it was received after the year 2106 or is longer than an IP packet can be.
pub(crate) fn append(octets: &mut Vec<u8>, entry: &Entry<'_>) -> io::Result<()> {
    let destination = match entry.kind {
        EntryKind::Received(at) => at,
        EntryKind::Carried => CARRIED,
    };
    frame::append(octets, entry.received, entry.source, destination, entry.payload).map(drop)
}

/// The name of a segment. Names sort in the order of flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The flush that counts its datagrams.
    pub flush: FlushNumber,
    /// The collector that received them; [`Counted::UNNAMED`] in segments of older programs.
    pub writer: WriterId,
    /// The shard that received them.
    pub shard: u16,
    /// Counts from 0. A new part starts where a write to the last one failed.
    pub part: u32,
}

/// `epoch-1795912345-flush-17-writer-00c0ffee00c0ffee-shard-0-part-0.pcap`
impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flush: FlushNumber { epoch, sequence }, writer, shard, part } = self;
        write!(f, "epoch-{epoch}-flush-{sequence}-")?;
        if *writer != Counted::UNNAMED {
            write!(f, "writer-{writer}-")?;
        }
        write!(f, "shard-{shard}-part-{part}.pcap")
    }
}

impl SegmentName {
    /// Its flush, as the newest of its run.
    pub(crate) const fn counted(&self) -> Counted {
        Counted { writer: self.writer, newest: self.flush }
    }

    /// Parses a file name; `None` if it is not one that `Display` creates.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let words: Vec<&str> = name.strip_suffix(".pcap")?.split('-').collect();
        let (flush, writer, shard, part) = match *words.as_slice() {
            ["epoch", epoch, "flush", flush, "shard", shard, "part", part] => ((epoch, flush), None, shard, part),
            ["epoch", epoch, "flush", flush, "writer", writer, "shard", shard, "part", part] => {
                ((epoch, flush), Some(writer), shard, part)
            }
            _ => return None,
        };
        let flush = FlushNumber { epoch: flush.0.parse().ok()?, sequence: flush.1.parse().ok()? };
        let writer = match writer {
            Some(writer) => WriterId(u64::from_str_radix(writer, 16).ok()?),
            None => Counted::UNNAMED,
        };
        let segment = Self { flush, writer, shard: shard.parse().ok()?, part: part.parse().ok()? };
        Some(segment).filter(|segment| segment.to_string() == name)
    }
}

/// Reads the datagrams of a segment in order.
pub(crate) struct SegmentReader {
    input: Box<dyn Read + Send>,
    octets: Vec<u8>,
    /// Where the next record starts.
    start: usize,
    /// Where the one after it starts.
    next: usize,
    input_ended: bool,
    header_read: bool,
}

impl SegmentReader {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, octets: Vec::new(), start: 0, next: 0, input_ended: false, header_read: false }
    }

    /// Advances to the next datagram; `false` at the end or at the first damage, and from then on.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.start = self.next;
        if !self.header_read {
            self.fill(frame::FILE_HEADER.len())?;
            if !self.octets.starts_with(&frame::FILE_HEADER) {
                return Ok(false);
            }
            self.header_read = true;
            self.start = frame::FILE_HEADER.len();
        }
        self.next = self.start;
        if self.read_record().is_none() {
            self.fill(LONGEST_RECORD)?;
        }
        let Some(length) = self.read_record() else { return Ok(false) };
        self.next = self.start + length;
        Ok(true)
    }

    /// The current datagram.
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        let record = self.octets.get(self.start..self.next)?;
        frame::read(record).map(|(datagram, _)| datagram.into())
    }

    /// Octets read after the last datagram. At the end of a segment, more than 0 only if it is damaged.
    pub(crate) fn left(&self) -> usize {
        self.octets.len() - self.next
    }

    fn read_record(&self) -> Option<usize> {
        frame::read(self.octets.get(self.start..)?).map(|(_, length)| length)
    }

    /// Reads until `wanted` octets from the start of the record are available, or the file ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        self.octets.drain(..self.start);
        (self.start, self.next) = (0, 0);
        // Avoids many small reads.
        self.octets.reserve(READ_AT_ONCE as usize);
        while !self.input_ended && self.octets.len() < wanted {
            let read = self.input.by_ref().take(READ_AT_ONCE).read_to_end(&mut self.octets);
            self.input_ended = !read.as_ref().is_ok_and(|read| *read as u64 == READ_AT_ONCE);
            read?;
        }
        Ok(())
    }
}
