//! The same questions to the archive and to ClickHouse's real engine: the same answers, as JSON.
//!
//! Everything follows from a seed. `QUESTIONS=1000` asks as many, `SEED=7` others.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archive::scan::ScanError;
use archive::{Reserve, Scan, Writer};
use clickhouse::{Client, Compression, Request, Settings, TableScan, table};
use columns::{COLUMNS, Column, Id, Kind, Row};
use filter::Filter;
use flow::{FlushNumber, Timestamp, WriterId};
use questions::{AnswerError, FlowSource, RowsQuestion, SeriesQuestion, TopQuestion, Words};
use serde_json::Value as Json;
use testing::{Random, Service};

static NOT_CANCELLED: AtomicBool = AtomicBool::new(false);
static SERVER: LazyLock<Service> = LazyLock::new(|| Service::start("clickhouse", 1, &[]));

/// 2026-11-29T14:00:00Z.
const BEGIN: u64 = 1_795_960_800_000;
const HOUR: u64 = 60 * 60 * 1000;
const NOW: Timestamp = Timestamp::from_milliseconds(BEGIN + 3 * HOUR);
const ROWS_OF_A_FLUSH: usize = 100;

const ADDRESSES: [&str; 12] = [
    "0.0.0.0",
    "192.0.2.1",
    "192.0.2.77",
    "192.0.3.1",
    "10.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "2001:db8::1",
    "2001:db8:0:1::7",
    "2001:db8:ffff::",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];
const EXPORTERS: [&str; 3] = ["192.0.2.1", "192.0.2.77", "2001:db8::1"];
const PATHS: [&str; 6] =
    ["1", "64500 64501", "64500 64501 {64502,64503}", "4294967295 1 2", "(64512 64513) 1 1 2", "2 1"];
const COUNTRIES: [&str; 4] = ["CH", "DE", "EU", "US"];
const NUMBERS: [u64; 16] = [0, 1, 2, 3, 4, 6, 17, 18, 53, 80, 443, 1500, 65_535, 4_294_967_295, 1 << 40, u64::MAX];

fn settings(table: &str) -> Settings {
    Settings {
        hosts: SERVER.hosts.clone(),
        authorities: None,
        database: "default".to_owned(),
        table: table.to_owned(),
        user: None,
        password: None,
    }
}

/// The flows of a flush: all within ten minutes, some in the same millisecond.
fn flush(random: &mut Random, number: u64) -> Vec<Row> {
    let begin = BEGIN + number * 10 * 60 * 1000;
    let mut received = begin;
    let mut rows = Vec::new();
    for _ in 0..ROWS_OF_A_FLUSH {
        received += random.below(3) * random.below(4000);
        rows.push(row(random, received));
    }
    rows
}

fn row(random: &mut Random, received: u64) -> Row {
    let mut row = Row::new();
    for Column { id, kind, .. } in &COLUMNS {
        let is_counter = [Id::Bytes, Id::Packets, Id::Flows, Id::SrcIp, Id::DstIp].contains(id);
        if !is_counter && !random.once_in(3) {
            continue;
        }
        match kind {
            Kind::Address => row.set_address(*id, random.pick(&ADDRESSES).parse().unwrap()),
            Kind::AsPath => row.set_text(*id, (*random.pick(&PATHS)).into()),
            Kind::Country => {
                row.set(*id, flow::Country::new(COUNTRIES[random.index(COUNTRIES.len())]).unwrap().number().into())
            }
            Kind::Time => row.set(*id, received + random.below(5000) - 4000),
            // The largest numbers are rare: where one is, sums end.
            _ if random.once_in(50) => row.set(*id, *random.pick(&NUMBERS)),
            _ => row.set(*id, NUMBERS[random.index(12)]),
        }
    }
    row.set(Id::Received, received);
    row.set_address(Id::Exporter, random.pick(&EXPORTERS).parse().unwrap());
    row
}

