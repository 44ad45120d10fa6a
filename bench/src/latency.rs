//! Latencies of a client that repeats its requests, and what it was answered.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// The requests that are sent however long they take: all that a client asks in turn.
const LEAST: usize = 3;

/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// What a client measured.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    times: Vec<Duration>,
    /// All different answers.
    pub(crate) answers: BTreeSet<String>,
    /// Requests that were not answered with 200.
    pub(crate) failed: usize,
}

impl Latencies {
    /// Repeats requests for this long, and until each of a turn was sent.
    pub(crate) fn measure(duration: Duration, mut request: impl FnMut(usize) -> anyhow::Result<String>) -> Self {
        let mut measured = Self::default();
        let end = Instant::now() + duration;
        while Instant::now() < end || measured.times.len() < LEAST {
            let begun = Instant::now();
            match request(measured.times.len()) {
                Ok(answer) => drop(measured.answers.insert(answer)),
                Err(error) => {
                    eprintln!("{error:#}");
                    measured.failed += 1;
                }
            }
            measured.times.push(begun.elapsed());
            thread::sleep(PAUSE);
        }
        measured.times.sort_unstable();
        measured
    }

    /// The number of requests.
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// The time within which this percentage of the requests was answered. Milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}
