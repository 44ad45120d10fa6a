//! What is known of an address: its AS and its country.

use flow::Country;

/// The AS and the country of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// 0 if no file knows it: AS 0 is reserved (RFC 7607), and files use it for addresses that are not announced.
    asn: u32,
    /// The number of the country; 0 if no file knows it.
    country: u16,
}

impl Origin {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self { asn: 0, country: 0 };

    /// An answer of one file. AS 0 is no answer.
    pub(crate) fn new(asn: u32, country: Option<Country>) -> Self {
        Self { asn, country: country.map_or(0, Country::number) }
    }

    /// With the numbers of the AS and of the country, each 0 if it is not known.
    #[inline]
    pub(crate) const fn of_numbers(asn: u32, country: u16) -> Self {
        Self { asn, country }
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
        Country::of_number(self.country)
    }

    /// The number of the AS; 0 if it is not known.
    #[inline]
    pub(crate) const fn as_number(self) -> u32 {
        self.asn
    }

    /// The [number](Country::number) of the country; 0 if it is not known.
    #[inline]
    pub(crate) const fn country_number(self) -> u16 {
        self.country
    }

    /// What is missing is filled in by what another file knows.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            asn: if self.asn == 0 { other.asn } else { self.asn },
            country: if self.country == 0 { other.country } else { self.country },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_knows_it_answers() {
        let country = Country::new("DE");
        let first = Origin::UNKNOWN.or(Origin::new(0, country));
        let both = first.or(Origin::new(64500, Country::new("FR"))).or(Origin::new(64501, None));
        assert_eq!((both.asn(), both.country()), (Some(64500), country));
        assert_eq!((first.asn(), Origin::UNKNOWN.country()), (None, None));
    }
}
