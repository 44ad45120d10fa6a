//! The open minutes: counters that flows are being added to, until a flush makes blocks of them.
//!
//! One shard owns one tally; but for the budget of names nothing here is shared, locked or sent. [`Tally::clear`] keeps the
//! room that the last minutes needed, so that large tables allocate nothing in the steady state; small ones give it back,
//! because there may be very many of them.
//!
//! A flow is booked for the innermost of the monitored prefixes that contain one of its ends; what was booked for it is
//! added to the prefixes around it when blocks are made. So nested prefixes cost nothing while flows come in.
//!
//! Flows of a prefix and direction that has few are kept as they are; tables of names are made when there are more.
//!
//! Memory is bounded by names. A table that has four times as many as it may is pruned to its largest; when all tallies
//! of the process together have too many, the largest tables shrink first, so that an attack on one prefix does not cost
//! the names of the others. What is pruned goes into the `other` of its table: sums stay exact.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `budget` | how many names all tallies may hold together |
//! | `batch` | flows that wait to be added, many at once |
//! | `few` | the flows of prefixes that have few |
//! | `books` | what the counters add up to |
//! | `group` | the open minutes of a sender and prefix |
//! | `tables` | the counters of a minute, prefix and direction |

mod batch;
mod books;
mod budget;
mod few;
mod group;
mod tables;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use flow::{Counters, FlowFate, FlowRecord, FlushNumber, Prefix};

use crate::block::{Block, BlockKey, Packer, TableSet, WriterId};
use crate::counter_map::{Amount, Seed};
use crate::direction::{Direction, Ends, attribute};
use crate::field::Field;
use crate::period::{Interval, Minute, Period};
use crate::prefix_table::PrefixTable;
use crate::table::{FoldRoom, Key, Rows, Table};
use batch::{Batch, Booking, FlowKey};
pub use books::Books;
use budget::Claim;
pub use budget::NameBudget;
use group::{Chain, Group, OpenMinute};
use tables::{DirectionTables, Few, put_sum};

/// Stands for one (sender, prefix) for the life of the process. Small and dense: the first one is 0, the next 1, and
/// so on, because tallies find their counters by it as by an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// What is monitored for one sender. Made once for each change of its registration, shared by all shards.
#[derive(Clone, Debug)]
pub struct Monitored {
    sender: IpAddr,
    prefixes: Vec<(Prefix, GroupId)>,
    /// For each prefix, with what is around it.
    chains: Vec<(GroupId, Arc<Chain>)>,
    table: PrefixTable,
}

impl Monitored {
    /// The sender and its monitored prefixes.
    #[must_use]
    pub fn new(sender: IpAddr, prefixes: &[(Prefix, GroupId)]) -> Self {
        let bare: Vec<Prefix> = prefixes.iter().map(|(prefix, _)| *prefix).collect();
        let table = PrefixTable::new(&bare);
        let chain = |(index, (_, id)): (u32, &(Prefix, GroupId))| {
            let mut around = Vec::new();
            table.walk(index, &mut |index| around.extend(bare.get(index as usize)));
            (*id, Arc::new(Chain { sender, prefixes: around.into() }))
        };
        let chains = (0..).zip(prefixes).map(chain).collect();
        Self { sender, prefixes: prefixes.to_vec(), chains, table }
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

/// How many names there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallyLimits {
    /// In the table of a block, for one minute, direction and field. While it is open it may have four times as many.
    pub names_per_table: usize,
    /// In all tallies together; see [`NameBudget`]. A name takes 20 to 90 octets.
    pub names: usize,
}

impl Default for TallyLimits {
    fn default() -> Self {
        Self { names_per_table: 10_000, names: 2_000_000 }
    }
}

/// Stands for the tables of one minute, prefix and direction as long as a tally keeps their room. The first one is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TablesId(NonZeroU32);

impl TablesId {
    /// Where they are.
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
    limits: TallyLimits,
    /// By [`GroupId`].
    groups: Vec<Group>,
    /// The groups that something was booked for since the last clear, each once.
    active: Vec<GroupId>,
    /// The groups that were active before the last clear.
    idle: Vec<GroupId>,
    /// By [`TablesId`].
    tables: Vec<DirectionTables>,
    /// Those of the tables that belong to no group.
    spare: Vec<TablesId>,
    few: Few,
    short: Batch<u32>,
    long: Batch<u128>,
    names: Claim,
    folded: u64,
    room: FoldRoom,
    seed: Seed,
}

impl Tally {
    /// A tally of nothing, with a budget of its own.
    #[must_use]
    pub fn new(limits: TallyLimits) -> Self {
        Self::within(limits, &NameBudget::new(limits.names))
    }

