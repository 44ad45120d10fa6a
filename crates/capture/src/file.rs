//! File formats: from the octets of a file to link-layer frames, or to the messages of an IPFIX file. Reads forwards only and
//! holds one of them at a time, so it reads pipes too. Our own code: docs/decisions/0001-own-and-borrowed.md compares it with a library.

mod ipfix;
mod pcap;
mod pcapng;

use std::io::{self, BufReader, Read};

use flow::Timestamp;

use crate::error::{CaptureError, Damage, Unit};
use crate::link::LinkLayer;

/// No supported link layer has longer frames (libpcap's largest snapshot length).
const FRAME_LIMIT: u32 = 262_144;

/// Reads a file and counts its octets.
pub(crate) struct Octets {
    reader: BufReader<Box<dyn Read + Send>>,
    /// Octets read so far.
    offset: u64,
}

impl Octets {
    pub(crate) fn new(reader: impl Read + Send + 'static) -> Self {
        Self { reader: BufReader::with_capacity(65_536, Box::new(reader)), offset: 0 }
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io { offset: self.offset, source }
    }

    /// Reads until the array is full or the file ends; returns how many were read.
    fn read_up_to<const N: usize>(&mut self) -> Result<([u8; N], usize), ReadError> {
        let mut octets = [0; N];
        let mut read = 0;
        while let Some(rest) = octets.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.offset += read as u64;
        Ok((octets, read))
    }

    /// Reads an array; the end of the file is damage.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        match self.read_up_to()? {
            (octets, read) if read == N => Ok(octets),
            _ => Err(Damage::CutOff.into()),
        }
    }

    /// Reads an array, or nothing at the end of the file.
    fn array_or_end<const N: usize>(&mut self) -> Result<Option<[u8; N]>, ReadError> {
        match self.read_up_to()? {
            (_, 0) => Ok(None),
            (octets, read) if read == N => Ok(Some(octets)),
            _ => Err(Damage::CutOff.into()),
        }
    }

    /// Replaces the contents of the buffer by the next octets.
    fn fill(&mut self, buffer: &mut Vec<u8>, length: u32) -> Result<(), ReadError> {
        buffer.clear();
        self.append(buffer, length)
    }

    /// Appends the next octets to the buffer, which grows with the data that is present, not with the claimed length.
    fn append(&mut self, buffer: &mut Vec<u8>, length: u32) -> Result<(), ReadError> {
        let read = self.reader.by_ref().take(length.into()).read_to_end(buffer);
        let read = read.map_err(|error| self.failed(error))? as u64;
        self.offset += read;
        if read == u64::from(length) { Ok(()) } else { Err(Damage::CutOff.into()) }
    }

    /// Skips octets.
    fn skip(&mut self, length: u32) -> Result<(), ReadError> {
        let skipped = io::copy(&mut self.reader.by_ref().take(length.into()), &mut io::sink());
        let skipped = skipped.map_err(|error| self.failed(error))?;
        self.offset += skipped;
        if skipped == u64::from(length) { Ok(()) } else { Err(Damage::CutOff.into()) }
    }
}

/// Why the next frame was not read; [`File::next_frame`] adds the position.
enum ReadError {
    Io { offset: u64, source: io::Error },
    Damage(Damage),
}

impl From<Damage> for ReadError {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl ReadError {
    /// The error, with the place of what is damaged and the number of packets or messages before it.
    fn at(self, offset: u64, unit: Unit, count: u64) -> CaptureError {
        match self {
            Self::Io { offset, source } => CaptureError::Io { offset, source },
            Self::Damage(damage) => CaptureError::Damaged { offset, unit, count, damage },
        }
    }
}

/// What the file records about a frame; its octets are in the caller's buffer.
pub(crate) struct Frame {
    pub(crate) received: Timestamp,
    /// `None` when the link layer is not supported, and for messages.
    pub(crate) link: Option<LinkLayer>,
    /// Its length on the wire, which exceeds that of the buffer if the capture truncated it.
    pub(crate) original_length: u32,
    /// Whether it is a record of [`frame::append_checked`](crate::frame::append_checked), whose hop limit is a mark.
    pub(crate) is_checked: bool,
}

/// Big endian or little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteOrder {
    Big,
    Little,
}

