//! The counters of one minute, sender, prefix and direction: the flows themselves if they are few, else a table for
//! each field.

use flow::{Counters, FlowRecord};

use super::booking::{Booking, CountedFields, Run};
use super::family::ByFamily;
use super::sparse::{FlowLists, Sparse, SparseFamily};
use crate::counter_map::{CounterMap, MapKey, Seed};
use crate::field::Field;
use crate::table::{FoldRoom, Rows, Table, ValueKey};

/// A table is pruned when it has this many times the limit of names. A larger factor takes more memory and
/// cache; a smaller one prunes more often, and loses more names that would have become large.
const OPEN_NAMES: usize = 4;

/// Octets. Smaller tables are not kept for the next flush: there may be a hundred thousand of them.
const WORTH_KEEPING: usize = 8 << 10;

/// The counters of one direction: of all flows, and by field.
#[derive(Clone, Debug, Default)]
pub(super) struct DirectionTables {
    all: Counters,
    /// The flows while they are few.
    lists: FlowLists,
    /// A table for each field that has one, in the order of [`CountedFields::with_tables`], once there are more flows.
    /// They include the flows of the lists.
    tables: Option<Box<[Table]>>,
}

impl DirectionTables {
    /// Adds many bookings. Returns how many names of tables are new.
    #[inline]
    pub(super) fn add<A: SparseFamily>(
        &mut self,
        run: Run<'_, A>,
        fields: &CountedFields,
        sparse: &mut Sparse,
        seed: Seed,
    ) -> usize {
        self.all.add(total(run.bookings));
        let mut rest = run;
        if self.tables.is_none() {
            while let Some((booking, bookings)) = rest.bookings.split_first()
                && let Some((values, extra_values)) = rest.extra_values.split_at_checked(fields.extra_count())
                && A::flows(sparse).add(A::list(&mut self.lists), booking, values)
            {
                rest = Run { bookings, extra_values };
            }
            if rest.bookings.is_empty() {
                return 0;
            }
        }
        let (tables, new) = self.tables(fields, sparse);
        new + add_to_tables(tables, rest, fields, seed)
    }

    /// Adds one flow with any addresses and counters. Returns how many names of tables are new.
    #[cold]
    pub(super) fn add_one(
        &mut self,
        flow: &FlowRecord,
        counters: Counters,
        fields: &CountedFields,
        sparse: &Sparse,
    ) -> usize {
        self.all.add(counters);
        let (tables, mut new) = self.tables(fields, sparse);
        for (field, table) in fields.with_tables().iter().zip(tables) {
            new += usize::from(table.add(ValueKey::of_value(field.value_of(flow)), counters));
        }
        new
    }

    /// The tables. If they are made now, of the few flows, also returns their number of names.
    fn tables(&mut self, fields: &CountedFields, sparse: &Sparse) -> (&mut [Table], usize) {
        let Self { lists, tables, .. } = self;
        let mut new = 0;
        let tables = tables.get_or_insert_with(|| {
            let mut rows = Rows::default();
            let made = fields.with_tables().iter().map(|field| {
                let mut table = Table::default();
                rows.clear();
                sparse.put_rows(lists, *field, fields, &mut rows);
                table.merge(&rows);
                new += table.len();
                table
            });
            made.collect()
        });
        (tables, new)
    }

    /// Prunes tables far beyond the limit of names; returns how many names were folded.
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

    /// The table of a field other than `all`; `None` while flows are few.
    fn table(&self, field: Field, fields: &CountedFields) -> Option<&Table> {
        self.tables.as_ref()?.get(fields.table(field)?)
    }

    /// Visits the sum of the values and `other` of each field that has a table.
    pub(super) fn each_sum(&self, sparse: &Sparse, fields: &CountedFields, mut visit: impl FnMut(Counters)) {
        match &self.tables {
            Some(tables) => tables.iter().for_each(|table| {
                let mut sum = table.other();
                table.each(|_, counters| sum.add(counters));
                visit(sum);
            }),
            None => {
                let sum = sparse.sum(&self.lists);
                fields.with_tables().iter().for_each(|_| visit(sum));
            }
        }
    }

    /// Removes everything; returns whether the allocation is worth keeping.
    pub(super) fn clear(&mut self) -> bool {
        (self.all, self.lists) = (Counters::ZERO, FlowLists::default());
        let octets: usize = self.tables.iter().flat_map(|tables| tables.iter()).map(Table::octets).sum();
        if octets < WORTH_KEEPING {
            self.tables = None;
            return false;
        }
        self.tables_mut().for_each(Table::clear);
        true
    }
}

