//! Conditions for AS paths: ASes that follow one another in a path, or are all of it.

use std::fmt;
use std::sync::Arc;

use columns::Texts;

use crate::select::Selection;

/// The longest sequence: no path that is kept is longer.
const LONGEST: usize = 500;

/// What a path that is unknown or empty has: no path has this AS (RFC 7607).
const NONE: u32 = 0;

/// Sequences of ASes, of which a path has at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsPaths {
    sequences: Vec<Vec<u32>>,
    /// The sequence is all of the path.
    is_whole: bool,
}

/// A sequence as it is written: `64500`, `64500_64501`, or 0 for no path.
pub(crate) fn sequence(text: &str) -> Option<Vec<u32>> {
    let asn = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|digit| digit.is_ascii_digit()));
    let sequence: Vec<u32> = text.split('_').map(asn).collect::<Option<_>>()?;
    (sequence.len() <= LONGEST && (sequence == [NONE] || !sequence.contains(&NONE))).then_some(sequence)
}

impl AsPaths {
    pub(crate) const fn new(sequences: Vec<Vec<u32>>, is_whole: bool) -> Self {
        Self { sequences, is_whole }
    }

    /// The sequences. That of AS 0 is what a path has that is unknown or empty.
    #[must_use]
    pub fn sequences(&self) -> &[Vec<u32>] {
        &self.sequences
    }

    /// Whether a sequence has to be all of the path.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether a path as rows have it matches. Members of sets are in it one after the other.
    pub(crate) fn matches(&self, path: Option<&Arc<str>>) -> bool {
        let ases = |path: &Arc<str>| {
            path.split(|letter: char| !letter.is_ascii_digit()).filter_map(|asn| asn.parse().ok()).collect()
        };
        let path: Vec<u32> = path.map_or_else(|| vec![NONE], ases);
        self.sequences.iter().any(|sequence| {
            if self.is_whole { path == *sequence } else { path.windows(sequence.len()).any(|part| part == sequence) }
        })
    }

    /// The rows that match. Each text is looked at once.
    pub(crate) fn select(&self, rows: usize, texts: &Texts) -> Selection {
        if texts.numbers.is_empty() {
            return Selection::new(rows, self.matches(None));
        }
        let mut known = vec![None; texts.dictionary.texts().len() + 1];
        Selection::each(rows, |row| {
            let number = texts.numbers.get(row).copied().unwrap_or_default();
            let matches = || self.matches(texts.dictionary.text(number));
            known.get_mut(number as usize).is_some_and(|known| *known.get_or_insert_with(matches))
        })
    }
}

/// Reads as the same.
impl fmt::Display for AsPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |sequence: &Vec<u32>| sequence.iter().map(u32::to_string).collect::<Vec<_>>().join("_");
        match self.sequences.as_slice() {
            [sequence] => write!(f, "{}{}", if self.is_whole { "= " } else { "" }, written(sequence)),
            all => write!(f, "in [{}]", all.iter().map(written).collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_sequence_or_is_one() {
        let path = Arc::<str>::from("64500 64501 {64502,64503}");
        for (text, in_path, is_path) in [
            ("64500", true, false),
            ("64501_64502", true, false),
            ("64500_64502", false, false),
            ("6450", false, false),
            ("64500_64501_64502_64503", true, true),
            ("0", false, false),
        ] {
            let matches = |is_whole| AsPaths::new(vec![sequence(text).unwrap()], is_whole).matches(Some(&path));
            assert_eq!((matches(false), matches(true)), (in_path, is_path), "{text}");
        }
        let none = AsPaths::new(vec![vec![NONE]], false);
        assert!(none.matches(None) && !AsPaths::new(vec![vec![64500]], false).matches(None));
    }

    #[test]
    fn what_is_no_sequence_is_refused() {
        for text in ["", "_", "64500_", "64500__64501", "0_64500", "4294967296", "+1", "a", "64500-64501"] {
            assert_eq!(sequence(text), None, "{text}");
        }
    }
}
