//! The filter of a subscriber: the language is that of the crate `filter`, and its cost has a limit, because the counting
//! threads apply it to every flow.

use std::fmt;
use std::str::FromStr;

use ::filter::FilterError;
use columns::Row;
use flow::Networks;

/// The most tests of a filter. A list is one test, or two for words that mean either end.
pub const MOST_TESTS: usize = 256;

/// A condition for flows; the default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(::filter::Filter);

impl Filter {
    /// Reads a filter, in which the words of these networks mean their addresses.
    ///
    /// # Errors
    /// If the text is no filter, or makes too many tests.
    pub fn read(text: &str, networks: &Networks) -> Result<Self, FilterError> {
        let filter = ::filter::Filter::read(text, networks)?;
        match filter.tests() {
            ..=MOST_TESTS => Ok(Self(filter)),
            tests => {
                let message = format!(
                    "the filter makes {tests} tests of each flow, which is more than {MOST_TESTS}: use lists, such as \
                     port in [80, 443]"
                );
                Err(FilterError { column: 1, message })
            }
        }
    }

    /// Whether a flow matches.
    #[must_use]
    pub fn passes(&self, row: &Row) -> bool {
        self.0.passes(row)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::read(text, &Networks::default())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_filter_is_limited() {
        let of = |tests| vec!["udp"; tests].join(" or ").parse::<Filter>();
        assert!(of(MOST_TESTS).is_ok());
        let error = of(MOST_TESTS + 1).unwrap_err().to_string();
        assert!(
            error.starts_with("column 1: the filter makes 257 tests of each flow, which is more than 256"),
            "{error}"
        );
        assert!(format!("host in [{}]", "192.0.2.1 ".repeat(1000)).parse::<Filter>().is_ok());
    }
}
