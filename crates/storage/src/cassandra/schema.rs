//! The tables and every statement that is ever sent.

use std::collections::BTreeSet;

use accounting::period::{PerPeriod, Period};
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::error::failed;
use crate::StoreError;

/// Makes keyspace and tables where they are missing; where none is, nothing needs the right to make one. Collectors that
/// start together may make them together.
pub(super) async fn make(session: &Session, keyspace: &str, keyspace_config: &str) -> Result<(), StoreError> {
    let found = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let found = session.query_unpaged(found, (keyspace.to_lowercase(),)).await.map_err(failed)?;
    let found = found.into_rows_result().map_err(failed)?;
    let found = found.rows::<(String,)>().map_err(failed)?.map(|row| row.map(|(table,)| table));
    let found: BTreeSet<String> = found.collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() {
        let statement = format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} {keyspace_config}");
        session.query_unpaged(statement, ()).await.map_err(failed)?;
    }
    for (table, columns) in tables() {
        if !found.contains(&table) {
            let statement = format!("CREATE TABLE IF NOT EXISTS {keyspace}.{table} {columns}");
            session.query_unpaged(statement, ()).await.map_err(failed)?;
        }
    }
    add_changes(session, keyspace).await
}

/// Adds the column that tables of programs before 0.1 do not have.
async fn add_changes(session: &Session, keyspace: &str) -> Result<(), StoreError> {
    let is_there = async || {
        let find = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = 'sender' \
             AND column_name = 'changes'";
        let found = session.query_unpaged(find, (keyspace.to_lowercase(),)).await.map_err(failed)?;
        Ok::<_, StoreError>(found.into_rows_result().map_err(failed)?.rows_num() > 0)
    };
    if is_there().await? {
        return Ok(());
    }
    let add = format!("ALTER TABLE {keyspace}.sender ADD changes map<text, bigint>");
    match session.query_unpaged(add, ()).await {
        // Another collector has added it in the same moment.
        Err(_) if is_there().await? => Ok(()),
        added => added.map(drop).map_err(failed),
    }
}

/// The names of the tables, and what follows them in `CREATE TABLE`.
fn tables() -> Vec<(String, String)> {
    let mut tables: Vec<(String, String)> = Period::ALL
        .into_iter()
        .map(|period| {
            let compaction = window(period).map_or_else(String::new, |(unit, size)| {
                format!(
                    " WITH compaction = {{'class': 'TimeWindowCompactionStrategy', \
                     'compaction_window_unit': '{unit}', 'compaction_window_size': '{size}'}}"
                )
            });
            let columns = format!(
                "(sender text, prefix text, start bigint, writer bigint, epoch bigint, sequence bigint, part int, \
                 tables bigint, content blob, \
                 PRIMARY KEY ((sender, prefix, start), writer, epoch, sequence, part, tables)){compaction}"
            );
            (format!("block_{}", period.name()), columns)
        })
        .collect();
    let others = [
        ("interval", "(writer bigint, period tinyint, start bigint, PRIMARY KEY ((writer, period), start))"),
        (
            "series",
            "(writer bigint, period tinyint, start bigint, sender text, prefix text, \
             PRIMARY KEY ((writer, period, start), sender, prefix))",
        ),
        // The column `one` is always 0: all rows are in one partition, which is read as a whole.
        (
            "sender",
            "(one tinyint, address text, registered boolean, prefixes set<text>, last_nanoseconds bigint, \
             announcements blob, changes map<text, bigint>, PRIMARY KEY (one, address))",
        ),
        (
            "writer",
            "(one tinyint, writer bigint, epoch bigint, seen_nanoseconds bigint, minutes_rolled_up bigint, \
             hours_rolled_up bigint, days_rolled_up bigint, months_rolled_up bigint, PRIMARY KEY (one, writer))",
        ),
        (
            "remark",
            "(sender text, milliseconds bigint, kind text, was text, became text, \
             PRIMARY KEY (sender, milliseconds, kind, was, became))",
        ),
        // Rows of blocks of a period that start before `written_until` may live no longer than `minutes_kept`.
        (
            "expired",
            "(one tinyint, period tinyint, minutes_kept bigint, written_until bigint, \
             PRIMARY KEY (one, period, minutes_kept))",
        ),
        // Apart from `writer`, whose rows are changed with conditions: this one is written at every flush.
        ("flushed", "(one tinyint, writer bigint, epoch bigint, sequence bigint, PRIMARY KEY (one, writer))"),
    ];
    tables.extend(others.map(|(name, columns)| (name.to_owned(), columns.to_owned())));
    tables
}

