//! What the open counters add up to, for the ledgers: counted anew from the tables, not while flows come in.

use flow::Counters;

use super::Tally;
use super::group::Group;

/// The sums of a tally. Flows that wait to be added to their tables are in none of them: settle it before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Tables of a minute, prefix, direction and field that something was booked in.
    pub tables: u64,
    /// Those of them whose values, with `other`, add up to `all`.
    pub balanced: u64,
    /// What is booked under `all`, once for each prefix that it counts for: what all blocks together must hold.
    pub all: Counters,
}

impl Books {
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
    pub fn books(&self) -> Books {
        let mut books = Books::default();
        let groups = self.active.iter().filter_map(|id| self.groups.get(id.0 as usize));
        for open in groups.flat_map(Group::minutes) {
            let tables = open.directions.iter().flatten().filter_map(|id| self.tables.get(id.index()));
            for tables in tables {
                open.chain.prefixes.iter().for_each(|_| books.all.add(tables.all()));
                for sum in tables.sums(&self.few) {
                    books.tables += 1;
                    books.balanced += u64::from(sum == tables.all());
                }
            }
        }
        books
    }
}
