//! What the writer does on ClickHouse's real engine: each flow is there once, whatever becomes of requests and answers.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clickhouse::{Client, Compression, Error, Request, Settings, Writer, table};
use columns::{COLUMNS, Id, Kind, Row, Value};
use flow::{FlushNumber, WriterId};
use testing::{Random, Service};

const WRITER: WriterId = WriterId(0xfeed_0000_0000_0001);
const PATIENCE: Duration = Duration::from_secs(120);
/// When flows are received: three seconds before midnight, UTC.
const TIME: u64 = 1_796_083_200_000 - 3_000;

/// All tests but those with faults, which are of the next insert, whichever it is.
static SERVER: LazyLock<Service> = LazyLock::new(|| Service::start("clickhouse", 1, &[]));

fn settings(server: &Service, table: &str) -> Settings {
    Settings {
        hosts: server.hosts.clone(),
        authorities: None,
        database: "default".to_owned(),
        table: table.to_owned(),
        user: None,
        password: None,
    }
}

fn ask(server: &Service, sql: &str) -> String {
    Client::new(settings(server, "flows")).text(&Request::new(sql)).unwrap().trim_end().to_owned()
}

/// The next inserts fail in this way.
fn fault(server: &Service, fault: &str) {
    let mut stream = TcpStream::connect(&server.hosts[0]).unwrap();
    write!(stream, "POST /fault?{fault} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

fn row(index: u64) -> Row {
    let mut row = Row::new();
    row.set_address(Id::Exporter, [192, 0, 2, (index % 7) as u8].into());
    row.set(Id::Received, TIME + index * 7 % 5_000);
    row.set(Id::Bytes, index);
    row.set(Id::Packets, 1);
    row
}

fn flush(sequence: u64) -> FlushNumber {
    FlushNumber { epoch: 1_796_000_000, sequence }
}

fn try_send(writer: &mut Writer, sequence: u64, flows: u64) -> Result<(), Error> {
    (0..flows).try_for_each(|index| writer.take(WRITER, flush(sequence), &row(index)))?;
    writer.end_flush()
}

/// Sends a flush until it is there; the errors before.
fn send(writer: &mut Writer, sequence: u64, flows: u64) -> Vec<String> {
    let (mut errors, end) = (Vec::new(), Instant::now() + PATIENCE);
    while let Err(error) = try_send(writer, sequence, flows) {
        assert!(Instant::now() < end, "{errors:?}");
        errors.push(error.to_string());
        writer.rewind();
        // As the log does.
        thread::sleep(Duration::from_millis(50));
    }
    errors
}

/// Flows, their octets, and how many flushes they are of.
fn found(server: &Service, table: &str) -> String {
    ask(server, &format!("SELECT count(), sum(Bytes), uniqExact(Flush) FROM {table}"))
}

fn sums(flows: u64, flushes: u64) -> String {
    format!("{}\t{}\t{flushes}", flows * flushes, flows * (flows - 1) / 2 * flushes)
}

#[test]
fn every_value_of_every_column_is_there_as_the_archive_has_it() {
    for (compression, name) in [(Compression::None, "plain"), (Compression::Zstd, "compressed")] {
        let mut writer = Writer::new(settings(&SERVER, name), compression);
        let mut random = Random::new(7);
        let rows: Vec<Row> = (0..500).map(|index| random_row(&mut random, index)).collect();
        rows.iter().try_for_each(|row| writer.take(WRITER, flush(1), row)).unwrap();
        writer.end_flush().unwrap();
        let shown = COLUMNS.iter().map(|column| match column.kind {
            Kind::Time => format!("toUnixTimestamp64Milli({})", column.clickhouse),
            _ => column.clickhouse.to_owned(),
        });
        let columns = shown.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {columns} FROM {name} ORDER BY TimeReceived FORMAT TabSeparatedRaw");
        let found = ask(&SERVER, &sql);
        for (line, row) in found.lines().zip(&rows) {
            for (text, column) in line.split('\t').zip(&COLUMNS) {
                assert_eq!(text, expected(row, column.id), "{}", column.name);
            }
        }
        assert_eq!(found.lines().count(), rows.len());
        let numbers =
            format!("SELECT groupArray(Row) = range(500) FROM (SELECT Row FROM {name} ORDER BY TimeReceived)");
        assert_eq!(ask(&SERVER, &numbers), "1", "rows are numbered in their order");
        let identity = format!("SELECT DISTINCT hex(Writer), Epoch, Flush, Part FROM {name}");
        assert_eq!(ask(&SERVER, &identity), "FEED000000000001\t1796000000\t1\t0");
    }
}

/// A row whose columns have small, large or no values.
fn random_row(random: &mut Random, index: u64) -> Row {
    let mut row = Row::new();
    for column in &COLUMNS {
        // A column without any value, too.
        if random.below(3) == 0 || column.id == Id::Ttl {
            continue;
        }
        match column.kind {
            Kind::Address if random.below(2) == 0 => {
                row.set_address(column.id, [198, 51, 100, random.below(256) as u8].into());
            }
            Kind::Address => row.set_address(column.id, [0x2001, 0xdb8, 0, 0, 0, 0, 0, random.below(9) as u16].into()),
            Kind::AsPath => row.set_text(column.id, format!("64500 {{{},7}}", random.below(99)).into()),
            Kind::Country => row.set(column.id, u64::from(u16::from_be_bytes([b'A' + random.below(26) as u8, b'Z']))),
            Kind::Time => row.set(column.id, random.below(4_000_000_000_000)),
            kind => row.set(column.id, random.below(u64::MAX) & kind.largest()),
        }
    }
    row.set(Id::Received, TIME - 1_000 + index);
    row
}

fn expected(row: &Row, id: Id) -> String {
    match row.value(id) {
        Value::Number(number) => number.to_string(),
        Value::Time(_) | Value::Mac(_) => row.number(id).to_string(),
        Value::Country(country) => country.map(|it| it.to_string()).unwrap_or_default(),
        Value::Address(std::net::IpAddr::V4(address)) => format!("::ffff:{address}"),
        Value::Address(address) => address.to_string(),
        Value::AsPath(path) => path.map(|it| it.to_string()).unwrap_or_default(),
    }
}

#[test]
fn an_insert_is_one_block_of_one_day() {
    let mut writer = Writer::new(settings(&SERVER, "blocks"), Compression::None);
    ask(&SERVER, &table::creation("default", "blocks"));
    ask(&SERVER, "SYSTEM STOP MERGES blocks");
    let flows = 300_000;
    assert_eq!(send(&mut writer, 1, flows), [""; 0]);
    assert_eq!(found(&SERVER, "blocks"), sums(flows, 1));
    let blocks =
        "SELECT Part, uniqExact(_part), uniqExact(toDate(TimeReceived)) FROM blocks GROUP BY Part ORDER BY Part";
    let expected: Vec<_> = (0..6).map(|part| format!("{part}\t1\t1")).collect();
    assert_eq!(ask(&SERVER, blocks), expected.join("\n"), "three times two days");
    assert_eq!(writer.sent().inserts, 6);
}

#[test]
fn flows_are_there_once_although_answers_are_lost() {
    let server = Service::start("clickhouse", 1, &[]);
    let mut writer = Writer::new(settings(&server, "flows"), Compression::None);
    assert_eq!(send(&mut writer, 1, 1_000), [""; 0]);
    ask(&server, "CREATE TABLE seen (Bytes UInt64) ENGINE = MergeTree ORDER BY tuple()");
    ask(&server, "CREATE MATERIALIZED VIEW view TO seen AS SELECT Bytes FROM flows");
    for sequence in 2..10 {
        // Both days, one of them, or none.
        fault(&server, &format!("kind=lose&count={}", sequence % 3));
        let errors = send(&mut writer, sequence, 1_000);
        assert_eq!(errors.len() as u64, sequence % 3, "{errors:?}");
        assert!(errors.iter().all(|error| error.starts_with("no answer from ClickHouse at 127.0.0.1:")), "{errors:?}");
    }
    // One that still runs when the flush comes again.
    fault(&server, "kind=detach");
    let errors = send(&mut writer, 10, 1_000);
    assert!(errors.iter().any(|error| error.ends_with("outcome is unknown is still running there")), "{errors:?}");
    assert_eq!(found(&server, "flows"), sums(1_000, 10));
    assert_eq!(ask(&server, "SELECT count() FROM seen"), "9000", "a materialised view gets each flow once");
    assert_eq!((writer.sent().flows, writer.sent().found > 0), (10_000, true));
    // A collector that was killed begins with the flush that it may have sent.
    for _ in 0..3 {
        let mut restarted = Writer::new(settings(&server, "flows"), Compression::None);
        assert_eq!(send(&mut restarted, 10, 1_000), [""; 0]);
        assert_eq!(restarted.sent().inserts, 0);
    }
    assert_eq!(found(&server, "flows"), sums(1_000, 10));
    assert_eq!(ask(&server, "SELECT count() FROM seen"), "9000");
}

#[test]
fn flushes_that_the_log_has_again_are_not_sent_again() {
    let mut writer = Writer::new(settings(&SERVER, "again"), Compression::None);
    (1..=3).for_each(|sequence| assert_eq!(send(&mut writer, sequence, 1_000), [""; 0]));
    let inserts = writer.sent().inserts;
    // The cursor could not be stored.
    writer.rewind();
    (1..=3).for_each(|sequence| assert_eq!(send(&mut writer, sequence, 1_000), [""; 0]));
    assert_eq!((writer.sent().inserts, writer.sent().found), (inserts, 3_000));
    assert_eq!(found(&SERVER, "again"), sums(1_000, 3));
}

#[test]
fn an_insert_that_is_carried_out_late_changes_nothing() {
    let (proxy, inserts) = recording(SERVER.hosts[0].clone());
    let mut writer = Writer::new(Settings { hosts: vec![proxy], ..settings(&SERVER, "late") }, Compression::None);
    assert_eq!(send(&mut writer, 1, 1_000), [""; 0]);
    let inserts = std::mem::take(&mut *inserts.lock().unwrap());
    assert_eq!(inserts.len(), 2, "two days");
    for insert in inserts.iter().cycle().take(4) {
        let mut stream = TcpStream::connect(&SERVER.hosts[0]).unwrap();
        stream.write_all(insert).unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
    }
    assert_eq!(found(&SERVER, "late"), sums(1_000, 1));
}

type Inserts = Arc<Mutex<Vec<Vec<u8>>>>;

/// A proxy that keeps the requests of inserts.
fn recording(server: String) -> (String, Inserts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let inserts = Inserts::default();
    let kept = Arc::clone(&inserts);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, kept) = (client.unwrap(), Arc::clone(&kept));
            let mut server = TcpStream::connect(&server).unwrap();
            let (mut answers, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut answers, &mut to_client));
            thread::spawn(move || {
                while let Some(request) = request(&mut client) {
                    server.write_all(&request).unwrap();
                    if request.starts_with(b"POST /") && request.windows(12).any(|part| part == b"query=INSERT") {
                        kept.lock().unwrap().push(request);
                    }
                }
            });
        }
    });
    (address, inserts)
}

