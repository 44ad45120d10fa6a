//! The files of a table, read again when one of them changes.
//!
//! There is no thread and no clock here: the caller asks, as often as it likes. Asking takes one system call for each file.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::contents::Contents;
use crate::error::{Error, Fault, Place};
use crate::limits::FILES;
use crate::table::Table;

/// The files that a table is made of, and what they were when they were last read.
///
/// ```no_run
/// # use std::sync::Arc;
/// let mut files = origin::Files::new(["/var/lib/netflow/GeoLite2-ASN.mmdb".into()])?;
/// let mut table = Arc::new(files.read().map_err(|_| "not usable")?);
/// // Every minute:
/// match files.read_if_changed() {
///     None => {}
///     Some(Ok(new)) => table = Arc::new(new),
///     Some(Err(errors)) => errors.iter().for_each(|error| eprintln!("{error}")),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Files {
    watched: Vec<Watched>,
}

/// A file, and what it was when it was last read.
#[derive(Clone, Debug)]
struct Watched {
    path: PathBuf,
    /// `None` if it did not exist, or has not been read.
    stamp: Option<Stamp>,
    /// What it was when it was last looked at.
    seen: Option<Stamp>,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, seen: None }
    }

    /// What it is.
    fn now(&self) -> Option<Stamp> {
        fs::metadata(&self.path).ok().as_ref().map(Stamp::of)
    }
}

/// What changes when a file does, or the permission to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Also changes when the file may be read at last (chmod), or when a program restores the time of modification.
    status_changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            status_changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Stamp {
    /// Seconds since the Unix epoch.
    pub(crate) fn modified(self) -> Option<u64> {
        u64::try_from(self.modified.0).ok()
    }
}

impl Files {
    /// These files, the most trusted first: see [`Table::new`]. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// If there are more than [`FILES`].
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, Error> {
        let watched: Vec<Watched> = paths.into_iter().map(Watched::new).collect();
        match watched.get(FILES) {
            Some(file) => Err(too_many(&file.path)),
            None => Ok(Self { watched }),
        }
    }

    /// Whether a file is no longer what it was when it was last read, with or without success. A file that cannot be found
    /// has changed if it was there.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.watched.iter().any(|file| file.now() != file.stamp)
    }

    /// Whether a file has [changed](Self::changed), and none has since the last call: half a text would be read as a whole
    /// one while it is written.
    #[must_use]
    pub fn changed_and_settled(&mut self) -> bool {
        let (mut has_changed, mut is_settled) = (false, true);
        for file in &mut self.watched {
            let now = file.now();
            has_changed |= now != file.stamp;
            is_settled &= now == file.seen;
            file.seen = now;
        }
        has_changed && is_settled
    }

    /// Reads all files.
    ///
    /// # Errors
    ///
    /// One for each file that cannot be used. There is no table of only some of the files: what was known of addresses
    /// would change with it. The caller keeps the table that it has.
    pub fn read(&mut self) -> Result<Table, Vec<Error>> {
        let (mut contents, mut errors) = (Vec::new(), Vec::new());
        for file in &mut self.watched {
            let (stamp, read) = Contents::read_with_stamp(&file.path);
            file.stamp = stamp;
            match read {
                Ok(read) => contents.push(read),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Table::new(contents).map_err(|error| vec![error]) } else { Err(errors) }
    }

    /// Reads all files if one has changed.
    pub fn read_if_changed(&mut self) -> Option<Result<Table, Vec<Error>>> {
        self.changed().then(|| self.read())
    }
}

pub(crate) fn too_many(path: &std::path::Path) -> Error {
    Fault::new(Place::Whole, format!("it is one more than the {FILES} files of a table"), "name fewer files").of(path)
}
