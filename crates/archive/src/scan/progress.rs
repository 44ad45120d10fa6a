//! How far a question is: for those who wait for its answer.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much of the files a question has read. The threads that answer it count; any other one may look.
#[derive(Debug, Default)]
pub struct Progress {
    opened: AtomicU64,
    expected: AtomicU64,
}

impl Progress {
    /// How many files were opened, and how many are to be opened until there is an answer. A file counts as often as it is read. The
    /// latter grows when groups do not fit into memory, and may be more than are needed.
    #[must_use]
    pub fn files(&self) -> (u64, u64) {
        let expected = self.expected.load(Ordering::Relaxed);
        (self.opened.load(Ordering::Relaxed).min(expected), expected)
    }

    pub(super) fn expect(&self, files: u64) {
        self.expected.fetch_add(files, Ordering::Relaxed);
    }

    pub(super) fn open(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }
}
