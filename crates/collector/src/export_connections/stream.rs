//! The octets of an export connection, without what its encryption adds.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// A connection that can be read. Reads return at once.
#[derive(Debug)]
pub(super) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
}

impl Stream {
    /// Reads what has arrived: 0 octets at the end of the connection.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
        }
    }
}

impl Stream {
    /// Whether another process can continue it: the keys of TLS are in this one.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The connection itself, if it is plain.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
        }
    }
}
