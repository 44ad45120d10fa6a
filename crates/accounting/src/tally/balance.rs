//! What the open counters add up to, for the ledgers and for rates: summed from the tables on request, not while flows come in.

use std::net::IpAddr;

use flow::Counters;

use super::Tally;
use super::open_minutes::{OpenMinute, OpenMinutes};
use crate::direction::Direction;

/// The sums of a tally. Bookings that are not merged yet are in none of them: call [`Tally::merge_pending`] before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Tables of a minute, prefix, direction and field that something was booked in.
    pub tables: u64,
    /// Those of them whose values, with `other`, add up to `all`.
    pub balanced: u64,
    /// What is booked under `all`, once for each prefix that it counts for: what all blocks together must hold.
    pub all: Counters,
}

impl Balance {
    /// Adds those of another tally.
    pub fn add(&mut self, other: Self) {
        self.tables += other.tables;
        self.balanced += other.balanced;
        self.all.add(other.all);
    }
}

impl Tally {
    /// Adds everything up.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let mut balance = Balance::default();
        for open in self.open_minutes() {
            let tables = open.directions.iter().flatten().filter_map(|id| self.tables.get(id.index()));
            for tables in tables {
                open.chain.prefixes.iter().for_each(|_| balance.all.add(tables.all()));
                tables.each_sum(&self.sparse, &self.fields, |sum| {
                    balance.tables += 1;
                    balance.balanced += u64::from(sum == tables.all());
                });
            }
        }
        balance
    }

    /// What is booked under `all` for each sender and direction, in parts: each end of a flow once, however many prefixes are
    /// around it.
    pub fn by_sender(&self) -> impl Iterator<Item = (IpAddr, Direction, Counters)> {
        self.open_minutes().flat_map(|open| {
            let directions = Direction::ALL.into_iter().zip(open.directions);
            directions.filter_map(|(direction, id)| {
                let tables = self.tables.get(id?.index())?;
                Some((open.chain.sender, direction, tables.all()))
            })
        })
    }

    fn open_minutes(&self) -> impl Iterator<Item = &OpenMinute> {
        let groups = self.active.iter().filter_map(|id| self.groups.get(id.0 as usize));
        groups.flat_map(OpenMinutes::minutes)
    }
}
