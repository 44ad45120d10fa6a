//! Blocks and names written per second, octets per name, and the time that queries take, for each kind of store.
//!
//! `cargo bench -p storage` measures SQLite, a table with one row for each name beside it, Redis and Cassandra (real
//! servers, started here); `--no-default-features` leaves out the servers, `-- sqlite` the others. Flushes are made
//! like those of a collector: each is put as one, durable when the call returns. Times are the best of three runs, those of `/top`
//! of five.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot continue has failed")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use accounting::block::{Block, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, FieldSet, Name, Value};
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range as Time;
use flow::{Counters, FlushNumber, Prefix, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use storage::roll_up::advance;
use storage::{Answers, Question, Sqlite, Store, WriterState};

/// 2026-11-02 00:00 UTC.
const BEGIN: Minute = Minute::new(29_892_960);
const DAY: u32 = 24 * 60;
const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const WRITER: WriterId = WriterId(1);

/// The number of busy prefixes, the flows of each in a minute, and the number of minutes.
const BUSY: u32 = 10;
const BUSY_FLOWS: u32 = 4_000;
const MINUTES: u32 = 60;
/// The number of quiet prefixes, the flows of each in a flush, and how many flushes of theirs there are: six a minute.
const QUIET: u32 = 10_000;
const QUIET_FLOWS: u32 = 4;
const QUIET_FLUSHES: u32 = 18;
const FLUSHES_A_MINUTE: u32 = 6;
/// The prefix with flows in all minutes of the day, and at noon of each day of the year before it; how many flows.
const STEADY: u32 = 20_000;
const STEADY_FLOWS: u32 = 1_000;
const DAYS_BEFORE: u32 = 305;
/// A busy prefix.
const ASKED: u32 = 3;

fn prefix(number: u32) -> Prefix {
    Prefix::new(Ipv4Addr::from(0x0a00_0000 + (number << 8)).into(), 24).expect("a first address")
}

/// A flush's tables of one prefix with flows of different addresses; deterministic, unlike those of the next seed.
fn tables(flows: u32, seed: u32) -> Tables {
    let mut tables = Tables::new();
    for number in 0..flows {
        let mixed = (number + seed.wrapping_mul(7_919)).wrapping_mul(2_654_435_761);
        let counters = Counters { bytes: u64::from(mixed % 1_000_000), packets: u64::from(mixed % 900 + 1), flows: 1 };
        let direction = if mixed.is_multiple_of(2) { Direction::In } else { Direction::Out };
        for field in FieldSet::DEFAULT.iter() {
            let value = match field {
                Field::All => Value::Number(0),
                Field::Protocol => Value::Number(if mixed.is_multiple_of(5) { 17 } else { 6 }),
                Field::SourceAddress | Field::DestinationAddress => Value::Address(Ipv4Addr::from(mixed).into()),
                Field::SourcePort => Value::Number(mixed % 60_000),
                Field::DestinationPort => Value::Number([443, 80, 53, 22][(mixed % 4) as usize]),
                _ => Value::Number(mixed % 2_000),
            };
            tables.add(direction, Name { field, value }, counters);
        }
    }
    tables
}

/// One flush and how many names it holds.
struct Flush {
    blocks: Vec<Block>,
    names: usize,
}

/// The names of a prefix repeat after sixty flushes.
fn flush(prefixes: Range<u32>, flows: u32, start: Minute, sequence: u64) -> Flush {
    let interval = Interval { period: Period::Minute, start };
    let mut flush = Flush { blocks: Vec::new(), names: 0 };
    for number in prefixes {
        let tables = tables(flows, number * 100_000 + u32::try_from(sequence % 60).expect("a remainder"));
        flush.names += tables.len();
        flush.blocks.extend(tables.blocks(
            interval,
            SENDER,
            prefix(number),
            WRITER,
            FlushNumber { epoch: 1, sequence }.into(),
        ));
    }
    flush
}

/// All flushes.
struct Flushes {
    busy: Vec<Flush>,
    quiet: Vec<Flush>,
    day: Vec<Flush>,
    year: Vec<Flush>,
}

impl Flushes {
    fn make() -> Self {
        let steady = |start, sequence| flush(STEADY..STEADY + 1, STEADY_FLOWS, start, sequence);
        let noons = (1..=DAYS_BEFORE).rev().map(|days| BEGIN.saturating_sub(days * DAY - DAY / 2));
        Self {
            busy: minutes(MINUTES)
                .zip(1..)
                .map(|(start, sequence)| flush(0..BUSY, BUSY_FLOWS, start, sequence))
                .collect(),
            quiet: (0..QUIET_FLUSHES)
                .zip(1_001..)
                .map(|(number, sequence)| {
                    flush(0..QUIET, QUIET_FLOWS, BEGIN.saturating_add(number / FLUSHES_A_MINUTE), sequence)
                })
                .collect(),
            day: minutes(DAY).zip(2_001..).map(|(start, sequence)| steady(start, sequence)).collect(),
            year: noons.zip(4_001..).map(|(start, sequence)| steady(start, sequence)).collect(),
        }
    }
}

fn minutes(count: u32) -> impl Iterator<Item = Minute> {
    (0..count).map(|minute| BEGIN.saturating_add(minute))
}

/// The processor time that this process has taken.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("a time since the start")
}

