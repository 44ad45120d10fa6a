//! Writes flows with chosen columns to a Parquet file that is not of the archive: encoded as older programs read it, too.

use std::io::{self, Write};
use std::sync::Arc;

use columns::{Batch, Id, Row};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::chunk::{Chunk, ROWS_OF_A_CHUNK};
use crate::part_writer::{Encoded, Sizes, ZSTD_LEVEL};
use crate::schema::schema_of;

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
        if self.rows.rows() < ROWS_OF_A_CHUNK {
            return Ok(());
        }
        self.end_chunk();
        if self.chunks.len() * ROWS_OF_A_CHUNK >= Sizes::USUAL.group { self.write_group() } else { Ok(()) }
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
            encoded.write(&mut group, &self.chunks, *id, None)?;
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
