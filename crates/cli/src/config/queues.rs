//! The settings of what waits on disk: the spool, the log and the journal.

use journal::Sync;

/// The spool of flushes for a store on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spool {
    /// `maxBytes`: its size limit.
    pub(crate) max_bytes: usize,
}

/// The log: segments of the journal that its readers have not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// `maxBytes`: its size limit.
    pub(crate) max_bytes: usize,
}

/// The journal of datagrams that are not durable yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    /// `sync`: when it is synced to disk.
    pub(crate) sync: Sync,
    /// `maxBytes`: its size limit.
    pub(crate) max_bytes: usize,
}
