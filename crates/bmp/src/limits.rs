//! What is kept at most of a router, and for how long.

use std::time::Duration;

/// Limits of a session and of the routes of its router. What exceeds one ends the session, except that stale routes are
/// forgotten before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The octets of a message. One with an UPDATE has at most 65,589; mirrored messages can be longer.
    pub message: usize,
    /// Tables: Loc-RIB is one, and every peer has one before or after the policy, or both.
    pub tables: usize,
    /// Routes in all tables. One takes about 40 octets, and as many in the snapshot.
    pub routes: usize,
    /// Different AS paths.
    pub paths: usize,
    /// The octets in memory of all different AS paths.
    pub path_octets: usize,
    /// How long the routes of a session that ended are kept, and how long after the next one began, unless it completes
    /// its table earlier.
    pub stale: Duration,
    /// The instance of the router whose routes are kept: 0 is the global one, others are VRFs, by their distinguisher.
    pub distinguisher: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 1 << 20,
            tables: 1024,
            routes: 3_000_000,
            paths: 1_000_000,
            path_octets: 256 << 20,
            stale: Duration::from_secs(300),
            distinguisher: 0,
        }
    }
}
