//! Encodes the columns of a group of rows as Parquet has them: pages of BYTE_STREAM_SPLIT that are compressed with zstd. Texts
//! have a dictionary (`text_pages`).
//!
//! The writer of `parquet` does that too, but copies each value several times and takes memory for each page: a flow costs
//! more than a third as much again. What a file consists of besides pages is left to `parquet`.

use std::io::Write;

use bytes::Bytes;
use columns::{Addresses, Encoding as Encoded, Id, Kind, Values};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnChunkMetaDataBuilder};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::SchemaDescriptor;
use zstd::bulk::Compressor;

use crate::chunk::Chunk;
use crate::schema::schema;
use crate::text_pages::{self, GroupTexts, PageKind, write_unsigned};

/// Compression takes most of the time that a file costs. Higher levels make files no smaller.
pub(crate) const ZSTD_LEVEL: i32 = 1;
/// The share of absent addresses that a Bloom filter does not rule out.
const FALSE_POSITIVES: f64 = 0.02;

/// Encodes one column after the other, in the memory of the one before.
pub(crate) struct ColumnEncoder {
    schema: SchemaDescriptor,
    /// The columns with a Bloom filter for each group of rows.
    filtered: &'static [Id],
    compressor: Compressor<'static>,
    /// A page.
    page: Vec<u8>,
    compressed: Vec<u8>,
    /// The pages of a column, with their headers.
    octets: Vec<u8>,
    /// By the number of the column in the file, those without values, of groups with as many rows. Of most routers these are
    /// two thirds of all columns, and zeros take as long to encode as other numbers.
    empty: Vec<Option<(Bytes, ColumnChunkMetaData)>>,
    empty_rows: usize,
}

/// The least and the greatest value of a column.
#[derive(Clone, Copy)]
enum Span {
    Numbers(u64, u64),
    /// Those of IPv6 addresses, of which there may be none, and how many rows have none.
    Addresses(Option<([u8; 16], [u8; 16])>, usize),
}

impl ColumnEncoder {
    pub(crate) fn new(filtered: &'static [Id]) -> Result<Self> {
        let schema = SchemaDescriptor::new(schema()?);
        let empty = vec![None; schema.num_columns()];
        let compressor = Compressor::new(ZSTD_LEVEL)?;
        let (page, compressed, octets) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { schema, filtered, compressor, page, compressed, octets, empty, empty_rows: 0 })
    }

    /// Writes all columns of a group.
    pub(crate) fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        chunks: &[Chunk],
    ) -> Result<()> {
        let rows = chunks.iter().map(Chunk::rows).sum();
        if rows != self.empty_rows {
            self.empty.fill(None);
            self.empty_rows = rows;
        }
        let leaves =
            Id::ALL.into_iter().flat_map(|id| (0..id.column().kind.leaves().len()).map(move |leaf| (id, leaf)));
        for (column, (id, leaf)) in leaves.enumerate() {
            self.write_column(group, chunks, column, (id, leaf))?;
        }
        Ok(())
    }

    fn write_column<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        chunks: &[Chunk],
        column: usize,
        (id, leaf): (Id, usize),
    ) -> Result<()> {
        let is_empty = chunks.iter().all(|chunk| is_empty(chunk.values(id), leaf));
        let bloom_filter =
            (self.filtered.contains(&id) && !is_empty).then(|| bloom_filter(chunks, id, leaf)).transpose()?;
        if let Some(Some((octets, metadata))) = self.empty.get(column).filter(|_| is_empty) {
            return group.append_column(octets, self.closed(metadata.clone(), bloom_filter));
        }
        let metadata = self.encode(chunks, column, (id, leaf))?;
        let octets = Bytes::from(std::mem::take(&mut self.octets));
        group.append_column(&octets, self.closed(metadata.clone(), bloom_filter))?;
        match self.empty.get_mut(column).filter(|_| is_empty) {
            Some(empty) => *empty = Some((octets, metadata)),
            None => self.octets = octets.into(),
        }
        Ok(())
    }

    fn closed(&self, metadata: ColumnChunkMetaData, bloom_filter: Option<Sbbf>) -> ColumnCloseResult {
        ColumnCloseResult {
            bytes_written: u64::try_from(metadata.compressed_size()).unwrap_or_default(),
            rows_written: self.empty_rows as u64,
            metadata,
            bloom_filter,
            column_index: None,
            offset_index: None,
        }
    }

    /// Encodes a column into `octets`.
    fn encode(&mut self, chunks: &[Chunk], column: usize, (id, leaf): (Id, usize)) -> Result<ColumnChunkMetaData> {
        self.octets.clear();
        if id.column().kind.leaves().get(leaf).is_some_and(|leaf| leaf.encoding == Encoded::Dictionary) {
            return self.encode_texts(chunks, column, id);
        }
        let (mut span, mut uncompressed) = (None, 0);
        for chunk in chunks {
            self.page.clear();
            let of_page = encode_page(chunk, id, leaf, &mut self.page);
            span = Some(span.map_or(of_page, |span: Span| span.and(of_page)));
            uncompressed += self.end_page(PageKind::Streams, chunk.rows())?;
        }
        self.metadata(column, uncompressed)?
            .set_encodings(vec![Encoding::RLE, Encoding::BYTE_STREAM_SPLIT])
            .set_data_page_offset(0)
            .set_statistics(span.unwrap_or(Span::Numbers(0, 0)).statistics(id))
            .build()
    }

    /// Encodes a column of texts.
    fn encode_texts(&mut self, chunks: &[Chunk], column: usize, id: Id) -> Result<ColumnChunkMetaData> {
        let texts = GroupTexts::of(chunks, id);
        self.page.clear();
        let count = texts.encode_texts(&mut self.page);
        let mut uncompressed = self.end_page(PageKind::Texts, count)?;
        let begin = self.octets.len();
        let (width, mut numbers) = (texts.width(), texts.numbers.as_slice());
        for chunk in chunks {
            let (of_chunk, rest) = numbers.split_at_checked(chunk.rows()).unwrap_or((numbers, &[]));
            numbers = rest;
            self.page.clear();
            text_pages::encode_numbers(of_chunk, width, &mut self.page);
            uncompressed += self.end_page(PageKind::NumbersOfTexts, chunk.rows())?;
        }
        let (min, max) = texts.span().map(|(min, max)| (ByteArray::from(min), ByteArray::from(max))).unzip();
        self.metadata(column, uncompressed)?
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(begin as i64)
            .set_statistics(ValueStatistics::new(min, max, None, Some(0), false).into())
            .build()
    }

    /// What is stated of the column in `octets`.
    fn metadata(&self, column: usize, uncompressed: usize) -> Result<ColumnChunkMetaDataBuilder> {
        let descriptor = self.schema.columns().get(column).cloned();
        let descriptor = descriptor.ok_or_else(|| ParquetError::General("a column is not in the schema".to_owned()))?;
        Ok(ColumnChunkMetaData::builder(descriptor)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_total_compressed_size(self.octets.len() as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_num_values(self.empty_rows as i64))
    }

    /// Appends the page with as many values to the column. Returns how many octets it would have without compression.
    fn end_page(&mut self, kind: PageKind, values: usize) -> Result<usize> {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        self.compressor.compress_to_buffer(&self.page, &mut self.compressed)?;
        let before = self.octets.len();
        let checksum = crc32fast::hash(&self.compressed);
        write_header(&mut self.octets, kind, [self.page.len(), self.compressed.len(), values], checksum);
        let header = self.octets.len() - before;
        self.octets.extend_from_slice(&self.compressed);
        Ok(header + self.page.len())
    }
}

