//! Writes a file: collects rows until they are enough for a group, and encodes them.
//!
//! A file is synced and complete before it gets its name, and its folder is synced after it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use columns::{Addresses, Batch, Id, Row, SCHEMA, Values};
use flow::Counters;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::part_name::{PartName, UNFINISHED};
use crate::schema::schema;

/// The rows of a group. Fewer take more octets, more take more memory.
const ROWS_OF_A_GROUP: usize = 1 << 18;
/// The rows at which a column is encoded and compressed: larger pages take no fewer octets.
pub(crate) const ROWS_OF_A_PAGE: usize = 1 << 16;
/// Compression takes most of the time that a file costs. Higher levels make files no smaller.
const ZSTD_LEVEL: i32 = 1;

/// A file that is being written.
pub(crate) struct PartWriter {
    folder: PathBuf,
    unfinished: PathBuf,
    file: SerializedFileWriter<File>,
    rows: Batch,
    written: Written,
}

/// What a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// As sent, without the sampling rate, in both directions.
    pub(crate) sums: Counters,
}

impl PartWriter {
    /// Begins a file in a folder, which is made if it is missing.
    pub(crate) fn create(folder: PathBuf, writer: flow::WriterId) -> io::Result<Self> {
        // Flows are personal data: other users of the machine must not read them.
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let unfinished = folder.join(format!("{writer}{UNFINISHED}"));
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let file = SerializedFileWriter::new(file, schema()?, Arc::new(properties()?))?;
        Ok(Self { folder, unfinished, file, rows: Batch::new(), written: Written::default() })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &Row) -> io::Result<()> {
        self.rows.push(row);
        self.written.rows += 1;
        self.written.sums.add(Counters {
            bytes: row.number(Id::Bytes).saturating_add(row.number(Id::RevBytes)),
            packets: row.number(Id::Packets).saturating_add(row.number(Id::RevPackets)),
            flows: row.number(Id::Flows),
        });
        if self.rows.rows() >= ROWS_OF_A_GROUP { self.write_group() } else { Ok(()) }
    }

    /// The rows in the file.
    pub(crate) const fn rows(&self) -> u64 {
        self.written.rows
    }

    /// The octets in the file.
    pub(crate) fn octets(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// Completes the file, and gives it its name: from then on it is there, also after a power failure.
    pub(crate) fn finish(mut self, name: &PartName) -> io::Result<Written> {
        self.write_group()?;
        let Written { rows, sums } = self.written;
        let numbers = [
            ("epoch", u64::from(name.epoch)),
            ("firstFlush", name.first),
            ("lastFlush", name.last),
            ("rows", rows),
            ("bytes", sums.bytes),
            ("packets", sums.packets),
            ("flows", sums.flows),
            ("schema", u64::from(SCHEMA)),
        ];
        let numbers = numbers.into_iter().map(|(key, number)| (key, number.to_string()));
        for (key, value) in [("writer", name.writer.to_string())].into_iter().chain(numbers) {
            self.file.append_key_value_metadata(KeyValue::new(format!("netflow.{key}"), value));
        }
        self.file.into_inner()?.sync_all()?;
        let named = self.folder.join(name.to_string());
        fs::rename(&self.unfinished, &named)?;
        if let Err(error) = sync_folders(&self.folder) {
            // Its rows come again, and must not be there twice.
            fs::rename(&named, &self.unfinished)?;
            return Err(error);
        }
        Ok(self.written)
    }

    /// Gives up the file.
    pub(crate) fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.unfinished)
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = self.rows.rows();
        let mut group = self.file.next_row_group()?;
        let mut encoded = Encoded::default();
        for id in Id::ALL {
            encoded.write(&mut group, self.rows.values(id), rows)?;
        }
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

/// The folder of the hour, that of the date, that of the archive, and the one that it is in: each of the first three may be
/// new.
fn sync_folders(folder: &Path) -> io::Result<()> {
    folder.ancestors().take(4).try_for_each(|folder| File::open(folder)?.sync_all())
}

fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
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
struct Encoded {
    i32: Vec<i32>,
    i64: Vec<i64>,
}

impl Encoded {
    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, File>,
        values: &Values,
        rows: usize,
    ) -> Result<(), ParquetError> {
        match values {
            Values::U8(values) => self.write_i32(group, values.iter().map(|value| i32::from(*value)), rows),
            Values::U16(values) => self.write_i32(group, values.iter().map(|value| i32::from(*value)), rows),
            Values::U32(values) => self.write_i32(group, values.iter().map(|value| value.cast_signed()), rows),
            Values::U64(values) => {
                self.i64.clear();
                self.i64.extend(values.iter().map(|value| value.cast_signed()));
                self.i64.resize(rows, 0);
                write_column::<Int64Type>(group, &self.i64, None)
            }
            Values::Addresses(Addresses { v4, is_v6, v6 }) => {
                self.write_i32(group, v4.iter().map(|value| value.cast_signed()), rows)?;
                let mut present: Vec<i16> = is_v6.iter().map(|is_v6| i16::from(*is_v6)).collect();
                present.resize(rows, 0);
                let v6: Vec<_> =
                    v6.iter().map(|address| FixedLenByteArray::from(ByteArray::from(address.to_vec()))).collect();
                write_column::<FixedLenByteArrayType>(group, &v6, Some(&present))
            }
        }
    }

    /// A column without values is one of zeros.
    fn write_i32(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, File>,
        values: impl Iterator<Item = i32>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        self.i32.clear();
        self.i32.extend(values);
        self.i32.resize(rows, 0);
        write_column::<Int32Type>(group, &self.i32, None)
    }
}

fn write_column<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, present, None)?;
        column.close()?;
    }
    Ok(())
}
