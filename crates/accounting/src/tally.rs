//! The open minutes: counters to which flows are added until a flush turns them into blocks.
//!
//! One shard owns one tally; apart from the budget of names, nothing here is shared or locked. [`Tally::clear`] keeps
//! the memory of large tables, so that they allocate nothing in the steady state. Small tables free it, because there
//! may be very many of them.
//!
//! A flow is booked for the innermost of the monitored prefixes that contain one of its endpoints. The prefixes
//! around it get their sums when blocks are made, so nested prefixes cost nothing while flows arrive.
//!
//! A prefix and direction with few flows keeps the flows themselves; tables of names are made when there are more.
//!
//! Memory is bounded by names and by open minutes. A table that exceeds four times its limit is pruned to its largest
//! names. If all tallies of the process together have too many, the largest tables shrink first, so that an attack on
//! one prefix does not cost the names of the others. Pruned counters are added to the `other` of their table: sums stay
//! exact. Open minutes grow with the time since the last clear. Each prefix has at most 128 minutes that are further
//! than ten minutes from the receive time, because only the exporter's clock chooses them; other flows count in their
//! receive minute.
//!
//! | file | what it contains |
//! | --- | --- |
//! | `budget` | the limit of names in all tallies together |
//! | `booking` | a flow as it is booked, and the counted fields |
//! | `family` | the differences between the address families |
//! | `batch` | bookings that are not merged yet |
//! | `sparse` | the flows of quiet prefixes |
//! | `balance` | the sums of the counters |
//! | `monitored` | the prefixes of a sender |
//! | `open_minutes` | the open minutes of a sender and prefix |
//! | `tables` | the counters of a minute, prefix and direction |

mod balance;
mod batch;
mod booking;
mod budget;
mod family;
mod monitored;
mod open_minutes;
mod sparse;
mod tables;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use flow::{Counters, FlowFate, FlowRecord, FlushNumber, Prefix, Sampling};

use crate::about_all::AboutAll;
use crate::block::{Block, BlockKey, Packer, TableSet, WriterId};
use crate::counter_map::{Amount, Seed};
use crate::direction::{Direction, Ends};
use crate::field::FieldSet;
use crate::period::{Interval, Minute, Period};
use crate::table::{FoldRoom, Rows, Table, ValueKey};
use crate::variance::SamplingVariance;
pub use balance::Balance;
use batch::Batch;
use booking::{Booking, CountedFields};
pub use budget::NameBudget;
use budget::{Claim, largest_allowed};
pub use monitored::{GroupId, Monitored, OwnNetworks};
pub use open_minutes::FlowTime;
use open_minutes::{Chain, OpenMinute, OpenMinutes};
use sparse::Sparse;
use tables::{DirectionTables, put_sum};

/// The counted fields and the limits of a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallySettings {
    /// The counted fields.
    pub fields: FieldSet,
    /// Limit of names in one table of a block. An open table may have four times as many.
    pub names_per_table: usize,
    /// Limit of names in all tallies together; see [`NameBudget`]. A name takes 20 to 90 octets.
    pub names: usize,
}

impl Default for TallySettings {
    fn default() -> Self {
        Self { fields: FieldSet::DEFAULT, names_per_table: 10_000, names: 2_000_000 }
    }
}

/// The number of the tables of one minute, prefix and direction, as long as the tally keeps their memory. Starts at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TablesId(NonZeroU32);

