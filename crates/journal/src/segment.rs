//! Names and content of segments, and reading a segment: a damaged record is skipped, and costs no other.
//!
//! A segment is a pcap file of UDP datagrams, in checked records (`capture::frame`). Messages of TCP connections are such
//! datagrams too, with a mark; one that is longer than a packet is in two records, and the end of a connection is a message
//! without content. Older programs wrote records without
//! a checksum, in files with another header: these are read up to the first damaged octet. Carried-over data are marked by
//! the destination 0.0.0.0:0, terms by 127.0.0.1:0 or [::1]:0, notes by terms of the sender 0.0.0.0, which none has, and
//! annotations by notes with a port, which is their number. On these, nothing is received; only [`Entry`] and [`append`] know these marks.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use capture::UdpDatagram;
use capture::frame::{self, Carrier, LONGEST_RECORD};
use flow::{Counted, Exporter, FlushNumber, Timestamp, Transport, WriterId};

/// Octets of a message in one record; the rest is in the next one.
const MESSAGE_PART: usize = 60_000;

/// Octets in one read.
const READ_AT_ONCE: u64 = 256 << 10;

/// What the names of files in the log begin with.
const LOG_PREFIX: &str = "log-";

/// The destination of carried-over data, whose original destination is unknown.
const CARRIED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The port of the second annotation. That of the first is 1.
const SECOND: u16 = 2;

/// The reason why a datagram is in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// It was received on this address and belongs to the flush of the segment.
    Received(SocketAddr),
    /// It is no datagram: the connection of this address and port has ended, in which messages were received on this address.
    Ended(SocketAddr),
    /// It was carried over: a data set that was queued for its template at the previous cut, as a separate message.
    Carried,
    /// It is no datagram, but (a part of) the terms by which the following datagrams of this address are counted.
    Terms,
    /// It is no datagram, but a note for readers of the log ([`Writer::note`](crate::Writer::note)).
    Note,
    /// It is no datagram, but (a part of) what was noted beside the next one: the annotation with this number.
    Annotation(u8),
}

/// What may be noted beside a datagram, each empty if there is nothing.
pub type Annotations<'a> = [&'a [u8]; 2];

/// A datagram in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its receive time.
    pub received: Timestamp,
    /// Its exporter.
    pub source: SocketAddr,
    /// How the exporter has sent it.
    pub transport: Transport,
    /// Why it is in this segment.
    pub kind: EntryKind,
    /// The export datagram.
    pub payload: &'a [u8],
    /// The terms by which it was counted, as they were [stated](crate::Writer::state); `None` if they are not in the
    /// segment.
    pub terms: Option<&'a [u8]>,
    /// What was [noted beside it](crate::Writer::annotate).
    pub annotations: Annotations<'a>,
}

impl Entry<'_> {
    /// Its exporter.
    #[must_use]
    pub fn exporter(&self) -> Exporter {
        match self.transport {
            Transport::Udp => Exporter::udp(self.source.ip(), self.source.port()),
            Transport::Tcp => Exporter::tcp(self.source.ip(), self.source.port()),
        }
    }
}

impl<'a> From<UdpDatagram<'a>> for Entry<'a> {
    fn from(UdpDatagram { received, source, destination, carrier, payload }: UdpDatagram<'a>) -> Self {
        let transport = if carrier == Carrier::Datagram { Transport::Udp } else { Transport::Tcp };
        let kind = match destination {
            at if transport == Transport::Tcp && payload.is_empty() => EntryKind::Ended(at),
            at if at.port() != CARRIED.port() => EntryKind::Received(at),
            at if at.ip().is_unspecified() => EntryKind::Carried,
            _ if source.ip().is_unspecified() && source.port() == 0 => EntryKind::Note,
            _ if source.ip().is_unspecified() => EntryKind::Annotation(u8::from(source.port() == SECOND)),
            _ => EntryKind::Terms,
        };
        Self { received, source, transport, kind, payload, terms: None, annotations: [&[]; 2] }
    }
}