/// Puts flushes in sequence; prints blocks and names for each second, and the processor time of a flush.
async fn put(store: &dyn Store, what: &str, flushes: &[Flush]) {
    let (since, processor) = (Instant::now(), processor_time());
    let mut slowest = Duration::ZERO;
    for flush in flushes {
        let since = Instant::now();
        store.put_blocks(&flush.blocks).await.expect("a put");
        slowest = slowest.max(since.elapsed());
    }
    let took = since.elapsed().as_secs_f64();
    let processor = (processor_time() - processor).as_secs_f64() / flushes.len() as f64;
    let blocks: usize = flushes.iter().map(|flush| flush.blocks.len()).sum();
    let names: usize = flushes.iter().map(|flush| flush.names).sum();
    let octets: usize = flushes.iter().flat_map(|flush| &flush.blocks).map(|block| block.content.len()).sum();
    println!(
        "  {what}: {blocks} blocks, {names} names, {:.1} octets a name; {:.0} blocks/s, {:.0} names/s, \
         processor time of a flush {:.1} ms, slowest flush {:.0} ms",
        octets as f64 / names as f64,
        blocks as f64 / took,
        names as f64 / took,
        processor * 1e3,
        slowest.as_secs_f64() * 1e3
    );
}

/// Queries consecutive intervals for their largest names overall; prints the best time.
async fn ask(store: &dyn Store, what: &str, number: u32, period: Period, count: u32, tables: TableSet) {
    let intervals = std::iter::successors(Some(Interval::containing(period, BEGIN)), |last| Some(last.next()));
    let question =
        |interval: Interval| Question { range: interval.into(), sender: SENDER, prefix: prefix(number), tables };
    let questions: Vec<Question> = intervals.take(count as usize).map(question).collect();
    let mut best = Duration::MAX;
    let mut names = 0;
    for _ in 0..3 {
        let since = Instant::now();
        let answers = Answers::to(questions.clone()).all(store).await.expect("answers");
        let mut sums: BTreeMap<Name, u64> = BTreeMap::new();
        for (_, name, counters) in answers.iter().flat_map(|answer| answer.tables.rows()) {
            *sums.entry(name).or_default() += counters.bytes;
        }
        let mut largest: Vec<u64> = sums.into_values().collect();
        largest.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
        names = largest.len();
        best = best.min(since.elapsed());
    }
    assert!(names > 0, "{what}: nothing was found");
    println!("  {what}: {:.2} ms ({names} names)", best.as_secs_f64() * 1e3);
}

/// Asks as `/top` does: sums the destinations of one direction over consecutive ranges, and sorts them; prints the best time.
async fn top(store: &dyn Store, what: &str, ranges: &[Time]) {
    let tables = TableSet::of(Direction::In, Field::DestinationAddress).union(TableSet::of_field(Field::All));
    let question = |range: &Time| Question { range: *range, sender: SENDER, prefix: prefix(STEADY), tables };
    let questions: Vec<Question> = ranges.iter().map(question).collect();
    let mut best = Duration::MAX;
    let mut names = 0;
    for _ in 0..5 {
        let since = Instant::now();
        let mut answers = Answers::to_sums(questions.clone(), questions.len());
        let totals = answers.all(store).await.expect("answers").pop().expect("a sum");
        let mut rows: Vec<(Name, Counters)> =
            totals.tables.rows_of(Field::DestinationAddress).map(|(_, name, counters)| (name, counters)).collect();
        rows.sort_by_key(|(_, counters)| std::cmp::Reverse(counters.bytes));
        names = rows.len();
        best = best.min(since.elapsed());
    }
    assert!(names > 0, "{what}: nothing was found");
    println!("  /top destinations of {what}: {:.2} ms ({names} names)", best.as_secs_f64() * 1e3);
}

