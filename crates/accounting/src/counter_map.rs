//! The map from a value to its counters: the innermost loop of the program. docs/decisions/0003-tally.md compares it
//! with alternatives.
//!
//! A bucket is one cache line with four values and their counters (two lines for IPv6 addresses). A value is in
//! the bucket of its hash, or in the next one if that is full. All four are compared at once, without a
//! branch for each, because branches that depend on hashes are mispredicted. Counters are narrow so that four fit a
//! line; sums that do not fit go to a map of wide counters beside, which costs one slow addition in thousands.
//!
//! Values come from the network. The hash is seeded once a process, so that an attacker cannot choose values that
//! collide.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use flow::Counters;
use prefetch_index::prefetch_index;

/// A value with counters.
pub(crate) trait MapKey: Copy + Ord + Default {
    /// A hash whose bits are all well distributed.
    fn hash(self, seed: Seed) -> usize;
}

/// The secret input of hashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    /// The seed of this process.
    pub(crate) fn of_process() -> Self {
        static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
        Self(*SEED)
    }
}

impl MapKey for u32 {
    #[inline]
    fn hash(self, Seed(seed): Seed) -> usize {
        folded_product(u64::from(self) ^ seed, MULTIPLIER)
    }
}

impl MapKey for u128 {
    #[inline]
    fn hash(self, Seed(seed): Seed) -> usize {
        folded_product(self as u64 ^ seed, (self >> 64) as u64 ^ seed.rotate_left(32) ^ MULTIPLIER)
    }
}

/// An odd number without a pattern: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The XOR of both halves of a product: each bit depends on all bits of both factors.
#[inline]
fn folded_product(a: u64, b: u64) -> usize {
    let product = u128::from(a) * u128::from(b);
    (product as u64 ^ (product >> 64) as u64) as usize
}

/// What is added to a counter, in the form of a slot. Prepared once for all tables that it is added to. Packed, because
/// each pending flow has one.
#[derive(Clone, Copy, Debug, Default)]
#[repr(Rust, packed(4))]
pub(crate) struct Amount {
    packets: u32,
    /// [`TAKEN`], [`WIDE`] and [`CARRIES`] are clear.
    rest: u64,
}

impl Amount {
    /// `None` when it does not fit a slot.
    #[inline]
    pub(crate) fn new(counters: Counters) -> Option<Self> {
        let packets = u32::try_from(counters.packets).ok()?;
        let fits = counters.bytes <= MOST_BYTES && counters.flows <= MOST_FLOWS;
        fits.then_some(Self { packets, rest: counters.flows << FLOWS_SHIFT | counters.bytes << BYTES_SHIFT })
    }

    #[inline]
    pub(crate) fn counters(self) -> Counters {
        let bytes = self.rest >> BYTES_SHIFT & MOST_BYTES;
        Counters { bytes, packets: self.packets.into(), flows: self.rest >> FLOWS_SHIFT }
    }

    /// The sum; `None` when it does not fit a slot. Keeps [`TAKEN`] and [`WIDE`] as they are in `self`.
    #[inline(always)]
    pub(crate) fn plus(self, more: Self) -> Option<Self> {
        let rest = self.rest.wrapping_add(more.rest);
        let (packets, packets_carry) = self.packets.overflowing_add(more.packets);
        if rest & CARRIES != 0 || packets_carry { None } else { Some(Self { packets, rest }) }
    }
}

/// Counters by value.
#[derive(Clone, Debug)]
pub(crate) struct CounterMap<K> {
    /// None, or a power of two of them, with at most three quarters of their slots taken.
    buckets: Box<[Bucket<K>]>,
    len: usize,
    /// Sums that did not fit the slot of their key; the key has a slot too. Few maps ever have any.
    #[expect(clippy::box_collection, reason = "an empty one is three times as large, and there are millions of maps")]
    wide: Option<Box<BTreeMap<K, Counters>>>,
}

const SLOTS: usize = 4;

/// Four slots, taken from the first to the last and never freed one by one.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Bucket<K> {
    keys: [K; SLOTS],
    packets: [u32; SLOTS],
    /// From the lowest bit: whether the slot is taken, whether its key has wide counters too, bytes, 0, flows, 0.
    rest: [u64; SLOTS],
}

/// About the share of the first data cache that a table may use, in octets.
const CACHE: usize = 16 << 10;

const TAKEN: u64 = 1;
const WIDE: u64 = 2;
const BYTES_SHIFT: u32 = 2;
const BYTES_BITS: u32 = 46;
const MOST_BYTES: u64 = (1 << BYTES_BITS) - 1;
const FLOWS_SHIFT: u32 = BYTES_SHIFT + BYTES_BITS + 1;
const MOST_FLOWS: u64 = (1 << (u64::BITS - FLOWS_SHIFT - 1)) - 1;
/// The bits above bytes and above flows, which are always clear: a sum that sets one of them does not fit.
const CARRIES: u64 = 1 << (FLOWS_SHIFT - 1) | 1 << (u64::BITS - 1);

