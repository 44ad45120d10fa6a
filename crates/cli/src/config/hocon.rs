//! HOCON as files of netflow.io are written: text to settings, each with its line. Read are comments, braces, keys with dots
//! or quotes, lists, strings of all kinds, `+=` and substitutions. `include` is noted and never followed, and the environment
//! is not read. Objects in lists, which no setting of netflow.io has, are refused. What settings mean is in
//! [`super::original`].

mod reader;
mod resolution;

use reader::Reader;

/// A file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// What it sets, without substitutions, each path once, in the order of the last lines that set them.
    pub(crate) settings: Vec<Setting>,
    /// Files that it includes, and the lines that do.
    pub(crate) includes: Vec<(usize, String)>,
    /// Settings that it takes from the environment: the line, the path and the variable.
    pub(crate) variables: Vec<(usize, String, String)>,
    /// Whether it has something that no TOML file has outside of quotes.
    pub(crate) is_unmistakable: bool,
}

/// A path and its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Keys, joined by dots.
    pub(crate) path: String,
    /// The value.
    pub(crate) value: Content,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// A value; numbers and booleans are text, as in the format itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Content>),
}

/// Why a text is not read. It never has parts of the text, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub(crate) struct HoconError {
    line: usize,
    column: usize,
    message: &'static str,
}

/// An assignment as it is written.
#[derive(Debug)]
struct Entry {
    path: String,
    pieces: Vec<Piece>,
    /// Whether it appends to a list: `+=`.
    appends: bool,
    line: usize,
}

/// A part of a value; several are joined.
#[derive(Debug)]
enum Piece {
    Text(String),
    List(Vec<Vec<Piece>>),
    Reference { path: String, is_optional: bool },
}

/// Reads a text.
///
/// # Errors
/// Where it is not HOCON, or goes beyond what is read.
pub(crate) fn parse(text: &str) -> Result<Document, HoconError> {
    let mut reader = Reader::new(text);
    reader.document()?;
    let Reader { entries, includes, is_unmistakable, .. } = reader;
    let (settings, variables) = resolution::resolve(&entries)?;
    Ok(Document { settings, includes, variables, is_unmistakable })
}

#[cfg(test)]
mod tests;
