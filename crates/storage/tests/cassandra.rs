//! The contract over Cassandra, and what only a cluster can do. The server is Cassandra 5.0 from its Maven artefacts,
//! started here.

#![cfg(feature = "cassandra")]
#![expect(clippy::expect_used, reason = "tests may panic")]

#[macro_use]
#[path = "contract/clauses.rs"]
mod clauses;
#[path = "contract/complete_flushes.rs"]
mod complete_flushes;
#[macro_use]
#[path = "contract/registrations.rs"]
mod registrations;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::field::Field;
use accounting::period::{Interval, Minute, Period};
use accounting::query::parse_interval;
use flow::{Counters, FlushNumber, Prefix};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use storage::cassandra::{Cassandra, CassandraSettings, SPARE};
use storage::registrations::{Part, senders};
use storage::roll_up::advance;
use storage::{
    Blocks, Registration, Registrations, Registry, Retention, Selection, Store, StoreError, Writers, totals,
};
use testing::Service;
use testing::wait::DEADLINE;
use tokio::sync::{Mutex, MutexGuard};

static SERVER: LazyLock<Service> =
    LazyLock::new(|| Service::start("cassandra", 1, &[("YAML", "auto_snapshot: false"), ("SYNC", "periodic")]));

/// Making tables takes longer than a test, so that one test after the other uses the same, empty ones.
static TURN: Mutex<()> = Mutex::const_new(());

fn settings(service: &Service) -> CassandraSettings {
    CassandraSettings { hosts: service.hosts.clone(), ..CassandraSettings::default() }
}

fn open(settings: CassandraSettings) -> Cassandra {
    Cassandra::open(settings).expect("good settings")
}

async fn session(service: &Service) -> Session {
    SessionBuilder::new().known_nodes(&service.hosts).build().await.expect("a session")
}

async fn empty() -> (Cassandra, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let store = open(settings(&SERVER));
    // Makes the tables.
    store.writers().await.expect("a server");
    let session = session(&SERVER).await;
    let blocks = Period::ALL.map(|period| format!("block_{}", period.name()));
    for table in blocks
        .iter()
        .map(String::as_str)
        .chain(["interval", "series", "sender", "remark", "writer", "flushed", "expired"])
    {
        let some =
            session.query_unpaged(format!("SELECT * FROM netflow.{table} LIMIT 1"), ()).await.expect("an answer");
        if some.into_rows_result().expect("rows").rows_num() > 0 {
            session.query_unpaged(format!("TRUNCATE netflow.{table}"), ()).await.expect("an empty table");
        }
    }
    (store, turn)
}

contract!(empty);
registrations_contract!(empty);

/// 2026-11-01 00:00 UTC.
const START: Minute = Minute::new(29_891_520);

fn block(sequence: u64) -> Block {
    let sender = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let prefix = Prefix::new(Ipv4Addr::new(172, 16, 0, 0).into(), 16).expect("a first address");
    let interval = Interval { period: Period::Minute, start: START };
    let (writer, tables) = (WriterId(9), TableSet::ALL);
    let origin = FlushNumber { epoch: 1, sequence }.into();
    let key = BlockKey { interval, sender, prefix, writer, origin, part: 0, tables };
    Block { key, content: vec![7; 1_000].into() }
}

async fn stored(store: &dyn Store) -> Result<Vec<u64>, StoreError> {
    let BlockKey { interval, sender, prefix, tables, .. } = block(0).key;
    let blocks = store.read_blocks(&[Selection { interval, sender, prefix, tables }]).await?;
    Ok(blocks.into_iter().map(|block| block.key.origin.numbers().1).collect())
}

