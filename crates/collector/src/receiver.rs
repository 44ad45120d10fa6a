//! The threads that read sockets. Each drives one shard and writes the datagrams to the journal.
//!
//! A thread locks its shard while it counts a batch. The flusher locks all shards between two batches to seal them at one
//! moment (`journaled_shard::cut`). If the store is slow, it does so less often, and the threads continue to count into
//! their tallies. So no receiving thread waits for the store, and memory is bounded by two tallies a shard.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flow::Exporter;
use udp::{Batch, Socket, SocketSet};
use wire::Datagram;

use crate::forwarding::Forwarding;
use crate::journaled_shard::JournaledShard;
use crate::lock::{locked, locked_in_turn};
use crate::pulse::Pulse;
use crate::turn_mutex::TurnMutex;

/// Datagrams a system call.
const BATCH: usize = 64;
/// The longest sleep of an idle thread; bounds how late it stops.
const NAP: Duration = Duration::from_millis(200);
/// The longest time for which it lets datagrams gather at a low rate: the longer, the fewer wake-ups with cold caches.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// How often it reads the queue lengths of its sockets.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stopping thread continues to read queued datagrams.
const LAST_READ: Duration = Duration::from_secs(1);

/// A message to a receiving thread while it runs.
pub(crate) enum SocketChange {
    /// Read this socket too.
    Open(Socket),
    /// Read the datagrams queued in the sockets bound here, and close them.
    Close {
        address: SocketAddr,
        /// Dropped when the sockets are closed.
        _closing: Sender<()>,
    },
}

/// One receiving thread.
pub(crate) struct ReceiverThread {
    pub(crate) counting: Arc<TurnMutex<JournaledShard>>,
    pub(crate) sockets: SocketSet,
    pub(crate) forwarding: Forwarding,
    /// The socket statistics that it publishes.
    pub(crate) published: Arc<Mutex<Vec<view::Socket>>>,
    /// Its number, from 0.
    pub(crate) number: usize,
    pub(crate) stop: Arc<AtomicBool>,
    /// Sockets to open or close.
    pub(crate) changes: Receiver<SocketChange>,
    pub(crate) failing: Failing,
    pub(crate) pulse: Pulse,
    /// Dropped when the thread ends.
    pub(crate) _running: Sender<()>,
}

impl ReceiverThread {
    /// Reads until `stop` is set, then the datagrams queued so far.
    pub(crate) fn run(mut self) {
        let mut batch = Batch::new(BATCH);
        let mut looked = Instant::now();
        self.look();
        while !self.stop.load(Ordering::Relaxed) {
            self.pulse.beat();
            self.take_changes(&mut batch);
            locked_in_turn(&self.counting).release_decided(false);
            let read = self.read(&mut batch, NAP);
            if read == Read::Some {
                // Datagrams that arrive meanwhile are read at once: a wake-up costs more than counting a datagram.
                std::thread::sleep(self.pause());
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look();
            }
        }
        self.take_changes(&mut batch);
        let end = Instant::now() + LAST_READ;
        while self.read(&mut batch, Duration::ZERO) != Read::Nothing && Instant::now() < end {}
        locked_in_turn(&self.counting).release_decided(true);
        self.look();
        // The sockets are closed with this thread: this is the last chance to ask them.
        locked_in_turn(&self.counting).drops.remove_all();
        self.pulse.end();
    }

    fn take_changes(&mut self, batch: &mut Batch) {
        while let Ok(change) = self.changes.try_recv() {
            match change {
                SocketChange::Open(socket) => {
                    locked_in_turn(&self.counting).drops.add(&socket);
                    self.sockets.add(socket);
                }
                SocketChange::Close { address, _closing } => self.close(address, batch),
            }
        }
    }

    fn close(&mut self, address: SocketAddr, batch: &mut Batch) {
        while let Some(index) = self.sockets.sockets().iter().position(|socket| socket.address() == address) {
            let end = Instant::now() + LAST_READ;
            while let Some(socket) = self.sockets.sockets().get(index)
                && matches!(take_batch(&self.counting, index, socket, batch, &mut self.forwarding), Ok(1..))
                && Instant::now() < end
            {}
            locked_in_turn(&self.counting).drops.remove(index);
            self.sockets.remove(index);
        }
    }

    /// Waits for datagrams and takes one batch from each readable socket. A socket that cannot be read does not block
    /// the others, and is logged once.
    fn read(&mut self, batch: &mut Batch, timeout: Duration) -> Read {
        let Self { counting, sockets, failing, forwarding, .. } = self;
        let ready = sockets.wait(timeout);
        let cannot_wait = failing.note(None, ready.as_ref().err());
        let ready = ready.into_iter().flatten();
        let taken =
            ready.map(|(index, socket)| (socket.address(), take_batch(counting, index, socket, batch, forwarding)));
        let (read, has_failed) = failing.note_all(taken);
        if (cannot_wait || has_failed) && read == Read::Nothing {
            std::thread::sleep(NAP);
        }
        read
    }

