//! Notices that the file, or its write-ahead log, was replaced or removed while it is open. SQLite does not: it continues to
//! write to a file that no longer has a name, and everything written there is lost with the process.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The files that have these names while a connection is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenFiles {
    database: OpenFile,
    log: OpenFile,
}

#[derive(Clone, Debug)]
struct OpenFile {
    path: PathBuf,
    /// The device and the number of the file on it.
    identity: Option<(u64, u64)>,
}

impl OpenFiles {
    /// Of a connection that has read or written: its write-ahead log exists then.
    pub(crate) fn of(path: &Path) -> Self {
        let mut log = OsString::from(path);
        log.push("-wal");
        let open = |path: PathBuf| OpenFile { identity: identity(&path), path };
        Self { database: open(path.to_owned()), log: open(log.into()) }
    }

    /// Checks that the names still lead to the open files.
    ///
    /// # Errors
    /// [`StoreError::Retry`] when they do not: nothing that was written since is safe, and the files may be moved back.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        for OpenFile { path, identity: opened } in [&self.database, &self.log] {
            let found = identity(path);
            if found != *opened {
                let what = if found.is_some() { "replaced" } else { "removed" };
                let message = format!(
                    "{} was {what} while the collector has it open: put the file back, or restart the collector",
                    path.display()
                );
                return Err(StoreError::Retry(message.into()));
            }
        }
        Ok(())
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
