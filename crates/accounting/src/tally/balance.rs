//! What the open counters add up to, for the ledgers: summed from the tables on request, not while flows come in.

use flow::Counters;

use super::Tally;
use super::open_minutes::OpenMinutes;

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
        let groups = self.active.iter().filter_map(|id| self.groups.get(id.0 as usize));
        for open in groups.flat_map(OpenMinutes::minutes) {
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
}
