//! A file of the archive that is read: whether it is what its name states, what is known of its groups of rows, and the pages of
//! their columns. It may be one that is being written; then some of its groups are in memory.
//!
//! Everything that a footer states is checked before it is used, because `parquet` panics at some of what a damaged one has.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use accounting::period::Minute;
use columns::{COLUMNS, COUNT, Column, Id, Kind, Leaf, OLDEST_SCHEMA, Physical, SCHEMA};
use filter::Bounds;
use flow::{Country, Timestamp};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData, RowGroupMetaDataPtr,
};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnDescriptor;

use super::bloom_filter;
use super::budget::{Budget, Exceeded, Taken};
use super::column_pages::{ColumnPages, Pages, damaged};
use super::file_octets::FileOctets;
use super::footer;
use super::text_column::TextColumn;
use crate::chunk::{Chunk, ROWS_OF_A_PAGE};
use crate::footer_checksum::footer_checksum;
use crate::open_parts::OpenPart;
use crate::page_filters::{MOST_PAGES, PageFilters, pages_with};
use crate::part_name::PartName;

/// The octets that are read at a time when all are.
const PIECE: u64 = 1 << 20;
/// The rows of a group at most, four times those that `part_writer` collects.
const MOST_ROWS_OF_A_GROUP: usize = MOST_PAGES * ROWS_OF_A_PAGE;

/// A file.
pub(crate) struct PartFile<'b> {
    pub(crate) name: PartName,
    octets: Arc<FileOctets>,
    groups: Groups,
    /// Groups of rows that are not in the file yet, after all that are.
    chunks: Vec<Chunk>,
    /// Of a joined file, the filters of each group.
    page_filters: Vec<PageFilters>,
    /// Whether values are read that statistics state already.
    is_unabridged: bool,
    /// That of the metadata of a complete file.
    _memory: Option<Taken<'b>>,
}

/// The groups of rows in a file.
enum Groups {
    /// As the footer states them.
    Complete(Box<ParquetMetaData>),
    /// As they were written. There is no footer yet.
    Written(Vec<RowGroupMetaDataPtr>),
}

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is damaged, foreign, or gone.
    File(String),
    /// There is no memory for it.
    Memory,
}

/// Where the values of a column of a file are.
pub(crate) enum LeafValues {
    /// All rows have this number, which is 0 also for a column that the file does not have.
    Constant(u64),
    /// In these pages.
    Pages(Box<ColumnPages>),
    /// Texts.
    Texts(Box<TextColumn>),
}

/// The first column of a file for each column of the table.
static FIRST_LEAVES: LazyLock<[usize; COUNT]> = LazyLock::new(|| {
    let mut next = 0;
    Id::ALL.map(|id| {
        let first = next;
        next += id.column().kind.leaves().len();
        first
    })
});

fn first_leaf(id: Id) -> usize {
    FIRST_LEAVES.get(id as usize).copied().unwrap_or_default()
}

fn leaves() -> impl Iterator<Item = (&'static Column, &'static Leaf)> {
    COLUMNS.iter().flat_map(|column| column.kind.leaves().iter().map(move |leaf| (column, leaf)))
}

impl<'b> PartFile<'b> {
    /// Opens a file and checks that it is what its name states.
    pub(crate) fn open(folder: &Path, name: PartName, budget: &'b Budget) -> Result<Self, Unusable> {
        Self::open_at(&folder.join(name.path()), name, budget)
    }

