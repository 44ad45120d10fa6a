//! The thread that sends to a target. An error of the kernel never ends it: the datagram is dropped, and once a second the
//! socket is opened again, since the routes and addresses of this host may have changed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use udp::Forwarder;

use super::ForwardTarget;
use super::copies::Share;
use super::target::{Dropped, Target};
use crate::give_way::lower_priority;

/// The longest sleep of an idle thread. It is woken when something is queued.
const NAP: Duration = Duration::from_millis(200);
/// How long it waits for room in the send buffer before it looks whether it shall stop.
const WAIT: Duration = Duration::from_millis(100);
/// The least time between two attempts to open the socket.
const REOPEN: Duration = Duration::from_secs(1);
/// How long a stopping thread continues to send what is queued.
const LAST_SEND: Duration = Duration::from_secs(1);
/// After this time without a drop, datagrams are no longer dropped.
const QUIET: Duration = Duration::from_secs(60);

/// The thread of a target.
pub(super) struct SendingThread {
    target: Arc<Target>,
    queued: Receiver<Share>,
    socket: Forwarder,
    is_connected: bool,
    /// When it last tried to connect.
    tried: Option<Instant>,
    /// When a stop was noticed.
    stopping: Option<Instant>,
    /// How many datagrams had been dropped when it last looked.
    seen_drops: u64,
    /// The last drop, since drops were logged.
    dropping: Option<Instant>,
}

/// Whether a new socket may be needed, because routes or addresses have changed. It has another port, by which the target may
/// take it for another router.
const fn is_of_route(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        AddrNotAvailable, HostUnreachable, InvalidInput, NetworkDown, NetworkUnreachable, NotConnected,
    };
    matches!(kind, AddrNotAvailable | HostUnreachable | InvalidInput | NetworkDown | NetworkUnreachable | NotConnected)
}

impl SendingThread {
    pub(super) fn new(target: Arc<Target>, queued: Receiver<Share>, socket: Forwarder) -> Self {
        Self { target, queued, socket, is_connected: false, tried: None, stopping: None, seen_drops: 0, dropping: None }
    }

    /// Sends until the target is stopped, then what is queued.
    pub(super) fn run(mut self) {
        // Whatever does not find a processor in time is dropped; what the kernel drops meanwhile is not counted.
        lower_priority();
        loop {
            // Before the queue: what is queued before a stop is sent.
            let is_stopping = self.target.is_stopping();
            match self.queued.try_recv() {
                Ok(share) => {
                    self.send(&share);
                    self.target.release(share.octets(), share.datagrams);
                }
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) if is_stopping => return,
                Err(TryRecvError::Empty) => std::thread::park_timeout(NAP),
            }
            self.look();
        }
    }

    fn send(&mut self, share: &Share) {
        let datagrams = share.datagrams();
        let mut rest = datagrams.as_slice();
        let mut is_repeated = false;
        while !rest.is_empty() {
            if self.is_late() {
                return self.target.count_dropped(Dropped::QueueFull, rest.len() as u64);
            }
            if !self.is_connected && !self.reopen() {
                return self.target.count_dropped(Dropped::Failed, rest.len() as u64);
            }
            match self.socket.send(rest) {
                Ok(sent) => {
                    self.target.sent(sent);
                    rest = rest.get(sent..).unwrap_or_default();
                    is_repeated = false;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.socket.wait(WAIT),
                    io::ErrorKind::Interrupted => {}
                    // About an earlier datagram: the kernel has not tried this one.
                    io::ErrorKind::ConnectionRefused => self.target.refused(),
                    // So may others be.
                    _ if !is_repeated => is_repeated = true,
                    _ => {
                        self.target.count_dropped(Dropped::Failed, 1);
                        self.target.note(|noted| noted.last_error = Some(error.to_string()));
                        rest = rest.get(1..).unwrap_or_default();
                        is_repeated = false;
                        if is_of_route(error.kind()) {
                            self.reopen();
                        }
                    }
                },
            }
        }
    }

    /// Connects the socket, after the first time a new one, unless that was tried just now. Without a new one, the old one stays.
    fn reopen(&mut self) -> bool {
        if self.tried.is_some_and(|tried| tried.elapsed() < REOPEN) {
            return false;
        }
        let is_first = self.tried.replace(Instant::now()).is_none();
        let ForwardTarget { address, .. } = self.target.wanted;
        let open = || {
            let socket = Forwarder::open(address, self.target.wanted.keeps_source())?;
            socket.connect()?;
            Ok(socket)
        };
        let connected = if is_first { self.socket.connect() } else { open().map(|socket| self.socket = socket) };
        match connected {
            Ok(()) => self.is_connected = true,
            Err(error) => self.target.note(|noted| noted.last_error = Some(error.to_string())),
        }
        self.is_connected
    }

    /// Whether a stop has waited long enough.
    fn is_late(&mut self) -> bool {
        let is_stopping = self.target.is_stopping();
        is_stopping && self.stopping.get_or_insert_with(Instant::now).elapsed() >= LAST_SEND
    }

    /// Notes and logs that datagrams are dropped.
    fn look(&mut self) {
        let [full, failed, other] =
            [Dropped::QueueFull, Dropped::Failed, Dropped::OtherFamily].map(|why| self.target.dropped(why));
        let address = self.target.wanted.address;
        if full + failed + other > self.seen_drops {
            self.seen_drops = full + failed + other;
            let now = Instant::now();
            self.target.note(|noted| noted.dropped = Some(now));
            if self.dropping.replace(now).is_none() {
                tracing::warn!(
                    queue_full = full,
                    failed,
                    other_family = other,
                    "datagrams forwarded to {address} are dropped, counting is not affected"
                );
            }
        } else if self.dropping.is_some_and(|last| last.elapsed() >= QUIET) {
            self.dropping = None;
            tracing::info!(dropped = self.seen_drops, "datagrams forwarded to {address} are no longer dropped");
        }
    }
}
