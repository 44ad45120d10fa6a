//! What a collector keeps on its own disk for a store on the network, so that it needs nothing else to start.

use storage::known_senders::KnownSenders;
use storage::spool::Spool;

/// What a collector keeps on its own disk for a store on the network.
#[derive(Debug)]
pub struct Local {
    /// Flushes that the store has not accepted yet.
    pub spool: Spool,
    /// What is known of the registrations of the store.
    pub senders: KnownSenders,
    /// Whether the store has the state of this writer, with the epoch of this start.
    pub is_reachable: bool,
}
