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

    /// A name that a stranger has given, such as a router by SNMP: what a name cannot have is `_` instead, and what is too long is cut.
    /// `None` if nothing is left.
    #[must_use]
    pub fn cleaned(text: &str) -> Option<Self> {
        let mut cleaned = String::new();
        for character in text.chars().take(Self::LONGEST) {
            match character {
                allowed if is_allowed(allowed) => cleaned.push(allowed),
                _ if cleaned.ends_with('_') => {}
                _ => cleaned.push('_'),
            }
        }
        cleaned.trim_matches(['_', '.']).parse().ok()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SenderName {
    type Err = SenderNameError;

    fn from_str(text: &str) -> Result<Self, SenderNameError> {
        match (1..=Self::LONGEST).contains(&text.len()) && text.chars().all(is_allowed) {
            true => Ok(Self(text.into())),
            false => Err(SenderNameError(text.chars().take(64).collect())),
        }
    }
}

const fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
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

    #[test]
    fn names_of_strangers_are_cleaned_and_cut() {
        let cleaned = |text: &str| SenderName::cleaned(text).map(|name| name.to_string());
        for (text, name) in [
            ("edge-1.example.net.", "edge-1.example.net"),
            (" Core Switch 1\0", "Core_Switch_1"),
            ("<script>alert(1)</script>", "script_alert_1_script"),
            ("edge\x1b[2J\u{202e}ten", "edge_2J_ten"),
            ("K\u{e4}fig", "K_fig"),
        ] {
            assert_eq!(cleaned(text).as_deref(), Some(name));
        }
        assert_eq!(cleaned(&"x".repeat(4096)).map(|name| name.len()), Some(SenderName::LONGEST));
        for text in ["", " ", "\u{202e}", "..", "_"] {
            assert_eq!(cleaned(text), None);
        }
    }
}
