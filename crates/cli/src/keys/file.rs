//! Files of keys, which only their owner may be able to read, and the errors of keys.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An error of the keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The operating system refuses.
    #[error("cannot {action} {path}")]
    Io {
        /// The action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        error: io::Error,
    },
    /// Others can read the file.
    #[error("others can read the keys in {0}: run chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file does not have two keys. The message shows nothing of its content.
    #[error("{0} is damaged: write authKey=\"...\" and signKey=\"...\" into it, or delete it to get new keys")]
    Damaged(PathBuf),
    /// An error in a file of named keys.
    #[error("{path}: {message}")]
    Named {
        /// The file.
        path: PathBuf,
        /// The key and the error; nothing of the key's content.
        message: String,
    },
    /// The operating system has no random numbers.
    #[error("cannot generate random keys")]
    Random(#[source] getrandom::Error),
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
