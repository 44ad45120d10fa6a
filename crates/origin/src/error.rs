//! Why a file cannot be used.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file cannot be used. The message names the file, the place in it, the problem and the fix.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not read it. Trying again may help.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Its content is not usable. It must change first.
    #[error("{}, {place}{problem}; {fix}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: Place,
        /// What is wrong there.
        problem: String,
        /// What to do.
        fix: &'static str,
    },
}

impl Error {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. } | Self::Unusable { path, .. } => path,
        }
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    Whole,
    /// A line of a text, from 1.
    Line(usize),
    /// An octet, from 0.
    Offset(usize),
}

impl fmt::Display for Place {
    /// With what separates it from the problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, "line {line}: "),
            Self::Offset(offset) => write!(f, "offset {offset}: "),
        }
    }
}

/// What is wrong with a content, before the file is named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) problem: String,
    pub(crate) fix: &'static str,
}

/// For damaged files.
pub(crate) const DOWNLOAD: &str = "download the file again";

impl Fault {
    pub(crate) fn new(place: Place, problem: impl Into<String>, fix: &'static str) -> Self {
        Self { place, problem: problem.into(), fix }
    }

    pub(crate) fn of(self, path: &Path) -> Error {
        let Self { place, problem, fix } = self;
        Error::Unusable { path: path.to_owned(), place, problem, fix }
    }
}

/// Text of a file as part of a message: on one line and not too long.
pub(crate) fn quoted(text: &[u8]) -> String {
    const MOST: usize = 40;
    let text = String::from_utf8_lossy(text.get(..4 * MOST).unwrap_or(text));
    let shown: String = text.chars().take(MOST).collect();
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("{shown:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_and_names_file_place_and_fix() {
        let problem = format!("{} is no address", quoted(b"1.2.3\n\x1b[31m\xff"));
        let error = Fault::new(Place::Line(7), problem, DOWNLOAD).of(Path::new("/x/ip2asn.tsv"));
        let expected = "/x/ip2asn.tsv, line 7: \"1.2.3\\n\\u{1b}[31m\u{fffd}\" is no address; download the file again";
        assert_eq!(error.to_string(), expected);
        assert!(quoted(&[b'x'; 1000]).len() < 50);
    }
}
