//! What is booked for one sender and prefix: its open minutes, each with tables for each direction.

use std::net::IpAddr;

use flow::{Counters, FlowRecord, Prefix};

use crate::block::{Block, BlockKey, Packer};
use crate::counter_map::{Amount, Seed};
use crate::direction::Direction;
use crate::field::Field;
use crate::period::Minute;
use crate::table::{HashedKey, HashedNumber, Key, Rows, Table};

/// What one way of a flow is booked as: the same for every prefix and direction that it has.
pub(super) struct Booking {
    pub(super) minute: Minute,
    amount: Amount,
    protocol: HashedNumber,
    source: HashedKey,
    source_port: HashedNumber,
    source_as: HashedNumber,
    destination: HashedKey,
    destination_port: HashedNumber,
    destination_as: HashedNumber,
}

impl Booking {
    /// The way from source to destination.
    #[inline]
    pub(super) fn new(flow: &FlowRecord, minute: Minute, counters: Counters, seed: Seed) -> Self {
        Self {
            minute,
            amount: Amount::new(counters),
            protocol: HashedNumber::new(flow.protocol.into(), seed),
            source: Key::of_address(flow.source).hashed(seed),
            source_port: HashedNumber::new(flow.source_port.into(), seed),
            source_as: HashedNumber::new(flow.source_as, seed),
            destination: Key::of_address(flow.destination).hashed(seed),
            destination_port: HashedNumber::new(flow.destination_port.into(), seed),
            destination_as: HashedNumber::new(flow.destination_as, seed),
        }
    }
}

/// The open minutes of one sender and prefix.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The first `used` are open, the one booked last in front; the others are spare.
    minutes: Vec<OpenMinute>,
    used: usize,
}

/// How many times the limit of names a table may have before it is pruned to the limit. More would take more memory and
/// caches, less would prune more often, and lose a name more often that would have become a large one.
const OPEN_NAMES: usize = 4;

/// How many minutes a group keeps the room of: usually one is open, around the end of a minute two are.
const SPARE_MINUTES: usize = 2;

impl Group {
    /// The tables of a minute, which is opened when it is not open yet.
    #[inline]
    pub(super) fn open(&mut self, minute: Minute, sender: IpAddr, prefix: Prefix) -> Option<&mut OpenMinute> {
        if self.used == 0 || self.minutes.first().is_none_or(|open| open.minute != minute) {
            self.bring_to_front(minute, sender, prefix);
        }
        self.minutes.first_mut()
    }

    #[cold]
    fn bring_to_front(&mut self, minute: Minute, sender: IpAddr, prefix: Prefix) {
        let open = self.minutes().position(|open| open.minute == minute);
        let open = open.unwrap_or_else(|| {
            match self.minutes.get_mut(self.used) {
                Some(spare) => (spare.minute, spare.sender, spare.prefix) = (minute, sender, prefix),
                None => self.minutes.push(OpenMinute::new(minute, sender, prefix)),
            }
            self.used += 1;
            self.used - 1
        });
        self.minutes.swap(0, open);
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

    /// All tables of the open minutes.
    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.minutes
            .iter_mut()
            .take(self.used)
            .flat_map(|open| open.directions.iter_mut().flatten())
            .flat_map(|direction| direction.tables.iter_mut())
    }

    /// Forgets what is booked and keeps the room of a minute or two.
    pub(super) fn clear(&mut self) {
        self.minutes.truncate(SPARE_MINUTES);
        for direction in self.minutes.iter_mut().flat_map(|open| open.directions.iter_mut().flatten()) {
            direction.clear();
        }
        self.used = 0;
    }

    /// Gives back all room when nothing is booked.
    pub(super) fn release_if_idle(&mut self) {
        if self.is_idle() {
            self.minutes = Vec::new();
        }
    }
}

/// One minute of one sender and prefix.
#[derive(Debug)]
pub(super) struct OpenMinute {
    pub(super) minute: Minute,
    pub(super) sender: IpAddr,
    pub(super) prefix: Prefix,
    /// By direction; most prefixes see few of them.
    directions: [Option<Box<DirectionTables>>; 4],
}

impl OpenMinute {
    fn new(minute: Minute, sender: IpAddr, prefix: Prefix) -> Self {
        Self { minute, sender, prefix, directions: [const { None }; 4] }
    }

    /// The tables of a direction.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "there is a place for each of the four directions")]
    pub(super) fn direction(&mut self, direction: Direction) -> &mut DirectionTables {
        self.directions[direction as usize].get_or_insert_with(DirectionTables::boxed)
    }

    /// The blocks of this minute; tables are folded to the limit of names.
    pub(super) fn blocks(&self, key: BlockKey, limit: usize) -> Vec<Block> {
        let mut packer = Packer::new(key);
        for (direction, tables) in Direction::ALL.into_iter().zip(&self.directions) {
            let Some(tables) = tables.as_deref().filter(|tables| !tables.all.is_zero()) else { continue };
            packer.push(direction, Field::All, &Rows { short: vec![(0, tables.all)], ..Rows::default() });
            for (field, table) in Field::ALL.into_iter().skip(1).zip(&tables.tables) {
                packer.push(direction, field, &table.folded_rows(limit));
            }
        }
        packer.finish()
    }
}

/// The counters of one direction: everything, and a table for each of the other fields in their order.
#[derive(Debug, Default)]
pub(super) struct DirectionTables {
    all: Counters,
    tables: [Table; 7],
}

impl DirectionTables {
    #[cold]
    #[inline(never)]
    fn boxed() -> Box<Self> {
        Box::default()
    }

    /// Adds to the eight counters that a booking has; returns how many of them are new.
    #[inline]
    pub(super) fn add(&mut self, booking: &Booking) -> usize {
        let amount = &booking.amount;
        self.all.add(amount.counters());
        let [protocol, source, source_port, source_as, destination, destination_port, destination_as] =
            &mut self.tables;
        usize::from(protocol.add_number(booking.protocol, amount))
            + usize::from(source.add(booking.source, amount))
            + usize::from(source_port.add_number(booking.source_port, amount))
            + usize::from(source_as.add_number(booking.source_as, amount))
            + usize::from(destination.add(booking.destination, amount))
            + usize::from(destination_port.add_number(booking.destination_port, amount))
            + usize::from(destination_as.add_number(booking.destination_as, amount))
    }

    /// Prunes tables that have many more names than the limit; returns how many names were folded.
    #[inline(never)]
    pub(super) fn prune(&mut self, limit: usize) -> usize {
        let overfull = self.tables.iter_mut().filter(|table| table.len() > limit.saturating_mul(OPEN_NAMES));
        overfull.map(|table| table.fold(limit)).sum()
    }

    fn clear(&mut self) {
        self.all = Counters::ZERO;
        for table in &mut self.tables {
            table.clear();
        }
    }
}
