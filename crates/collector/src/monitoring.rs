//! The routes of routers, which they send in BMP sessions. What their messages mean is the matter of the crate `bmp`.
//!
//! | file | what it does |
//! | --- | --- |
//! | `monitoring.rs` | settings, addresses, start, reload and stop |
//! | `sessions` | the thread: accepts and refuses sessions, reads them, keeps the limits, publishes snapshots |
//! | `router` | the routes of one router, its session, and how that ends |
//! | `shown` | what `/status` shows of all this |
//!
//! One thread reads all sessions, while no other thread needs a processor, and no counting thread ever waits for it: a snapshot that it
//! publishes is immutable, and it also frees the ones that are no longer used. A session for which it has no time waits in the
//! kernel, which makes the router wait.

mod router;
mod sessions;
mod shown;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pipeline::Admitted;

use self::sessions::{Listener, Order, Sessions};
pub(crate) use self::shown::{Shown, counters, gauges};
use crate::origins::Origins;
use crate::pulse::Pulse;
use crate::start::join;
use crate::start_error::StartError;
use crate::stop_error::StopError;
use crate::stream_sockets;

/// How long a stop waits for the thread.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The settings of BMP sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BmpSettings {
    /// The addresses to listen on; none is the default.
    pub listen: Vec<SocketAddr>,
    /// About how many octets of memory the routes of all routers may take. Those of one router may take half of it.
    pub memory: usize,
}

/// The BMP sessions of a collector.
pub(crate) struct Monitoring {
    admitted: Admitted,
    origins: Origins,
    shown: Shown,
    pulse: Pulse,
    /// The configured addresses that it listens on.
    listening: Vec<SocketAddr>,
    /// `None` until it listens for the first time: without it, nothing is spent on this.
    thread: Option<SessionsThread>,
}

/// A change that cannot fail any more.
#[derive(Debug, Default)]
pub(crate) struct PreparedListeners {
    opened: Vec<Listener>,
    thread: Option<SessionsThread>,
}

impl Monitoring {
    /// It listens nowhere yet. `admitted` has the routers whose sessions are accepted.
    pub(crate) fn new(admitted: Admitted, origins: Origins) -> Self {
        let pulse = Pulse::new("bmp");
        pulse.end();
        Self { admitted, origins, shown: Shown::default(), pulse, listening: Vec::new(), thread: None }
    }

    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    pub(crate) fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Binds the new addresses, and starts the thread if it is needed for the first time.
    ///
    /// # Errors
    /// If an address cannot be bound or the thread cannot be started.
    pub(crate) fn prepare(&self, wanted: &BmpSettings) -> Result<PreparedListeners, StartError> {
        let mut opened: Vec<Listener> = Vec::new();
        for &address in &wanted.listen {
            if self.listening.contains(&address) || opened.iter().any(|listener| listener.configured == address) {
                continue;
            }
            let socket = self.bind(address).map_err(|error| StartError::ListenBmp { address, error })?;
            opened.push(Listener { configured: address, socket });
        }
        let is_first = self.thread.is_none() && !opened.is_empty();
        let thread = is_first.then(|| self.start()).transpose().map_err(StartError::Thread)?;
        Ok(PreparedListeners { opened, thread })
    }

    fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let overlaps = |other: &SocketAddr| other.port() == address.port() && other.is_ipv4() == address.is_ipv4();
        stream_sockets::listen(address, self.listening.iter().any(overlaps))
    }

    fn start(&self) -> io::Result<SessionsThread> {
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let (orders, ordered) = channel();
        let Self { admitted, origins, shown, pulse, .. } = self;
        let sessions =
            Sessions::new(Arc::clone(admitted), origins.clone(), shown.clone(), pulse.clone(), ordered, woken);
        let (running, ended) = channel();
        let run = move || {
            sessions.run();
            drop(running);
        };
        let thread = thread::Builder::new().name("bmp".to_owned()).spawn(run)?;
        Ok(SessionsThread { orders, waker, ended, thread: Some(thread) })
    }

    /// Applies a prepared change.
    pub(crate) fn change(&mut self, wanted: &BmpSettings, prepared: PreparedListeners) {
        let PreparedListeners { opened, thread } = prepared;
        if self.thread.is_none() {
            self.thread = thread;
        }
        let Some(thread) = &self.thread else { return };
        thread.order(Order::Memory(wanted.memory));
        for address in self.listening.extract_if(.., |address| !wanted.listen.contains(address)) {
            tracing::info!("no longer accepting BMP sessions on {address}");
            thread.order(Order::Close(address));
        }
        for listener in opened {
            let bound = listener.socket.local_addr().unwrap_or(listener.configured);
            tracing::info!("accepting BMP sessions on {bound}");
            self.listening.push(listener.configured);
            thread.order(Order::Open(listener));
        }
    }

    /// Begins to end the thread.
    pub(crate) fn begin_stop(&self) {
        if let Some(thread) = &self.thread {
            thread.order(Order::Stop);
        }
    }

    /// Waits for the end of the thread, but not for long: it has nothing to store, and may wait for a processor.
    ///
    /// # Errors
    /// If it has died.
    pub(crate) fn stop(self) -> Result<(), StopError> {
        self.begin_stop();
        let Some(mut thread) = self.thread else { return Ok(()) };
        match (thread.ended.recv_timeout(LAST_WAIT), thread.thread.take()) {
            (Err(RecvTimeoutError::Disconnected), Some(thread)) => join(thread),
            _ => Ok(()),
        }
    }
}

/// The running thread. It ends when this is dropped.
#[derive(Debug)]
struct SessionsThread {
    orders: Sender<Order>,
    waker: UnixStream,
    /// Disconnected when it has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl SessionsThread {
    fn order(&self, order: Order) {
        // A thread that has died is reported by the stop. If the pipe is full, the thread will wake up anyway.
        let _ = self.orders.send(order);
        let _ = (&self.waker).write(&[0]);
    }
}

impl Drop for SessionsThread {
    fn drop(&mut self) {
        self.order(Order::Stop);
    }
}
