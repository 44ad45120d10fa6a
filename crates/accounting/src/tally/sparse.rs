//! The flows of quiet prefixes, as they are. A table for each field would take about ten times the memory of the few flows
//! that it counts, and there may be a hundred thousand quiet prefixes; so tables are made only when a prefix and
//! direction has more than [`MOST`] different flows.
//!
//! The lists of all prefixes of a tally share one vector: a new flow takes its end, and nothing is allocated for a prefix.
//! They are not part of the budget of names. What bounds them is the number of open minutes
//! ([`OpenMinutes`](super::open_minutes::OpenMinutes)), and that a list has at most [`MOST`] flows of 40 octets (64 with
//! IPv6 addresses): about what the tables would take for one flow.

use flow::Counters;

use super::booking::{Booking, CountedFields, FlowKey, KeyValue};
use super::family::ByFamily;
use crate::counter_map::Amount;
use crate::field::Field;
use crate::table::Rows;

/// The number of different flows of one prefix and direction for which no tables are made.
pub(super) const MOST: u8 = 16;

/// The flows of a minute, prefix and direction in one [`SparseFlows`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlowList {
    /// The number of the newest one, from 1; 0 for none.
    newest: u32,
    len: u8,
}

/// The flows of a minute, prefix and direction by family.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlowLists {
    short: FlowList,
    long: FlowList,
}

/// The flows of one address family of all quiet prefixes of a tally.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseFlows<A> {
    flows: Vec<SparseFlow<A>>,
    /// The extra values of each of them (`CountedFields`), one flow after the other.
    extra_values: Vec<u32>,
}

/// A flow, with the counters of all equal flows.
#[derive(Clone, Copy, Debug)]
struct SparseFlow<A> {
    key: FlowKey<A>,
    /// The next older flow of its list.
    older: u32,
    amount: Amount,
}

/// The flows of all quiet prefixes of a tally by family.
#[derive(Clone, Debug, Default)]
pub(super) struct Sparse {
    short: SparseFlows<u32>,
    long: SparseFlows<u128>,
}

/// An address whose family has sparse flows.
pub(super) trait SparseFamily: ByFamily {
    fn flows(sparse: &mut Sparse) -> &mut SparseFlows<Self>;
    fn list(lists: &mut FlowLists) -> &mut FlowList;
}

impl SparseFamily for u32 {
    fn flows(sparse: &mut Sparse) -> &mut SparseFlows<Self> {
        &mut sparse.short
    }

    fn list(lists: &mut FlowLists) -> &mut FlowList {
        &mut lists.short
    }
}

impl SparseFamily for u128 {
    fn flows(sparse: &mut Sparse) -> &mut SparseFlows<Self> {
        &mut sparse.long
    }

    fn list(lists: &mut FlowLists) -> &mut FlowList {
        &mut lists.long
    }
}

impl<A: SparseFamily> SparseFlows<A> {
    /// Adds a flow with its extra values to a list; `false` when the list is full, and then nothing is added.
    #[inline]
    pub(super) fn add(&mut self, list: &mut FlowList, booking: &Booking<A>, extra_values: &[u32]) -> bool {
        let mut at = list.newest;
        while let Some(index) = (at as usize).checked_sub(1)
            && let Some(flow) = self.flows.get_mut(index)
        {
            if flow.key == booking.key
                && (extra_values.is_empty() || values_at(&self.extra_values, index, extra_values.len()) == extra_values)
                && let Some(sum) = flow.amount.plus(booking.amount)
            {
                flow.amount = sum;
                return true;
            }
            at = flow.older;
        }
        if list.len >= MOST {
            return false;
        }
        self.flows.push(SparseFlow { key: booking.key, older: list.newest, amount: booking.amount });
        self.extra_values.extend_from_slice(extra_values);
        *list = FlowList { newest: self.flows.len() as u32, len: list.len + 1 };
        true
    }

    /// The flows of a list with their indices, the newest first. A flow may appear twice, if its sum did not fit.
    fn of(&self, list: FlowList) -> impl Iterator<Item = (usize, &FlowKey<A>, Amount)> {
        let mut at = list.newest;
        std::iter::from_fn(move || {
            let index = (at as usize).checked_sub(1)?;
            let flow = self.flows.get(index)?;
            at = flow.older;
            Some((index, &flow.key, flow.amount))
        })
    }

    /// Adds the rows of a list to those of a field.
    fn put_rows(&self, list: FlowList, field: Field, fields: &CountedFields, rows: &mut Rows) {
        let place = fields.extra_position(field);
        for (index, key, amount) in self.of(list) {
            let counters = amount.counters();
            match key.value(field) {
                Some(KeyValue::Number(number)) => rows.short.push((number, counters)),
                Some(KeyValue::Address(address)) => A::rows(rows).push((address, counters)),
                None => {
                    let values = values_at(&self.extra_values, index, fields.extra_count());
                    let number = place.and_then(|place| values.get(place));
                    rows.short.push((number.copied().unwrap_or_default(), counters));
                }
            }
        }
    }
}

/// The extra values of the flow of this index.
fn values_at(extra_values: &[u32], index: usize, count: usize) -> &[u32] {
    extra_values.get(index * count..(index + 1) * count).unwrap_or_default()
}

impl Sparse {
    /// Adds the rows of lists to those of a field.
    pub(super) fn put_rows(&self, lists: &FlowLists, field: Field, fields: &CountedFields, rows: &mut Rows) {
        self.short.put_rows(lists.short, field, fields, rows);
        self.long.put_rows(lists.long, field, fields, rows);
    }

    /// The sum of the flows of lists.
    pub(super) fn sum(&self, lists: &FlowLists) -> Counters {
        let mut sum = Counters::ZERO;
        self.short.of(lists.short).for_each(|(.., amount)| sum.add(amount.counters()));
        self.long.of(lists.long).for_each(|(.., amount)| sum.add(amount.counters()));
        sum
    }

    /// Removes all flows, and frees their memory: the next flush may come late.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