    /// Opens a file that is to get a name.
    pub(crate) fn open_at(path: &Path, name: PartName, budget: &'b Budget) -> Result<Self, Unusable> {
        let octets = FileOctets::new(File::open(path)?)?;
        check_footer(&octets)?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&octets)?;
        let memory = budget.take(metadata.memory_size())?;
        let schema = check_name(&metadata, &name)?;
        let file = metadata.file_metadata();
        check_columns(schema, file.schema_descr().columns().iter().map(|column| &**column))?;
        let mut rows = 0;
        for group in metadata.row_groups() {
            check_group(group, file.schema_descr().num_columns(), octets.len())?;
            rows += group.num_rows();
        }
        if rows != file.num_rows() {
            return Err(Unusable::File("its groups have not as many rows as its footer states".to_owned()));
        }
        check_checksum(&metadata)?;
        let page_filters = page_filters(&metadata)?;
        let groups = Groups::Complete(Box::new(metadata));
        let (octets, chunks, memory) = (Arc::new(octets), Vec::new(), Some(memory));
        let part = Self { name, octets, groups, chunks, page_filters, is_unabridged: false, _memory: memory };
        part.check_hour()?;
        Ok(part)
    }

    /// A file that is being written.
    pub(crate) fn unfinished(part: &OpenPart) -> Self {
        let OpenPart { name, file, octets, groups, chunks } = part.clone();
        let octets = Arc::new(FileOctets::of(file, octets));
        let groups = Groups::Written(groups);
        Self { name, octets, groups, chunks, page_filters: Vec::new(), is_unabridged: false, _memory: None }
    }

    /// All values of columns are read, also where statistics state them.
    pub(crate) fn unabridged(self) -> Self {
        Self { is_unabridged: true, ..self }
    }

    /// What the footer states under `netflow.` and a word.
    pub(crate) fn value(&self, word: &str) -> Option<&str> {
        match &self.groups {
            Groups::Complete(metadata) => value(metadata, word),
            Groups::Written(_) => None,
        }
    }

    /// The names of the files that this one was joined from.
    pub(crate) fn joined_from(&self) -> impl Iterator<Item = &str> {
        self.value("joinedFrom").unwrap_or_default().split(',').filter(|name| !name.is_empty())
    }

    /// The first octets of the file, some at a time.
    pub(crate) fn each_piece(&self, end: u64, mut visit: impl FnMut(&[u8])) -> Result<(), ParquetError> {
        let mut at = 0;
        while at < end {
            let piece = self.octets.get_bytes(at, PIECE.min(end - at) as usize)?;
            visit(&piece);
            at += piece.len() as u64;
        }
        Ok(())
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.count() + self.chunks.len()
    }

    /// The rows of a group.
    pub(crate) fn rows(&self, group: usize) -> usize {
        self.chunk(group).map_or_else(|| self.groups.get(group).map_or(0, rows_of), Chunk::rows)
    }

    /// The row of the file with which a group begins.
    pub(crate) fn first_row(&self, group: usize) -> u64 {
        (0..group).map(|group| self.rows(group) as u64).sum()
    }

    /// What is known of the values of a column in a group.
    pub(crate) fn bounds(&self, group: usize, id: Id) -> Bounds {
        match (self.chunk(group), self.groups.get(group)) {
            (Some(chunk), _) if id == Id::Received => {
                let (first, last) = chunk.received();
                Bounds::Numbers(first, last)
            }
            (None, Some(group)) => bounds(group, id),
            _ => Bounds::Unknown,
        }
    }

    /// The rows of a group that is in memory.
    pub(crate) fn chunk(&self, group: usize) -> Option<&Chunk> {
        self.chunks.get(group.checked_sub(self.groups.count())?)
    }

    /// The values of a column of numbers or texts in a group, or the IPv4 addresses of one of addresses.
    pub(crate) fn numbers(&self, group: usize, id: Id) -> Result<LeafValues, ParquetError> {
        let Some(chunk) = self.leaf(group, first_leaf(id)) else { return Ok(LeafValues::Constant(0)) };
        match number_bounds(chunk) {
            Some((min, max)) if min == max && !self.is_unabridged => Ok(LeafValues::Constant(min)),
            _ if chunk.column_type() == PhysicalType::BYTE_ARRAY => {
                let pages = Pages::new(Arc::clone(&self.octets), octets_of(chunk)?);
                Ok(LeafValues::Texts(Box::new(TextColumn::new(pages, self.rows(group)))))
            }
            _ => self.pages(group, chunk, if chunk.column_type() == PhysicalType::INT64 { 8 } else { 4 }, false),
        }
    }

    /// The IPv6 addresses of a column of addresses in a group.
    pub(crate) fn v6(&self, group: usize, id: Id) -> Result<LeafValues, ParquetError> {
        let Some(chunk) = self.leaf(group, first_leaf(id) + 1) else { return Ok(LeafValues::Constant(0)) };
        if nulls(chunk) == Some(self.rows(group)) && !self.is_unabridged {
            return Ok(LeafValues::Constant(0));
        }
        self.pages(group, chunk, 16, true)
    }

    /// Whether a group may have a row with this address, which is certain only if it has none.
    pub(crate) fn may_contain(&self, group: usize, id: Id, address: IpAddr) -> bool {
        let (leaf, octets) = match address {
            IpAddr::V4(address) => (first_leaf(id), &address.to_bits().to_le_bytes()[..]),
            IpAddr::V6(address) => (first_leaf(id) + 1, &address.octets()[..]),
        };
        self.leaf(group, leaf).is_none_or(|chunk| bloom_filter::may_contain(&self.octets, chunk, octets))
    }

    /// Whether the rows of a host are together, and pages without an address are known.
    pub(crate) fn has_page_filters(&self) -> bool {
        !self.page_filters.is_empty()
    }

    /// The pages of a group that may have an address as source or destination: the first one is the lowest bit. `None` if that
    /// is not known.
    pub(crate) fn pages_with(&self, group: usize, address: IpAddr) -> Option<u128> {
        let filters = self.page_filters.get(group)?;
        let (begin, octets) = filters.place(address, self.rows(group).div_ceil(ROWS_OF_A_PAGE));
        let blocks = self.octets.get_bytes(begin, octets).ok()?;
        Some(pages_with(address, &blocks))
    }

    fn leaf(&self, group: usize, leaf: usize) -> Option<&ColumnChunkMetaData> {
        self.groups.get(group)?.columns().get(leaf)
    }

    fn pages(
        &self,
        group: usize,
        chunk: &ColumnChunkMetaData,
        width: usize,
        is_optional: bool,
    ) -> Result<LeafValues, ParquetError> {
        let octets = octets_of(chunk)?;
        let pages = ColumnPages::new(Arc::clone(&self.octets), octets, width, is_optional, self.rows(group));
        Ok(LeafValues::Pages(Box::new(pages)))
    }

    /// Questions choose files by their hour: rows of another one would be found or not by chance.
    fn check_hour(&self) -> Result<(), Unusable> {
        let minute = |milliseconds| Minute::of(Timestamp::from_milliseconds(milliseconds));
        let is_of_hour = |group| match self.bounds(group, Id::Received) {
            Bounds::Numbers(min, max) => self.name.hour.contains(minute(min)) && self.name.hour.contains(minute(max)),
            _ => true,
        };
        if (0..self.groups()).all(is_of_hour) {
            return Ok(());
        }
        Err(Unusable::File("it has rows of another hour than that of its folder".to_owned()))
    }
}