fn block_table(keyspace: &str, period: Period) -> String {
    format!("{keyspace}.block_{}", period.name())
}

/// About thirty windows in a usual life time. Months and years are few and stay.
fn window(period: Period) -> Option<(&'static str, u32)> {
    match period {
        Period::Minute => Some(("HOURS", 6)),
        Period::Hour => Some(("DAYS", 3)),
        Period::Day => Some(("DAYS", 60)),
        Period::Month | Period::Year => None,
    }
}

/// Statements about the blocks of one period.
pub(super) struct BlockStatements {
    pub(super) put: PreparedStatement,
    pub(super) read: PreparedStatement,
    pub(super) read_of_writer: PreparedStatement,
    pub(super) keys: PreparedStatement,
    pub(super) read_some: PreparedStatement,
    pub(super) some_keys: PreparedStatement,
    pub(super) delete: PreparedStatement,
    pub(super) delete_of_writer: PreparedStatement,
    pub(super) any_of_writer: PreparedStatement,
}

const SET_WRITER: &str = "UPDATE KEYSPACE.writer SET epoch = ?, seen_nanoseconds = ?, minutes_rolled_up = ?, \
     hours_rolled_up = ?, days_rolled_up = ?, months_rolled_up = ? WHERE one = 0 AND writer = ?";

const WRITER_IS: &str = "epoch = ? AND seen_nanoseconds = ? AND minutes_rolled_up = ? AND hours_rolled_up = ? \
     AND days_rolled_up = ? AND months_rolled_up = ?";

/// Statements that change registrations, together with their numbers.
pub(super) struct ChangeStatements {
    pub(super) numbered: PreparedStatement,
    pub(super) numbered_sender: PreparedStatement,
    pub(super) put_numbers_if: PreparedStatement,
    pub(super) put_expiring_numbers: PreparedStatement,
    pub(super) add_prefixes: PreparedStatement,
    pub(super) remove_prefixes: PreparedStatement,
    pub(super) delete_sender: PreparedStatement,
}

/// All statements.
pub(super) struct Statements {
    pub(super) blocks: PerPeriod<BlockStatements>,
    pub(super) put_interval: PreparedStatement,
    pub(super) intervals: PreparedStatement,
    pub(super) first_interval: PreparedStatement,
    pub(super) delete_interval: PreparedStatement,
    pub(super) put_series: PreparedStatement,
    pub(super) series: PreparedStatement,
    pub(super) any_series: PreparedStatement,
    pub(super) delete_series: PreparedStatement,
    pub(super) delete_all_series: PreparedStatement,
    pub(super) senders: PreparedStatement,
    pub(super) sender: PreparedStatement,
    pub(super) changes: ChangeStatements,
    pub(super) touch_sender: PreparedStatement,
    pub(super) put_templates: PreparedStatement,
    pub(super) templates: PreparedStatement,
    pub(super) remarks: PreparedStatement,
    pub(super) all_remarks: PreparedStatement,
    pub(super) put_remark: PreparedStatement,
    pub(super) delete_remark: PreparedStatement,
    pub(super) writers: PreparedStatement,
    pub(super) put_writer: PreparedStatement,
    pub(super) replace_writer: PreparedStatement,
    pub(super) put_expired: PreparedStatement,
    pub(super) expired: PreparedStatement,
    pub(super) put_flushed: PreparedStatement,
    pub(super) flushed: PreparedStatement,
}

