//! The thread that accepts export connections, or refuses them before anything is read of them, and gives them to the threads
//! that read.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flow::{Exporter, Timestamp};
use pipeline::{Admitted, Exporters, Snapshot};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connection::Connection;
use super::encryption::{Tls, TlsCertificates};
use super::end::End;
use super::handshakes::Handshakes;
use super::orders::{Ordered, Orders};
use super::reader::ReaderOrder;
use super::refusal::Refusal;
use super::stream::Stream;
use super::table::{Open, Table};
use crate::acceptance::Acceptance;
use crate::certificate_names::CertificateNames;
use crate::pulse::Pulse;
use crate::stream_sockets;

/// The longest sleep.
const NAP: Duration = Duration::from_millis(500);
/// The same while there are too many handshakes.
const HANDSHAKE_NAP: Duration = Duration::from_millis(50);
/// The connections accepted at a time at one address, before others have their turn.
const ACCEPTED_AT_ONCE: usize = 64;
/// The connections accepted in [`ACCEPT_TIME`], with those that are refused: more wait in the kernel, so that a flood of them takes
/// no processor from counting.
const ACCEPTED: usize = 100;
const ACCEPT_TIME: Duration = Duration::from_millis(100);
/// When connections cannot be accepted, this is logged, and tried again this much later.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) configured: SocketAddr,
    pub(super) is_tls: bool,
    pub(super) socket: TcpListener,
}

/// What the thread is to do.
#[derive(Debug)]
pub(super) enum AcceptorOrder {
    Open(Listener),
    /// Ends the connections accepted there too.
    Close {
        configured: SocketAddr,
        is_tls: bool,
    },
    /// The TLS of the connections that follow.
    Encrypt(TlsCertificates),
    Stop,
}

/// A thread that reads.
#[derive(Debug)]
pub(super) struct ReaderThread {
    pub(super) orders: Orders<ReaderOrder>,
    /// How many connections it reads.
    pub(super) load: Arc<AtomicUsize>,
}

impl ReaderThread {
    /// Gives a connection to the thread with the fewest.
    pub(super) fn read(readers: &[Self], connection: Connection) {
        if let Some(reader) = readers.iter().min_by_key(|reader| reader.load.load(Ordering::Relaxed)) {
            reader.load.fetch_add(1, Ordering::Relaxed);
            reader.orders.give(ReaderOrder::Take(Box::new(connection)));
        }
    }
}

/// The thread.
pub(super) struct Acceptor {
    pub(super) admitted: Admitted,
    pub(super) acceptance: Acceptance,
    pub(super) certificate_names: CertificateNames,
    /// Where unregistered addresses are noted.
    pub(super) exporters: Exporters,
    pub(super) table: Table,
    pub(super) pulse: Pulse,
    pub(super) ordered: Ordered<AcceptorOrder>,
    pub(super) readers: Arc<Vec<ReaderThread>>,
}

/// What it accepts, and when.
struct Accepting {
    acceptor: Acceptor,
    listeners: Vec<Listener>,
    tls: Option<TlsCertificates>,
    handshakes: Handshakes,
    /// Until then no connections are accepted.
    paused_until: Option<Instant>,
    /// The connections accepted since then.
    accepted: usize,
    since: Instant,
    /// The registered senders when others were last forgotten.
    compared: Arc<Snapshot>,
}

impl Acceptor {
    /// Accepts until it is to stop.
    pub(super) fn run(self) {
        let compared = self.admitted.load_full();
        let pulse = self.pulse.clone();
        let mut accepting = Accepting {
            acceptor: self,
            listeners: Vec::new(),
            tls: None,
            handshakes: Handshakes::new(Instant::now()),
            paused_until: None,
            accepted: 0,
            since: Instant::now(),
            compared,
        };
        while accepting.step() {}
        pulse.end();
    }
}

impl Accepting {
    /// Returns whether to continue.
    fn step(&mut self) -> bool {
        self.acceptor.pulse.beat();
        let ready = self.wait();
        if !self.follow_orders() {
            return false;
        }
        for (configured, is_tls) in ready {
            self.accept(configured, is_tls);
        }
        let registered = self.acceptor.admitted.load();
        if !Arc::ptr_eq(&registered, &self.compared) {
            self.compared = Arc::clone(&registered);
            self.acceptor.table.retain(|address| registered.contains_key(address));
        }
        true
    }

