//! What counting threads ask: an immutable table of ranges of addresses. It consists of chunks, so that a new snapshot
//! shares with the one before it all chunks in which nothing has changed.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::family::{Address, last};
use crate::path::Path;

/// The routes of a router at one moment, as an answer to the longest match.
///
/// It is immutable: any number of threads can ask it without a lock. A default route is not in it, because its AS is that of
/// a neighbour, and not that of the address.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) v4: Arc<[Arc<Chunk<u32>>]>,
    pub(crate) v6: Arc<[Arc<Chunk<u128>>]>,
}

impl Default for Snapshot {
    fn default() -> Self {
        // One for all routers, as long as they have no routes.
        static EMPTY: LazyLock<Snapshot> = LazyLock::new(|| Snapshot { v4: empty(), v6: empty() });
        EMPTY.clone()
    }
}

fn empty<A: Address>() -> Arc<[Arc<Chunk<A>>]> {
    std::iter::repeat_n(Arc::new(Chunk::uniform(None)), 1 << A::CHUNK_BITS).collect()
}

impl Snapshot {
    /// The path of the longest prefix that contains the address. An IPv6 address that maps an IPv4 address is that IPv4
    /// address.
    #[inline]
    #[must_use]
    pub fn longest_match(&self, address: IpAddr) -> Option<&Path> {
        match flow::canonical(address) {
            IpAddr::V4(address) => find(&self.v4, address.to_bits()),
            IpAddr::V6(address) => find(&self.v6, address.to_bits()),
        }
    }

    /// How many ranges of addresses have a path.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.v4.iter().map(|chunk| chunk.len()).sum::<usize>() + self.v6.iter().map(|chunk| chunk.len()).sum::<usize>()
    }
}

#[inline]
fn find<A: Address>(chunks: &[Arc<Chunk<A>>], address: A) -> Option<&Path> {
    chunks.get(address.leading(A::CHUNK_BITS))?.find(address)
}

/// The addresses that have their first bits in common, as ranges: where each begins, and its path.
#[derive(Debug)]
pub(crate) struct Chunk<A> {
    starts: Box<[A]>,
    paths: Box<[Option<Arc<Path>>]>,
    /// For the next bits of an address, as many as `index_bits`: how many ranges begin before all addresses with these bits.
    /// A search among these few ranges touches one or two lines of the cache, and one among all of the chunk five.
    index: Box<[u32]>,
    index_bits: u8,
}

/// A prefix and its path.
#[derive(Clone, Debug)]
pub(crate) struct Chosen<'p> {
    pub(crate) first: u128,
    pub(crate) length: u8,
    pub(crate) path: &'p Arc<Path>,
}

impl<A: Address> Chunk<A> {
    /// All addresses have the same path, or none.
    pub(crate) fn uniform(path: Option<&Arc<Path>>) -> Self {
        Self::new(Box::new([A::narrow(0)]), Box::new([path.cloned()]))
    }

    /// The chunk that begins with this address, of prefixes in order, a containing one first. `around` is the path of the
    /// addresses that none of them contains.
    pub(crate) fn compile(first: u128, around: Option<&Arc<Path>>, prefixes: &[Chosen<'_>]) -> Self {
        let mut ranges = Ranges::default();
        ranges.begin(first, around);
        // The prefixes that contain the place reached, each with its last address.
        let mut open: Vec<(u128, &Arc<Path>)> = Vec::new();
        for chosen in prefixes {
            while let Some((end, _)) = open.pop_if(|(end, _)| *end < chosen.first) {
                ranges.begin(end + 1, open.last().map(|(_, path)| *path).or(around));
            }
            ranges.begin(chosen.first, Some(chosen.path));
            open.push((last::<A>(chosen.first, chosen.length), chosen.path));
        }
        let end = last::<A>(first, A::CHUNK_BITS);
        while let Some((inner, _)) = open.pop() {
            if inner < end {
                ranges.begin(inner + 1, open.last().map(|(_, path)| *path).or(around));
            }
        }
        let starts = ranges.0.iter().map(|(start, _)| A::narrow(*start)).collect();
        let paths = ranges.0.into_iter().map(|(_, path)| path.cloned()).collect();
        Self::new(starts, paths)
    }

    fn new(starts: Box<[A]>, paths: Box<[Option<Arc<Path>>]>) -> Self {
        // About as many entries as ranges.
        let index_bits = starts.len().ilog2().min(24) as u8;
        let mut index = Vec::with_capacity((1 << index_bits) + 1);
        for (number, start) in starts.iter().enumerate() {
            let bits = start.after(A::CHUNK_BITS, index_bits);
            while index.len() <= bits {
                index.push(number as u32);
            }
        }
        index.resize((1 << index_bits) + 1, starts.len() as u32);
        Self { starts, paths, index: index.into(), index_bits }
    }

    #[inline]
    fn find(&self, address: A) -> Option<&Path> {
        let bits = address.after(A::CHUNK_BITS, self.index_bits);
        let (begin, end) = (*self.index.get(bits)? as usize, *self.index.get(bits + 1)? as usize);
        let few = self.starts.get(begin..end)?;
        // The range before the first of these is the one if all of these begin later.
        let begun = begin + few.partition_point(|start| *start <= address);
        self.paths.get(begun.checked_sub(1)?)?.as_deref()
    }

    fn len(&self) -> usize {
        self.paths.iter().flatten().count()
    }
}

/// Where addresses begin to have a path.
#[derive(Debug, Default)]
struct Ranges<'p>(Vec<(u128, Option<&'p Arc<Path>>)>);

impl<'p> Ranges<'p> {
    /// From here on, addresses have this path.
    fn begin(&mut self, start: u128, path: Option<&'p Arc<Path>>) {
        self.0.pop_if(|(last, _)| *last == start);
        let is_same = self.0.last().is_some_and(|(_, before)| before.map(Arc::as_ptr) == path.map(Arc::as_ptr));
        if !is_same {
            self.0.push((start, path));
        }
    }
}
