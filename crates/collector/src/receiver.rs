//! The threads that read sockets: each drives one shard, and writes down in the journal what it was given.
//!
//! A thread holds its shard while it counts a batch. The flusher takes all shards at once, between two batches, to seal
//! them at one moment (`journalled::cut`); when the store is slow it does so less often, and the receiving threads go on
//! counting into the tallies that they have. So a slow store costs no memory beyond two tallies a shard, and nobody waits for it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use udp::{Batch, DropCount, Socket, SocketSet};
use wire::Datagram;

use crate::journalled::Journalled;
use crate::shard::Shard;
use crate::status::locked;

/// Datagrams a system call.
const BATCH: usize = 64;
/// How long a thread sleeps at most when nothing comes; bounds how late it stops.
const NAP: Duration = Duration::from_millis(200);
/// How long a stopping thread goes on reading what already waits in its sockets.
const LAST_READ: Duration = Duration::from_secs(1);

/// What the kernel says that it has dropped at a socket: with datagrams, and when it is asked.
pub(crate) struct KernelDrops {
    count: DropCount,
    /// What was counted so far.
    counted: u32,
    /// What was said when asked.
    answered: u32,
}

/// What a receiving thread is told while it runs.
pub(crate) enum SocketChange {
    /// Read this one too.
    Open(Socket),
    /// Read what waits in those that are bound here, and close them.
    Close {
        address: SocketAddr,
        /// Goes when it is done.
        _closing: Sender<()>,
    },
}

/// One receiving thread.
pub(crate) struct ReceiverThread {
    pub(crate) counting: Arc<Mutex<Journalled>>,
    pub(crate) sockets: SocketSet,
    pub(crate) stop: Arc<AtomicBool>,
    /// Sockets to read, or to read no longer.
    pub(crate) changes: Receiver<SocketChange>,
    /// Goes when the thread ends.
    pub(crate) _running: Sender<()>,
}

impl ReceiverThread {
    /// Reads until it is told to stop, then what already waits.
    pub(crate) fn run(mut self) {
        let mut batch = Batch::new(BATCH);
        while !self.stop.load(Ordering::Relaxed) {
            self.take_changes(&mut batch);
            self.read(&mut batch, NAP);
        }
        self.take_changes(&mut batch);
        let end = Instant::now() + LAST_READ;
        while self.read(&mut batch, Duration::ZERO) > 0 && Instant::now() < end {}
    }

    fn take_changes(&mut self, batch: &mut Batch) {
        while let Ok(change) = self.changes.try_recv() {
            match change {
                SocketChange::Open(socket) => {
                    locked(&self.counting).drops.push(KernelDrops::of(&socket));
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
                && matches!(take_batch(&self.counting, index, socket, batch), Ok(1..))
                && Instant::now() < end
            {}
            let mut counting = locked(&self.counting);
            counting.forget_drops(index);
            self.sockets.remove(index);
        }
    }

    /// Waits for datagrams and takes one batch of each socket that has some; returns how many there were.
    fn read(&mut self, batch: &mut Batch, timeout: Duration) -> usize {
        let mut count = 0;
        let Self { counting, sockets, .. } = self;
        let result: io::Result<()> = sockets.wait(timeout).and_then(|ready| {
            for (index, socket) in ready {
                count += take_batch(counting, index, socket, batch)?;
            }
            Ok(())
        });
        if let Err(error) = result {
            tracing::error!(%error, "cannot read a socket");
            std::thread::sleep(NAP);
        }
        count
    }
}

/// Takes one batch of the socket at this position; returns how many datagrams it has.
fn take_batch(counting: &Mutex<Journalled>, index: usize, socket: &Socket, batch: &mut Batch) -> io::Result<usize> {
    let received = batch.receive(socket)?;
    let mut counting = locked(counting);
    counting.read += received as u64;
    counting.note_drops(index, batch);
    for it in batch.iter() {
        let datagram = Datagram { exporter: it.source.into(), received: it.received, payload: it.payload };
        counting.take(&datagram, socket.address());
    }
    counting.commit();
    Ok(received)
}

impl Journalled {
    /// Counts the drops that the kernel tells of with the datagrams of a batch.
    fn note_drops(&mut self, index: usize, batch: &Batch) {
        if let Some(KernelDrops { counted, .. }) = self.drops.get_mut(index) {
            let told = batch.iter().filter_map(|datagram| datagram.dropped);
            self.shard.dropped(told.map(|now| newly_dropped(now, counted)).sum());
        }
    }

    /// Counts the drops that were not told of, because nothing has come since; says how many were dropped since it was last
    /// asked.
    pub(crate) fn ask_for_drops(&mut self) -> u64 {
        let closed = std::mem::take(&mut self.dropped_at_closed);
        closed + self.drops.iter_mut().map(|drops| drops.ask(&mut self.shard)).sum::<u64>()
    }

    /// Asks for the last time at a socket that is closed; those behind it move up.
    fn forget_drops(&mut self, index: usize) {
        self.dropped_at_closed += self.drops.remove(index).ask(&mut self.shard);
    }
}

impl KernelDrops {
    pub(crate) fn of(socket: &Socket) -> Self {
        let before = socket.dropped_before();
        Self { count: DropCount::of(socket), counted: before, answered: before }
    }

    /// Has a shard count what was not told of; says how many were dropped since this was last asked.
    fn ask(&mut self, shard: &mut Shard) -> u64 {
        let Self { count, counted, answered } = self;
        match count.read() {
            Ok(Some(now)) => {
                shard.dropped(newly_dropped(now, counted));
                newly_dropped(now, answered)
            }
            Ok(None) => 0,
            Err(error) => {
                tracing::debug!(%error, "the kernel does not say how many datagrams it has dropped");
                0
            }
        }
    }
}

/// How many datagrams the kernel has dropped since it last said how many. What waited in a socket that was passed may say
/// less than was known at the start: it came before.
fn newly_dropped(now: u32, before: &mut u32) -> u64 {
    match now.wrapping_sub(*before) {
        more if more <= i32::MAX as u32 => {
            *before = now;
            u64::from(more)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_before_the_start_are_not_counted_and_the_kernels_count_may_wrap() {
        let mut before = 100;
        let dropped = [90, 100, 103, 103, 110].map(|now| newly_dropped(now, &mut before));
        assert_eq!(dropped, [0, 0, 3, 0, 7]);
        let mut before = u32::MAX - 1;
        assert_eq!([u32::MAX, 4].map(|now| newly_dropped(now, &mut before)), [1, 5]);
    }
}
