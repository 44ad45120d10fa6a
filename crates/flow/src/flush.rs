//! A flush by its writer and number: journal, spool and store name the same flush by them.

use std::fmt;

/// A collector's lasting identity. Blocks of different writers add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId(pub u64);

/// 16 hexadecimal digits.
impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number of a flush: the epoch and the sequence in the keys of its blocks. Numbers sort in the order of flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlushNumber {
    /// The run of the writer. Later runs have greater numbers.
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

/// Which flushes of one run of a writer are counted: all up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The writer.
    pub writer: WriterId,
    /// The run, and its newest counted flush.
    pub newest: FlushNumber,
}

impl Counted {
    /// The writer of segments that older programs wrote, which did not name it. Its runs count as one.
    pub const UNNAMED: WriterId = WriterId(0);

    /// Whether both are of one run.
    #[must_use]
    pub fn is_same_run(&self, other: &Self) -> bool {
        let is_same_epoch = self.newest.epoch == other.newest.epoch || self.writer == Self::UNNAMED;
        self.writer == other.writer && is_same_epoch
    }

    /// Whether this includes all that the other one does.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.is_same_run(other) && other.newest <= self.newest
    }

    /// Adds it to a list with one of each run.
    pub fn add_to(self, list: &mut Vec<Self>) {
        match list.iter_mut().find(|counted| counted.is_same_run(&self)) {
            Some(counted) => counted.newest = counted.newest.max(self.newest),
            None => list.push(self),
        }
    }
}