/// Appends a datagram, or a message of a connection, as a record of a segment with this salt.
///
/// # Errors
/// If it was received after the year 2106 or is longer than an IP packet can be.
pub(crate) fn append(octets: &mut Vec<u8>, salt: u32, entry: &Entry<'_>) -> io::Result<()> {
    let destination = match entry.kind {
        EntryKind::Received(at) | EntryKind::Ended(at) => at,
        EntryKind::Carried => CARRIED,
        EntryKind::Terms | EntryKind::Note | EntryKind::Annotation(_) if entry.source.is_ipv4() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, CARRIED.port()))
        }
        EntryKind::Terms | EntryKind::Note | EntryKind::Annotation(_) => {
            SocketAddr::from((Ipv6Addr::LOCALHOST, CARRIED.port()))
        }
    };
    let Entry { received, source, payload, .. } = *entry;
    let carrier = match entry.transport {
        Transport::Udp => Carrier::Datagram,
        Transport::Tcp => Carrier::Message,
    };
    let record = UdpDatagram { received, source, destination, carrier, payload };
    match carrier {
        Carrier::Datagram => frame::append_checked(octets, salt, &record),
        _ => append_message(octets, salt, &record),
    }
}

fn append_message(octets: &mut Vec<u8>, salt: u32, message: &UdpDatagram<'_>) -> io::Result<()> {
    let Some((begin, rest)) = message.payload.split_at_checked(MESSAGE_PART) else {
        return frame::append_checked(octets, salt, message);
    };
    let before = octets.len();
    let part = |carrier, payload| UdpDatagram { carrier, payload, ..*message };
    frame::append_checked(octets, salt, &part(Carrier::BegunMessage, begin))?;
    let appended = frame::append_checked(octets, salt, &part(Carrier::RestOfMessage, rest));
    if appended.is_err() {
        octets.truncate(before);
    }
    appended
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
    pub const fn counted(&self) -> Counted {
        Counted { writer: self.writer, newest: self.flush }
    }

    /// The name of its file in the log.
    #[must_use]
    pub fn in_log(&self) -> String {
        format!("{LOG_PREFIX}{self}")
    }

    /// Parses the name of a file in the log; `None` if it is not one that [`in_log`](Self::in_log) creates.
    #[must_use]
    pub fn parse_in_log(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(LOG_PREFIX)?)
    }

    /// The salt of the checksums in all parts of the segment. Exporters do not know the writer. Records of another flush,
    /// which a disk may bring back in a file after a power failure, do not fit it.
    pub(crate) fn salt(&self) -> u32 {
        crc32fast::hash(Self { part: 0, ..*self }.to_string().as_bytes())
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

/// The records of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Without checksums, as older programs wrote them.
    Plain,
    Checked,
}

/// Reads the datagrams of a segment in order.
pub(crate) struct SegmentReader {
    input: Box<dyn Read + Send>,
    octets: Vec<u8>,
    /// Where the current record starts.
    start: usize,
    current: Option<Record>,
    /// The present message, if it is in two records, or the beginning of the next one.
    message: Vec<u8>,
    input_ended: bool,
    /// `None` until the file header is read.
    format: Option<Format>,
    salt: u32,
    damaged: Damaged,
    is_torn: bool,
}

/// A record that was checked. It is asked for several times, and checking it takes longer than decoding what is in it.
#[derive(Clone, Debug)]
struct Record {
    received: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    carrier: Carrier,
    /// Where it is in the octets that were read.
    payload: Range<usize>,
    length: usize,
}

/// Damaged places of segments, which are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damaged {
    /// Places: runs of octets without an undamaged record.
    pub places: u64,
    /// Their octets.
    pub octets: u64,
}

impl Damaged {
    pub(crate) fn merge(&mut self, other: Self) {
        self.places += other.places;
        self.octets += other.octets;
    }
}

impl SegmentReader {
    pub(crate) fn new(input: Box<dyn Read + Send>, salt: u32) -> Self {
        Self {
            input,
            octets: Vec::new(),
            start: 0,
            current: None,
            message: Vec::new(),
            input_ended: false,
            format: None,
            salt,
            damaged: Damaged::default(),
            is_torn: false,
        }
    }