    /// How long datagrams may gather in all its sockets.
    fn pause(&self) -> Duration {
        self.sockets.sockets().iter().map(|socket| pause(socket.receive_buffer())).min().unwrap_or_default()
    }

    /// Publishes the state of the sockets, and counts drops that no datagram has reported since.
    fn look(&self) {
        let mut counting = locked_in_turn(&self.counting);
        let mut sockets = Vec::with_capacity(self.sockets.sockets().len());
        for (index, socket) in self.sockets.sockets().iter().enumerate() {
            match socket.queue() {
                Ok(queue) => {
                    counting.drops.note(index, queue.dropped);
                    sockets.push(view::Socket {
                        address: socket.address(),
                        thread: self.number,
                        waiting_bytes: queue.octets.into(),
                        waiting_limit: queue.limit.into(),
                        dropped: counting.drops.counted_at(index),
                    });
                }
                Err(error) => tracing::debug!(%error, address = %socket.address(), "cannot look at a socket"),
            }
        }
        counting.publish();
        drop(counting);
        *locked(&self.published) = sockets;
    }
}

/// The last failures: sockets by address, `None` for polling all of them.
#[derive(Debug, Default)]
pub(crate) struct Failing(BTreeSet<Option<SocketAddr>>);

impl Failing {
    /// Records the result of reading each socket. Returns the totals, and whether one failed.
    fn note_all(&mut self, taken: impl Iterator<Item = (SocketAddr, io::Result<usize>)>) -> (Read, bool) {
        let (mut read, mut has_failed) = (Read::Nothing, false);
        for (address, taken) in taken {
            has_failed |= self.note(Some(address), taken.as_ref().err());
            read = read.max(match taken.unwrap_or(0) {
                0 => Read::Nothing,
                BATCH.. => Read::Full,
                _ => Read::Some,
            });
        }
        (read, has_failed)
    }

    /// Records the result of a read; logs the first of consecutive failures, and their end. Returns whether it failed.
    fn note(&mut self, address: Option<SocketAddr>, error: Option<&io::Error>) -> bool {
        let at = || address.map_or_else(|| "all sockets".to_owned(), |address| address.to_string());
        match error {
            Some(error) => {
                if self.0.insert(address) {
                    tracing::error!(%error, socket = at(), "cannot read a socket, retrying");
                }
            }
            None if self.0.is_empty() => {}
            None => {
                if self.0.remove(&address) {
                    tracing::info!(socket = at(), "socket is read again");
                }
            }
        }
        error.is_some()
    }
}

/// The result of one round over all sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    Nothing,
    Some,
    /// A whole batch: there are probably more.
    Full,
}

/// For how long datagrams may gather in a receive buffer of this many octets, for which the kernel uses twice as many. It
/// would take 1.6 GB/s of those to fill it meanwhile: some 700,000 datagrams of 1500 octets a second, three times
/// what a thread counts. So two thirds of the buffer are for a burst that begins when the pause ends.
fn pause(receive_buffer: usize) -> Duration {
    Duration::from_micros(2 * receive_buffer as u64 / 1600).min(LONGEST_PAUSE)
}

/// Takes one batch of the socket at this position; returns how many datagrams it has. They are counted before they are
/// forwarded, and while they are forwarded, others may lock the shard.
fn take_batch(
    counting: &TurnMutex<JournaledShard>,
    index: usize,
    socket: &Socket,
    batch: &mut Batch,
    forwarding: &mut Forwarding,
) -> io::Result<usize> {
    let received = batch.receive(socket)?;
    count(&mut locked_in_turn(counting), index, socket.address(), received, batch);
    forwarding.take(batch);
    Ok(received)
}

fn count(counting: &mut JournaledShard, index: usize, address: SocketAddr, received: usize, batch: &Batch) {
    counting.read += received as u64;
    counting.drops.note_batch(index, batch);
    for it in batch.iter() {
        let datagram = Datagram {
            exporter: Exporter::udp(it.source.ip(), it.source.port()),
            received: it.received,
            payload: it.payload,
        };
        counting.take(&datagram, address);
    }
    counting.commit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_one_socket_does_not_block_the_others_and_is_logged_once() {
        let [broken, whole] = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse::<SocketAddr>().unwrap());
        let mut failing = Failing::default();
        for expected in [BTreeSet::from([Some(broken)]), BTreeSet::from([Some(broken)])] {
            let taken = [(broken, Err(io::ErrorKind::Other.into())), (whole, Ok(3))];
            assert_eq!(failing.note_all(taken.into_iter()), (Read::Some, true));
            assert_eq!(failing.0, expected);
        }
        assert_eq!(failing.note_all([(broken, Ok(BATCH)), (whole, Ok(0))].into_iter()), (Read::Full, false));
        assert_eq!(failing.0, BTreeSet::new());
    }

    #[test]
    fn datagrams_gather_only_as_long_as_the_buffer_has_room() {
        assert_eq!(pause(212_992), Duration::from_micros(266));
        assert_eq!(pause(32 << 20), LONGEST_PAUSE);
    }
}
