//! Copies the SQLite file of a collector while the collector writes to it, and checks such a copy.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flow::Counted;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::{StoreError, sqlite};

/// Pages of 4 KiB copied in one step.
const PAGES_AT_ONCE: i32 = 4096;

/// Checks that a file is a whole database of this program or an older one. Nothing else may write to it meanwhile.
///
/// # Errors
/// [`StoreError::Config`] when it is not there, is not ours, or was written by a newer program; [`StoreError::Corrupt`] when
/// it is damaged.
pub fn check(path: &Path) -> Result<(), StoreError> {
    let connection = sqlite::open_as_it_is(path)?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Corrupt(found.into()));
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 { Err(StoreError::config(path.display(), "it is empty")) } else { Ok(()) }
}

/// The file at one moment, with everything that was committed by then. The collector continues to write meanwhile.
#[derive(Debug)]
pub struct BackupSource {
    /// In a read transaction until it is dropped: without it, each write of the collector would begin the copy again.
    connection: Connection,
}

impl BackupSource {
    /// The file as it is now. It may have the layout of an older program.
    ///
    /// # Errors
    /// [`StoreError::Config`] when it is not there, is not ours, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = sqlite::open_as_it_is(path)?;
        // The moment is that of the first read.
        connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
        Ok(Self { connection })
    }

    /// The flushes of the journal that are counted in it.
    ///
    /// # Errors
    /// When it cannot be read, or has the layout of an older program, which did not record them.
    pub fn counted(&self) -> Result<Vec<Counted>, StoreError> {
        sqlite::counted(&self.connection)
    }

    /// Copies it into a new file, which is on disk when this returns. `proceed` is called with the share that is copied, from
    /// 0 to 1.
    ///
    /// # Errors
    /// When the new file is there already or cannot be written.
    pub fn copy_to(&self, path: &Path, mut proceed: impl FnMut(f64)) -> Result<(), StoreError> {
        let config = |error: std::io::Error| StoreError::config(path.display(), error);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(config)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(path, flags)?;
        // If the copy is interrupted, the new file is of no use anyway.
        copy.pragma_update(None, "journal_mode", "off")?;
        copy.pragma_update(None, "synchronous", "off")?;
        let backup = Backup::new(&self.connection, &mut copy)?;
        while backup.step(PAGES_AT_ONCE)? != StepResult::Done {
            let progress = backup.progress();
            proceed(1.0 - f64::from(progress.remaining) / f64::from(progress.pagecount.max(1)));
        }
        drop(backup);
        drop(copy);
        File::open(path).and_then(|file| file.sync_all()).map_err(config)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use accounting::block::{Block, BlockKey, TableSet};
    use accounting::period::{Interval, Minute, Period};
    use flow::{FlushNumber, WriterId};

    use super::*;
    use crate::{Blocks, Flush, Identity, Selection, Sqlite, Store};

    const WRITER: WriterId = WriterId(7);

    fn flush(sequence: u64) -> Arc<Flush> {
        let number = FlushNumber { epoch: 1, sequence };
        let key = BlockKey {
            interval: Interval { period: Period::Minute, start: Minute::new(23_188_621) },
            sender: "192.0.2.1".parse().unwrap(),
            prefix: "192.0.2.0/24".parse().unwrap(),
            writer: WRITER,
            origin: number.into(),
            part: 0,
            tables: TableSet::ALL,
        };
        let blocks = vec![Block { key, content: vec![1; 100_000].into() }];
        Arc::new(Flush { number, watermarks: accounting::watermarks::Watermarks::default(), blocks })
    }

    async fn put(store: &Sqlite, sequence: u64) {
        let newest = FlushNumber { epoch: 1, sequence };
        store.put_flush(WRITER, &flush(sequence), &[], &[Counted { writer: WRITER, newest }]).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_has_what_was_committed_when_it_began() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copied) = (folder.path().join("store"), folder.path().join("copy"));
        let identity = Identity::open(&path).unwrap();
        let store = Sqlite::open(&path).unwrap();
        put(&store, 1).await;
        put(&store, 2).await;
        let source = BackupSource::open(&path).unwrap();
        put(&store, 3).await;
        source.copy_to(&copied, |_| {}).unwrap();
        let newest = FlushNumber { epoch: 1, sequence: 2 };
        assert_eq!(source.counted().unwrap(), [Counted { writer: WRITER, newest }]);
        drop(source);
        let BlockKey { interval, sender, prefix, tables, .. } = flush(1).blocks[0].key;
        let selection = Selection { interval, sender, prefix, tables };
        let expected = [flush(1), flush(2)].map(|flush| flush.blocks[0].clone());
        assert_eq!(Sqlite::open(&copied).unwrap().read_blocks(&[selection]).await.unwrap(), expected);
        assert_eq!(Identity::open(&copied).unwrap().writer(), identity.writer());
    }

    #[tokio::test]
    async fn a_copy_that_is_damaged_or_empty_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copied) = (folder.path().join("store"), folder.path().join("copy"));
        let store = Sqlite::open(&path).unwrap();
        for sequence in 1..=20 {
            put(&store, sequence).await;
        }
        BackupSource::open(&path).unwrap().copy_to(&copied, |_| {}).unwrap();
        check(&copied).unwrap();
        let whole = std::fs::read(&copied).unwrap();
        // In the pages of a table.
        let mut damaged = whole.clone();
        damaged.iter_mut().skip(4096).step_by(512).for_each(|octet| *octet ^= 0x55);
        for content in [damaged, whole[..whole.len() - 4096 * 20].to_vec()] {
            std::fs::write(&copied, content).unwrap();
            assert!(matches!(check(&copied), Err(StoreError::Corrupt(_))));
        }
        std::fs::write(&copied, "").unwrap();
        assert!(matches!(check(&copied), Err(StoreError::Config(_))));
    }

    #[tokio::test]
    async fn a_write_in_the_middle_does_not_begin_the_copy_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Arc::new(Sqlite::open(&path).unwrap());
        // More pages than one step copies.
        for sequence in 1..=200 {
            put(&store, sequence).await;
        }
        let source = BackupSource::open(&path).unwrap();
        let (runtime, writing) = (tokio::runtime::Handle::current(), Arc::clone(&store));
        let (mut shares, mut sequence) = (Vec::new(), 200);
        let copy = folder.path().join("copy");
        tokio::task::spawn_blocking(move || {
            source.copy_to(&copy, |share| {
                shares.push(share);
                sequence += 1;
                runtime.block_on(put(&writing, sequence));
            })?;
            assert!(!shares.is_empty() && shares.is_sorted(), "{shares:?}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap()
        .unwrap();
    }
}
