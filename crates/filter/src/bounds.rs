//! What is known of many rows from the least and the greatest value of columns, without reading them: whether none of them
//! can match, or all do. What is not known for sure is "some".

use columns::Id;

use crate::expression::{Comparison, Expression, Test};
use crate::quantity::Quantity;

/// What is known of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Nothing.
    Unknown,
    /// All numbers are from the first to the second.
    Numbers(u64, u64),
    /// All addresses are in these ranges: IPv4 as numbers, IPv6. `None` if no row has an address of the family.
    Addresses {
        /// The least and the greatest IPv4 address.
        v4: Option<(u32, u32)>,
        /// The least and the greatest IPv6 address.
        v6: Option<([u8; 16], [u8; 16])>,
    },
}

/// How many of many rows match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matches {
    /// None does.
    None,
    /// It is not known: any number of them.
    Some,
    /// All do.
    All,
}

impl Matches {
    const fn of(can_be: bool, must_be: bool) -> Self {
        match (can_be, must_be) {
            (false, _) => Self::None,
            (true, false) => Self::Some,
            (true, true) => Self::All,
        }
    }

    const fn not(self) -> Self {
        match self {
            Self::None => Self::All,
            Self::Some => Self::Some,
            Self::All => Self::None,
        }
    }
}

impl Expression {
    pub(crate) fn matches(&self, bounds: &impl Fn(Id) -> Bounds) -> Matches {
        match self {
            Self::Test(test) => test.matches(bounds),
            Self::Not(inner) => inner.matches(bounds).not(),
            Self::All(parts) => all(parts.iter().map(|part| part.matches(bounds))),
            Self::Any(parts) => all(parts.iter().map(|part| part.matches(bounds).not())).not(),
        }
    }
}

fn all(parts: impl Iterator<Item = Matches>) -> Matches {
    let mut least = Matches::All;
    for part in parts {
        match part {
            Matches::None => return Matches::None,
            Matches::Some => least = Matches::Some,
            Matches::All => {}
        }
    }
    least
}

impl Test {
    fn matches(&self, bounds: &impl Fn(Id) -> Bounds) -> Matches {
        match self {
            Self::Number(quantity, numbers) => {
                let (min, max) = span(*quantity, bounds);
                Matches::of(numbers.overlaps(min, max), numbers.covers(min, max))
            }
            // Numbers with these bits are at least as great.
            Self::AllBits(quantity, bits) => match span(*quantity, bounds) {
                (min, max) if min == max => Matches::of(min & bits == *bits, true),
                (_, max) => Matches::of(max >= *bits, false),
            },
            Self::NoBits(quantity, bits) => match span(*quantity, bounds) {
                (min, max) if min == max => Matches::of(min & bits == 0, true),
                _ => Matches::Some,
            },
            Self::Address(id, set) => match bounds(*id) {
                Bounds::Addresses { v4, v6 } => {
                    let v6 = v6.map(|(min, max)| (u128::from_be_bytes(min), u128::from_be_bytes(max)));
                    let can_v4 = v4.is_some_and(|(min, max)| set.v4.overlaps(min, max));
                    let can_v6 = v6.is_some_and(|(min, max)| set.v6.overlaps(min, max));
                    let must_v4 = v4.is_none_or(|(min, max)| set.v4.covers(min, max));
                    let must_v6 = v6.is_none_or(|(min, max)| set.v6.covers(min, max));
                    Matches::of(can_v4 || can_v6, must_v4 && must_v6)
                }
                Bounds::Unknown | Bounds::Numbers(..) => Matches::Some,
            },
            Self::Order(left, comparison, right) => order(span(*left, bounds), *comparison, span(*right, bounds)),
            Self::SameAddress(..) => Matches::Some,
        }
    }
}

fn order(left: (u64, u64), comparison: Comparison, right: (u64, u64)) -> Matches {
    let is_less = |left: (u64, u64), right: (u64, u64)| Matches::of(left.0 < right.1, left.1 < right.0);
    match comparison {
        Comparison::Less => is_less(left, right),
        Comparison::More => is_less(right, left),
        Comparison::AtLeast => is_less(left, right).not(),
        Comparison::AtMost => is_less(right, left).not(),
        Comparison::Equal => {
            let can_be = left.0 <= right.1 && right.0 <= left.1;
            Matches::of(can_be, left.0 == left.1 && left == right)
        }
    }
}

/// The least and the greatest value that a quantity can have.
fn span(quantity: Quantity, bounds: &impl Fn(Id) -> Bounds) -> (u64, u64) {
    let of = |id: Id| match bounds(id) {
        Bounds::Numbers(min, max) => (min, max),
        Bounds::Unknown | Bounds::Addresses { .. } => (0, id.column().kind.largest()),
    };
    let sum = |(a, b): (u64, u64), (c, d): (u64, u64)| (a.saturating_add(c), b.saturating_add(d));
    match quantity {
        Quantity::Column(id) => of(id),
        Quantity::Bytes => sum(of(Id::Bytes), of(Id::RevBytes)),
        Quantity::Packets => sum(of(Id::Packets), of(Id::RevPackets)),
        Quantity::Dscp => {
            let (min, max) = of(Id::Tos);
            (min >> 2, max >> 2)
        }
        // A start that is missing makes a duration of 0.
        Quantity::Duration => (0, of(Id::End).1.saturating_sub(of(Id::Start).0)),
        Quantity::Ecn | Quantity::BitsPerSecond | Quantity::PacketsPerSecond | Quantity::BytesPerPacket => {
            (0, quantity.largest())
        }
    }
}
