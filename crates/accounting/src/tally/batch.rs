//! Flows that are attributed and not yet added to their tables. They wait until there are many, and are then added table
//! by table: a table is in the caches while it is added to, and misses of several flows overlap.

use flow::Counters;

use super::TablesId;
use super::few::{FewFlows, List};
use super::tables::{DirectionTables, Few, Lists};
use crate::counter_map::{Amount, CounterMap, MapKey, Seed};
use crate::table::{Rows, Table};

/// How many flows wait at most: so many that most tables get several, so few that they fit the first caches.
const LENGTH: usize = 1024;

/// The key of an address of one family.
pub(super) trait Address: MapKey {
    /// The part of a table that counts these addresses.
    fn map(table: &mut Table) -> &mut CounterMap<Self>;
    /// The rows of these addresses.
    fn rows(rows: &mut Rows) -> &mut Vec<(Self, Counters)>;
    /// The few flows with these addresses.
    fn few(few: &mut Few) -> &mut FewFlows<Self>;
    /// The list of those of a direction.
    fn list(lists: &mut Lists) -> &mut List;
}

impl Address for u32 {
    fn map(table: &mut Table) -> &mut CounterMap<Self> {
        table.short()
    }

    fn rows(rows: &mut Rows) -> &mut Vec<(Self, Counters)> {
        &mut rows.short
    }

    fn few(few: &mut Few) -> &mut FewFlows<Self> {
        &mut few.short
    }

    fn list(lists: &mut Lists) -> &mut List {
        &mut lists.short
    }
}

impl Address for u128 {
    fn map(table: &mut Table) -> &mut CounterMap<Self> {
        table.long()
    }

    fn rows(rows: &mut Rows) -> &mut Vec<(Self, Counters)> {
        &mut rows.long
    }

    fn few(few: &mut Few) -> &mut FewFlows<Self> {
        &mut few.long
    }

    fn list(lists: &mut Lists) -> &mut List {
        &mut lists.long
    }
}

/// What flows are told apart by: a value for each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlowKey<A> {
    pub(super) source: A,
    pub(super) destination: A,
    pub(super) source_as: u32,
    pub(super) destination_as: u32,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
}

/// What one way of a flow is booked as in one direction of a prefix.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Booking<A> {
    pub(super) key: FlowKey<A>,
    /// Where it is added.
    pub(super) tables: TablesId,
    pub(super) amount: Amount,
}

/// Bookings of one address family.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch<A> {
    bookings: Vec<Booking<A>>,
    /// The same, table by table, when they are added.
    sorted: Vec<Booking<A>>,
    /// For each of the tables how many bookings it gets; where the next one goes when they are sorted.
    counts: Vec<u32>,
    /// The tables that get any, in the order of their first booking.
    touched: Vec<TablesId>,
}

impl<A: Address> Batch<A> {
    pub(super) fn is_empty(&self) -> bool {
        self.bookings.is_empty()
    }

    /// Takes one more; says whether it is time to add them.
    #[inline]
    pub(super) fn push(&mut self, booking: Booking<A>) -> bool {
        let place = booking.tables.index();
        if place >= self.counts.len() {
            self.make_room(place);
        }
        if let Some(count) = self.counts.get_mut(place) {
            if *count == 0 {
                self.touched.push(booking.tables);
            }
            *count += 1;
        }
        self.bookings.push(booking);
        self.bookings.len() >= LENGTH
    }

    #[cold]
    fn make_room(&mut self, place: usize) {
        self.counts.resize((place + 1).next_power_of_two(), 0);
        self.bookings.reserve_exact(LENGTH - self.bookings.len());
    }

    /// Adds all that wait to their tables and calls `added` for each of them with the number of its new names.
    pub(super) fn settle(
        &mut self,
        tables: &mut [DirectionTables],
        few: &mut Few,
        seed: Seed,
        mut added: impl FnMut(&mut DirectionTables, usize),
    ) {
        let mut start = 0;
        for id in &self.touched {
            let Some(count) = self.counts.get_mut(id.index()) else { continue };
            start += std::mem::replace(count, start);
        }
        self.sorted.resize(self.bookings.len(), Booking::default());
        for booking in &self.bookings {
            let Some(place) = self.counts.get_mut(booking.tables.index()) else { continue };
            if let Some(sorted) = self.sorted.get_mut(*place as usize) {
                *sorted = *booking;
            }
            *place += 1;
        }
        let mut start = 0;
        for id in self.touched.drain(..) {
            let Some(count) = self.counts.get_mut(id.index()) else { continue };
            let end = std::mem::take(count) as usize;
            let run = self.sorted.get(start..end).unwrap_or_default();
            start = end;
            if let Some(tables) = tables.get_mut(id.index()) {
                let new = tables.add(run, few, seed);
                added(tables, new);
            }
        }
        self.bookings.clear();
    }
}
