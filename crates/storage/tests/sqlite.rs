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

    use accounting::block::{Block, BlockKey, Origin, TableSet, WriterId};
    use accounting::period::{Interval, Minute, Period};
    use accounting::watermarks::Watermarks;
    use flow::{FlushNumber, Prefix};
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
        assert_eq!(identity.next_epoch().unwrap(), 1);
        store.put_blocks(&[block(1)]).await.unwrap();
        assert_eq!(identity.next_epoch().unwrap(), 2);
    }

    #[tokio::test]
    async fn the_newest_durable_flush_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        let identity = Identity::open(&path).unwrap();
        let writer = identity.writer();
        assert_eq!(identity.durable().unwrap(), None);
        let of = |origin: Origin| {
            let mut block = block(1);
            (block.key.writer, block.key.origin) = (writer, origin);
            block
        };
        let flush = |sequence| Origin::Flush(FlushNumber { epoch: 1, sequence });
        // A put of several flushes, one that comes again, sums, and blocks of others.
        store.put_blocks(&[of(flush(3)), of(flush(4))]).await.unwrap();
        store.put_blocks(&[of(flush(2))]).await.unwrap();
        store.put_blocks(&[of(Origin::RolledUp), block(9)]).await.unwrap();
        assert_eq!(identity.durable().unwrap(), Some(FlushNumber { epoch: 1, sequence: 4 }));
        let number = FlushNumber { epoch: 2, sequence: 1 };
        let flush = Flush { number, watermarks: Watermarks::default(), blocks: vec![of(number.into())] };
        Spool::open(&path, writer, 1 << 20).unwrap().push(&flush, &[]).unwrap();
        assert_eq!(identity.durable().unwrap(), Some(number));
        // Flushes without blocks leave their numbers and nothing else.
        let flush = |sequence| Flush {
            number: FlushNumber { epoch: 2, sequence },
            watermarks: Watermarks::default(),
            blocks: vec![],
        };
        let mut spool = Spool::open(&path, writer, 1 << 20).unwrap();
        spool.push(&flush(2), &[]).unwrap();
        assert_eq!((identity.durable().unwrap(), spool.waiting()), (Some(flush(2).number), 1));
        store.put_flush(writer, &flush(3).into(), &[]).await.unwrap();
        drop(identity);
        assert_eq!(Identity::open(&path).unwrap().durable().unwrap(), Some(flush(3).number));
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