impl Statements {
    pub(super) async fn prepare(session: &Session, keyspace: &str) -> Result<Self, StoreError> {
        let of = |text: &str| prepare(session, text.replace("KEYSPACE", keyspace));
        let conditional = |text: &str| prepare_conditional(session, text.replace("KEYSPACE", keyspace));
        let blocks = |period| BlockStatements::prepare(session, block_table(keyspace, period));
        Ok(Self {
            blocks: PerPeriod::new([
                blocks(Period::Minute).await?,
                blocks(Period::Hour).await?,
                blocks(Period::Day).await?,
                blocks(Period::Month).await?,
                blocks(Period::Year).await?,
            ]),
            put_interval: of("INSERT INTO KEYSPACE.interval (writer, period, start) VALUES (?, ?, ?) USING TTL ?").await?,
            intervals: of(
                "SELECT start FROM KEYSPACE.interval WHERE writer = ? AND period = ? AND start >= ? AND start < ?",
            )
            .await?,
            first_interval: of(
                "SELECT start FROM KEYSPACE.interval WHERE writer = ? AND period = ? AND start >= ? LIMIT 1",
            )
            .await?,
            delete_interval: of("DELETE FROM KEYSPACE.interval WHERE writer = ? AND period = ? AND start = ?").await?,
            put_series: of(
                "INSERT INTO KEYSPACE.series (writer, period, start, sender, prefix) VALUES (?, ?, ?, ?, ?) USING TTL ?",
            )
            .await?,
            series: of("SELECT sender, prefix FROM KEYSPACE.series WHERE writer = ? AND period = ? AND start = ?").await?,
            any_series: of(
                "SELECT sender FROM KEYSPACE.series WHERE writer = ? AND period = ? AND start = ? LIMIT 1",
            )
            .await?,
            delete_series: of(
                "DELETE FROM KEYSPACE.series WHERE writer = ? AND period = ? AND start = ? AND sender = ? AND prefix = ?",
            )
            .await?,
            delete_all_series: of("DELETE FROM KEYSPACE.series WHERE writer = ? AND period = ? AND start = ?").await?,
            senders: of("SELECT address, registered, prefixes, last_nanoseconds FROM KEYSPACE.sender WHERE one = 0").await?,
            sender: of(
                "SELECT address, registered, prefixes, last_nanoseconds FROM KEYSPACE.sender WHERE one = 0 AND address = ?",
            )
            .await?,
            changes: ChangeStatements::prepare(session, keyspace).await?,
            touch_sender: of(
                "UPDATE KEYSPACE.sender USING TIMESTAMP ? SET last_nanoseconds = ? WHERE one = 0 AND address = ?",
            )
            .await?,
            put_templates: of("UPDATE KEYSPACE.sender SET announcements = ? WHERE one = 0 AND address = ?").await?,
            templates: of("SELECT address, registered, announcements FROM KEYSPACE.sender WHERE one = 0").await?,
            remarks: of("SELECT sender, milliseconds, kind, was, became FROM KEYSPACE.remark WHERE sender = ?").await?,
            all_remarks: of("SELECT sender, milliseconds, kind, was, became FROM KEYSPACE.remark").await?,
            put_remark: of(
                "INSERT INTO KEYSPACE.remark (sender, milliseconds, kind, was, became) VALUES (?, ?, ?, ?, ?)",
            )
            .await?,
            delete_remark: of(
                "DELETE FROM KEYSPACE.remark WHERE sender = ? AND milliseconds = ? AND kind = ? AND was = ? AND became = ?",
            )
            .await?,
            writers: of(
                "SELECT writer, epoch, seen_nanoseconds, minutes_rolled_up, hours_rolled_up, days_rolled_up, \
                 months_rolled_up FROM KEYSPACE.writer WHERE one = 0",
            )
            .await?,
            // A condition that always holds: epochs begin with 1.
            put_writer: of(&format!("{SET_WRITER} IF epoch != -1")).await?,
            replace_writer: conditional(&format!("{SET_WRITER} IF {WRITER_IS}")).await?,
            put_expired: of(
                "INSERT INTO KEYSPACE.expired (one, period, minutes_kept, written_until) VALUES (0, ?, ?, ?) \
                 USING TIMESTAMP ?",
            )
            .await?,
            expired: of("SELECT period, minutes_kept, written_until FROM KEYSPACE.expired WHERE one = 0").await?,
            put_flushed: of("INSERT INTO KEYSPACE.flushed (one, writer, epoch, sequence) VALUES (0, ?, ?, ?)").await?,
            flushed: of("SELECT writer, epoch, sequence FROM KEYSPACE.flushed WHERE one = 0").await?,
        })
    }
}

