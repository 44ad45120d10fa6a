//! How many datagrams the kernel dropped at a socket: told with datagrams, and asked for when none come.

use pipeline::Shard;
use udp::{DropCount, Socket};

/// What the kernel says that it has dropped at a socket: with datagrams, and when it is asked.
pub(crate) struct KernelDrops {
    count: DropCount,
    /// What was counted so far.
    counted: u32,
    /// How many that are since the start.
    since_start: u64,
    /// What was said when asked.
    answered: u32,
}

impl KernelDrops {
    pub(crate) fn of(socket: &Socket) -> Self {
        let before = socket.dropped_before();
        Self { count: DropCount::of(socket), counted: before, since_start: 0, answered: before }
    }

    /// Datagrams dropped since the start.
    pub(crate) const fn since_start(&self) -> u64 {
        self.since_start
    }

    /// Has a shard count what is new of what the kernel says.
    pub(crate) fn note(&mut self, now: u32, shard: &mut Shard) {
        let dropped = newly_dropped(now, &mut self.counted);
        self.since_start += dropped;
        shard.dropped(dropped);
    }

    /// Has a shard count what was not told of; says how many were dropped since this was last asked.
    pub(crate) fn ask(&mut self, shard: &mut Shard) -> u64 {
        match self.count.read() {
            Ok(Some(now)) => {
                self.note(now, shard);
                newly_dropped(now, &mut self.answered)
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
