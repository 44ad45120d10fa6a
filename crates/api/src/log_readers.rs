//! What can be ordered of the readers of the log: the collector does it.

use std::io;

/// Where a reader of the log is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderPlace {
    /// It hands on again everything that the log still has.
    Oldest,
    /// It skips everything that is in the log.
    Newest,
}

/// How much of the log is handed on again, or skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Flushes.
    pub flushes: u64,
    /// Their segments.
    pub segments: u64,
    /// The octets of these.
    pub octets: u64,
}

/// Why a reader does not obey.
#[derive(Debug)]
pub enum ReaderOrderError {
    /// There is no reader with this name.
    Unknown,
    /// The order cannot be stored.
    Disk(io::Error),
}

/// Obeys orders to readers of the log. An order is durable when the call returns, which waits for a disk.
pub trait OrderReaders: Send + Sync {
    /// Pauses a reader, or lets it read on.
    ///
    /// # Errors
    /// If there is none with this name, or the order cannot be stored.
    fn pause(&self, reader: &str, is_paused: bool) -> Result<(), ReaderOrderError>;

    /// Sets a reader to another place of the log.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    fn reset(&self, reader: &str, to: ReaderPlace) -> Result<LogPart, ReaderOrderError>;
}
