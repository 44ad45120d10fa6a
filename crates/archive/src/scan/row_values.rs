//! The rows of columns, one after the other.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use columns::{Addresses, Columns, Id, Row, Values};
use filter::ColumnValues;

/// Reads rows of columns in ascending order.
pub(crate) struct RowValues<'v> {
    rows: usize,
    next: usize,
    /// All that are read, also those whose values are all 0.
    all: Columns,
    columns: Vec<Column<'v>>,
}

struct Column<'v> {
    id: Id,
    values: &'v Values,
    /// How many rows before the next one have an IPv6 address.
    v6: usize,
}

impl<'v> RowValues<'v> {
    /// Begins with the first row.
    pub(crate) fn new(rows: &'v impl ColumnValues, all: Columns) -> Self {
        let columns = all.iter().map(|id| Column { id, values: rows.values(id), v6: 0 });
        let columns = columns.filter(|column| !column.values.is_empty()).collect();
        Self { rows: rows.rows(), next: 0, all, columns }
    }

    /// Sets the next row; returns whether there is one.
    pub(crate) fn next(&mut self, row: &mut Row) -> bool {
        let is_there = self.next < self.rows;
        if is_there {
            self.read(self.next, row);
        }
        is_there
    }

    /// Sets a row that is not before the next one.
    pub(crate) fn read(&mut self, at: usize, row: &mut Row) {
        row.clear();
        row.mark(self.all);
        let skipped = self.next..at;
        self.next = at + 1;
        for Column { id, values, v6: before } in &mut self.columns {
            let number = match values {
                Values::U8(values) => values.get(at).copied().map_or(0, u64::from),
                Values::U16(values) => values.get(at).copied().map_or(0, u64::from),
                Values::U32(values) => values.get(at).copied().map_or(0, u64::from),
                Values::U64(values) => values.get(at).copied().unwrap_or_default(),
                Values::Addresses(Addresses { v4, is_v6, v6 }) => {
                    let skipped = is_v6.get(skipped.clone()).unwrap_or_default();
                    *before += skipped.iter().filter(|is_v6| **is_v6).count();
                    let address = if is_v6.get(at).copied().unwrap_or_default() {
                        *before += 1;
                        v6.get(*before - 1).map(|octets| IpAddr::from(*octets))
                    } else {
                        v4.get(at).map(|number| IpAddr::V4(Ipv4Addr::from_bits(*number)))
                    };
                    row.set_address(*id, address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
                    continue;
                }
                Values::Texts(texts) => {
                    texts.of_row(at).into_iter().for_each(|text| row.set_text(*id, Arc::clone(text)));
                    continue;
                }
            };
            row.set(*id, number);
        }
    }
}
