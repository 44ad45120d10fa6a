//! A table that is being added to: the counters of one field in one direction, by value.
//!
//! IPv4 addresses and numbers have keys of 4 bytes, IPv6 addresses of 16: two maps, so that the common case is small.
//! What lives here is in memory only; its encoding is in [`block`](crate::block).

use std::cmp::Reverse;
use std::net::IpAddr;

use flow::{Counters, canonical};

use crate::counter_map::{Amount, CounterMap, MapKey, Seed};
use crate::field::{Field, Name, Value};

/// A value as a map key. Ordered as blocks order it: numbers and IPv4 addresses by value, then IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A number or an IPv4 address.
    Short(u32),
    /// An IPv6 address.
    Long(u128),
}

impl Key {
    /// The key of an address; an IPv4-mapped IPv6 address is the IPv4 address.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        match canonical(address) {
            IpAddr::V4(address) => Self::Short(address.to_bits()),
            IpAddr::V6(address) => Self::Long(address.to_bits()),
        }
    }

    /// The key of a name; `None` when the value is not one of the field.
    pub(crate) fn of(name: Name) -> Option<Self> {
        match (name.value, name.field.largest_number()) {
            (Value::Number(number), Some(largest)) if number <= largest => Some(Self::Short(number)),
            (Value::Address(address), None) => Some(Self::of_address(address)),
            _ => None,
        }
    }

    /// With its hash, which can be used for all tables.
    #[inline]
    pub(crate) fn hashed(self, seed: Seed) -> HashedKey {
        let hash = match self {
            Self::Short(key) => key.hash(seed),
            Self::Long(key) => key.hash(seed),
        };
        HashedKey { key: self, hash }
    }

    /// The value that this key stands for in a field.
    pub(crate) fn value(self, field: Field) -> Value {
        match self {
            Self::Short(bits) if field.is_address() => Value::Address(IpAddr::V4(bits.into())),
            Self::Short(number) => Value::Number(number),
            Self::Long(bits) => Value::Address(IpAddr::V6(bits.into())),
        }
    }
}

/// A key with its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedKey {
    key: Key,
    hash: usize,
}

/// A number with its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedNumber {
    number: u32,
    hash: usize,
}

impl HashedNumber {
    #[inline]
    pub(crate) fn new(number: u32, seed: Seed) -> Self {
        Self { number, hash: number.hash(seed) }
    }
}

/// The counters of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    short: CounterMap<u32>,
    long: CounterMap<u128>,
    other: Counters,
    truncated: bool,
}

/// The content of a table in the order of [`Key`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Numbers or IPv4 addresses, ascending.
    pub(crate) short: Vec<(u32, Counters)>,
    /// IPv6 addresses, ascending.
    pub(crate) long: Vec<(u128, Counters)>,
    /// What was folded away.
    pub(crate) other: Counters,
    /// Whether something was folded away.
    pub(crate) truncated: bool,
}

impl Table {
    /// Adds to a counter; `true` when the table had not had it before.
    #[inline]
    pub(crate) fn add(&mut self, HashedKey { key, hash }: HashedKey, amount: &Amount) -> bool {
        match key {
            Key::Short(key) => self.short.add(key, hash, amount),
            Key::Long(key) => self.long.add(key, hash, amount),
        }
    }

    /// Adds to the counter of a number; `true` when the table had not had it before.
    #[inline]
    pub(crate) fn add_number(&mut self, HashedNumber { number, hash }: HashedNumber, amount: &Amount) -> bool {
        self.short.add(number, hash, amount)
    }

    /// Adds something that has no name (any more).
    pub(crate) fn add_other(&mut self, counters: Counters) {
        self.other.add(counters);
        self.truncated = true;
    }

    /// Adds all rows of another table.
    pub(crate) fn merge(&mut self, rows: &Rows) {
        let seed = Seed::of_process();
        for (key, counters) in &rows.short {
            self.short.add(*key, key.hash(seed), &Amount::new(*counters));
        }
        for (key, counters) in &rows.long {
            self.long.add(*key, key.hash(seed), &Amount::new(*counters));
        }
        self.other.add(rows.other);
        self.truncated |= rows.truncated;
    }

    /// The counters of one value.
    pub(crate) fn get(&self, key: Key) -> Option<Counters> {
        let HashedKey { key, hash } = key.hashed(Seed::of_process());
        match key {
            Key::Short(key) => self.short.get(key, hash),
            Key::Long(key) => self.long.get(key, hash),
        }
    }

    /// What was folded away.
    pub(crate) fn other(&self) -> Counters {
        self.other
    }

    /// Whether something was folded away.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// How many values it tells apart.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    /// Whether nothing was ever added.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && !self.truncated
    }

    /// Keeps the largest values by bytes, of equally large ones those that come first, and folds the rest into
    /// `other`. Returns how many were folded.
    pub(crate) fn fold(&mut self, limit: usize) -> usize {
        let folded = self.len().saturating_sub(limit);
        if folded == 0 {
            return 0;
        }
        // The size of the largest one that goes; all larger ones stay, and as many of the same size as there is room.
        let mut sizes = Vec::with_capacity(self.len());
        self.each(|_, counters| sizes.push(counters.bytes));
        let (larger, size, _) = sizes.select_nth_unstable_by_key(limit, |bytes| Reverse(*bytes));
        let size = *size;
        let room = limit - larger.iter().filter(|bytes| **bytes > size).count();
        let mut equal = Vec::new();
        self.each(|key, counters| {
            if counters.bytes == size {
                equal.push(key);
            }
        });
        let first_folded = *equal.select_nth_unstable(room).1;
        let mut rest = Counters::ZERO;
        let mut keeps = |key: Key, counters: &Counters| {
            let kept = counters.bytes > size || counters.bytes == size && key < first_folded;
            if !kept {
                rest.add(*counters);
            }
            kept
        };
        self.short.retain(|key, counters| keeps(Key::Short(key), counters));
        self.long.retain(|key, counters| keeps(Key::Long(key), counters));
        self.add_other(rest);
        folded
    }

    /// Visits all counters, in no particular order.
    #[inline]
    pub(crate) fn each(&self, mut visit: impl FnMut(Key, Counters)) {
        self.short.each(|key, counters| visit(Key::Short(key), counters));
        self.long.each(|key, counters| visit(Key::Long(key), counters));
    }

    /// Everything, sorted.
    pub(crate) fn rows(&self) -> Rows {
        Rows { short: sorted(&self.short), long: sorted(&self.long), other: self.other, truncated: self.truncated }
    }

    /// Everything, sorted, folded to a limit.
    pub(crate) fn folded_rows(&self, limit: usize) -> Rows {
        if self.len() <= limit {
            return self.rows();
        }
        let mut folded = self.clone();
        folded.fold(limit);
        folded.rows()
    }

    /// Forgets everything and keeps room for about as much as there was.
    pub(crate) fn clear(&mut self) {
        self.short.clear();
        self.long.clear();
        self.other = Counters::ZERO;
        self.truncated = false;
    }
}

fn sorted<K: MapKey>(map: &CounterMap<K>) -> Vec<(K, Counters)> {
    let mut rows = Vec::with_capacity(map.len());
    map.each(|key, counters| rows.push((key, counters)));
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}
