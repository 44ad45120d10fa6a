//! Export connections: TCP connections, plain or with TLS, over which exporters send IPFIX messages (RFC 7011, section 10.4).
//!
//! | file | what it does |
//! | --- | --- |
//! | `export_connections.rs` | settings, addresses, start, reload and stop |
//! | `acceptor` | the thread that accepts connections or refuses them, and gives them to the threads that read |
//! | `reader` | the threads that read connections: as many as shards, each drives one of them |
//! | `connection` | one connection: cuts what arrives into messages, for the shard |
//! | `stream` | its octets, without what encryption adds |
//! | `encryption` | TLS, and why an exporter is not verified |
//! | `handshakes` | how many connections may be unverified at a time |
//! | `end`, `refusal` | why a connection ended, or did not begin |
//! | `table` | the open connections, their bounds, and what is shown of them |
//! | `orders` | orders to these threads |
//!
//! **Invariant:** whatever was read of a connection as a whole message is taken by the shard before anything else is read of it.
//!
//! **Invariant:** no thread that reads waits for a store.

mod acceptor;
mod connection;
mod encryption;
mod end;
mod handshakes;
mod orders;
mod reader;
mod refusal;
mod stream;
mod table;

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use flow::{Exporter, Timestamp};
use pipeline::{Admitted, Exporters};
use view::ListeningAddress;

use self::acceptor::{Acceptor, AcceptorOrder, Listener, ReaderThread};
use self::connection::Connection;
pub use self::encryption::TlsCertificates;
use self::orders::{Orders, orders};
use self::reader::{Reader, ReaderOrder, wait_for_orders};
use self::stream::Stream;
use self::table::Open;
pub(crate) use self::table::{Table, counters, gauge};
use crate::acceptance::Acceptance;
use crate::certificate_names::CertificateNames;
use crate::journaled_shard::JournaledShard;
use crate::listening::lacks_family;
use crate::lock::{locked, locked_in_turn};
use crate::pulse::Pulse;
use crate::start::join;
use crate::start_error::StartError;
use crate::stop_error::StopError;
use crate::stream_sockets;
use crate::turn_mutex::TurnMutex;

/// The settings of export connections.
#[derive(Clone, Debug)]
pub struct ExportConnectionSettings {
    /// The addresses to accept connections without TLS at; none is the default.
    pub tcp: Vec<SocketAddr>,
    /// Where TLS is required; `None` is nowhere.
    pub tls: Option<TlsSettings>,
    /// How many connections a sender may have at a time.
    pub per_sender: usize,
}

/// The settings of export connections with TLS.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The addresses to accept connections with TLS at.
    pub listen: Vec<SocketAddr>,
    /// The certificates: those shown to exporters, and what those of exporters are verified against.
    pub certificates: TlsCertificates,
}

impl Default for ExportConnectionSettings {
    fn default() -> Self {
        Self { tcp: Vec::new(), tls: None, per_sender: 16 }
    }
}

impl ExportConnectionSettings {
    /// The addresses that it listens on, each with whether TLS is required there.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        let tls = self.tls.iter().flat_map(|tls| &tls.listen);
        self.tcp.iter().map(|address| (*address, false)).chain(tls.map(|address| (*address, true)))
    }
}

/// Whether an IPv4 address is among those that it listens on.
fn has_ipv4(settings: &ExportConnectionSettings) -> bool {
    settings.addresses().any(|(address, _)| address.is_ipv4())
}

/// What the threads work with.
pub(crate) struct Parts {
    pub(crate) shards: Vec<Arc<TurnMutex<JournaledShard>>>,
    pub(crate) admitted: Admitted,
    pub(crate) acceptance: Acceptance,
    pub(crate) certificate_names: CertificateNames,
    pub(crate) exporters: Exporters,
    /// Dropped by each thread that reads when it ends.
    pub(crate) running: Sender<()>,
}

/// The export connections of a collector.
pub(crate) struct ExportConnections {
    parts: Parts,
    table: Table,
    /// That of the thread that accepts, then those of the threads that read.
    pulses: Vec<Pulse>,
    listening: Vec<Place>,
    /// `None` until it listens for the first time: without it, nothing is spent on this.
    threads: Option<Threads>,
}

/// An address that it listens on.
#[derive(Debug)]
struct Place {
    configured: SocketAddr,
    bound: SocketAddr,
    is_tls: bool,
    /// Whether its socket was passed by the service manager, which keeps it open.
    is_passed: bool,
}

/// A change that cannot fail any more.
#[derive(Debug, Default)]
pub(crate) struct PreparedConnections {
    opened: Vec<(Listener, bool)>,
    threads: Option<Threads>,
}