impl Groups {
    fn get(&self, group: usize) -> Option<&RowGroupMetaData> {
        match self {
            Self::Complete(metadata) => metadata.row_groups().get(group),
            Self::Written(groups) => groups.get(group).map(AsRef::as_ref),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Complete(metadata) => metadata.num_row_groups(),
            Self::Written(groups) => groups.len(),
        }
    }
}

/// The octets of a column.
fn octets_of(chunk: &ColumnChunkMetaData) -> Result<Range<u64>, ParquetError> {
    if !matches!(chunk.compression(), Compression::ZSTD(_)) {
        return Err(damaged("a column is not compressed as netflow does it"));
    }
    // `check_group` has made sure that they are in the file.
    let begin = u64::try_from(begin_of(chunk)).unwrap_or_default();
    Ok(begin..begin + u64::try_from(chunk.compressed_size()).unwrap_or_default())
}

/// Where its first page is.
fn begin_of(chunk: &ColumnChunkMetaData) -> i64 {
    chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset())
}

fn check_footer(octets: &FileOctets) -> Result<(), Unusable> {
    let end = octets.len().checked_sub(8).ok_or_else(|| Unusable::File("it is too short for a file".to_owned()))?;
    let last = octets.get_bytes(end, 8)?;
    let length = match *last {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => u32::from_le_bytes([a, b, c, d]),
        _ => return Err(Unusable::File("it is not a complete Parquet file".to_owned())),
    };
    let begin = end.checked_sub(length.into()).filter(|_| length <= footer::LONGEST);
    let begin = begin.ok_or_else(|| Unusable::File("its footer is too long".to_owned()))?;
    footer::check(&octets.get_bytes(begin, length as usize)?)
}

