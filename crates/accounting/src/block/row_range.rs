//! The rows of a table, or of a range of its values, that go into one block.

use flow::Counters;

use crate::about_all::AboutAll;
use crate::table::Rows;

/// The rows of a table or of a range of its values.
#[derive(Clone, Copy)]
pub(super) struct RowRange<'r> {
    pub(super) short: &'r [(u32, Counters)],
    pub(super) long: &'r [(u128, Counters)],
    pub(super) other: Counters,
    pub(super) truncated: bool,
    /// Used for the table of `all` alone, which has one row.
    pub(super) about_all: AboutAll,
}

impl<'r> RowRange<'r> {
    pub(super) fn all(rows: &'r Rows) -> Self {
        let Rows { short, long, other, truncated, about_all } = rows;
        Self { short, long, other: *other, truncated: *truncated, about_all: *about_all }
    }

    /// The lower and the upper half of the values; `None` when there are fewer than two. `other` stays
    /// with the lower half.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let count = self.short.len() + self.long.len();
        if count < 2 {
            return None;
        }
        let (short, upper_short) = self.short.split_at(self.short.len().min(count / 2));
        let (long, upper_long) = self.long.split_at(count / 2 - short.len());
        let upper = Self { short: upper_short, long: upper_long, other: Counters::ZERO, truncated: false, ..self };
        Some((Self { short, long, ..self }, upper))
    }
}