    /// Waits for connections and orders. Returns the listeners with connections.
    fn wait(&mut self) -> Vec<(SocketAddr, bool)> {
        let now = Instant::now();
        let pause =
            self.paused_until.map(|until| until.saturating_duration_since(now)).filter(|pause| !pause.is_zero());
        let may_encrypt = self.handshakes.has_room(now);
        let is_polled = |listener: &&Listener| pause.is_none() && (may_encrypt || !listener.is_tls);
        let listeners: Vec<&Listener> = self.listeners.iter().filter(is_polled).collect();
        let mut polled = vec![PollFd::new(&self.acceptor.ordered, PollFlags::IN)];
        polled
            .extend(listeners.iter().map(|listener| PollFd::from_borrowed_fd(listener.socket.as_fd(), PollFlags::IN)));
        let nap = pause.unwrap_or(if may_encrypt { NAP } else { HANDSHAKE_NAP });
        let nap = Timespec::try_from(nap.min(NAP)).ok();
        match poll(&mut polled, nap.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "cannot wait for export connections, retrying");
                thread::sleep(NAP);
            }
        }
        let ready = polled.iter().skip(1).zip(listeners).filter(|(polled, _)| !polled.revents().is_empty());
        ready.map(|(_, listener)| (listener.configured, listener.is_tls)).collect()
    }

    /// Returns whether to continue.
    fn follow_orders(&mut self) -> bool {
        self.acceptor.ordered.reset();
        loop {
            match self.acceptor.ordered.next() {
                Ok(AcceptorOrder::Open(listener)) => self.listeners.push(listener),
                Ok(AcceptorOrder::Close { configured, is_tls }) => {
                    self.listeners.retain(|it| (it.configured, it.is_tls) != (configured, is_tls));
                    for reader in self.acceptor.readers.iter() {
                        reader.orders.give(ReaderOrder::Close(configured));
                    }
                }
                Ok(AcceptorOrder::Encrypt(tls)) => self.tls = Some(tls),
                Err(TryRecvError::Empty) => return true,
                Ok(AcceptorOrder::Stop) | Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn accept(&mut self, configured: SocketAddr, is_tls: bool) {
        let position = self.listeners.iter().position(|it| (it.configured, it.is_tls) == (configured, is_tls));
        for _ in 0..ACCEPTED_AT_ONCE {
            if is_tls && !self.handshakes.has_room(Instant::now()) || !self.may_accept() {
                return;
            }
            let Some(listener) = position.and_then(|position| self.listeners.get(position)) else { return };
            let listening = listener.socket.local_addr().unwrap_or(configured);
            match listener.socket.accept() {
                Ok((stream, from)) => self.begin(stream, from, (configured, is_tls), listening),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        tracing::error!(%error, "cannot accept export connections, retrying");
                        self.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
                        return;
                    }
                },
            }
        }
    }

    /// Whether there is time for another one, which is counted.
    fn may_accept(&mut self) -> bool {
        let now = Instant::now();
        if now.saturating_duration_since(self.since) >= ACCEPT_TIME {
            (self.since, self.accepted) = (now, 0);
        }
        self.accepted += 1;
        let may = self.accepted <= ACCEPTED;
        if !may {
            self.paused_until = Some(self.since + ACCEPT_TIME);
        }
        may
    }

    /// Gives a connection to a thread, or closes it before anything is read of it.
    fn begin(
        &mut self,
        socket: TcpStream,
        from: SocketAddr,
        (configured, is_tls): (SocketAddr, bool),
        listening: SocketAddr,
    ) {
        let now = Timestamp::from(SystemTime::now());
        let exporter = Exporter::tcp(from.ip(), from.port());
        let open = self.is_registered(exporter.address).and_then(|is_registered| {
            let open = Open::new(exporter, listening, now, is_registered);
            self.acceptor.table.begin(if is_tls { open.encrypted() } else { open })
        });
        let open = match open {
            Ok(open) => open,
            Err(refusal) => {
                if refusal == Refusal::Unregistered {
                    self.acceptor.exporters.note_refused(exporter, is_tls, now);
                }
                self.acceptor.table.refused(exporter.address, refusal, now);
                return;
            }
        };
        if open.is_registered.load(Ordering::Relaxed) {
            self.acceptor.exporters.note_connected(exporter.address);
        }
        // Of one that has been closed meanwhile, the thread that reads it notices.
        let _ = stream_sockets::prepare(&socket);
        let stream = match is_tls {
            false => Ok(Stream::Plain(socket)),
            true => self.encrypted(socket, exporter.address),
        };
        match stream {
            Ok(stream) => ReaderThread::read(&self.acceptor.readers, Connection::new(stream, open, configured)),
            Err(end) => self.acceptor.table.end(&open, &end, now),
        }
    }

    fn encrypted(&mut self, socket: TcpStream, sender: IpAddr) -> Result<Stream, End> {
        // There are certificates before the first address with TLS.
        let certificates = self.tls.as_ref().ok_or(End::NotListening)?;
        let tls = Tls::new(certificates, self.acceptor.certificate_names.of(sender)).map_err(End::Unverified)?;
        Ok(Stream::encrypted(socket, tls, self.handshakes.begin()))
    }

    /// Whether a sender is registered, or only may register itself.
    fn is_registered(&self, address: IpAddr) -> Result<bool, Refusal> {
        match () {
            () if self.acceptor.admitted.load().contains_key(&address) => Ok(true),
            () if self.acceptor.acceptance.accepts(address) => Ok(false),
            () => Err(Refusal::Unregistered),
        }
    }
}