/// The running threads. They end when this is dropped.
#[derive(Debug)]
struct Threads {
    acceptor: Orders<AcceptorOrder>,
    readers: Arc<Vec<ReaderThread>>,
    running: Vec<JoinHandle<()>>,
    /// Connections that are kept for the next run.
    kept: Arc<Mutex<Vec<TcpStream>>>,
}

impl ExportConnections {
    /// It listens nowhere yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let reading = (0..parts.shards.len()).map(|number| Pulse::new(&format!("tcp-{number}")));
        let pulses: Vec<Pulse> = std::iter::once(Pulse::new("tcp")).chain(reading).collect();
        pulses.iter().for_each(Pulse::end);
        Self { parts, table: Table::default(), pulses, listening: Vec::new(), threads: None }
    }

    pub(crate) fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    pub(crate) fn table(&self) -> Table {
        self.table.clone()
    }

    /// Binds the new addresses, except those of passed sockets, and starts the threads if they are needed for the first time.
    ///
    /// # Errors
    /// If an address cannot be bound or a thread cannot be started.
    pub(crate) fn prepare(
        &self,
        wanted: &ExportConnectionSettings,
        mut passed: Vec<TcpListener>,
    ) -> Result<PreparedConnections, StartError> {
        let mut opened: Vec<(Listener, bool)> = Vec::new();
        for (configured, is_tls) in wanted.addresses() {
            let is_open = |place: &Place| (place.configured, place.is_tls) == (configured, is_tls);
            let is_opened = |(it, _): &(Listener, bool)| (it.configured, it.is_tls) == (configured, is_tls);
            if self.listening.iter().any(is_open) || opened.iter().any(is_opened) {
                continue;
            }
            let position = passed.iter().position(|socket| socket.local_addr().is_ok_and(|at| at == configured));
            let is_passed = position.is_some();
            let socket = match position.map(|position| passed.remove(position)) {
                Some(socket) => socket.set_nonblocking(true).map(|()| socket),
                None => self.bind(configured),
            };
            match socket {
                Ok(socket) => opened.push((Listener { configured, is_tls, socket }, is_passed)),
                // Its IPv4 addresses serve it well.
                Err(error) if configured.is_ipv6() && lacks_family(&error) && has_ipv4(wanted) => {
                    tracing::warn!(%error, "this host has no IPv6, not accepting export connections at {configured}");
                }
                Err(error) => return Err(StartError::ListenExportConnections { address: configured, error }),
            }
        }
        let is_first = self.threads.is_none() && !opened.is_empty();
        let threads = is_first.then(|| self.start()).transpose().map_err(StartError::Thread)?;
        Ok(PreparedConnections { opened, threads })
    }

    fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let overlaps = |place: &Place| {
            let Place { configured: other, .. } = place;
            other.port() == address.port() && other.is_ipv4() == address.is_ipv4()
        };
        stream_sockets::listen(address, self.listening.iter().any(overlaps))
    }

    fn start(&self) -> io::Result<Threads> {
        let (acceptor, ordered) = orders()?;
        let mut threads = Threads { acceptor, readers: Arc::default(), running: Vec::new(), kept: Arc::default() };
        let Parts { shards, admitted, acceptance, certificate_names, exporters, running } = &self.parts;
        let mut pulses = self.pulses.iter();
        let accepting = pulses.next();
        let mut readers = Vec::new();
        for (counting, pulse) in shards.iter().zip(pulses) {
            let (orders, ordered) = orders()?;
            let load: Arc<_> = Arc::default();
            readers.push(ReaderThread { orders, load: Arc::clone(&load) });
            let reader = Reader {
                counting: Arc::clone(counting),
                admitted: Arc::clone(admitted),
                acceptance: acceptance.clone(),
                certificate_names: certificate_names.clone(),
                table: self.table.clone(),
                pulse: pulse.clone(),
                waiting: wait_for_orders(&ordered)?,
                ordered,
                load,
                kept: Arc::clone(&threads.kept),
                _running: running.clone(),
            };
            threads.running.push(thread::Builder::new().name(pulse.name().to_owned()).spawn(move || reader.run())?);
        }
        threads.readers = Arc::new(readers);
        if let Some(pulse) = accepting {
            let acceptor = Acceptor {
                admitted: Arc::clone(admitted),
                acceptance: acceptance.clone(),
                certificate_names: certificate_names.clone(),
                exporters: exporters.clone(),
                table: self.table.clone(),
                pulse: pulse.clone(),
                ordered,
                readers: Arc::clone(&threads.readers),
            };
            threads.running.push(thread::Builder::new().name(pulse.name().to_owned()).spawn(move || acceptor.run())?);
        }
        Ok(threads)
    }

    /// Applies a prepared change.
    pub(crate) fn change(&mut self, wanted: &ExportConnectionSettings, prepared: PreparedConnections) {
        let PreparedConnections { opened, threads } = prepared;
        if self.threads.is_none() {
            self.threads = threads;
        }
        self.table.set_per_sender(wanted.per_sender);
        let Some(threads) = &self.threads else { return };
        if let Some(tls) = &wanted.tls {
            threads.acceptor.give(AcceptorOrder::Encrypt(tls.certificates.clone()));
        }
        let is_wanted = |place: &Place| wanted.addresses().any(|it| it == (place.configured, place.is_tls));
        // systemd holds a passed socket too, so after a close, connections would wait there in vain.
        let is_kept = |place: &Place| place.is_passed || is_wanted(place);
        for Place { configured, is_tls, .. } in self.listening.extract_if(.., |place| !is_kept(place)) {
            tracing::info!("no longer accepting export connections at {configured}");
            threads.acceptor.give(AcceptorOrder::Close { configured, is_tls });
        }
        for Place { configured, .. } in self.listening.iter().filter(|place| !is_wanted(place)) {
            tracing::warn!(
                "still accepting export connections at {configured}: systemd holds this socket; change the socket unit and restart both"
            );
        }
        for (listener, is_passed) in opened {
            let Listener { configured, is_tls, ref socket } = listener;
            let bound = socket.local_addr().unwrap_or(configured);
            let with = if is_tls { " with TLS" } else { "" };
            let from = if is_passed { ", on a socket from systemd" } else { "" };
            tracing::info!("accepting export connections{with} at {bound}{from}");
            self.listening.push(Place { configured, bound, is_tls, is_passed });
            threads.acceptor.give(AcceptorOrder::Open(listener));
        }
        let shown = self.listening.iter().map(|place| ListeningAddress { address: place.bound, tls: place.is_tls });
        self.table.set_listening(shown.collect());
    }

    /// Continues connections that an earlier run has left, and whose sender and address remain.
    pub(crate) fn adopt(&self, kept: Vec<TcpStream>) {
        for stream in kept {
            let now = Timestamp::from(SystemTime::now());
            let Some((exporter, at)) = ends_of(&stream) else { continue };
            if self.adopt_one(stream, exporter, at, now).is_none() {
                tracing::warn!("an export connection of {exporter} does not continue: its sender or {at} was removed");
                if let Some(shard) = self.parts.shards.first() {
                    let mut shard = locked_in_turn(shard);
                    shard.end_connection(exporter, now, at);
                    shard.commit();
                }
            }
        }
    }

    fn adopt_one(&self, stream: TcpStream, exporter: Exporter, at: SocketAddr, now: Timestamp) -> Option<()> {
        let place = self.listening.iter().find(|place| !place.is_tls && serves(place.bound, at))?;
        let threads = self.threads.as_ref()?;
        let is_registered = self.parts.admitted.load().contains_key(&exporter.address);
        stream_sockets::prepare(&stream).ok().filter(|()| is_registered)?;
        let open = self.table.begin(Open::new(exporter, place.bound, now, true)).ok()?;
        let connection = Connection::continued(Stream::Plain(stream), open, place.configured);
        ReaderThread::read(&threads.readers, connection);
        Some(())
    }

    /// Begins to end the threads. `keep`: connections that the next run can continue are kept for it.
    pub(crate) fn begin_stop(&self, keep: bool) {
        self.threads.iter().for_each(|threads| threads.order_stop(keep));
    }

    /// Waits for the end of the threads, which [`begin_stop`](Self::begin_stop) has begun: they read what had arrived. Returns the
    /// connections that were kept.
    ///
    /// # Errors
    /// If one has died.
    pub(crate) fn stop(self) -> Result<Vec<TcpStream>, StopError> {
        let Some(mut threads) = self.threads else { return Ok(Vec::new()) };
        std::mem::take(&mut threads.running).into_iter().try_for_each(join)?;
        Ok(std::mem::take(&mut *locked(&threads.kept)))
    }
}

impl Threads {
    fn order_stop(&self, keep: bool) {
        self.acceptor.give(AcceptorOrder::Stop);
        self.readers.iter().for_each(|reader| reader.orders.give(ReaderOrder::Stop { keep }));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.order_stop(false);
    }
}

/// The exporter of a connection, and the address of the collector that it is to.
fn ends_of(stream: &TcpStream) -> Option<(Exporter, SocketAddr)> {
    let (from, at) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    Some((Exporter::tcp(from.ip(), from.port()), at))
}

/// Whether connections to an address are accepted by a socket bound to another one.
fn serves(bound: SocketAddr, at: SocketAddr) -> bool {
    let is_any = bound.ip().is_unspecified() && bound.is_ipv4() == at.is_ipv4();
    bound.port() == at.port() && (bound.ip() == at.ip() || is_any)
}

/// The exporters of connections that an earlier run has left.
pub(crate) fn kept_exporters(kept: &[TcpStream]) -> HashSet<Exporter> {
    kept.iter().filter_map(|stream| Some(ends_of(stream)?.0)).collect()
}
