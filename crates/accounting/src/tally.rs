//! The open minutes: counters that flows are being added to, until a flush makes blocks of them.
//!
//! One shard owns one tally; nothing here is shared, locked or sent. In the steady state nothing is allocated either:
//! [`Tally::clear`] keeps the room that the last minutes needed.
//!
//! Memory is bounded by names. A table that has four times as many as it may is pruned to its largest; when all tables
//! together have too many, the largest tables shrink first, so that an attack on one prefix does not cost the names of
//! the others. What is pruned goes into the `other` of its table: sums stay exact.

mod group;

use std::net::IpAddr;

use flow::{Counters, FlowFate, FlowRecord, Prefix};

use crate::block::{Block, BlockKey, TableSet, WriterId};
use crate::counter_map::Seed;
use crate::direction::{Direction, attribute};
use crate::period::{Interval, Minute, Period};
use crate::prefix_table::PrefixTable;
use crate::table::Table;
use group::{Booking, Group};

/// Stands for one (sender, prefix) for the life of the process. Small and dense: the first one is 0, the next 1, and
/// so on, because tallies find their counters by it as by an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// What is monitored for one sender. Made once for each change of its registration, shared by all shards.
#[derive(Clone, Debug)]
pub struct Monitored {
    sender: IpAddr,
    prefixes: Vec<(Prefix, GroupId)>,
    table: PrefixTable,
}

impl Monitored {
    /// The sender and its monitored prefixes.
    #[must_use]
    pub fn new(sender: IpAddr, prefixes: &[(Prefix, GroupId)]) -> Self {
        let bare: Vec<Prefix> = prefixes.iter().map(|(prefix, _)| *prefix).collect();
        Self { sender, prefixes: prefixes.to_vec(), table: PrefixTable::new(&bare) }
    }

    /// Whose flows these are.
    #[must_use]
    pub fn sender(&self) -> IpAddr {
        self.sender
    }

    /// The monitored prefixes, as they were given.
    #[must_use]
    pub fn prefixes(&self) -> &[(Prefix, GroupId)] {
        &self.prefixes
    }

    /// Where an address is looked up.
    #[must_use]
    pub fn table(&self) -> &PrefixTable {
        &self.table
    }
}

/// How many names a tally may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallyLimits {
    /// In the table of a block, for one minute, direction and field. While it is open it may have four times as many.
    pub names_per_table: usize,
    /// In all tables of the tally together. A name takes 20 to 90 bytes.
    pub names: usize,
}

impl Default for TallyLimits {
    fn default() -> Self {
        Self { names_per_table: 10_000, names: 1_000_000 }
    }
}

/// The open minutes of one shard.
#[derive(Debug)]
pub struct Tally {
    limits: TallyLimits,
    /// By [`GroupId`].
    groups: Vec<Group>,
    /// The groups that something was booked for since the last clear, each once.
    active: Vec<GroupId>,
    /// The groups that were active before the last clear.
    idle: Vec<GroupId>,
    names: usize,
    folded: u64,
    seed: Seed,
}

impl Tally {
    /// A tally of nothing.
    #[must_use]
    pub fn new(limits: TallyLimits) -> Self {
        Self {
            limits,
            groups: Vec::new(),
            active: Vec::new(),
            idle: Vec::new(),
            names: 0,
            folded: 0,
            seed: Seed::of_process(),
        }
    }

    /// Books a flow in this minute for every prefix and direction that it has, in both directions when it is a biflow;
    /// times its sampling rate when `scale` is true. All of it is booked or nothing.
    pub fn book(&mut self, monitored: &Monitored, flow: &FlowRecord, minute: Minute, scale: bool) -> FlowFate {
        let rate = if scale { flow.sampling.rate.max(1) } else { 1 };
        let (Some(forward), Some(reverse)) = (flow.forward.scaled(rate), flow.reverse.scaled(rate)) else {
            return FlowFate::Overflow;
        };
        if forward.is_zero() && reverse.is_zero() {
            return FlowFate::Event;
        }
        let mut matched = false;
        if !forward.is_zero() {
            matched |= self.book_way(monitored, flow, minute, forward);
        }
        if !reverse.is_zero() {
            matched |= self.book_way(monitored, &reversed(flow), minute, reverse);
        }
        if matched { FlowFate::Matched } else { FlowFate::Unmatched }
    }

