//! The statements of the writer. What they have of a part are numbers.

use crate::native::{self, ROW_KIND};
use crate::part::{Identity, Part};
use crate::table::{EPOCH, FLUSH, PART, ROW, WRITER, full_name};

/// Waits until a replica has what the others had at this moment.
pub(crate) fn synchronisation(database: &str, table: &str) -> String {
    format!("SYSTEM SYNC REPLICA {} LIGHTWEIGHT", full_name(database, table))
}

/// The name of a part: `writer-epoch-flush-part`.
pub(crate) fn token(Identity { writer, flush, number }: &Identity) -> String {
    format!("{writer}-{}-{}-{number}", flush.epoch, flush.sequence)
}

/// The rows of a part.
pub(crate) fn condition(Identity { writer, flush, number }: &Identity) -> String {
    let (writer, epoch, sequence) = (writer.0, flush.epoch, flush.sequence);
    format!("{WRITER} = {writer} AND {EPOCH} = {epoch} AND {FLUSH} = {sequence} AND {PART} = {number}")
}

/// How many rows of a part are in the table.
fn count(database: &str, table: &str, identity: &Identity, part: &Part) -> String {
    of_part("count()", database, table, identity, part)
}

/// What a part has in the table, as [`Content`](crate::part::Content).
pub(crate) fn content(database: &str, table: &str, identity: &Identity, part: &Part) -> String {
    of_part("count(), sum(Bytes), sum(Packets)", database, table, identity, part)
}

/// The times select few granules.
fn of_part(what: &str, database: &str, table: &str, identity: &Identity, part: &Part) -> String {
    let Part { from, until, .. } = part;
    let (name, condition) = (full_name(database, table), condition(identity));
    format!(
        "SELECT {what} FROM {name} WHERE TimeReceived >= fromUnixTimestamp64Milli({from}, 'UTC') \
         AND TimeReceived <= fromUnixTimestamp64Milli({until}, 'UTC') AND {condition}"
    )
}

/// Inserts the rows of a part, unless there are any.
pub(crate) fn insert(database: &str, table: &str, identity: &Identity, part: &Part) -> String {
    let names: Vec<_> = native::carried(&part.batch).map(|column| column.clickhouse).collect();
    let types: Vec<_> = native::carried(&part.batch)
        .map(|column| format!("{} {}", column.clickhouse, native::kind(column).replace('\'', "\\'")))
        .collect();
    let (names, types) = (names.join(", "), types.join(", "));
    let Identity { writer, flush, number } = identity;
    let (writer, epoch, sequence) = (writer.0, flush.epoch, flush.sequence);
    format!(
        "INSERT INTO {} ({names}, {ROW}, {WRITER}, {EPOCH}, {FLUSH}, {PART}) \
         SELECT {names}, {ROW}, {writer}, {epoch}, {sequence}, {number} FROM input('{types}, {ROW} {ROW_KIND}') \
         WHERE ({}) = 0 FORMAT Native",
        full_name(database, table),
        count(database, table, identity, part)
    )
}