#[expect(clippy::indexing_slicing, reason = "slots are below 4: the constant index, and bit numbers of a mask of 4")]
impl<K: MapKey> Bucket<K> {
    /// The slot of a key. Slots that are not taken have the key 0; they follow those that are.
    #[inline(always)]
    fn find(&self, key: K) -> Option<usize> {
        let mut equal = 0u32;
        for (slot, other) in self.keys.iter().enumerate() {
            equal |= u32::from(*other == key) << slot;
        }
        let slot = (equal.trailing_zeros() as usize) % SLOTS;
        (equal != 0 && self.rest[slot] & TAKEN != 0).then_some(slot)
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.rest[SLOTS - 1] & TAKEN != 0
    }

    #[inline(always)]
    fn counters(&self, slot: usize) -> Counters {
        Amount { packets: self.packets[slot % SLOTS], rest: self.rest[slot % SLOTS] }.counters()
    }

    /// Adds to a slot that is taken; `false` when the sum does not fit, and then nothing is added.
    #[inline(always)]
    fn add(&mut self, slot: usize, amount: Amount) -> bool {
        let old = Amount { packets: self.packets[slot % SLOTS], rest: self.rest[slot % SLOTS] };
        let Some(sum) = old.plus(amount) else { return false };
        self.rest[slot % SLOTS] = sum.rest;
        self.packets[slot % SLOTS] = sum.packets;
        true
    }

    /// Sets a slot that is taken to zero and notes that its key has wide counters; returns what was in it.
    fn empty(&mut self, slot: usize) -> Counters {
        let counters = self.counters(slot);
        self.rest[slot % SLOTS] = TAKEN | WIDE;
        self.packets[slot % SLOTS] = 0;
        counters
    }

    /// Takes the first slot that is not taken, with counters in the form of a slot; `false` when all are taken.
    #[inline]
    fn take(&mut self, key: K, packets: u32, rest: u64) -> bool {
        let Some(slot) = self.rest.iter().position(|rest| rest & TAKEN == 0) else { return false };
        self.keys[slot] = key;
        self.packets[slot] = packets;
        self.rest[slot] = rest;
        true
    }

    fn taken(&self) -> impl Iterator<Item = usize> + '_ {
        (0..SLOTS).take_while(|slot| self.rest[*slot] & TAKEN != 0)
    }
}

impl<K> Default for CounterMap<K> {
    fn default() -> Self {
        Self { buckets: Box::default(), len: 0, wide: None }
    }
}

impl<K: MapKey> CounterMap<K> {
    /// Adds to the counters of a key with this hash; `true` when they are new.
    #[inline(always)]
    pub(crate) fn add(&mut self, key: K, hash: usize, amount: Amount) -> bool {
        let first = hash & self.buckets.len().wrapping_sub(1);
        if let Some(bucket) = self.buckets.get_mut(first)
            && let Some(slot) = bucket.find(key)
            && bucket.add(slot, amount)
        {
            return false;
        }
        self.add_elsewhere(key, hash, amount)
    }

    /// The same for a key that is not in its first bucket, or whose sum does not fit its slot.
    #[inline(never)]
    fn add_elsewhere(&mut self, key: K, hash: usize, amount: Amount) -> bool {
        if let Some((bucket, slot)) = self.slot(key, hash) {
            if !bucket.add(slot, amount) {
                let narrow = bucket.empty(slot);
                self.widen(key, narrow, amount.counters());
            }
            return false;
        }
        self.insert(key, hash, amount.packets, TAKEN | amount.rest);
        true
    }

    /// Whether the map is too large for the first cache.
    #[inline]
    pub(crate) fn outgrows_cache(&self) -> bool {
        self.octets() > CACHE
    }

    /// Heap memory in octets.
    #[inline]
    pub(crate) fn octets(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Prefetches the bucket of a key with this hash, so that a later addition finds it in the cache.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: usize) {
        if let Some(bucket) = self.buckets.get(hash & self.buckets.len().wrapping_sub(1)) {
            // The first line of a bucket and the last one, which is the same when keys are short.
            prefetch_index(&bucket.keys[..], 0);
            if size_of::<Bucket<K>>() > align_of::<Bucket<K>>() {
                prefetch_index(&bucket.rest[..], 0);
            }
        }
    }

    /// The same for counters of any size.
    pub(crate) fn add_counters(&mut self, key: K, counters: Counters) -> bool {
        let hash = key.hash(Seed::of_process());
        if let Some(amount) = Amount::new(counters) {
            return self.add(key, hash, amount);
        }
        let new = self.add(key, hash, Amount::default());
        let slot = self.slot(key, hash);
        let narrow = slot.map_or(Counters::ZERO, |(bucket, slot)| bucket.empty(slot));
        self.widen(key, narrow, counters);
        new
    }

