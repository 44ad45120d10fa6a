//! A file that several threads read at different places. `parquet` reads a `File` by moving its position, which all threads
//! share.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// The octets that are read for the header of a page, which is shorter.
const HEADER: usize = 256;

/// A file.
pub(crate) struct FileOctets {
    file: Arc<File>,
    length: u64,
}

/// Reads from a place on.
pub(crate) struct Position {
    file: Arc<File>,
    at: u64,
}

impl FileOctets {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), length })
    }

    /// The first octets of a file that is being written.
    pub(crate) fn of(file: Arc<File>, length: u64) -> Self {
        Self { file, length }
    }
}

impl FileOctets {
    /// Reads from a place on.
    pub(crate) fn read_at(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, start)
    }
}

impl Length for FileOctets {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for FileOctets {
    type T = BufReader<Position>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(HEADER, Position { file: Arc::clone(&self.file), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // No memory is reserved for what the file does not have.
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!("{length} octets at {start} are beyond the end of the file")));
        }
        let mut octets = vec![0; length];
        self.file.read_exact_at(&mut octets, start)?;
        Ok(octets.into())
    }
}

impl Read for Position {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
