//! Writes flows with chosen columns to a Parquet file that is not of the archive: encoded as older programs read it, too.

use std::io::{self, Write};
use std::sync::Arc;

use columns::{Addresses, Batch, Id, Kind, Row, Values};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::chunk::{Chunk, ROWS_OF_A_PAGE};
use crate::column_encoder::ZSTD_LEVEL;
use crate::part_writer::Sizes;
use crate::schema::schema_of;
use crate::text_pages::{GroupTexts, MOST_OCTETS};

/// A file that is being written.
pub struct RowFile<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Id>,
    chunks: Vec<Chunk>,
    rows: Batch,
}

impl<W: Write + Send> RowFile<W> {
    /// Begins a file with these columns, in their order. Addresses have two each, as in the archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(into: W, columns: &[Id]) -> io::Result<Self> {
        let file = SerializedFileWriter::new(into, schema_of(columns)?, Arc::new(properties()?))?;
        Ok(Self { file, columns: columns.to_vec(), chunks: Vec::new(), rows: Batch::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, row: &Row) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.rows() < ROWS_OF_A_PAGE {
            return Ok(());
        }
        self.end_chunk();
        let texts: usize = self.chunks.iter().map(Chunk::octets_of_texts).sum();
        let is_group = self.chunks.len() * ROWS_OF_A_PAGE >= Sizes::USUAL.group || texts >= MOST_OCTETS;
        if is_group { self.write_group() } else { Ok(()) }
    }

    /// Completes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_chunk();
        self.write_group()?;
        Ok(self.file.into_inner()?)
    }

    fn end_chunk(&mut self) {
        if !self.rows.is_empty() {
            self.chunks.push(Chunk::of(&mut self.rows));
            self.rows.clear();
        }
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.chunks.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let mut encoded = Encoded::default();
        for id in &self.columns {
            encoded.write(&mut group, &self.chunks, *id)?;
        }
        group.close()?;
        self.chunks.clear();
        self.file.flush()
    }
}

/// Parquet's defaults, compressed.
fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_created_by(format!("netflow {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .build())
}

/// The values of a column in the types of Parquet. The memory is used again for the next one.
#[derive(Default)]
struct Encoded {
    i32: Vec<i32>,
    i64: Vec<i64>,
}

impl Encoded {
    /// Writes the columns of the file for one of the table.
    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        chunks: &[Chunk],
        id: Id,
    ) -> Result<(), ParquetError> {
        (0..id.column().kind.leaves().len()).try_for_each(|leaf| self.encode(group, chunks, id, leaf))
    }

    fn encode<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        chunks: &[Chunk],
        id: Id,
        leaf: usize,
    ) -> Result<(), ParquetError> {
        match (id.column().kind, leaf) {
            (Kind::Country | Kind::AsPath, _) => {
                let GroupTexts { dictionary, numbers } = GroupTexts::of(chunks, id);
                let texts: Vec<_> = dictionary.texts().iter().map(|text| ByteArray::from(&**text)).collect();
                let text = |number: &u32| texts.get((*number as usize).wrapping_sub(1)).cloned();
                let values: Vec<_> = numbers.iter().map(|number| text(number).unwrap_or_else(|| "".into())).collect();
                write_column::<ByteArrayType, W>(group, &values, None)
            }
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
                Values::U64(_) | Values::Texts(_) => {}
            }
            self.i32.resize(before + rows, 0);
        }
    }
}

/// The values of a column in each chunk, and how many rows it has.
fn values(chunks: &[Chunk], id: Id) -> impl Iterator<Item = (&Values, usize)> {
    chunks.iter().map(move |chunk| (chunk.values(id), chunk.rows()))
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
