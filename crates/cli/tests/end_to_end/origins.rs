//! AS numbers and names from files: softflowd, which exports AS 0, and files of both kinds; damaged files; and files that are
//! replaced under load.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testing::mmdb::{Mmdb, Value as Recorded};

use crate::collector::{Collector, PATIENCE};
use crate::commands::run;
use crate::load::{self, FLOWS_A_SECOND, Running, flows, until_exact};
use crate::traffic::{self, Totals};
use crate::{answered_in_time, export, register, thirty_flows};

/// Networks of the tests' traffic, each with its first and last address, AS number, country and AS name.
const NETWORKS: [(&str, &str, u8, u32, &str, &str); 6] = [
    ("198.51.100.0", "198.51.100.15", 28, 64500, "CH", "First Ltd"),
    ("198.51.100.16", "198.51.100.31", 28, 64501, "AT", "Second GmbH"),
    ("192.0.2.0", "192.0.2.127", 25, 64502, "DE", "Own"),
    ("192.0.2.128", "192.0.2.255", 25, 65550, "FR", "Other"),
    ("2001:db8:1::", "2001:db8:1:0:ffff:ffff:ffff:ffff", 64, 64502, "DE", "Own"),
    ("2001:db8:2::", "2001:db8:2::1f", 123, 65536, "US", "Six"),
];

/// The file of iptoasn.com.
fn tsv() -> String {
    let lines =
        NETWORKS.map(|(first, last, _, asn, country, name)| format!("{first}\t{last}\t{asn}\t{country}\t{name}\n"));
    lines.concat() + "198.51.100.48\t198.51.100.63\t0\tNone\tNot routed\n"
}

/// A MaxMind database with the same networks.
fn mmdb() -> Vec<u8> {
    let mut database = Mmdb::new("GeoLite2-ASN", true, 28);
    for (first, _, length, asn, _, name) in NETWORKS {
        let record = Recorded::Map(vec![
            ("autonomous_system_number", Recorded::Number(asn)),
            ("autonomous_system_organization", Recorded::Text(name)),
        ]);
        database.insert(first.parse().unwrap(), length.into(), &record);
    }
    database.finish()
}

/// The AS number and country of each address, by another program; 0 for what is unknown.
pub(crate) fn looked_up(tsv: &Path, addresses: impl IntoIterator<Item = IpAddr>) -> BTreeMap<IpAddr, (u32, String)> {
    const SCRIPT: &str = "\
import ipaddress, sys
ranges = [line.rstrip('\\n').split('\\t') for line in open(sys.argv[1])]
for text in sys.stdin.read().split():
    address = ipaddress.ip_address(text)
    found, place = 0, '0'
    for first, last, asn, country, _ in ranges:
        first, last = ipaddress.ip_address(first), ipaddress.ip_address(last)
        if first.version == address.version and first <= address <= last:
            found, place = int(asn), country.replace('None', '0')
    print(text, found, place)
";
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).arg(tsv).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 is installed by `make test`");
    let asked: Vec<String> = addresses.into_iter().map(|address| address.to_string()).collect();
    child.stdin.take().unwrap().write_all(asked.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        let [address, asn, country] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (address.parse().unwrap(), (asn.parse().unwrap(), country.to_owned()))
    };
    lines.lines().map(read).collect()
}

/// A collector with this file.
fn start(name: &str, content: &[u8]) -> Collector {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name), content).unwrap();
    // The generator of the load also has AS numbers, softflowd has none.
    let order = ("NETFLOW__ORIGINS__ORDER", "files, exporter");
    Collector::start_in_with(directory, &[("NETFLOW__ORIGINS__FILES", name), order])
}

fn files(collector: &Collector) -> Value {
    collector.rest("GET", "/status", "")["originFiles"].clone()
}

