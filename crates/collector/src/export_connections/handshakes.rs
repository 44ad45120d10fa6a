//! How many export connections may begin TLS: a handshake takes about a millisecond of a processor, so a flood of them would take it
//! from counting. Beyond these bounds, connections wait in the kernel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A handshake must be complete this long after the connection was accepted.
pub(super) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// The handshakes at a time.
const MOST: usize = 128;

/// The handshakes that begin in [`BEGUN_TIME`].
const BEGUN: u32 = 20;
const BEGUN_TIME: Duration = Duration::from_millis(200);

/// The bounds.
#[derive(Debug)]
pub(super) struct Handshakes {
    open: Arc<AtomicUsize>,
    begun: u32,
    since: Instant,
}

/// A handshake, until this is dropped.
#[derive(Debug)]
pub(super) struct Handshake(Arc<AtomicUsize>);

impl Handshakes {
    pub(super) fn new(now: Instant) -> Self {
        Self { open: Arc::default(), begun: 0, since: now }
    }

    /// Whether another one may begin.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= BEGUN_TIME {
            (self.since, self.begun) = (now, 0);
        }
        self.begun < BEGUN && self.open.load(Ordering::Relaxed) < MOST
    }

    /// Begins one.
    pub(super) fn begin(&mut self) -> Handshake {
        self.begun += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Handshake(Arc::clone(&self.open))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_in_a_time_and_in_all() {
        let mut now = Instant::now();
        let mut handshakes = Handshakes::new(now);
        let mut open = Vec::new();
        while open.len() < MOST {
            for _ in 0..BEGUN.min(u32::try_from(MOST - open.len()).unwrap()) {
                assert!(handshakes.has_room(now));
                open.push(handshakes.begin());
            }
            assert!(!handshakes.has_room(now), "{} are open", open.len());
            now += BEGUN_TIME;
        }
        assert!(!handshakes.has_room(now));
        open.pop();
        assert!(handshakes.has_room(now));
    }
}
