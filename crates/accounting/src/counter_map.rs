//! The map from a value to its counters.

use std::hash::Hash;

use flow::Counters;
use hashbrown::HashMap;

/// Counters by value.
#[derive(Clone, Debug)]
pub(crate) struct CounterMap<K> {
    map: HashMap<K, Counters>,
}

impl<K> Default for CounterMap<K> {
    fn default() -> Self {
        Self { map: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> CounterMap<K> {
    /// Adds to a counter; `true` when it is a new one.
    #[inline]
    pub(crate) fn add(&mut self, key: K, counters: Counters) -> bool {
        let mut new = false;
        self.map
            .entry(key)
            .or_insert_with(|| {
                new = true;
                Counters::ZERO
            })
            .add(counters);
        new
    }

    pub(crate) fn get(&self, key: K) -> Option<Counters> {
        self.map.get(&key).copied()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// In no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, Counters)> + '_ {
        self.map.iter().map(|(key, counters)| (*key, *counters))
    }

    /// Forgets those for which `keeps` is false.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(K, &Counters) -> bool) {
        self.map.retain(|key, counters| keeps(*key, counters));
    }

    /// Forgets all, keeps room for about as many.
    pub(crate) fn clear(&mut self) {
        let used = self.map.len();
        self.map.clear();
        if self.map.capacity() > 4 * used.max(8) {
            self.map.shrink_to(2 * used);
        }
    }
}