    /// Adds the content of a slot and an amount that did not fit it.
    #[cold]
    #[inline(never)]
    fn widen(&mut self, key: K, narrow: Counters, more: Counters) {
        let wide = self.wide.get_or_insert_default().entry(key).or_default();
        wide.add(narrow);
        wide.add(more);
    }

    #[inline(never)]
    fn insert(&mut self, key: K, hash: usize, packets: u32, rest: u64) {
        if (self.len + 1) * 4 > self.buckets.len() * SLOTS * 3 {
            self.grow();
        }
        self.len += 1;
        self.place(key, hash, packets, rest);
    }

    /// Takes a slot for a key that has none. A free slot always exists.
    #[inline]
    fn place(&mut self, key: K, hash: usize, packets: u32, rest: u64) {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut at = hash & mask;
        while let Some(bucket) = self.buckets.get_mut(at) {
            if bucket.take(key, packets, rest) {
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Doubles the number of buckets.
    #[cold]
    #[expect(clippy::indexing_slicing, reason = "slots that are taken are slots")]
    fn grow(&mut self) {
        let seed = Seed::of_process();
        let buckets = (self.buckets.len() * 2).max(1);
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::default(); buckets].into());
        for bucket in &old {
            for slot in bucket.taken() {
                let key = bucket.keys[slot];
                self.place(key, key.hash(seed), bucket.packets[slot], bucket.rest[slot]);
            }
        }
    }

    /// The slot of a key with this hash.
    fn slot(&mut self, key: K, hash: usize) -> Option<(&mut Bucket<K>, usize)> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut at = hash & mask;
        loop {
            let bucket = self.buckets.get(at)?;
            if let Some(slot) = bucket.find(key) {
                return self.buckets.get_mut(at).map(|bucket| (bucket, slot));
            }
            if !bucket.is_full() {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// The counters of a key with this hash.
    pub(crate) fn get(&self, key: K, hash: usize) -> Option<Counters> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut at = hash & mask;
        while let Some(bucket) = self.buckets.get(at) {
            if let Some(slot) = bucket.find(key) {
                return Some(self.whole(bucket, slot));
            }
            if !bucket.is_full() {
                break;
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// The counters of the key in a taken slot.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "slots that are taken are slots")]
    fn whole(&self, bucket: &Bucket<K>, slot: usize) -> Counters {
        let mut counters = bucket.counters(slot);
        if bucket.rest[slot % SLOTS] & WIDE != 0 {
            let wide = self.wide.as_ref().and_then(|wide| wide.get(&bucket.keys[slot % SLOTS]));
            counters.add(wide.copied().unwrap_or_default());
        }
        counters
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Visits all counters, in no particular order.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "slots that are taken are slots")]
    pub(crate) fn each(&self, mut visit: impl FnMut(K, Counters)) {
        for bucket in &self.buckets {
            for slot in bucket.taken() {
                visit(bucket.keys[slot], self.whole(bucket, slot));
            }
        }
    }

    /// Removes counters for which `keeps` returns false, and keeps the allocation. `moving` is a buffer for the others.
    #[expect(clippy::indexing_slicing, reason = "slots that are taken are slots")]
    pub(crate) fn retain(&mut self, moving: &mut Vec<Moving<K>>, mut keeps: impl FnMut(K, &Counters) -> bool) {
        moving.clear();
        for bucket in &self.buckets {
            for slot in bucket.taken() {
                let key = bucket.keys[slot];
                if keeps(key, &self.whole(bucket, slot)) {
                    moving.push(Moving { key, packets: bucket.packets[slot], rest: bucket.rest[slot] });
                }
            }
        }
        self.buckets.fill(Bucket::default());
        self.len = moving.len();
        let seed = Seed::of_process();
        for Moving { key, packets, rest } in &*moving {
            self.place(*key, key.hash(seed), *packets, *rest);
        }
        if let Some(mut wide) = self.wide.take() {
            wide.retain(|key, _| self.slot(*key, key.hash(seed)).is_some());
            self.wide = Some(wide);
        }
    }

    /// Removes everything. Keeps the allocation, unless little of it was used.
    pub(crate) fn clear(&mut self) {
        if self.buckets.len() * SLOTS > 8 * self.len.max(SLOTS) {
            self.buckets = Box::default();
        }
        self.buckets.fill(Bucket::default());
        self.wide = None;
        self.len = 0;
    }
}

/// A slot that is being moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moving<K> {
    key: K,
    packets: u32,
    rest: u64,
}

#[cfg(test)]
mod tests;
