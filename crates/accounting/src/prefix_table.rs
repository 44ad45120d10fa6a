//! All monitored prefixes that contain an address, not only the longest.
//!
//! Prefixes either contain each other or have nothing in common, so their first and last addresses cut the address
//! space into pieces in each of which the answer is the same: one innermost prefix, then the one around it, and so on.
//! A look-up is a binary search over the starts of the pieces and a walk outwards. What is kept is proportional to the
//! number of prefixes, however deep they are nested. IPv4 and IPv6 are kept apart; they never match each other.

use std::net::IpAddr;

use flow::Prefix;

use crate::table::Key;

/// An immutable set of prefixes.
#[derive(Clone, Debug)]
pub struct PrefixTable {
    ipv4: Pieces<u32>,
    ipv6: Pieces<u128>,
    /// For each prefix the one around it, or [`NONE`].
    around: Vec<u32>,
}

/// No prefix. There are never as many as that.
const NONE: u32 = u32::MAX;

impl PrefixTable {
    /// A table of these prefixes, in any order. A prefix that is there twice is found twice.
    #[must_use]
    pub fn new(prefixes: &[Prefix]) -> Self {
        let mut around = vec![NONE; prefixes.len()];
        let mut ipv4 = Vec::new();
        let mut ipv6 = Vec::new();
        for (index, prefix) in (0..NONE).zip(prefixes) {
            match prefix.address() {
                IpAddr::V4(first) => {
                    let first = first.to_bits();
                    let last = first | u32::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
                    ipv4.push(Range { first, last, index });
                }
                IpAddr::V6(first) => {
                    let first = first.to_bits();
                    let last = first | u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
                    ipv6.push(Range { first, last, index });
                }
            }
        }
        let ipv4 = Pieces::new(ipv4, |address| address.checked_add(1), &mut around);
        let ipv6 = Pieces::new(ipv6, |address| address.checked_add(1), &mut around);
        Self { ipv4, ipv6, around }
    }

    /// Visits the indices (into the slice that the table was made of) of all prefixes that contain the address, the
    /// longest first. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn covering(&self, address: IpAddr, visit: &mut impl FnMut(u32)) {
        self.walk(self.innermost(Key::of_address(address)), visit);
    }

    /// The longest prefix that contains the address.
    #[inline]
    pub(crate) fn innermost(&self, address: Key) -> Option<u32> {
        let innermost = match address {
            Key::Short(address) => self.ipv4.innermost(address),
            Key::Long(address) => self.ipv6.innermost(address),
        };
        (innermost != NONE).then_some(innermost)
    }

    /// Visits a prefix and all around it.
    #[inline]
    pub(crate) fn walk(&self, innermost: Option<u32>, visit: &mut impl FnMut(u32)) {
        let mut next = innermost;
        while let Some(index) = next {
            visit(index);
            next = self.around.get(index as usize).copied().filter(|index| *index != NONE);
        }
    }
}

/// A prefix as the range of its addresses.
#[derive(Clone, Copy)]
struct Range<A> {
    first: A,
    last: A,
    index: u32,
}

/// The address space of one family in pieces.
#[derive(Clone, Debug)]
struct Pieces<A> {
    /// The first address of each piece, ascending; the first piece starts with address 0.
    starts: Vec<A>,
    /// For each piece the longest prefix around it, or [`NONE`].
    innermost: Vec<u32>,
}

impl<A: Copy + Ord + Default> Pieces<A> {
    /// Cuts the address space at these ranges and notes for each range which is around it.
    fn new(mut ranges: Vec<Range<A>>, next: impl Fn(A) -> Option<A>, around: &mut [u32]) -> Self {
        // Outer ranges before inner ones, equal ones in the order given.
        ranges.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut pieces = Self { starts: vec![A::default()], innermost: vec![NONE] };
        // The ranges that are open at the current address, the innermost last.
        let mut open: Vec<Range<A>> = Vec::new();
        for range in ranges {
            while let Some(inner) = open.pop_if(|inner| inner.last < range.first) {
                pieces.cut(next(inner.last), open.last());
            }
            if let Some(place) = around.get_mut(range.index as usize) {
                *place = open.last().map_or(NONE, |outer| outer.index);
            }
            pieces.cut(Some(range.first), Some(&range));
            open.push(range);
        }
        while let Some(inner) = open.pop() {
            pieces.cut(next(inner.last), open.last());
        }
        pieces
    }

    /// Starts a piece, or changes its mind about the one that starts at the same address. `None` is the end of the
    /// address space, where nothing starts.
    fn cut(&mut self, start: Option<A>, innermost: Option<&Range<A>>) {
        let Some(start) = start else { return };
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.innermost.pop();
        }
        self.starts.push(start);
        self.innermost.push(innermost.map_or(NONE, |range| range.index));
    }

    #[inline]
    fn innermost(&self, address: A) -> u32 {
        let behind = self.starts.partition_point(|start| *start <= address);
        behind.checked_sub(1).and_then(|piece| self.innermost.get(piece)).copied().unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{crowded_address, crowded_prefix};

    fn covering(prefixes: &[Prefix], address: IpAddr) -> Vec<u32> {
        let mut found = Vec::new();
        PrefixTable::new(prefixes).covering(address, &mut |index| found.push(index));
        found
    }

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn nested_prefixes_are_all_found_the_longest_first() {
        let table = prefixes(&["10.0.0.0/8", "0.0.0.0/0", "10.1.2.0/24", "10.1.2.3/32", "2001:db8::/32", "::/0"]);
        assert_eq!(covering(&table, "10.1.2.3".parse().unwrap()), [3, 2, 0, 1]);
        assert_eq!(covering(&table, "10.1.2.4".parse().unwrap()), [2, 0, 1]);
        assert_eq!(covering(&table, "255.255.255.255".parse().unwrap()), [1]);
        assert_eq!(covering(&table, "2001:db8::1".parse().unwrap()), [4, 5]);
        assert_eq!(covering(&table, "ffff::".parse().unwrap()), [5]);
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(covering(&[], "10.1.2.3".parse().unwrap()), []);
        assert_eq!(covering(&prefixes(&["10.0.0.0/8"]), "::".parse().unwrap()), []);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(covering(&prefixes(&["10.0.0.0/8"]), "::ffff:10.0.0.1".parse().unwrap()), [0]);
    }

    proptest! {
        #[test]
        fn finds_what_asking_each_prefix_finds(
            prefixes in prop::collection::vec(crowded_prefix(), 0..40),
            addresses in prop::collection::vec(crowded_address(), 1..40),
        ) {
            let edges = prefixes.iter().map(Prefix::address);
            for address in addresses.iter().copied().chain(edges) {
                let mut found = covering(&prefixes, address);
                found.sort_unstable();
                let expected: Vec<u32> =
                    (0..).zip(&prefixes).filter(|(_, prefix)| prefix.contains(address)).map(|(index, _)| index).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
