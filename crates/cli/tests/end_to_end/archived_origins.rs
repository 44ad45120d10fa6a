//! The archive has the AS numbers and countries by which flows were counted: of every protocol, after a kill with other files,
//! and by BMP. An independent program finds the same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

use serde_json::{Value, json as object};

use crate::bmp;
use crate::collector::Collector;
use crate::commands::run;
use crate::origins::looked_up;
use crate::tap;

/// Bytes, packets and flows by name, such as `srcas:64500`.
type Sums = BTreeMap<String, [u64; 3]>;

/// The columns that are fields to count by as well, with the column of the address that they are of.
const FIELDS: [(&str, &str); 4] =
    [("srcas", "srcip"), ("dstas", "dstip"), ("srccountry", "srcip"), ("dstcountry", "dstip")];
const PREFIXES: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// With how much IPv6 each sends.
const PROTOCOLS: [(&str, &str); 4] = [("v5", "0"), ("v9", "30"), ("ipfix", "30"), ("sflow", "0")];
const FILE: &str = "a.tsv";

/// Ranges for the addresses of the generator, of 16 addresses each. Some are missing, some have no AS, some no country.
fn table(first_as: u32) -> String {
    let mut text = String::new();
    for base in ["10.0.0.0", "172.16.0.0", "2001:db8::", "3fff::"] {
        let base: IpAddr = base.parse().unwrap();
        for number in (0..16_u32).filter(|number| number % 5 != 1) {
            let at = |offset: u32| match base {
                IpAddr::V4(base) => IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() + 16 * number + offset)),
                IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from_bits(base.to_bits() + u128::from(16 * number + offset))),
            };
            let asn = if number % 7 == 3 { 0 } else { first_as + number / 2 };
            let country = ["CH", "DE", "None", "US"][number as usize % 4];
            writeln!(text, "{}\t{}\t{asn}\t{country}\tName", at(0), at(15)).unwrap();
        }
    }
    text
}

/// The settings: what routers send does not count.
const SETTINGS: [(&str, &str); 4] = [
    ("NETFLOW__ORIGINS__FILES", FILE),
    ("NETFLOW__ORIGINS__ORDER", "files"),
    ("NETFLOW__ACCOUNTING__FIELDS", "srcip,srcas,dstas,srccountry,dstcountry"),
    ("NETFLOW__SERVER__STEERING", "spread"),
];

fn sums(row: &Value) -> [u64; 3] {
    let packets = if row["pkts"].is_null() { "packets" } else { "pkts" };
    ["bytes", packets, "flows"].map(|key| row[key].as_u64().unwrap_or_else(|| panic!("no {key}: {row}")))
}

fn add(to: &mut Sums, name: String, [bytes, packets, flows]: [u64; 3]) {
    let sums = to.entry(name).or_default();
    *sums = [sums[0] + bytes, sums[1] + packets, sums[2] + flows];
}

