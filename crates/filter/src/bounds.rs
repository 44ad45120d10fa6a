//! What is known of many rows without reading them: of columns the least and the greatest value, and addresses that they do not
//! have. It may decide that no row matches, or which tests need not be made. What is not known for sure is tested.

use std::net::IpAddr;

use columns::Id;

use crate::expression::{Comparison, Expression, Test};
use crate::quantity::Quantity;

/// What is known of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Nothing.
    Unknown,
    /// All numbers are from the first to the second. Of a column of texts: all of them are empty.
    Numbers(u64, u64),
    /// All addresses are in these ranges: IPv4 as numbers, IPv6. `None` if no row has an address of the family.
    Addresses {
        /// The least and the greatest IPv4 address.
        v4: Option<(u32, u32)>,
        /// The least and the greatest IPv6 address.
        v6: Option<([u8; 16], [u8; 16])>,
    },
}

/// What is known of many rows.
pub trait Known {
    /// Of the values of a column.
    fn bounds(&self, id: Id) -> Bounds;

    /// Whether a column of addresses may have an address, which is within its bounds.
    fn may_contain(&self, id: Id, address: IpAddr) -> bool;
}

/// Of a list of more addresses, it is not asked whether a column may have them: most of the rows would be read anyway.
const MOST_ADDRESSES: usize = 16;

/// How many of many rows match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matches {
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

/// What is left of an expression for some rows.
pub(crate) enum Left {
    /// None of them matches.
    None,
    /// All do.
    All,
    /// Those match for which this holds.
    Some(Expression),
}

impl Left {
    fn not(self) -> Self {
        match self {
            Self::None => Self::All,
            Self::All => Self::None,
            Self::Some(expression) => Self::Some(Expression::Not(Box::new(expression))),
        }
    }
}

impl Expression {
    pub(crate) fn given(&self, known: &impl Known) -> Left {
        match self {
            Self::Test(test) => match test.matches(known) {
                Matches::None => Left::None,
                Matches::All => Left::All,
                Matches::Some => Left::Some(self.clone()),
            },
            Self::Not(inner) => inner.given(known).not(),
            Self::All(parts) => {
                let mut left = Vec::new();
                for part in parts {
                    match part.given(known) {
                        Left::None => return Left::None,
                        Left::All => {}
                        Left::Some(part) => left.push(part),
                    }
                }
                one_or(left, Self::All).map_or(Left::All, Left::Some)
            }
            Self::Any(parts) => {
                let mut left = Vec::new();
                for part in parts {
                    match part.given(known) {
                        Left::None => {}
                        Left::All => return Left::All,
                        Left::Some(part) => left.push(part),
                    }
                }
                one_or(left, Self::Any).map_or(Left::None, Left::Some)
            }
        }
    }
}

fn one_or(mut parts: Vec<Expression>, several: impl Fn(Vec<Expression>) -> Expression) -> Option<Expression> {
    if parts.len() > 1 { Some(several(parts)) } else { parts.pop() }
}

impl Test {
    fn matches(&self, known: &impl Known) -> Matches {
        let bounds = |id| known.bounds(id);
        match self {
            Self::Number(quantity, numbers) => {
                let (min, max) = span(*quantity, &bounds);
                Matches::of(numbers.overlaps(min, max), numbers.covers(min, max))
            }
            // Numbers with these bits are at least as great.
            Self::AllBits(quantity, bits) => match span(*quantity, &bounds) {
                (min, max) if min == max => Matches::of(min & bits == *bits, true),
                (_, max) => Matches::of(max >= *bits, false),
            },
            Self::NoBits(quantity, bits) => match span(*quantity, &bounds) {
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
                    let must = must_v4 && must_v6;
                    let may_contain = |address| known.may_contain(*id, address);
                    let can_be = || set.few(MOST_ADDRESSES).is_none_or(|mut few| few.any(may_contain));
                    Matches::of((can_v4 || can_v6) && (must || can_be()), must)
                }
                Bounds::Unknown | Bounds::Numbers(..) => Matches::Some,
            },
            Self::AsPath(id, paths) => match bounds(*id) {
                // No row has a path.
                Bounds::Numbers(..) => Matches::of(paths.matches(None), true),
                Bounds::Unknown | Bounds::Addresses { .. } => Matches::Some,
            },
            Self::Order(left, comparison, right) => order(span(*left, &bounds), *comparison, span(*right, &bounds)),
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
