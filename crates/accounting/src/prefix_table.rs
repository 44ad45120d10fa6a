//! Finds all monitored prefixes that contain an address, not only the longest.
//!
//! Prefixes either contain each other or are disjoint, so their first and last addresses cut the address
//! space into pieces, each of which has one answer: an innermost prefix, then the one around it, and so on.
//! A look-up finds the piece and walks outwards. Memory is proportional to the number of prefixes, however deep they
//! are nested. IPv4 and IPv6 have separate tables and never match each other.
//!
//! A few pieces are all compared at once. If there are more, the range from the second to the last one is divided into
//! about twice as many equal parts as there are pieces. A table lists the pieces that begin in each part, mostly one or
//! two; a binary search finds the right one.

use std::net::IpAddr;

use flow::Prefix;

use crate::table::ValueKey;

/// An immutable set of prefixes.
#[derive(Clone, Debug)]
pub struct PrefixTable {
    ipv4: Pieces<u32>,
    ipv6: Pieces<u128>,
    /// For each prefix, the one around it, or [`NONE`].
    around: Vec<u32>,
}

/// No prefix. There are never as many as that.
pub(crate) const NONE: u32 = u32::MAX;

impl PrefixTable {
    /// A table of these prefixes, in any order. A duplicate prefix is found twice.
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
        self.walk(self.innermost(ValueKey::of_address(address)), visit);
    }

    /// The longest prefix that contains the address, or [`NONE`].
    #[inline]
    pub(crate) fn innermost(&self, address: ValueKey) -> u32 {
        match address {
            ValueKey::Short(address) => self.innermost_ipv4(address),
            ValueKey::Long(address) => self.ipv6.innermost(address),
        }
    }

    /// The same for an IPv4 address.
    #[inline]
    pub(crate) fn innermost_ipv4(&self, address: u32) -> u32 {
        self.ipv4.innermost(address)
    }

    /// Visits a prefix and all around it; nothing for [`NONE`].
    #[inline]
    pub(crate) fn walk(&self, innermost: u32, visit: &mut impl FnMut(u32)) {
        let mut next = innermost;
        while next != NONE {
            visit(next);
            next = self.around.get(next as usize).copied().unwrap_or(NONE);
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

/// An address of one family as a number.
trait Address: Copy + Ord + Default {
    const MOST: Self;

    /// The distance from an address that is not larger.
    fn distance_from(self, first: Self) -> Self;

    /// How many bits the number has.
    fn bits(self) -> u32;

    /// The number without its lowest bits.
    fn above(self, bits: u32) -> usize;
}

macro_rules! address {
    ($($number:ty),*) => {$(
        impl Address for $number {
            const MOST: Self = Self::MAX;

            #[inline]
            fn distance_from(self, first: Self) -> Self {
                self.wrapping_sub(first)
            }

            fn bits(self) -> u32 {
                Self::BITS - self.leading_zeros()
            }

            #[inline]
            fn above(self, bits: u32) -> usize {
                usize::try_from(self >> bits).unwrap_or(usize::MAX)
            }
        }
    )*};
}

address!(u32, u128);

/// The address space of one family in pieces.
#[derive(Clone, Debug)]
struct Pieces<A> {
    /// The first address of each piece, ascending; the first piece starts with address 0. After them, the last
    /// address of all, up to whole lanes.
    starts: Vec<A>,
    /// For each piece the longest prefix around it, or [`NONE`].
    innermost: Vec<u32>,
    /// `None` if there are few pieces.
    parts: Option<Parts<A>>,
}

/// The pieces that begin in each part of the address space.
#[derive(Clone, Debug)]
struct Parts<A> {
    /// Where the second piece begins, and the first part.
    first: A,
    /// A part is two to the power of this long.
    length_bits: u32,
    /// For each part, the number of pieces that begin before it; finally, the number of all pieces.
    begun: Vec<u32>,
}

/// How many starts are compared at once.
const LANES: usize = 8;
/// Up to this many pieces are all compared.
const FEW: usize = 2 * LANES;

impl<A: Address> Pieces<A> {
    /// Cuts the address space at these ranges, and records the enclosing range of each.
    fn new(mut ranges: Vec<Range<A>>, next: impl Fn(A) -> Option<A>, around: &mut [u32]) -> Self {
        // Outer ranges before inner ones, equal ones in the order given.
        ranges.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut pieces = Self { starts: vec![A::default()], innermost: vec![NONE], parts: None };
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
        pieces.parts = Parts::new(&pieces.starts);
        pieces.starts.resize(pieces.starts.len().next_multiple_of(LANES), A::MOST);
        pieces
    }

    /// Starts a piece, or replaces the one that starts at the same address. `None` is the end of the address space,
    /// where nothing starts.
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
        let begun = match &self.parts {
            None => self.starts.as_chunks::<LANES>().0.iter().map(|starts| count_up_to(starts, address)).sum::<u32>()
                as usize,
            Some(parts) => parts.begun_up_to(&self.starts, address),
        };
        let piece = begun.min(self.innermost.len()).wrapping_sub(1);
        self.innermost.get(piece).copied().unwrap_or(NONE)
    }
}

/// How many of the starts are at or before an address, without a branch.
#[inline]
fn count_up_to<A: Address>(starts: &[A; LANES], address: A) -> u32 {
    starts.iter().map(|start| u32::from(*start <= address)).sum()
}

impl<A: Address> Parts<A> {
    fn new(starts: &[A]) -> Option<Self> {
        let (&first, &last) = starts.get(1).zip(starts.last()).filter(|_| starts.len() > FEW)?;
        let length_bits = last.distance_from(first).bits().saturating_sub(starts.len().ilog2() + 1);
        let mut begun = Vec::with_capacity(last.distance_from(first).above(length_bits) + 2);
        for (index, start) in (0..).zip(starts).skip(1) {
            begun.resize(start.distance_from(first).above(length_bits) + 1, index);
        }
        begun.push(u32::try_from(starts.len()).unwrap_or(NONE));
        Some(Self { first, length_bits, begun })
    }

    #[inline]
    fn begun_up_to(&self, starts: &[A], address: A) -> usize {
        if address < self.first {
            return 1;
        }
        let part = address.distance_from(self.first).above(self.length_bits).min(self.begun.len() - 2);
        let (from, to) = (self.begun.get(part).copied(), self.begun.get(part + 1).copied());
        let (from, to) = (from.unwrap_or_default() as usize, to.unwrap_or_default() as usize);
        from + starts.get(from..to).map_or(0, |starts| starts.partition_point(|start| *start <= address))
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
