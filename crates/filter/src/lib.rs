//! Filters for flows, in the words that operators know from tcpdump and nfdump. There is one language for live flows, kept
//! flows and the REST interface; `docs/filter.md` has its words.
//!
//! ```text
//! filter     = [ or ]
//! or         = and { ( "or" | "||" ) and }
//! and        = not { ( "and" | "&&" ) not }
//! not        = { "not" | "!" } ( "(" or ")" | test )
//! test       = "any" | "ipv4" | "ipv6" | protocol [ comparison ] | comparison
//! comparison = words [ sign ] value | words "in" "[" { value [ "," ] } "]" | words [ sign ] words
//! sign       = "=" | "==" | "!=" | ">" | "<" | ">=" | "<=" | "eq" | "ne" | "gt" | "lt" | "ge" | "le" | "is"
//! ```
//!
//! | file | content |
//! | --- | --- |
//! | `words` | **the words**, beyond those of the table of columns |
//! | `quantity` | what is compared: columns, and values derived from them |
//! | `value`, `ranges` | values as they are written; sets of them |
//! | `token`, `parser`, `error` | from the text to an expression |
//! | `expression` | the expression, and how it holds for a row |
//! | `select` | the same for many rows, column by column |
//! | `bounds` | what is left to be tested where something is known of many rows |
//! | `document` | `docs/filter.md` |
//!
//! A filter is read in time proportional to its length, and tested in time proportional to its tests
//! ([`Filter::tests`]). It does not allocate when it is tested for a row.

mod as_paths;
mod bounds;
pub mod document;
mod error;
mod expression;
mod parser;
mod quantity;
mod ranges;
mod select;
mod token;
mod value;
mod words;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use columns::{Columns, Id, Row};
use flow::Networks;

pub use as_paths::AsPaths;
pub use bounds::{Bounds, Known};
pub use error::FilterError;
pub use expression::{Comparison, Expression, Test};
pub use quantity::Quantity;
pub use ranges::{AddressSet, Ranges};
pub use select::{ColumnValues, Selection};

use bounds::Left;
use ranges::AddressRange;

/// The longest filter, in octets: a list of about a thousand addresses.
pub const LONGEST_BYTES: usize = 16 * 1024;
/// How deep parentheses and negations may be nested.
pub const DEEPEST: usize = 32;

/// A condition for flows; the default is none, which every flow meets. Its text form reads as the same filter and shows what
/// its words mean, in columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Option<Expression>);

impl Filter {
    /// Reads a filter in which the words of these networks (names, customers, tags) mean their addresses. They mean those of
    /// now, as long as the filter is used.
    ///
    /// # Errors
    /// If the text is no filter.
    pub fn read(text: &str, networks: &Networks) -> Result<Self, FilterError> {
        parser::parse(text, networks).map(Self)
    }

    /// Whether it is empty: every row matches.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What it means, for those that write it in another language; `None` if every row matches.
    #[must_use]
    pub const fn expression(&self) -> Option<&Expression> {
        self.0.as_ref()
    }

    /// What matches this filter and another one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(left), Some(right)) => Self(Some(Expression::All(vec![left, right]))),
            (left, right) => Self(left.or(right)),
        }
    }

    /// What has one of these addresses in a column; of none, no row.
    #[must_use]
    pub fn with_address(id: Id, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let ranges = addresses.into_iter().filter_map(|address| AddressRange::new(address, address)).collect();
        Self(Some(Expression::Test(Test::Address(id, AddressSet::new(ranges)))))
    }

    /// Whether a row matches.
    #[must_use]
    pub fn passes(&self, row: &Row) -> bool {
        self.0.as_ref().is_none_or(|expression| expression.holds(row))
    }

    /// The rows that match.
    #[must_use]
    pub fn select(&self, columns: &impl ColumnValues) -> Selection {
        let all = || Selection::new(columns.rows(), true);
        self.0.as_ref().map_or_else(all, |expression| expression.select(columns))
    }

    /// What is left to be tested of rows of which something is known; `None` if none of them matches.
    #[must_use]
    pub fn given(&self, known: &impl Known) -> Option<Self> {
        let Some(expression) = &self.0 else { return Some(Self(None)) };
        match expression.given(known) {
            Left::None => None,
            Left::All => Some(Self(None)),
            Left::Some(expression) => Some(Self(Some(expression))),
        }
    }

    /// The columns that it reads.
    #[must_use]
    pub fn columns(&self) -> Columns {
        let mut columns = Columns::NONE;
        self.each_test(|test| {
            let (left, right) = test.columns();
            left.iter().chain(right).for_each(|id| columns.add(*id));
        });
        columns
    }

    /// How many tests it makes of a row at most. A list is one.
    #[must_use]
    pub fn tests(&self) -> usize {
        let mut tests = 0;
        self.each_test(|_| tests += 1);
        tests
    }

    fn each_test<'f>(&'f self, mut visitor: impl FnMut(&'f Test)) {
        if let Some(expression) = &self.0 {
            expression.tests(&mut visitor);
        }
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
        self.0.as_ref().map_or(Ok(()), |expression| write!(f, "{expression}"))
    }
}

#[cfg(test)]
mod tests;