/// Compares what a footer states with its checksum, if it has one.
fn check_checksum(metadata: &ParquetMetaData) -> Result<(), Unusable> {
    let Some(stated) = value(metadata, "footer") else { return Ok(()) };
    let values = metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
    if footer_checksum(metadata.row_groups().iter(), values.iter()) == stated {
        return Ok(());
    }
    Err(Unusable::File("its footer is damaged: it has another checksum than it states".to_owned()))
}

/// Where the filters of the pages of each group are; none if the file has none.
fn page_filters(metadata: &ParquetMetaData) -> Result<Vec<PageFilters>, Unusable> {
    let Some(stated) = value(metadata, "pageFilters") else { return Ok(Vec::new()) };
    let read = |stated: &str| {
        let (begin, blocks) = stated.split_once('-')?;
        Some(PageFilters {
            begin: begin.parse().ok()?,
            blocks: blocks.parse().ok().filter(|blocks| *blocks <= u32::MAX.into())?,
        })
    };
    let filters: Option<Vec<_>> = stated.split(',').map(read).collect();
    filters.filter(|filters| filters.len() == metadata.num_row_groups()).ok_or_else(not_as_written)
}

fn value<'m>(metadata: &'m ParquetMetaData, word: &str) -> Option<&'m str> {
    let values = metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
    values.iter().find(|pair| pair.key.strip_prefix("netflow.") == Some(word))?.value.as_deref()
}

/// A file that was renamed, or that another program wrote, has rows of other flushes than its name states.
fn check_name(metadata: &ParquetMetaData, name: &PartName) -> Result<u32, Unusable> {
    let value = |word| value(metadata, word);
    let schema = value("schema").and_then(|schema| schema.parse::<u32>().ok());
    let Some(schema) = schema else { return Err(Unusable::File("it was not written by netflow".to_owned())) };
    if !(OLDEST_SCHEMA..=SCHEMA).contains(&schema) {
        let differ =
            format!("its columns are of version {schema}, this program reads versions {OLDEST_SCHEMA} to {SCHEMA}");
        return Err(Unusable::File(differ));
    }
    let is = |key, expected: String| value(key) == Some(expected.as_str());
    let is_named_right = is("writer", name.writer.to_string())
        && is("epoch", name.first.epoch.to_string())
        && is("firstFlush", name.first.sequence.to_string())
        && is("lastEpoch", name.last.epoch.to_string())
        && is("lastFlush", name.last.sequence.to_string())
        && is("rows", metadata.file_metadata().num_rows().to_string());
    if is_named_right {
        Ok(schema)
    } else {
        Err(Unusable::File("its footer has other flushes or rows than its name".to_owned()))
    }
}

/// Later versions of this program add columns at the end; a file of an earlier one has fewer.
fn check_columns<'d>(schema: u32, found: impl Iterator<Item = &'d ColumnDescriptor>) -> Result<(), Unusable> {
    for (descriptor, (Column { name, kind, .. }, leaf)) in found.zip(leaves()) {
        let physical = match leaf.physical {
            // Countries were numbers.
            Physical::ByteArray if schema < 2 && *kind == Kind::Country => PhysicalType::INT32,
            Physical::ByteArray => PhysicalType::BYTE_ARRAY,
            Physical::Int32 => PhysicalType::INT32,
            Physical::Int64 => PhysicalType::INT64,
            Physical::Fixed16 => PhysicalType::FIXED_LEN_BYTE_ARRAY,
        };
        let is_as_expected = descriptor.path().parts().len() == 1
            && descriptor.name().strip_prefix(*name) == Some(leaf.suffix)
            && descriptor.physical_type() == physical
            && (physical != PhysicalType::FIXED_LEN_BYTE_ARRAY || descriptor.type_length() == 16)
            && descriptor.max_rep_level() == 0
            && descriptor.max_def_level() == i16::from(leaf.optional);
        if !is_as_expected {
            return Err(Unusable::File(format!("its column {name}{} is missing or of another type", leaf.suffix)));
        }
    }
    Ok(())
}

