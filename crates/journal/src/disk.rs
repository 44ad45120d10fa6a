//! The trait for the journal's disk, small enough for a simulation to implement and to fail at every call. The real
//! implementation is a directory.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A flat set of named files.
pub trait Disk: Debug + Send + Sync {
    /// All files with their sizes in octets, in no particular order.
    ///
    /// # Errors
    /// If the disk fails.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// Opens a file for reading from its start.
    ///
    /// # Errors
    /// If it does not exist, or the disk fails.
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Creates an empty file. A power failure may remove it until the names are synced.
    ///
    /// # Errors
    /// If it exists already, or the disk fails.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Returns when the whole content of a file is durable, also what others have appended.
    ///
    /// # Errors
    /// If it does not exist, or the disk fails.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If it does not exist, or the disk fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in one step. A power failure may undo it until the names are synced.
    ///
    /// # Errors
    /// If it does not exist, or the disk fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Returns when the names of all files are durable.
    ///
    /// # Errors
    /// If the disk fails.
    fn sync_names(&self) -> io::Result<()>;
}

/// An append-only file.
pub trait File: Debug + Send + Sync {
    /// Appends the given octets or a first part of them, and returns how many.
    ///
    /// # Errors
    /// If the disk fails; then nothing was appended.
    fn append(&self, octets: &[u8]) -> io::Result<usize>;

    /// Returns when everything appended is durable.
    ///
    /// # Errors
    /// If the disk fails; then data appended since the last sync may or may not be durable.
    fn sync(&self) -> io::Result<()>;
}

/// Repeats a call while signals interrupt it.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Appends all of it; after an error, a first part may be there.
pub(crate) fn append_all(file: &dyn File, octets: &[u8]) -> io::Result<()> {
    let mut rest = octets;
    while !rest.is_empty() {
        match uninterrupted(|| file.append(rest))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => rest = rest.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// A directory of the file system, with files that only their owner can read.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens the directory and creates it if it does not exist.
    ///
    /// # Errors
    /// If it cannot be created.
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

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
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
