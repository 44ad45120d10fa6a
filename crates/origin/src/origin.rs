//! What is known of an address: its AS, its country, and which file answered.

use flow::Country;

/// The AS and the country of an address, and the files that know them. Eight octets, so that a table holds it for each range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// 0 if no file knows it: AS 0 is reserved (RFC 7607), and files use it for addresses that are not announced.
    asn: u32,
    country: [u8; 2],
    asn_file: u8,
    country_file: u8,
}

impl Origin {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self { asn: 0, country: [0; 2], asn_file: 0, country_file: 0 };

    /// An answer of one file, before it has a place among the files of a table. AS 0 is no answer.
    pub(crate) fn new(asn: u32, country: Option<Country>) -> Self {
        Self { asn, country: country.map_or([0; 2], Country::octets), ..Self::UNKNOWN }
    }

    /// The number of the AS that announces the address; never 0.
    #[must_use]
    pub fn asn(self) -> Option<u32> {
        (self.asn != 0).then_some(self.asn)
    }

    /// The country of the address. What that means is up to the file: where the network is used, or where its holder is
    /// registered.
    #[must_use]
    pub fn country(self) -> Option<Country> {
        Country::of_octets(self.country)
    }

    /// The [number](Country::number) of the country; 0 if it is not known.
    pub(crate) const fn country_number(self) -> u16 {
        u16::from_be_bytes(self.country)
    }

    /// Which file knows the AS: an index into [`Table::files`](crate::Table::files).
    #[must_use]
    pub fn asn_file(self) -> Option<usize> {
        (self.asn != 0).then_some(self.asn_file.into())
    }

    /// Which file knows the country: an index into [`Table::files`](crate::Table::files).
    #[must_use]
    pub fn country_file(self) -> Option<usize> {
        (self.country != [0; 2]).then_some(self.country_file.into())
    }

    /// What is missing is filled in by what this file knows.
    pub(crate) fn or(mut self, other: Self, file: u8) -> Self {
        if self.asn == 0 && other.asn != 0 {
            (self.asn, self.asn_file) = (other.asn, file);
        }
        if self.country == [0; 2] && other.country != [0; 2] {
            (self.country, self.country_file) = (other.country, file);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_small() {
        assert_eq!(size_of::<Origin>(), 8);
    }

    #[test]
    fn the_first_file_that_knows_it_answers() {
        let country = Country::new("DE");
        let first = Origin::UNKNOWN.or(Origin::new(0, country), 0);
        let both = first.or(Origin::new(64500, Country::new("FR")), 1).or(Origin::new(64501, None), 2);
        assert_eq!((both.asn(), both.asn_file()), (Some(64500), Some(1)));
        assert_eq!((both.country(), both.country_file()), (country, Some(0)));
        assert_eq!((first.asn(), first.asn_file()), (None, None));
        assert_eq!(Origin::UNKNOWN.country_file(), None);
    }
}
