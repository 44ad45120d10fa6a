//! The thread of all BMP sessions: accepts and refuses them, reads them, keeps the limits, publishes snapshots.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use bmp::Snapshot;
use flow::Timestamp;
use pipeline::Admitted;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::router::{End, Router};
use super::shown::{Refusal, Shown};
use crate::give_way::{Step, give_way};
use crate::origins::Origins;
use crate::pulse::Pulse;
use crate::stream_sockets;

/// The sessions at a time, one for each router.
pub(super) const MOST_SESSIONS: usize = 1024;

/// Sessions that always have something to read for this long, because other programs use all processors, no longer wait for a
/// processor that is free.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often what has changed is published, at most.
const PUBLISHED_EVERY: Duration = Duration::from_secs(3);

/// Publishing takes at most this part of the time.
const PUBLISHING_PART: u32 = 10;

/// What is read of a session at a time, before others have their turn.
const READ_OCTETS: usize = 64 << 10;

/// The connections accepted at a time, before sessions are read.
const ACCEPTED_AT_ONCE: usize = 64;

/// Why connections cannot be accepted is logged, and tried again, this much later.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) configured: SocketAddr,
    pub(super) socket: TcpListener,
}

/// What the thread is to do.
#[derive(Debug)]
pub(super) enum Order {
    Open(Listener),
    /// Ends the sessions accepted there too.
    Close(SocketAddr),
    Memory(usize),
    Stop,
}

/// The state of the thread.
pub(super) struct Sessions {
    admitted: Admitted,
    origins: Origins,
    shown: Shown,
    pulse: Pulse,
    ordered: Receiver<Order>,
    woken: UnixStream,
    listeners: Vec<Listener>,
    routers: BTreeMap<IpAddr, Router>,
    memory: usize,
    /// Snapshots that were replaced and that counting threads may still use: freeing them takes a while, so it is done here.
    replaced: Vec<Arc<Snapshot>>,
    /// When to publish next.
    due: Instant,
    /// Until then no connections are accepted.
    accepting_from: Instant,
    buffer: Vec<u8>,
}

/// What has something to read.
#[derive(Debug, Default)]
struct Ready {
    is_woken: bool,
    listeners: Vec<usize>,
    routers: Vec<IpAddr>,
}

impl Sessions {
    pub(super) fn new(
        admitted: Admitted,
        origins: Origins,
        shown: Shown,
        pulse: Pulse,
        ordered: Receiver<Order>,
        woken: UnixStream,
    ) -> Self {
        Self {
            admitted,
            origins,
            shown,
            pulse,
            ordered,
            woken,
            listeners: Vec::new(),
            routers: BTreeMap::new(),
            memory: 0,
            replaced: Vec::new(),
            due: Instant::now() + PUBLISHED_EVERY,
            accepting_from: Instant::now(),
            buffer: vec![0; READ_OCTETS],
        }
    }

    /// Runs until it is to stop.
    pub(super) fn run(mut self) {
        give_way("bmp", PATIENCE, &mut || self.step());
        self.pulse.end();
    }

    /// Reads what has arrived, once for each session, and publishes if it is time.
    fn step(&mut self) -> Step {
        self.pulse.beat();
        let ready = self.wait();
        let now = Timestamp::from(SystemTime::now());
        if ready.is_woken && self.follow_orders(now) {
            return Step::End;
        }
        let is_busy = !ready.routers.is_empty();
        for router in ready.routers {
            self.read(router, now);
        }
        for listener in ready.listeners {
            self.accept(listener, now);
        }
        if Instant::now() >= self.due {
            self.publish_all(now);
        }
        if is_busy { Step::Busy } else { Step::Idle }
    }

