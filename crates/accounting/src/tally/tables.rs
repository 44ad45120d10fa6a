//! The counters of one minute, sender, prefix and direction: the flows themselves while they are few, then a table for each
//! field.

use flow::{Counters, FlowRecord};

use super::batch::{Address, Booking};
use super::few::{FewFlows, List};
use crate::counter_map::{CounterMap, MapKey, Seed};
use crate::field::Field;
use crate::table::{FoldRoom, Key, Rows, Table};

/// How many times the limit of names a table may have before it is pruned to the limit. More would take more memory and
/// caches, less would prune more often, and lose a name more often that would have become a large one.
const OPEN_NAMES: usize = 4;

/// Tables of less are not worth to be kept for the next flush: there may be a hundred thousand of them.
const WORTH_KEEPING: usize = 8 << 10;

/// Everything, and what it is told apart by.
#[derive(Clone, Debug, Default)]
pub(super) struct DirectionTables {
    all: Counters,
    /// Where the flows are while they are few.
    lists: Lists,
    /// A table for each of the other fields in their order, when there were more. They have all that the lists have.
    tables: Option<Box<[Table; 7]>>,
}

/// Where the few flows of a direction are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lists {
    pub(super) short: List,
    pub(super) long: List,
}

/// The few flows of all prefixes of a tally.
#[derive(Clone, Debug, Default)]
pub(super) struct Few {
    pub(super) short: FewFlows<u32>,
    pub(super) long: FewFlows<u128>,
}

impl Few {
    fn put_rows(&self, lists: &Lists, field: Field, rows: &mut Rows) {
        self.short.put_rows(lists.short, field, rows);
        self.long.put_rows(lists.long, field, rows);
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.short.clear();
        self.long.clear();
    }
}

impl DirectionTables {
    /// Adds many bookings. Returns how many names of tables are new.
    pub(super) fn add<A: Address>(&mut self, bookings: &[Booking<A>], few: &mut Few, seed: Seed) -> usize {
        self.all.add(total(bookings));
        let mut rest = bookings;
        if self.tables.is_none() {
            while let Some((booking, behind)) = rest.split_first()
                && A::few(few).add(A::list(&mut self.lists), booking)
            {
                rest = behind;
            }
            if rest.is_empty() {
                return 0;
            }
        }
        let (tables, new) = self.tables(few);
        new + add_to_tables(tables, rest, seed)
    }

    /// Adds one flow, whatever its addresses and counters are. Returns how many names of tables are new.
    #[cold]
    pub(super) fn add_one(
        &mut self,
        flow: &FlowRecord,
        source: Key,
        destination: Key,
        counters: Counters,
        few: &Few,
    ) -> usize {
        self.all.add(counters);
        let keys = [
            Key::Short(flow.protocol.into()),
            source,
            Key::Short(flow.source_port.into()),
            Key::Short(flow.source_as),
            destination,
            Key::Short(flow.destination_port.into()),
            Key::Short(flow.destination_as),
        ];
        let (tables, new) = self.tables(few);
        new + tables.iter_mut().zip(keys).filter_map(|(table, key)| table.add(key, counters).then_some(())).count()
    }

    /// The tables, made of the few flows when there are none yet; then also how many names they have.
    fn tables(&mut self, few: &Few) -> (&mut [Table; 7], usize) {
        let Self { lists, tables, .. } = self;
        let mut new = 0;
        let tables = tables.get_or_insert_with(|| {
            let (mut tables, mut rows) = (Box::<[Table; 7]>::default(), Rows::default());
            for (field, table) in fields().zip(&mut *tables) {
                rows.clear();
                few.put_rows(lists, field, &mut rows);
                table.merge(&rows);
                new += table.len();
            }
            tables
        });
        (tables, new)
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

    /// The table of one of the other fields; `None` while flows are few.
    fn table(&self, field: Field) -> Option<&Table> {
        self.tables.as_ref()?.get((field as usize).checked_sub(1)?)
    }

    /// For each of the other fields, what its values and `other` add up to.
    pub(super) fn sums(&self, few: &Few) -> [Counters; 7] {
        match &self.tables {
            Some(tables) => tables.each_ref().map(|table| {
                let mut sum = table.other();
                table.each(|_, counters| sum.add(counters));
                sum
            }),
            None => {
                let mut sum = few.short.sum(self.lists.short);
                sum.add(few.long.sum(self.lists.long));
                [sum; 7]
            }
        }
    }

    /// Forgets everything; says whether it still has room that is worth to be kept.
    pub(super) fn clear(&mut self) -> bool {
        (self.all, self.lists) = (Counters::ZERO, Lists::default());
        let octets: usize = self.tables.iter().flat_map(|tables| tables.iter()).map(Table::octets).sum();
        if octets < WORTH_KEEPING {
            self.tables = None;
            return false;
        }
        self.tables_mut().for_each(Table::clear);
        true
    }
}

/// The sum of several, field by field: the values of one, in order and each once, in place of what the rows are. `limit` is
/// how many names a field has at most; the rest of them is folded.
pub(super) fn put_sum(parts: &[&DirectionTables], few: &Few, field: Field, limit: usize, rows: &mut Rows) {
    rows.clear();
    if field == Field::All {
        let mut all = Counters::ZERO;
        parts.iter().for_each(|part| all.add(part.all));
        rows.short.push((0, all));
        return;
    }
    let mut tables = parts.iter().filter_map(|part| part.table(field));
    match (tables.next(), parts) {
        (Some(table), [_]) => table.put_rows(limit, rows),
        (None, _) => {
            parts.iter().for_each(|part| few.put_rows(&part.lists, field, rows));
            rows.sum_up();
            rows.fold(limit);
        }
        (Some(first), _) => {
            let mut sum = first.clone();
            tables.for_each(|table| sum.merge_table(table));
            for part in parts.iter().filter(|part| part.tables.is_none()) {
                rows.clear();
                few.put_rows(&part.lists, field, rows);
                sum.merge(rows);
            }
            sum.put_rows(limit, rows);
        }
    }
}

/// The fields that have tables, in the order of these.
fn fields() -> impl Iterator<Item = Field> {
    Field::ALL.into_iter().skip(1)
}

/// Adds many bookings, field by field: a loop that does one thing keeps the processor busy while it waits for memory. Returns
/// how many names are new.
fn add_to_tables<A: Address>(tables: &mut [Table; 7], bookings: &[Booking<A>], seed: Seed) -> usize {
    let [protocol, source, source_port, source_as, destination, destination_port, destination_as] = tables;
    add_field(A::map(source), bookings, seed, |booking| booking.key.source)
        + add_field(A::map(destination), bookings, seed, |booking| booking.key.destination)
        + add_field(source_port.short(), bookings, seed, |booking| booking.key.source_port.into())
        + add_field(destination_port.short(), bookings, seed, |booking| booking.key.destination_port.into())
        + add_field(source_as.short(), bookings, seed, |booking| booking.key.source_as)
        + add_field(destination_as.short(), bookings, seed, |booking| booking.key.destination_as)
        + add_field(protocol.short(), bookings, seed, |booking| booking.key.protocol.into())
}

/// What bookings add up to.
fn total<A>(bookings: &[Booking<A>]) -> Counters {
    let mut total = Counters::ZERO;
    bookings.iter().for_each(|booking| total.add(booking.amount.counters()));
    total
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
    // Of one value: an AS that is always our own or never told, a protocol, a service.
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
    // The hashes of the bookings whose counters are on their way; the one that was added gives its place to a later one.
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