fn json(collector: &Collector, arguments: &[&str]) -> Value {
    let (answer, errors, code) = collector.command(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    serde_json::from_str(&answer).unwrap()
}

/// The groups of the archive by a column, of flows that pass a filter.
fn archived(collector: &Collector, column: &str, filter: &str) -> Sums {
    let answer = json(collector, &["flows", "--last", "1d", "--by", column, "-n", "1000", "-o", "json", filter]);
    let mut groups = Sums::new();
    for row in answer["rows"].as_array().unwrap() {
        let value = match &row["key"][column] {
            Value::Null => "0".to_owned(),
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        add(&mut groups, format!("{column}:{value}"), sums(row));
    }
    groups
}

/// The counters of a field. Each flow is in a monitored prefix, and counts once for its destination.
fn counted(collector: &Collector, field: &str) -> Sums {
    let mut counters = Sums::new();
    for prefix in PREFIXES {
        let top = json(collector, &["top", "127.0.0.1", prefix, "--field", field, "-n", "1000", "--json"]);
        for row in top["rows"].as_array().unwrap() {
            add(&mut counters, row["name"].as_str().unwrap().to_owned(), sums(row));
        }
    }
    counters
}

fn flows(sums: &Sums) -> u64 {
    sums.values().map(|[.., flows]| flows).sum()
}

/// Sends flows of every protocol. Returns how many.
fn send(collector: &Collector) -> u64 {
    let to = collector.receiving.to_string();
    let sent = PROTOCOLS.iter().map(|(protocol, ipv6)| {
        let load = ["--protocol", protocol, "--ipv6", ipv6, "--rate", "5000", "--flows", "1500", "--addresses", "250"];
        let load = [&load[..], &["--prefix", "10.0.0.0/8", "--prefix", "2001:db8::/32"]].concat();
        let sent = json(collector, &[&["generate", "--to", &to, "--json"][..], &load].concat());
        sent["flows"].as_u64().unwrap()
    });
    sent.sum()
}

/// What the look-up of another program makes of the flows of each address.
fn expected(collector: &Collector, table: &Path) -> BTreeMap<&'static str, Sums> {
    let of_field = |(field, address): (&'static str, &str)| {
        let groups = archived(collector, address, "");
        let address_of = |name: &str| name.split_once(':').unwrap().1.parse::<IpAddr>().unwrap();
        let known = looked_up(table, groups.keys().map(|name| address_of(name)));
        let mut sums = Sums::new();
        for (name, of_address) in &groups {
            let (asn, country) = &known[&address_of(name)];
            let value = if field.ends_with("as") { asn.to_string() } else { country.clone() };
            add(&mut sums, format!("{field}:{value}"), *of_address);
        }
        (field, sums)
    };
    FIELDS.map(of_field).into()
}

#[test]
fn the_archive_has_the_origins_that_were_counted() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(FILE), table(64500)).unwrap();
    let collector = Collector::start_in_with(directory, &SETTINGS);
    // It warns that these have both ends of every flow.
    let (_, stderr, code) = collector.command(&["senders", "add", "127.0.0.1", PREFIXES[0], PREFIXES[1]]);
    assert_eq!(code, Some(0), "{stderr}");
    collector.wait_for_line("senders=1");
    let tapped = tap::of(&collector, &["-c", "1", "--names", "src country CH and dstasfrom file"]);
    let sent = send(&collector);
    let shown = tapped.join().unwrap();
    assert_eq!(
        (&shown[0]["flow"]["sourceCountry"], &shown[0]["names"]["sourceCountry"]),
        (&"CH".into(), &"Switzerland".into())
    );
    let complete = |collector: &Collector| {
        collector.wait_until("archived", || flows(&archived(collector, "version", "")) >= sent);
        collector.wait_until("counted", || flows(&counted(collector, "srcas")) >= sent);
    };
    complete(&collector);
    let table_then = collector.path().join("then.tsv");
    fs::write(&table_then, table(64500)).unwrap();
    assert_eq!(archived(&collector, "version", "").len(), PROTOCOLS.len());
    let expected = expected(&collector, &table_then);
    for (field, expected) in &expected {
        assert!(expected.len() > 3 && expected.contains_key(&format!("{field}:0")), "{expected:?}");
        assert_eq!(flows(expected), sent);
        assert_eq!((&counted(&collector, field), &archived(&collector, field, "")), (expected, expected));
    }
    let swiss = archived(&collector, "srccountry", "src country ch");
    assert_eq!(swiss, Sums::from([("srccountry:CH".to_owned(), expected["srccountry"]["srccountry:CH"])]));
    let unknown = archived(&collector, "dstas", "dstasfrom none");
    assert_eq!(unknown, Sums::from([("dstas:0".to_owned(), expected["dstas"]["dstas:0"])]));
    let from_file = archived(&collector, "srcasfrom", "srcasfrom file and not src as 0");
    assert_eq!(flows(&from_file), sent - expected["srcas"]["srcas:0"][2]);
    let named = run(&collector, &["top", "127.0.0.1", PREFIXES[0], "--field", "srccountry"]);
    assert!(named.contains("\nsrccountry:CH (Switzerland) "), "{named}");

    // Flows that were counted are read from the log once more after a kill: with other files, they keep what they have.
    let directory = collector.kill();
    fs::write(directory.path().join(FILE), table(65000)).unwrap();
    let collector = Collector::start_in_with(directory, &SETTINGS);
    complete(&collector);
    for (field, expected) in &expected {
        assert_eq!((&counted(&collector, field), &archived(&collector, field, "")), (expected, expected));
    }
    let (directory, _) = collector.terminate();
    in_an_export(directory.path(), sent);
}

