//! Writes a file: collects rows until they are enough for a group, and encodes them. Questions may read it meanwhile.
//!
//! A file is synced and complete before it gets its name, and its folder is synced after it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use accounting::period::Interval;
use columns::{Addresses, Batch, Id, Kind, Row, SCHEMA, Values};
use crc32fast::Hasher;
use flow::{Counters, FlushNumber, WriterId};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaDataPtr};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use rustix::fs::{FlockOperation, flock};

use crate::chunk::{Chunk, ROWS_OF_A_CHUNK};
use crate::empty_columns::EmptyColumns;
use crate::folder::remove;
use crate::open_parts::OpenPart;
use crate::page_filters::{PageFilters, filters_of};
use crate::part_name::{PartName, UNFINISHED, folder_of};
use crate::row_order::by_host;
use crate::schema::schema;

/// The rows of a column that are encoded and compressed together. Their buffers stay in the caches, and are too small for the
/// allocator to map and unmap each: with pages of eight times as many rows, a flow takes 0.8 octets less, and half as long again.
pub(crate) const ROWS_OF_A_PAGE: usize = 1 << 13;
/// The columns with a Bloom filter for each group of rows: one of some hundred thousand addresses is rarely in all groups.
const BLOOM_FILTERED: [Id; 2] = [Id::SrcIp, Id::DstIp];
/// The share of absent addresses that a Bloom filter does not rule out.
const FALSE_POSITIVES: f64 = 0.02;
/// Compression takes most of the time that a file costs. Higher levels make files no smaller.
pub(crate) const ZSTD_LEVEL: i32 = 1;

/// How many rows are put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The rows that become a chunk.
    pub(crate) chunk: usize,
    /// The rows of chunks that become a group in the file. Fewer take more octets, more take more memory.
    pub(crate) group: usize,
}

impl Sizes {
    pub(crate) const USUAL: Self = Self { chunk: ROWS_OF_A_CHUNK, group: 1 << 18 };
}

/// A file that is being written.
pub(crate) struct PartWriter {
    sizes: Sizes,
    hour: Interval,
    writer: WriterId,
    /// The flush of its first row.
    first: FlushNumber,
    unfinished: Unfinished,
    file: SerializedFileWriter<SummedFile>,
    /// The same file, for questions.
    read: Arc<File>,
    /// The groups of rows that are written.
    groups: Vec<RowGroupMetaDataPtr>,
    /// The rows that are in no group yet: all but the last ones.
    chunks: Vec<Chunk>,
    /// For groups of the usual size.
    empty: Option<EmptyColumns>,
    /// The last ones, fewer than a chunk has.
    rows: Batch,
    written: Written,
    /// How many rows were published.
    published: u64,
    /// The files whose rows are put together in it.
    joined_from: Vec<PartName>,
    /// Of a joined file, where the filters of each group are.
    page_filters: Vec<PageFilters>,
}

/// A complete file that has no name yet.
pub(crate) struct CompletePart {
    unfinished: Unfinished,
    pub(crate) name: PartName,
    pub(crate) rows: u64,
    /// Has the lock of a file that is joined.
    _file: Arc<File>,
}

/// A file, and the checksum of all that was written to it.
struct SummedFile {
    file: File,
    checksum: Hasher,
}

/// A file that is deleted if it gets no name.
struct Unfinished {
    folder: PathBuf,
    path: PathBuf,
    is_named: bool,
}

/// What a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// As sent, without the sampling rate, in both directions.
    pub(crate) sums: Counters,
}

impl PartWriter {
    /// Begins the file of an hour in the archive, with a flush.
    pub(crate) fn create(
        archive: &Path,
        hour: Interval,
        writer: WriterId,
        first: FlushNumber,
        sizes: Sizes,
    ) -> io::Result<Self> {
        let folder = archive.join(folder_of(hour));
        create_folder(&folder)?;
        let path = folder.join(format!("{writer}{UNFINISHED}"));
        // A file of this name that could not be deleted may be one that a question still reads: it is not overwritten.
        remove(&path)?;
        Self::begin(folder, path, (hour, writer, first), sizes, &BLOOM_FILTERED)
    }

