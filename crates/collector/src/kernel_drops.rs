//! How many datagrams the kernel dropped at the sockets of a thread. It reports the number with datagrams; when none
//! arrive, it is asked.

use udp::{Batch, DropCount, Socket};

/// The drops at all sockets of one thread, also those that were closed, since the start.
#[derive(Default)]
pub(crate) struct ThreadDrops {
    /// By the position of the socket in the thread's set.
    sockets: Vec<SocketDrops>,
    counted: u64,
    reported: u64,
}

/// The drops at one socket.
struct SocketDrops {
    count: DropCount,
    /// The kernel's number up to which drops are counted.
    noted: u32,
    /// The kernel's last answer.
    answered: u32,
    /// Drops since the start.
    counted: u64,
}

impl ThreadDrops {
    /// Adds a socket, after the others in the thread's set.
    pub(crate) fn add(&mut self, socket: &Socket) {
        let before = socket.dropped_before();
        let count = DropCount::of(socket);
        self.sockets.push(SocketDrops { count, noted: before, answered: before, counted: 0 });
    }

    /// Datagrams dropped, as far as batches and answers of the kernel have shown.
    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    /// Datagrams dropped according to the kernel's answers alone.
    pub(crate) fn reported(&self) -> u64 {
        self.reported
    }

    /// Datagrams dropped at one socket.
    pub(crate) fn counted_at(&self, index: usize) -> u64 {
        self.sockets.get(index).map_or(0, |drops| drops.counted)
    }

    /// Counts the drops that the kernel reports with the datagrams of a batch.
    pub(crate) fn note_batch(&mut self, index: usize, batch: &Batch) {
        batch.iter().filter_map(|datagram| datagram.dropped).for_each(|dropped| self.note(index, dropped));
    }

    /// Counts the drops at a socket up to the kernel's number.
    pub(crate) fn note(&mut self, index: usize, now: u32) {
        if let Some(drops) = self.sockets.get_mut(index) {
            self.counted += drops.note(now);
        }
    }

    /// Counts the drops that the kernel has not reported, because nothing has arrived since.
    pub(crate) fn ask(&mut self) {
        for drops in &mut self.sockets {
            drops.ask(&mut self.counted, &mut self.reported);
        }
    }

    /// Asks for the last time at a socket that is closed; those after it move up.
    pub(crate) fn remove(&mut self, index: usize) {
        self.sockets.remove(index).ask(&mut self.counted, &mut self.reported);
    }

    /// The same at all sockets.
    pub(crate) fn remove_all(&mut self) {
        self.ask();
        self.sockets.clear();
    }
}

impl SocketDrops {
    fn note(&mut self, now: u32) -> u64 {
        let dropped = newly_dropped(now, &mut self.noted);
        self.counted += dropped;
        dropped
    }

    fn ask(&mut self, counted: &mut u64, reported: &mut u64) {
        match self.count.read() {
            Ok(Some(now)) => {
                *counted += self.note(now);
                *reported += newly_dropped(now, &mut self.answered);
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot read how many datagrams the kernel has dropped"),
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
