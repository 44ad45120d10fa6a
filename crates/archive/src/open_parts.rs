//! What the writer has taken and is in no complete file yet: groups of rows in files without a footer, and rows in memory.
//!
//! The writer publishes it after each flush. A question takes the whole of it at once, and the names of the complete files. If a
//! file gets its name meanwhile, it takes both again: so each row is either here or in a complete file. The writer never
//! waits for a question.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use accounting::period::Interval;
use flow::{FlushNumber, Timestamp, WriterId};
use parquet::file::metadata::RowGroupMetaDataPtr;

use crate::chunk::Chunk;
use crate::part_name::PartName;

/// The rows of a running [`Writer`](crate::Writer) that are in no complete file, for [`Scan::open`](crate::Scan::open).
#[derive(Clone, Debug, Default)]
pub struct OpenParts(Arc<Mutex<Arc<Published>>>);

/// How far the archive reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The collector.
    pub writer: WriterId,
    /// The last flush of it that is in the archive.
    pub flush: FlushNumber,
    /// When the newest datagram of it and the flushes before was received.
    pub received: Timestamp,
}

/// What is published.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub(crate) parts: BTreeMap<Interval, OpenPart>,
    pub(crate) reach: Option<Reach>,
    /// Grows when a file begins to get its name, and when it has it: it is odd meanwhile.
    pub(crate) namings: u64,
}

/// A file that is being written, as it was at a flush. Its rows are those of the groups and then those of the chunks.
#[derive(Clone, Debug)]
pub(crate) struct OpenPart {
    /// The name that it would get.
    pub(crate) name: PartName,
    pub(crate) file: Arc<File>,
    /// The octets of the groups.
    pub(crate) octets: u64,
    pub(crate) groups: Vec<RowGroupMetaDataPtr>,
    pub(crate) chunks: Vec<Chunk>,
}

impl OpenParts {
    /// What is published now.
    pub(crate) fn get(&self) -> Arc<Published> {
        Arc::clone(&self.lock())
    }

    /// Publishes a change of it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Published)) {
        // Not under the lock: a question must not wait for the memory that a change gives back.
        let mut changed = Published::clone(&self.get());
        change(&mut changed);
        let _before = std::mem::replace(&mut *self.lock(), Arc::new(changed));
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Published>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
