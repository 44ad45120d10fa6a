//! Finds the piece of the IPv4 address space that contains an address.
//!
//! Pieces are in nodes of one line of a cache. A directory by the upper 16 bits of addresses divides each part of the space evenly,
//! into about as many smaller parts as its pieces need nodes. So a look-up reads an entry of the directory, then one node, which
//! can be fetched before it is needed. Where pieces are crowded, the node of a part has other nodes below it.

use prefetch_index::prefetch_index;

use crate::origin::Origin;
use crate::pieces::Pieces;

/// The origins of all IPv4 addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ipv4Lookup {
    /// By the upper bits of an address. Empty if there is no answer at all.
    directory: Vec<Division>,
    nodes: Vec<Node>,
    /// How many pieces have an answer.
    answers: usize,
}

/// How the addresses with the same upper bits are divided.
#[derive(Clone, Copy, Debug)]
struct Division {
    /// The node of the first part; those of the other parts follow.
    first: u32,
    /// The lower bits of an address, shifted by this, are the number of a part.
    shift: u32,
}

/// The lower bits of addresses, which an entry of the directory divides.
const LOW_BITS: u32 = 16;
const ENTRIES: u32 = 1 << (u32::BITS - LOW_BITS);

/// How many pieces a node has.
const PIECES: usize = 8;

/// Neighbouring pieces, or the nodes that have them.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node {
    /// The lower bits of the first addresses. That of the first piece is 0: it may have started before. The last one is repeated
    /// where there are fewer.
    starts: [u16; PIECES],
    /// The AS numbers, or the places of the nodes.
    words: [u32; PIECES],
    /// The numbers of the countries; [`INNER`] if there are nodes.
    countries: [u16; PIECES],
}

/// No number of a country.
const INNER: u16 = u16::MAX;

/// One of this many pieces may have to be searched for in an inner node; beyond this, parts are made smaller.
const CROWDED_SHARE: usize = 8;

impl Ipv4Lookup {
    pub(crate) fn new(pieces: &Pieces<u32>) -> Self {
        let answers = pieces.answers();
        let mut build = Build::default();
        if answers > 0 {
            build.all(pieces);
        }
        let Build { mut nodes, directory, .. } = build;
        nodes.shrink_to_fit();
        Self { directory, nodes, answers }
    }

    #[inline]
    pub(crate) fn get(&self, address: u32) -> Origin {
        let mut place = self.place(address);
        while let Some(node) = self.nodes.get(place) {
            if !node.is_inner() {
                return node.origin(address);
            }
            place = node.below(address);
        }
        Origin::UNKNOWN
    }

    /// Fetches what a look-up of this address will read, without waiting for it.
    #[inline]
    pub(crate) fn prefetch(&self, address: u32) {
        prefetch_index(&self.nodes, self.place(address));
    }

    /// The place of the node of the part that contains an address.
    #[inline]
    fn place(&self, address: u32) -> usize {
        let Some(Division { first, shift }) = self.directory.get((address >> LOW_BITS) as usize) else {
            return usize::MAX;
        };
        (first + (low(address) >> shift)) as usize
    }

    /// How many pieces have an answer.
    pub(crate) const fn answers(&self) -> usize {
        self.answers
    }

    /// What it occupies on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.directory.capacity() * size_of::<Division>()
    }
}

#[inline]
const fn low(address: u32) -> u32 {
    address & ((1 << LOW_BITS) - 1)
}

impl Node {
    /// Up to as many pieces as have room.
    fn new(pieces: &[Piece]) -> Self {
        let last = pieces.last().copied().unwrap_or_default();
        let all: [Piece; PIECES] = std::array::from_fn(|number| pieces.get(number).copied().unwrap_or(last));
        let mut starts = all.map(|piece| piece.start as u16);
        starts[0] = 0;
        Self { starts, words: all.map(|piece| piece.word), countries: all.map(|piece| piece.country) }
    }

    #[inline]
    const fn is_inner(&self) -> bool {
        self.countries[0] == INNER
    }

    /// Which of its pieces contains an address.
    #[inline]
    fn piece(&self, address: u32) -> usize {
        let low = low(address) as u16;
        let has_begun = |piece: usize| self.starts.get(piece).is_some_and(|start| *start <= low);
        // Without a branch, as each half is as likely as the other.
        let half = if has_begun(4) { 4 } else { 0 };
        let quarter = half + if has_begun(half + 2) { 2 } else { 0 };
        quarter + usize::from(has_begun(quarter + 1))
    }

    /// The place of the node that contains an address.
    #[inline]
    fn below(&self, address: u32) -> usize {
        self.words.get(self.piece(address)).copied().unwrap_or_default() as usize
    }

    /// The origin of an address.
    #[inline]
    fn origin(&self, address: u32) -> Origin {
        let piece = self.piece(address);
        let (asn, country) = (self.words.get(piece), self.countries.get(piece));
        Origin::of_numbers(asn.copied().unwrap_or_default(), country.copied().unwrap_or_default())
    }
}

