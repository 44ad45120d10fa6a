//! Whether the table is as the collector needs it. It is created if it is missing, and gets columns that a newer collector knows.

use std::collections::HashMap;

use crate::client::{Client, Request};
use crate::error::Error;
use crate::settings::Settings;
use crate::table::{self, full_name};

/// Engines that keep every row that is inserted.
const ENGINES: [(&str, Kept); 3] =
    [("MergeTree", Kept::Once), ("ReplicatedMergeTree", Kept::OnReplicas), ("SharedMergeTree", Kept::Shared)];

/// Where a table has its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// On one server.
    Once,
    /// On servers that fetch from each other.
    OnReplicas,
    /// On a storage that all servers read.
    Shared,
}

/// Partitions that have whole days, so that a part of a flush is in one of them.
const PARTITIONS: [&str; 7] = [
    "",
    "tuple()",
    "toDate(TimeReceived)",
    "toYYYYMMDD(TimeReceived)",
    "toMonday(TimeReceived)",
    "toYYYYMM(TimeReceived)",
    "toStartOfMonth(TimeReceived)",
];

/// Makes the table what it must be.
///
/// # Errors
/// If it cannot be, with what is to be done.
pub(crate) fn check(client: &Client) -> Result<Kept, Error> {
    let Settings { database, table, .. } = client.settings();
    let wrong = |what: String| Error::Table { table: format!("{database}.{table}"), what };
    let mut engine = engine(client)?;
    if engine.is_none() {
        client.text(&Request::new(&table::creation(database, table)))?;
        engine = self::engine(client)?;
    }
    let Some((engine, partition)) = engine else {
        return Err(wrong(
            "was created and cannot be seen: grant SELECT on it to the user (clickhouse.user)".to_owned(),
        ));
    };
    let Some((_, kept)) = ENGINES.into_iter().find(|(name, _)| *name == engine) else {
        let known = ENGINES.map(|(name, _)| name).join(", ");
        return Err(wrong(format!(
            "has the engine {engine}, which may not keep every flow; use one of {known}, or another table (clickhouse.table)"
        )));
    };
    if client.settings().hosts.len() > 1 && kept == Kept::Once {
        return Err(wrong(
            "is not replicated, so the hosts do not have the same flows; create it as ReplicatedMergeTree, or state one host \
             (clickhouse.hosts)"
                .to_owned(),
        ));
    }
    if !PARTITIONS.contains(&partition.as_str()) {
        let known = PARTITIONS.get(2..).unwrap_or_default().join(", ");
        return Err(wrong(format!("is partitioned by {partition}; it must be one of {known}")));
    }
    let found = columns(client)?;
    for (name, kind) in table::columns() {
        match found.get(name) {
            Some(found) if is_same(found, kind) => {}
            Some(found) => {
                return Err(wrong(format!(
                    "has the column {name} of type {found}, which must be {kind}; change it (ALTER TABLE {} MODIFY COLUMN), \
                     or use another table (clickhouse.table)",
                    full_name(database, table)
                )));
            }
            None => add(client, name)?,
        }
    }
    Ok(kept)
}

fn add(client: &Client, name: &str) -> Result<(), Error> {
    let Settings { database, table, .. } = client.settings();
    if let Some(sql) = table::addition(database, table, name) {
        client.text(&Request::new(&sql))?;
    }
    Ok(())
}

/// A dictionary is a matter of storage.
fn is_same(found: &str, kind: &str) -> bool {
    let plain = |kind: &str| {
        let inner = kind.strip_prefix("LowCardinality(").and_then(|kind| kind.strip_suffix(')'));
        inner.unwrap_or(kind).to_owned()
    };
    plain(found) == plain(kind)
}

/// The engine of the table and its key of partitions; `None` if there is none.
fn engine(client: &Client) -> Result<Option<(String, String)>, Error> {
    let sql = "SELECT engine, partition_key FROM system.tables WHERE database = {database:String} AND name = {table:String} \
               FORMAT TabSeparatedRaw";
    let text = ask(client, sql)?;
    let pair = text.trim_end_matches('\n').split_once('\t');
    Ok(pair.map(|(engine, partition)| (engine.to_owned(), partition.to_owned())))
}

/// The types of the columns by their names.
fn columns(client: &Client) -> Result<HashMap<String, String>, Error> {
    let sql = "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} \
               FORMAT TabSeparatedRaw";
    let text = ask(client, sql)?;
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(pairs.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect())
}

fn ask(client: &Client, sql: &str) -> Result<String, Error> {
    let Settings { database, table, .. } = client.settings();
    client.text(&Request::new(sql).with(&[("database", database), ("table", table)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_does_not_make_another_type() {
        assert!(is_same("LowCardinality(IPv6)", "IPv6") && is_same("String", "LowCardinality(String)"));
        assert!(!is_same("UInt32", "UInt64") && !is_same("Nullable(UInt32)", "UInt32"));
    }
}