impl TablesId {
    /// Their index in [`Tally::tables`].
    #[inline]
    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Default for TablesId {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

/// The open minutes of one shard.
#[derive(Clone, Debug)]
pub struct Tally {
    settings: TallySettings,
    fields: CountedFields,
    /// By [`GroupId`].
    groups: Vec<OpenMinutes>,
    /// The groups with bookings since the last clear, each once.
    active: Vec<GroupId>,
    /// The groups that were active before the last clear.
    idle: Vec<GroupId>,
    /// By [`TablesId`].
    tables: Vec<DirectionTables>,
    /// The tables that belong to no group.
    spare: Vec<TablesId>,
    /// Variances of sampled flows, by [`TablesId`]; empty while there are none.
    variances: Vec<SamplingVariance>,
    sparse: Sparse,
    short: Batch<u32>,
    long: Batch<u128>,
    names: Claim,
    folded: u64,
    displaced: u64,
    /// Whether the flow that is being booked is displaced.
    is_displaced: bool,
    room: FoldRoom,
    seed: Seed,
}

impl Tally {
    /// An empty tally with its own budget.
    #[must_use]
    pub fn new(settings: TallySettings) -> Self {
        Self::within(settings, &NameBudget::new(settings.names))
    }

    /// An empty tally that shares a budget of names with others.
    #[must_use]
    pub fn within(settings: TallySettings, budget: &NameBudget) -> Self {
        Self {
            settings,
            fields: CountedFields::new(settings.fields),
            groups: Vec::new(),
            active: Vec::new(),
            idle: Vec::new(),
            tables: Vec::new(),
            spare: Vec::new(),
            variances: Vec::new(),
            sparse: Sparse::default(),
            short: Batch::default(),
            long: Batch::default(),
            names: Claim::of(budget.clone()),
            folded: 0,
            displaced: 0,
            is_displaced: false,
            room: FoldRoom::default(),
            seed: Seed::of_process(),
        }
    }

    /// Books a flow for all its prefixes and directions; a biflow, both ways. If `scale` is true, counters are
    /// multiplied by the sampling rate. The whole flow is booked, or nothing.
    pub fn book(&mut self, monitored: &Monitored, flow: &FlowRecord, time: FlowTime, scale: bool) -> FlowFate {
        let sampling = if scale { flow.sampling } else { Sampling::NONE };
        let Some(forward) = flow.forward.scaled(sampling) else { return FlowFate::Implausible };
        // Few flows are biflows.
        let reverse = Some(flow.reverse).filter(|reverse| !reverse.is_zero()).map(|reverse| reverse.scaled(sampling));
        if reverse == Some(None) {
            return FlowFate::Implausible;
        }
        if forward.is_zero() && reverse.is_none() {
            return FlowFate::Event;
        }
        let mut matched = false;
        if !forward.is_zero() {
            matched |= self.book_way(monitored, flow, time, forward, sampling);
        }
        if let Some(Some(reverse)) = reverse {
            let way = FlowRecord { forward: flow.reverse, ..flow.reversed() };
            matched |= self.book_way(monitored, &way, time, reverse, sampling);
        }
        if self.is_displaced {
            self.displaced += 1;
            self.is_displaced = false;
        }
        if matched { FlowFate::Matched } else { FlowFate::Unmatched }
    }

    /// Books one way of a flow, its forward counters; `false` when no prefix contains its source or destination.
    /// `counters` are scaled.
    #[inline]
    fn book_way(
        &mut self,
        monitored: &Monitored,
        flow: &FlowRecord,
        time: FlowTime,
        counters: Counters,
        sampling: Sampling,
    ) -> bool {
        let (IpAddr::V4(source), IpAddr::V4(destination), Some(amount)) =
            (flow.source, flow.destination, Amount::new(counters))
        else {
            return self.book_other_way(monitored, flow, time, counters, sampling);
        };
        let (source, destination) = (source.to_bits(), destination.to_bits());
        let ends = monitored.ipv4_ends(source, destination);
        self.book_ends(monitored, ends, time, |tally, tables| {
            let booking = Booking::new(flow, source, destination, tables, amount);
            if tally.short.push(booking, flow, &tally.fields) {
                tally.merge_pending();
            }
            if sampling.rate > 1 {
                tally.add_variance(tables, flow.forward, sampling);
            }
        })
    }

    /// The general case: an IPv6 address, or counters that do not fit into a slot.
    #[inline(never)]
    fn book_other_way(
        &mut self,
        monitored: &Monitored,
        flow: &FlowRecord,
        time: FlowTime,
        counters: Counters,
        sampling: Sampling,
    ) -> bool {
        let (source, destination) = (ValueKey::of_address(flow.source), ValueKey::of_address(flow.destination));
        let ends = monitored.ends(source, destination);
        let amount = Amount::new(counters);
        self.book_ends(monitored, ends, time, |tally, tables| {
            match (source, destination, amount) {
                (ValueKey::Long(source), ValueKey::Long(destination), Some(amount)) => {
                    let booking = Booking::new(flow, source, destination, tables, amount);
                    if tally.long.push(booking, flow, &tally.fields) {
                        tally.merge_pending();
                    }
                }
                _ => tally.book_one(tables, flow, counters),
            }
            if sampling.rate > 1 {
                tally.add_variance(tables, flow.forward, sampling);
            }
        })
    }

    /// Books one way of a flow for the prefixes around its endpoints; `false` if there are none.
    #[inline(always)]
    fn book_ends(
        &mut self,
        monitored: &Monitored,
        ends: Ends,
        time: FlowTime,
        book: impl Fn(&mut Self, TablesId),
    ) -> bool {
        let (count, ends) = match ends {
            Ends::Neither => return false,
            Ends::One(index, direction) => (1, [(index, direction); 2]),
            Ends::Both(both) => (2, both),
        };
        for (index, direction) in ends.into_iter().take(count) {
            if let Some((id, chain)) = monitored.chains.get(index as usize)
                && let Some(tables) = self.open(*id, time, chain, direction)
            {
                book(self, tables);
            }
        }
        true
    }

    /// The tables of a direction; opens them if necessary.
    #[inline(always)]
    fn open(&mut self, id: GroupId, time: FlowTime, chain: &Arc<Chain>, direction: Direction) -> Option<TablesId> {
        let place = id.0 as usize;
        if place >= self.groups.len() {
            self.groups.resize_with(place + 1, OpenMinutes::default);
        }
        let group = self.groups.get_mut(place)?;
        if group.is_idle() {
            self.active.push(id);
        }
        let tables = group.open(time, chain, &mut self.is_displaced)?.directions.get_mut(direction as usize)?;
        match tables {
            Some(tables) => Some(*tables),
            None => {
                let new = self.spare.pop().unwrap_or_else(|| {
                    self.tables.push(DirectionTables::default());
                    TablesId(NonZeroU32::new(self.tables.len() as u32).unwrap_or(NonZeroU32::MAX))
                });
                *tables = Some(new);
                Some(new)
            }
        }
    }

    /// Adds to how far the sampled flows of these tables may be off.
    #[inline(never)]
    fn add_variance(&mut self, tables: TablesId, sampled: Counters, sampling: Sampling) {
        if self.variances.len() <= tables.index() {
            self.variances.resize(self.tables.len(), SamplingVariance::ZERO);
        }
        if let Some(sum) = self.variances.get_mut(tables.index()) {
            sum.add(SamplingVariance::of(sampled, sampling));
        }
    }

    #[cold]
    fn book_one(&mut self, tables: TablesId, flow: &FlowRecord, counters: Counters) {
        if let Some(tables) = self.tables.get_mut(tables.index()) {
            let more = self.names.names() + tables.add_one(flow, counters, &self.fields, &self.sparse);
            let folded = tables.prune(self.settings.names_per_table, &mut self.room);
            self.names.set(more.saturating_sub(folded));
            self.folded += folded as u64;
        }
        self.keep_within_limit();
    }

    /// Adds pending bookings to their tables now. They would be added later anyway.
    pub fn merge_pending(&mut self) {
        let Self { settings, fields, tables, sparse, short, long, names: claim, folded, room, seed, .. } = self;
        let mut names = claim.names();
        let mut added = |tables: &mut DirectionTables, new: usize| {
            names += new;
            if new > 0 {
                let less = tables.prune(settings.names_per_table, room);
                names = names.saturating_sub(less);
                *folded += less as u64;
            }
        };
        short.merge(tables, fields, sparse, *seed, &mut added);
        long.merge(tables, fields, sparse, *seed, &mut added);
        claim.set(names);
        self.keep_within_limit();
    }

    /// Prunes the largest tables if all tallies together have too many names.
    fn keep_within_limit(&mut self) {
        let Some(left) = self.names.excess() else { return };
        let mut lengths: Vec<usize> = self.all_tables().map(|table| table.len()).collect();
        let cap = largest_allowed(&mut lengths, left);
        let mut room = std::mem::take(&mut self.room);
        let folded: usize = self.all_tables().map(|table| table.fold(cap, &mut room)).sum();
        self.room = room;
        self.names.set(self.names.names().saturating_sub(folded));
        self.folded += folded as u64;
    }

    /// All tables, including those that are not open, which are empty.
    fn all_tables(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.iter_mut().flat_map(DirectionTables::tables_mut)
    }

    /// Whether nothing is booked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// The prefixes of a sender for which flows are booked, for them or within them; one may be there several times.
    pub fn booked(&self, monitored: &Monitored) -> impl Iterator<Item = Prefix> {
        let is_booked = |(id, chain): &&(GroupId, Arc<Chain>)| {
            self.groups.get(id.0 as usize).is_some_and(|group| group.has_booked(chain))
        };
        monitored.chains.iter().filter(is_booked).flat_map(|(_, chain)| chain.prefixes.iter().copied())
    }

    /// The number of names: a gauge. Pending bookings are not included.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.names()
    }

    /// How many names were folded into `other` since the last clear.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.folded
    }

