//! Files of secrets, which only their owner may be able to read, and the errors of keys.

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
    #[error("others can read the secrets in {0}: run chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file does not have two keys. The message shows nothing of its content.
    #[error("{0} is damaged: write authKey=\"...\" and signKey=\"...\" into it, or delete it to get new keys")]
    Damaged(PathBuf),
    /// An error in a file of named secrets.
    #[error("{path}: {message}")]
    Named {
        /// The file.
        path: PathBuf,
        /// The name and the error; nothing of the secret.
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

/// What each table of a file of named secrets means. `setting` is where the file is named.
///
/// # Errors
/// When it is missing, readable by others, or has an invalid table. No message shows a secret.
pub(crate) fn read_tables<T>(
    path: &Path,
    setting: &str,
    read: impl Fn(&str, toml::Value) -> Result<T, String>,
) -> Result<Vec<T>, KeysError> {
    let wrong = |message: String| KeysError::Named { path: path.to_owned(), message };
    let text = read_text(path)?.ok_or_else(|| wrong(format!("does not exist ({setting})")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.lines().count());
        wrong(format!("invalid TOML near line {line}"))
    })?;
    let read =
        |(name, value): (String, toml::Value)| read(&name, value).map_err(|error| wrong(format!("[{name}] {error}")));
    table.into_iter().map(read).collect()
}
