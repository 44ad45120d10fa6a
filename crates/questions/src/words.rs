//! The words of a question by name, as a query string or a command line has them.

use std::sync::Arc;

use columns::{COLUMNS, Id};
use flow::Networks;

use crate::error::QuestionError;

/// The longest text of a word but a filter, which has its own limit.
const LONGEST: usize = 16 * 1024;
/// How much of a text an error repeats.
const QUOTED: usize = 32;

/// The words of a question: names with their texts. An empty text counts as absent.
#[derive(Clone, Debug, Default)]
pub struct Words<'w> {
    texts: Vec<(&'w str, &'w str)>,
    networks: Arc<Networks>,
}

impl<'w> FromIterator<(&'w str, &'w str)> for Words<'w> {
    fn from_iter<I: IntoIterator<Item = (&'w str, &'w str)>>(words: I) -> Self {
        Self { texts: words.into_iter().collect(), networks: Arc::default() }
    }
}

impl<'w> Words<'w> {
    /// The same, with the networks that a filter can name, and whose names an answer has.
    #[must_use]
    pub fn knowing(self, networks: &Arc<Networks>) -> Self {
        Self { networks: Arc::clone(networks), ..self }
    }

    pub(crate) fn networks(&self) -> &Arc<Networks> {
        &self.networks
    }

    /// Refuses names but these, names that are given twice, and texts that are too long.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), QuestionError> {
        for (index, (name, text)) in self.texts.iter().enumerate() {
            if !known.contains(name) {
                let name = quoted(name);
                return Err(QuestionError::new(&name, unknown(&name, "word of this question", known)));
            }
            if self.texts.iter().take(index).any(|(other, _)| other == name) {
                return Err(QuestionError::new(name, "is given twice"));
            }
            if *name != "filter" && text.len() > LONGEST {
                return Err(QuestionError::new(name, format_args!("is longer than {LONGEST} octets: shorten it")));
            }
        }
        Ok(())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'w str> {
        self.texts.iter().find_map(|(known, text)| (*known == name && !text.trim().is_empty()).then_some(*text))
    }

    /// The items of a list, each with its first column.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = (usize, &'w str)> {
        let mut next = 1;
        self.text(name).into_iter().flat_map(|text| text.split(',')).map(move |item| {
            let column = next + item.chars().take_while(|character| character.is_whitespace()).count();
            next += item.chars().count() + 1;
            (column, item.trim())
        })
    }

    /// What one of several words means; `None` when it is absent.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&'static str, T)]) -> Result<Option<T>, QuestionError> {
        let Some(text) = self.text(name).map(str::trim) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, meaning)| *meaning);
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        found.map(Some).ok_or_else(|| QuestionError::new(name, unknown(text, "word for it", &known)))
    }

    /// 1 or 0; 0 when it is absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, QuestionError> {
        Ok(self.one_of(name, &[("0", false), ("1", true)])?.unwrap_or_default())
    }

    /// A whole number from 1 to a limit; `default` when it is absent.
    pub(crate) fn count(&self, name: &str, default: usize, limit: usize) -> Result<usize, QuestionError> {
        let Some(text) = self.text(name).map(str::trim) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=limit).contains(number));
        number.ok_or_else(|| {
            let text = quoted(text);
            QuestionError::new(name, format_args!("must be a whole number from 1 to {limit}, not {text:?}"))
        })
    }

    /// Columns by their names or their other words, each with the place in the text.
    pub(crate) fn columns(&self, name: &str) -> Result<Vec<(usize, Id)>, QuestionError> {
        let column = |(at, text): (usize, &str)| {
            let is_meant = |word: &str| word.eq_ignore_ascii_case(text);
            let found =
                COLUMNS.iter().find(|column| is_meant(column.name) || column.words.iter().any(|word| is_meant(word)));
            found.map(|column| (at, column.id)).ok_or_else(|| {
                let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
                let message = unknown(text, "column of flows", &names);
                QuestionError::at(name, at, format_args!("{message} docs/columns.md has all of them"))
            })
        };
        self.list(name).map(column).collect()
    }
}

/// What an error reports of a text that is none of these words.
fn unknown(text: &str, what: &str, words: &[&str]) -> String {
    let text = quoted(text);
    let distance = |word: &&&str| strsim::osa_distance(&text.to_ascii_lowercase(), word);
    match words.iter().min_by_key(distance).filter(|word| distance(word) <= word.len().div_ceil(2)) {
        Some(nearest) => format!("{text:?} is no {what}: did you mean {nearest}?"),
        None if words.len() < 20 => format!("{text:?} is no {what}: they are {}", words.join(", ")),
        None => format!("{text:?} is no {what}."),
    }
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}