    /// How many flows were booked in their receive minute since the last clear, because a prefix had as many far
    /// minutes open as it may.
    #[must_use]
    pub fn displaced(&self) -> u64 {
        self.displaced
    }

    /// The blocks of all bookings, sorted by key. They depend on the bookings and their order only (the order matters
    /// only if a limit folded names): the same bookings make equal blocks.
    #[must_use]
    pub fn blocks(&self, writer: WriterId, number: FlushNumber) -> Vec<Block> {
        if !self.short.is_empty() || !self.long.is_empty() {
            let mut merged = self.clone();
            merged.merge_pending();
            return merged.blocks(writer, number);
        }
        // The minutes of each prefix: its own, and those of the prefixes within it.
        let mut parts: Vec<(Minute, IpAddr, Prefix, &OpenMinute)> = Vec::with_capacity(self.active.len());
        for open in self.active.iter().filter_map(|id| self.groups.get(id.0 as usize)).flat_map(OpenMinutes::minutes) {
            parts.extend(open.chain.prefixes.iter().map(|prefix| (open.minute, open.chain.sender, *prefix, open)));
        }
        parts.sort_unstable_by_key(|&(minute, sender, prefix, _)| (minute, sender, prefix));
        let (mut blocks, mut packer, mut rows) = (Vec::with_capacity(parts.len()), Packer::of_flush(), Rows::default());
        for parts in parts.chunk_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2)) {
            let [(minute, sender, prefix, _), ..] = *parts else { continue };
            for direction in Direction::ALL {
                self.pack(direction, parts.iter().map(|(.., open)| *open), &mut packer, &mut rows);
            }
            let interval = Interval { period: Period::Minute, start: minute };
            let origin = number.into();
            let key = BlockKey { interval, sender, prefix, writer, origin, part: 0, tables: TableSet::EMPTY };
            packer.finish(key, &mut blocks);
        }
        blocks.sort_unstable_by_key(|block| block.key);
        blocks
    }

    /// Packs the sum of these minutes in one direction; tables are folded to the limit of names.
    fn pack<'t>(
        &'t self,
        direction: Direction,
        parts: impl Iterator<Item = &'t OpenMinute>,
        packer: &mut Packer,
        rows: &mut Rows,
    ) {
        let mut about_all = AboutAll { complete: self.settings.fields, ..AboutAll::NOTHING };
        let of = |open: &OpenMinute| {
            let id = open.directions.get(direction as usize).copied().flatten()?;
            let tables = self.tables.get(id.index()).filter(|tables| !tables.all().is_zero())?;
            about_all.variance.add(self.variances.get(id.index()).copied().unwrap_or_default());
            Some(tables)
        };
        let parts: Vec<&DirectionTables> = parts.filter_map(of).collect();
        if parts.is_empty() {
            return;
        }
        for field in self.settings.fields.iter() {
            put_sum(&parts, &self.sparse, &self.fields, field, self.settings.names_per_table, rows);
            rows.about_all = about_all;
            packer.push(direction, field, rows);
        }
    }

    /// Removes all bookings. Active groups keep their memory for the next minutes, unless it is little; others free it.
    pub fn clear(&mut self) {
        self.merge_pending();
        let Self { groups, active, idle, tables, spare, sparse, variances, .. } = self;
        sparse.clear();
        variances.clear();
        let mut keeps = |id: TablesId, has_place: bool| {
            let Some(tables) = tables.get_mut(id.index()) else { return false };
            let kept = tables.clear() && has_place;
            if !kept {
                *tables = DirectionTables::default();
                spare.push(id);
            }
            kept
        };
        for id in idle.drain(..) {
            if let Some(group) = groups.get_mut(id.0 as usize) {
                group.release_if_idle(|id| {
                    keeps(id, false);
                });
            }
        }
        for id in &*active {
            if let Some(group) = groups.get_mut(id.0 as usize) {
                group.clear(&mut keeps);
            }
        }
        std::mem::swap(idle, active);
        self.names.set(0);
        (self.folded, self.displaced) = (0, 0);
        self.shrink();
    }

    /// Frees the memory of removed groups, and of tables if most of them are unused.
    fn shrink(&mut self) {
        let Self { groups, idle, tables, spare, short, long, .. } = self;
        while groups.pop_if(|group| group.is_gone()).is_some() {}
        if groups.capacity() > SPARE_ROOM.max(4 * groups.len()) {
            groups.shrink_to_fit();
        }
        if tables.len() > SPARE_ROOM && spare.len() > tables.len() / 4 * 3 {
            let used = idle.iter().filter_map(|id| groups.get(id.0 as usize)).flat_map(OpenMinutes::tables);
            let used = used.map(TablesId::index).max().map_or(0, |last| last + 1);
            tables.truncate(used);
            tables.shrink_to_fit();
            spare.retain(|id| id.index() < used);
            spare.shrink_to_fit();
            short.shrink(used);
            long.shrink(used);
        }
    }
}

/// Unused room for this many groups and tables is never freed.
const SPARE_ROOM: usize = 1024;

#[cfg(test)]
mod tests;
