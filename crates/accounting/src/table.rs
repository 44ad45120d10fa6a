//! A table under construction: the counters of one field in one direction, by value.
//!
//! IPv4 addresses and numbers have keys of 4 bytes, IPv6 addresses of 16: two maps, so that the common case is small.
//! This is the form in memory; for the encoding, see [`block`](crate::block).

use std::cmp::Ordering;
use std::net::IpAddr;

use flow::{Counters, canonical};

use crate::about_all::AboutAll;
use crate::counter_map::{CounterMap, MapKey, Moving, Seed};
use crate::field::{Field, Name, Value};

/// A value as a map key, in the order of blocks: numbers and IPv4 addresses by value, then IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValueKey {
    /// A number or an IPv4 address.
    Short(u32),
    /// An IPv6 address.
    Long(u128),
}

impl ValueKey {
    /// The key of an address; an IPv4-mapped IPv6 address is the IPv4 address.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        match canonical(address) {
            IpAddr::V4(address) => Self::Short(address.to_bits()),
            IpAddr::V6(address) => Self::Long(address.to_bits()),
        }
    }

    /// The key of a name; `None` if the value is invalid for the field.
    pub(crate) fn of(name: Name) -> Option<Self> {
        match (name.value, name.field.largest_number()) {
            (Value::Number(number), Some(largest)) if number <= largest => Some(Self::Short(number)),
            (Value::Address(address), None) => Some(Self::of_address(address)),
            _ => None,
        }
    }

    /// The key of a value.
    pub(crate) fn of_value(value: Value) -> Self {
        match value {
            Value::Number(number) => Self::Short(number),
            Value::Address(address) => Self::of_address(address),
        }
    }

    /// The value of a field with this key.
    pub(crate) fn value(self, field: Field) -> Value {
        match self {
            Self::Short(bits) if field.is_address() => Value::Address(IpAddr::V4(bits.into())),
            Self::Short(number) => Value::Number(number),
            Self::Long(bits) => Value::Address(IpAddr::V6(bits.into())),
        }
    }
}

/// The counters of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    short: CounterMap<u32>,
    /// Most tables have no IPv6 addresses.
    long: Option<Box<CounterMap<u128>>>,
    /// Folded counters, if any.
    other: Option<Box<Counters>>,
}

/// The content of a table in the order of [`ValueKey`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Numbers or IPv4 addresses, ascending.
    pub(crate) short: Vec<(u32, Counters)>,
    /// IPv6 addresses, ascending.
    pub(crate) long: Vec<(u128, Counters)>,
    /// Folded counters.
    pub(crate) other: Counters,
    /// Whether counters were folded.
    pub(crate) truncated: bool,
    /// The metadata of `all`; used in its table only.
    pub(crate) about_all: AboutAll,
}

impl Rows {
    /// Removes all rows and keeps the allocation.
    pub(crate) fn clear(&mut self) {
        self.short.clear();
        self.long.clear();
        (self.other, self.truncated, self.about_all) = (Counters::ZERO, false, AboutAll::NOTHING);
    }

    /// The sum of all rows and of what was folded.
    pub(crate) fn sum(&self) -> Counters {
        let mut sum = self.other;
        self.short.iter().for_each(|(_, counters)| sum.add(*counters));
        self.long.iter().for_each(|(_, counters)| sum.add(*counters));
        sum
    }

    /// Sorts the rows and adds up those of equal values.
    pub(crate) fn sum_up(&mut self) {
        add_up(&mut self.short);
        add_up(&mut self.long);
    }

    /// Folds the smallest rows beyond the limit into `other`.
    pub(crate) fn fold(&mut self, limit: usize) {
        if self.short.len() + self.long.len() > limit {
            let mut table = Table::default();
            table.merge(self);
            table.put_rows(limit, self);
        }
    }
}

impl Table {
    /// Adds to a counter; returns whether it is new.
    pub(crate) fn add(&mut self, key: ValueKey, counters: Counters) -> bool {
        match key {
            ValueKey::Short(key) => self.short.add_counters(key, counters),
            ValueKey::Long(key) => self.long().add_counters(key, counters),
        }
    }

