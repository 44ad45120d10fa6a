//! The address space of one family in disjoint pieces: compiled from ranges that nest or overlap, and put over each other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::origin::Origin;

/// An address of one family as a number.
pub(crate) trait Address: Copy + Ord + Default {
    /// The address after this one.
    fn next(self) -> Option<Self>;

    /// The distance from an address that is not larger.
    fn distance_from(self, first: Self) -> Self;
}

macro_rules! address {
    ($($number:ty),*) => {$(
        impl Address for $number {
            #[inline]
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            #[inline]
            fn distance_from(self, first: Self) -> Self {
                self.wrapping_sub(first)
            }
        }
    )*};
}

address!(u32, u128);

/// A range of addresses in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range<A> {
    pub(crate) first: A,
    /// Not before the first.
    pub(crate) last: A,
    pub(crate) origin: Origin,
}

/// The address space of one family. Each piece ends where the next one starts; neighbours differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces<A> {
    /// The first address of each piece, ascending. The first piece starts with address 0.
    pub(crate) starts: Vec<A>,
    /// The origin of each piece.
    pub(crate) origins: Vec<Origin>,
}

impl<A: Address> Default for Pieces<A> {
    fn default() -> Self {
        Self { starts: vec![A::default()], origins: vec![Origin::UNKNOWN] }
    }
}

impl<A: Address> Pieces<A> {
    /// Compiles ranges in any order. Of those that contain an address, the smallest one counts; of equally small ones, the
    /// one that starts first; of equal ones, the first. A range without an answer counts too: it is a hole in those around it.
    pub(crate) fn new(mut ranges: Vec<Range<A>>) -> Self {
        // Stable: equal ranges remain in their order. Files are mostly sorted; sorting takes memory even then.
        if !ranges.is_sorted_by_key(|range| range.first) {
            ranges.sort_by_key(|range| range.first);
        }
        let mut sweep =
            Sweep { ranges: &ranges, pieces: Self::empty(), place: Some(A::default()), open: BinaryHeap::new() };
        for (number, range) in ranges.iter().enumerate() {
            sweep.advance(Some(range.first));
            sweep.open.push(Reverse((range.last.distance_from(range.first), number)));
        }
        sweep.advance(None);
        sweep.pieces
    }

    /// These pieces, with what they do not know filled in from a file.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::default() {
            // Mostly there is one file.
            return other;
        }
        let mut merged = Self::empty();
        let (mut ours, mut others) = (self.iter().peekable(), other.iter().peekable());
        let (mut our_origin, mut other_origin) = (Origin::UNKNOWN, Origin::UNKNOWN);
        while let Some(start) = [ours.peek(), others.peek()].into_iter().flatten().map(|(start, _)| *start).min() {
            if let Some((_, origin)) = ours.next_if(|(first, _)| *first == start) {
                our_origin = origin;
            }
            if let Some((_, origin)) = others.next_if(|(first, _)| *first == start) {
                other_origin = origin;
            }
            merged.push(start, our_origin.or(other_origin));
        }
        merged
    }

    /// How many pieces have an answer.
    pub(crate) fn answers(&self) -> usize {
        self.origins.iter().filter(|origin| **origin != Origin::UNKNOWN).count()
    }

    fn empty() -> Self {
        Self { starts: Vec::new(), origins: Vec::new() }
    }

    /// Each with its first address.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (A, Origin)> {
        self.starts.iter().copied().zip(self.origins.iter().copied())
    }

    /// Starts a piece, unless it continues the one before it. Starts ascend.
    fn push(&mut self, start: A, origin: Origin) {
        if self.origins.last() != Some(&origin) {
            self.starts.push(start);
            self.origins.push(origin);
        }
    }
}

/// Cuts the address space from its beginning to its end.
struct Sweep<'r, A> {
    ranges: &'r [Range<A>],
    pieces: Pieces<A>,
    /// The first address that has no piece yet; `None` after the last one.
    place: Option<A>,
    /// The lengths and numbers of ranges that have begun, the smallest first. Some have ended.
    open: BinaryHeap<Reverse<(A, usize)>>,
}