    /// Begins the file that replaces others of an hour and collector. It is locked until it has its name: a collector that
    /// starts does not delete it.
    pub(crate) fn join(archive: &Path, from: &[PartName]) -> io::Result<Self> {
        let Some(PartName { hour, writer, first, .. }) = from.first().copied() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = archive.join(folder_of(hour));
        let path = folder.join(format!("joined-{writer}{UNFINISHED}"));
        // It has filters for each page instead of for each group.
        let part = Self::begin(folder, path, (hour, writer, first), Sizes::USUAL, &[])?;
        flock(&part.read, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { joined_from: from.to_vec(), ..part })
    }

    fn begin(
        folder: PathBuf,
        path: PathBuf,
        (hour, writer, first): (Interval, WriterId, FlushNumber),
        sizes: Sizes,
        filtered: &[Id],
    ) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let unfinished = Unfinished { folder, path, is_named: false };
        let read = Arc::new(file.try_clone()?);
        let file = SummedFile { file, checksum: Hasher::new() };
        Ok(Self {
            sizes,
            hour,
            writer,
            first,
            unfinished,
            file: SerializedFileWriter::new(file, schema()?, Arc::new(properties(filtered)?))?,
            read,
            groups: Vec::new(),
            chunks: Vec::new(),
            empty: None,
            rows: Batch::new(),
            written: Written::default(),
            published: 0,
            joined_from: Vec::new(),
            page_filters: Vec::new(),
        })
    }

    /// Whether the flushes of a run of a collector are in it.
    pub(crate) fn is_of(&self, writer: WriterId, epoch: u32) -> bool {
        (self.writer, self.first.epoch) == (writer, epoch)
    }

    /// Adds a row. Returns whether it has completed a group of rows.
    pub(crate) fn push(&mut self, row: &Row) -> io::Result<bool> {
        self.rows.push(row);
        self.written.rows += 1;
        self.written.sums.add(Counters {
            bytes: row.number(Id::Bytes).saturating_add(row.number(Id::RevBytes)),
            packets: row.number(Id::Packets).saturating_add(row.number(Id::RevPackets)),
            flows: row.number(Id::Flows),
        });
        if self.rows.rows() < self.sizes.chunk {
            return Ok(false);
        }
        self.end_chunk();
        let is_group = self.chunks.len() * self.sizes.chunk >= self.sizes.group;
        if is_group {
            self.write_group()?;
        }
        Ok(is_group)
    }

    /// The rows in the file.
    pub(crate) const fn rows(&self) -> u64 {
        self.written.rows
    }

    /// The octets in the file.
    pub(crate) fn octets(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// What a question reads of it, under the name that it would get after a flush; `None` if nothing has changed since the last
    /// call.
    pub(crate) fn publish(&mut self, last: FlushNumber) -> Option<OpenPart> {
        if std::mem::replace(&mut self.published, self.written.rows) == self.written.rows {
            return None;
        }
        let mut chunks = self.chunks.clone();
        if !self.rows.is_empty() {
            chunks.push(Chunk::of(&mut self.rows));
        }
        let (file, octets, groups) = (Arc::clone(&self.read), self.octets(), self.groups.clone());
        Some(OpenPart { name: self.name(last), file, octets, groups, chunks })
    }

    /// Completes and syncs the file after a flush.
    pub(crate) fn complete(mut self, last: FlushNumber) -> io::Result<CompletePart> {
        self.write_group()?;
        let name = self.name(last);
        let Written { rows, sums } = self.written;
        self.file.flush()?;
        let checksum = self.file.inner().checksum.clone().finalize();
        let checksum = format!("{}-{checksum:08x}", self.file.bytes_written());
        let numbers = [
            ("epoch", u64::from(name.first.epoch)),
            ("firstFlush", name.first.sequence),
            ("lastEpoch", u64::from(name.last.epoch)),
            ("lastFlush", name.last.sequence),
            ("rows", rows),
            ("bytes", sums.bytes),
            ("packets", sums.packets),
            ("flows", sums.flows),
            ("schema", u64::from(SCHEMA)),
        ];
        let texts = [("writer", name.writer.to_string()), ("checksum", checksum)];
        // A file whose rows were only brought into another order replaces the one of its name.
        let others = self.joined_from.iter().filter(|from| **from != name);
        let joined_from = ("joinedFrom", joined(others.map(ToString::to_string)));
        let page_filters = self.page_filters.iter().map(|filters| format!("{}-{}", filters.begin, filters.blocks));
        let lists = [joined_from, ("pageFilters", joined(page_filters))];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let numbers = numbers.into_iter().map(|(key, number)| (key, number.to_string()));
        for (key, value) in texts.into_iter().chain(numbers).chain(lists) {
            self.file.append_key_value_metadata(KeyValue::new(format!("netflow.{key}"), value));
        }
        self.file.into_inner()?.file.sync_all()?;
        Ok(CompletePart { unfinished: self.unfinished, name, rows, _file: self.read })
    }

    fn name(&self, last: FlushNumber) -> PartName {
        let Self { hour, writer, first, .. } = *self;
        PartName { hour, writer, first, last }
    }

    fn end_chunk(&mut self) {
        if !self.rows.is_empty() {
            self.chunks.push(Chunk::of(&mut self.rows));
            self.rows.clear();
        }
    }

    fn write_group(&mut self) -> io::Result<()> {
        self.end_chunk();
        if self.chunks.is_empty() {
            return Ok(());
        }
        let is_joined = !self.joined_from.is_empty();
        if is_joined {
            self.chunks = by_host(&self.chunks);
        }
        let rows = self.chunks.iter().map(Chunk::rows).sum();
        if rows == self.sizes.group && self.empty.is_none() {
            self.empty = Some(EmptyColumns::new(rows)?);
        }
        let empty = self.empty.as_ref().filter(|empty| empty.rows == rows);
        let mut group = self.file.next_row_group()?;
        let mut encoded = Encoded::default();
        for id in Id::ALL {
            encoded.write(&mut group, &self.chunks, id, empty)?;
        }
        self.groups.push(group.close()?);
        if is_joined {
            let (octets, blocks) = filters_of(&self.chunks);
            self.page_filters.push(PageFilters { begin: self.file.bytes_written() as u64, blocks });
            self.file.write_all(&octets)?;
        }
        self.chunks.clear();
        // Questions read it from the file from now on.
        self.file.flush()
    }
}

