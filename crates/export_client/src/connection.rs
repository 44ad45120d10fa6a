//! An export connection: opened, used and ended in good order, so that what was sent is known to have arrived.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Socket, Type};

use crate::error::{Error, Reason};
use crate::stream::{Arrived, Stream};

/// For a connection with its handshake.
const OPENING: Duration = Duration::from_secs(10);
/// How long the collector may take to read the rest and to close the connection.
const ENDING: Duration = Duration::from_secs(30);
/// Between two questions whether to give up.
const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Between two looks at a connection that is closed but not acknowledged.
const NAP: Duration = Duration::from_millis(1);
/// As many octets are gathered before they are written: a system call for some fifty messages.
const GATHERED: usize = 64 * 1024;

/// Whether to give up waiting for the collector: asked regularly while it does not answer or read.
pub type GiveUp<'a> = &'a dyn Fn() -> bool;

/// A collector, and how it is reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// `None` for a plain connection.
    pub encryption: Option<Encryption>,
}

/// TLS to a collector.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// Which certificates are trusted, and the own one.
    pub config: Arc<ClientConfig>,
    /// The name that the collector's certificate must have.
    pub name: ServerName<'static>,
}

/// An open connection. Dropping it breaks it: [`ExportConnection::end`] ends it.
#[derive(Debug)]
pub struct ExportConnection {
    stream: Stream,
    to: SocketAddr,
    from: SocketAddr,
    gathered: Vec<u8>,
    gather: usize,
    messages: u64,
}

/// A connection that has sent its end, and that the collector has not ended yet.
#[derive(Debug)]
pub struct Ending(ExportConnection);

impl ExportConnection {
    /// Connects from this address of this machine, or from the one that the kernel chooses.
    ///
    /// # Errors
    /// When there is no connection, or no TLS with a trusted collector, within ten seconds.
    pub fn open(target: &Target, source: Option<IpAddr>, give_up: GiveUp<'_>) -> Result<Self, Error> {
        let to = target.address;
        let failed = |reason| Error { to, from: None, messages: 0, reason };
        let until = Instant::now() + OPENING;
        let socket = connect(to, source, until, give_up).map_err(failed)?;
        let from = socket.local_addr().map_err(Reason::Connect).map_err(failed)?;
        let tls = target.encryption.as_ref().map(|Encryption { config, name }| {
            let tls = ClientConnection::new(Arc::clone(config), name.clone());
            tls.map(Box::new).map_err(|error| Reason::Tls(error.into()))
        });
        let mut stream = Stream { socket, tls: tls.transpose().map_err(failed)? };
        shake_hands(&mut stream, until, give_up).map_err(failed)?;
        Ok(Self { stream, to, from, gathered: Vec::new(), gather: GATHERED, messages: 0 })
    }

    /// Gathers at most this many octets before they are written, if there are less of them than by default: for many
    /// connections at once.
    pub fn gather_at_most(&mut self, octets: usize) {
        self.gather = octets.min(GATHERED);
    }

    /// The own address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.from
    }

    /// Sends a message, of exactly the length in its header. It may be gathered until [`ExportConnection::flush`].
    ///
    /// # Errors
    /// When the connection breaks, or the caller gives up.
    pub fn send(&mut self, message: &[u8], give_up: GiveUp<'_>) -> Result<(), Error> {
        self.gathered.extend_from_slice(message);
        self.messages += 1;
        if self.gathered.len() >= self.gather { self.flush(give_up) } else { Ok(()) }
    }

    /// Hands over what is gathered; waits as long as the collector does not read.
    ///
    /// # Errors
    /// When the connection breaks, or the caller gives up.
    pub fn flush(&mut self, give_up: GiveUp<'_>) -> Result<(), Error> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = write(&mut self.stream, &self.gathered, give_up);
        self.gathered.clear();
        written.map_err(|reason| self.error(reason))
    }

    /// Sends what is gathered, and the end: with TLS a `close_notify`, then that of TCP.
    ///
    /// # Errors
    /// When the connection breaks, or the caller gives up.
    pub fn end(mut self, give_up: GiveUp<'_>) -> Result<Ending, Error> {
        self.flush(give_up)?;
        let ended = end(&mut self.stream, give_up);
        ended.map_err(|reason| self.error(reason))?;
        Ok(Ending(self))
    }

    fn error(&self, reason: Reason) -> Error {
        Error { to: self.to, from: Some(self.from), messages: self.messages, reason }
    }
}

impl Ending {
    /// Waits until the collector has read everything and has closed the connection.
    ///
    /// # Errors
    /// When it does not within 30 s, when the connection breaks, or the caller gives up.
    pub fn wait(mut self, give_up: GiveUp<'_>) -> Result<(), Error> {
        let waited = wait_for_the_end(&mut self.0.stream, give_up);
        waited.map_err(|reason| self.0.error(reason))
    }
}

