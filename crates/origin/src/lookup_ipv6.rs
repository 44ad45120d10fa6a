//! Finds the piece of the IPv6 address space that contains an address.
//!
//! Pieces are in nodes, which have their starts and their origins side by side: of a large table, which no cache holds, a look-up
//! reads one node. A table by the upper 16 bits has the nodes that start in each part of the address space. A crowded part is
//! divided again, into about as many parts as nodes start in it, and so on: a few of the upper 16 bits have all networks (2000::/3),
//! some of these most of them, and within them some /32 have thousands. Where no piece starts, no memory is used.

use arrayvec::ArrayVec;
use prefetch_index::prefetch_index;

use crate::origin::Origin;
use crate::pieces::Pieces;
use crate::table::AT_ONCE;

/// The origins of all IPv6 addresses.
#[derive(Clone, Debug)]
pub(crate) struct Ipv6Lookup {
    nodes: Vec<Node>,
    /// Where each node starts; then [`FEW`] more, so that as many can be read from each node on.
    starts: Vec<u128>,
    /// First those of the upper bits. Empty if there is no answer at all.
    parts: Vec<Part>,
    /// How many pieces have an answer.
    answers: usize,
}

/// How many pieces a node has: as many as two lines of a cache have room for.
const PIECES: usize = 5;

/// Neighbouring pieces.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node {
    starts: [u128; PIECES],
    origins: [Origin; PIECES],
}

/// The first level: the upper bits of an address.
const ROOT_BITS: u32 = 16;
/// Up to this many starts are compared; more are divided.
const FEW: usize = 8;
/// Parts for each node, beyond the first level. A table whose nodes start close to each other in many places would have 50;
/// beyond this, a crowded part is searched in more steps.
const PARTS_PER_NODE: usize = 4;

/// The nodes that start in a part of the address space, or how it is divided.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The first node that starts in it, but not with it; or the first part of it.
    at: u32,
    /// How many such nodes; or [`DIVIDED`], with how many bits select a part of it, and how many follow them.
    count: u32,
}

/// Marks a part that is divided.
const DIVIDED: u32 = 1 << 31;

impl Ipv6Lookup {
    pub(crate) fn new(pieces: &Pieces<u128>) -> Self {
        let answers = pieces.answers();
        if answers == 0 {
            return Self { nodes: Vec::new(), starts: Vec::new(), parts: Vec::new(), answers };
        }
        let chunks = pieces.starts.chunks(PIECES).zip(pieces.origins.chunks(PIECES));
        let nodes: Vec<_> = chunks.map(|(starts, origins)| Node::new(starts, origins)).collect();
        let mut starts: Vec<u128> = pieces.starts.iter().copied().step_by(PIECES).collect();
        let mut build = Build { starts: &starts, parts: Vec::new(), crowded: Vec::new() };
        build.divide(0, u128::BITS - ROOT_BITS, ROOT_BITS, 0, starts.len());
        // Each part before those of the next level, so that all have their turn before the memory is used up.
        let limit = build.parts.len() + PARTS_PER_NODE * starts.len();
        let mut next = 0;
        while let Some(crowded) = build.crowded.get(next).copied() {
            build.subdivide(crowded, limit);
            next += 1;
        }
        let mut parts = build.parts;
        parts.shrink_to_fit();
        let last = starts.last().copied().unwrap_or_default();
        starts.reserve_exact(FEW);
        starts.extend([last; FEW]);
        Self { nodes, starts, parts, answers }
    }

    #[inline]
    pub(crate) fn get(&self, address: u128) -> Origin {
        self.origin(self.node(self.part(address), address), address)
    }

    /// Looks many addresses up, each with the place of its origin in `found`. All take a step before the next one, and each step
    /// fetches what the next one reads, so that no look-up waits for the memory of another.
    #[inline(never)]
    pub(crate) fn get_all(&self, addresses: &ArrayVec<(u32, u128), AT_ONCE>, found: &mut [Origin]) {
        addresses.iter().for_each(|(_, address)| prefetch_index(&self.parts, Self::root(*address)));
        let mut parts: ArrayVec<_, AT_ONCE> =
            addresses.iter().map(|(_, address)| self.part_at(Self::root(*address))).collect();
        while parts.iter().any(|part| part.is_divided()) {
            let addresses = || addresses.iter().map(|(_, address)| *address);
            for (part, address) in parts.iter().zip(addresses()).filter(|(part, _)| part.is_divided()) {
                prefetch_index(&self.parts, part.place_within(address));
            }
            for (part, address) in parts.iter_mut().zip(addresses()).filter(|(part, _)| part.is_divided()) {
                *part = self.part_at(part.place_within(address));
            }
        }
        parts.iter().for_each(|part| prefetch_index(&self.starts, part.at as usize));
        let mut nodes = ArrayVec::<_, AT_ONCE>::new();
        for ((_, address), part) in addresses.iter().zip(parts) {
            let node = self.node(part, *address);
            prefetch_index(&self.nodes, node);
            nodes.push(node);
        }
        for ((place, address), node) in addresses.iter().zip(nodes) {
            if let Some(found) = found.get_mut(*place as usize) {
                *found = self.origin(node, *address);
            }
        }
    }

