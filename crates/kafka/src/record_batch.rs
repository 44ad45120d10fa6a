//! A batch of records as brokers store it (magic 2, since Kafka 0.11), encoded here because a client library would allocate for
//! each flow several times.
//!
//! Source: <https://kafka.apache.org/documentation/#recordbatch>.

use std::io::{self, Write};

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

use crate::settings::Format;
use crate::{lz4, varint};

/// What records are compressed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip.
    Gzip,
    /// LZ4 in frames.
    #[default]
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// All.
    pub const ALL: [Self; 4] = [Self::None, Self::Gzip, Self::Lz4, Self::Zstd];

    /// The name, as producers of Kafka are configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The bits of the attributes of a batch.
    const fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Where what the checksum protects begins: behind it.
const PROTECTED: usize = 21;
const MAGIC: i8 = 2;

/// The batch of a partition, record by record.
#[derive(Debug, Default)]
pub(crate) struct RecordBatch {
    records: Vec<u8>,
    /// Where each record ends.
    ends: Vec<u32>,
    count: i32,
    first_time: i64,
    last_time: i64,
}

/// The parts of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'r> {
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) key: &'r [u8],
    /// The value: all one after the other.
    pub(crate) value: [&'r [u8]; 3],
    /// The headers, as they are in a record, with their number before them.
    pub(crate) headers: &'r [u8],
}

impl RecordBatch {
    /// The size of its records.
    pub(crate) const fn len(&self) -> usize {
        self.records.len()
    }

    /// How many records it has.
    pub(crate) const fn count(&self) -> i32 {
        self.count
    }

    /// Appends a record.
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        let Record { time, key, value, headers } = *record;
        if self.count == 0 {
            (self.first_time, self.last_time) = (time, time);
        }
        self.last_time = self.last_time.max(time);
        let (since, place) = (time - self.first_time, i64::from(self.count));
        let octets = value.iter().map(|part| part.len()).sum::<usize>();
        let (key_len, value_len) = (key.len() as i64, octets as i64);
        let numbers = [since, place, key_len, value_len].map(varint::signed_len).iter().sum::<usize>();
        let length = 1 + numbers + key.len() + octets + headers.len();
        let out = &mut self.records;
        varint::signed(length as i64, out);
        // No attributes.
        out.push(0);
        varint::signed(since, out);
        varint::signed(place, out);
        varint::signed(key_len, out);
        out.extend_from_slice(key);
        varint::signed(value_len, out);
        value.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(headers);
        self.ends.push(out.len() as u32);
        self.count += 1;
    }

    /// The octets of the batch, in the memory of one that is no longer needed.
    pub(crate) fn encode(&self, compression: Compression, format: Format, mut out: Vec<u8>) -> io::Result<Vec<u8>> {
        out.clear();
        // The offset of the first record, which the broker sets, and the length.
        out.extend_from_slice(&[0; 12]);
        // No epoch of a leader.
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        out.extend_from_slice(&MAGIC.to_be_bytes());
        // The checksum.
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&compression.attributes().to_be_bytes());
        out.extend_from_slice(&(self.count - 1).to_be_bytes());
        out.extend_from_slice(&self.first_time.to_be_bytes());
        out.extend_from_slice(&self.last_time.to_be_bytes());
        // No producer that brokers know: its identifier, epoch and sequence.
        out.extend_from_slice(&(-1_i64).to_be_bytes());
        out.extend_from_slice(&(-1_i16).to_be_bytes());
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        let mut out = self.compress(compression, format, out)?;
        let length = i32::try_from(out.len() - 12).map_err(io::Error::other)?;
        put(&mut out, 8, length.to_be_bytes());
        let checksum = crc32c::crc32c(out.get(PROTECTED..).unwrap_or_default());
        put(&mut out, PROTECTED - 4, checksum.to_be_bytes());
        Ok(out)
    }

    /// Appends the compressed records.
    fn compress(&self, compression: Compression, format: Format, mut out: Vec<u8>) -> io::Result<Vec<u8>> {
        match (compression, format) {
            (Compression::None, _) => {
                out.extend_from_slice(&self.records);
                Ok(out)
            }
            (Compression::Gzip, _) => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                encoder.write_all(&self.records)?;
                encoder.finish()
            }
            // What repeats in text is anywhere.
            (Compression::Lz4, Format::Json) => {
                // As Java's producers. Its own choice would be blocks of 4 MiB, whose memory costs more than the compression.
                let mut encoder = FrameEncoder::with_frame_info(FrameInfo::new().block_size(BlockSize::Max64KB), out);
                encoder.write_all(&self.records)?;
                encoder.finish().map_err(io::Error::other)
            }
            (Compression::Lz4, Format::Delimited | Format::Single) => {
                lz4::frame(&self.records, &self.ends, &mut out);
                Ok(out)
            }
            (Compression::Zstd, _) => {
                let mut encoder = zstd::Encoder::new(out, 1)?;
                encoder.write_all(&self.records)?;
                encoder.finish()
            }
        }
    }

    /// Removes all records and keeps their memory.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.ends.clear();
        self.count = 0;
    }
}

fn put(out: &mut [u8], at: usize, octets: [u8; 4]) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&octets);
    }
}