impl<A: Address> Sweep<'_, A> {
    /// Cuts up to an address, or up to the end.
    fn advance(&mut self, until: Option<A>) {
        while let Some(place) = self.place.filter(|place| until.is_none_or(|until| *place < until)) {
            let smallest = self.open.peek().and_then(|Reverse((_, number))| self.ranges.get(*number));
            let Some(smallest) = smallest else {
                self.pieces.push(place, Origin::UNKNOWN);
                self.place = until;
                return;
            };
            if smallest.last >= place {
                self.pieces.push(place, smallest.origin);
                if until.is_some_and(|until| until <= smallest.last) {
                    self.place = until;
                    return;
                }
                self.place = smallest.last.next();
            }
            self.open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Country;

    fn range<A>(first: A, last: A, asn: u32) -> Range<A> {
        Range { first, last, origin: Origin::new(asn, None) }
    }

    /// What each of the ranges has, asked one after the other.
    fn asked<A: Address>(ranges: &[Range<A>], address: A) -> Origin {
        let around = ranges.iter().filter(|range| (range.first..=range.last).contains(&address));
        around
            .min_by_key(|range| (range.last.distance_from(range.first), range.first))
            .map_or(Origin::UNKNOWN, |range| range.origin)
    }

    fn found<A: Address>(pieces: &Pieces<A>, address: A) -> Origin {
        pieces.origins[pieces.starts.partition_point(|start| *start <= address) - 1]
    }

    #[test]
    fn nothing_is_one_piece() {
        assert_eq!(Pieces::<u32>::new(Vec::new()), Pieces::default());
        assert_eq!(Pieces::<u128>::default().answers(), 0);
    }

    #[test]
    fn the_ends_of_the_address_space_belong_to_it() {
        let pieces = Pieces::new(vec![range(0, u32::MAX, 1), range(0, 0, 2), range(u32::MAX, u32::MAX, 3)]);
        assert_eq!(pieces.starts, [0, 1, u32::MAX]);
        assert_eq!([0, 1, u32::MAX - 1, u32::MAX].map(|address| found(&pieces, address).asn()), [2, 1, 1, 3].map(Some));
        let pieces = Pieces::new(vec![range(u128::MAX, u128::MAX, 3), range(0, u128::MAX, 1)]);
        assert_eq!((pieces.starts.as_slice(), pieces.answers()), (&[0, u128::MAX][..], 2));
    }

    #[test]
    fn neighbours_with_one_answer_are_one_piece() {
        let pieces = Pieces::<u32>::new(vec![range(30, 39, 1), range(10, 19, 1), range(20, 29, 1), range(40, 49, 2)]);
        assert_eq!(pieces.starts, [0, 10, 40, 50]);
    }

    #[test]
    fn of_equal_ranges_the_first_counts_and_a_hole_is_a_hole() {
        let pieces = Pieces::<u32>::new(vec![range(0, 99, 1), range(0, 99, 2), range(10, 19, 0)]);
        assert_eq!([5, 15, 25].map(|address| found(&pieces, address).asn()), [Some(1), None, Some(1)]);
    }

    /// Ranges close to each other, to both ends, and over everything.
    fn crowded() -> impl Strategy<Value = Vec<Range<u32>>> {
        let place = prop_oneof![0u32..40, (0u32..40).prop_map(|distance| u32::MAX - distance)];
        let asn_and_country = (0u32..4, prop::option::of(prop_oneof![Just("AT"), Just("BE")]));
        prop::collection::vec((place.clone(), place, asn_and_country), 0..24).prop_map(|ranges| {
            let range = |(a, b, (asn, country)): (u32, u32, (u32, Option<&str>))| Range {
                first: a.min(b),
                last: a.max(b),
                origin: Origin::new(asn, country.and_then(Country::new)),
            };
            ranges.into_iter().map(range).collect()
        })
    }

    /// All addresses that [`crowded`] has, and their neighbours.
    fn addresses() -> impl Iterator<Item = u32> {
        (0..42).chain((0..42).map(|distance| u32::MAX - distance)).chain([1 << 31])
    }

    proptest! {
        #[test]
        fn pieces_answer_like_the_ranges(ranges in crowded()) {
            let pieces = Pieces::new(ranges.clone());
            prop_assert!(pieces.starts.is_sorted_by(|a, b| a < b));
            prop_assert!(pieces.origins.windows(2).all(|pair| pair[0] != pair[1]));
            for address in addresses() {
                prop_assert_eq!(found(&pieces, address), asked(&ranges, address), "{}", address);
            }
        }

        #[test]
        fn files_fill_each_other_in(first in crowded(), second in crowded()) {
            let merged = Pieces::default().or(Pieces::new(first.clone())).or(Pieces::new(second.clone()));
            for address in addresses() {
                let expected = asked(&first, address).or(asked(&second, address));
                prop_assert_eq!(found(&merged, address), expected, "{}", address);
            }
        }
    }
}