/// Two collectors, of which the second one has started twice.
fn flushes(random: &mut Random) -> Vec<(WriterId, FlushNumber, Vec<Row>)> {
    let mut flushes = Vec::new();
    for (writer, runs) in [(3, 1), (u64::MAX, 2)] {
        for number in 0..15 {
            let epoch = if number < 7 { 1 } else { runs };
            let sequence = if epoch == 2 { number - 6 } else { number + 1 };
            flushes.push((WriterId(writer), FlushNumber { epoch, sequence }, flush(random, number)));
        }
    }
    flushes
}

fn archive(folder: &Path, flushes: &[(WriterId, FlushNumber, Vec<Row>)]) {
    for of_writer in flushes.chunk_by(|one, next| one.0 == next.0) {
        let mut writer = Writer::new(folder.to_owned(), Reserve { percent: 0 });
        for (id, number, rows) in of_writer {
            writer.begin_flush(*id, *number).unwrap();
            rows.iter().for_each(|row| writer.take(row).unwrap());
            if number.sequence % 4 == 0 {
                writer.finish().unwrap();
            }
        }
        writer.finish().unwrap();
    }
}

/// Creates and fills the table.
fn fill(table: &str, flushes: &[(WriterId, FlushNumber, Vec<Row>)]) {
    let mut writer = clickhouse::Writer::new(settings(table), Compression::Zstd);
    for (id, number, rows) in flushes {
        rows.iter().for_each(|row| writer.take(*id, *number, row).unwrap());
        writer.end_flush().unwrap();
    }
}

/// Words of filters that the table of columns does not have.
const PHRASES: [&str; 34] = [
    "host",
    "net",
    "src",
    "dst",
    "port",
    "as",
    "country",
    "if",
    "mask",
    "mac",
    "vlan",
    "vrf",
    "nat ip",
    "nat port",
    "tun ip",
    "tun port",
    "router",
    "next hop",
    "bgp next hop",
    "in bytes",
    "in packets",
    "out bytes",
    "out packets",
    "duration",
    "bps",
    "pps",
    "bpp",
    "dscp",
    "ecn",
    "bytes",
    "packets",
    "flags",
    "aspath",
    "proto",
];

fn value(random: &mut Random) -> String {
    let number = |random: &mut Random| *random.pick(&NUMBERS);
    match random.below(12) {
        0 => format!("{}-{}", number(random), number(random)),
        1 => random.pick(&ADDRESSES).to_string(),
        2 => format!("{}/{}", random.pick(&ADDRESSES), random.below(33)),
        3 => format!("{}/{}", random.pick(&ADDRESSES), random.below(129)),
        4 => random.pick(&COUNTRIES).to_string(),
        5 => random.pick(&["64500", "64501_64502", "1_1", "0", "64500_64501", "2_1", "1_2"]).to_string(),
        6 => random.pick(&["S", "SA", "0x12", "FSRPAUEC", "tcp", "udp"]).to_string(),
        7 => random.pick(&["1s", "1500ms", "2026-11-29T15:00", "2026-11-29T15:30:20"]).to_string(),
        8 => (BEGIN + random.below(3 * HOUR)).to_string(),
        _ => number(random).to_string(),
    }
}

fn test(random: &mut Random) -> String {
    loop {
        let column = random.pick(&COLUMNS);
        let phrase = if random.once_in(2) { random.pick(&PHRASES) } else { column.name };
        let sign = *random.pick(&["", "", "=", "!=", ">", "<", ">=", "<="]);
        let text = match random.below(8) {
            0 => random.pick(&["any", "ipv4", "ipv6", "tcp", "not udp", "icmp"]).to_string(),
            1 => format!("{phrase} {sign} {}", if random.once_in(2) { random.pick(&PHRASES) } else { column.name }),
            2 | 3 => {
                let values: Vec<_> = (0..1 + random.below(4)).map(|_| value(random)).collect();
                format!("{phrase} in [{}]", values.join(", "))
            }
            _ => format!("{phrase} {sign} {}", value(random)),
        };
        // Most values are none of the word.
        if text.parse::<Filter>().is_ok() {
            return text;
        }
    }
}

