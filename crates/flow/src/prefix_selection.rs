//! Of which prefixes a question is: of one, of several, of networks by their words, or of all.

use std::fmt;
use std::str::FromStr;

use crate::{Prefix, PrefixError, Tag};

/// Words with commas. Shows as they were read, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixSelection(Vec<PrefixWord>);

/// One of these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixWord {
    /// `all`: every prefix that is monitored.
    All,
    /// A prefix.
    Prefix(Prefix),
    /// The networks that have this word as their name, customer or tag.
    Network(Tag),
}

/// A text selects no prefixes. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixSelectionError {
    /// A prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A word is none.
    #[error(
        "'{0}' selects no prefix: use a prefix such as 172.16.1.0/24, the name of a network, several of these with commas, or all"
    )]
    Word(String),
}

impl PrefixSelection {
    /// The prefix, if it is the only word: then nothing is added up.
    #[must_use]
    pub fn single(&self) -> Option<Prefix> {
        match self.0.as_slice() {
            [PrefixWord::Prefix(prefix)] => Some(*prefix),
            _ => None,
        }
    }

    /// Its words.
    #[must_use]
    pub fn words(&self) -> &[PrefixWord] {
        &self.0
    }
}

impl From<Prefix> for PrefixSelection {
    fn from(prefix: Prefix) -> Self {
        Self(vec![PrefixWord::Prefix(prefix)])
    }
}

impl FromStr for PrefixSelection {
    type Err = PrefixSelectionError;

    fn from_str(text: &str) -> Result<Self, PrefixSelectionError> {
        let mut words = Vec::new();
        for word in text.split(',') {
            // Words of networks begin with a letter, and have neither slashes nor colons.
            let is_address = word.contains(['/', ':']) || word.starts_with(|first: char| first.is_ascii_digit());
            let read = match word {
                "all" => PrefixWord::All,
                _ if is_address => PrefixWord::Prefix(word.parse()?),
                _ => {
                    let error = || PrefixSelectionError::Word(word.chars().take(80).collect());
                    PrefixWord::Network(word.parse().map_err(|_| error())?)
                }
            };
            if !words.contains(&read) {
                words.push(read);
            }
        }
        Ok(Self(words))
    }
}

impl fmt::Display for PrefixSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            match word {
                PrefixWord::All => f.write_str("all"),
                PrefixWord::Prefix(prefix) => prefix.fmt(f),
                PrefixWord::Network(word) => word.fmt(f),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_each_once_and_show_as_they_were_read() {
        for (text, shown, is_single) in [
            ("192.0.2.0/24", "192.0.2.0/24", true),
            ("192.0.2.0/24,192.0.2.0/24", "192.0.2.0/24", true),
            ("2001:DB8::/32,office", "2001:db8::/32,office", false),
            ("all", "all", false),
            ("customer-a", "customer-a", false),
        ] {
            let selection: PrefixSelection = text.parse().unwrap();
            assert_eq!((selection.to_string().as_str(), selection.single().is_some()), (shown, is_single), "{text}");
        }
        for text in ["", "192.0.2.1", "192.0.2.1/24", "office,", "a b", "2001:db8::"] {
            assert!(text.parse::<PrefixSelection>().is_err(), "{text}");
        }
    }
}