impl Span {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Numbers(min, max), Self::Numbers(other_min, other_max)) => {
                Self::Numbers(min.min(other_min), max.max(other_max))
            }
            (Self::Addresses(span, nulls), Self::Addresses(other, other_nulls)) => {
                let both = span
                    .zip(other)
                    .map(|((min, max), (other_min, other_max))| (min.min(other_min), max.max(other_max)));
                Self::Addresses(both.or(span).or(other), nulls + other_nulls)
            }
            // All pages of a column are of the same kind.
            (span, _) => span,
        }
    }

    fn statistics(self, id: Id) -> Statistics {
        match (self, id.column().kind) {
            (Self::Numbers(min, max), Kind::U64 | Kind::Time | Kind::Mac) => {
                let [min, max] = [min, max].map(|number| Some(number.cast_signed()));
                ValueStatistics::new(min, max, None, Some(0), false).into()
            }
            (Self::Numbers(min, max), _) => {
                let [min, max] = [min, max].map(|number| Some((number as u32).cast_signed()));
                ValueStatistics::new(min, max, None, Some(0), false).into()
            }
            (Self::Addresses(span, nulls), _) => {
                let value = |octets: [u8; 16]| FixedLenByteArray::from(ByteArray::from(octets.to_vec()));
                let (min, max) = span.map(|(min, max)| (value(min), value(max))).unzip();
                ValueStatistics::new(min, max, None, Some(nulls as u64), false).into()
            }
        }
    }
}

/// Encodes the rows of a chunk as a page.
fn encode_page(chunk: &Chunk, id: Id, leaf: usize, page: &mut Vec<u8>) -> Span {
    let rows = chunk.rows();
    match (chunk.values(id), leaf) {
        (Values::U8(values), _) => encode_numbers(values, rows, 4, page),
        (Values::U16(values), _) => encode_numbers(values, rows, 4, page),
        (Values::U32(values), _) => encode_numbers(values, rows, 4, page),
        (Values::U64(values), _) => encode_numbers(values, rows, 8, page),
        (Values::Addresses(Addresses { v4, .. }), 0) => encode_numbers(v4, rows, 4, page),
        (Values::Addresses(Addresses { is_v6, v6, .. }), _) => {
            encode_levels(is_v6, rows, page);
            for octet in 0..16 {
                page.extend(v6.iter().map(|address| address.get(octet).copied().unwrap_or_default()));
            }
            let span = v6.iter().min().copied().zip(v6.iter().max().copied());
            Span::Addresses(span, rows - v6.len())
        }
        // They have a dictionary.
        (Values::Texts(_), _) => Span::Numbers(0, 0),
    }
}

