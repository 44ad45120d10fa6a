//! Pauses of long reads, in which others have their turn: the kernel leaves a processor to a thread for some milliseconds
//! while others wait, unless it gives way. Between two rows a read holds no lock that a write or another read needs.

use std::thread::yield_now;
use std::time::{Duration, Instant};

/// The longest time between two pauses of a read.
const TURN: Duration = Duration::from_micros(200);

/// The pauses of one read.
#[derive(Debug)]
pub(super) struct Pauses {
    since: Instant,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { since: Instant::now() }
    }
}

impl Pauses {
    /// Gives way to other threads if the last pause was long ago.
    pub(super) fn between_rows(&mut self) {
        if self.since.elapsed() >= TURN {
            yield_now();
            self.since = Instant::now();
        }
    }
}
