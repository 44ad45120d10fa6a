//! The open minutes of one sender and prefix, with the tables of each direction.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Prefix;

use super::TablesId;
use crate::period::Minute;

/// A monitored prefix with all monitored prefixes around it. Bookings of the innermost one count for all of them, and
/// are added to the others when blocks are made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) sender: IpAddr,
    /// The innermost first.
    pub(super) prefixes: Box<[Prefix]>,
}

/// When a flow was exported and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTime {
    /// The minute of its export time. The flow counts in it.
    pub exported: Minute,
    /// The minute in which the collector received the flow.
    pub received: Minute,
}

/// Export times further than this from the receive time are far. It is the default of `clockLimit`: where that is not
/// changed, no flow is far.
const FAR: u32 = 10;

/// How many minutes a prefix may have open that were far when they were opened. An exporter chooses its export times within
/// `clockLimit`, which may be a year: without a bound one exporter could fill the memory with open minutes, each with few
/// flows. Other minutes need no bound: they are not more than the collector has been receiving for.
pub(super) const MOST_FAR_MINUTES: usize = 128;

impl FlowTime {
    /// Exported and received in the same minute.
    #[must_use]
    pub const fn at(minute: Minute) -> Self {
        Self { exported: minute, received: minute }
    }

    fn is_far(self) -> bool {
        self.exported.abs_diff(self.received) > FAR
    }
}

/// The open minutes of one sender and prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenMinutes {
    /// The first `used` are open, the most recent one in front; the others are spare.
    minutes: Vec<OpenMinute>,
    used: usize,
}

/// The number of minutes whose memory a group keeps: usually one is open, and two around the end of a minute.
const SPARE_MINUTES: usize = 2;

/// One minute of a sender and prefix.
#[derive(Clone, Debug)]
pub(super) struct OpenMinute {
    pub(super) minute: Minute,
    /// Whether a far export time opened it.
    is_far: bool,
    pub(super) chain: Arc<Chain>,
    /// By direction; most prefixes have only few.
    pub(super) directions: [Option<TablesId>; 4],
}

impl OpenMinutes {
    /// The minute in which a flow counts, which is opened when it is not open yet: the exported one; but where
    /// [`MOST_FAR_MINUTES`] are open already, the received one, and `is_displaced` becomes true. Flows that were booked before
    /// the prefixes of the sender changed stay apart from those after.
    #[inline]
    pub(super) fn open(
        &mut self,
        time: FlowTime,
        chain: &Arc<Chain>,
        is_displaced: &mut bool,
    ) -> Option<&mut OpenMinute> {
        let is_open = |open: &OpenMinute| open.minute == time.exported && Arc::ptr_eq(&open.chain, chain);
        if self.used == 0 || !self.minutes.first().is_some_and(is_open) {
            self.bring_to_front(time, chain, is_displaced);
        }
        self.minutes.first_mut()
    }

    #[cold]
    fn bring_to_front(&mut self, time: FlowTime, chain: &Arc<Chain>, is_displaced: &mut bool) {
        let index = match self.position(time.exported, chain) {
            Some(index) => index,
            None if time.is_far() && self.far_minutes() >= MOST_FAR_MINUTES => {
                *is_displaced = true;
                let open = self.position(time.received, chain);
                open.unwrap_or_else(|| self.append(time.received, false, chain))
            }
            None => self.append(time.exported, time.is_far(), chain),
        };
        // The others keep their order, so that minutes whose flows alternate are found at once.
        if let Some(minutes) = self.minutes.get_mut(..=index) {
            minutes.rotate_right(1);
        }
    }

    fn position(&self, minute: Minute, chain: &Arc<Chain>) -> Option<usize> {
        self.minutes().position(|open| open.minute == minute && Arc::ptr_eq(&open.chain, chain))
    }

    fn far_minutes(&self) -> usize {
        self.minutes().filter(|open| open.is_far).count()
    }

    /// Opens a minute as the last one; returns its position.
    fn append(&mut self, minute: Minute, is_far: bool, chain: &Arc<Chain>) -> usize {
        let chain = Arc::clone(chain);
        match self.minutes.get_mut(self.used) {
            Some(spare) => (spare.minute, spare.is_far, spare.chain) = (minute, is_far, chain),
            None => {
                self.minutes.reserve_exact(1);
                self.minutes.push(OpenMinute { minute, is_far, chain, directions: [None; 4] });
            }
        }
        self.used += 1;
        self.used - 1
    }

    /// Whether it has neither bookings nor memory.
    pub(super) fn is_gone(&self) -> bool {
        self.minutes.is_empty()
    }

    /// All its tables, open or spare.
    pub(super) fn tables(&self) -> impl Iterator<Item = TablesId> {
        self.minutes.iter().flat_map(|open| open.directions).flatten()
    }

    /// Whether nothing is booked.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.used == 0
    }

    /// Whether something is booked for this chain.
    pub(super) fn has_booked(&self, chain: &Arc<Chain>) -> bool {
        self.minutes().any(|open| Arc::ptr_eq(&open.chain, chain))
    }

    /// The open minutes, in no particular order.
    pub(super) fn minutes(&self) -> impl Iterator<Item = &OpenMinute> {
        self.minutes.iter().take(self.used)
    }

    /// Removes all bookings, and keeps the memory of the tables of one or two minutes for which `keeps` returns true.
    /// It is called for each table, with whether there is a place for it.
    pub(super) fn clear(&mut self, mut keeps: impl FnMut(TablesId, bool) -> bool) {
        for (number, minute) in self.minutes.iter_mut().enumerate() {
            for tables in &mut minute.directions {
                *tables = tables.filter(|id| keeps(*id, number < SPARE_MINUTES));
            }
        }
        self.minutes.truncate(SPARE_MINUTES);
        self.used = 0;
    }

    /// Frees all memory if nothing is booked.
    pub(super) fn release_if_idle(&mut self, mut give_back: impl FnMut(TablesId)) {
        if self.is_idle() {
            for minute in std::mem::take(&mut self.minutes) {
                minute.directions.iter().flatten().for_each(|id| give_back(*id));
            }
        }
    }
}
