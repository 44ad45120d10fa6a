//! The octets of an export connection, without what its encryption adds.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use flow::CertificateName;
use view::TlsOfConnection;

use super::encryption::{Tls, TlsFailure};
use super::end::End;
use super::handshakes::{HANDSHAKE_PATIENCE, Handshake};

/// What is read of an encrypted connection at a time, at most.
const ENCRYPTED_OCTETS: usize = 64 << 10;

/// A connection that can be read. Reads return at once.
#[derive(Debug)]
pub(super) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Encrypted(Box<Encrypted>),
}

/// A connection with TLS.
#[derive(Debug)]
pub(super) struct Encrypted {
    socket: TcpStream,
    tls: Tls,
    since: Instant,
    /// Until the handshake is complete.
    handshake: Option<Handshake>,
    /// What the exporter has sent and nobody has read yet.
    sent: Vec<u8>,
    /// How it ends, after that.
    failed: Option<End>,
}

impl Stream {
    pub(super) fn encrypted(socket: TcpStream, tls: Tls, handshake: Handshake) -> Self {
        let (since, handshake) = (Instant::now(), Some(handshake));
        Self::Encrypted(Box::new(Encrypted { socket, tls, since, handshake, sent: Vec::new(), failed: None }))
    }

    /// Reads what has arrived: `None` if that is nothing, or nothing that is whole; 0 octets at the end of the connection.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, End> {
        match self {
            Self::Plain(socket) => read(socket, buffer),
            Self::Encrypted(encrypted) => encrypted.read(buffer),
        }
    }

    /// Whether octets, or the end, can be read although nothing arrives.
    pub(super) fn has_more(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Encrypted(encrypted) => {
                !encrypted.sent.is_empty() || encrypted.failed.is_some() || encrypted.tls.is_closed()
            }
        }
    }

    /// Whether another process can continue it: the keys of TLS are in this one.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The connection itself, if it is plain.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Encrypted(_) => None,
        }
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// How it is encrypted; `None` without TLS, and until the handshake is complete.
    pub(super) fn tls(&self) -> Option<TlsOfConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(encrypted) => encrypted.tls.shown(),
        }
    }

    /// Requires this name of its certificate from now on.
    pub(super) fn require(&mut self, name: Option<CertificateName>) -> Option<End> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(encrypted) => encrypted.tls.require(name).map(End::Encryption),
        }
    }

    /// How it ended because its handshake took too long, if it did.
    pub(super) fn overdue(&self) -> Option<End> {
        match self {
            Self::Encrypted(encrypted)
                if encrypted.handshake.is_some() && encrypted.since.elapsed() >= HANDSHAKE_PATIENCE =>
            {
                Some(End::Unverified(TlsFailure::too_slow()))
            }
            _ => None,
        }
    }

    /// Announces the end to the exporter, as far as TLS does so.
    pub(super) fn close(&mut self) {
        if let Self::Encrypted(encrypted) = self {
            encrypted.tls.close();
            // An exporter that does not read does not need it.
            let _ = encrypted.tls.answer(&mut encrypted.socket);
        }
    }
}

impl Encrypted {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, End> {
        if self.sent.is_empty() {
            if let Some(end) = self.failed.take() {
                return Err(end);
            }
            if self.tls.is_closed() {
                return Ok(Some(0));
            }
            let most = buffer.len().min(ENCRYPTED_OCTETS);
            let Some(room) = buffer.get_mut(..most) else { return Ok(None) };
            match read(&mut self.socket, room) {
                Ok(None) => return Ok(None),
                Ok(Some(0)) | Err(_) if self.handshake.is_some() => return Err(End::Unverified(TlsFailure::early())),
                Ok(Some(0)) => return Err(End::Unannounced),
                Ok(Some(count)) => self.receive(room.get(..count).unwrap_or_default()),
                Err(end) => return Err(end),
            }
        }
        let count = self.sent.len().min(buffer.len());
        if let (Some(room), Some(octets)) = (buffer.get_mut(..count), self.sent.get(..count)) {
            room.copy_from_slice(octets);
        }
        match count == self.sent.len() {
            // There may be many connections: none keeps memory for what has been read.
            true => self.sent = Vec::new(),
            false => drop(self.sent.drain(..count)),
        }
        Ok((count > 0).then_some(count))
    }

    fn receive(&mut self, octets: &[u8]) {
        self.sent.reserve_exact(octets.len());
        if let Err(failure) = self.tls.receive(octets, &mut self.sent) {
            let is_verified = self.handshake.is_none();
            self.failed = Some(if is_verified { End::Encryption(failure) } else { End::Unverified(failure) });
        }
        // The answers of a handshake fit into the buffer of the socket. If that is closed, a read will return so.
        let _ = self.tls.answer(&mut self.socket);
        if !self.tls.is_handshaking() {
            self.handshake = None;
        }
    }
}

fn read(socket: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<usize>, End> {
    match socket.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(End::Lost(error)),
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(socket) => socket.as_fd(),
            Self::Encrypted(encrypted) => encrypted.socket.as_fd(),
        }
    }
}
