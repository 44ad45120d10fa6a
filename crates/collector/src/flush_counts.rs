//! What the flusher has done, as numbers.

use std::time::{Duration, Instant};

use accounting::tally::Balance;
use flow::{Counters, Durations};

/// What the flusher has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushCounts {
    /// Flushes that are in the store.
    pub flushes: u64,
    /// Blocks that are in the store.
    pub blocks: u64,
    /// Times that the store had to be asked again.
    pub retries: u64,
    /// Names that did not fit the limit and were added to `other`.
    pub folded: u64,
    /// Flushes that wait in the spool just now.
    pub waiting: u64,
    /// Octets that wait in the spool just now.
    pub waiting_bytes: u64,
    /// How long the last flush took to become durable.
    pub last_took: Duration,
    /// How long each took.
    pub took: Durations,
    /// How long the store took to take each, or to fail to.
    pub puts: Durations,
    /// Since when a flush is tried again and again: neither the store nor the spool on this machine's disk takes it.
    pub failing_since: Option<Instant>,
    /// What the tallies of all flushes added up to.
    pub balance: Balance,
    /// What is under `all` in the blocks that were made of them.
    pub in_blocks: Counters,
    /// Flushes that are durable, those included that waited in the spool at the start.
    pub durable: u64,
    /// Flushes that the store took.
    pub taken: u64,
}
