//! Names of AS, each text once.

use hashbrown::HashMap;

use crate::limits::{NAME_BYTES, NAMES};

/// Names by AS number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// All names, one after the other.
    text: String,
    /// Ascending by AS number.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    asn: u32,
    start: u32,
    length: u32,
}

impl Names {
    pub(crate) fn get(&self, asn: u32) -> Option<&str> {
        let index = self.entries.binary_search_by_key(&asn, |entry| entry.asn).ok()?;
        self.entries.get(index).and_then(|entry| self.text_of(entry))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.entries.iter().filter_map(|entry| Some((entry.asn, self.text_of(entry)?)))
    }

    /// What they occupy on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    fn text_of(&self, entry: &Entry) -> Option<&str> {
        let start = entry.start as usize;
        self.text.get(start..start + entry.length as usize)
    }
}

/// Collects names. The first name of an AS counts.
#[derive(Debug, Default)]
pub(crate) struct NamesBuilder {
    names: Names,
    named: HashMap<u32, ()>,
    places: HashMap<Box<str>, (u32, u32)>,
}

/// There are more names than [`NAMES`].
#[derive(Debug)]
pub(crate) struct TooManyNames;

impl NamesBuilder {
    /// Adds a name as a file has it. Empty names and those of AS 0 are ignored.
    pub(crate) fn add(&mut self, asn: u32, name: &str) -> Result<(), TooManyNames> {
        if asn == 0 || self.named.contains_key(&asn) {
            return Ok(());
        }
        let name = printable(name);
        if name.is_empty() {
            return Ok(());
        }
        if self.named.len() == NAMES {
            return Err(TooManyNames);
        }
        let (start, length) = self.place(name);
        self.named.insert(asn, ());
        self.names.entries.push(Entry { asn, start, length });
        Ok(())
    }

    fn place(&mut self, name: String) -> (u32, u32) {
        if let Some(place) = self.places.get(name.as_str()) {
            return *place;
        }
        // At most NAMES * NAME_BYTES octets, which a u32 counts.
        let place = (u32::try_from(self.names.text.len()).unwrap_or(u32::MAX), u32::try_from(name.len()).unwrap_or(0));
        self.names.text.push_str(&name);
        self.places.insert(name.into(), place);
        place
    }

    pub(crate) fn finish(self) -> Names {
        let mut names = self.names;
        names.entries.sort_unstable_by_key(|entry| entry.asn);
        names.entries.shrink_to_fit();
        names.text.shrink_to_fit();
        names
    }
}

/// A text that can be printed: on one line, without characters that control a terminal or the direction of writing, with
/// single spaces, and truncated.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    // Of a longer text, only the beginning is looked at: a name is not made of a thousand control characters.
    for word in text.get(..text.floor_char_boundary(10 * NAME_BYTES)).unwrap_or_default().split_whitespace() {
        let space = if shown.is_empty() { "" } else { " " };
        let word: String = word.chars().filter(|character| is_printable(*character)).collect();
        if !word.is_empty() {
            shown.push_str(space);
            shown.push_str(&word);
        }
    }
    shown.truncate(shown.floor_char_boundary(NAME_BYTES));
    shown.truncate(shown.trim_end().len());
    shown
}

fn is_printable(character: char) -> bool {
    match character {
        // Zero-width characters, marks and overrides of direction (Unicode, Bidi_Control), separators, the byte order mark.
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
        _ => !character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stored_once_and_the_first_counts() {
        let mut builder = NamesBuilder::default();
        for (asn, name) in [(64501, "Example"), (64500, "Example"), (64501, "Other"), (0, "Nobody"), (64502, " ")] {
            builder.add(asn, name).unwrap();
        }
        let names = builder.finish();
        assert_eq!((names.get(64500), names.get(64501), names.get(64502)), (Some("Example"), Some("Example"), None));
        assert_eq!(names.text, "Example");
        assert_eq!(names.iter().collect::<Vec<_>>(), [(64500, "Example"), (64501, "Example")]);
        assert_eq!(names.heap_bytes(), "Example".len() + 2 * size_of::<Entry>());
    }

    #[test]
    fn names_can_be_printed() {
        assert_eq!(printable("  Google \t LLC\r\n"), "Google LLC");
        assert_eq!(printable("a\x1b[31m\u{202e}b\u{0}\u{feff} \u{85} c"), "a[31mb c");
        assert_eq!(printable("M\u{fc}ller"), "M\u{fc}ller");
        let long = "\u{fc}".repeat(1000);
        assert_eq!(printable(&long).len(), NAME_BYTES);
        assert_eq!(printable(&"\u{1b}".repeat(5000)), "");
        let edge = format!("{} b", "a".repeat(NAME_BYTES - 1));
        assert_eq!(printable(&edge), "a".repeat(NAME_BYTES - 1));
    }

    #[test]
    fn more_names_than_the_limit_are_refused() {
        let mut builder = NamesBuilder::default();
        for asn in 1..=NAMES as u32 {
            builder.add(asn, "x").unwrap();
        }
        assert!(builder.add(1, "y").is_ok());
        assert!(builder.add(u32::MAX, "y").is_err());
    }
}
