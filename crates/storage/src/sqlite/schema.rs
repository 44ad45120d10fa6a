//! The tables, their versions, and how the file is opened.
//!
//! `PRAGMA user_version` is the version of the layout: an older one is brought up to date in one transaction, a newer
//! one is refused untouched. `PRAGMA application_id` distinguishes our files from others.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreError;

/// `nflw`, as `file` shows it.
const APPLICATION_ID: i64 = 0x6e66_6c77;

/// How long a statement waits for another process, such as a backup, before it fails.
const BUSY: Duration = Duration::from_secs(10);

/// Statements kept prepared by each connection; there are fewer different ones.
const STATEMENTS: usize = 64;

/// Element n brings the layout from version n to version n + 1.
const MIGRATIONS: [&str; 9] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
];

/// Opens the file for reading and writing, or makes it.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    if !make(path).map_err(|error| StoreError::config(path.display(), error))? {
        refuse_cut(path)?;
    }
    let mut connection = connect(path).map_err(|error| StoreError::config(path.display(), error))?;
    let found = version(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // After an unusually large flush or deletion the log shrinks back to this.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // KiB. With more, no flush of 10,000 senders was cheaper.
    connection.pragma_update(None, "cache_size", -4_096)?;
    // A row that is replaced deletes its large content.
    connection.pragma_update(None, "recursive_triggers", true)?;
    if found < MIGRATIONS.len() {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

/// Opens another connection to a file that [`open`] has opened; it never writes.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens a file that must be there and up to date; the connection never writes.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    // SQLite's own message does not contain the reason.
    std::fs::metadata(path).map_err(|error| StoreError::config(path.display(), error))?;
    let connection = open_reader(path)?;
    match version(&connection, path)? {
        found if found < MIGRATIONS.len() => {
            let older = "it has the layout of an older program: start the collector on it once";
            Err(StoreError::config(path.display(), older))
        }
        _ => Ok(connection),
    }
}

/// Opens a file that must be there, whatever layout it has; the connection never writes.
pub(crate) fn open_as_it_is(path: &Path) -> Result<Connection, StoreError> {
    // SQLite's own message does not contain the reason.
    std::fs::metadata(path).map_err(|error| StoreError::config(path.display(), error))?;
    let connection = open_reader(path)?;
    version(&connection, path)?;
    Ok(connection)
}

/// Whether a file that is there has the layout of an older program, which opening it would bring up to date; changes
/// nothing.
pub(super) fn is_older(path: &Path) -> Result<bool, StoreError> {
    Ok(version(&open_reader(path)?, path)? < MIGRATIONS.len())
}

/// SQLite gives its other files the mode of the first one. Returns whether the file is new.
fn make(path: &Path) -> std::io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses a file that was cut to nothing: SQLite would make a new database of it. An empty file that is alone in its
/// folder may have been made for us.
fn refuse_cut(path: &Path) -> Result<(), StoreError> {
    /// No database is smaller than its smallest page.
    const SMALLEST: u64 = 512;
    let failed = |error| StoreError::config(path.display(), error);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length >= SMALLEST {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    let lock = [name.as_encoded_bytes(), b".lock"].concat();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut is_alone = true;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?.file_name();
        is_alone &= entry == name || entry.as_encoded_bytes() == lock;
    }
    if length == 0 && is_alone {
        return Ok(());
    }
    let message = format!(
        "it has {length} bytes and is no database: restore it from a backup, or remove it to begin without what it held"
    );
    Err(StoreError::config(path.display(), message))
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The version of the layout that the file has; changes nothing.
fn version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (tables, version, application) != (0, 0, 0) {
        return Err(StoreError::Config(format!("{} is an SQLite file, but no netflow store", path.display()).into()));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => {
            let newest = MIGRATIONS.len();
            Err(StoreError::config(
                path.display(),
                format!(
                    "it has layout version {version}; this program knows versions up to {newest}: start the newer \
                     program that wrote it, or give another file"
                ),
            ))
        }
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again, now that no other process can be migrating.
    let found = version(&transaction, path)?;
    for (version, step) in (1_i64..).zip(MIGRATIONS).skip(found) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(path: &Path) -> String {
        match open(path) {
            Err(error @ StoreError::Config(_)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_file_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let connection = open(&path).unwrap();
        connection.execute("INSERT INTO series (sender, prefix) VALUES ('a', 'b')", []).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[test]
    fn commits_are_synced_to_disk() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("store")).unwrap();
        let text = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, String>(0)).unwrap();
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(text("journal_mode"), "wal");
        assert_eq!(number("synchronous"), 2);
    }

    #[test]
    fn a_newer_layout_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = std::fs::read(&path).unwrap();
        let message = refusal(&path);
        assert!(message.contains("version 99") && message.contains("up to 9"), "{message}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_database_of_another_program_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("theirs");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE precious (x)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(refusal(&path).ends_with("is an SQLite file, but no netflow store"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "not a database at all, but long enough to look like one. ".repeat(100)).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open(&path), Err(StoreError::Corrupt(_))));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_is_opened_read_only_when_it_is_there_and_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let refusal = |path: &Path| match open_read_only(path) {
            Err(error @ StoreError::Config(_)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(refusal(&path).ends_with("store: No such file or directory (os error 2)"), "{}", refusal(&path));
        assert!(!path.exists(), "it was made");
        std::fs::write(&path, "").unwrap();
        assert!(refusal(&path).contains("older program"), "{}", refusal(&path));
        let writing = open(&path).unwrap();
        let reading = open_read_only(&path).unwrap();
        let insert = "INSERT INTO series (sender, prefix) VALUES ('a', 'b')";
        assert!(reading.execute(insert, []).is_err());
        writing.execute(insert, []).unwrap();
        assert_eq!(reading.query_row("SELECT count(*) FROM series", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/store");
        assert!(refusal(&path).contains("missing/store: No such file or directory"));
    }

    #[test]
    fn a_database_that_was_cut_to_nothing_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        // Made for us, and nothing beside it.
        std::fs::write(&path, "").unwrap();
        drop(open(&path).unwrap());
        for (content, beside) in [("", "keys"), ("", "journal"), ("", "store-wal"), ("S", "store.lock")] {
            std::fs::write(&path, content).unwrap();
            let beside = folder.path().join(beside);
            std::fs::write(&beside, "something").unwrap();
            let message = refusal(&path);
            assert!(message.contains("restore it from a backup"), "{message}");
            assert_eq!(std::fs::read(&path).unwrap(), content.as_bytes());
            std::fs::remove_file(beside).unwrap();
        }
    }
}