async fn measure(store: &dyn Store, kind: &str, flushes: &Flushes) {
    const DESTINATIONS: TableSet = TableSet::of_field(Field::DestinationAddress);
    const PORTS: TableSet = TableSet::of_field(Field::DestinationPort);
    println!("{kind}");
    let state = WriterState::new(WRITER, 1, Timestamp::EPOCH);
    store.put_writer(&state).await.expect("a writer");
    put(store, "a minute of each day before", &flushes.year).await;
    let state = roll_up(store, "305 days of one prefix", state, BEGIN).await;
    let days = (1..=DAYS_BEFORE).rev().map(|days| Interval::containing(Period::Day, BEGIN.saturating_sub(days * DAY)));
    top(store, "a year of days", &days.map(Time::from).collect::<Vec<_>>()).await;
    top(store, "the open year", &[Interval::containing(Period::Year, BEGIN).into()]).await;
    put(store, "quiet prefixes", &flushes.quiet).await;
    put(store, "busy prefixes", &flushes.busy).await;
    put(store, "24 hours of one prefix", &flushes.day).await;
    ask(store, "one name of one minute", ASKED, Period::Minute, 1, TableSet::of_field(Field::All)).await;
    ask(store, "the destinations of one minute", ASKED, Period::Minute, 1, DESTINATIONS).await;
    ask(store, "top destinations over an hour of minutes, busy", ASKED, Period::Minute, 60, DESTINATIONS).await;
    ask(store, "top destinations over 24 hours of minutes", STEADY, Period::Minute, DAY, DESTINATIONS).await;
    top(store, "a day of minutes", &[Interval::containing(Period::Day, BEGIN).into()]).await;
    ask(store, "all names of a day, in minutes", STEADY, Period::Day, 1, TableSet::ALL).await;
    let state = roll_up(store, "an hour of all prefixes", state, BEGIN.saturating_add(60)).await;
    ask(store, "all names of a rolled-up hour, busy", ASKED, Period::Hour, 1, TableSet::ALL).await;
    roll_up(store, "22 hours of one prefix", state, BEGIN.saturating_add(DAY - 60)).await;
    ask(store, "all names of a day, the last hour in minutes", STEADY, Period::Day, 1, TableSet::ALL).await;
    ask(store, "ports of the open year", STEADY, Period::Year, 1, PORTS).await;
    ask(store, "destinations of the open year", STEADY, Period::Year, 1, DESTINATIONS).await;
}

async fn roll_up(store: &dyn Store, what: &str, state: WriterState, until: Minute) -> WriterState {
    let since = Instant::now();
    let state = advance(store, state, until).await.expect("a roll-up");
    println!("  rolling up {what}: {:.0} ms", since.elapsed().as_secs_f64() * 1e3);
    assert_eq!(state.watermarks.get(Period::Minute), Some(until));
    state
}

async fn measure_sqlite(flushes: &Flushes) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let store = Sqlite::open(&path).expect("a store");
    measure(&store, "SQLite", flushes).await;
    println!("  size: {:.1} MiB", mebibytes(&path));
    let path = folder.path().join("blocks");
    let store = Sqlite::open(&path).expect("a store");
    println!("SQLite, only what the rows below hold");
    put(&store, "busy prefixes", &flushes.busy).await;
    put(&store, "24 hours of one prefix", &flushes.day).await;
    drop(store);
    println!("  size: {:.1} MiB", mebibytes(&path));
    rows(&folder.path().join("rows"), flushes);
}

fn mebibytes(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |file| file.len() as f64 / f64::from(1 << 20))
}

/// The same names as rows of a table, as most collectors keep them; without the writer.
fn rows(path: &Path, flushes: &Flushes) {
    println!("SQLite, one row for each name");
    let mut connection = rusqlite::Connection::open(path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA cache_size = -16384;
             CREATE TABLE counter (start, prefix, direction, field, value, bytes, packets, flows,
             PRIMARY KEY (start, prefix, field, direction, value)) WITHOUT ROWID;",
        )
        .expect("a table");
    put_rows(&mut connection, "busy prefixes", &flushes.busy);
    put_rows(&mut connection, "24 hours of one prefix", &flushes.day);
    let ask = |what, number, minutes, fields: &[Field], limit| {
        ask_rows(&connection, what, (prefix_bits(prefix(number)), minutes, fields, limit));
    };
    let destinations = [Field::DestinationAddress];
    ask("one name of one minute", ASKED, 1, &[Field::All], 10);
    ask("top destinations over an hour of minutes, busy", ASKED, 60, &destinations, 10);
    ask("top destinations over 24 hours of minutes", STEADY, DAY, &destinations, 10);
    ask("all names of a day, in minutes", STEADY, DAY, &Field::ALL, i64::MAX);
    drop(connection);
    println!("  size: {:.1} MiB", mebibytes(path));
}