/// The first octets of all numbers, then the second ones, and so on. No values are as many zeros.
fn encode_numbers<T: Copy + Into<u64>>(values: &[T], rows: usize, width: usize, page: &mut Vec<u8>) -> Span {
    if values.is_empty() {
        page.resize(rows * width, 0);
        return Span::Numbers(0, 0);
    }
    for octet in 0..size_of::<T>().min(width) {
        page.extend(values.iter().map(|value| ((*value).into() >> (8 * octet)) as u8));
    }
    page.resize(rows * width, 0);
    let (min, max) = values.iter().fold((u64::MAX, 0), |(min, max): (u64, u64), value| {
        let value = (*value).into();
        (min.min(value), max.max(value))
    });
    Span::Numbers(min, max)
}

/// Whether each row has a value: a run if all or none have, otherwise groups of eight bits. Their length comes first.
fn encode_levels(present: &[bool], rows: usize, page: &mut Vec<u8>) {
    let begin = page.len();
    page.extend([0; 4]);
    if present.iter().all(|is_present| !is_present)
        || (present.len() == rows && present.iter().all(|is_present| *is_present))
    {
        write_unsigned(page, (rows as u64) << 1);
        page.push(u8::from(present.contains(&true)));
    } else {
        write_unsigned(page, (rows.div_ceil(8) as u64) << 1 | 1);
        let bits = |group: &[bool]| group.iter().rev().fold(0, |bits, is_present| bits << 1 | u8::from(*is_present));
        page.extend(present.chunks(8).map(bits));
    }
    let length = (page.len() - begin - 4) as u32;
    if let Some(place) = page.get_mut(begin..begin + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// The header of a page (`scan::page_header` reads it), with its octets before and after compression, its values, and the CRC-32
/// of the compressed ones.
fn write_header(into: &mut Vec<u8>, kind: PageKind, [uncompressed, compressed, values]: [usize; 3], checksum: u32) {
    // The next field of a structure: a number of 32 bits, a structure; and the end of one.
    const NUMBER: u8 = 0x15;
    const OF_DATA: u8 = 0x1c;
    const OF_DICTIONARY: u8 = 0x3c;
    const END: u8 = 0;
    let number = |into: &mut Vec<u8>, number: i32| {
        into.push(NUMBER);
        // Signed numbers have their sign in the lowest bit.
        write_unsigned(into, ((number << 1) ^ (number >> 31)).cast_unsigned().into());
    };
    // The encoding of the values; RLE for both kinds of levels.
    let (page, field, encodings): (_, _, &[i32]) = match kind {
        PageKind::Streams => (0, OF_DATA, &[9, 3, 3]),
        PageKind::NumbersOfTexts => (0, OF_DATA, &[8, 3, 3]),
        PageKind::Texts => (2, OF_DICTIONARY, &[0]),
    };
    let [uncompressed, compressed, values] = [uncompressed, compressed, values].map(|number| number as i32);
    [page, uncompressed, compressed, checksum.cast_signed()].into_iter().for_each(|value| number(into, value));
    into.push(field);
    [values].iter().chain(encodings).for_each(|value| number(into, *value));
    into.extend([END, END]);
}

/// Whether no row has a value in a column of the file: of addresses, the first one is of IPv4, the second one of IPv6.
const fn is_empty(values: &Values, leaf: usize) -> bool {
    match values {
        Values::Addresses(Addresses { v4, .. }) if leaf == 0 => v4.is_empty(),
        Values::Addresses(Addresses { is_v6, .. }) => is_v6.is_empty(),
        _ => values.is_empty(),
    }
}

/// The Bloom filter of the addresses of a column.
fn bloom_filter(chunks: &[Chunk], id: Id, leaf: usize) -> Result<Sbbf> {
    let rows: usize = chunks.iter().map(Chunk::rows).sum();
    let mut filter = Sbbf::new_with_ndv_fpp(rows as u64, FALSE_POSITIVES)?;
    for chunk in chunks {
        let Values::Addresses(Addresses { v4, v6, .. }) = chunk.values(id) else { continue };
        if leaf == 0 {
            v4.iter().for_each(|address| filter.insert(&address.to_le_bytes()[..]));
        } else {
            v6.iter().for_each(|address| filter.insert(&address[..]));
        }
    }
    filter.fold_to_target_fpp(FALSE_POSITIVES);
    Ok(filter)
}