/// The octets of the next request on a connection.
fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).ok()?;
        octets.extend(octet);
    }
    let head = String::from_utf8_lossy(&octets).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    octets.extend(body);
    Some(octets)
}

#[test]
fn a_server_that_refuses_or_answers_nonsense_gets_the_flows_later() {
    let server = Service::start("clickhouse", 1, &[]);
    let mut writer = Writer::new(settings(&server, "flows"), Compression::None);
    let full = "kind=refuse&code=243&text=Cannot%20reserve%201.00%20MiB,%20not%20enough%20space.%20(NOT_ENOUGH_SPACE)";
    fault(&server, full);
    fault(&server, "kind=html");
    let errors = send(&mut writer, 1, 1_000);
    let host = &server.hosts[0];
    let full = format!("ClickHouse at {host} refuses: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)");
    assert!(errors[0].starts_with(&full) && errors[0].contains("free disk space there"), "{errors:?}");
    let nonsense = format!("what answers at {host} is not ClickHouse's HTTP interface (HTTP status 200: '<html>");
    assert!(errors[1].starts_with(&nonsense), "{errors:?}");
    server.run(&["kill", "1"]);
    let error = try_send(&mut writer, 2, 1_000).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("cannot reach ClickHouse at {host}: Connection refused")),
        "{error}"
    );
    writer.rewind();
    server.run(&["start", "1"]);
    send(&mut writer, 2, 1_000);
    assert_eq!(found(&server, "flows"), sums(1_000, 2));
}

