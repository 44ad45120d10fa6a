//! The direction of a flow, seen from a monitored prefix.

use crate::prefix_table::NONE;

/// The direction of a flow, seen from a monitored prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Its destination is in the prefix, its source in no monitored prefix.
    In,
    /// Its source is in the prefix, its destination in no monitored prefix.
    Out,
    /// Its destination is in the prefix, its source in a monitored prefix too.
    InLocal,
    /// Its source is in the prefix, its destination in a monitored prefix too.
    OutLocal,
}

impl Direction {
    /// All directions, in the order of their declaration; `direction as usize` indexes it.
    pub const ALL: [Self; 4] = [Self::In, Self::Out, Self::InLocal, Self::OutLocal];

    /// The name of the direction in the REST interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::InLocal => "in:local",
            Self::OutLocal => "out:local",
        }
    }
}

/// The longest monitored prefixes (by their index in the table) around the endpoints of a flow, with its direction for
/// each of them. The same direction applies to all prefixes around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Neither endpoint is monitored.
    Neither,
    /// One endpoint is monitored.
    One(u32, Direction),
    /// Both endpoints are monitored. The flow is local for all prefixes; those that contain both endpoints see it leave
    /// and arrive.
    Both {
        /// Around the source.
        source: u32,
        /// Around the destination.
        destination: u32,
    },
}

/// The direction of a flow, from the innermost prefixes around its ends; [`NONE`] where there is none.
#[inline]
pub(crate) fn attribute(source: u32, destination: u32) -> Ends {
    if source != NONE && destination != NONE {
        return Ends::Both { source, destination };
    }
    // The monitored endpoint changes from flow to flow, so a branch would be mispredicted. NONE is all ones.
    match source & destination {
        NONE => Ends::Neither,
        index => Ends::One(index, if source == NONE { Direction::In } else { Direction::Out }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use flow::Prefix;
    use proptest::prelude::*;

    use super::*;
    use crate::prefix_table::PrefixTable;
    use crate::samples::{crowded_address, crowded_prefix};
    use crate::table::ValueKey;

    /// The literal rule: S and D are the prefixes that contain the source and the destination.
    fn naive(prefixes: &[Prefix], source: IpAddr, destination: IpAddr) -> Vec<(u32, Direction)> {
        let containing = |address| (0u32..).zip(prefixes).filter(move |(_, prefix)| prefix.contains(address));
        let local = containing(source).next().is_some() && containing(destination).next().is_some();
        let (out, r#in) =
            if local { (Direction::OutLocal, Direction::InLocal) } else { (Direction::Out, Direction::In) };
        let sources = containing(source).map(|(index, _)| (index, out));
        sources.chain(containing(destination).map(|(index, _)| (index, r#in))).collect()
    }

    fn all(prefixes: &[Prefix], source: IpAddr, destination: IpAddr) -> Vec<(u32, Direction)> {
        let table = PrefixTable::new(prefixes);
        let mut seen = Vec::new();
        let mut walk = |innermost, direction| table.walk(innermost, &mut |index| seen.push((index, direction)));
        let innermost = |address| table.innermost(ValueKey::of_address(address));
        match attribute(innermost(source), innermost(destination)) {
            Ends::Neither => {}
            Ends::One(innermost, direction) => walk(innermost, direction),
            Ends::Both { source, destination } => {
                walk(source, Direction::OutLocal);
                walk(destination, Direction::InLocal);
            }
        }
        seen
    }

    #[test]
    fn a_flow_within_a_prefix_leaves_and_arrives_locally() {
        let prefixes: Vec<Prefix> = vec!["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        let (source, destination) = ("10.1.0.1".parse().unwrap(), "10.2.0.1".parse().unwrap());
        assert_eq!(
            all(&prefixes, source, destination),
            [(1, Direction::OutLocal), (0, Direction::OutLocal), (0, Direction::InLocal)]
        );
    }

    proptest! {
        #[test]
        fn attribution_follows_the_literal_rule(
            prefixes in prop::collection::vec(crowded_prefix(), 0..12),
            source in crowded_address(),
            destination in crowded_address(),
        ) {
            let mut seen = all(&prefixes, source, destination);
            let mut expected = naive(&prefixes, source, destination);
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
