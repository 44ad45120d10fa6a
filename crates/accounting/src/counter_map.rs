//! The map from a value to its counters: the innermost loop of the program. docs/decisions/0003-tally.md tells what it
//! was measured against.
//!
//! Open addressing with linear probing: a value is looked for at the place that its hash says, then at the places behind
//! it, until it or a vacant place is found. Value and counters stand together in 32 bytes (IPv4 addresses and numbers),
//! so that a look-up costs one cache line. A place is vacant unless it has the generation of the map, so that
//! forgetting everything costs nothing. Values come from the network; the hash is seeded once a process, so that nobody
//! can choose values that collide.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use flow::Counters;

/// Something that is counted by.
pub(crate) trait MapKey: Copy + Ord + Default {
    /// Well spread over all bits, by a seed that nobody knows.
    fn hash(self, seed: u64) -> usize;
}

impl MapKey for u32 {
    #[inline]
    fn hash(self, seed: u64) -> usize {
        folded_product(u64::from(self) ^ seed, MULTIPLIER)
    }
}

impl MapKey for u128 {
    #[inline]
    fn hash(self, seed: u64) -> usize {
        folded_product(self as u64 ^ seed, (self >> 64) as u64 ^ seed.rotate_left(32) ^ MULTIPLIER)
    }
}

/// An odd number without pattern: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of the product of two numbers, folded: each bit of the result depends on all bits of both.
#[inline]
fn folded_product(a: u64, b: u64) -> usize {
    let product = u128::from(a) * u128::from(b);
    (product as u64 ^ (product >> 64) as u64) as usize
}

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

/// Counters by value.
#[derive(Clone, Debug)]
pub(crate) struct CounterMap<K> {
    /// None, or a power of two of them, at most three quarters of them taken.
    places: Vec<Place<K>>,
    seed: u64,
    len: usize,
    generation: u32,
}

/// Aligned so that no place of 32 bytes lies across two cache lines.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Place<K> {
    counters: Counters,
    key: K,
    /// Taken when it is that of the map. That is never 0.
    generation: u32,
}

/// How many places the smallest map has that holds something.
const FEWEST_PLACES: usize = 4;

impl<K> Default for CounterMap<K> {
    fn default() -> Self {
        Self { places: Vec::new(), seed: *SEED, len: 0, generation: 1 }
    }
}

impl<K: MapKey> CounterMap<K> {
    /// Adds to a counter; `true` when it is a new one.
    #[inline]
    pub(crate) fn add(&mut self, key: K, counters: Counters) -> bool {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = key.hash(self.seed);
        while let Some(place) = self.places.get_mut(at & mask) {
            if place.generation != self.generation {
                break;
            }
            if place.key == key {
                place.counters.add(counters);
                return false;
            }
            at = at.wrapping_add(1);
        }
        self.insert(at, key, counters);
        true
    }

    /// Takes the vacant place that a search for the key has ended at, or any other when the map has to grow.
    fn insert(&mut self, mut at: usize, key: K, counters: Counters) {
        if (self.len + 1) * 4 > self.places.len() * 3 {
            let places = (self.places.len() * 2).max(FEWEST_PLACES);
            let grown = vec![Place::default(); places];
            let old = std::mem::replace(&mut self.places, grown);
            let generation = self.generation;
            for place in old.into_iter().filter(|place| place.generation == generation) {
                let vacant = self.vacant(place.key);
                self.take(vacant, place.key, place.counters);
            }
            at = self.vacant(key);
        }
        self.take(at, key, counters);
        self.len += 1;
    }

    /// Where a key goes that is not there.
    fn vacant(&self, key: K) -> usize {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = key.hash(self.seed);
        while self.places.get(at & mask).is_some_and(|place| place.generation == self.generation) {
            at = at.wrapping_add(1);
        }
        at
    }

