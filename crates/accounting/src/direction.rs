//! The direction of a flow, seen from a monitored prefix.

use crate::prefix_table::NONE;

/// The direction of a flow, seen from a monitored prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Its destination is in the prefix.
    In,
    /// Its source is in the prefix.
    Out,
    /// Its destination is in the prefix, and both ends are in own networks.
    InLocal,
    /// Its source is in the prefix, and both ends are in own networks.
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
    /// Both endpoints are monitored. Prefixes that contain both see the flow leave and arrive.
    Both([(u32, Direction); 2]),
}

/// The direction of a flow, from the innermost prefixes around its ends; [`NONE`] where there is none. `is_local` is only
/// called when one of them is monitored; its argument is whether both are.
#[inline(always)]
pub(crate) fn attribute(source: u32, destination: u32, is_local: impl FnOnce(bool) -> bool) -> Ends {
    // The monitored endpoint changes from flow to flow, so a branch would be mispredicted. NONE is all ones.
    let one = source & destination;
    if one == NONE {
        return Ends::Neither;
    }
    let are_monitored = source != NONE && destination != NONE;
    let (out, r#in) = if is_local(are_monitored) {
        (Direction::OutLocal, Direction::InLocal)
    } else {
        (Direction::Out, Direction::In)
    };
    if are_monitored {
        return Ends::Both([(source, out), (destination, r#in)]);
    }
    Ends::One(one, if source == NONE { r#in } else { out })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use flow::Prefix;
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{crowded_address, crowded_prefix};
    use crate::table::ValueKey;
    use crate::tally::{GroupId, Monitored, OwnNetworks};

    /// The literal rule: S and D are the prefixes that contain the source and the destination. Default routes are no own
    /// networks unless they are stated.
    fn naive(
        prefixes: &[Prefix],
        own: Option<&[Prefix]>,
        source: IpAddr,
        destination: IpAddr,
    ) -> Vec<(u32, Direction)> {
        let containing = |address| (0u32..).zip(prefixes).filter(move |(_, prefix)| prefix.contains(address));
        let is_own = |address| match own {
            Some(own) => own.iter().any(|prefix| prefix.contains(address)),
            None => prefixes.iter().any(|prefix| !prefix.is_default_route() && prefix.contains(address)),
        };
        let local = is_own(source) && is_own(destination);
        let (out, r#in) =
            if local { (Direction::OutLocal, Direction::InLocal) } else { (Direction::Out, Direction::In) };
        let sources = containing(source).map(|(index, _)| (index, out));
        sources.chain(containing(destination).map(|(index, _)| (index, r#in))).collect()
    }

    fn all(prefixes: &[Prefix], own: Option<&[Prefix]>, source: IpAddr, destination: IpAddr) -> Vec<(u32, Direction)> {
        let groups: Vec<_> = prefixes.iter().copied().zip((0..).map(GroupId)).collect();
        let own = own.map_or_else(OwnNetworks::default, OwnNetworks::stated);
        let monitored = Monitored::new(IpAddr::from([192, 0, 2, 1]), &groups).with_own(own);
        let mut seen = Vec::new();
        let mut walk =
            |(innermost, direction)| monitored.table().walk(innermost, &mut |index| seen.push((index, direction)));
        match monitored.ends(ValueKey::of_address(source), ValueKey::of_address(destination)) {
            Ends::Neither => {}
            Ends::One(innermost, direction) => walk((innermost, direction)),
            Ends::Both(both) => both.into_iter().for_each(walk),
        }
        seen
    }

    #[test]
    fn a_flow_within_a_prefix_leaves_and_arrives_locally() {
        let prefixes: Vec<Prefix> = vec!["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        let (source, destination) = ("10.1.0.1".parse().unwrap(), "10.2.0.1".parse().unwrap());
        assert_eq!(
            all(&prefixes, None, source, destination),
            [(1, Direction::OutLocal), (0, Direction::OutLocal), (0, Direction::InLocal)]
        );
    }

    #[test]
    fn a_default_route_makes_no_flow_local_and_sees_every_flow_both_ways() {
        let prefixes: Vec<Prefix> = ["0.0.0.0/0", "10.0.0.0/8"].map(|prefix| prefix.parse().unwrap()).into();
        let (inside, outside) = ("10.1.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert_eq!(
            all(&prefixes, None, inside, outside),
            [(1, Direction::Out), (0, Direction::Out), (0, Direction::In)]
        );
        assert_eq!(all(&prefixes[..1], None, inside, outside), [(0, Direction::Out), (0, Direction::In)]);
        let other = "10.2.0.1".parse().unwrap();
        assert_eq!(all(&prefixes[..1], None, inside, other), [(0, Direction::Out), (0, Direction::In)]);
        assert!(all(&prefixes, None, inside, other).iter().all(|(_, seen)| seen.name().ends_with(":local")));
    }

    #[test]
    fn stated_own_networks_replace_the_monitored_prefixes() {
        let prefixes: Vec<Prefix> = ["10.0.0.0/8", "10.1.0.0/16"].map(|prefix| prefix.parse().unwrap()).into();
        let own: Vec<Prefix> = ["10.1.0.0/16", "198.51.100.0/24"].map(|prefix| prefix.parse().unwrap()).into();
        let own = Some(own.as_slice());
        let [customer, other, unmonitored] = ["10.1.0.1", "10.2.0.1", "198.51.100.1"].map(|it| it.parse().unwrap());
        // The aggregate around the customer's prefix is no own network.
        assert_eq!(
            all(&prefixes, own, customer, other),
            [(1, Direction::Out), (0, Direction::Out), (0, Direction::In)]
        );
        assert_eq!(all(&prefixes, own, unmonitored, customer), [(1, Direction::InLocal), (0, Direction::InLocal)]);
    }

    proptest! {
        #[test]
        fn attribution_follows_the_literal_rule(
            prefixes in prop::collection::vec(crowded_prefix(), 0..12),
            source in crowded_address(),
            destination in crowded_address(),
            own in prop::option::of(prop::collection::vec(crowded_prefix(), 0..4)),
        ) {
            let mut seen = all(&prefixes, own.as_deref(), source, destination);
            let mut expected = naive(&prefixes, own.as_deref(), source, destination);
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