fn softflowd_is_counted_under_the_as_of(name: &str, content: &[u8]) {
    let collector = start(name, content);
    assert!(collector.startup_log().contains("read 1 files of origins.files in "), "{}", collector.startup_log());
    register(&collector);
    let (capture, table) = (collector.path().join("traffic.pcap"), collector.path().join("table"));
    traffic::write(&capture, true);
    fs::write(&table, tsv()).unwrap();
    let known = looked_up(&table, traffic::addresses(&capture));
    let expected = traffic::expected_with(&capture, |address| known[&address].0);
    export(&collector, "softflowd", 9);
    let answered = answered_in_time(&collector, &expected);
    let wrong = expected.iter().find(|(key, counters)| answered.get(key) != Some(counters));
    if let Some((key, counters)) = wrong {
        panic!("{key:?} is {:?}, not {counters:?}\n{}", answered.get(key), collector.log());
    }
    assert_eq!(answered.len(), expected.len());

    let top = ["top", "127.0.0.1", "192.0.2.0/24", "--field", "srcas"];
    let shown = run(&collector, &top);
    for text in ["\nsrcas:64500 (First Ltd) ", "\nsrcas:64501 (Second GmbH) ", "\nsrcas:0 "] {
        assert!(shown.contains(text), "{shown}");
    }
    let programs =
        |more: &str| run(&collector, &[&top[..], &["--csv", more][..1 + usize::from(!more.is_empty())]].concat());
    assert!(!programs("").contains("First"));
    assert!(programs("--names").contains("\nsrcas:64500,First Ltd,"));
    let (printed, _, _) = collector.command(&["doctor"]);
    assert!(printed.contains("% from files, ") && printed.contains("% unknown\n"), "{printed}");
    collector.terminate();
}

#[test]
fn softflowd_is_counted_under_the_as_of_a_text_file() {
    softflowd_is_counted_under_the_as_of("ip2asn.tsv", tsv().as_bytes());
}

#[test]
fn softflowd_is_counted_under_the_as_of_a_maxmind_database() {
    softflowd_is_counted_under_the_as_of("GeoLite2-ASN.mmdb", &mmdb());
}

/// Sends flows from 198.51.100.1 until more of them are counted under this AS.
fn until_counted(collector: &Collector, asn: u32) {
    let name = format!("srcas:{asn}");
    let flows = || {
        let top = run(collector, &["top", "127.0.0.1", "192.0.2.0/24", "--field", "srcas", "--json"]);
        let top: Value = serde_json::from_str(&top).unwrap();
        let row = top["rows"].as_array().unwrap().iter().find(|row| row["name"] == *name).cloned();
        row.map_or(0, |row| row["flows"].as_u64().unwrap())
    };
    let (socket, before) = (UdpSocket::bind("127.0.0.1:0").unwrap(), flows());
    collector.wait_until(&format!("counted under AS {asn}"), || {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        flows() > before
    });
}

#[test]
fn a_damaged_file_leaves_what_was_read_and_is_reported_with_its_place() {
    let collector = start("a.tsv", tsv().as_bytes());
    register(&collector);
    until_counted(&collector, 64500);
    let path = collector.path().join("a.tsv");
    fs::write(&path, format!("{}198.51.100.9\t", tsv().replace("64500", "64999"))).unwrap();
    collector.wait_until("reported", || files(&collector)["files"][0]["error"].is_string());
    let shown = files(&collector);
    let error = shown["files"][0]["error"].as_str().unwrap();
    assert!(error.starts_with("a.tsv, line 8: ") && error.contains("is no address"), "{error}");
    assert!(shown["files"][0]["failingSince"].is_string() && shown["ipv4Ranges"] == 4, "{shown}");
    until_counted(&collector, 64500);
    let (printed, _, code) = collector.command(&["doctor"]);
    assert!(
        code != Some(0) && printed.contains("[origin_file_unusable]") && printed.contains("a.tsv, line 8: "),
        "{printed}"
    );
    let metrics = collector.shell(&format!("curl -sS http://{}/metrics", collector.serving));
    assert!(metrics.contains("netflow_origin_file_failing{file=\"a.tsv\"} 1.0"), "{metrics}");

    // By another file under its name, as publishers' scripts do it.
    let new = collector.path().join("new.tsv");
    fs::write(&new, tsv().replace("64500", "64999")).unwrap();
    fs::rename(&new, &path).unwrap();
    collector.wait_until("read", || files(&collector)["files"][0]["error"].is_null());
    until_counted(&collector, 64999);
    let (printed, _, _) = collector.command(&["doctor"]);
    assert!(!printed.contains("origin_file"), "{printed}");
}

