//! Of which senders a question is: of one, of several, of those with a tag, or of all.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Tag, canonical};

/// Words with commas. Shows as they were read, each once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SenderSelection(Vec<SenderWord>);

/// One of these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SenderWord {
    /// `all`
    All,
    /// `tag:edge`: all that have the tag.
    Tagged(Tag),
    /// The canonical address of one.
    Address(IpAddr),
}

/// A text selects no senders. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' selects no sender: use all, tag:edge, the address of a sender such as 192.0.2.1, or several of these with commas"
)]
pub struct SelectionError(String);

impl SenderSelection {
    /// All senders.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![SenderWord::All])
    }

    /// The address, if it is the only word: then the question is not of a group.
    #[must_use]
    pub fn single(&self) -> Option<IpAddr> {
        match self.0.as_slice() {
            [SenderWord::Address(address)] => Some(*address),
            _ => None,
        }
    }

    /// Its words.
    #[must_use]
    pub fn words(&self) -> &[SenderWord] {
        &self.0
    }
}

impl SenderWord {
    /// Whether it selects a sender of this address, with these tags.
    #[must_use]
    pub fn selects(&self, address: IpAddr, tags: &[Tag]) -> bool {
        match self {
            Self::All => true,
            Self::Tagged(tag) => tags.contains(tag),
            Self::Address(of) => *of == address,
        }
    }
}

impl FromStr for SenderSelection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut words = Vec::new();
        for word in text.split(',') {
            let read = match (word, word.strip_prefix("tag:")) {
                ("all", _) => Some(SenderWord::All),
                (_, Some(tag)) => tag.parse().ok().map(SenderWord::Tagged),
                (address, None) => address.parse().ok().map(canonical).map(SenderWord::Address),
            };
            let read = read.ok_or_else(|| SelectionError(word.chars().take(80).collect()))?;
            if !words.contains(&read) {
                words.push(read);
            }
        }
        Ok(Self(words))
    }
}

impl fmt::Display for SenderSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{word}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SenderWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Tagged(tag) => write!(f, "tag:{tag}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_each_once_and_show_as_they_were_read() {
        for (text, shown, is_single) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("::ffff:192.0.2.1,192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1,2001:db8::1", "192.0.2.1,2001:db8::1", false),
            ("all", "all", false),
            ("tag:edge,192.0.2.1,tag:edge", "tag:edge,192.0.2.1", false),
        ] {
            let selection: SenderSelection = text.parse().unwrap();
            assert_eq!((selection.to_string().as_str(), selection.single().is_some()), (shown, is_single), "{text}");
        }
    }

    #[test]
    fn a_word_that_selects_nothing_is_refused() {
        for text in ["", "192.0.2.1,", "edge", "tag:", "tag:a b", "All", "192.0.2.0/24", "all, 192.0.2.1"] {
            let refused = text.parse::<SenderSelection>().unwrap_err().to_string();
            assert!(refused.contains("selects no sender: use all"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_sender_is_selected_by_its_address_or_a_tag() {
        let (address, tags) = (IpAddr::from([192, 0, 2, 1]), ["edge", "site-a"].map(|tag| tag.parse().unwrap()));
        let selects = |text: &str| {
            text.parse::<SenderSelection>().unwrap().words().iter().map(|word| word.selects(address, &tags)).collect()
        };
        let selected: Vec<bool> = selects("192.0.2.1,192.0.2.2,tag:site-a,tag:site,all");
        assert_eq!(selected, [true, false, true, false, true]);
    }
}
