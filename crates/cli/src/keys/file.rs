//! Files with keys: read only when nobody but their owner can read them; and why there are no keys.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The operating system refuses.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// Others than the owner can read the file.
    #[error("the keys in {0} can be read by others: run chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file does not hold two keys. Says nothing of what it holds.
    #[error("{0} is damaged: put authKey=\"...\" and signKey=\"...\" into it, or delete it to get new keys")]
    Damaged(PathBuf),
    /// A file of named keys says something else.
    #[error("{path}: {message}")]
    Named {
        /// The file.
        path: PathBuf,
        /// Which key, and what is wrong with it; nothing of what it holds.
        message: String,
    },
    /// The operating system has no random numbers.
    #[error("cannot make random keys: {0}")]
    Random(getrandom::Error),
}

pub(super) fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeysError + use<'a> {
    move |error| KeysError::Io { action, path: path.to_owned(), error }
}

/// `None` when there is no file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, KeysError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    if file.metadata().map_err(failed("read", path))?.mode() & 0o077 != 0 {
        return Err(KeysError::Exposed(path.to_owned()));
    }
    io::read_to_string(file).map(Some).map_err(failed("read", path))
}
