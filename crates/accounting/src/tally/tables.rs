//! The counters of one minute, sender, prefix and direction.

use std::hint::black_box;

use flow::{Counters, FlowRecord};

use super::batch::{Address, Booking};
use crate::counter_map::{CounterMap, MapKey, Seed};
use crate::field::Field;
use crate::table::{FoldRoom, Key, Table};

/// How many times the limit of names a table may have before it is pruned to the limit. More would take more memory and
/// caches, less would prune more often, and lose a name more often that would have become a large one.
const OPEN_NAMES: usize = 4;

/// Tables of less are not worth to be kept for the next flush: there may be a hundred thousand of them.
const WORTH_KEEPING: usize = 8 << 10;

/// Everything, and a table for each of the other fields in their order. Small while it is not in use.
#[derive(Clone, Debug, Default)]
pub(super) struct DirectionTables {
    all: Counters,
    tables: Option<Box<[Table; 7]>>,
}

impl DirectionTables {
    /// Adds many bookings, field by field: a loop that does one thing keeps the processor busy while it waits for
    /// memory. Returns how many names are new.
    pub(super) fn add<A: Address>(&mut self, bookings: &[Booking<A>], seed: Seed) -> usize {
        for booking in bookings {
            self.all.add(booking.amount.counters());
        }
        let [protocol, source, source_port, source_as, destination, destination_port, destination_as] =
            &mut **self.tables.get_or_insert_default();
        add_field(A::map(source), bookings, seed, |booking| booking.source)
            + add_field(A::map(destination), bookings, seed, |booking| booking.destination)
            + add_field(source_port.short(), bookings, seed, |booking| booking.source_port.into())
            + add_field(destination_port.short(), bookings, seed, |booking| booking.destination_port.into())
            + add_field(source_as.short(), bookings, seed, |booking| booking.source_as)
            + add_field(destination_as.short(), bookings, seed, |booking| booking.destination_as)
            + add_field(protocol.short(), bookings, seed, |booking| booking.protocol.into())
    }

    /// Adds one flow, whatever its addresses and counters are. Returns how many names are new.
    #[cold]
    pub(super) fn add_one(&mut self, flow: &FlowRecord, source: Key, destination: Key, counters: Counters) -> usize {
        self.all.add(counters);
        self.tables.get_or_insert_default();
        let keys = [
            Key::Short(flow.protocol.into()),
            source,
            Key::Short(flow.source_port.into()),
            Key::Short(flow.source_as),
            destination,
            Key::Short(flow.destination_port.into()),
            Key::Short(flow.destination_as),
        ];
        self.tables_mut().zip(keys).filter_map(|(table, key)| table.add(key, counters).then_some(())).count()
    }

    /// Adds all that another one has.
    pub(super) fn merge(&mut self, other: &Self) {
        self.all.add(other.all);
        let Some(others) = &other.tables else { return };
        for (table, other) in self.tables.get_or_insert_default().iter_mut().zip(&**others) {
            table.merge_table(other);
        }
    }

    /// Prunes tables that have many more names than the limit; returns how many names were folded.
    pub(super) fn prune(&mut self, limit: usize, room: &mut FoldRoom) -> usize {
        let overfull = self.tables_mut().filter(|table| table.len() > limit.saturating_mul(OPEN_NAMES));
        overfull.map(|table| table.fold(limit, room)).sum()
    }

    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.iter_mut().flat_map(|tables| tables.iter_mut())
    }

    pub(super) fn all(&self) -> Counters {
        self.all
    }

    /// Each of the other fields with its table.
    pub(super) fn fields(&self) -> impl Iterator<Item = (Field, &Table)> {
        Field::ALL.into_iter().skip(1).zip(self.tables.iter().flat_map(|tables| tables.iter()))
    }

    /// Forgets everything; says whether it still has room that is worth to be kept.
    pub(super) fn clear(&mut self) -> bool {
        self.all = Counters::ZERO;
        let octets: usize = self.tables.iter().flat_map(|tables| tables.iter()).map(Table::octets).sum();
        if octets < WORTH_KEEPING {
            self.tables = None;
            return false;
        }
        self.tables_mut().for_each(Table::clear);
        true
    }
}

/// How many flows' counters are fetched into the caches before the first of them is added to.
const AHEAD: usize = 32;

#[inline(never)]
fn add_field<A: Address, K: MapKey>(
    map: &mut CounterMap<K>,
    bookings: &[Booking<A>],
    seed: Seed,
    key: impl Fn(&Booking<A>) -> K,
) -> usize {
    let mut new = 0;
    if !map.outgrows_cache() {
        for booking in bookings {
            let key = key(booking);
            new += usize::from(map.add(key, key.hash(seed), booking.amount));
        }
        return new;
    }
    let mut hashes = [0; AHEAD];
    for chunk in bookings.chunks(AHEAD) {
        // Adding branches on what it finds, and a branch that is mispredicted makes the next miss wait. These loads do not.
        let mut seen = 0;
        for (hash, booking) in hashes.iter_mut().zip(chunk) {
            *hash = key(booking).hash(seed);
            seen ^= map.glance(*hash);
        }
        black_box(seen);
        for (hash, booking) in hashes.iter().zip(chunk) {
            new += usize::from(map.add(key(booking), *hash, booking.amount));
        }
    }
    new
}