impl ByteOrder {
    fn u16(self, octets: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(octets),
            Self::Little => u16::from_le_bytes(octets),
        }
    }

    fn u32(self, octets: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(octets),
            Self::Little => u32::from_le_bytes(octets),
        }
    }

    /// As many integers as fit the octets.
    fn words<const N: usize>(self, octets: &[u8]) -> [u32; N] {
        let mut words = [0; N];
        let (chunks, _) = octets.as_chunks::<4>();
        for (word, chunk) in words.iter_mut().zip(chunks) {
            *word = self.u32(*chunk);
        }
        words
    }
}

enum Format {
    Pcap(pcap::Pcap),
    Pcapng(pcapng::Pcapng),
    Ipfix(ipfix::Ipfix),
}

impl Format {
    const fn unit(&self) -> Unit {
        match self {
            Self::Pcap(_) | Self::Pcapng(_) => Unit::Packet,
            Self::Ipfix(_) => Unit::Message,
        }
    }
}

/// A file of one of the formats.
pub(crate) struct File {
    octets: Octets,
    format: Format,
    count: u64,
}

impl File {
    /// Reads the start of a file and recognises its format.
    pub(crate) fn new(mut octets: Octets) -> Result<Self, CaptureError> {
        let at_start = |error: ReadError| error.at(0, Unit::Packet, 0);
        let (magic, read) = octets.read_up_to::<4>().map_err(at_start)?;
        let format = if let Some((order, precision)) = pcap::recognise(magic) {
            let pcap = pcap::Pcap::start(&mut octets, order, precision).map_err(at_start)?;
            Format::Pcap(pcap.map_err(CaptureError::LinkLayer)?)
        } else if magic == pcapng::SECTION_HEADER.to_be_bytes() {
            Format::Pcapng(pcapng::Pcapng::start(&mut octets).map_err(at_start)?)
        } else if let Some(ipfix) = ipfix::Ipfix::recognise(magic) {
            Format::Ipfix(ipfix)
        } else {
            return Err(CaptureError::NotACapture(likely_reason(magic, read)));
        };
        Ok(Self { octets, format, count: 0 })
    }

    /// What the file is a sequence of.
    pub(crate) const fn unit(&self) -> Unit {
        self.format.unit()
    }

    /// The next frame, or message; its octets replace the contents of the buffer. `None` at the end of the file.
    pub(crate) fn next_frame(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Frame>, CaptureError> {
        let mut start = self.octets.offset;
        let frame = match &mut self.format {
            Format::Pcap(pcap) => pcap.next_frame(&mut self.octets, buffer),
            Format::Pcapng(pcapng) => pcapng.next_frame(&mut self.octets, buffer, &mut start),
            Format::Ipfix(ipfix) => ipfix.next_message(&mut self.octets, buffer, &mut start),
        };
        let frame = frame.map_err(|error| error.at(start, self.unit(), self.count))?;
        self.count += u64::from(frame.is_some());
        Ok(frame)
    }
}

/// Guesses from its first octets why a file is not a capture.
fn likely_reason(magic: [u8; 4], read: usize) -> &'static str {
    match magic {
        _ if read == 0 => ": it is empty",
        _ if read < magic.len() => ": it is too short",
        [0, 10, ..] => ": it begins as an IPFIX file does, but its first message is shorter than a header",
        [0x1f, 0x8b, ..] => ": it is compressed, pass it through gunzip first",
        [0x28, 0xb5, 0x2f, 0xfd] => ": it is compressed, pass it through unzstd first",
        [0xfd, b'7', b'z', b'X'] => ": it is compressed, pass it through unxz first",
        _ => "",
    }
}
