//! Writes datagrams to a capture file: classic pcap in nanoseconds, each frame a raw IP packet with its checksums
//! (`frame`), which any capture tool reads. Neither syncs nor buffers; the output may.

use std::io::{self, Write};
use std::net::SocketAddr;

use flow::Timestamp;

use crate::frame;

/// Writes a capture file, each datagram in a single `write_all`.
pub struct Writer<W> {
    output: W,
    record: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Starts a file: writes its header.
    ///
    /// # Errors
    /// The output's.
    pub fn new(mut output: W) -> io::Result<Self> {
        output.write_all(&frame::FILE_HEADER)?;
        Ok(Self { output, record: Vec::new() })
    }

    /// Appends a datagram and returns the number of octets, see [`frame::append`].
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`], with nothing written, when the datagram cannot be represented; else the output's.
    pub fn write(
        &mut self,
        received: Timestamp,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> io::Result<usize> {
        self.record.clear();
        let octets = frame::append(&mut self.record, received, source, destination, payload)?;
        self.output.write_all(&self.record)?;
        Ok(octets)
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// The output's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// The output.
    pub fn get_ref(&self) -> &W {
        &self.output
    }

    /// Returns the output; the file is complete at any time.
    pub fn into_inner(self) -> W {
        self.output
    }
}