impl ChangeStatements {
    async fn prepare(session: &Session, keyspace: &str) -> Result<Self, StoreError> {
        let of = |text: &str| prepare(session, text.replace("KEYSPACE", keyspace));
        let conditional = |text: &str| prepare_conditional(session, text.replace("KEYSPACE", keyspace));
        Ok(Self {
            numbered: of("SELECT address, registered, prefixes, changes FROM KEYSPACE.sender WHERE one = 0").await?,
            numbered_sender: of(
                "SELECT address, registered, prefixes, changes FROM KEYSPACE.sender WHERE one = 0 AND address IN (?, ?)",
            )
            .await?,
            put_numbers_if: conditional(
                "UPDATE KEYSPACE.sender SET changes = changes + ? WHERE one = 0 AND address = ? IF changes[?] = ?",
            )
            .await?,
            put_expiring_numbers: of(
                "UPDATE KEYSPACE.sender USING TTL ? SET changes = changes + ? WHERE one = 0 AND address = ?",
            )
            .await?,
            // A condition that always holds: no row has `false`.
            add_prefixes: of(
                "UPDATE KEYSPACE.sender SET registered = true, prefixes = prefixes + ? WHERE one = 0 AND address = ? \
                 IF registered != false",
            )
            .await?,
            remove_prefixes: conditional(
                "UPDATE KEYSPACE.sender SET prefixes = prefixes - ? WHERE one = 0 AND address = ? IF registered = true",
            )
            .await?,
            delete_sender: conditional("DELETE FROM KEYSPACE.sender WHERE one = 0 AND address = ? IF registered = true")
                .await?,
        })
    }
}

impl BlockStatements {
    async fn prepare(session: &Session, table: String) -> Result<Self, StoreError> {
        const PLACE: &str = "sender = ? AND prefix = ? AND start = ?";
        const KEY: &str = "writer, epoch, sequence, part, tables";
        let of = |text: String| prepare(session, text);
        Ok(Self {
            put: of(format!(
                "INSERT INTO {table} (sender, prefix, start, {KEY}, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?"
            ))
            .await?,
            read: of(format!("SELECT {KEY}, content FROM {table} WHERE {PLACE}")).await?,
            read_of_writer: of(format!("SELECT {KEY}, content FROM {table} WHERE {PLACE} AND writer = ?")).await?,
            keys: of(format!("SELECT {KEY} FROM {table} WHERE {PLACE}")).await?,
            read_some: of(format!("SELECT {KEY}, content FROM {table} WHERE {PLACE} AND ({KEY}) IN ?")).await?,
            some_keys: of(format!("SELECT {KEY} FROM {table} WHERE {PLACE} AND ({KEY}) IN ?")).await?,
            delete: of(format!(
                "DELETE FROM {table} WHERE {PLACE} AND writer = ? AND epoch = ? AND sequence = ? AND part = ? AND tables = ?"
            ))
            .await?,
            delete_of_writer: of(format!("DELETE FROM {table} WHERE {PLACE} AND writer = ?")).await?,
            any_of_writer: of(format!("SELECT writer FROM {table} WHERE {PLACE} AND writer = ? LIMIT 1")).await?,
        })
    }
}

/// Not sent again by the driver: the answer to the second attempt would be about what the first one has done.
async fn prepare_conditional(session: &Session, text: String) -> Result<PreparedStatement, StoreError> {
    let mut statement = prepare(session, text).await?;
    statement.set_is_idempotent(false);
    Ok(statement)
}

/// Every other statement may be sent again after an unknown outcome.
async fn prepare(session: &Session, text: String) -> Result<PreparedStatement, StoreError> {
    let mut statement = session.prepare(text).await.map_err(failed)?;
    statement.set_is_idempotent(true);
    Ok(statement)
}