    /// A tally of nothing that shares a budget of names with others.
    #[must_use]
    pub fn within(limits: TallyLimits, budget: &NameBudget) -> Self {
        Self {
            limits,
            groups: Vec::new(),
            active: Vec::new(),
            idle: Vec::new(),
            tables: Vec::new(),
            spare: Vec::new(),
            few: Few::default(),
            short: Batch::default(),
            long: Batch::default(),
            names: Claim::of(budget.clone()),
            folded: 0,
            room: FoldRoom::default(),
            seed: Seed::of_process(),
        }
    }

    /// Books a flow in this minute for every prefix and direction that it has, in both directions when it is a biflow;
    /// times its sampling rate when `scale` is true. All of it is booked or nothing.
    pub fn book(&mut self, monitored: &Monitored, flow: &FlowRecord, minute: Minute, scale: bool) -> FlowFate {
        let rate = if scale { flow.sampling.rate.max(1) } else { 1 };
        let Some(forward) = flow.forward.scaled(rate) else { return FlowFate::Overflow };
        // Few flows have one.
        let reverse = Some(flow.reverse).filter(|reverse| !reverse.is_zero()).map(|reverse| reverse.scaled(rate));
        if reverse == Some(None) {
            return FlowFate::Overflow;
        }
        if forward.is_zero() && reverse.is_none() {
            return FlowFate::Event;
        }
        let mut matched = false;
        if !forward.is_zero() {
            matched |= self.book_way(monitored, flow, minute, forward);
        }
        if let Some(Some(reverse)) = reverse {
            matched |= self.book_way(monitored, &reversed(flow), minute, reverse);
        }
        if matched { FlowFate::Matched } else { FlowFate::Unmatched }
    }

    /// Books one way of a flow; `false` when no prefix contains its source or destination.
    #[inline]
    fn book_way(&mut self, monitored: &Monitored, flow: &FlowRecord, minute: Minute, counters: Counters) -> bool {
        let (IpAddr::V4(source), IpAddr::V4(destination), Some(amount)) =
            (flow.source, flow.destination, Amount::new(counters))
        else {
            return self.book_other_way(monitored, flow, minute, counters);
        };
        let (source, destination) = (source.to_bits(), destination.to_bits());
        let table = &monitored.table;
        let ends = attribute(table.innermost_ipv4(source), table.innermost_ipv4(destination));
        self.book_ends(monitored, ends, minute, |tally, tables| {
            if tally.short.push(booking(flow, source, destination, tables, amount)) {
                tally.settle();
            }
        })
    }

    /// The same where not all is IPv4, or the counters fit no slot.
    #[inline(never)]
    fn book_other_way(&mut self, monitored: &Monitored, flow: &FlowRecord, minute: Minute, counters: Counters) -> bool {
        let (source, destination) = (Key::of_address(flow.source), Key::of_address(flow.destination));
        let table = &monitored.table;
        let ends = attribute(table.innermost(source), table.innermost(destination));
        match (source, destination, Amount::new(counters)) {
            (Key::Long(source), Key::Long(destination), Some(amount)) => {
                self.book_ends(monitored, ends, minute, |tally, tables| {
                    if tally.long.push(booking(flow, source, destination, tables, amount)) {
                        tally.settle();
                    }
                })
            }
            _ => self.book_ends(monitored, ends, minute, |tally, tables| {
                tally.book_one(tables, flow, source, destination, counters);
            }),
        }
    }

    /// Books one way of a flow for the prefixes around its ends; `false` when there are none.
    #[inline(always)]
    fn book_ends(
        &mut self,
        monitored: &Monitored,
        ends: Ends,
        minute: Minute,
        book: impl Fn(&mut Self, TablesId),
    ) -> bool {
        let (count, ends) = match ends {
            Ends::Neither => return false,
            Ends::One(index, direction) => (1, [(index, direction); 2]),
            Ends::Both { source, destination } => {
                (2, [(source, Direction::OutLocal), (destination, Direction::InLocal)])
            }
        };
        for (index, direction) in ends.into_iter().take(count) {
            if let Some((id, chain)) = monitored.chains.get(index as usize)
                && let Some(tables) = self.open(*id, minute, chain, direction)
            {
                book(self, tables);
            }
        }
        true
    }

