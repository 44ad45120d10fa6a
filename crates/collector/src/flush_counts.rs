//! The counts of the flusher.

use std::time::{Duration, Instant};

use accounting::tally::Balance;
use flow::{Counters, Durations};

/// The counts of the flusher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushCounts {
    /// Flushes that are in the store.
    pub flushes: u64,
    /// Blocks that are in the store.
    pub blocks: u64,
    /// Repeated tries at the store.
    pub retries: u64,
    /// Names beyond a limit, which were added to `other`.
    pub folded: u64,
    /// Flushes in the spool that the store has not accepted yet: a gauge.
    pub waiting: u64,
    /// Octets of these flushes: a gauge.
    pub waiting_bytes: u64,
    /// Whether the spool has no room for the present flush.
    pub is_spool_full: bool,
    /// How long the last flush took to become durable.
    pub last_took: Duration,
    /// The times that all of them took.
    pub took: Durations,
    /// The times that the store took to accept or refuse each.
    pub puts: Durations,
    /// The start of the present failure: neither the store nor the spool on this machine's disk accepts a flush.
    pub failing_since: Option<Instant>,
    /// The sums of the tallies of all flushes.
    pub balance: Balance,
    /// The counters under `all` in the blocks made of them.
    pub in_blocks: Counters,
    /// Durable flushes, including those in the spool at the start.
    pub durable: u64,
    /// Flushes that the store accepted.
    pub taken: u64,
}
