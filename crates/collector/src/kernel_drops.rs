//! How many datagrams the kernel dropped at the sockets of a thread. It reports the number with datagrams; when none
//! arrive, it is asked.

use pipeline::Shard;
use udp::{Batch, DropCount, Socket};

/// The drops at all sockets of one thread.
#[derive(Default)]
pub(crate) struct ThreadDrops {
    /// By the position of the socket in the thread's set.
    sockets: Vec<KernelDrops>,
    /// Drops at sockets that were closed since the last [`ask`](Self::ask).
    at_closed: u64,
}

/// The drops at one socket.
struct KernelDrops {
    count: DropCount,
    /// The kernel's number up to which drops are counted.
    counted: u32,
    /// Drops since the start.
    since_start: u64,
    /// The kernel's last answer.
    answered: u32,
}

impl ThreadDrops {
    /// Adds a socket, after the others in the thread's set.
    pub(crate) fn add(&mut self, socket: &Socket) {
        self.sockets.push(KernelDrops::of(socket));
    }

    /// Datagrams dropped at a socket since the start.
    pub(crate) fn since_start(&self, index: usize) -> u64 {
        self.sockets.get(index).map_or(0, |drops| drops.since_start)
    }

    /// Has the shard count the drops that the kernel reports with the datagrams of a batch.
    pub(crate) fn note_batch(&mut self, index: usize, batch: &Batch, shard: &mut Shard) {
        batch.iter().filter_map(|datagram| datagram.dropped).for_each(|dropped| self.note(index, dropped, shard));
    }

    /// Has the shard count the drops at a socket up to the kernel's number.
    pub(crate) fn note(&mut self, index: usize, now: u32, shard: &mut Shard) {
        if let Some(drops) = self.sockets.get_mut(index) {
            drops.note(now, shard);
        }
    }

    /// Has the shard count the drops that the kernel has not reported, because nothing has arrived since. Returns the
    /// drops since this was last called.
    pub(crate) fn ask(&mut self, shard: &mut Shard) -> u64 {
        let closed = std::mem::take(&mut self.at_closed);
        closed + self.sockets.iter_mut().map(|drops| drops.ask(shard)).sum::<u64>()
    }

    /// Asks for the last time at a socket that is closed; those after it move up.
    pub(crate) fn remove(&mut self, index: usize, shard: &mut Shard) {
        self.at_closed += self.sockets.remove(index).ask(shard);
    }

    /// The same at all sockets.
    pub(crate) fn remove_all(&mut self, shard: &mut Shard) {
        self.at_closed += self.sockets.drain(..).map(|mut drops| drops.ask(shard)).sum::<u64>();
    }
}

impl KernelDrops {
    fn of(socket: &Socket) -> Self {
        let before = socket.dropped_before();
        Self { count: DropCount::of(socket), counted: before, since_start: 0, answered: before }
    }

    fn note(&mut self, now: u32, shard: &mut Shard) {
        let dropped = newly_dropped(now, &mut self.counted);
        self.since_start += dropped;
        shard.dropped(dropped);
    }

    fn ask(&mut self, shard: &mut Shard) -> u64 {
        match self.count.read() {
            Ok(Some(now)) => {
                self.note(now, shard);
                newly_dropped(now, &mut self.answered)
            }
            Ok(None) => 0,
            Err(error) => {
                tracing::debug!(%error, "cannot read how many datagrams the kernel has dropped");
                0
            }
        }
    }
}

/// How many datagrams the kernel has dropped since the last number. A datagram that was queued in a passed socket may have
/// a smaller number than was known at the start: it arrived before.
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
