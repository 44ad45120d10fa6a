//! The result of a cut: everything counted until one moment, on its way from the shards to the flusher.

use std::net::IpAddr;

use accounting::presence::Arrived;
use accounting::tally::Tally;
use flow::Timestamp;

/// Everything counted until one moment. It does not change any more.
pub struct Sealed {
    /// The counters of each shard.
    pub tallies: Vec<Tally>,
    /// The senders that have sent datagrams since the last flush, with the last receive time.
    pub heard: Vec<(IpAddr, Timestamp)>,
    /// What arrived from each sender since the last flush, by minute.
    pub arrived: Vec<Arrived>,
    /// The announcements of senders with new ones since the last flush; empty for those that are no longer registered.
    pub announced: Vec<(IpAddr, Vec<u8>)>,
}

impl Sealed {
    /// A result with tallies only.
    #[must_use]
    pub const fn new(tallies: Vec<Tally>) -> Self {
        Self { tallies, heard: Vec::new(), arrived: Vec::new(), announced: Vec::new() }
    }

    /// The exporters that are no longer registered: what they had announced, and what was queued of them, is gone.
    pub fn forgotten(&self) -> impl Iterator<Item = IpAddr> {
        self.announced.iter().filter(|(_, announced)| announced.is_empty()).map(|(exporter, _)| *exporter)
    }
}