    #[inline]
    fn root(address: u128) -> usize {
        part(address, u128::BITS - ROOT_BITS, ROOT_BITS)
    }

    #[inline]
    fn part_at(&self, place: usize) -> Part {
        self.parts.get(place).copied().unwrap_or(Part { at: 0, count: 0 })
    }

    /// The smallest part that contains an address.
    #[inline]
    fn part(&self, address: u128) -> Part {
        let mut part = self.part_at(Self::root(address));
        while part.is_divided() {
            part = self.part_at(part.place_within(address));
        }
        part
    }

    /// The place of the node that contains an address of a part.
    #[inline]
    fn node(&self, part: Part, address: u128) -> usize {
        let (from, count) = (part.at as usize, part.count as usize);
        let Some(starts) = self.starts.get(from..) else { return usize::MAX };
        let started = match starts.first_chunk::<FEW>() {
            // All are compared, so that nothing is to be predicted. Those of the next part are after the address.
            Some(few) if count <= FEW => {
                few.iter().map(|start| usize::from(*start <= address)).sum::<usize>().min(count)
            }
            _ => starts.get(..count).unwrap_or_default().partition_point(|start| *start <= address),
        };
        (from + started).wrapping_sub(1)
    }

    /// The origin of an address of a node.
    #[inline]
    fn origin(&self, node: usize, address: u128) -> Origin {
        let Some(Node { starts, origins }) = self.nodes.get(node) else { return Origin::UNKNOWN };
        // All are compared, so that nothing is to be predicted.
        let after: usize = starts.iter().skip(1).map(|start| usize::from(*start <= address)).sum();
        origins.get(after).copied().unwrap_or(Origin::UNKNOWN)
    }

    /// How many pieces have an answer.
    pub(crate) const fn answers(&self) -> usize {
        self.answers
    }

    /// What it occupies on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.starts.capacity() * size_of::<u128>()
            + self.parts.capacity() * size_of::<Part>()
    }
}

/// This many bits of an address, after those that are shifted out.
#[inline]
const fn part(address: u128, shift: u32, bits: u32) -> usize {
    (address >> shift) as usize & ((1 << bits) - 1)
}

/// The address this far after another, if there is one. `index << shift` has no more bits than an address.
fn after(first: u128, index: usize, shift: u32) -> Option<u128> {
    let distance = index as u128;
    if shift >= u128::BITS || distance > u128::MAX >> shift {
        return None;
    }
    first.checked_add(distance << shift)
}

impl Part {
    #[inline]
    const fn is_divided(self) -> bool {
        self.count & DIVIDED != 0
    }

    /// The place of the part within this one that contains an address.
    #[inline]
    fn place_within(self, address: u128) -> usize {
        self.at as usize + part(address, self.count & 0xff, self.count >> 8 & 0xff)
    }
}

impl Node {
    /// Up to as many pieces as have room. The last one is repeated where there are fewer.
    fn new(starts: &[u128], origins: &[Origin]) -> Self {
        let mut node = Self {
            starts: [starts.last().copied().unwrap_or_default(); PIECES],
            origins: [origins.last().copied().unwrap_or(Origin::UNKNOWN); PIECES],
        };
        node.starts.iter_mut().zip(starts).for_each(|(to, start)| *to = *start);
        node.origins.iter_mut().zip(origins).for_each(|(to, origin)| *to = *origin);
        node
    }
}

/// A part in which many nodes start.
#[derive(Clone, Copy)]
struct Crowded {
    part: usize,
    first: u128,
    /// How many bits an address has within it.
    bits: u32,
}

struct Build<'p> {
    starts: &'p [u128],
    parts: Vec<Part>,
    crowded: Vec<Crowded>,
}