/// Overwrites `rows` with the sum of several for one field: its values in order, each once. Names beyond
/// `limit` are folded.
pub(super) fn put_sum(
    parts: &[&DirectionTables],
    sparse: &Sparse,
    fields: &CountedFields,
    field: Field,
    limit: usize,
    rows: &mut Rows,
) {
    rows.clear();
    if field == Field::All {
        let mut all = Counters::ZERO;
        parts.iter().for_each(|part| all.add(part.all));
        rows.short.push((0, all));
        return;
    }
    let mut tables = parts.iter().filter_map(|part| part.table(field, fields));
    match (tables.next(), parts) {
        (Some(table), [_]) => table.put_rows(limit, rows),
        (None, _) => {
            parts.iter().for_each(|part| sparse.put_rows(&part.lists, field, fields, rows));
            rows.sum_up();
            rows.fold(limit);
        }
        (Some(first), _) => {
            let mut sum = first.clone();
            tables.for_each(|table| sum.merge_table(table));
            for part in parts.iter().filter(|part| part.tables.is_none()) {
                rows.clear();
                sparse.put_rows(&part.lists, field, fields, rows);
                sum.merge(rows);
            }
            sum.put_rows(limit, rows);
        }
    }
}

/// Adds many bookings, field by field: a simple loop keeps the processor busy while it waits for memory. So each field
/// that is part of every booking has its own loop, in the order of the tables. Returns how many names are new.
fn add_to_tables<A: ByFamily>(tables: &mut [Table], run: Run<'_, A>, fields: &CountedFields, seed: Seed) -> usize {
    let Run { bookings, extra_values } = run;
    let mut tables = tables.iter_mut();
    // A match in a loop over the fields costs a tenth more where runs are short.
    let mut table_of = |field| if fields.contains(field) { tables.next() } else { None };
    let mut new = 0;
    if let Some(table) = table_of(Field::Protocol) {
        new += add_field(table.short(), bookings, seed, |booking| booking.key.protocol.into());
    }
    if let Some(table) = table_of(Field::SourceAddress) {
        new += add_field(A::map(table), bookings, seed, |booking| booking.key.source);
    }
    if let Some(table) = table_of(Field::SourcePort) {
        new += add_field(table.short(), bookings, seed, |booking| booking.key.source_port.into());
    }
    if let Some(table) = table_of(Field::SourceAs) {
        new += add_field(table.short(), bookings, seed, |booking| booking.key.source_as);
    }
    if let Some(table) = table_of(Field::DestinationAddress) {
        new += add_field(A::map(table), bookings, seed, |booking| booking.key.destination);
    }
    if let Some(table) = table_of(Field::DestinationPort) {
        new += add_field(table.short(), bookings, seed, |booking| booking.key.destination_port.into());
    }
    if let Some(table) = table_of(Field::DestinationAs) {
        new += add_field(table.short(), bookings, seed, |booking| booking.key.destination_as);
    }
    // All later fields are extra ones.
    for (place, table) in tables.enumerate() {
        let values = extra_values.iter().skip(place).step_by(fields.extra_count().max(1));
        new += add_values(table.short(), bookings, values, seed);
    }
    new
}

/// Adds bookings under the values of an extra field. Returns how many names are new.
fn add_values<'v, A>(
    map: &mut CounterMap<u32>,
    bookings: &[Booking<A>],
    values: impl Iterator<Item = &'v u32>,
    seed: Seed,
) -> usize {
    let add = |(booking, value): (&Booking<A>, &u32)| usize::from(map.add(*value, value.hash(seed), booking.amount));
    bookings.iter().zip(values).map(add).sum()
}

/// The sum of bookings.
fn total<A>(bookings: &[Booking<A>]) -> Counters {
    let mut total = Counters::ZERO;
    bookings.iter().for_each(|booking| total.add(booking.amount.counters()));
    total
}

/// How many counters are prefetched ahead of the addition.
const AHEAD: usize = 32;

#[inline(never)]
fn add_field<A: ByFamily, K: MapKey>(
    map: &mut CounterMap<K>,
    bookings: &[Booking<A>],
    seed: Seed,
    key: impl Fn(&Booking<A>) -> K,
) -> usize {
    // Often all have the same value: the own AS or none, a protocol, a service.
    let Some((first, rest)) = bookings.split_first() else { return 0 };
    let first = key(first);
    if rest.iter().all(|booking| key(booking) == first) {
        return usize::from(map.add_counters(first, total(bookings)));
    }
    let mut new = 0;
    if !map.outgrows_cache() {
        for booking in bookings {
            let key = key(booking);
            new += usize::from(map.add(key, key.hash(seed), booking.amount));
        }
        return new;
    }
    // The hashes of the bookings whose counters are being prefetched: a ring.
    let mut hashes = [0; AHEAD];
    let announce = |hash: &mut usize, booking, map: &CounterMap<K>| {
        *hash = key(booking).hash(seed);
        map.prefetch(*hash);
    };
    for (hash, booking) in hashes.iter_mut().zip(bookings) {
        announce(hash, booking, map);
    }
    let mut later = bookings.iter().skip(AHEAD);
    for chunk in bookings.chunks(AHEAD) {
        for (hash, booking) in hashes.iter_mut().zip(chunk) {
            new += usize::from(map.add(key(booking), *hash, booking.amount));
            if let Some(booking) = later.next() {
                announce(hash, booking, map);
            }
        }
    }
    new
}
