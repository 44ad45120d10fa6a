//! A flush by its number: journal, spool and store name the same flush by it.

use std::fmt;

/// The number of a flush: the epoch and the sequence in the keys of its blocks. Numbers sort in the order of flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlushNumber {
    /// The start of the writer, counted from 1.
    pub epoch: u32,
    /// The flush within the epoch, counted from 1.
    pub sequence: u64,
}

impl FlushNumber {
    /// The next flush of the same epoch.
    #[must_use]
    pub const fn following(self) -> Self {
        Self { sequence: self.sequence + 1, ..self }
    }
}

/// For messages: `epoch 3, flush 7`.
impl fmt::Display for FlushNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, flush {}", self.epoch, self.sequence)
    }
}