/// A socket that does not block.
fn connect(to: SocketAddr, source: Option<IpAddr>, until: Instant, give_up: GiveUp<'_>) -> Result<TcpStream, Reason> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).map_err(Reason::Connect)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| Reason::Source(source, error))?;
    }
    socket.set_nonblocking(true).map_err(Reason::Connect)?;
    // Messages of a low rate are sent at once; others are gathered here.
    socket.set_tcp_nodelay(true).map_err(Reason::Connect)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        connected => connected.map_err(Reason::Connect)?,
    }
    let socket = TcpStream::from(socket);
    let too_late = || Instant::now() > until || give_up();
    while !wait(&socket, PollFlags::OUT, &|| false)? {
        if too_late() {
            return Err(Reason::NoAnswer);
        }
    }
    match socket.take_error() {
        Ok(None) => Ok(socket),
        Ok(Some(error)) | Err(error) => Err(Reason::Connect(error)),
    }
}

fn shake_hands(stream: &mut Stream, until: Instant, give_up: GiveUp<'_>) -> Result<(), Reason> {
    while stream.is_handshaking() {
        let events = match stream.write_encrypted() {
            Ok(()) => PollFlags::IN,
            Err(error) if is_blocked(&error) => PollFlags::OUT | PollFlags::IN,
            // What has arrived before has the reason.
            Err(error) => return Err(of_break(stream, error)),
        };
        match stream.read() {
            Ok(Arrived::End) => return Err(Reason::NotTls),
            Ok(Arrived::Nothing) if stream.is_handshaking() => {}
            Ok(Arrived::Nothing) => break,
            // A collector of plain connections refuses what is no message.
            Err(Reason::Broken(error)) if error.kind() == ErrorKind::ConnectionReset => return Err(Reason::NotTls),
            Err(reason) => return Err(reason),
        }
        wait(&stream.socket, events, &|| false)?;
        if Instant::now() > until || give_up() {
            return Err(Reason::NoAnswer);
        }
    }
    write(stream, &[], give_up)
}

/// Hands all of these octets to the kernel, and first looks whether the collector has ended the connection.
fn write(stream: &mut Stream, mut octets: &[u8], give_up: GiveUp<'_>) -> Result<(), Reason> {
    loop {
        if stream.read()? == Arrived::End {
            return Err(Reason::Closed);
        }
        let written = match octets {
            [] => stream.write_encrypted().map(|()| 0),
            octets => stream.write(octets),
        };
        match written {
            Ok(_) if octets.is_empty() => return Ok(()),
            Ok(0) => return Err(Reason::Closed),
            Ok(written) => octets = octets.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_blocked(&error) => {
                wait(&stream.socket, PollFlags::OUT | PollFlags::IN, give_up)?;
            }
            Err(error) => return Err(of_break(stream, error)),
        }
    }
}

/// The reason of a broken connection: what the collector has sent before, or else the kernel's.
fn of_break(stream: &mut Stream, error: io::Error) -> Reason {
    match stream.read() {
        Err(reason @ (Reason::Tls(_) | Reason::IsTls | Reason::NotTls)) => reason,
        _ => Reason::Broken(error),
    }
}

fn end(stream: &mut Stream, give_up: GiveUp<'_>) -> Result<(), Reason> {
    if let Some(tls) = &mut stream.tls {
        tls.send_close_notify();
    }
    write(stream, &[], give_up)?;
    stream.socket.shutdown(Shutdown::Write).map_err(|error| of_break(stream, error))
}

/// The collector closes the connection after it has read everything. One that was closed with unread octets is reset.
fn wait_for_the_end(stream: &mut Stream, give_up: GiveUp<'_>) -> Result<(), Reason> {
    let until = Instant::now() + ENDING;
    let unless_too_late = || if Instant::now() > until || give_up() { Err(Reason::NotClosed) } else { Ok(()) };
    while stream.read()? == Arrived::Nothing {
        unless_too_late()?;
        wait(&stream.socket, PollFlags::IN, &|| false)?;
    }
    // If the collector has closed it at the same moment, the end is here before the reset. A connection has an address at the
    // other side until everything is acknowledged, or it is reset.
    while stream.socket.peer_addr().is_ok() {
        thread::sleep(NAP);
        unless_too_late()?;
    }
    match stream.socket.take_error() {
        Ok(None) => Ok(()),
        Ok(Some(error)) | Err(error) => Err(Reason::Broken(error)),
    }
}

/// Waits a moment for one of these events; returns whether there is one.
fn wait(socket: &TcpStream, events: PollFlags, give_up: GiveUp<'_>) -> Result<bool, Reason> {
    let mut polled = [PollFd::new(socket, events)];
    let ready = match poll(&mut polled, Some(&SLICE)) {
        Ok(ready) => ready > 0,
        Err(Errno::INTR) => false,
        Err(error) => return Err(Reason::Broken(error.into())),
    };
    if give_up() { Err(Reason::NotRead) } else { Ok(ready) }
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