/// Puts until it works, as a flusher does; fails after a minute.
async fn put_until_it_works(store: &dyn Store, sequence: u64) {
    let since = Instant::now();
    while let Err(error) = store.put_blocks(&[block(sequence)]).await {
        assert!(matches!(error, StoreError::Retry(_)), "{error:?}");
        assert!(since.elapsed() < DEADLINE, "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_newest_complete_flush_is_known() {
    let (store, _turn) = empty().await;
    complete_flushes::the_newest_complete_flush_of_a_running_writer_is_known(&store).await.unwrap();
}

#[tokio::test]
async fn rows_live_as_long_as_configured_and_spare_time() {
    let (_, _turn) = empty().await;
    let mut settings = settings(&SERVER);
    let keep = Duration::from_secs(5 * 365 * 24 * 3600);
    settings.keep[Period::Minute] = Some(keep);
    // No more than an hour ago has ended when this runs.
    settings.keep[Period::Hour] = Some(Duration::from_secs(1));
    let store = open(settings);
    let mut hour = block(1);
    hour.key.interval = Interval { period: Period::Hour, start: Minute::new(60) };
    let mut day = block(1);
    day.key.interval.period = Period::Day;
    store.put_blocks(&[block(1), hour, day]).await.unwrap();
    let session = session(&SERVER).await;
    let life = async |period: &str| {
        let select = format!("SELECT TTL(content) FROM netflow.block_{period}");
        let rows = session.query_unpaged(select, ()).await.expect("an answer").into_rows_result().expect("rows");
        let (life,) = rows.first_row::<(Option<i32>,)>().expect("a row");
        life.map(|seconds| u64::try_from(seconds).expect("a life time"))
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let due = Duration::from_secs(START.saturating_add(1).timestamp().seconds()) + keep + SPARE - now;
    let minute = life("minute").await.expect("an end");
    assert!(minute.abs_diff(due.as_secs()) < 60, "{minute} instead of {due:?}");
    let hour = life("hour").await.expect("an end");
    assert!((86_000..=86_400).contains(&hour), "a block that comes late lives for a day: {hour}");
    assert_eq!(life("day").await, None, "days are kept forever");
}

#[tokio::test]
async fn what_was_written_under_a_shorter_retention_expires_under_a_longer_one() {
    let (_, _turn) = empty().await;
    let day = 24 * 60;
    let keeping = |days: u32| {
        let mut settings = settings(&SERVER);
        settings.keep[Period::Hour] = Some(Duration::from_secs(u64::from(days * day) * 60));
        open(settings)
    };
    let hours = Retention { period: Period::Hour, before: Minute::EPOCH };
    let now = || Minute::of(std::time::SystemTime::now().into());
    let expired = async |store: &Cassandra| store.expired().await.unwrap()[Period::Hour];
    let begun = now();
    for days in [2, 90] {
        let store = keeping(days);
        assert_eq!(store.expire(WriterId(9), hours).await.unwrap(), 0);
        let before = begun.saturating_sub(2 * day);
        assert!((before..=now().saturating_sub(2 * day)).contains(&expired(&store).await), "{days}");
    }
    // What is written from now on is kept for 90 days: these two are of a program that ran until yesterday, and of one from
    // 80 to 60 days ago.
    let store = keeping(90);
    let session = session(&SERVER).await;
    session.query_unpaged("TRUNCATE netflow.expired", ()).await.expect("an empty table");
    let ago = |days: u32| begun.saturating_sub(days * day);
    for (minutes_kept, until, expected) in [(30 * day, ago(60), ago(60)), (10 * day, ago(1), ago(10))] {
        let until = i64::from(until.number());
        let insert = format!(
            "INSERT INTO netflow.expired (one, period, minutes_kept, written_until) VALUES (0, 1, {minutes_kept}, {until})"
        );
        session.query_unpaged(insert, ()).await.expect("a row");
        assert!(expired(&store).await.abs_diff(expected) < 60, "{minutes_kept}");
    }
}

#[tokio::test]
async fn a_block_whose_list_was_lost_in_a_failover_is_missing_until_it_is_put_again() {
    let (store, _turn) = empty().await;
    let (key, other) = (block(1).key, block(2).key);
    store.put_blocks(&[block(1), block(2)]).await.unwrap();
    let session = session(&SERVER).await;
    for list in ["series", "interval"] {
        assert_eq!(store.missing(&[key, other]).await.unwrap(), []);
        session.query_unpaged(format!("TRUNCATE netflow.{list}"), ()).await.expect("an empty table");
        assert_eq!(store.missing(&[key, other]).await.unwrap(), [key, other], "without {list}");
        store.put_blocks(&[block(1), block(2)]).await.unwrap();
        assert_eq!(store.first_interval(key.writer, Period::Minute, Minute::EPOCH).await.unwrap(), Some(key.interval));
        assert_eq!(store.groups(key.writer, key.interval).await.unwrap(), [(key.sender, key.prefix)]);
    }
}

/// Set for the process whose clock is ahead: where the server is.
const AHEAD: &str = "NETFLOW_TEST_CLOCK_AHEAD";

#[tokio::test]
async fn a_sender_added_again_stays_whatever_the_clock_of_the_collector_that_removed_it() {
    let BlockKey { sender, prefix, .. } = block(1).key;
    if let Ok(host) = std::env::var(AHEAD) {
        let store = open(CassandraSettings { hosts: vec![host], ..CassandraSettings::default() });
        assert!(store.remove_prefixes(sender, &[prefix]).await.unwrap());
        assert!(store.remove_sender(sender).await.unwrap());
        return;
    }
    let (store, _turn) = empty().await;
    store.add_prefixes(sender, &[prefix]).await.unwrap();
    let mut ahead = Command::new("faketime");
    ahead.args(["-f", "+1h"]).arg(std::env::current_exe().expect("this program"));
    ahead.arg("a_sender_added_again_stays_whatever_the_clock_of_the_collector_that_removed_it").arg("--exact");
    ahead.env(AHEAD, &SERVER.hosts[0]).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let removed = tokio::task::spawn_blocking(move || ahead.output()).await.expect("a thread").expect("faketime");
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stdout));
    assert_eq!(store.sender(sender).await.unwrap(), None);
    store.add_prefixes(sender, &[prefix]).await.unwrap();
    let registered = store.sender(sender).await.unwrap().expect("the sender that was added again");
    assert_eq!(registered.prefixes, [prefix]);
}

#[tokio::test]
async fn what_a_program_without_numbers_registers_or_removes_is_right() {
    let (store, _turn) = empty().await;
    let session = session(&SERVER).await;
    let run = async |statement: &str| {
        session.query_unpaged(statement, ()).await.expect("an answer");
    };
    let BlockKey { sender, prefix, .. } = block(1).key;
    let entries = [(sender, None), (sender, Some(Part::Prefix(prefix)))];
    run("UPDATE netflow.sender SET registered = true, prefixes = prefixes + {'172.16.0.0/16'} \
         WHERE one = 0 AND address = '192.0.2.1' IF registered != false")
    .await;
    let found: Registrations = entries.map(|entry| (entry, Registration { is_registered: true, number: 1 })).into();
    for _ in 0..2 {
        assert_eq!(store.registrations().await.unwrap(), found);
    }
    // A collector that was down meanwhile does not undo it.
    run("DELETE FROM netflow.sender WHERE one = 0 AND address = '192.0.2.1' IF registered = true").await;
    store.put_registrations(&found).await.unwrap();
    assert_eq!(store.senders().await.unwrap(), []);
    store.add_prefixes(sender, &[prefix]).await.unwrap();
    assert_eq!(store.sender(sender).await.unwrap().expect("it was registered again").prefixes, [prefix]);
    // What such a program lists beside a sender are no senders.
    assert!(store.remove_sender(sender).await.unwrap());
    let rows = session.query_unpaged("SELECT address, registered FROM netflow.sender", ()).await.expect("an answer");
    let rows = rows.into_rows_result().expect("rows");
    let rows: Vec<(String, Option<bool>)> = rows.rows().expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(rows, [("192.0.2.1 changes".to_owned(), None)]);
}

#[tokio::test]
async fn many_senders_that_were_lost_are_put_again() {
    let (store, _turn) = empty().await;
    let registered = Registration { is_registered: true, number: 7 };
    let senders = (0..400_u32).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)));
    let lost: Registrations = senders.map(|sender| ((sender, None), registered)).collect();
    store.put_registrations(&lost).await.unwrap();
    assert_eq!(store.registrations().await.unwrap(), lost);
}