    /// Books one way of a flow; `false` when no prefix contains its source or destination.
    #[inline]
    fn book_way(&mut self, monitored: &Monitored, flow: &FlowRecord, minute: Minute, counters: Counters) -> bool {
        let booking = Booking::new(flow, minute, counters, self.seed);
        attribute(&monitored.table, flow.source, flow.destination, &mut |index, direction| {
            if let Some((prefix, id)) = monitored.prefixes.get(index as usize) {
                self.add(*id, (monitored.sender, *prefix), direction, &booking);
            }
        })
    }

    #[inline]
    fn add(&mut self, id: GroupId, (sender, prefix): (IpAddr, Prefix), direction: Direction, booking: &Booking) {
        let place = id.0 as usize;
        if place >= self.groups.len() {
            self.make_room(place);
        }
        let Some(group) = self.groups.get_mut(place) else { return };
        if group.is_idle() {
            self.active.push(id);
        }
        let Some(open) = group.open(booking.minute, sender, prefix) else { return };
        let tables = open.direction(direction);
        let new = tables.add(booking);
        if new > 0 {
            let folded = tables.prune(self.limits.names_per_table);
            self.names = (self.names + new).saturating_sub(folded);
            self.folded += folded as u64;
            if self.names > self.limits.names {
                self.shrink();
            }
        }
    }

    #[cold]
    fn make_room(&mut self, place: usize) {
        self.groups.resize_with(place + 1, Group::default);
    }

    /// Halves the names of all tables together by making the largest tables smaller.
    #[cold]
    fn shrink(&mut self) {
        let mut lengths: Vec<usize> = self.active_tables().map(|table| table.len()).collect();
        let cap = largest_allowed(&mut lengths, self.limits.names / 2);
        let folded: usize = self.active_tables().map(|table| table.fold(cap)).sum();
        self.names = self.names.saturating_sub(folded);
        self.folded += folded as u64;
    }

    fn active_tables(&mut self) -> impl Iterator<Item = &mut Table> {
        self.groups.iter_mut().filter(|group| !group.is_idle()).flat_map(Group::tables_mut)
    }

    /// Whether nothing is booked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// How many names are held: a gauge.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names
    }

    /// How many names were folded into `other` since the tally was made: a counter.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.folded
    }

    /// The blocks of everything that is booked, sorted by key. They depend on what was booked in which order (the order
    /// matters only where a limit folded names), on nothing else: booking the same again makes equal blocks.
    #[must_use]
    pub fn blocks(&self, writer: WriterId, epoch: u32, sequence: u64) -> Vec<Block> {
        let mut blocks = Vec::new();
        for group in self.active.iter().filter_map(|id| self.groups.get(id.0 as usize)) {
            for open in group.minutes() {
                let key = BlockKey {
                    interval: Interval { period: Period::Minute, start: open.minute },
                    sender: open.sender,
                    prefix: open.prefix,
                    writer,
                    epoch,
                    sequence,
                    part: 0,
                    tables: TableSet::EMPTY,
                };
                blocks.append(&mut open.blocks(key, self.limits.names_per_table));
            }
        }
        blocks.sort_unstable_by_key(|block| block.key);
        blocks
    }

    /// Forgets what is booked. Groups that were booked for keep their room for the next minutes, the others give it
    /// back.
    pub fn clear(&mut self) {
        for id in self.idle.drain(..) {
            if let Some(group) = self.groups.get_mut(id.0 as usize) {
                group.release_if_idle();
            }
        }
        for id in &self.active {
            if let Some(group) = self.groups.get_mut(id.0 as usize) {
                group.clear();
            }
        }
        std::mem::swap(&mut self.idle, &mut self.active);
        self.names = 0;
    }
}

/// A flow seen from its other end.
fn reversed(flow: &FlowRecord) -> FlowRecord {
    FlowRecord {
        source: flow.destination,
        destination: flow.source,
        source_port: flow.destination_port,
        destination_port: flow.source_port,
        source_as: flow.destination_as,
        destination_as: flow.source_as,
        ..*flow
    }
}

/// The length that tables may have so that all of them together fit the budget, when only the longer ones are cut.
fn largest_allowed(lengths: &mut [usize], budget: usize) -> usize {
    lengths.sort_unstable();
    let mut left = budget;
    for (index, length) in lengths.iter().enumerate() {
        let share = left / (lengths.len() - index);
        if *length > share {
            return share;
        }
        left -= length;
    }
    usize::MAX
}

#[cfg(test)]
mod tests;