/// A piece within an entry of the directory, or a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Piece {
    /// The lower bits of its first address; 0 if it started before.
    start: u32,
    word: u32,
    country: u16,
}

#[derive(Default)]
struct Build {
    directory: Vec<Division>,
    nodes: Vec<Node>,
}

impl Build {
    fn all(&mut self, pieces: &Pieces<u32>) {
        self.directory.reserve_exact(ENTRIES as usize);
        let mut rest = pieces.iter().peekable();
        let mut within: Vec<Piece> = Vec::new();
        for upper in 0..ENTRIES {
            // The last piece of the entry before continues, unless another one starts with this one.
            let continued = within.last().map(|piece| Piece { start: 0, ..*piece });
            let before = std::mem::take(&mut within);
            within.extend(continued);
            while let Some((start, origin)) = rest.next_if(|(start, _)| start >> LOW_BITS == upper) {
                if low(start) == 0 {
                    within.clear();
                }
                within.push(Piece { start: low(start), word: origin.as_number(), country: origin.country_number() });
            }
            let division = match self.directory.last() {
                Some(last) if within.len() == 1 && before == within => *last,
                _ => self.divide(&within),
            };
            self.directory.push(division);
        }
    }

    /// Makes the nodes of an entry of the directory.
    fn divide(&mut self, pieces: &[Piece]) -> Division {
        let (first, shift) = (self.nodes.len(), shift(pieces));
        let parts = 1_u32 << (LOW_BITS - shift);
        self.nodes.resize(first + parts as usize, Node::new(&[]));
        let mut rest = pieces;
        for part in 0..parts {
            let from = rest.partition_point(|piece| piece.start <= part << shift).saturating_sub(1);
            rest = rest.get(from..).unwrap_or_default();
            let until = rest.partition_point(|piece| piece.start >> shift <= part);
            let node = self.tree(rest.get(..until).unwrap_or_default());
            if let Some(place) = self.nodes.get_mut(first + part as usize) {
                *place = node;
            }
        }
        Division { first: first as u32, shift }
    }

    /// The node that has these pieces, below it if they are many.
    fn tree(&mut self, pieces: &[Piece]) -> Node {
        if pieces.len() <= PIECES {
            return Node::new(pieces);
        }
        let mut each = PIECES;
        while each * PIECES < pieces.len() {
            each *= PIECES;
        }
        let mut below = Vec::new();
        for pieces in pieces.chunks(each) {
            let node = self.tree(pieces);
            let start = pieces.first().map_or(0, |piece| piece.start);
            below.push(Piece { start, word: self.nodes.len() as u32, country: INNER });
            self.nodes.push(node);
        }
        Node::new(&below)
    }
}

/// The largest parts of which few are crowded.
fn shift(pieces: &[Piece]) -> u32 {
    let nodes = pieces.len().div_ceil(PIECES);
    let bits = nodes.ilog2()..=(pieces.len() / 2).max(1).ilog2().min(LOW_BITS);
    let shifts = bits.map(|bits| LOW_BITS - bits);
    let few = shifts.clone().find(|shift| crowded(pieces, *shift) <= pieces.len() / CROWDED_SHARE);
    few.or_else(|| shifts.min_by_key(|shift| crowded(pieces, *shift))).unwrap_or(LOW_BITS)
}

