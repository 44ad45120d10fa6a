//! Errors of the configuration, each with its position and line; lines that may contain a secret are not shown.

use std::fmt::{self, Write};
use std::io;
use std::ops::Range;
use std::path::Path;

/// All errors: those of the file, then those of the environment.
#[derive(Debug)]
pub(crate) struct ConfigError(Vec<Problem>);

/// One error, as it is shown.
#[derive(Debug)]
pub(super) struct Problem(String);

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
            _ => error.to_string(),
        };
        Self(vec![Problem(format!("cannot read {}: {reason}", path.display()))])
    }
}

impl Problem {
    /// In a file, at this span of its text.
    pub(super) fn in_file(path: &Path, text: &str, span: Range<usize>, message: &str) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let indent = text.get(start..span.start).unwrap_or_default().chars().count();
        let mut shown = format!("{}:{number}:{}: {message}", path.display(), indent + 1);
        // A line with a key or a password must not appear in a log.
        let may_be_secret = ["key", "pass"].iter().any(|word| line.to_lowercase().contains(word));
        if !may_be_secret && !message.contains("admin.") {
            let marked = text.get(span).unwrap_or_default().lines().next().unwrap_or_default();
            let marks = "^".repeat(marked.chars().count().max(1));
            let margin = " ".repeat(number.to_string().len());
            let _ = write!(shown, "\n{number} | {line}\n{margin} | {}{marks}", " ".repeat(indent));
        }
        Self(shown)
    }

    /// In settings that exclude each other, wherever they are.
    pub(super) fn of_several(message: &str) -> Self {
        Self(message.to_owned())
    }

    /// In an environment variable.
    pub(super) fn in_environment(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_char('\n')?;
            }
            f.write_str(&problem.0)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