#[tokio::test]
async fn a_password_is_given_and_a_wrong_one_is_the_operators_affair() {
    let server = Service::start("cassandra", 1, &[("AUTH", "password")]);
    let with = |password: &str| {
        let login = (Some("cassandra".to_owned()), Some(password.to_owned()));
        open(CassandraSettings { username: login.0, password: login.1, ..settings(&server) })
    };
    let error = stored(&with("wrong")).await.unwrap_err();
    assert!(matches!(error, StoreError::Config(_)), "{error:?}");
    let store = with("cassandra");
    store.put_blocks(&[block(1)]).await.unwrap();
    // What was acknowledged survives a kill, and the session finds the server again.
    server.run(&["kill", "1"]);
    assert!(matches!(store.put_blocks(&[block(2)]).await, Err(StoreError::Retry(_))));
    server.run(&["start"]);
    put_until_it_works(&store, 2).await;
    assert_eq!(stored(&store).await.unwrap(), [1, 2]);
    server.run(&["clean"]);
}

#[tokio::test]
async fn a_ring_is_exact_after_one_of_two_nodes_was_killed() {
    let ring = Service::start("cassandra", 2, &[("NODES", "2")]);
    let keyspace_config = "WITH REPLICATION = {'class': 'SimpleStrategy', 'replication_factor': 2}".to_owned();
    let store = open(CassandraSettings { keyspace_config, ..settings(&ring) });
    store.put_blocks(&[block(1)]).await.unwrap();
    ring.run(&["kill", "2"]);
    // Two of two are a quorum: neither can be done, and the first may or may not have been done by one node.
    assert!(matches!(store.put_blocks(&[block(2)]).await, Err(StoreError::Retry(_))));
    assert!(matches!(stored(&store).await, Err(StoreError::Retry(_))));
    ring.run(&["start"]);
    put_until_it_works(&store, 2).await;
    assert_eq!(stored(&store).await.unwrap(), [1, 2]);
    ring.run(&["clean"]);
}

