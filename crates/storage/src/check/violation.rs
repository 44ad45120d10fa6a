//! What does not hold, and which totals are lower bounds, in words for an operator.

use std::fmt;
use std::net::IpAddr;

use accounting::block::{BlockError, Origin, WriterId};
use accounting::direction::Direction;
use accounting::field::Field;
use accounting::period::{Interval, Period};
use flow::{Counters, Prefix};

/// Something that does not hold. Shows as one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A block that cannot be read.
    Damaged(BlockError),
    /// The values of a field do not add up to `all` in one flush or roll-up.
    Unbalanced {
        /// Where.
        place: Place,
        /// The flush or roll-up.
        origin: Origin,
        /// The direction.
        direction: Direction,
        /// The field.
        field: Field,
        /// What its values and what was folded add up to.
        values: Counters,
        /// What `all` counts.
        all: Counters,
    },
    /// A coarser interval does not add up to its finer ones.
    Summed {
        /// Where, of the coarser interval.
        place: Place,
        /// The direction.
        direction: Direction,
        /// The field.
        field: Field,
        /// What the coarser interval counts.
        coarse: Counters,
        /// What its finer ones add up to.
        finer: Counters,
    },
    /// The totals of a coarser interval are those of its finer ones, but not what is kept beside them: the variance of
    /// sampled flows, or which fields are complete.
    AboutAll {
        /// Where, of the coarser interval.
        place: Place,
        /// The direction.
        direction: Direction,
    },
    /// The totals of a coarser interval are those of its finer ones, but not all under the same names.
    Names {
        /// Where, of the coarser interval.
        place: Place,
        /// The direction.
        direction: Direction,
        /// The field.
        field: Field,
    },
}

/// A total of which a counter has reached 2^64 - 1. Shows as one line for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saturated {
    /// Where.
    pub place: Place,
    /// The direction.
    pub direction: Direction,
    /// The total.
    pub counters: Counters,
}

/// All blocks of a writer, interval, sender and prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The writer.
    pub writer: WriterId,
    /// The interval.
    pub interval: Interval,
    /// The sender and its prefix.
    pub group: (IpAddr, Prefix),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer, interval, group: (sender, prefix) } = self;
        write!(f, "{} {interval}, sender {sender}, prefix {prefix}, writer {writer}", interval.period.name())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(error) => error.fmt(f),
            Self::Unbalanced { place, origin, direction, field, values, all } => {
                write!(f, "{place}, {origin}: {} {} adds up to ", direction.name(), field.name())?;
                write!(f, "{}, but all is {}", Shown(values), Shown(all))
            }
            Self::Summed { place, direction, field, coarse, finer } => {
                write!(f, "{place}: {} {} is {}, ", direction.name(), field.name(), Shown(coarse))?;
                write!(f, "but its {}s add up to {}", finer_name(place), Shown(finer))
            }
            Self::AboutAll { place, direction } => {
                write!(
                    f,
                    "{place}: {} all adds up, but its sampling variance or its complete fields ",
                    direction.name()
                )?;
                write!(f, "are not those of its {}s", finer_name(place))
            }
            Self::Names { place, direction, field } => {
                write!(f, "{place}: {} {} adds up, ", direction.name(), field.name())?;
                write!(f, "but under other names than its {}s", finer_name(place))
            }
        }
    }
}

impl fmt::Display for Saturated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, direction, counters } = self;
        write!(f, "{place}: {} all is a lower bound, a counter reached its end: {}", direction.name(), Shown(counters))
    }
}

fn finer_name(place: &Place) -> &'static str {
    place.interval.period.finer().map_or("part", Period::name)
}

struct Shown<'c>(&'c Counters);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { bytes, packets, flows } = self.0;
        write!(f, "{bytes} bytes, {packets} packets, {flows} flows")
    }
}
