//! Writes a file: collects rows until they are enough for a group, and encodes them. Questions may read it meanwhile.
//!
//! A file is synced and complete before it gets its name, and its folder is synced after it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use accounting::period::Interval;
use columns::{Batch, Id, Row, SCHEMA};
use crc32fast::Hasher;
use flow::{Counters, FlushNumber, WriterId};
use parquet::file::metadata::{KeyValue, RowGroupMetaDataPtr};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rustix::fs::{FlockOperation, flock};

use crate::chunk::{Chunk, ROWS_OF_A_PAGE};
use crate::column_encoder::ColumnEncoder;
use crate::folder::remove;
use crate::footer_checksum::{self, footer_checksum};
use crate::open_parts::OpenPart;
use crate::page_filters::{PageFilters, filters_of};
use crate::part_name::{PartName, UNFINISHED, folder_of};
use crate::row_order::by_host;
use crate::schema::schema;
use crate::text_pages::MOST_OCTETS;

/// The columns with a Bloom filter for each group of rows: one of some hundred thousand addresses is rarely in all groups.
const BLOOM_FILTERED: [Id; 2] = [Id::SrcIp, Id::DstIp];

/// How many rows are put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The rows that become a chunk.
    pub(crate) chunk: usize,
    /// The rows of chunks that become a group in the file. Fewer take more octets, more take more memory.
    pub(crate) group: usize,
}

impl Sizes {
    pub(crate) const USUAL: Self = Self { chunk: ROWS_OF_A_PAGE, group: 1 << 18 };
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
    encoder: ColumnEncoder,
    /// The same file, for questions.
    read: Arc<File>,
    /// The groups of rows that are written.
    groups: Vec<RowGroupMetaDataPtr>,
    /// The rows that are in no group yet: all but the last ones.
    chunks: Vec<Chunk>,
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
        filtered: &'static [Id],
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
            file: SerializedFileWriter::new(file, schema()?, Arc::new(properties()))?,
            encoder: ColumnEncoder::new(filtered)?,
            read,
            groups: Vec::new(),
            chunks: Vec::new(),
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
        let texts: usize = self.chunks.iter().map(Chunk::octets_of_texts).sum();
        let is_group = self.chunks.len() * self.sizes.chunk >= self.sizes.group || texts >= MOST_OCTETS;
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
        let stated = texts.into_iter().chain(numbers).chain(lists);
        let stated: Vec<_> = stated.map(|(key, value)| KeyValue::new(format!("netflow.{key}"), value)).collect();
        let footer = footer_checksum(self.file.flushed_row_groups().iter(), stated.iter());
        let footer = KeyValue::new(footer_checksum::KEY.to_owned(), footer);
        stated.into_iter().chain([footer]).for_each(|stated| self.file.append_key_value_metadata(stated));
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
        let mut group = self.file.next_row_group()?;
        self.encoder.write(&mut group, &self.chunks)?;
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

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_created_by(format!("netflow {}", env!("CARGO_PKG_VERSION")))
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .build()
}
