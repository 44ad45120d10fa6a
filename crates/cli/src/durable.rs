//! Files and names that are on disk when a function returns. The files can be read by their owner only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;

/// Copies what can be read into a new file.
///
/// # Errors
/// When one of the two fails, or the file exists.
pub(crate) fn copy(mut from: impl Read, to: &Path) -> anyhow::Result<u64> {
    let copied = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).and_then(|mut file| {
        let copied = io::copy(&mut from, &mut file)?;
        file.sync_all()?;
        Ok(copied)
    });
    copied.with_context(|| format!("cannot write {}", to.display()))
}

/// As [`copy`], from a file. Returns `false` when it does not exist.
///
/// # Errors
/// As [`copy`].
pub(crate) fn copy_if_present(from: &Path, to: &Path) -> anyhow::Result<bool> {
    match File::open(from) {
        Ok(file) => copy(file, to).map(|_| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", from.display())),
    }
}

/// Creates a directory for its owner only, unless it exists.
///
/// # Errors
/// When it cannot be created.
pub(crate) fn make_directory(path: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot create {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Returns when the names in a directory are on disk.
///
/// # Errors
/// When the disk fails.
pub(crate) fn sync_names(directory: &Path) -> anyhow::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| format!("cannot sync {}", directory.display()))
}

/// Renames a file or directory.
///
/// # Errors
/// When the file system refuses.
pub(crate) fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(from, to).with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))?;
    sync_names(to.parent().unwrap_or(Path::new("/")))
}
