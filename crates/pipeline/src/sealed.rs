//! What was counted until one moment, on its way from the shards to the flusher.

use std::net::IpAddr;

use accounting::tally::Tally;
use flow::Timestamp;

/// What was counted until one moment, and will not change any more, on its way to the store.
pub struct Sealed {
    /// The counters of each shard.
    pub tallies: Vec<Tally>,
    /// The senders that were heard since the last flush, and when last.
    pub heard: Vec<(IpAddr, Timestamp)>,
    /// What senders have announced, of those that announced anything new since the last flush.
    pub announced: Vec<(IpAddr, Vec<u8>)>,
}

impl Sealed {
    /// Tallies alone.
    #[must_use]
    pub const fn new(tallies: Vec<Tally>) -> Self {
        Self { tallies, heard: Vec::new(), announced: Vec::new() }
    }
}