impl CompletePart {
    /// Where it is until it has its name.
    pub(crate) fn path(&self) -> &Path {
        &self.unfinished.path
    }

    /// Gives the file its name: from then on it is there, also after a power failure.
    pub(crate) fn give_name(mut self) -> io::Result<()> {
        let Unfinished { folder, path, is_named } = &mut self.unfinished;
        let named = folder.join(self.name.to_string());
        fs::rename(&*path, &named)?;
        if let Err(error) = sync_folders(folder) {
            // Its rows come again, and must not be there twice.
            fs::rename(&named, &*path)?;
            return Err(error);
        }
        *is_named = true;
        Ok(())
    }
}

impl Write for SummedFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets)?;
        self.checksum.update(octets.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_named {
            // It is deleted at the next start at the latest.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(",")
}

/// Makes a folder and those that it is in.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    // Flows are personal data: other users of the machine must not read them.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The folder of the hour, that of the date, that of the archive, and the one that it is in: each of the first three may be
/// new.
fn sync_folders(folder: &Path) -> io::Result<()> {
    folder.ancestors().take(4).try_for_each(|folder| File::open(folder)?.sync_all())
}

/// With Bloom filters of these columns.
pub(crate) fn properties(filtered: &[Id]) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder();
    for (id, leaf) in filtered.iter().flat_map(|id| id.column().kind.leaves().iter().map(move |leaf| (id, leaf))) {
        let column = ColumnPath::from(format!("{}{}", id.column().name, leaf.suffix));
        properties = properties
            .set_column_bloom_filter_fpp(column.clone(), FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, Sizes::USUAL.group as u64);
    }
    Ok(properties
        .set_created_by(format!("netflow {}", env!("CARGO_PKG_VERSION")))
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::BYTE_STREAM_SPLIT)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_data_page_row_count_limit(ROWS_OF_A_PAGE)
        .set_data_page_size_limit(usize::MAX)
        .set_write_batch_size(ROWS_OF_A_PAGE)
        .set_max_row_group_row_count(None)
        .build())
}