    /// Advances to the next undamaged datagram; `false` at the end. Of a message in two records, both must be undamaged.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.message.clear();
        let mut begun = None;
        while self.advance_record()? {
            let Some(Record { received, source, carrier, payload, .. }) = &self.current else { break };
            let octets = self.octets.get(payload.clone()).unwrap_or_default();
            match carrier {
                Carrier::Datagram | Carrier::Message => {
                    self.message.clear();
                    return Ok(true);
                }
                Carrier::BegunMessage => {
                    octets.clone_into(&mut self.message);
                    begun = Some((*received, *source));
                }
                Carrier::RestOfMessage if begun.take() == Some((*received, *source)) => {
                    self.message.extend_from_slice(octets);
                    return Ok(true);
                }
                Carrier::RestOfMessage => {}
            }
        }
        Ok(false)
    }

    /// Advances to the next undamaged record; `false` at the end.
    fn advance_record(&mut self) -> io::Result<bool> {
        self.start += self.current.take().map_or(0, |record| record.length);
        if self.format.is_none() {
            self.read_header()?;
        }
        self.current = self.read_record();
        if self.current.is_none() {
            self.fill()?;
            self.current = self.read_record();
        }
        if self.current.is_none() {
            match self.format {
                Some(Format::Plain) => self.is_torn = self.start < self.octets.len(),
                _ => self.current = self.skip_damaged()?,
            }
        }
        Ok(self.current.is_some())
    }

    /// The current datagram.
    pub(crate) fn current(&self) -> Option<Entry<'_>> {
        let Record { received, source, destination, payload, carrier, .. } = self.current.as_ref()?;
        let payload = if self.message.is_empty() { self.octets.get(payload.clone())? } else { &self.message };
        let (source, destination, carrier) = (*source, *destination, *carrier);
        Some(UdpDatagram { received: *received, source, destination, carrier, payload }.into())
    }

    /// The damaged places so far.
    pub(crate) fn damaged(&self) -> Damaged {
        self.damaged
    }

    /// At the end: whether the segment ends within a record, as after a crash.
    pub(crate) fn is_torn(&self) -> bool {
        self.is_torn
    }

    fn read_header(&mut self) -> io::Result<()> {
        self.fill()?;
        let header = self.octets.first_chunk().copied().unwrap_or_default();
        (self.format, self.start) = match header {
            frame::FILE_HEADER => (Some(Format::Plain), header.len()),
            frame::CHECKED_FILE_HEADER => (Some(Format::Checked), header.len()),
            // It is damaged; the records are found without it.
            _ => (Some(Format::Checked), 0),
        };
        Ok(())
    }

    /// Searches for the next record; `None` at the end of the segment.
    fn skip_damaged(&mut self) -> io::Result<Option<Record>> {
        let rest = self.octets.get(self.start..).unwrap_or_default();
        let is_whole = frame::length(rest).is_some_and(|length| length <= rest.len());
        let mut octets = 0;
        while self.start < self.octets.len() {
            self.start += 1;
            octets += 1;
            self.fill()?;
            if let Some(record) = self.read_record() {
                self.damaged.merge(Damaged { places: 1, octets });
                return Ok(Some(record));
            }
        }
        if is_whole {
            self.damaged.merge(Damaged { places: 1, octets });
        } else {
            self.is_torn |= octets > 0;
        }
        Ok(None)
    }

    fn read_record(&self) -> Option<Record> {
        let octets = self.octets.get(self.start..)?;
        let (datagram, length, trailer) = match self.format? {
            Format::Plain => {
                let (datagram, length) = frame::read(octets)?;
                (datagram, length, 0)
            }
            Format::Checked => {
                let (datagram, length) = frame::read_checked(octets, self.salt)?;
                (datagram, length, frame::CHECKSUM)
            }
        };
        let UdpDatagram { received, source, destination, carrier, payload } = datagram;
        let end = self.start + length - trailer;
        Some(Record { received, source, destination, carrier, payload: end - payload.len()..end, length })
    }

    /// Reads until the longest possible record is available from the start of the current one, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        if self.input_ended || self.octets.len() >= self.start + LONGEST_RECORD {
            return Ok(());
        }
        self.octets.drain(..self.start);
        self.start = 0;
        // Avoids many small reads.
        self.octets.reserve(READ_AT_ONCE as usize);
        while !self.input_ended && self.octets.len() < LONGEST_RECORD {
            let read = self.input.by_ref().take(READ_AT_ONCE).read_to_end(&mut self.octets);
            self.input_ended = !read.as_ref().is_ok_and(|read| *read as u64 == READ_AT_ONCE);
            read?;
        }
        Ok(())
    }
}
