//! A segment by its name, what it holds, and reading it up to the first octet that is not as it was written: what
//! follows was never synced.
//!
//! A segment is a pcap file of UDP datagrams. Data that were carried into it are marked by the destination 0.0.0.0:0, at
//! which nothing is received; only [`Entry`] and [`append`] know that.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use capture::{UdpDatagram, frame};
use flow::{FlushNumber, Timestamp};

/// How many octets are read at once.
const READ_AT_ONCE: u64 = 256 << 10;
/// No record is longer: header, IPv6 header, the longest payload of an IP packet.
const LONGEST_RECORD: usize = 16 + 40 + 65_535;

/// The destination of what was carried: where it was sent to is not known any more.
const CARRIED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Why a datagram is in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// It was received at this address while the flush of the segment was counted.
    Received(SocketAddr),
    /// A data set that waited for its template at the cut before, written again as a message of its own.
    Carried,
}

/// A datagram in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was received.
    pub received: Timestamp,
    /// Who sent it.
    pub source: SocketAddr,
    /// Why it is here.
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
/// When it was received after the year 2106 or is longer than an IP packet may be.
pub(crate) fn append(octets: &mut Vec<u8>, entry: &Entry<'_>) -> io::Result<()> {
    let destination = match entry.kind {
        EntryKind::Received(at) => at,
        EntryKind::Carried => CARRIED,
    };
    frame::append(octets, entry.received, entry.source, destination, entry.payload).map(drop)
}

/// What a segment is of. Names sort in the order of flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The flush that counts its datagrams.
    pub flush: FlushNumber,
    /// The shard that received them.
    pub shard: u16,
    /// From 0; the next part begins where the disk refused to write to the last.
    pub part: u32,
}

/// `epoch-3-flush-17-shard-0-part-0.pcap`
impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flush: FlushNumber { epoch, sequence }, shard, part } = self;
        write!(f, "epoch-{epoch}-flush-{sequence}-shard-{shard}-part-{part}.pcap")
    }
}

impl SegmentName {
    /// From the name of a file; `None` when it is not one that `Display` makes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut words = name.strip_suffix(".pcap")?.split('-');
        let mut number = |word| (words.next()? == word).then(|| words.next())?;
        let flush = FlushNumber { epoch: number("epoch")?.parse().ok()?, sequence: number("flush")?.parse().ok()? };
        let (shard, part) = (number("shard")?.parse().ok()?, number("part")?.parse().ok()?);
        Some(Self { flush, shard, part }).filter(|segment| segment.to_string() == name)
    }
}

/// The datagrams of a segment, one after the other.
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

    /// Makes the next datagram the current one; `false` at the end and, from then on, at damage.
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

    /// Octets after the last datagram, as far as they were read. At the end there are some only where it is damaged.
    pub(crate) fn left(&self) -> usize {
        self.octets.len() - self.next
    }

    fn read_record(&self) -> Option<usize> {
        frame::read(self.octets.get(self.start..)?).map(|(_, length)| length)
    }

    /// Reads until there are `wanted` octets from the start of the record, or no more.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        self.octets.drain(..self.start);
        (self.start, self.next) = (0, 0);
        // Otherwise it is read in many small pieces.
        self.octets.reserve(READ_AT_ONCE as usize);
        while !self.input_ended && self.octets.len() < wanted {
            let read = self.input.by_ref().take(READ_AT_ONCE).read_to_end(&mut self.octets);
            self.input_ended = !read.as_ref().is_ok_and(|read| *read as u64 == READ_AT_ONCE);
            read?;
        }
        Ok(())
    }
}
