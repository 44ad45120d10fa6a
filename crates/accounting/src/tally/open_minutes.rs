//! The open minutes of one sender and prefix, and where the counters of each direction are.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Prefix;

use super::TablesId;
use crate::period::Minute;

/// A monitored prefix with all monitored prefixes around it: what is booked for the innermost one counts for all of
/// them, so it is added to the others only when blocks are made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) sender: IpAddr,
    /// The innermost first.
    pub(super) prefixes: Box<[Prefix]>,
}

/// The open minutes of one sender and prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenMinutes {
    /// The first `used` are open, the one booked last in front; the others are spare.
    minutes: Vec<OpenMinute>,
    used: usize,
}

/// How many minutes a group keeps the room of: usually one is open, around the end of a minute two are.
const SPARE_MINUTES: usize = 2;

/// How many minutes a prefix may have open. An exporter chooses its export times within `clockLimit`, which may be a year:
/// without a bound one exporter could fill the memory with open minutes, each with few flows. Two hours are more than a
/// backlog that is sent within one flush interval has.
pub(super) const MOST_MINUTES: usize = 128;

/// One minute of a sender and prefix.
#[derive(Clone, Debug)]
pub(super) struct OpenMinute {
    pub(super) minute: Minute,
    pub(super) chain: Arc<Chain>,
    /// By direction; most prefixes see few of them.
    pub(super) directions: [Option<TablesId>; 4],
}

impl OpenMinutes {
    /// A minute, which is opened when it is not open yet. Where [`MOST_MINUTES`] are open, it is the nearest of these, and
    /// `displaced` is counted up. Flows that were booked before the prefixes of the sender changed stay apart from those
    /// after.
    #[inline]
    pub(super) fn open(&mut self, minute: Minute, chain: &Arc<Chain>, displaced: &mut u64) -> Option<&mut OpenMinute> {
        let is_open = |open: &OpenMinute| open.minute == minute && Arc::ptr_eq(&open.chain, chain);
        if self.used == 0 || !self.minutes.first().is_some_and(is_open) {
            self.bring_to_front(minute, chain, displaced);
        }
        self.minutes.first_mut()
    }

    #[cold]
    fn bring_to_front(&mut self, minute: Minute, chain: &Arc<Chain>, displaced: &mut u64) {
        let (mut nearest, mut count) = (None, 0);
        for (index, open) in self.minutes().enumerate().filter(|(_, open)| Arc::ptr_eq(&open.chain, chain)) {
            let candidate = (open.minute.0.abs_diff(minute.0), index);
            nearest = nearest.into_iter().chain([candidate]).min();
            count += 1;
        }
        let open = nearest.filter(|(distance, _)| {
            let is_full = count >= MOST_MINUTES && *distance > 0;
            *displaced += u64::from(is_full);
            is_full || *distance == 0
        });
        let open = open.map(|(_, index)| index).unwrap_or_else(|| {
            match self.minutes.get_mut(self.used) {
                Some(spare) => (spare.minute, spare.chain) = (minute, Arc::clone(chain)),
                None => {
                    self.minutes.reserve_exact(1);
                    self.minutes.push(OpenMinute { minute, chain: Arc::clone(chain), directions: [None; 4] });
                }
            }
            self.used += 1;
            self.used - 1
        });
        self.minutes.swap(0, open);
    }

    /// Whether it has neither bookings nor room.
    pub(super) fn is_gone(&self) -> bool {
        self.minutes.is_empty()
    }

    /// The tables that it has, open or kept.
    pub(super) fn tables(&self) -> impl Iterator<Item = TablesId> {
        self.minutes.iter().flat_map(|open| open.directions).flatten()
    }

    /// Whether nothing is booked.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.used == 0
    }

    /// The open minutes, in no particular order.
    pub(super) fn minutes(&self) -> impl Iterator<Item = &OpenMinute> {
        self.minutes.iter().take(self.used)
    }

    /// Removes what is booked and keeps the room of a minute or two: of those tables for which `keeps` returns true. It is
    /// called for each of them, with whether there would be a place for it.
    pub(super) fn clear(&mut self, mut keeps: impl FnMut(TablesId, bool) -> bool) {
        for (number, minute) in self.minutes.iter_mut().enumerate() {
            for tables in &mut minute.directions {
                *tables = tables.filter(|id| keeps(*id, number < SPARE_MINUTES));
            }
        }
        self.minutes.truncate(SPARE_MINUTES);
        self.used = 0;
    }

    /// Frees all room when nothing is booked.
    pub(super) fn release_if_idle(&mut self, mut give_back: impl FnMut(TablesId)) {
        if self.is_idle() {
            for minute in std::mem::take(&mut self.minutes) {
                minute.directions.iter().flatten().for_each(|id| give_back(*id));
            }
        }
    }
}
