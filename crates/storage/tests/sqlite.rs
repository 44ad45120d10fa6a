//! The contract over the embedded store, and what only a file can do.

#![expect(clippy::expect_used, reason = "a store that cannot be made is a failure")]

#[macro_use]
#[path = "contract/clauses.rs"]
mod clauses;

use storage::Sqlite;
use tempfile::TempDir;

async fn empty() -> (Sqlite, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the store");
    (Sqlite::open(&folder.path().join("store")).expect("a new store"), folder)
}

contract!(empty);

mod clauses_of_files {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use accounting::block::{Block, BlockKey, TableSet};
    use accounting::period::{Interval, Minute, Period};
    use accounting::watermarks::Watermarks;
    use flow::{Counted, FlushNumber, Prefix, Timestamp, WriterId};
    use storage::spool::Spool;
    use storage::{Blocks, Flush, Identity, Selection, Sqlite, Store, Writers};

    fn block(sequence: u64) -> Block {
        let sender = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let prefix = Prefix::new(Ipv4Addr::new(172, 16, 0, 0).into(), 16).expect("a first address");
        let interval = Interval { period: Period::Minute, start: Minute::new(29_538_719) };
        let (writer, tables) = (WriterId(9), TableSet::ALL);
        let origin = FlushNumber { epoch: 1, sequence }.into();
        let key = BlockKey { interval, sender, prefix, writer, origin, part: 0, tables };
        Block { key, content: vec![7; 10_000].into() }
    }

    fn around(block: &Block) -> Selection {
        let BlockKey { interval, sender, prefix, tables, .. } = block.key;
        Selection { interval, sender, prefix, tables }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        store.put_blocks(&[block(1)]).await.unwrap();
        // Not closed: the copy is what a crash would leave, because the file is what was synced.
        let copy = folder.path().join("copy");
        for suffix in ["", "-wal"] {
            std::fs::copy(folder.path().join(format!("store{suffix}")), folder.path().join(format!("copy{suffix}")))
                .unwrap();
        }
        let copied = Sqlite::open(&copy).unwrap();
        assert_eq!(copied.read_blocks(&[around(&block(1))]).await.unwrap(), [block(1)]);
        drop(store);
        let again = Sqlite::open(&path).unwrap();
        assert_eq!(again.read_blocks(&[around(&block(1))]).await.unwrap(), [block(1)]);
    }

