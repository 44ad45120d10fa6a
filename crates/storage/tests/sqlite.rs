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
