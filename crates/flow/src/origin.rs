//! The words for where an end of a flow belongs: its country, and which source has its AS number.

use std::fmt;

/// Which source has the AS number of an end of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AsSource {
    /// None: there is no AS number.
    #[default]
    None = 0,
    /// The exporter sent it.
    Exporter = 1,
    /// The networks of the operator.
    Network = 2,
    /// The routes of the exporter, by BMP.
    Bmp = 3,
    /// The routes of another router, by BMP.
    OtherBmp = 4,
    /// A file.
    File = 5,
}

impl AsSource {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::None, Self::Exporter, Self::Network, Self::Bmp, Self::OtherBmp, Self::File];

    /// The source with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Short lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exporter => "exporter",
            Self::Network => "network",
            Self::Bmp => "bmp",
            Self::OtherBmp => "other-bmp",
            Self::File => "file",
        }
    }
}

/// The two capital letters of a country (ISO 3166-1 alpha-2, and what registries add to it, such as `EU`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// The country with these two letters, in any case.
    #[must_use]
    pub fn new(letters: &str) -> Option<Self> {
        Self::of_octets(letters.as_bytes().try_into().ok()?)
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The letters as octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 2] {
        self.0
    }

    /// The country with these letters, in any case.
    #[must_use]
    pub fn of_octets(letters: [u8; 2]) -> Option<Self> {
        letters.iter().all(u8::is_ascii_alphabetic).then_some(Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }

    /// The letters as a number of 16 bits, the first in the higher bits. So numbers sort as letters do; no country is 0.
    #[must_use]
    pub const fn number(self) -> u16 {
        u16::from_be_bytes(self.0)
    }

    /// The country with this [number](Self::number).
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        Self::of_octets(number.to_be_bytes()).filter(|country| country.number() == number)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters() {
        assert_eq!(Country::new("ch").unwrap().as_str(), "CH");
        for other in ["", "C", "CHE", "C1", "\u{fc}", "--"] {
            assert_eq!(Country::new(other), None, "{other}");
        }
    }

    #[test]
    fn a_country_is_a_number_that_sorts_like_its_letters() {
        let countries = ["AD", "CH", "DE", "ZW"].map(|letters| Country::new(letters).unwrap());
        assert!(countries.is_sorted_by_key(|country| country.number()));
        for country in countries {
            assert_eq!(Country::of_number(country.number()), Some(country));
        }
        assert_eq!(Country::new("CH").unwrap().number(), 0x4348);
        for number in [0, 1, 0x4349 | 0x20, u16::MAX] {
            assert_eq!(Country::of_number(number), None, "{number:x}");
        }
    }

    #[test]
    fn the_number_of_a_source_is_its_place() {
        for (number, source) in (0..).zip(AsSource::ALL) {
            assert_eq!((source as u8, AsSource::of_number(number)), (number, Some(source)));
        }
        assert_eq!(AsSource::of_number(6), None);
    }
}
