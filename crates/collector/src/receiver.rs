//! The threads that read sockets: each drives one shard and hands what it counted to the flusher.
//!
//! A shard seals its tally only when the flusher has given back an empty one. So a slow store costs no memory beyond
//! two tallies a shard, and the receiving thread never waits: it goes on counting into the tally that it has.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use accounting::tally::Tally;
use udp::{Batch, Socket, SocketSet};
use wire::Datagram;

use crate::shard::{Sealed, Shard};
use crate::status::{Counts, locked};

/// Datagrams a system call.
const BATCH: usize = 64;
/// How long a thread sleeps at most when nothing comes; bounds how late it seals and stops.
const NAP: Duration = Duration::from_millis(200);
/// How long a stopping thread goes on reading what already waits in its sockets.
const LAST_READ: Duration = Duration::from_secs(1);

/// One receiving thread.
pub(crate) struct ReceiverThread {
    pub(crate) number: usize,
    pub(crate) shard: Shard,
    pub(crate) sockets: SocketSet,
    pub(crate) flush_interval: Duration,
    pub(crate) published: Arc<Mutex<Counts>>,
    pub(crate) sealed: SyncSender<(usize, Sealed)>,
    pub(crate) empty: Receiver<Tally>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl ReceiverThread {
    /// Reads until it is told to stop, then what already waits, and seals the last tally.
    pub(crate) fn run(mut self) {
        let mut batch = Batch::new(BATCH);
        let mut drops: Vec<u32> = self.sockets.sockets().iter().map(Socket::dropped_before).collect();
        let mut sealed_at = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            self.read(&mut batch, &mut drops, NAP);
            if sealed_at.elapsed() >= self.flush_interval
                && let Ok(empty) = self.empty.try_recv()
            {
                sealed_at = Instant::now();
                self.seal(empty);
            }
        }
        let end = Instant::now() + LAST_READ;
        while self.read(&mut batch, &mut drops, Duration::ZERO) > 0 && Instant::now() < end {}
        // The flusher gives back the other tally even when it had to give up on it.
        if let Ok(empty) = self.empty.recv() {
            self.seal(empty);
        }
    }

    /// Waits for datagrams and takes one batch of each socket that has some; returns how many there were.
    fn read(&mut self, batch: &mut Batch, drops: &mut [u32], timeout: Duration) -> usize {
        let mut count = 0;
        let Self { shard, sockets, .. } = self;
        let result: io::Result<()> = sockets.wait(timeout).and_then(|ready| {
            for (index, socket) in ready {
                count += batch.receive(socket)?;
                for datagram in batch.iter() {
                    if let (Some(now), Some(before)) = (datagram.dropped, drops.get_mut(index)) {
                        shard.dropped(newly_dropped(now, before));
                    }
                    shard.take(&Datagram {
                        exporter: datagram.source.into(),
                        received: datagram.received,
                        payload: datagram.payload,
                    });
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            tracing::error!(%error, "cannot read a socket");
            std::thread::sleep(NAP);
        }
        *locked(&self.published) = *self.shard.counts();
        count
    }

    fn seal(&mut self, empty: Tally) {
        // Fails only when the flusher is gone, which ends the process.
        if self.sealed.send((self.number, self.shard.seal(empty))).is_err() {
            tracing::error!("the flusher is gone");
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
