//! Datagrams to a capture file: classic pcap in nanoseconds, each frame a raw IP packet with its checksums filled in
//! (`frame`), so that any tool that reads captures reads it. Does not sync and does not buffer: what it is given does.

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
    /// When the output does not take it.
    pub fn new(mut output: W) -> io::Result<Self> {
        output.write_all(&frame::FILE_HEADER)?;
        Ok(Self { output, record: Vec::new() })
    }

    /// Appends a datagram and returns how many octets the file grew by, see [`frame::append`].
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`], with nothing written, when it has no form in a file; else when the output does
    /// not take it.
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

    /// Hands everything on that the output has buffered.
    ///
    /// # Errors
    /// When the output cannot.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        &self.output
    }

    /// Ends the writing; the file is complete at any time.
    pub fn into_inner(self) -> W {
        self.output
    }
}
