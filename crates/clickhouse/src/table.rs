//! The table in ClickHouse.
//!
//! It has every column of [`columns::table`] under the name and with the type that are declared there, and beside them which part
//! of which flush a row was sent in. Nothing is `Nullable`: 0, 0.0.0.0 (`::ffff:0.0.0.0`) and the empty text are what a record
//! does not carry, as in the archive. IPv4 addresses are mapped ones; `::` is an IPv6 address that was sent.

use columns::{COLUMNS, Column, Kind};

/// The collector, as a number: a [`WriterId`](flow::WriterId) is its 16 hexadecimal digits.
pub const WRITER: &str = "Writer";
/// The run of the collector.
pub const EPOCH: &str = "Epoch";
/// The flush in which the flow was counted.
pub const FLUSH: &str = "Flush";
/// The part of the flush: what one insert has.
pub const PART: &str = "Part";
/// The place of the flow in the part, from 0, in the order in which flows were counted. Pages of flows need it: it is all that
/// distinguishes two flows that were received in the same millisecond.
pub const ROW: &str = "Row";

/// The columns of our identity, and their types.
pub const IDENTITY: [(&str, &str); 5] =
    [(WRITER, "UInt64"), (EPOCH, "UInt32"), (FLUSH, "UInt64"), (PART, "UInt32"), (ROW, "UInt32")];

/// The address of what carries none.
pub const NO_ADDRESS: &str = "0.0.0.0";

/// A name between backticks: it is one name, whatever is in it.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The table's full name for statements.
#[must_use]
pub fn full_name(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}

/// The names and types of all columns, in the order of the table.
pub fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    COLUMNS.iter().map(|column| (column.clickhouse, column.kind.clickhouse())).chain(IDENTITY)
}

/// The statement that creates the table unless there is one.
///
/// A partition is a day, as in the archive: retention drops whole days, and an insert into one of them is one block, which is
/// there as a whole or not at all. Within five minutes the flows of an interface are adjacent, which is what most questions are
/// about.
#[must_use]
pub fn creation(database: &str, table: &str) -> String {
    let name = full_name(database, table);
    let flow = COLUMNS.iter().map(|column| format!("{} {}", column.clickhouse, declaration(column)));
    let identity = IDENTITY.iter().map(|(name, kind)| format!("{name} {kind} CODEC(ZSTD(1))"));
    // What is looked for before an insert is newer than everything else: no granule can have it.
    let index = format!("INDEX flush ({WRITER}, {EPOCH}, {FLUSH}) TYPE minmax GRANULARITY 1");
    let columns = flow.chain(identity).chain([index]).collect::<Vec<_>>().join(",\n  ");
    format!(
        "CREATE TABLE IF NOT EXISTS {name} (\n  {columns}\n)\nENGINE = MergeTree\nPARTITION BY toDate(TimeReceived)\n\
         ORDER BY (toStartOfFiveMinutes(TimeReceived), ExporterAddress, InIf, OutIf)\n\
         SETTINGS ttl_only_drop_parts = 1"
    )
}

/// The statement that adds a column which a newer collector knows.
#[must_use]
pub fn addition(database: &str, table: &str, name: &str) -> Option<String> {
    let flow = COLUMNS.iter().find(|column| column.clickhouse == name).map(declaration);
    let identity = IDENTITY.iter().find(|column| column.0 == name).map(|(_, kind)| format!("{kind} CODEC(ZSTD(1))"));
    let declaration = flow.or(identity)?;
    Some(format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {name} {declaration}", full_name(database, table)))
}

/// Type, default and compression: those that make the table small without making it slow to read.
fn declaration(column: &Column) -> String {
    let kind = column.kind.clickhouse();
    match column.kind {
        Kind::Address => format!("{kind} DEFAULT toIPv6('{NO_ADDRESS}') CODEC(ZSTD(1))"),
        Kind::U64 => format!("{kind} CODEC(T64, LZ4)"),
        Kind::Time => format!("{kind} CODEC(DoubleDelta, LZ4)"),
        Kind::Mac | Kind::AsPath => format!("{kind} CODEC(ZSTD(1))"),
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::Country => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(full_name("a`b", "c\\"), "`a\\`b`.`c\\\\`");
    }

    #[test]
    fn every_column_is_created_once_and_can_be_added() {
        let creation = creation("d", "t");
        for (name, kind) in columns() {
            let line = format!("\n  {name} {kind}");
            assert_eq!(creation.matches(&line).count(), 1, "{name}");
            assert!(addition("d", "t", name).is_some_and(|statement| statement.contains(&format!("{name} {kind}"))));
        }
        assert_eq!(addition("d", "t", "Nothing"), None);
    }
}