    /// The counters of numbers or IPv4 addresses.
    #[inline]
    pub(crate) fn short(&mut self) -> &mut CounterMap<u32> {
        &mut self.short
    }

    /// The counters of IPv6 addresses.
    #[inline]
    pub(crate) fn long(&mut self) -> &mut CounterMap<u128> {
        self.long.get_or_insert_default()
    }

    /// Adds to `other`.
    pub(crate) fn add_other(&mut self, counters: Counters) {
        self.other.get_or_insert_default().add(counters);
    }

    /// Adds all rows of a decoded block.
    pub(crate) fn merge(&mut self, rows: &Rows) {
        for (key, counters) in &rows.short {
            self.add(ValueKey::Short(*key), *counters);
        }
        for (key, counters) in &rows.long {
            self.add(ValueKey::Long(*key), *counters);
        }
        if rows.truncated {
            self.add_other(rows.other);
        }
    }

    /// Adds another table.
    pub(crate) fn merge_table(&mut self, table: &Self) {
        table.each(|key, counters| {
            self.add(key, counters);
        });
        if table.truncated() {
            self.add_other(table.other());
        }
    }

    /// The counters of one value.
    pub(crate) fn get(&self, key: ValueKey) -> Option<Counters> {
        let seed = Seed::of_process();
        match key {
            ValueKey::Short(key) => self.short.get(key, key.hash(seed)),
            ValueKey::Long(key) => self.long.as_ref()?.get(key, key.hash(seed)),
        }
    }

    /// Folded counters.
    pub(crate) fn other(&self) -> Counters {
        self.other.as_deref().copied().unwrap_or_default()
    }

    /// Whether counters were folded.
    pub(crate) fn truncated(&self) -> bool {
        self.other.is_some()
    }

    /// The number of values.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.as_ref().map_or(0, |long| long.len())
    }

    /// Heap memory in octets.
    pub(crate) fn octets(&self) -> usize {
        self.short.octets() + self.long.as_ref().map_or(0, |long| long.octets())
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && !self.truncated()
    }

    /// Keeps the largest values by bytes (among equals, the first ones) and folds the rest into `other`. Returns how
    /// many were folded.
    pub(crate) fn fold(&mut self, limit: usize, room: &mut FoldRoom) -> usize {
        let folded = self.len().saturating_sub(limit);
        if folded == 0 {
            return 0;
        }
        let FoldRoom { edge, short, long } = room;
        let largest = Largest::of(self, limit, edge);
        let mut rest = Counters::ZERO;
        self.short.retain(short, |key, counters| largest.keep(ValueKey::Short(key), counters, &mut rest));
        if let Some(map) = &mut self.long {
            map.retain(long, |key, counters| largest.keep(ValueKey::Long(key), counters, &mut rest));
        }
        self.add_other(rest);
        folded
    }

    /// Visits all counters, in no particular order.
    #[inline]
    pub(crate) fn each(&self, mut visit: impl FnMut(ValueKey, Counters)) {
        self.short.each(|key, counters| visit(ValueKey::Short(key), counters));
        if let Some(long) = &self.long {
            long.each(|key, counters| visit(ValueKey::Long(key), counters));
        }
    }

    /// Everything, sorted.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        self.put_rows(usize::MAX, &mut rows);
        rows
    }

    /// Overwrites `rows` with all entries, sorted, and [folded](Self::fold) to the limit.
    pub(crate) fn put_rows(&self, limit: usize, rows: &mut Rows) {
        rows.clear();
        (rows.other, rows.truncated) = (self.other(), self.truncated());
        let largest = (self.len() > limit).then(|| Largest::of(self, limit, &mut Vec::new()));
        rows.truncated |= largest.is_some();
        let Rows { short, long, other, .. } = rows;
        let mut keeps =
            |key, counters: &Counters| largest.as_ref().is_none_or(|largest| largest.keep(key, counters, other));
        sort_into(short, &self.short, |key, counters| keeps(ValueKey::Short(key), counters));
        if let Some(map) = &self.long {
            sort_into(long, map, |key, counters| keeps(ValueKey::Long(key), counters));
        }
    }

    /// Removes everything and keeps the allocation.
    pub(crate) fn clear(&mut self) {
        self.short.clear();
        if let Some(long) = &mut self.long {
            long.clear();
        }
        self.other = None;
    }
}

