//! The threads that read export connections, as many as there are shards. Each drives one shard, beside the thread that reads
//! its datagrams.
//!
//! A store that is slow changes nothing about how a thread reads: it counts into the tally of its shard.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flow::Timestamp;
use pipeline::{Admitted, Snapshot};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::connection::{Connection, LONGEST_MESSAGE, Outcome, Reading};
use super::end::End;
use super::orders::Ordered;
use super::table::Table;
use crate::acceptance::Acceptance;
use crate::certificate_names::CertificateNames;
use crate::journaled_shard::JournaledShard;
use crate::lock::{locked, locked_in_turn};
use crate::pulse::Pulse;
use crate::turn_mutex::TurnMutex;

/// What is read of a connection at a time, before others have their turn. The beginning of a message fits in front of it.
const READ_OCTETS: usize = 192 << 10;
/// The connections that are read in one round.
const ROUND: usize = 256;
/// The longest sleep of an idle thread.
const NAP: Duration = Duration::from_millis(200);
/// How often it looks for connections that are overdue.
const LOOK: Duration = Duration::from_secs(1);
/// How long it continues to read what has arrived, when connections are to end.
const LAST_READ: Duration = Duration::from_secs(1);
/// For how long octets may gather at a low rate: the longer, the fewer wake-ups with cold caches.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);
/// They gather for longer when no connection had more octets than the first, and for less when one had more than the second:
/// the kernel has room for 64 KiB at the beginning, and without room, an exporter has to wait.
const GATHERED: (usize, usize) = (8 << 10, 32 << 10);
/// The orders, among the connections.
const ORDERS: u64 = 0;

/// What a thread is to do.
#[derive(Debug)]
pub(super) enum ReaderOrder {
    /// Read this connection too.
    Take(Box<Connection>),
    /// Read what has arrived of the connections accepted there, and end them.
    Close(SocketAddr),
    /// The same of all, and end. `keep`: those that the next run can continue are kept for it.
    Stop { keep: bool },
}

/// One thread.
pub(super) struct Reader {
    pub(super) counting: Arc<TurnMutex<JournaledShard>>,
    pub(super) admitted: Admitted,
    pub(super) acceptance: Acceptance,
    pub(super) certificate_names: CertificateNames,
    pub(super) table: Table,
    pub(super) pulse: Pulse,
    pub(super) ordered: Ordered<ReaderOrder>,
    /// How many connections it reads.
    pub(super) load: Arc<AtomicUsize>,
    /// Where it waits for orders and connections: see [`wait_for_orders`].
    pub(super) waiting: OwnedFd,
    /// Those that are kept for the next run.
    pub(super) kept: Arc<Mutex<Vec<TcpStream>>>,
    /// Dropped when the thread ends.
    pub(super) _running: Sender<()>,
}

/// Where a thread waits: for orders at first.
pub(super) fn wait_for_orders(ordered: &Ordered<ReaderOrder>) -> io::Result<OwnedFd> {
    let waiting = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&waiting, ordered, epoll::EventData::new_u64(ORDERS), epoll::EventFlags::IN)?;
    Ok(waiting)
}

/// Its connections, by number.
struct Connections {
    reader: Reader,
    open: HashMap<u64, Connection>,
    last_number: u64,
    /// The registered senders that they were last compared with; `None` if there are others since.
    compared: Option<Arc<Snapshot>>,
    buffer: Vec<u8>,
    /// Whether it stops, and keeps connections for the next run.
    is_keeping: bool,
}

impl Reader {
    /// Reads until it is to stop.
    pub(super) fn run(self) {
        let buffer = vec![0; LONGEST_MESSAGE + READ_OCTETS];
        let mut connections = Connections {
            reader: self,
            open: HashMap::new(),
            last_number: ORDERS,
            compared: None,
            buffer,
            is_keeping: false,
        };
        connections.run();
        connections.end_all(|_| true, || End::Stopped);
        let Self { counting, pulse, .. } = connections.reader;
        locked_in_turn(&counting).release_decided(true);
        pulse.end();
    }
}

