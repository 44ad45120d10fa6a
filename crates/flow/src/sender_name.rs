//! What a router is called, such as `edge-1.example.net`. Names change nothing in how flows are counted.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Letters, digits, `-`, `_` and `.`, as host names have them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderName(Arc<str>);

/// A text is no name of a sender. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a name of a sender: use 1 to {longest} letters, digits, '-', '_' and '.', such as edge-1.example.net",
    longest = SenderName::LONGEST
)]
pub struct SenderNameError(String);

impl SenderName {
    /// The most characters: that of a host name (RFC 1035, 2.3.4).
    pub const LONGEST: usize = 253;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SenderName {
    type Err = SenderNameError;

    fn from_str(text: &str) -> Result<Self, SenderNameError> {
        let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
        match (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(is_allowed) {
            true => Ok(Self(text.into())),
            false => Err(SenderNameError(text.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for SenderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_names_and_other_texts_are_refused_with_what_is_allowed() {
        let longest = "x".repeat(SenderName::LONGEST);
        for text in ["edge", "core_1.fra.example.net", "7", &longest] {
            assert_eq!(text.parse::<SenderName>().unwrap().to_string(), text);
        }
        for text in ["", "a b", "a,b", "a=b", "käfig", "\0", &format!("{longest}x")] {
            let refused = text.parse::<SenderName>().unwrap_err().to_string();
            assert!(refused.contains("is not a name of a sender: use 1 to 253 letters"), "{refused}");
        }
    }
}