    #[tokio::test]
    async fn the_identity_lives_in_the_file_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        let mut identity = Identity::open(&path).unwrap();
        assert_eq!(identity.next_epoch(0, Timestamp::EPOCH).unwrap(), 1);
        store.put_blocks(&[block(1)]).await.unwrap();
        assert_eq!(identity.next_epoch(0, Timestamp::EPOCH).unwrap(), 2);
    }

    #[tokio::test]
    async fn the_file_records_which_flushes_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        let identity = Identity::open(&path).unwrap();
        let writer = identity.writer();
        let flush = |epoch, sequence, blocks| {
            Arc::new(Flush { number: FlushNumber { epoch, sequence }, watermarks: Watermarks::default(), blocks })
        };
        let of = |flush: &Flush| Counted { writer, newest: flush.number };
        let (first, second) = (flush(2, 4, vec![block(4)]), flush(2, 5, vec![]));
        // Only what a flush names is counted, whatever blocks are put.
        store.put_blocks(&first.blocks).await.unwrap();
        assert_eq!(identity.counted().unwrap(), []);
        store.put_flush(writer, &first, &[], &[of(&first)]).await.unwrap();
        assert_eq!(identity.counted().unwrap(), [of(&first)]);
        // A flush without blocks is counted too, and one that comes again takes nothing back.
        store.put_flush(writer, &second, &[], &[of(&second)]).await.unwrap();
        store.put_flush(writer, &first, &[], &[of(&first)]).await.unwrap();
        assert_eq!(identity.counted().unwrap(), [of(&second)]);
        // The spool does the same; a flush after a start counts what other runs have left.
        let third = flush(3, 1, vec![block(1)]);
        let other = Counted { writer: WriterId(1), newest: FlushNumber { epoch: 9, sequence: 7 } };
        Spool::open(&path, writer, 1 << 20).unwrap().push(&third, &[], &[of(&third), other]).unwrap();
        drop(identity);
        let mut expected = vec![other, of(&second), of(&third)];
        expected.sort_unstable();
        let mut counted = Identity::open(&path).unwrap().counted().unwrap();
        counted.sort_unstable();
        assert_eq!(counted, expected);
    }

    #[tokio::test]
    async fn reads_do_not_wait_for_a_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        store.put_blocks(&[block(1)]).await.unwrap();
        let mut other = rusqlite::Connection::open(&path).unwrap();
        let writing = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        writing.execute("DELETE FROM block", []).unwrap();
        assert_eq!(store.read_blocks(&[around(&block(1))]).await.unwrap(), [block(1)]);
        writing.rollback().unwrap();
    }

    #[tokio::test]
    async fn many_reads_at_once_share_few_connections() {
        let folder = tempfile::tempdir().unwrap();
        let store = std::sync::Arc::new(Sqlite::open(&folder.path().join("store")).unwrap());
        store.put_blocks(&[block(1)]).await.unwrap();
        let reads: Vec<_> = (0..100)
            .map(|_| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move { store.read_blocks(&[around(&block(1))]).await })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.unwrap().unwrap(), [block(1)]);
        }
    }

    #[tokio::test]
    async fn an_expiry_of_many_blocks_takes_them_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("store")).unwrap();
        let many: Vec<Block> =
            (0..25_000).map(|sequence| Block { content: vec![1].into(), ..block(sequence) }).collect();
        store.put_blocks(&many).await.unwrap();
        let mut state = storage::WriterState::new(WriterId(9), 1, flow::Timestamp::EPOCH);
        state.watermarks = Watermarks::new([Minute::MAX; 4]);
        store.put_writer(&state).await.unwrap();
        let retention = storage::Retention { period: Period::Minute, before: Minute::new(29_538_720) };
        assert_eq!(store.expire(WriterId(9), retention).await.unwrap(), 25_000);
        assert_eq!(store.read_blocks(&[around(&block(1))]).await.unwrap(), []);
    }

    fn count(path: &std::path::Path, of: &str) -> i64 {
        let connection = rusqlite::Connection::open(path).expect("a file");
        connection.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).expect("a number")
    }

    #[tokio::test]
    async fn large_contents_go_with_their_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        let hour = |content: Vec<u8>| {
            let minute = block(1);
            let interval = Interval::containing(Period::Hour, minute.key.interval.start);
            Block { key: BlockKey { interval, ..minute.key }, content: content.into() }
        };
        let small_again = Block { content: vec![1].into(), ..block(1) };
        store.put_blocks(&[block(1), block(2), block(3), hour(vec![1; 5000])]).await.unwrap();
        assert_eq!(count(&path, "large_content"), 4);
        // As a roll-up that is repeated does; also by a content that is not large.
        for (replaced, left) in [(hour(vec![2; 6000]), 4), (hour(vec![3]), 3), (block(2), 3), (small_again.clone(), 2)]
        {
            store.put_blocks(std::slice::from_ref(&replaced)).await.unwrap();
            assert!(store.read_blocks(&[around(&replaced)]).await.unwrap().contains(&replaced));
            assert_eq!(count(&path, "large_content"), left);
        }
        store.delete_blocks(&[block(2).key]).await.unwrap();
        assert_eq!(store.read_blocks(&[around(&block(1))]).await.unwrap(), [small_again, block(3)]);
        assert_eq!(count(&path, "large_content"), 1);
        store.forget_writer(WriterId(9)).await.unwrap();
        for table in ["block", "minute_block", "flushed_minute", "large_content"] {
            assert_eq!(count(&path, table), 0, "{table}");
        }
    }

    #[tokio::test]
    async fn a_minute_that_an_older_program_began_is_continued_without_counting_a_block_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        let (older, minute) = (block(1), block(1).key.interval);
        let next = |sequence| {
            let block = block(sequence);
            Block { key: BlockKey { interval: minute.next(), ..block.key }, ..block }
        };
        store.put_writer(&storage::WriterState::new(WriterId(9), 1, Timestamp::EPOCH)).await.unwrap();
        // For the numbers of the writer and of the series.
        store.put_blocks(&[next(1)]).await.unwrap();
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute(
                "INSERT INTO block (period, writer, start, series, epoch, sequence, part, tables, content)
                 SELECT 0, writer.id, ?1, series.id, 1, 1, 0, -1, ?2 FROM writer, series",
                (minute.start.number(), &*older.content),
            )
            .unwrap();
        assert_eq!(store.read_blocks(&[around(&older)]).await.unwrap(), std::slice::from_ref(&older));
        let later = block(2);
        store.put_blocks(&[older.clone(), later.clone(), next(2)]).await.unwrap();
        assert_eq!(store.read_blocks(&[around(&older)]).await.unwrap(), [older.clone(), later.clone()]);
        assert_eq!(store.read_blocks(&[around(&next(1))]).await.unwrap(), [next(1), next(2)]);
        assert_eq!((count(&path, "block"), count(&path, "minute_block")), (2, 2));
        let found = store.intervals(WriterId(9), Period::Minute, Minute::new(0), Minute::MAX).await.unwrap();
        assert_eq!(found, [minute, minute.next()]);
        assert_eq!(
            store.first_interval(WriterId(9), Period::Minute, minute.next().start).await.unwrap(),
            Some(minute.next())
        );
        assert_eq!(store.groups(WriterId(9), minute).await.unwrap().len(), 1);
        store.delete_blocks(&[older.key, next(1).key, next(2).key]).await.unwrap();
        assert_eq!(store.read_blocks(&[around(&older), around(&next(1))]).await.unwrap(), [later]);
        let found = store.intervals(WriterId(9), Period::Minute, Minute::new(0), Minute::MAX).await.unwrap();
        assert_eq!(found, [minute]);
    }

    #[tokio::test]
    async fn a_file_of_the_first_layout_is_read_and_its_blocks_are_not_counted_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let first_layout = include_str!("../../cli/tests/end_to_end/state_version_1.sql");
        rusqlite::Connection::open(&path).unwrap().execute_batch(first_layout).unwrap();
        let store = Sqlite::open(&path).unwrap();
        let interval = Interval { period: Period::Minute, start: Minute::new(29_927_068) };
        let (sender, prefix) = (IpAddr::from([127, 0, 0, 1]), "192.0.2.0/24".parse().unwrap());
        let selections = [Selection { interval, sender, prefix, tables: TableSet::ALL }];
        let found = store.read_blocks(&selections).await.unwrap();
        assert_eq!(found.len(), 1);
        store.put_blocks(&found).await.unwrap();
        assert_eq!(store.read_blocks(&selections).await.unwrap(), found);
    }

    #[tokio::test]
    async fn the_view_for_people_shows_times_and_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        Sqlite::open(&path).unwrap().put_blocks(&[block(3)]).await.unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT concat_ws('|', period, start, sender, prefix, writer, epoch, sequence, part, tables, bytes) FROM blocks";
        let row: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(
            row,
            "minute|2026-02-28 23:59:00|192.0.2.1|172.16.0.0/16|0000000000000009|1|3|0|ffffffffffffffff|10000"
        );
    }
}
