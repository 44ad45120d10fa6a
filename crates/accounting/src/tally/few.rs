//! The flows of quiet prefixes, as they are. A table for each field would take some ten times the memory of the few flows
//! that it tells apart, and there may be a hundred thousand quiet prefixes; so names are made of flows only when a
//! prefix and direction has more than [`MOST`] different ones, or when blocks are made.
//!
//! All of them stand in one list for the whole tally: a flow that is new takes its end, and nothing is allocated for a
//! prefix. They are no part of the budget of names: there are at most [`MOST`] of an address family for each prefix,
//! direction and open minute, in 40 octets each (64 with IPv6 addresses), about what the tables would take for one flow.

use flow::Counters;

use super::batch::{Address, Booking, FlowKey};
use crate::counter_map::Amount;
use crate::field::Field;
use crate::table::Rows;

/// How many different flows of one prefix and direction are kept as they are.
pub(super) const MOST: u8 = 16;

/// The few flows of a minute, prefix and direction in one [`FewFlows`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    /// The number of the newest one, from 1; 0 for none.
    newest: u32,
    len: u8,
}

/// The few flows of one address family of all prefixes of a tally.
#[derive(Clone, Debug, Default)]
pub(super) struct FewFlows<A> {
    flows: Vec<Kept<A>>,
}

/// A flow, with all that was counted for equal ones.
#[derive(Clone, Copy, Debug)]
struct Kept<A> {
    key: FlowKey<A>,
    /// The next older one of its list.
    older: u32,
    amount: Amount,
}

impl<A: Address> FewFlows<A> {
    /// Adds a flow to a list; `false` when it is one more than a list has, and then nothing is added.
    #[inline]
    pub(super) fn add(&mut self, list: &mut List, booking: &Booking<A>) -> bool {
        let mut at = list.newest;
        while let Some(kept) = (at as usize).checked_sub(1).and_then(|place| self.flows.get_mut(place)) {
            if kept.key == booking.key
                && let Some(sum) = kept.amount.plus(booking.amount)
            {
                kept.amount = sum;
                return true;
            }
            at = kept.older;
        }
        if list.len >= MOST {
            return false;
        }
        self.flows.push(Kept { key: booking.key, older: list.newest, amount: booking.amount });
        *list = List { newest: self.flows.len() as u32, len: list.len + 1 };
        true
    }

    /// The flows of a list, the newest first. Equal ones may stand apart, when their sum did not fit.
    pub(super) fn of(&self, list: List) -> impl Iterator<Item = (&FlowKey<A>, Amount)> {
        let mut at = list.newest;
        std::iter::from_fn(move || {
            let kept = self.flows.get((at as usize).checked_sub(1)?)?;
            at = kept.older;
            Some((&kept.key, kept.amount))
        })
    }

    /// Adds the rows of a list to those of a field.
    pub(super) fn put_rows(&self, list: List, field: Field, rows: &mut Rows) {
        for (key, amount) in self.of(list) {
            let counters = amount.counters();
            match field {
                Field::All => rows.short.push((0, counters)),
                Field::Protocol => rows.short.push((key.protocol.into(), counters)),
                Field::SourceAddress => A::rows(rows).push((key.source, counters)),
                Field::SourcePort => rows.short.push((key.source_port.into(), counters)),
                Field::SourceAs => rows.short.push((key.source_as, counters)),
                Field::DestinationAddress => A::rows(rows).push((key.destination, counters)),
                Field::DestinationPort => rows.short.push((key.destination_port.into(), counters)),
                Field::DestinationAs => rows.short.push((key.destination_as, counters)),
            }
        }
    }

    /// What a list adds up to.
    pub(super) fn sum(&self, list: List) -> Counters {
        let mut sum = Counters::ZERO;
        self.of(list).for_each(|(_, amount)| sum.add(amount.counters()));
        sum
    }

    /// Forgets all lists, and gives their room back: the next flush may be long in coming.
    pub(super) fn clear(&mut self) {
        self.flows = Vec::new();
    }
}
