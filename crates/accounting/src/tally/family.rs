//! The differences between the address families.

use flow::Counters;

use crate::counter_map::{CounterMap, MapKey};
use crate::table::{Rows, Table};

/// An address of one family as the key of a map.
pub(super) trait ByFamily: MapKey {
    /// The part of a table that counts these addresses.
    fn map(table: &mut Table) -> &mut CounterMap<Self>;
    /// The rows of these addresses.
    fn rows(rows: &mut Rows) -> &mut Vec<(Self, Counters)>;
}

impl ByFamily for u32 {
    fn map(table: &mut Table) -> &mut CounterMap<Self> {
        table.short()
    }

    fn rows(rows: &mut Rows) -> &mut Vec<(Self, Counters)> {
        &mut rows.short
    }
}

impl ByFamily for u128 {
    fn map(table: &mut Table) -> &mut CounterMap<Self> {
        table.long()
    }

    fn rows(rows: &mut Rows) -> &mut Vec<(Self, Counters)> {
        &mut rows.long
    }
}
