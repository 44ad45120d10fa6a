//! The octets of a connection, plain or encrypted, without waiting: what cannot be done now is `WouldBlock`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, InvalidMessage};

use crate::error::Reason;

/// The most reads at once, so that a collector that sends without an end stops nothing.
const READS: usize = 64;
/// How an alert of TLS begins: its content type, and the version (RFC 8446, section 5.1).
const ALERT: [u8; 2] = [21, 3];

/// The octets of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Does not block.
    pub(crate) socket: TcpStream,
    /// `None` for a plain connection.
    pub(crate) tls: Option<Box<ClientConnection>>,
}

/// What has arrived from the collector, which sends no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    Nothing,
    /// The end of the connection.
    End,
}

impl Stream {
    /// Takes some of these octets.
    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_encrypted()?;
        match &mut self.tls {
            None => self.socket.write(octets),
            // As much as fits its buffer.
            Some(tls) => tls.writer().write(octets),
        }
    }

    /// Hands what is encrypted to the kernel, all of it; plain connections have nothing to do.
    pub(crate) fn write_encrypted(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            if tls.write_tls(&mut self.socket)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Whether a handshake is unfinished.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Reads what has arrived: the end, an alert, or what TLS itself needs. What remained unread would make the kernel reset
    /// the connection when it is closed, and the last messages would be lost.
    pub(crate) fn read(&mut self) -> Result<Arrived, Reason> {
        for _ in 0..READS {
            let read = match &mut self.tls {
                None => read_plain(&mut self.socket),
                Some(tls) => read_encrypted(tls, &mut self.socket),
            };
            match read {
                Ok(0) => return Ok(Arrived::End),
                Ok(_) => {}
                Err(Reason::Broken(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(Arrived::Nothing),
                Err(Reason::Broken(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(reason) => return Err(reason),
            }
        }
        Ok(Arrived::Nothing)
    }
}

fn read_plain(socket: &mut TcpStream) -> Result<usize, Reason> {
    let mut octets = [0; 512];
    let read = socket.read(&mut octets).map_err(Reason::Broken)?;
    if read > 0 && octets.starts_with(&ALERT) { Err(Reason::IsTls) } else { Ok(read) }
}

fn read_encrypted(tls: &mut ClientConnection, socket: &mut TcpStream) -> Result<usize, Reason> {
    let read = tls.read_tls(socket).map_err(Reason::Broken)?;
    let state = match tls.process_new_packets() {
        Ok(state) => state,
        Err(error) => {
            // The alert has the reason for the collector. A connection that is closed already takes none.
            let _ = tls.write_tls(socket);
            return Err(match error {
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Reason::NotTls,
                error => Reason::Tls(error.into()),
            });
        }
    };
    let mut octets = vec![0; state.plaintext_bytes_to_read()];
    tls.reader().read_exact(&mut octets).map_err(Reason::Broken)?;
    Ok(read)
}