/// `tests/fixtures/cassandra-before-0.1/README.md`.
const BEFORE_0_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cassandra-before-0.1");

/// Direction, name, `[bytes, pkts, flows]`.
type Names = BTreeMap<String, BTreeMap<String, [u64; 3]>>;
/// By sender and prefix.
type Senders = BTreeMap<String, BTreeMap<String, Names>>;

async fn counted_in_2026(store: &dyn Store, sender: &str, prefix: &str) -> Names {
    let year = parse_interval(Period::Year, "2026").expect("a year");
    let (sender, prefix) = (sender.parse().expect("an address"), prefix.parse().expect("a prefix"));
    let tables = totals(store, sender, prefix, year, TableSet::COUNTED).await.expect("an answer").tables;
    let mut names = Names::new();
    for (direction, name, Counters { bytes, packets, flows }) in
        Field::ALL.iter().flat_map(|field| tables.rows_of(*field))
    {
        names.entry(direction.name().to_owned()).or_default().insert(name.to_string(), [bytes, packets, flows]);
    }
    names
}

#[tokio::test]
async fn rows_from_before_0_1_are_counted_to_the_byte() {
    let settings = CassandraSettings { keyspace: "before".to_owned(), ..settings(&SERVER) };
    // Makes the tables; programs before 0.1 knew all but one of them.
    open(settings.clone()).writers().await.expect("a server");
    let session = session(&SERVER).await;
    session.query_unpaged("DROP TABLE before.flushed", ()).await.expect("a table less");
    session.query_unpaged("ALTER TABLE before.sender DROP changes", ()).await.expect("a column less");
    let rows = std::fs::read_to_string(Path::new(BEFORE_0_1).join("rows.txt")).expect("a fixture");
    for (table, row) in rows.lines().filter_map(|line| line.split_once(' ')) {
        let insert = format!("INSERT INTO before.{table} JSON '{row}'");
        session.query_unpaged(insert, ()).await.unwrap_or_else(|error| panic!("{table} {row}: {error}"));
    }
    let store = open(settings);
    let expected = std::fs::read(Path::new(BEFORE_0_1).join("expected.json")).expect("a fixture");
    let expected: Senders = serde_json::from_slice(&expected).expect("JSON");
    let counted = async || {
        for (sender, prefixes) in &expected {
            for (prefix, names) in prefixes {
                assert_eq!(counted_in_2026(&store, sender, prefix).await, *names, "{sender} {prefix}");
            }
        }
    };
    counted().await;
    let registered = store.senders().await.expect("an answer");
    assert_eq!(senders(&store.registrations().await.expect("an answer")).len(), registered.len());
    // What a collector that replaces the old one does next: it takes over the writer's state, and rolls up further.
    let [before] = store.writers().await.expect("an answer").try_into().expect("one writer");
    let new_year = parse_interval(Period::Year, "2027").expect("a year").start;
    let after = advance(&store, before, new_year).await.expect("rolled up");
    assert_ne!(after.watermarks, before.watermarks);
    counted().await;
}

#[cfg(feature = "cassandra-tls")]
#[tokio::test]
async fn an_encrypted_connection_checks_the_certificates_of_the_nodes() {
    let server = Service::start("cassandra", 1, &[("TLS", "yes")]);
    let authority = Some(server.folder.join("tls/ca.pem"));
    let store = open(CassandraSettings { tls: true, authority, ..settings(&server) });
    store.put_blocks(&[block(1)]).await.unwrap();
    assert_eq!(stored(&store).await.unwrap(), [1]);
    // The certificate of the server is no authority.
    let authority = Some(server.folder.join("tls/server.pem"));
    assert!(stored(&open(CassandraSettings { tls: true, authority, ..settings(&server) })).await.is_err());
    server.run(&["clean"]);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let refused = |settings| match Cassandra::open(settings) {
        Err(error @ StoreError::Config(_)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let none = CassandraSettings { hosts: Vec::new(), ..CassandraSettings::default() };
    assert_eq!(refused(none), "cassandra.hosts names no host");
    for name in ["", "1netflow", "net-flow", "a b", "x; DROP KEYSPACE y", "äther", &"n".repeat(49)] {
        let settings = CassandraSettings { keyspace: name.to_owned(), ..CassandraSettings::default() };
        assert!(refused(settings).starts_with(&format!("'{name}' is no name for cassandra.keyspace")));
    }
}