/// Each flow of the files has what the other program finds for its addresses.
fn in_an_export(directory: &Path, sent: u64) {
    const COLUMNS: &str = "srcip,srcas,srcasfrom,srccountry,dstip,dstas,dstasfrom,dstcountry";
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_netflow"));
    let arguments = ["archive", "export", "--folder", "data/flows", "--columns", COLUMNS];
    let output = command.args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len() as u64, sent);
    let ends = || rows.iter().flat_map(|row| row.chunks(4));
    let known = looked_up(&directory.join("then.tsv"), ends().map(|end| end[0].parse().unwrap()));
    for end in ends() {
        let (asn, country) = &known[&end[0].parse().unwrap()];
        let from = if *asn == 0 { "0" } else { "5" };
        let country = if country == "0" { "" } else { country };
        assert_eq!(end, [end[0], &asn.to_string(), from, country]);
    }
}

#[test]
fn the_archive_has_paths_by_bmp() {
    let (collector, to) = bmp::listening(&[]);
    bmp::register(&collector, "127.0.0.1");
    let stream = bmp::session(&collector, "127.0.0.1", to);
    bmp::announce(&stream, &[64501, 64502], [([10, 0, 0, 0].into(), 16)]);
    bmp::wait_for(&collector, "127.0.0.1", "published", |router| router["ranges"] == 1);
    let tapped = tap::of(&collector, &["-c", "30", "aspath", "64501"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ways = [[[10, 0, 7, 1], [192, 0, 2, 1]], [[192, 0, 2, 1], [10, 0, 7, 1]]];
    for [from, to] in ways {
        socket.send_to(&bmp::flows_without_as(from, to), collector.receiving).unwrap();
    }
    let by = |columns: &str| {
        let answer = json(&collector, &["flows", "--last", "1d", "--by", columns, "-o", "json"]);
        answer["rows"].as_array().unwrap().clone()
    };
    collector.wait_until("archived", || by("proto").first().is_some_and(|row| row["flows"] == 60));
    let values = |row: &Value| {
        ["srcas", "srcasfrom", "dstas", "dstasfrom", "nextas"].map(|column| row["key"][column].as_u64().unwrap())
    };
    let mut rows: Vec<_> = by("srcas,srcasfrom,dstas,dstasfrom,nextas").iter().map(values).collect();
    rows.sort_unstable();
    assert_eq!(rows, [[0, 0, 64502, 3, 64501], [64502, 3, 0, 0, 0]]);
    let mut paths: Vec<_> = by("dstas,dstaspath").iter().map(|row| row["key"].clone()).collect();
    paths.sort_by_key(|key| key["dstas"].as_u64());
    let expected = [object!({"dstas": 0, "dstaspath": null}), object!({"dstas": 64502, "dstaspath": "64501 64502"})];
    assert_eq!(paths, expected);
    for (filter, flows) in
        [("aspath 64501_64502", 30), ("aspath = 64501", 0), ("not aspath 64502", 30), ("aspath 0", 30)]
    {
        let answer = json(&collector, &["flows", "--last", "1d", "--by", "proto", "-o", "json", filter]);
        assert_eq!(answer["total"]["flows"], flows, "{filter}");
    }
    let shown = tapped.join().unwrap();
    let is_right =
        |line: &Value| line["flow"]["destinationAs"] == 64502 && line["flow"]["destinationAsPath"] == "64501 64502";
    assert!(shown.iter().all(is_right), "{shown:?}");
}