fn check_group(group: &RowGroupMetaData, columns: usize, length: u64) -> Result<(), Unusable> {
    let rows = rows_of(group);
    let is_within = |chunk: &ColumnChunkMetaData| {
        let begin = u64::try_from(begin_of(chunk)).ok();
        let octets = u64::try_from(chunk.compressed_size()).ok();
        let end = begin.zip(octets).and_then(|(begin, octets)| begin.checked_add(octets));
        chunk.dictionary_page_offset().is_some() == (chunk.column_type() == PhysicalType::BYTE_ARRAY)
            && chunk.num_values() == group.num_rows()
            && end.is_some_and(|end| end <= length)
    };
    if (1..=MOST_ROWS_OF_A_GROUP).contains(&rows)
        && group.columns().len() == columns
        && group.columns().iter().take(leaves().count()).all(is_within)
    {
        return Ok(());
    }
    Err(not_as_written())
}

fn not_as_written() -> Unusable {
    Unusable::File("its footer is damaged, or is not as netflow writes it".to_owned())
}

fn rows_of(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or_default()
}

fn bounds(group: &RowGroupMetaData, id: Id) -> Bounds {
    let leaf = first_leaf(id);
    if id.column().kind != Kind::Address {
        let Some(chunk) = group.columns().get(leaf) else { return Bounds::Numbers(0, 0) };
        return number_bounds(chunk).map_or(Bounds::Unknown, |(min, max)| Bounds::Numbers(min, max));
    }
    let (Some(v4), Some(v6)) = (group.columns().get(leaf), group.columns().get(leaf + 1)) else {
        return Bounds::Addresses { v4: Some((0, 0)), v6: None };
    };
    let (Some((min, max)), Some(nulls)) = (number_bounds(v4), nulls(v6)) else { return Bounds::Unknown };
    let (Ok(min), Ok(max)) = (u32::try_from(min), u32::try_from(max)) else { return Bounds::Unknown };
    let v6 = if nulls == rows_of(group) {
        None
    } else {
        match octet_bounds(v6) {
            Some(bounds) => Some(bounds),
            None => return Bounds::Unknown,
        }
    };
    // Rows with an IPv6 address have 0 as IPv4 address, which widens the bounds of the others.
    Bounds::Addresses { v4: (nulls > 0).then_some((min, max)), v6 }
}

/// The least and the greatest number. Statistics are in the order of unsigned numbers, as the columns are declared; those of
/// countries in that of their letters, which is the same. An empty text is 0; others have no bounds.
fn number_bounds(chunk: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    let statistics = chunk.statistics()?;
    let is_text = chunk.column_type() == PhysicalType::BYTE_ARRAY;
    let number = |octets: &[u8]| match octets.len() {
        0 if is_text => Some(0),
        _ if is_text => Some(Country::new(str::from_utf8(octets).ok()?)?.number().into()),
        4 => octets.try_into().ok().map(|octets| u64::from(u32::from_le_bytes(octets))),
        8 => octets.try_into().ok().map(u64::from_le_bytes),
        _ => None,
    };
    let (min, max) = (number(statistics.min_bytes_opt()?)?, number(statistics.max_bytes_opt()?)?);
    (min <= max).then_some((min, max))
}

fn octet_bounds(chunk: &ColumnChunkMetaData) -> Option<([u8; 16], [u8; 16])> {
    let statistics = chunk.statistics()?;
    let bound = |octets: &[u8]| <[u8; 16]>::try_from(octets).ok();
    let (min, max) = (bound(statistics.min_bytes_opt()?)?, bound(statistics.max_bytes_opt()?)?);
    (min <= max).then_some((min, max))
}

fn nulls(chunk: &ColumnChunkMetaData) -> Option<usize> {
    usize::try_from(chunk.statistics()?.null_count_opt()?).ok()
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::File("it was deleted after the question began".to_owned());
        }
        Self::File(format!("it cannot be read: {error}"))
    }
}

impl From<ParquetError> for Unusable {
    fn from(error: ParquetError) -> Self {
        Self::File(error.to_string())
    }
}

impl From<Exceeded> for Unusable {
    fn from(Exceeded: Exceeded) -> Self {
        Self::Memory
    }
}