impl Connections {
    fn run(&mut self) {
        let mut events = Vec::with_capacity(ROUND);
        let mut pause = LONGEST_PAUSE;
        let mut looked = Instant::now();
        loop {
            self.reader.pulse.beat();
            self.wait(&mut events);
            let mut most = 0;
            for event in events.drain(..) {
                match event.data.u64() {
                    ORDERS => {
                        if self.follow_orders() {
                            return;
                        }
                    }
                    number => most = most.max(self.read(number, false)),
                }
            }
            self.follow_registrations();
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.end_overdue();
            }
            if most > 0 {
                pause = next_pause(pause, most);
                if pause >= SHORTEST_PAUSE {
                    thread::sleep(pause);
                }
            }
        }
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) {
        let nap = Timespec::try_from(NAP).ok();
        if let Err(error) = epoll::wait(&self.reader.waiting, spare_capacity(events), nap.as_ref())
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(%error, "cannot wait for export connections, retrying");
            thread::sleep(NAP);
        }
    }

    /// Returns whether to stop.
    fn follow_orders(&mut self) -> bool {
        self.reader.ordered.reset();
        loop {
            match self.reader.ordered.next() {
                Ok(ReaderOrder::Take(connection)) => self.begin(*connection),
                Ok(ReaderOrder::Close(address)) => {
                    self.end_all(|connection| connection.accepted_at == address, || End::NotListening);
                }
                Err(TryRecvError::Empty) => return false,
                Ok(ReaderOrder::Stop { keep }) => {
                    self.is_keeping = keep;
                    return true;
                }
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn begin(&mut self, connection: Connection) {
        self.last_number += 1;
        let number = self.last_number;
        self.compared = None;
        let watched = self.watch(number, &connection);
        self.open.insert(number, connection);
        if let Err(error) = watched {
            self.end(number, &End::Lost(error), Timestamp::from(SystemTime::now()));
        }
    }

    fn watch(&self, number: u64, connection: &Connection) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(&self.reader.waiting, &connection.stream, data, epoll::EventFlags::IN)?)
    }

    /// Reads a connection once, and what its encryption has read ahead; `is_last`: not beyond the message that is not whole. Returns
    /// how many octets it had.
    fn read(&mut self, number: u64, is_last: bool) -> usize {
        let (now, mut octets) = (Timestamp::from(SystemTime::now()), 0);
        while let Some(connection) = self.open.get_mut(&number) {
            let Reader { counting, acceptance, waiting, .. } = &self.reader;
            match connection.read(&mut Reading { buffer: &mut self.buffer, counting, acceptance, now, is_last }) {
                Outcome::Read(count) => {
                    octets += count;
                    if count == 0 || !connection.stream.has_more() {
                        break;
                    }
                }
                Outcome::Undecided => {
                    // What arrives meanwhile waits in the kernel.
                    let _ = epoll::delete(waiting, &connection.stream);
                    break;
                }
                Outcome::Ended(end) => self.end(number, &end, now),
            }
        }
        octets
    }

    /// Ends the connections whose sender is no longer registered, and reads those whose sender is so now.
    fn follow_registrations(&mut self) {
        let snapshot = self.reader.admitted.load();
        if self.compared.as_ref().is_some_and(|compared| Arc::ptr_eq(&snapshot, compared)) {
            return;
        }
        let (snapshot, now) = (Arc::clone(&snapshot), Timestamp::from(SystemTime::now()));
        let is_registered = |connection: &Connection| snapshot.contains_key(&connection.exporter().address);
        let changed =
            self.open.iter().filter(|(_, connection)| is_registered(connection) != connection.is_registered());
        let changed: Vec<u64> = changed.map(|(number, _)| *number).collect();
        self.compared = Some(snapshot);
        for number in changed {
            let Some(connection) = self.open.get_mut(&number) else { continue };
            let end = if connection.is_registered() {
                Some(End::Unregistered)
            } else {
                let was_undecided = connection.is_undecided();
                let end = connection.register(&self.reader.counting, now);
                match self.open.get(&number) {
                    Some(connection) if was_undecided && end.is_none() => {
                        self.watch(number, connection).err().map(End::Lost)
                    }
                    _ => end,
                }
            };
            if let Some(end) = end {
                self.end(number, &end, now);
            } else if self.open.get(&number).is_some_and(|connection| connection.stream.has_more()) {
                self.read(number, false);
            }
        }
    }

    fn end_overdue(&mut self) {
        let now = Timestamp::from(SystemTime::now());
        let Reader { counting, certificate_names, .. } = &self.reader;
        let overdue = |(number, connection): (&u64, &mut Connection)| {
            let end = connection.overdue(counting, now);
            let end = end.or_else(|| connection.require(certificate_names));
            Some((*number, end?))
        };
        let overdue: Vec<(u64, End)> = self.open.iter_mut().filter_map(overdue).collect();
        for (number, end) in overdue {
            self.end(number, &end, now);
        }
    }

    /// Reads what has arrived of these connections, and ends them.
    fn end_all(&mut self, is_ending: impl Fn(&Connection) -> bool, end: impl Fn() -> End) {
        let ending = self.open.iter().filter(|(_, connection)| is_ending(connection)).map(|(number, _)| *number);
        let ending: Vec<u64> = ending.collect();
        let deadline = Instant::now() + LAST_READ;
        let mut unread: Vec<u64> = ending.clone();
        while !unread.is_empty() && Instant::now() < deadline {
            unread.retain(|number| {
                let is_read = self.open.get(number).is_some_and(|connection| !connection.is_undecided());
                is_read && self.read(*number, false) > 0
            });
        }
        if self.is_keeping {
            self.keep(&ending);
        }
        let now = Timestamp::from(SystemTime::now());
        for number in ending {
            self.end(number, &end(), now);
        }
    }

    /// Keeps these connections for the next run, those that are between two messages within [`LAST_READ`]: what follows waits in the
    /// kernel.
    fn keep(&mut self, numbers: &[u64]) {
        let deadline = Instant::now() + LAST_READ;
        let is_inside = |open: &HashMap<u64, Connection>, number: &u64| {
            open.get(number).is_some_and(|connection| connection.is_registered() && !connection.is_between_messages())
        };
        let mut inside: Vec<u64> = numbers.iter().copied().filter(|number| is_inside(&self.open, number)).collect();
        while !inside.is_empty() && Instant::now() < deadline {
            let read: usize = inside.iter().map(|number| self.read(*number, true)).sum();
            inside.retain(|number| is_inside(&self.open, number));
            if read == 0 && !inside.is_empty() {
                thread::sleep(LONGEST_PAUSE);
            }
        }
        let is_kept = |connection: &mut Connection| {
            connection.is_registered() && connection.is_between_messages() && connection.stream.is_plain()
        };
        for (_, connection) in
            self.open.extract_if(|number, connection| numbers.contains(number) && is_kept(connection))
        {
            self.reader.load.fetch_sub(1, Ordering::Relaxed);
            let (open, stream) = (connection.open, connection.stream.into_plain());
            if let Some(stream) = stream {
                self.reader.table.end(&open, &End::Kept, SystemTime::now().into());
                locked(&self.reader.kept).push(stream);
            }
        }
    }

    fn end(&mut self, number: u64, end: &End, now: Timestamp) {
        let Some(mut connection) = self.open.remove(&number) else { return };
        connection.end(&self.reader.counting, now);
        self.reader.load.fetch_sub(1, Ordering::Relaxed);
        self.reader.table.end(&connection.open, end, now);
        // Closing its descriptor also ends the wait for it.
    }
}

/// For how long octets gather after this pause, at the end of which a connection had this many, and none had more.
fn next_pause(pause: Duration, most: usize) -> Duration {
    let (few, many) = GATHERED;
    match () {
        () if most < few => (pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        () if most > many => pause / 2,
        () => pause,
    }
}