    /// The tables of a direction, which are opened when they are not open yet.
    #[inline(always)]
    fn open(&mut self, id: GroupId, minute: Minute, chain: &Arc<Chain>, direction: Direction) -> Option<TablesId> {
        let place = id.0 as usize;
        if place >= self.groups.len() {
            self.groups.resize_with(place + 1, Group::default);
        }
        let group = self.groups.get_mut(place)?;
        if group.is_idle() {
            self.active.push(id);
        }
        let tables = group.open(minute, chain)?.directions.get_mut(direction as usize)?;
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

    #[cold]
    fn book_one(&mut self, tables: TablesId, flow: &FlowRecord, source: Key, destination: Key, counters: Counters) {
        if let Some(tables) = self.tables.get_mut(tables.index()) {
            let more = self.names.names() + tables.add_one(flow, source, destination, counters, &self.few);
            let folded = tables.prune(self.limits.names_per_table, &mut self.room);
            self.names.set(more.saturating_sub(folded));
            self.folded += folded as u64;
        }
        self.keep_within_limit();
    }

    /// Adds the flows that wait to their tables. What was booked is counted either way; this does it now.
    pub fn settle(&mut self) {
        let Self { limits, tables, few, short, long, names: claim, folded, room, seed, .. } = self;
        let mut names = claim.names();
        let mut added = |tables: &mut DirectionTables, new: usize| {
            names += new;
            if new > 0 {
                let less = tables.prune(limits.names_per_table, room);
                names = names.saturating_sub(less);
                *folded += less as u64;
            }
        };
        short.settle(tables, few, *seed, &mut added);
        long.settle(tables, few, *seed, &mut added);
        claim.set(names);
        self.keep_within_limit();
    }

    /// Gives up names when all tallies together have too many, by making the largest tables smaller.
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

    /// All tables, those that are not open included: they are empty.
    fn all_tables(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.iter_mut().flat_map(DirectionTables::tables_mut)
    }

    /// Whether nothing is booked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// How many names are held: a gauge. Flows that wait to be added have none yet.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.names()
    }

    /// How many names were folded into `other` since the last clear.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.folded
    }

    /// The blocks of everything that is booked, sorted by key. They depend on what was booked in which order (the order
    /// matters only where a limit folded names), on nothing else: booking the same again makes equal blocks.
    #[must_use]
    pub fn blocks(&self, writer: WriterId, number: FlushNumber) -> Vec<Block> {
        if !self.short.is_empty() || !self.long.is_empty() {
            let mut settled = self.clone();
            settled.settle();
            return settled.blocks(writer, number);
        }
        // What counts for each prefix: its own minutes, and those of the prefixes within it.
        let mut parts: Vec<(Minute, IpAddr, Prefix, &OpenMinute)> = Vec::with_capacity(self.active.len());
        for open in self.active.iter().filter_map(|id| self.groups.get(id.0 as usize)).flat_map(Group::minutes) {
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
        let of = |open: &OpenMinute| {
            let id = open.directions.get(direction as usize).copied().flatten()?;
            self.tables.get(id.index()).filter(|tables| !tables.all().is_zero())
        };
        let parts: Vec<&DirectionTables> = parts.filter_map(of).collect();
        if parts.is_empty() {
            return;
        }
        for field in Field::ALL {
            put_sum(&parts, &self.few, field, self.limits.names_per_table, rows);
            packer.push(direction, field, rows);
        }
    }

    /// Forgets what is booked. Groups that were booked for keep their room for the next minutes, unless it is little; the
    /// others give it back.
    pub fn clear(&mut self) {
        self.settle();
        let Self { groups, active, idle, tables, spare, few, .. } = self;
        few.clear();
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
        self.folded = 0;
    }
}

/// What a flow is booked as in these tables.
#[inline(always)]
fn booking<A>(flow: &FlowRecord, source: A, destination: A, tables: TablesId, amount: Amount) -> Booking<A> {
    let key = FlowKey {
        source,
        destination,
        source_as: flow.source_as,
        destination_as: flow.destination_as,
        source_port: flow.source_port,
        destination_port: flow.destination_port,
        protocol: flow.protocol,
    };
    Booking { key, tables, amount }
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