/// The values of a column in the types of Parquet. The memory is used again for the next one.
#[derive(Default)]
pub(crate) struct Encoded {
    i32: Vec<i32>,
    i64: Vec<i64>,
    /// How many columns of the file are written.
    columns: usize,
}

impl Encoded {
    /// Writes a column, which is copied if no row has a value and `empty` are those of as many rows.
    pub(crate) fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        chunks: &[Chunk],
        id: Id,
        empty: Option<&EmptyColumns>,
    ) -> Result<(), ParquetError> {
        let leaves = id.column().kind.leaves().len();
        for leaf in 0..leaves {
            match empty {
                Some(empty) if values(chunks, id).all(|(values, _)| is_empty(values, leaf)) => {
                    empty.append(group, self.columns)?;
                }
                _ => self.encode(group, chunks, id, leaf)?,
            }
            self.columns += 1;
        }
        Ok(())
    }

    fn encode<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        chunks: &[Chunk],
        id: Id,
        leaf: usize,
    ) -> Result<(), ParquetError> {
        match (id.column().kind, leaf) {
            (Kind::U8 | Kind::U16 | Kind::U32, _) | (Kind::Address, 0) => {
                self.collect_i32(chunks, id);
                write_column::<Int32Type, W>(group, &self.i32, None)
            }
            (Kind::U64 | Kind::Time | Kind::Mac, _) => {
                self.i64.clear();
                for (values, rows) in values(chunks, id) {
                    let before = self.i64.len();
                    if let Values::U64(values) = values {
                        self.i64.extend(values.iter().map(|value| value.cast_signed()));
                    }
                    self.i64.resize(before + rows, 0);
                }
                write_column::<Int64Type, W>(group, &self.i64, None)
            }
            (Kind::Address, _) => {
                let (mut present, mut addresses): (Vec<i16>, Vec<_>) = (Vec::new(), Vec::new());
                for (values, rows) in values(chunks, id) {
                    let before = present.len();
                    if let Values::Addresses(Addresses { is_v6, v6, .. }) = values {
                        present.extend(is_v6.iter().map(|is_v6| i16::from(*is_v6)));
                        let octets = v6.iter().map(|address| ByteArray::from(address.to_vec()));
                        addresses.extend(octets.map(FixedLenByteArray::from));
                    }
                    present.resize(before + rows, 0);
                }
                write_column::<FixedLenByteArrayType, W>(group, &addresses, Some(&present))
            }
        }
    }

    /// Numbers of up to 32 bits, or IPv4 addresses. A column without values is one of zeros.
    fn collect_i32(&mut self, chunks: &[Chunk], id: Id) {
        self.i32.clear();
        for (values, rows) in values(chunks, id) {
            let before = self.i32.len();
            match values {
                Values::U8(values) => self.i32.extend(values.iter().map(|value| i32::from(*value))),
                Values::U16(values) => self.i32.extend(values.iter().map(|value| i32::from(*value))),
                Values::U32(values) => self.i32.extend(values.iter().map(|value| value.cast_signed())),
                Values::Addresses(Addresses { v4, .. }) => self.i32.extend(v4.iter().map(|value| value.cast_signed())),
                Values::U64(_) => {}
            }
            self.i32.resize(before + rows, 0);
        }
    }
}

/// The values of a column in each chunk, and how many rows it has.
fn values(chunks: &[Chunk], id: Id) -> impl Iterator<Item = (&Values, usize)> {
    chunks.iter().map(move |chunk| (chunk.values(id), chunk.rows()))
}

/// Whether no row has a value in a column of the file: of addresses, the first one is of IPv4, the second one of IPv6.
const fn is_empty(values: &Values, leaf: usize) -> bool {
    match values {
        Values::Addresses(Addresses { v4, .. }) if leaf == 0 => v4.is_empty(),
        Values::Addresses(Addresses { is_v6, .. }) => is_v6.is_empty(),
        _ => values.is_empty(),
    }
}

fn write_column<T: parquet::data_type::DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, present, None)?;
        column.close()?;
    }
    Ok(())
}