impl Build<'_> {
    /// Appends the parts that these bits select, after `shift` others, from the first address on. Of the starts, those from
    /// `from` to `to` are in them.
    fn divide(&mut self, first: u128, shift: u32, bits: u32, from: usize, to: usize) {
        let mut rest = self.starts.get(from..to).unwrap_or_default();
        let mut begun = from;
        for index in 0..1 << bits {
            let Some(first) = after(first, index, shift) else { break };
            let starts_with_it = rest.partition_point(|start| *start <= first);
            let within = match after(first, 1, shift) {
                Some(next) => rest.iter().skip(starts_with_it).take_while(|start| **start < next).count(),
                None => rest.len() - starts_with_it,
            };
            begun += starts_with_it;
            let count = u32::try_from(within).unwrap_or(DIVIDED - 1);
            if within > FEW && shift > 0 {
                self.crowded.push(Crowded { part: self.parts.len(), first, bits: shift });
            }
            self.parts.push(Part { at: u32::try_from(begun).unwrap_or(u32::MAX), count });
            begun += within;
            rest = rest.get(starts_with_it + within..).unwrap_or_default();
        }
    }

    /// Divides a crowded part, unless that would take too much memory.
    fn subdivide(&mut self, crowded: Crowded, limit: usize) {
        let next = self.parts.len();
        let Some(part) = self.parts.get_mut(crowded.part) else { return };
        let bits = part.count.ilog2().min(ROOT_BITS).min(crowded.bits);
        if next + (1 << bits) > limit {
            return;
        }
        let (from, to) = (part.at as usize, part.at as usize + part.count as usize);
        let shift = crowded.bits - bits;
        *part = Part { at: u32::try_from(next).unwrap_or(u32::MAX), count: DIVIDED | bits << 8 | shift };
        self.divide(crowded.first, shift, bits, from, to);
    }
}

#[cfg(test)]
mod tests {
    use testing::Random;

    use super::*;
    use crate::pieces::Range;

    /// Asks for the ends of all pieces and for addresses in between.
    fn assert_found(ranges: Vec<Range<u128>>, between: impl Iterator<Item = u128>) -> Ipv6Lookup {
        let pieces = Pieces::new(ranges);
        let lookup = Ipv6Lookup::new(&pieces);
        let starts = pieces.starts.iter().copied();
        let ends = starts.flat_map(|start| [start.saturating_sub(1), start, start.saturating_add(1)]);
        let addresses: Vec<u128> = ends.chain(between).collect();
        let mut expected = Vec::new();
        for address in &addresses {
            let piece = pieces.starts.partition_point(|start| start <= address) - 1;
            assert_eq!(lookup.get(*address), pieces.origins[piece], "{address:x}");
            expected.push(pieces.origins[piece]);
        }
        for (addresses, expected) in addresses.chunks(AT_ONCE).zip(expected.chunks(AT_ONCE)) {
            let mut found = [Origin::new(u32::MAX, None); AT_ONCE];
            lookup.get_all(&(0..).zip(addresses.iter().copied()).collect(), &mut found);
            assert_eq!(found[..expected.len()], *expected, "{addresses:x?}");
        }
        lookup
    }

    fn random_address(random: &mut Random) -> u128 {
        (0..4).fold(0, |number, _| number << 32 | u128::from(random.below(1 << 32)))
    }

    #[test]
    fn random_ranges_are_found() {
        let mut random = Random::new(2);
        // Spread; all in one /16; all in one /64.
        for common in [0, 16, 64] {
            let mut ranges = Vec::new();
            for number in 0..20_000 {
                let first = (0x2001_0db8 << 96) & !(u128::MAX >> common) | random_address(&mut random) >> common;
                let bits = 1 + random.below(127);
                let last = first.saturating_add(random_address(&mut random) >> (128 - bits));
                ranges.push(Range { first, last, origin: Origin::new(number % 100, None) });
            }
            let between: Vec<u128> = (0..10_000).map(|_| random_address(&mut random)).collect();
            assert_found(ranges, between.into_iter());
        }
    }

    #[test]
    fn crowded_ends_of_the_address_space_are_found() {
        let range = |first: u128, number: u32| Range { first, last: first, origin: Origin::new(1 + number % 2, None) };
        let low = (0..500u32).map(|number| range(number.into(), number));
        let high = (0..500u32).map(|number| range(u128::MAX - u128::from(number), number));
        assert_found(low.chain(high).collect(), std::iter::empty());
    }

    #[test]
    fn a_table_without_answers_takes_no_memory() {
        let lookup = Ipv6Lookup::new(&Pieces::default());
        assert_eq!((lookup.heap_bytes(), lookup.get(7)), (0, Origin::UNKNOWN));
    }

    #[test]
    fn memory_is_bounded_by_the_number_of_pieces() {
        // A few pieces in each of many places, so close to each other that only their last bits differ.
        let mut random = Random::new(3);
        let mut ranges = Vec::new();
        for _ in 0..2000 {
            let place = random_address(&mut random) & !0xff;
            ranges.extend((0..10).map(|number| Range {
                first: place + number,
                last: place + number,
                origin: Origin::new(1 + number as u32, None),
            }));
        }
        let count = 2 * ranges.len() + 1;
        let lookup = assert_found(ranges, std::iter::empty());
        let of_node = size_of::<Node>() + size_of::<u128>() + PARTS_PER_NODE * size_of::<Part>();
        let most = count.div_ceil(PIECES) * of_node + FEW * size_of::<u128>();
        assert!(lookup.heap_bytes() <= most + (size_of::<Part>() << ROOT_BITS), "{}", lookup.heap_bytes());
    }
}
