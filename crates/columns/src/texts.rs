//! Texts of many rows: each different one is kept once, and rows have its number.

use std::collections::HashMap;
use std::sync::Arc;

/// Different texts by number, from 1. The number 0 is the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    octets: usize,
}

/// The texts of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// For each row the number of its text.
    pub numbers: Vec<u32>,
    /// The texts.
    pub dictionary: Arc<Dictionary>,
}

impl Dictionary {
    /// The number of a text, which is added if it is new.
    pub fn number(&mut self, text: &Arc<str>) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        self.texts.push(Arc::clone(text));
        self.octets += text.len();
        let number = self.texts.len() as u32;
        self.numbers.insert(Arc::clone(text), number);
        number
    }

    /// The text with a number; `None` for the empty one.
    #[must_use]
    pub fn text(&self, number: u32) -> Option<&Arc<str>> {
        self.texts.get((number as usize).checked_sub(1)?)
    }

    /// All texts, the first one with the number 1.
    #[must_use]
    pub fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    /// The octets of all texts.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// The memory that it takes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.texts.len() * Self::MEMORY_OF_A_TEXT + self.octets
    }

    /// The memory that a text takes beside its octets, about: twice its place, its number, and the counts of its allocation.
    pub const MEMORY_OF_A_TEXT: usize = 80;
}

impl Texts {
    /// Appends the texts of rows after those of as many others. A list whose texts are all empty so far stays empty.
    pub(crate) fn append<'t>(&mut self, rows: usize, texts: impl Iterator<Item = Option<&'t Arc<str>>> + Clone) {
        if self.numbers.is_empty() && texts.clone().all(|text| text.is_none()) {
            return;
        }
        self.numbers.resize(rows, 0);
        let dictionary = Arc::make_mut(&mut self.dictionary);
        // Flows of a datagram share their texts.
        let mut last: Option<(&Arc<str>, u32)> = None;
        self.numbers.extend(texts.map(|text| match (text, last) {
            (None, _) => 0,
            (Some(text), Some((known, number))) if Arc::ptr_eq(text, known) => number,
            (Some(text), _) => {
                let number = dictionary.number(text);
                last = Some((text, number));
                number
            }
        }));
    }

    /// Removes all rows.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
        if !self.dictionary.texts.is_empty() {
            self.dictionary = Arc::default();
        }
    }

    /// The text of a row; `None` if it is empty.
    #[must_use]
    pub fn of_row(&self, row: usize) -> Option<&Arc<str>> {
        self.dictionary.text(self.numbers.get(row).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_the_empty_one_has_0() {
        let mut dictionary = Dictionary::default();
        let texts = ["64500 64501", "64500", "", "64500 64501"].map(Arc::<str>::from);
        assert_eq!(texts.each_ref().map(|text| dictionary.number(text)), [1, 2, 0, 1]);
        assert_eq!((dictionary.text(2), dictionary.text(0), dictionary.text(3)), (Some(&texts[1]), None, None));
        assert_eq!((dictionary.texts().len(), dictionary.octets()), (2, 16));
    }

    #[test]
    fn rows_without_texts_cost_nothing_until_one_has_a_text() {
        let (mut texts, text) = (Texts::default(), Arc::from("64500"));
        texts.append(0, [None, None].into_iter());
        assert_eq!(texts, Texts::default());
        texts.append(2, [None, Some(&text), Some(&text)].into_iter());
        assert_eq!((&texts.numbers[..], texts.of_row(4)), (&[0, 0, 0, 1, 1][..], Some(&text)));
        texts.clear();
        assert_eq!(texts, Texts::default());
    }
}
