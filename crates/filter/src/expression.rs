//! What a filter means: conditions for columns, and how they hold for one row. [`crate::select`] applies them to many rows,
//! [`crate::bounds`] to the bounds of many.

use std::fmt;

use columns::{Id, Row};

use crate::as_paths::AsPaths;
use crate::quantity::{Form, Quantity};
use crate::ranges::{AddressSet, Countries, Ranges};
use crate::words::FLAGS;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// One that is tested.
    Test(Test),
    /// What this one is not.
    Not(Box<Self>),
    /// Of none, every row.
    All(Vec<Self>),
    /// Of none, no row.
    Any(Vec<Self>),
}

/// A test of the values of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The value is one of these numbers.
    Number(Quantity, Ranges<u64>),
    /// The address is one of these.
    Address(Id, AddressSet),
    /// The AS path is one of these, or has one of them in it.
    AsPath(Id, AsPaths),
    /// All of these bits are set.
    AllBits(Quantity, u64),
    /// None of these bits is set.
    NoBits(Quantity, u64),
    /// Two numbers are in this order.
    Order(Quantity, Comparison, Quantity),
    /// Two addresses are the same.
    SameAddress(Id, Id),
}

/// How two numbers are compared. That they differ is written as [`Expression::Not`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The left one is larger.
    More,
    /// The left one is smaller.
    Less,
    /// The left one is not smaller.
    AtLeast,
    /// The left one is not larger.
    AtMost,
    /// Both are the same.
    Equal,
}

impl Expression {
    pub(crate) fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Test(test) => test.holds(row),
            Self::Not(inner) => !inner.holds(row),
            Self::All(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row)),
        }
    }

    /// Calls the visitor with each test.
    pub(crate) fn tests<'e>(&'e self, visitor: &mut impl FnMut(&'e Test)) {
        match self {
            Self::Test(test) => visitor(test),
            Self::Not(inner) => inner.tests(visitor),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.tests(visitor)),
        }
    }
}

impl Test {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Number(quantity, numbers) => numbers.contains(quantity.of(row)),
            Self::Address(id, addresses) => addresses.contains(row.address(*id)),
            Self::AsPath(id, paths) => paths.matches(row.text(*id)),
            Self::AllBits(quantity, bits) => quantity.of(row) & bits == *bits,
            Self::NoBits(quantity, bits) => quantity.of(row) & bits == 0,
            Self::Order(left, comparison, right) => comparison.holds(left.of(row), right.of(row)),
            Self::SameAddress(left, right) => row.address(*left) == row.address(*right),
        }
    }

    /// The columns that it reads.
    pub(crate) fn columns(&self) -> (&[Id], &[Id]) {
        match self {
            Self::Number(quantity, _) | Self::AllBits(quantity, _) | Self::NoBits(quantity, _) => {
                (quantity.inputs(), &[])
            }
            Self::Address(id, _) | Self::AsPath(id, _) => (std::slice::from_ref(id), &[]),
            Self::Order(left, _, right) => (left.inputs(), right.inputs()),
            Self::SameAddress(left, right) => (std::slice::from_ref(left), std::slice::from_ref(right)),
        }
    }
}

impl Comparison {
    pub(crate) const ALL: [(&'static str, Self); 5] =
        [(">", Self::More), ("<", Self::Less), (">=", Self::AtLeast), ("<=", Self::AtMost), ("=", Self::Equal)];

    #[inline]
    pub(crate) fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::More => left > right,
            Self::Less => left < right,
            Self::AtLeast => left >= right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
        }
    }

    /// The numbers up to the largest that are in this order to one.
    pub(crate) fn numbers(self, number: u64, largest: u64) -> Ranges<u64> {
        let range = match self {
            Self::More => number.checked_add(1).map(|first| (first, largest)),
            Self::Less => number.checked_sub(1).map(|last| (0, last)),
            Self::AtLeast => Some((number, largest)),
            Self::AtMost => Some((0, number)),
            Self::Equal => Some((number, number)),
        };
        Ranges::new(range.into_iter().filter(|(first, last)| first <= last).collect())
    }
}

/// Reads as the same expression.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(test) => write!(f, "{test}"),
            Self::Not(inner) => match inner.as_ref() {
                // `not flags SA` has a meaning of its own.
                Self::Test(Test::AllBits(..)) | Self::All(_) | Self::Any(_) => write!(f, "not ({inner})"),
                Self::Test(_) | Self::Not(_) => write!(f, "not {inner}"),
            },
            Self::All(parts) if parts.is_empty() => f.write_str("any"),
            Self::All(parts) => joined(parts, " and ", |part| matches!(part, Self::All(_) | Self::Any(_)), f),
            Self::Any(parts) => joined(parts, " or ", |part| matches!(part, Self::Any(_)), f),
        }
    }
}

/// Parts with a word between them, in parentheses where the text would read as another filter.
fn joined(
    parts: &[Expression],
    word: &str,
    apart: impl Fn(&Expression) -> bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        f.write_str(if index > 0 { word } else { "" })?;
        if apart(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(quantity, numbers) if quantity.form() == Form::Country => {
                write!(f, "{quantity} {}", Countries(numbers))
            }
            Self::Number(quantity, numbers) => write!(f, "{quantity} {numbers}"),
            Self::Address(id, addresses) => write!(f, "{} {addresses}", id.column().name),
            Self::AsPath(id, paths) => write!(f, "{} {paths}", id.column().name),
            Self::AllBits(quantity, bits) => write!(f, "{quantity} {}", Bits(*quantity, *bits)),
            Self::NoBits(quantity, bits) => write!(f, "not {quantity} {}", Bits(*quantity, *bits)),
            Self::Order(left, comparison, right) => write!(f, "{left} {comparison} {right}"),
            Self::SameAddress(left, right) => write!(f, "{} = {}", left.column().name, right.column().name),
        }
    }
}

/// Flags as letters, or as a number if not all have one.
struct Bits(Quantity, u64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(quantity, bits) = *self;
        let set = FLAGS.iter().filter(|(_, flag)| bits & flag != 0);
        let is_lettered = quantity.form() == Form::Flags && set.clone().fold(0, |all, (_, flag)| all | flag) == bits;
        if is_lettered { set.map(|(letter, _)| letter).collect::<String>().fmt(f) } else { bits.fmt(f) }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Self::ALL.iter().find_map(|(sign, comparison)| (comparison == self).then_some(*sign));
        f.write_str(sign.unwrap_or_default())
    }
}
