//! Columns of a group of rows in which no row has a value. Of most routers these are two thirds of all columns, and zeros take as
//! long to encode as other numbers: they are encoded once for a file, and copied into its groups.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use columns::Id;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::chunk::Chunk;
use crate::part_writer::{Encoded, properties};
use crate::schema::schema;

/// All columns of rows without values.
pub(crate) struct EmptyColumns {
    /// How many rows they are.
    pub(crate) rows: usize,
    octets: Bytes,
    /// By the number of the column in the file.
    columns: Vec<ColumnChunkMetaData>,
}

impl EmptyColumns {
    pub(crate) fn new(rows: usize) -> Result<Self, ParquetError> {
        let mut octets = Vec::new();
        let mut file = SerializedFileWriter::new(&mut octets, schema()?, Arc::new(properties(&[])?))?;
        let mut group = file.next_row_group()?;
        let mut encoded = Encoded::default();
        for id in Id::ALL {
            encoded.write(&mut group, &[Chunk::without_values(rows)], id, None)?;
        }
        let columns = group.close()?.columns().to_vec();
        file.close()?;
        Ok(Self { rows, octets: octets.into(), columns })
    }

    /// Writes the next column of a group, which has this number and no values.
    pub(crate) fn append<W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: usize,
    ) -> Result<(), ParquetError> {
        let Some(metadata) = self.columns.get(column).cloned() else { return Ok(()) };
        let bytes_written = u64::try_from(metadata.compressed_size()).unwrap_or_default();
        let close = ColumnCloseResult {
            bytes_written,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        group.append_column(&self.octets, close)
    }
}