    /// Waits until something can be read, or it is time to publish.
    fn wait(&self) -> Ready {
        let now = Instant::now();
        let is_accepting = now >= self.accepting_from;
        let mut descriptors = vec![PollFd::new(&self.woken, PollFlags::IN)];
        let listeners = if is_accepting { self.listeners.as_slice() } else { &[] };
        descriptors.extend(listeners.iter().map(|listener| PollFd::new(&listener.socket, PollFlags::IN)));
        let connected: Vec<_> =
            self.routers.iter().filter_map(|(address, router)| Some((*address, router.connection.as_ref()?))).collect();
        descriptors.extend(connected.iter().map(|(_, connection)| PollFd::new(&connection.stream, PollFlags::IN)));
        let mut until = self.due;
        if !is_accepting {
            until = until.min(self.accepting_from);
        }
        // A millisecond more: never just before the time.
        let timeout = until.saturating_duration_since(now) + Duration::from_millis(1);
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ready::default(),
            Err(error) => {
                tracing::error!(%error, "cannot wait for BMP sessions, retrying");
                std::thread::sleep(ACCEPT_PAUSE);
                return Ready::default();
            }
        }
        let mut ready = descriptors.iter().map(|descriptor| !descriptor.revents().is_empty());
        let is_woken = ready.next().unwrap_or_default();
        let of_listeners: Vec<bool> = ready.by_ref().take(listeners.len()).collect();
        let listeners = of_listeners.iter().enumerate().filter_map(|(number, is_ready)| is_ready.then_some(number));
        let routers = connected.iter().zip(ready).filter_map(|((address, _), is_ready)| is_ready.then_some(*address));
        Ready { is_woken, listeners: listeners.collect(), routers: routers.collect() }
    }

    /// Returns whether to stop.
    fn follow_orders(&mut self, now: Timestamp) -> bool {
        let mut octets = [0; 64];
        while (&self.woken).read(&mut octets).is_ok_and(|count| count == octets.len()) {}
        while let Ok(order) = self.ordered.try_recv() {
            match order {
                Order::Open(listener) => self.listeners.push(listener),
                Order::Close(address) => {
                    self.listeners.retain(|listener| listener.configured != address);
                    let accepted_there = |router: &&mut Router| {
                        router.connection.as_ref().is_some_and(|connection| connection.accepted_at == address)
                    };
                    self.routers
                        .values_mut()
                        .filter(accepted_there)
                        .for_each(|router| router.end(&End::NotListening, now));
                }
                Order::Memory(memory) => {
                    self.memory = memory;
                    self.routers.values_mut().for_each(|router| router.set_memory(memory));
                }
                Order::Stop => return true,
            }
        }
        self.show();
        false
    }

    fn accept(&mut self, listener: usize, now: Timestamp) {
        for _ in 0..ACCEPTED_AT_ONCE {
            let Some(Listener { configured, socket }) = self.listeners.get(listener) else { return };
            match socket.accept() {
                Ok((stream, from)) => self.begin(stream, from, *configured, now),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        tracing::error!(%error, "cannot accept BMP sessions, retrying");
                        self.accepting_from = Instant::now() + ACCEPT_PAUSE;
                        return;
                    }
                },
            }
        }
    }

    /// Begins a session, or closes the connection before anything is read of it.
    fn begin(&mut self, stream: TcpStream, from: SocketAddr, accepted_at: SocketAddr, now: Timestamp) {
        let address = flow::canonical(from.ip());
        if let Some(reason) = self.refusal(address) {
            self.shown.refused(address, reason, now);
            return;
        }
        if stream_sockets::prepare(&stream).is_err() {
            // It has been closed meanwhile.
            return;
        }
        let memory = self.memory;
        let router = self.routers.entry(address).or_insert_with(|| Router::new(address, memory));
        router.begin(stream, accepted_at, now);
        self.shown.router(router.shown());
    }

    fn refusal(&self, address: IpAddr) -> Option<Refusal> {
        if !self.admitted.load().contains_key(&address) {
            return Some(Refusal::Unregistered);
        }
        let router = self.routers.get(&address);
        if router.is_some_and(Router::is_paused) {
            return Some(Refusal::TooEarly);
        }
        let replaces = router.is_some_and(|router| router.connection.is_some());
        let sessions = self.routers.values().filter(|router| router.connection.is_some()).count();
        (sessions >= MOST_SESSIONS && !replaces).then_some(Refusal::TooMany)
    }

    fn read(&mut self, address: IpAddr, now: Timestamp) {
        let Some(router) = self.routers.get_mut(&address) else { return };
        if let Some(end) = router.read(&mut self.buffer, now).or_else(|| self.check_memory(address)) {
            self.end(address, &end, now);
        }
    }

    /// Whether a router that has just sent something uses too much.
    fn check_memory(&mut self, address: IpAddr) -> Option<End> {
        let own = |sessions: &Self| sessions.routers.get(&address).map_or(0, Router::octets);
        let all = |sessions: &Self| sessions.routers.values().map(Router::octets).sum::<usize>();
        let exceeds = |sessions: &Self| {
            let limit = sessions.memory;
            let (used, all) = (own(sessions), all(sessions));
            match () {
                () if used > limit / 2 => Some(End::Memory { used, whose: "one router", limit }),
                () if all > limit => Some(End::Memory { used: all, whose: "all routers", limit }),
                () => None,
            }
        };
        exceeds(self)?;
        self.routers.values_mut().for_each(Router::forget_stale);
        exceeds(self)
    }

    fn end(&mut self, address: IpAddr, end: &End, now: Timestamp) {
        if let Some(router) = self.routers.get_mut(&address) {
            router.end(end, now);
            self.shown.router(router.shown());
        }
    }

    /// Publishes what has changed, and forgets the routers that are no longer registered.
    fn publish_all(&mut self, now: Timestamp) {
        let began = Instant::now();
        let registered = self.admitted.load_full();
        for (_, mut removed) in self.routers.extract_if(.., |address, _| !registered.contains_key(address)) {
            removed.end(&End::Unregistered, now);
            self.replaced.extend(removed.withdraw(&self.origins));
        }
        // Without a free processor, to compile a large table may take a minute; that is no stall.
        self.pulse.end();
        for router in self.routers.values_mut() {
            self.replaced.extend(router.publish(&self.origins, now));
        }
        self.pulse.beat();
        self.replaced.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.show();
        self.due = Instant::now() + PUBLISHED_EVERY.max(began.elapsed() * PUBLISHING_PART);
    }

    fn show(&self) {
        let listening = self.listeners.iter().filter_map(|listener| listener.socket.local_addr().ok()).collect();
        let routers = self.routers.values().map(Router::shown).collect();
        self.shown.all(listening, routers, self.memory);
    }
}
