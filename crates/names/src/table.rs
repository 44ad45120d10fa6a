//! Names with numbers.

use std::cmp::Ordering;

/// Names of numbers. A number can have several; the first is the one that is shown. Names are read in upper and lower case.
#[derive(Debug)]
pub struct Names {
    listed: Vec<(&'static str, u64)>,
    /// Sorted by name.
    by_name: Vec<(&'static str, u64)>,
    /// The first name of each number, sorted by number.
    by_number: Vec<(u64, &'static str)>,
}

impl FromIterator<(&'static str, u64)> for Names {
    /// Names in lower case.
    fn from_iter<I: IntoIterator<Item = (&'static str, u64)>>(names: I) -> Self {
        let listed: Vec<_> = names.into_iter().collect();
        let mut by_name = listed.clone();
        by_name.sort_unstable();
        let mut by_number: Vec<_> = listed.iter().map(|(name, number)| (*number, *name)).collect();
        // Stable: the first name of a number stays the first.
        by_number.sort_by_key(|(number, _)| *number);
        by_number.dedup_by_key(|(number, _)| *number);
        Self { listed, by_name, by_number }
    }
}

impl Names {
    /// All names with their numbers, as they are listed.
    #[must_use]
    pub fn all(&self) -> &[(&'static str, u64)] {
        &self.listed
    }

    /// The number with this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let place = self.by_name.binary_search_by(|(known, _)| compare(known, name)).ok()?;
        self.by_name.get(place).map(|(_, number)| *number)
    }

    /// The name of this number.
    #[must_use]
    pub fn name(&self, number: u64) -> Option<&'static str> {
        let place = self.by_number.binary_search_by_key(&number, |(known, _)| *known).ok()?;
        self.by_number.get(place).map(|(_, name)| *name)
    }

    /// The name that a typing error may have been meant for.
    #[must_use]
    pub fn nearest(&self, typed: &str) -> Option<&'static str> {
        nearest(typed, self.listed.iter().map(|(name, _)| *name))
    }
}

/// The order of a name and one that was typed in upper or lower case.
fn compare(known: &str, typed: &str) -> Ordering {
    known.bytes().cmp(typed.bytes().map(|octet| octet.to_ascii_lowercase()))
}

/// The word that is most like one that is unknown, if any is.
#[must_use]
pub fn nearest<'w>(typed: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    /// Distances take time with the length of a word.
    const LONGEST_TYPED: usize = 24;
    if typed.len() > LONGEST_TYPED {
        return None;
    }
    let typed = typed.to_lowercase();
    let distances = words.map(|word| (strsim::damerau_levenshtein(&typed, word), word));
    // Half of a short word is no likeness.
    let likely = distances.filter(|(distance, word)| *distance <= 2 && distance * 2 < word.len().max(3));
    likely.min_by_key(|(distance, word)| (*distance, !word.starts_with(&typed))).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_is_shown_and_all_are_read() {
        let names: Names = [("www", 80), ("ssh", 22), ("http", 80)].into_iter().collect();
        assert_eq!([names.name(80), names.name(22), names.name(23)], [Some("www"), Some("ssh"), None]);
        assert_eq!(["http", "WWW", "Ssh"].map(|name| names.number(name)), [Some(80), Some(80), Some(22)]);
        assert_eq!(["", "w", "wwww", "80"].map(|name| names.number(name)), [None; 4]);
        assert_eq!(names.all(), [("www", 80), ("ssh", 22), ("http", 80)]);
    }

    #[test]
    fn a_word_with_a_slip_is_recognised() {
        let words = || ["proto", "port", "srcip", "as"].into_iter();
        assert_eq!(nearest("Prot", words()), Some("proto"));
        assert_eq!(nearest("scrip", words()), Some("srcip"));
        assert_eq!(nearest("x", words()), None);
        assert_eq!(nearest(&"x".repeat(5000), words()), None);
    }
}