/// What is wrong with a table that was created so.
fn refusal(name: &str, creation: &str) -> String {
    ask(&SERVER, creation);
    let mut writer = Writer::new(settings(&SERVER, name), Compression::None);
    let error = try_send(&mut writer, 1, 10).unwrap_err();
    assert!(matches!(error, Error::Table { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_table_that_does_not_fit_is_an_error_with_what_to_do() {
    let creation = table::creation("default", "other");
    let error = refusal("other", &creation.replace("SrcPort UInt16", "SrcPort UInt32"));
    let begin =
        "the table default.other has the column SrcPort of type UInt32, which must be UInt16; change it (ALTER TABLE ";
    assert!(error.starts_with(begin), "{error}");
    let creation = table::creation("default", "replacing").replace("MergeTree", "ReplacingMergeTree");
    let error = refusal("replacing", &creation);
    assert!(error.contains("has the engine ReplacingMergeTree, which may not keep every flow"), "{error}");
    let creation = table::creation("default", "hours").replace("BY toDate(", "BY toStartOfHour(");
    let error = refusal("hours", &creation);
    assert!(error.contains("is partitioned by toStartOfHour(TimeReceived); it must be one of toDate("), "{error}");
    ask(&SERVER, &table::creation("default", "two"));
    let hosts = [SERVER.hosts.clone(), SERVER.hosts.clone()].concat();
    let mut writer = Writer::new(Settings { hosts, ..settings(&SERVER, "two") }, Compression::None);
    let error = try_send(&mut writer, 1, 10).unwrap_err().to_string();
    assert!(error.contains("is not replicated, so the hosts do not have the same flows"), "{error}");
}

#[test]
fn a_table_of_an_older_collector_gets_the_columns_that_it_lacks() {
    let creation =
        table::creation("default", "older").replace("\n  NextHop IPv6 DEFAULT toIPv6('0.0.0.0') CODEC(ZSTD(1)),", "");
    assert!(!creation.contains(" NextHop"));
    ask(&SERVER, &creation);
    let begin = "INSERT INTO older (TimeReceived) VALUES (1)";
    ask(&SERVER, begin);
    let mut writer = Writer::new(settings(&SERVER, "older"), Compression::None);
    assert_eq!(send(&mut writer, 1, 10), [""; 0]);
    assert_eq!(ask(&SERVER, "SELECT DISTINCT NextHop FROM older"), "::ffff:0.0.0.0");
}

#[test]
fn a_part_of_which_rows_were_deleted_is_an_error_and_is_not_sent_again() {
    let mut writer = Writer::new(settings(&SERVER, "deleted"), Compression::None);
    assert_eq!(send(&mut writer, 1, 1_000), [""; 0]);
    ask(&SERVER, "DELETE FROM deleted WHERE Bytes < 10 AND Part = 0");
    let mut restarted = Writer::new(settings(&SERVER, "deleted"), Compression::None);
    let error = try_send(&mut restarted, 1, 1_000).unwrap_err().to_string();
    let begin = "the table default.deleted has 704 flows (";
    assert!(error.starts_with(begin), "{error}");
    assert!(error.contains(" packets) of feed000000000001-1796000000-1-0 where 714 flows ("), "{error}");
    let (_, statement) = error.split_once("again: ").unwrap();
    ask(&SERVER, statement);
    restarted.rewind();
    assert_eq!(send(&mut restarted, 1, 1_000), [""; 0]);
    assert_eq!(found(&SERVER, "deleted"), sums(1_000, 1));
}

#[test]
fn a_part_with_other_rows_is_not_taken_for_the_one_that_is_sent() {
    let mut writer = Writer::new(settings(&SERVER, "other_rows"), Compression::None);
    assert_eq!(send(&mut writer, 1, 1_000), [""; 0]);
    let change =
        "ALTER TABLE other_rows UPDATE Bytes = Bytes + 1 WHERE Part = 0 AND Row = 5 SETTINGS mutations_sync = 2";
    ask(&SERVER, change);
    let mut restarted = Writer::new(settings(&SERVER, "other_rows"), Compression::None);
    let error = try_send(&mut restarted, 1, 1_000).unwrap_err().to_string();
    assert!(error.starts_with("the table default.other_rows has 714 flows ("), "{error}");
}

#[test]
fn a_flush_without_flows_needs_no_server() {
    let nowhere = Settings { hosts: vec!["127.0.0.1:1".to_owned()], ..settings(&SERVER, "none") };
    Writer::new(nowhere, Compression::None).end_flush().unwrap();
}