fn filter(random: &mut Random) -> String {
    let mut text = test(random);
    for _ in 0..random.below(4) {
        text = match random.below(4) {
            0 => format!("not ({text})"),
            1 => format!("({text}) or {}", test(random)),
            2 => format!("{} and ({text})", test(random)),
            _ => format!("({text}) or not ({} and {})", test(random), test(random)),
        };
    }
    text
}

fn keys(random: &mut Random, most: u64) -> String {
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..random.below(most + 1) {
        let Column { name, kind, .. } = random.pick(&COLUMNS);
        let key = match (kind, random.below(3)) {
            (Kind::Address, 0) => format!("{name}/{}", random.below(33)),
            (Kind::Address, 1) => format!("{name}/{}/{}", random.below(33), random.below(129)),
            (Kind::Time, 0 | 1) => format!("{name}/{}", random.pick(&["1ms", "90s", "5m", "1h", "1d"])),
            _ => (*name).to_owned(),
        };
        if keys.iter().all(|known| known.split('/').next() != key.split('/').next()) {
            keys.push(key);
        }
    }
    keys.join(",")
}

/// The kind of a question, and its words.
fn question(random: &mut Random) -> (u64, Vec<(&'static str, String)>) {
    let kind = random.below(3);
    let mut words = vec![("counters", random.pick(&["scaled", "sent"]).to_string())];
    if !random.once_in(5) {
        words.push(("filter", filter(random)));
    }
    if random.once_in(4) {
        words.push(("exporter", EXPORTERS[..1 + random.index(2)].join(",")));
    }
    let from = BEGIN + random.below(3 * HOUR);
    let time = |milliseconds: u64| flow::Timestamp::from_milliseconds(milliseconds);
    if random.once_in(2) {
        let zone: accounting::zone::Zone = accounting::zone::Zone::UTC;
        words.push(("from", zone.display_time(time(from))));
        words.push(("to", zone.display_time(time(from + 1 + random.below(2 * HOUR)))));
    } else {
        words.push(("last", random.pick(&["30s", "1h", "2h", "1d"]).to_string()));
    }
    if random.once_in(6) {
        words.push(("tz", "Europe/Berlin".to_owned()));
        words.push(("names", "1".to_owned()));
    }
    words.push(("n", (1 + random.below(20)).to_string()));
    match kind {
        0 => {
            words.push(("order", random.pick(&["newest", "oldest"]).to_string()));
            if random.once_in(2) {
                words.push(("columns", "all".to_owned()));
            }
        }
        1 => {
            words.push(("by", keys(random, 3)));
            words.push(("sum", random.pick(&["bytes", "packets", "flows"]).to_string()));
            let distinct = if random.once_in(3) { keys(random, 2) } else { String::new() };
            if !distinct.is_empty() && random.once_in(2) {
                words.last_mut().unwrap().1 = "distinct".to_owned();
            }
            words.push(("distinct", distinct));
        }
        _ => {
            words.push(("by", keys(random, 2)));
            words.push(("sum", random.pick(&["bytes", "packets", "flows"]).to_string()));
            words.push(("every", random.pick(&["1m", "5m", "7m", "1h"]).to_string()));
        }
    }
    (kind, words)
}

/// The answer without what depends on who gives it; and the cursor.
fn answer(
    kind: u64,
    words: &[(&'static str, String)],
    source: &dyn FlowSource,
) -> Result<(Json, Option<String>), String> {
    let words: Words<'_> = words.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let json = |answer: Result<Json, AnswerError>| answer.map_err(|error| error.to_string());
    fn of<A: serde::Serialize>(answer: Result<A, AnswerError>) -> Result<Json, AnswerError> {
        answer.map(|answer| serde_json::to_value(answer).unwrap())
    }
    let mut answer = match kind {
        0 => json(of(RowsQuestion::read(&words, NOW).map_err(|error| error.to_string())?.answer(source)))?,
        1 => json(of(TopQuestion::read(&words, NOW).map_err(|error| error.to_string())?.answer(source)))?,
        _ => json(of(SeriesQuestion::read(&words, NOW).map_err(|error| error.to_string())?.answer(source)))?,
    };
    let coverage = answer["coverage"].as_object_mut().unwrap();
    for differs in ["read", "database", "reaches"] {
        coverage.remove(differs);
    }
    let next = answer["next"].take();
    Ok((answer, next.as_str().map(str::to_owned)))
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn answers_are_those_of_the_archive() {
    let mut random = Random::new(number("SEED", 1));
    let flushes = flushes(&mut random);
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), &flushes);
    let client = Client::new(settings("asked"));
    fill("asked", &flushes);
    let scan = Scan {
        folder: folder.path(),
        open: None,
        octets: questions::MEMORY,
        threads: 1,
        cancelled: &NOT_CANCELLED,
        progress: None,
    };
    let table = table_scan(&client);
    let (mut found, mut pages) = (0, 0);
    for index in 0..number("QUESTIONS", 150) {
        let (kind, mut words) = question(&mut random);
        let asked = format!("question {index}, {words:?}");
        let (own, own_next, theirs, their_next) = match (answer(kind, &words, &scan), answer(kind, &words, &table)) {
            (Ok((own, own_next)), Ok((theirs, their_next))) => (own, own_next, theirs, their_next),
            (Err(own), Err(theirs)) => {
                assert_eq!(own, theirs, "{asked}");
                continue;
            }
            (own, theirs) => panic!("{asked}\narchive: {own:?}\nclickhouse: {theirs:?}"),
        };
        assert_same(&own, &theirs, &asked);
        found += u64::from(own["rows"].as_array().is_some_and(|rows| !rows.is_empty()));
        assert_eq!(own_next.is_some(), their_next.is_some(), "{asked}");
        let Some((own_next, their_next)) = own_next.zip(their_next) else { continue };
        pages += 1;
        words.push(("cursor", own_next));
        let (own, _) = answer(kind, &words, &scan).unwrap();
        words.last_mut().unwrap().1 = their_next;
        let (theirs, _) = answer(kind, &words, &table).unwrap();
        assert_same(&own, &theirs, &format!("the second page of {asked}"));
    }
    // Of empty answers, all are the same.
    assert!(found > 50 && pages > 5, "{found} answers, {pages} second pages");
}

fn table_scan(client: &Client) -> TableScan<'_> {
    TableScan {
        client,
        octets: questions::MEMORY,
        server_octets: 1 << 30,
        // The machine of the test may be busy.
        patience: Duration::from_secs(600),
        cancelled: &NOT_CANCELLED,
    }
}

fn assert_same(own: &Json, theirs: &Json, question: &str) {
    if own != theirs {
        let (own, theirs) = (serde_json::to_string_pretty(own).unwrap(), serde_json::to_string_pretty(theirs).unwrap());
        let differ = own.lines().zip(theirs.lines()).enumerate().filter(|(_, (own, theirs))| own != theirs).take(8);
        let differ: Vec<_> = differ.map(|(line, (own, theirs))| format!("{line}: {own}   {theirs}")).collect();
        panic!("{question}\nline: archive, clickhouse\n{}", differ.join("\n"));
    }
}

#[test]
fn a_clickhouse_that_does_not_answer_is_an_error_with_its_address() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let client = Client::new(Settings { hosts: vec![host.clone()], ..settings("asked") });
    let question = TopQuestion::read(&Words::default(), NOW).unwrap();
    let error = question.answer(&table_scan(&client)).unwrap_err();
    assert!(matches!(&error, AnswerError::Scan(ScanError::Database(_))), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot reach ClickHouse at {host}")), "{error}");
}

#[test]
fn a_question_that_is_cancelled_asks_nothing() {
    let client = Client::new(settings("asked"));
    let cancelled = AtomicBool::new(true);
    let question = TopQuestion::read(&Words::default(), NOW).unwrap();
    let error = question.answer(&TableScan { cancelled: &cancelled, ..table_scan(&client) }).unwrap_err();
    assert!(matches!(&error, AnswerError::Scan(ScanError::Cancelled)), "{error:?}");
}

#[test]
fn a_question_that_does_not_fit_is_refused() {
    let client = Client::new(settings("narrow"));
    fill("narrow", &flushes(&mut Random::new(9)));
    let words: Words<'_> = [("last", "1d"), ("columns", "all"), ("n", "1000")].into_iter().collect();
    let question = RowsQuestion::read(&words, NOW).unwrap();
    let error = question.answer(&TableScan { octets: 1 << 20, ..table_scan(&client) }).unwrap_err();
    assert!(matches!(&error, AnswerError::Scan(ScanError::TooLarge { .. })), "{error:?}");
    let error = question.answer(&TableScan { server_octets: 1 << 10, ..table_scan(&client) }).unwrap_err();
    assert!(matches!(&error, AnswerError::Scan(ScanError::TooLarge { .. })), "{error:?}");
}

#[test]
fn a_filter_with_long_lists_is_asked_or_refused() {
    let client = Client::new(settings("lists"));
    client.text(&Request::new(&table::creation("default", "lists"))).unwrap();
    let ports: Vec<_> = (1..2500).map(|port| (port * 2).to_string()).collect();
    let ports = format!("port in [{}]", ports.join(","));
    let each: Vec<_> = (1..1500).map(|port| format!("as {}", port * 2)).collect();
    let each = each.join(" or ");
    for filter in [&ports, &each] {
        let words: Words<'_> = [("filter", filter.as_str())].into_iter().collect();
        let answer = TopQuestion::read(&words, NOW).unwrap().answer(&table_scan(&client)).unwrap();
        assert_eq!(answer.total.records, 0);
    }
    let addresses: Vec<_> = (0..1200).map(|host| format!("10.1.{}.{}", host / 200, host % 200 + host % 2)).collect();
    let addresses = format!("host in [{}]", addresses.join(","));
    let words: Words<'_> = [("filter", addresses.as_str())].into_iter().collect();
    let answer = TopQuestion::read(&words, NOW).unwrap().answer(&table_scan(&client));
    assert!(answer.is_ok(), "{answer:?}");
}

/// What is sent on a connection until it pauses: a request.
fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // Its body is the statement, which is not empty.
    while !request.windows(4).any(|octets| octets == b"\r\n\r\n") || request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(request).unwrap()
}