/// A reusable buffer for folding.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoldRoom {
    edge: Vec<(u64, ValueKey)>,
    short: Vec<Moving<u32>>,
    long: Vec<Moving<u128>>,
}

/// The values that remain when a limit applies.
struct Largest {
    /// The approximate size of the smallest remaining values.
    about: usize,
    /// In descending order, the first value of about that size that does not remain.
    first_folded: (u64, ValueKey),
}

impl Largest {
    /// The largest by bytes; among equals, the first ones.
    fn of(table: &Table, limit: usize, edge: &mut Vec<(u64, ValueKey)>) -> Self {
        // A histogram of approximate sizes gives that of the smallest remaining value.
        let mut sizes = [0usize; SIZES];
        table.each(|_, counters| {
            if let Some(count) = sizes.get_mut(about(counters.bytes)) {
                *count += 1;
            }
        });
        let mut left = limit;
        let mut about_last = SIZES;
        for (size, count) in sizes.iter().enumerate().rev() {
            about_last = size;
            match left.checked_sub(*count) {
                Some(less) => left = less,
                None => break,
            }
        }
        // Only values of about that size are compared one by one: `left` of them remain.
        edge.clear();
        table.each(|key, counters| {
            if about(counters.bytes) == about_last {
                edge.push((counters.bytes, key));
            }
        });
        let first_folded =
            if left < edge.len() { *edge.select_nth_unstable_by(left, by_size).1 } else { (0, ValueKey::Short(0)) };
        Self { about: about_last, first_folded }
    }

    /// Whether a value remains; if not, it is added to the rest.
    fn keep(&self, key: ValueKey, counters: &Counters, rest: &mut Counters) -> bool {
        let size = about(counters.bytes);
        let stays =
            size > self.about || size == self.about && by_size(&(counters.bytes, key), &self.first_folded).is_lt();
        if !stays {
            rest.add(*counters);
        }
        stays
    }
}

/// The largest first, equally large ones by key.
fn by_size(a: &(u64, ValueKey), b: &(u64, ValueKey)) -> Ordering {
    b.0.cmp(&a.0).then(a.1.cmp(&b.1))
}

/// How many sizes [`about`] distinguishes.
const SIZES: usize = 64 << SIZE_BITS;
/// Bits after the highest one that distinguish sizes.
const SIZE_BITS: u32 = 4;

/// Sizes that differ by less than a sixteenth are mostly about the same; larger ones are about as large or larger.
#[inline]
fn about(bytes: u64) -> usize {
    let digits = u64::BITS - bytes.leading_zeros();
    let below = digits.saturating_sub(SIZE_BITS + 1);
    // The highest bit is at SIZE_BITS now, or lower for the smallest sizes.
    ((below as usize) << SIZE_BITS) + (bytes >> below) as usize
}

fn sort_into<K: MapKey>(
    rows: &mut Vec<(K, Counters)>,
    map: &CounterMap<K>,
    mut keeps: impl FnMut(K, &Counters) -> bool,
) {
    rows.reserve_exact(map.len());
    map.each(|key, counters| {
        if keeps(key, &counters) {
            rows.push((key, counters));
        }
    });
    rows.sort_unstable_by_key(|(key, _)| *key);
}

fn add_up<K: MapKey>(rows: &mut Vec<(K, Counters)>) {
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows.dedup_by(|(key, counters), (kept, sum)| {
        let equal = key == kept;
        if equal {
            sum.add(*counters);
        }
        equal
    });
}
