//! The texts of a column of a file: those of a group of rows, and for each row the number of its text (`crate::text_pages`).

use std::ops::Range;
use std::sync::Arc;

use columns::{Dictionary, Texts};
use flow::Country;
use parquet::errors::Result;

use super::column_pages::{Pages, damaged};
use crate::text_pages::{MOST_OCTETS, PageKind, decode_numbers};

/// The octets of all texts at most: those of the last chunk may be beyond the limit of the others.
const MOST_OCTETS_READ: usize = 2 * MOST_OCTETS;

/// A column of texts in a group of rows, read from the first to the last row.
pub(crate) struct TextColumn {
    pages: Pages,
    /// The rows of the group.
    rows: usize,
    /// The texts, once they are read.
    dictionary: Option<Arc<Dictionary>>,
    /// By the number of a text that of its country.
    countries: Vec<u16>,
    /// The numbers of a page, and the row at which it begins.
    page: Vec<u32>,
    first: usize,
}

impl TextColumn {
    pub(crate) const fn new(pages: Pages, rows: usize) -> Self {
        Self { pages, rows, dictionary: None, countries: Vec::new(), page: Vec::new(), first: 0 }
    }

    /// Reads the texts of rows.
    pub(crate) fn read_texts(&mut self, rows: Range<usize>, into: &mut Texts) -> Result<()> {
        into.dictionary = self.dictionary()?;
        self.each_piece(rows, |numbers, _| {
            into.numbers.extend(numbers);
            Ok(())
        })
    }

    /// Reads the countries of rows.
    pub(crate) fn read_countries(&mut self, rows: Range<usize>, into: &mut Vec<u16>) -> Result<()> {
        if self.countries.is_empty() {
            let dictionary = self.dictionary()?;
            let number = |text: &Arc<str>| Country::new(text).map(Country::number);
            let numbers = dictionary.texts().iter().map(number).collect::<Option<Vec<_>>>();
            let numbers = numbers.ok_or_else(|| damaged("a text of a column of countries is none"))?;
            self.countries = [0].into_iter().chain(numbers).collect();
        }
        self.each_piece(rows, |numbers, countries| {
            into.extend(numbers.iter().map(|number| countries.get(*number as usize).copied().unwrap_or_default()));
            Ok(())
        })
    }

    /// All texts.
    fn dictionary(&mut self) -> Result<Arc<Dictionary>> {
        if let Some(known) = &self.dictionary {
            return Ok(Arc::clone(known));
        }
        let (header, begin) = self.pages.header(PageKind::Texts, self.rows + 1)?;
        let mut page = Vec::new();
        // The length of each text is before it.
        self.pages.read(begin, header, MOST_OCTETS_READ + 4 * header.rows, &mut page)?;
        let dictionary = texts_of(&page, header.rows).ok_or_else(|| damaged("the texts of a column are damaged"))?;
        let dictionary = Arc::new(dictionary);
        self.dictionary = Some(Arc::clone(&dictionary));
        Ok(dictionary)
    }

    /// Calls back with the numbers of some of the rows at a time. Rows are read in ascending order.
    fn each_piece(&mut self, rows: Range<usize>, mut read: impl FnMut(&[u32], &[u16]) -> Result<()>) -> Result<()> {
        let mut from = rows.start;
        while from < rows.end {
            if from >= self.first + self.page.len() {
                self.read_page(from)?;
            }
            let start = from.checked_sub(self.first).ok_or_else(|| damaged("rows are read in descending order"))?;
            let end = self.page.len().min(rows.end - self.first);
            read(self.page.get(start..end).unwrap_or_default(), &self.countries)?;
            from = self.first + end;
        }
        Ok(())
    }

    /// Reads the page that has a row after those of the last one.
    fn read_page(&mut self, row: usize) -> Result<()> {
        let texts = self.dictionary()?.texts().len();
        self.first += std::mem::take(&mut self.page).len();
        loop {
            let left = self.rows.saturating_sub(self.first);
            let (header, begin) = self.pages.header(PageKind::NumbersOfTexts, left)?;
            if row >= self.first + header.rows {
                self.first += header.rows;
                continue;
            }
            let mut page = Vec::new();
            // The width, at most five octets before the numbers, and these in groups of eight.
            self.pages.read(begin, header, 4 * (header.rows + 8) + 16, &mut page)?;
            let numbers = decode_numbers(&page, header.rows);
            let numbers = numbers.filter(|numbers| numbers.iter().all(|number| *number as usize <= texts));
            self.page = numbers.ok_or_else(|| damaged("the numbers of texts in a page are damaged"))?;
            return Ok(());
        }
    }
}

/// The texts of a page, of which the first is empty and no two are the same.
fn texts_of(mut page: &[u8], count: usize) -> Option<Dictionary> {
    let mut dictionary = Dictionary::default();
    for number in 0..count {
        let length = u32::from_le_bytes(*page.split_off(..4)?.as_array()?);
        let text = str::from_utf8(page.split_off(..length as usize)?).ok()?;
        if dictionary.number(&text.into()) as usize != number {
            return None;
        }
    }
    page.is_empty().then_some(dictionary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(texts: &[&str]) -> Vec<u8> {
        let text = |text: &&str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        texts.iter().flat_map(text).collect()
    }

    #[test]
    fn texts_are_different_and_the_first_is_empty() {
        let texts = texts_of(&page(&["", "64500", "64501"]), 3).unwrap();
        assert_eq!(texts.text(2).map(|text| &**text), Some("64501"));
        for damaged in [&["64500"][..], &["", "64500", "64500"], &["", ""]] {
            assert!(texts_of(&page(damaged), damaged.len()).is_none(), "{damaged:?}");
        }
        let whole = page(&["", "64500"]);
        assert!(texts_of(&whole, 1).is_none() && texts_of(&whole, 3).is_none());
        assert!(texts_of(&whole[..whole.len() - 1], 2).is_none());
        assert!(texts_of(&[0, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0x28], 2).is_none(), "not UTF-8");
    }
}