fn prefix_bits(prefix: Prefix) -> u32 {
    match prefix.address() {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(_) => 0,
    }
}

fn put_rows(connection: &mut rusqlite::Connection, what: &str, flushes: &[Flush]) {
    let mut took = Duration::ZERO;
    let mut names = 0;
    for flush in flushes {
        let decoded: Vec<(&Block, Tables)> = flush.blocks.iter().map(|block| (block, decoded(block))).collect();
        let since = Instant::now();
        let transaction = connection.transaction().expect("a transaction");
        {
            let sql = "INSERT OR REPLACE INTO counter VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let mut insert = transaction.prepare_cached(sql).expect("a statement");
            for (block, tables) in &decoded {
                let (start, prefix) = (block.key.interval.start.number(), prefix_bits(block.key.prefix));
                for (direction, name, counters) in tables.rows() {
                    let value = match name.value {
                        Value::Number(number) => number,
                        Value::Address(IpAddr::V4(address)) => address.to_bits(),
                        Value::Address(IpAddr::V6(_)) => 0,
                    };
                    let (bytes, packets, flows) =
                        (counters.bytes.cast_signed(), counters.packets.cast_signed(), counters.flows.cast_signed());
                    let row = (start, prefix, direction as u8, name.field as u8, value, bytes, packets, flows);
                    insert.execute(row).expect("a row");
                    names += 1;
                }
            }
        }
        transaction.commit().expect("a commit");
        took += since.elapsed();
    }
    println!("  {what}: {names} names; {:.0} names/s", f64::from(names) / took.as_secs_f64());
}

/// Queries the largest names of a prefix in its first minutes; prints the best time.
fn ask_rows(
    connection: &rusqlite::Connection,
    what: &str,
    (prefix, minutes, fields, limit): (u32, u32, &[Field], i64),
) {
    // Minute by minute, so that the key finds the rows of the prefix and field alone; SQLite keeps the order of CROSS
    // JOIN.
    let sql = "WITH RECURSIVE minute(start) AS (SELECT ?1 UNION ALL SELECT start + 1 FROM minute WHERE start < ?2)
               SELECT value, sum(bytes) FROM minute CROSS JOIN counter USING (start) WHERE prefix = ?3 AND field = ?4
               GROUP BY value ORDER BY 2 DESC LIMIT ?5";
    let mut best = Duration::MAX;
    let mut names = 0;
    for _ in 0..3 {
        let since = Instant::now();
        let mut largest = connection.prepare_cached(sql).expect("a statement");
        names = 0;
        for field in fields {
            let question = (BEGIN.number(), BEGIN.number() + minutes - 1, prefix, *field as u8, limit);
            names += largest.query_map(question, |row| row.get::<_, i64>(1)).expect("an answer").count();
        }
        best = best.min(since.elapsed());
    }
    assert!(names > 0, "{what}: nothing was found");
    println!("  {what}: {:.2} ms ({names} names)", best.as_secs_f64() * 1e3);
}

fn decoded(block: &Block) -> Tables {
    let mut tables = Tables::new();
    tables.merge(block, TableSet::ALL).expect("a whole block");
    tables
}

#[tokio::main]
async fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |kind: &str| only.is_empty() || only.iter().any(|name| name == kind);
    let flushes = Flushes::make();
    if wanted("sqlite") {
        measure_sqlite(&flushes).await;
    }
    #[cfg(feature = "redis")]
    if wanted("redis") {
        let server = testing::Service::start("redis", 1, &[("SYNC", "always")]);
        let settings = storage::redis::RedisSettings { hosts: server.hosts.clone(), ..Default::default() };
        let store = storage::redis::Redis::open(settings).expect("good settings");
        measure(&store, "Redis, every write synced", &flushes).await;
        server.run(&["clean"]);
    }
    #[cfg(feature = "cassandra")]
    if wanted("cassandra") {
        let server = testing::Service::start("cassandra", 1, &[("JIT", "full"), ("HEAP", "1g")]);
        let settings = storage::cassandra::CassandraSettings { hosts: server.hosts.clone(), ..Default::default() };
        let store = storage::cassandra::Cassandra::open(settings).expect("good settings");
        measure(&store, "Cassandra, one node, every write synced", &flushes).await;
        server.run(&["clean"]);
    }
}