/// The value of a parameter of a request's URL.
fn parameter<'r>(request: &'r str, name: &str) -> &'r str {
    let target = request.split_whitespace().nth(1).unwrap();
    let found = target.split(['?', '&']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name}: {target}"))
}

#[test]
fn a_question_whose_client_goes_is_killed_and_never_exceeds_its_limits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(Settings { hosts: vec![listener.local_addr().unwrap().to_string()], ..settings("asked") });
    let cancelled = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut asked, _) = listener.accept().unwrap();
            let question = request(&mut asked);
            let limits = ["max_execution_time", "max_memory_usage", "max_bytes_before_external_group_by"];
            assert_eq!(limits.map(|name| parameter(&question, name)), ["590", "1073741824", "536870912"]);
            cancelled.store(true, Ordering::Relaxed);
            let (mut killing, _) = listener.accept().unwrap();
            let kill = request(&mut killing);
            assert!(kill.ends_with("\r\n\r\nKILL QUERY WHERE query_id = {id:String} ASYNC"), "{kill}");
            assert_eq!(parameter(&kill, "param_id"), parameter(&question, "query_id"));
            killing.write_all(b"HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {}\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let question = TopQuestion::read(&Words::default(), NOW).unwrap();
        let error = question.answer(&TableScan { cancelled: &cancelled, ..table_scan(&client) }).unwrap_err();
        assert!(matches!(&error, AnswerError::Scan(ScanError::Cancelled)), "{error:?}");
    });
}