    #[inline]
    fn take(&mut self, at: usize, key: K, counters: Counters) {
        let mask = self.places.len().wrapping_sub(1);
        if let Some(place) = self.places.get_mut(at & mask) {
            *place = Place { counters, key, generation: self.generation };
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<Counters> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = key.hash(self.seed);
        while let Some(place) = self.places.get(at & mask).filter(|place| place.generation == self.generation) {
            if place.key == key {
                return Some(place.counters);
            }
            at = at.wrapping_add(1);
        }
        None
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// In no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, Counters)> + '_ {
        let taken = self.places.iter().filter(|place| place.generation == self.generation);
        taken.map(|place| (place.key, place.counters))
    }

    /// Forgets those for which `keeps` is false.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(K, &Counters) -> bool) {
        let kept: Vec<(K, Counters)> = self.iter().filter(|(key, counters)| keeps(*key, counters)).collect();
        self.forget();
        for (key, counters) in kept {
            self.add(key, counters);
        }
    }

    /// Forgets all. Keeps its places, unless few of them were taken.
    pub(crate) fn clear(&mut self) {
        if self.places.len() > 8 * self.len.max(FEWEST_PLACES) {
            self.places = Vec::new();
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.len = 0;
        self.generation = self.generation.checked_add(1).unwrap_or_else(|| {
            self.places.fill(Place::default());
            1
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn sorted(map: &CounterMap<u32>) -> Vec<(u32, Counters)> {
        let mut rows: Vec<_> = map.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }

    fn count(bytes: u64) -> Counters {
        Counters { bytes, packets: 1, flows: 1 }
    }

    #[test]
    fn a_place_of_a_short_key_is_half_a_cache_line() {
        assert_eq!(size_of::<Place<u32>>(), 32);
        assert_eq!(size_of::<Place<u128>>(), 64);
    }

    #[test]
    fn a_generation_that_wraps_forgets_all_the_same() {
        let mut map = CounterMap::<u32> { generation: u32::MAX, ..CounterMap::default() };
        assert!(map.add(7, count(1)));
        map.clear();
        assert_eq!((map.generation, map.len(), map.get(7)), (1, 0, None));
        assert!(map.add(7, count(2)));
        assert_eq!(map.get(7), Some(count(2)));
    }

    #[test]
    fn a_map_that_was_large_gives_its_room_back_when_little_of_it_is_used() {
        let mut map = CounterMap::default();
        (0..1000u32).for_each(|key| assert!(map.add(key, count(1))));
        map.clear();
        assert_eq!(map.places.len(), 2048);
        map.add(1, count(1));
        map.clear();
        assert_eq!(map.places.len(), 0);
    }

    #[test]
    fn keys_in_a_row_do_not_pile_up() {
        for step in [1u32, 2, 256, 65_536, 0x0101_0101] {
            let mut map = CounterMap::default();
            (0..12_000u32).for_each(|number| assert!(map.add(number.wrapping_mul(step), count(1))));
            let mask = map.places.len() - 1;
            let far = map
                .places
                .iter()
                .enumerate()
                .filter(|(_, place)| place.generation != 0)
                .map(|(at, place)| at.wrapping_sub(place.key.hash(map.seed)) & mask);
            // At 12,000 of 16,384 places the mean of linear probing with a random hash is 1.3 places.
            assert!(far.sum::<usize>() < 12_000 * 4, "step {step}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(operations in prop::collection::vec((0u32..200, 0u64..5, 0u8..100), 0..600)) {
            let mut map = CounterMap::default();
            let mut model: BTreeMap<u32, Counters> = BTreeMap::new();
            for (key, bytes, operation) in operations {
                match operation {
                    0 => {
                        map.clear();
                        model.clear();
                    }
                    1 | 2 => {
                        map.retain(|key, counters| key % 3 != 0 && counters.bytes > 0);
                        model.retain(|key, counters| key % 3 != 0 && counters.bytes > 0);
                    }
                    _ => {
                        prop_assert_eq!(map.add(key, count(bytes)), !model.contains_key(&key));
                        model.entry(key).or_default().add(count(bytes));
                    }
                }
                prop_assert_eq!(map.get(key), model.get(&key).copied());
                prop_assert_eq!(map.len(), model.len());
            }
            prop_assert_eq!(sorted(&map), model.into_iter().collect::<Vec<_>>());
        }
    }
}
