//! What the journal asks of a disk: little enough that a simulation can do it too, and fail at any of it. The real one is
//! a directory.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A flat set of files with names.
pub trait Disk: Debug + Send + Sync {
    /// All files, with their octets, in no particular order.
    ///
    /// # Errors
    /// When the disk refuses.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// A file from its start.
    ///
    /// # Errors
    /// When there is none, or the disk refuses.
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// A new, empty file. It may be gone after a loss of power until the names are synced.
    ///
    /// # Errors
    /// When there is one already, or the disk refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Comes back when everything that a file has is durable, whoever appended it.
    ///
    /// # Errors
    /// When there is none, or the disk refuses.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When there is none, or the disk refuses.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Comes back when the names of all files are durable.
    ///
    /// # Errors
    /// When the disk refuses.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that only grows.
pub trait File: Debug + Send + Sync {
    /// Appends octets from the start of those given, and says how many.
    ///
    /// # Errors
    /// When the disk refuses: nothing was appended.
    fn append(&self, octets: &[u8]) -> io::Result<usize>;

    /// Comes back when everything that was appended is durable.
    ///
    /// # Errors
    /// When the disk refuses: what was appended since the last sync may or may not be.
    fn sync(&self) -> io::Result<()>;
}

/// Makes a call again as long as a signal interrupts it.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A directory of the file system. Only its owner can read what is in it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        fs::read_dir(&self.path)?
            .map(|entry| entry.and_then(|it| Ok((it.file_name().to_string_lossy().into_owned(), it.metadata()?.len()))))
            .collect()
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs::File::open(self.path.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let options = OpenOptions::new().append(true).create_new(true).mode(0o600).clone();
        Ok(Box::new(options.open(self.path.join(name))?))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        fs::File::open(self.path.join(name))?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

impl File for fs::File {
    fn append(&self, octets: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(octets)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
