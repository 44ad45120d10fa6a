//! Pending bookings, which are not merged into their tables yet. They are merged when there are many, table by table: a
//! table is in the caches while it is added to, and cache misses of several flows overlap. At a moderate load, a thread
//! sleeps most of the time and finds its tables evicted; the more bookings a merge has, the fewer flows pay for that.

use flow::FlowRecord;

use super::TablesId;
use super::booking::{Booking, CountedFields, Run};
use super::sparse::{Sparse, SparseFamily};
use super::tables::DirectionTables;
use crate::counter_map::Seed;

/// How many bookings are pending at most: enough that a table of a megabyte, once it is in the caches, is used for many of
/// them; few enough that they are a small part of the memory of the tables (1.3 MiB, 2 MiB with IPv6 addresses).
const LENGTH: usize = 16_384;

/// Bookings of one address family.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch<A> {
    bookings: Vec<Booking<A>>,
    /// The extra values of each booking ([`CountedFields`]), one booking after the other.
    extra_values: Vec<u32>,
    /// The bookings in the order of their tables, while they are merged; and their extra values.
    sorted: Vec<Booking<A>>,
    sorted_extra_values: Vec<u32>,
    /// For each of the tables how many bookings it gets; where the next one goes while they are sorted.
    counts: Vec<u32>,
    /// The tables that get any, in the order of their first booking.
    touched: Vec<TablesId>,
}

impl<A: SparseFamily> Batch<A> {
    pub(super) fn is_empty(&self) -> bool {
        self.bookings.is_empty()
    }

    /// Adds one booking of a flow; returns whether it is time to merge.
    #[inline]
    pub(super) fn push(&mut self, booking: Booking<A>, flow: &FlowRecord, fields: &CountedFields) -> bool {
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
        fields.append_extra_values(flow, &mut self.extra_values);
        self.bookings.len() >= LENGTH
    }

    #[cold]
    fn make_room(&mut self, place: usize) {
        self.counts.resize((place + 1).next_power_of_two(), 0);
    }

    /// Frees what was kept for tables beyond these.
    pub(super) fn shrink(&mut self, tables: usize) {
        self.counts.truncate(tables.next_power_of_two());
        self.counts.shrink_to_fit();
    }

    /// Adds all bookings to their tables and calls `added` for each of these with the number of its new names.
    pub(super) fn merge(
        &mut self,
        tables: &mut [DirectionTables],
        fields: &CountedFields,
        sparse: &mut Sparse,
        seed: Seed,
        mut added: impl FnMut(&mut DirectionTables, usize),
    ) {
        let extra_count = fields.extra_count();
        self.sort(extra_count);
        let mut start = 0;
        for id in self.touched.drain(..) {
            let Some(count) = self.counts.get_mut(id.index()) else { continue };
            let end = std::mem::take(count) as usize;
            let bookings = self.sorted.get(start..end).unwrap_or_default();
            let values = start * extra_count..end * extra_count;
            let extra_values =
                if extra_count > 0 { self.sorted_extra_values.get(values).unwrap_or_default() } else { &[] };
            start = end;
            if let Some(tables) = tables.get_mut(id.index()) {
                let new = tables.add(Run { bookings, extra_values }, fields, sparse, seed);
                added(tables, new);
            }
        }
        self.bookings.clear();
        self.extra_values.clear();
    }

    /// Brings bookings of the same tables together; then `counts` has, for each of the tables, where its bookings end.
    fn sort(&mut self, extra_count: usize) {
        let mut start = 0;
        for id in &self.touched {
            let Some(count) = self.counts.get_mut(id.index()) else { continue };
            start += std::mem::replace(count, start);
        }
        self.sorted.resize(self.bookings.len(), Booking::default());
        self.sorted_extra_values.resize(self.extra_values.len(), 0);
        for (index, booking) in self.bookings.iter().enumerate() {
            let Some(place) = self.counts.get_mut(booking.tables.index()) else { continue };
            let to = *place as usize;
            *place += 1;
            if let Some(sorted) = self.sorted.get_mut(to) {
                *sorted = *booking;
            }
            if extra_count > 0
                && let Some(values) = self.extra_values.get(index * extra_count..(index + 1) * extra_count)
                && let Some(sorted) = self.sorted_extra_values.get_mut(to * extra_count..(to + 1) * extra_count)
            {
                sorted.copy_from_slice(values);
            }
        }
    }
}
