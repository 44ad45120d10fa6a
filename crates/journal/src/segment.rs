//! A segment by its name, and its datagrams up to the first octet that is not as it was written: what stands behind
//! that was never synced.

use std::fmt;
use std::io::{self, Read};

use capture::{UdpDatagram, frame};
use flow::FlushNumber;

/// How many octets are read at once.
const READ_AT_ONCE: u64 = 256 << 10;
/// No record is longer: header, IPv6 header, the longest payload of an IP packet.
const LONGEST_RECORD: usize = 16 + 40 + 65_535;

/// What a segment is of. Names sort in the order of flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The flush that counts what is in it.
    pub flush: FlushNumber,
    /// The shard that has received it.
    pub shard: u16,
    /// From 0; a further one is begun where the disk refused to go on with the last.
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
    /// From the name of a file; `None` when it is none that we would give.
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
pub(crate) struct Reader {
    input: Box<dyn Read + Send>,
    octets: Vec<u8>,
    /// Where the next record starts.
    start: usize,
    /// Where the one behind it starts.
    next: usize,
    input_ended: bool,
    header_read: bool,
}

impl Reader {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, octets: Vec::new(), start: 0, next: 0, input_ended: false, header_read: false }
    }

    /// Makes the next datagram the current one; `false` at the end, and for ever where something is damaged.
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
    pub(crate) fn current(&self) -> Option<UdpDatagram<'_>> {
        let record = self.octets.get(self.start..self.next)?;
        frame::read(record).map(|(datagram, _)| datagram)
    }

    /// Octets behind the last datagram, as far as they were read: of damage when there are any at the end.
    pub(crate) fn left(&self) -> usize {
        self.octets.len() - self.next
    }

    fn read_record(&self) -> Option<usize> {
        frame::read(self.octets.get(self.start..)?).map(|(_, length)| length)
    }

    /// Reads on until there are so many octets at the start, or no more.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        self.octets.drain(..self.start);
        (self.start, self.next) = (0, 0);
        // Else it is read in many small pieces.
        self.octets.reserve(READ_AT_ONCE as usize);
        while !self.input_ended && self.octets.len() < wanted {
            let read = self.input.by_ref().take(READ_AT_ONCE).read_to_end(&mut self.octets);
            self.input_ended = !read.as_ref().is_ok_and(|read| *read as u64 == READ_AT_ONCE);
            read?;
        }
        Ok(())
    }
}
