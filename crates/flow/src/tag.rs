//! Tags of senders: words by which an operator groups them, such as `edge`. They change nothing in how flows are counted.

use std::fmt;
use std::str::FromStr;

/// A word of letters, digits, `-`, `_` and `.`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Its characters, then zeros, so that tags are in the order of their texts.
    octets: [u8; Tag::LONGEST],
}

/// A text is no tag. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a tag: use 1 to {longest} letters, digits, '-', '_' and '.', such as edge", longest = Tag::LONGEST)]
pub struct TagError(String);

impl Tag {
    /// The most characters.
    pub const LONGEST: usize = 32;

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.octets.iter().position(|octet| *octet == 0).unwrap_or(Self::LONGEST);
        self.octets.get(..end).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default()
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
        let mut octets = [0; Self::LONGEST];
        match octets.get_mut(..text.len()) {
            Some(start) if !text.is_empty() && text.bytes().all(is_allowed) => start.copy_from_slice(text.as_bytes()),
            _ => return Err(TagError(text.chars().take(2 * Self::LONGEST).collect())),
        }
        Ok(Self { octets })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_words_in_the_order_of_their_texts() {
        let longest = "x".repeat(Tag::LONGEST);
        let mut words = ["edge", "edge-2", "Site_a.1", "0", &longest, "e"];
        let mut tags = words.map(|word| word.parse::<Tag>().unwrap());
        words.sort_unstable();
        tags.sort_unstable();
        assert_eq!(tags.map(|tag| tag.to_string()), words);
    }

    #[test]
    fn other_texts_are_refused_with_what_is_allowed() {
        for text in ["", "a b", "a,b", "a=b", "käfig", "\0", &"x".repeat(Tag::LONGEST + 1)] {
            let refused = text.parse::<Tag>().unwrap_err().to_string();
            assert!(refused.contains("is not a tag: use 1 to 32 letters"), "{refused}");
        }
    }
}
