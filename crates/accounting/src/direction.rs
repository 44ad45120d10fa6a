//! Where a flow goes, seen from a monitored prefix.

use std::net::IpAddr;

use crate::prefix_table::PrefixTable;

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

/// Visits each prefix (by its index in the table) that a flow counts for, with the direction that it has there. Nested
/// prefixes all count. Returns whether there was any.
///
/// When both ends are in monitored prefixes, the flow is local for all of them, the prefixes that contain both ends
/// included: they see it leave and arrive.
#[inline]
pub fn attribute(
    table: &PrefixTable,
    source: IpAddr,
    destination: IpAddr,
    visit: &mut impl FnMut(u32, Direction),
) -> bool {
    let from = table.innermost(source);
    let to = table.innermost(destination);
    let (outwards, inwards) = match (from, to) {
        (Some(_), Some(_)) => (Direction::OutLocal, Direction::InLocal),
        _ => (Direction::Out, Direction::In),
    };
    table.walk(from, &mut |index| visit(index, outwards));
    table.walk(to, &mut |index| visit(index, inwards));
    from.is_some() || to.is_some()
}

#[cfg(test)]
mod tests {
    use flow::Prefix;
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{crowded_address, crowded_prefix};

    /// The rule word by word: S and D are the prefixes that contain the source and the destination.
    fn naive(prefixes: &[Prefix], source: IpAddr, destination: IpAddr) -> Vec<(u32, Direction)> {
        let containing = |address| (0u32..).zip(prefixes).filter(move |(_, prefix)| prefix.contains(address));
        let local = containing(source).next().is_some() && containing(destination).next().is_some();
        let (out, r#in) =
            if local { (Direction::OutLocal, Direction::InLocal) } else { (Direction::Out, Direction::In) };
        let sources = containing(source).map(|(index, _)| (index, out));
        sources.chain(containing(destination).map(|(index, _)| (index, r#in))).collect()
    }

    #[test]
    fn a_flow_within_a_prefix_leaves_and_arrives_locally() {
        let prefixes: Vec<Prefix> = vec!["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        let mut seen = Vec::new();
        let (source, destination) = ("10.1.0.1".parse().unwrap(), "10.2.0.1".parse().unwrap());
        assert!(attribute(&PrefixTable::new(&prefixes), source, destination, &mut |i, d| seen.push((i, d))));
        assert_eq!(seen, [(1, Direction::OutLocal), (0, Direction::OutLocal), (0, Direction::InLocal)]);
    }

    proptest! {
        #[test]
        fn attribution_is_the_rule_word_by_word(
            prefixes in prop::collection::vec(crowded_prefix(), 0..12),
            source in crowded_address(),
            destination in crowded_address(),
        ) {
            let mut seen = Vec::new();
            let matched = attribute(&PrefixTable::new(&prefixes), source, destination, &mut |i, d| seen.push((i, d)));
            let mut expected = naive(&prefixes, source, destination);
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(matched, !expected.is_empty());
            prop_assert_eq!(seen, expected);
        }
    }
}
