//! What is in the folder of the archive, and who may change it.
//!
//! A file that was joined from others lists them in its footer. From the moment when it has its name until the others are
//! removed, their rows are there twice: those files are superseded and not read. Questions keep the folder as it is
//! while they read (`keep`); who removes files because they were joined waits for them (`change`). That is a lock of the
//! operating system, which ends with the process. What retention deletes is not delayed by it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use accounting::period::Interval;
use rustix::fs::{FlockOperation, flock};

use crate::inspection;
use crate::part_name::{PartName, SUFFIX, UNFINISHED, folder_of};

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its path states.
    pub name: PartName,
    /// Its length.
    pub octets: u64,
}

/// What is in the folders of hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The files of the archive, the oldest hour first.
    pub parts: Vec<Part>,
    /// Files whose rows are also in one of these, which was joined from them.
    pub superseded: Vec<Part>,
    /// Files that are being written, or were when a program ended.
    pub unfinished: Vec<PathBuf>,
    /// Files that are not of the archive, although other programs may take them for it: their names end in `.parquet`.
    pub foreign: Vec<PathBuf>,
}

/// All files of the archive.
///
/// # Errors
/// When a folder cannot be read. No folder at all is an empty archive.
pub fn contents(folder: &Path) -> io::Result<Contents> {
    let mut contents = Contents::default();
    for path in files(folder)? {
        let has_suffix = |suffix: &str| path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes());
        let Some(name) = PartName::of(&path) else {
            if has_suffix(UNFINISHED) {
                contents.unfinished.push(path);
            } else if has_suffix(SUFFIX) {
                contents.foreign.push(path);
            }
            continue;
        };
        match fs::metadata(&path) {
            Ok(metadata) => contents.parts.push(Part { name, octets: metadata.len() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    contents.parts.sort_unstable_by_key(|part| part.name);
    contents.unfinished.sort_unstable();
    contents.foreign.sort_unstable();
    contents.divide(folder);
    Ok(contents)
}

/// The files of the archive, the oldest hour first. Other files are no parts of it.
///
/// # Errors
/// As [`contents`].
pub fn parts(folder: &Path) -> io::Result<Vec<Part>> {
    Ok(contents(folder)?.parts)
}

impl Contents {
    /// Moves what is superseded.
    fn divide(&mut self, folder: &Path) {
        let hours = self.parts.chunk_by(|one, next| one.name.is_of_same_hour(&next.name));
        let hours = hours.filter(|parts| parts.len() > 1);
        let superseded: Vec<PartName> = hours.flat_map(|parts| superseded(folder, parts)).collect();
        self.superseded = self.parts.extract_if(.., |part| superseded.contains(&part.name)).collect();
    }
}

/// Those files of an hour and collector that another one was joined from. Names alone do not decide that: a file of any name
/// can be put here.
fn superseded(folder: &Path, parts: &[Part]) -> Vec<PartName> {
    let mut superseded = Vec::new();
    for joined in parts {
        let covered: Vec<_> = parts.iter().map(|part| part.name).filter(|name| joined.name.covers(name)).collect();
        // What is no whole file replaces none.
        if !covered.is_empty()
            && let Ok(joined) = inspection::open(folder, joined.name)
        {
            let is_joined = |name: &PartName| joined.joined_from().any(|from| *from == name.to_string());
            superseded.extend(covered.into_iter().filter(is_joined));
        }
    }
    superseded
}

/// Deletes what the end of a process has left: files that are unfinished or superseded. What another process is about to
/// finish or to delete itself is left to it.
///
/// # Errors
/// When the folder cannot be read, or a file not be deleted.
pub(crate) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    let Contents { unfinished, superseded, .. } = contents(folder)?;
    for path in unfinished {
        if let Ok(_locked) = try_lock(&path) {
            remove(&path)?;
        }
    }
    if !superseded.is_empty()
        && let Ok(_locked) = try_lock(folder)
    {
        superseded.iter().try_for_each(|part| remove(&folder.join(part.name.path())))?;
    }
    Ok(())
}

/// Deletes a file, unless it is deleted already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Keeps files that are superseded from being removed, until what is returned is dropped.
pub(crate) fn keep(folder: &Path) -> Option<File> {
    lock(folder, FlockOperation::LockShared).ok()
}

/// Waits until no question keeps files. None begins until what is returned is dropped.
pub(crate) fn change(folder: &Path) -> io::Result<File> {
    lock(folder, FlockOperation::LockExclusive)
}

/// Returns when the names of the files of an hour are on disk.
pub(crate) fn sync(folder: &Path, hour: Interval) -> io::Result<()> {
    File::open(folder.join(folder_of(hour)))?.sync_all()
}

/// Locks a file or folder unless another process has.
pub(crate) fn try_lock(path: &Path) -> io::Result<File> {
    lock(path, FlockOperation::NonBlockingLockExclusive)
}

/// Locks a file or folder until what is returned is closed.
fn lock(path: &Path, operation: FlockOperation) -> io::Result<File> {
    let file = File::open(path)?;
    rustix::io::retry_on_intr(|| flock(&file, operation))?;
    Ok(file)
}

/// What is in the folders of hours. Other folders are not looked into.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for date in entries(folder, "date=")? {
        for hour in entries(&date, "hour=")? {
            files.extend(entries(&hour, "")?);
        }
    }
    Ok(files)
}

/// What is in a folder under a name that begins like this; nothing in what is none.
fn entries(folder: &Path, beginning: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(beginning.as_bytes()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