/// How many pieces are in parts that have more than a node has room for.
fn crowded(pieces: &[Piece], shift: u32) -> usize {
    let parts = pieces.chunk_by(|a, b| a.start >> shift == b.start >> shift);
    let counts = parts.map(|part| {
        let starts_with_it = part.first().is_some_and(|piece| piece.start & ((1 << shift) - 1) == 0);
        part.len() + usize::from(!starts_with_it)
    });
    counts.filter(|count| *count > PIECES).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testing::Random;

    use super::*;
    use crate::Country;
    use crate::pieces::Range;

    /// Asks for the ends of all pieces and of all parts near them, and for addresses in between.
    fn assert_found(ranges: Vec<Range<u32>>, between: impl IntoIterator<Item = u32>) -> Ipv4Lookup {
        let pieces = Pieces::new(ranges);
        let lookup = Ipv4Lookup::new(&pieces);
        let parts = pieces.starts.iter().flat_map(|start| {
            let shift = lookup.directory.get((start >> LOW_BITS) as usize).map_or(0, |division| division.shift);
            [*start, (start >> shift) << shift, start | ((1 << shift) - 1)]
        });
        let ends = parts.flat_map(|end| [end.saturating_sub(1), end, end.saturating_add(1)]);
        for address in ends.chain(between) {
            assert_eq!(lookup.get(address), naive(&pieces, address), "{address:x}");
        }
        lookup
    }

    fn naive(pieces: &Pieces<u32>, address: u32) -> Origin {
        pieces.origins[pieces.starts.partition_point(|start| *start <= address) - 1]
    }

    fn single(first: u32) -> Range<u32> {
        Range { first, last: first, origin: Origin::new(1 + first % 2, None) }
    }

    /// How many nodes a look-up reads.
    fn depth(lookup: &Ipv4Lookup, address: u32) -> usize {
        let mut place = lookup.place(address);
        let mut depth = 1;
        while lookup.nodes[place].is_inner() {
            place = lookup.nodes[place].below(address);
            depth += 1;
        }
        depth
    }

    #[test]
    fn random_ranges_are_found() {
        let mut random = Random::new(1);
        for count in [0, 1, 10, 1000, 50_000] {
            let mut ranges = Vec::new();
            for number in 0..count {
                let first = random.below(1 << 32) as u32;
                let bits = 1 + random.below(28);
                let last = first.saturating_add(random.below(1 << bits) as u32);
                ranges.push(Range { first, last, origin: Origin::new(number % 100, Country::new("CH")) });
            }
            let between: Vec<u32> = (0..10_000).map(|_| random.below(1 << 32) as u32).collect();
            assert_found(ranges, between);
        }
    }

    #[test]
    fn addresses_with_a_range_of_their_own_are_found_in_one_node() {
        let lookup = assert_found((0x0aff_0000..0x0b00_0100).map(single).collect(), []);
        assert_eq!(depth(&lookup, 0x0aff_1234), 1);
        assert!(lookup.nodes.len() < (1 << 16) / PIECES + 600, "{}", lookup.nodes.len());
    }

    #[test]
    fn crowds_are_found_below_inner_nodes() {
        // A /24 whose addresses all differ, and else nothing nearby.
        let lookup = assert_found((0x0a01_0300..0x0a01_0400).map(single).collect(), []);
        assert!(depth(&lookup, 0x0a01_0377) > 2);
        assert!(lookup.nodes.len() < 256, "{}", lookup.nodes.len());
    }

    #[test]
    fn crowded_ends_of_the_address_space_are_found() {
        assert_found((0..500).chain(u32::MAX - 500..=u32::MAX).map(single).collect(), []);
    }

    #[test]
    fn a_range_over_many_entries_of_the_directory_has_one_node() {
        let range = |first, last, asn| Range { first, last, origin: Origin::new(asn, None) };
        let lookup = assert_found(vec![range(0x0a00_0000, 0x0aff_ffff, 1), range(0x0a80_0000, 0x0a80_ffff, 2)], []);
        // Before, within, the hole, within again, after.
        assert_eq!(lookup.nodes.len(), 5);
    }

    #[test]
    fn a_table_without_answers_takes_no_memory() {
        let lookup = Ipv4Lookup::new(&Pieces::default());
        assert_eq!((lookup.heap_bytes(), lookup.get(7)), (0, Origin::UNKNOWN));
    }

    #[test]
    fn memory_is_bounded_by_the_number_of_pieces() {
        let mut random = Random::new(3);
        for distance in [1, 2, 4, 16, 256, 300] {
            let mut ranges = Vec::new();
            for _ in 0..2000 {
                let place = random.below(0xffff_0000) as u32;
                ranges.extend((0..10).map(|number| single(place + distance * number)));
            }
            let lookup = assert_found(ranges, []);
            let pieces: usize = 2 * 20_000 + 1;
            // Half as many parts as pieces, the nodes below them, and what has an entry of the directory for itself.
            let most = pieces / 2 + pieces.div_ceil(PIECES - 1) + 2 * 2000 + 2;
            assert!(lookup.nodes.len() <= most, "{} for a distance of {distance}", lookup.nodes.len());
        }
    }

    /// Ranges and gaps close to the edges of entries of the directory and of parts, in crowds of up to hundreds.
    fn edges() -> impl Strategy<Value = Vec<Range<u32>>> {
        let edge = (prop_oneof![Just(0_u32), Just(1), Just(0xffff)], 0_u32..=16, 0_u32..4);
        let place = edge.prop_map(|(upper, bits, multiple)| (upper << 16) | ((multiple << bits) & 0xffff));
        let crowd = (place, -3_i64..=3, 0_u32..300, 1_u32..5, 1_u32..4);
        prop::collection::vec(crowd, 1..6).prop_map(|crowds| {
            let ranges = crowds.into_iter().flat_map(|(place, offset, count, step, length)| {
                let first = u32::try_from((i64::from(place) + offset).max(0)).unwrap_or(u32::MAX);
                (0..count).map(move |number| {
                    let first = first.saturating_add(number * step);
                    let last = first.saturating_add(length - 1);
                    Range { first, last, origin: Origin::new(number % 3, Country::new("DE").filter(|_| step == 2)) }
                })
            });
            ranges.collect()
        })
    }

    proptest! {
        #[test]
        fn every_address_has_the_origin_of_its_piece(ranges in edges(), between in prop::collection::vec(0_u32..0x2_0000, 200)) {
            assert_found(ranges, between);
        }
    }
}