#[test]
fn a_missing_file_stops_nothing_and_is_read_at_a_reload() {
    let text = "origins.files = [\"a.tsv\"]\nnetflow.listen = [\"127.0.0.1:0\"]\nhttp.listen = \"127.0.0.1:0\"\n";
    let addresses = |collector: &Collector, more: &str| {
        let Collector { receiving, serving, .. } = collector;
        text.replace("[\"127.0.0.1:0\"]", &format!("[\"{receiving}\"]")).replace("127.0.0.1:0", &serving.to_string())
            + more
    };
    let (receiving, serving) = (crate::reloads::free_udp(), crate::reloads::free_tcp());
    let first =
        text.replace("[\"127.0.0.1:0\"]", &format!("[\"{receiving}\"]")).replace("127.0.0.1:0", &serving.to_string());
    let collector = Collector::start_configured(&first);
    let log = collector.startup_log();
    assert!(log.contains("nothing of them is in use: a.tsv: No such file"), "{log}");
    let (checked, _, _) = collector.command(&["check-config"]);
    assert!(checked.contains("note  origins.files: a.tsv: No such file"), "{checked}");
    collector.command(&["senders", "add", "127.0.0.1", "192.0.2.0/24"]);
    until_counted(&collector, 0);
    fs::write(collector.path().join("a.tsv"), tsv()).unwrap();
    let (checked, _, _) = collector.command(&["check-config"]);
    let expected = "ok    origins.files: a.tsv: ranges with tabs, 4 IPv4 ranges, 2 IPv6 ranges, 5 AS names";
    assert!(checked.contains(expected), "{checked}");
    collector.reload(&addresses(&collector, ""));
    collector.wait_until("read", || files(&collector)["reads"] == 1);
    until_counted(&collector, 64500);
    // What the router sends first: it sends AS 0. Without files in the order, nothing is known.
    collector.reload(&addresses(&collector, "origins.order = [\"exporter\"]\n"));
    until_counted(&collector, 0);
    let none = addresses(&collector, "").replace("\"a.tsv\"", "");
    collector.reload(&none);
    collector.wait_until("unused", || files(&collector).is_null());
    until_counted(&collector, 0);
}

/// 500,000 ranges of IPv4 and 200,000 of IPv6, of which one has the traffic of the load.
fn large(asn: u32) -> String {
    let mut text = format!("192.0.2.0\t192.0.2.255\t{asn}\tCH\tOwn {asn}\n");
    for number in 0..500_000 {
        let first = Ipv4Addr::from_bits(0x0100_0000 + number * 256);
        let last = Ipv4Addr::from_bits(first.to_bits() + 200);
        writeln!(text, "{first}\t{last}\t{}\tDE\tName {}", 1 + number % 80_000, number % 80_000).unwrap();
    }
    for number in 0..200_000_u128 {
        let first = (0x2a00 << 112) + (number << 80);
        let (first, last) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(first + (1 << 80) - 1));
        writeln!(text, "{first}\t{last}\t{}\tDE\t", 1 + number % 80_000).unwrap();
    }
    text
}

#[test]
fn files_are_replaced_under_load_and_no_flow_is_lost() {
    let collector = start("a.tsv", large(64500).as_bytes());
    let shown = files(&collector);
    assert_eq!((&shown["ipv4Ranges"], &shown["ipv6Ranges"]), (&json!(500_001), &json!(200_000)), "{shown}");
    assert!(shown["bytes"].as_u64().unwrap() < 40_000_000, "{shown}");
    load::register(&collector);
    let running = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    let replaced = [64501, 64502, 64503];
    for (reads, asn) in (2..).zip(replaced) {
        let new = collector.path().join("new.tsv");
        fs::write(&new, large(asn)).unwrap();
        fs::rename(&new, collector.path().join("a.tsv")).unwrap();
        collector.wait_until("read", || files(&collector)["reads"] == reads);
        // Some are looked up there.
        let top = || run(&collector, &["top", "127.0.0.1", "192.0.2.0/24", "--field", "dstas", "--csv"]);
        collector.wait_until("used", || top().contains(&format!("\ndstas:{asn},")));
    }
    let expected: Totals = running.stop();
    assert!(flows(&expected) > 20_000);
    until_exact(&collector, &expected, PATIENCE);
    assert_eq!(collector.counter("kernel_drops"), 0);
    assert_eq!(files(&collector)["failures"], 0);
}
