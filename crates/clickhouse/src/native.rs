//! Rows as one block of ClickHouse's Native format: column after column, as it keeps them itself. Columns without any value are
//! left out; the table's defaults are the same.
//!
//! Source: <https://clickhouse.com/docs/interfaces/formats/Native>, `NativeWriter.cpp` for revision 0.

use columns::texts::Texts;
use columns::{Addresses, Batch, Column, Id, Kind, Values};
use flow::Country;

use crate::table::ROW;

/// The type of the numbers of rows.
pub(crate) const ROW_KIND: &str = "UInt32";

/// The columns that a block has.
pub(crate) fn carried(batch: &Batch) -> impl Iterator<Item = &'static Column> {
    Id::ALL.iter().filter(|id| !batch.filled(**id).is_empty()).map(|id| id.column())
}

/// The type of a column in a block.
pub(crate) const fn kind(column: &Column) -> &'static str {
    match column.kind {
        // ClickHouse makes the dictionary.
        Kind::Country | Kind::AsPath => "String",
        kind => kind.clickhouse(),
    }
}

/// Appends the block of a batch that is [filled](Batch::fill). Its last column has the number of each row.
pub(crate) fn write(batch: &Batch, out: &mut Vec<u8>) {
    varint(carried(batch).count() as u64 + 1, out);
    varint(batch.rows() as u64, out);
    for column in carried(batch) {
        text(column.clickhouse, out);
        text(kind(column), out);
        match batch.filled(column.id) {
            Values::U8(values) => out.extend_from_slice(values),
            Values::U16(values) if column.kind == Kind::Country => countries(values, out),
            Values::U16(values) => numbers(values.iter().map(|number| number.to_le_bytes()), out),
            Values::U32(values) => numbers(values.iter().map(|number| number.to_le_bytes()), out),
            Values::U64(values) => numbers(values.iter().map(|number| number.to_le_bytes()), out),
            Values::Addresses(values) => addresses(values, batch.rows(), out),
            Values::Texts(values) => texts(values, batch.rows(), out),
        }
    }
    text(ROW, out);
    text(ROW_KIND, out);
    numbers((0..batch.rows()).map(|row| (row as u32).to_le_bytes()), out);
}

fn numbers<const WIDTH: usize>(values: impl ExactSizeIterator<Item = [u8; WIDTH]>, out: &mut Vec<u8>) {
    out.reserve(values.len() * WIDTH);
    out.extend(values.flatten());
}

/// IPv4 addresses as mapped ones (RFC 4291, section 2.5.5.2).
fn addresses(values: &Addresses, rows: usize, out: &mut Vec<u8>) {
    let mut v6 = values.v6.iter();
    out.reserve(rows * 16);
    for row in 0..rows {
        let is_v6 = values.is_v6.get(row).copied().unwrap_or_default();
        match v6.as_slice() {
            [address, ..] if is_v6 => {
                out.extend_from_slice(address);
                v6.next();
            }
            _ => {
                let v4 = values.v4.get(row).copied().unwrap_or_default();
                out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
                out.extend_from_slice(&v4.to_be_bytes());
            }
        }
    }
}

fn countries(values: &[u16], out: &mut Vec<u8>) {
    for number in values {
        match Country::of_number(*number) {
            Some(country) => text(country.as_str(), out),
            None => out.push(0),
        }
    }
}

fn texts(values: &Texts, rows: usize, out: &mut Vec<u8>) {
    for row in 0..rows {
        text(values.of_row(row).map_or("", |text| text), out);
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// LEB128.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
