//! `netflow generate` and `netflow replay` with the real collector: everything that they report as sent is counted, name by
//! name.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flow::{Counters, Protocol, Timestamp};
use generator::{Generator, Load, Traffic};
use serde_json::Value;

use crate::collector::{Collector, PATIENCE};
use crate::traffic::{PREFIXES, Totals};
use crate::{answered, answered_in_time, register};

fn netflow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netflow")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> (&str, &str) {
    (std::str::from_utf8(&output.stdout).unwrap(), std::str::from_utf8(&output.stderr).unwrap())
}

fn counters(json: &Value) -> Counters {
    let number = |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("no {key}: {json}"));
    Counters { bytes: number("bytes"), packets: number("pkts"), flows: number("flows") }
}

/// Generates a load into a collector with the default fields, and compares all names.
fn every_name_is_counted(protocol: &str, more: &[&str]) {
    let collector = Collector::start();
    every_generated_name_is_counted(&collector, protocol, more);
}

/// Generates a load into a collector, and compares all names. Returns what was expected.
fn every_generated_name_is_counted(collector: &Collector, protocol: &str, more: &[&str]) -> Totals {
    register(collector);
    let to = collector.receiving.to_string();
    let mut arguments = vec!["generate", "--protocol", protocol, "--to", &to, "--rate", "20000", "--flows", "4000"];
    arguments.extend(["--addresses", "60", "--client-ports", "30", "--as-numbers", "20", "--local", "10", "--json"]);
    arguments.extend(["--prefix", PREFIXES[0], "--prefix", PREFIXES[2]]);
    arguments.extend(PREFIXES.iter().flat_map(|prefix| ["--names", prefix]));
    arguments.extend(more);
    let output = netflow(&arguments);
    assert!(output.status.success(), "{:?}", stderr(&output));
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(counters(&sent), counters(&sent["exporters"][0]));
    assert_eq!(sent["exporters"][0]["ip"], "127.0.0.1");
    let text = |name: &Value, key: &str| name[key].as_str().unwrap().to_owned();
    let names = sent["names"].as_array().unwrap().iter();
    let key = |name| (text(name, "prefix"), text(name, "direction"), text(name, "name"));
    let expected: Totals = names.map(|name| (key(name), counters(name))).collect();
    assert!(expected.len() > 200, "{expected:?}");
    let answered = answered_in_time(collector, &expected);
    let wrong = expected.iter().find(|(key, counters)| answered.get(*key) != Some(counters));
    assert_eq!(wrong.map(|(key, counters)| (key, Some(counters), answered.get(key))), None, "{}", collector.log());
    assert_eq!(answered.len(), expected.len());
    expected
}

#[test]
fn every_name_of_netflow_v5_is_counted() {
    every_name_is_counted("v5", &[]);
}

#[test]
fn every_name_of_netflow_v9_is_counted() {
    every_name_is_counted("v9", &["--ipv6", "40", "--zipf"]);
}

#[test]
fn every_name_of_ipfix_is_counted() {
    every_name_is_counted("ipfix", &["--ipv6", "40", "--ports", "3", "--template-interval", "10"]);
}

#[test]
fn every_name_of_sflow_is_counted() {
    every_name_is_counted("sflow", &["--repeat", "0"]);
}

/// What `netflow top` answers of a prefix: name by name, then what is under no name.
fn top(collector: &Collector, prefix: &str, direction: &str, field: &str) -> (BTreeMap<String, Counters>, Value) {
    let arguments = ["top", "127.0.0.1", prefix, "--field", field, "--direction", direction, "-n", "1000", "--json"];
    let (output, messages, code) = collector.command(&arguments);
    assert_eq!(code, Some(0), "{messages}");
    let answer: Value = serde_json::from_str(&output).unwrap();
    let rows = answer["rows"].as_array().unwrap().iter();
    (rows.map(|row| (row["name"].as_str().unwrap().to_owned(), counters(row))).collect(), answer)
}

#[test]
fn interfaces_are_counted_where_the_configuration_names_them() {
    for protocol in ["v5", "v9", "ipfix", "sflow"] {
        let collector = Collector::start_with(&[("NETFLOW__ACCOUNTING__FIELDS", "srcport,inif,outif")]);
        let fields = ["--fields", "all,srcport,inif,outif"];
        let expected = every_generated_name_is_counted(&collector, protocol, &fields);
        for (field, direction) in [("inif", "in"), ("outif", "out"), ("inif", "in:local")] {
            let of_field = |(prefix, of, name): &(String, String, String)| {
                prefix == PREFIXES[0] && of == direction && name.starts_with(&format!("{field}:"))
            };
            let expected: BTreeMap<_, _> = (expected.iter().filter(|(key, _)| of_field(key)))
                .map(|((.., name), counters)| (name.clone(), *counters))
                .collect();
            assert!(expected.len() > 10, "{protocol} {field}: {expected:?}");
            let (rows, answer) = top(&collector, PREFIXES[0], direction, field);
            assert_eq!(rows, expected, "{protocol} {field}: {answer}");
            assert_eq!(answer["truncated"], false, "{answer}");
        }
    }
}

#[test]
fn a_field_that_is_not_counted_shows_all_traffic_under_no_name() {
    let collector = Collector::start();
    let expected = every_generated_name_is_counted(&collector, "v9", &[]);
    let all = expected[&(PREFIXES[0].to_owned(), "in".to_owned(), "all".to_owned())];
    let (rows, answer) = top(&collector, PREFIXES[0], "in", "inif");
    assert_eq!((rows.len(), &answer["truncated"]), (0, &Value::Bool(true)), "{answer}");
    assert_eq!((counters(&answer["other"]), counters(&answer["total"])), (all, all), "{answer}");
    let year = collector.shell("date -u +%Y");
    let question = format!(r#"{{"{}":{{"years":[{{"{}":["inif:1"]}}]}}}}"#, PREFIXES[0], year.trim());
    let answer = collector.rest("POST", "/stats/127.0.0.1", &question);
    let rows = answer[PREFIXES[0]]["years"][0][year.trim()].as_array().unwrap();
    let row = rows.iter().find(|row| row["direction"] == "in").unwrap_or_else(|| panic!("{answer}"));
    assert_eq!((&row["name"], &row["truncated"], counters(row)), (&"inif:other".into(), &true.into(), all), "{answer}");
}

#[test]
fn interrupted_it_reports_what_it_sent() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = receiver.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.args(["generate", "--protocol", "v5", "--exporters", "2", "--rate", "3000", "--to", &to]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut received = BTreeMap::<IpAddr, u64>::new();
    let read = |received: &mut BTreeMap<IpAddr, u64>| {
        let (_, from) = receiver.recv_from(&mut [0; 2048])?;
        *received.entry(from.ip()).or_default() += 1;
        std::io::Result::Ok(())
    };
    (0..20).for_each(|_| read(&mut received).unwrap());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    receiver.set_nonblocking(true).unwrap();
    while read(&mut received).is_ok() {}
    let (text, errors) = stderr(&output);
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(received.len(), 2);
    for (source, datagrams) in received {
        assert!(text.contains(&format!("  from {source}: {} flows, ", 30 * datagrams)), "{source} {datagrams}: {text}");
    }
}

#[test]
fn an_impossible_load_is_rejected_with_the_reason() {
    for (arguments, reason) in [
        (["--protocol", "v5", "--ipv6", "10"], "without IPv6"),
        (["--exporters", "0", "--ports", "1"], "at least one of: exporters"),
        (["--exporters", "2", "--source", "192.0.2.1"], "cannot send to"),
        (["--rate", "0", "--ports", "1"], "or max"),
        (["--to", "127.0.0.1", "--ports", "1"], "HOST:PORT"),
    ] {
        let output = netflow(&[&["generate", "--flows", "10"][..], &arguments].concat());
        let (_, errors) = stderr(&output);
        assert!(!output.status.success() && errors.contains(reason), "{arguments:?}: {errors}");
    }
}

/// A capture of two exporters whose templates have the same id, datagrams 20 ms apart; and what it holds.
fn capture(path: &Path) -> (u64, Counters) {
    let mut writer = capture::Writer::new(File::create(path).unwrap()).unwrap();
    let start = Timestamp::from(SystemTime::now());
    let mut sum = Counters::ZERO;
    let mut written = 0;
    for (exporter, ipv6_percent) in [(1, 0), (2, 100)] {
        let prefixes = PREFIXES.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let traffic = Traffic { prefixes, ipv6_percent, addresses: 50, ..Traffic::default() };
        let load = Load { protocol: Protocol::Ipfix, traffic, repeat: Some(600), ..Load::default() };
        let mut generator = Generator::new(load).unwrap();
        for made in generator.batch(start, 10) {
            let source = SocketAddr::from((Ipv4Addr::new(192, 0, 2, exporter), 40_000));
            let at = start.saturating_add(Duration::from_millis(20 * written));
            writer.write(at, source, "198.51.100.1:2055".parse().unwrap(), made.payload).unwrap();
            written += 1;
        }
        sum.add(generator.totals().all);
    }
    writer.write(start, "192.0.2.9:53".parse().unwrap(), "198.51.100.1:53".parse().unwrap(), b"name").unwrap();
    (written, sum)
}

#[test]
fn a_capture_that_is_sent_is_counted() {
    let collector = Collector::start();
    register(&collector);
    let path = collector.path().join("export.pcap");
    let (datagrams, expected) = capture(&path);
    let to = collector.receiving.to_string();
    let begun = Instant::now();
    let arguments = ["replay", path.to_str().unwrap(), "--to", &to, "--port", "2055", "--realtime"];
    let output = netflow(&arguments);
    let (text, errors) = stderr(&output);
    assert!(output.status.success(), "{text}{errors}");
    assert!(begun.elapsed() >= Duration::from_millis(20 * (datagrams - 1)), "too fast");
    assert!(text.starts_with(&format!("sent {datagrams} datagrams to {to} ")), "{text}");
    assert!(text.contains("  11 of 192.0.2.1:40000 from 127.0.0.1:"), "{text}");
    assert!(!text.contains("192.0.2.9"), "{text}");
    // Each flow is in or out of the first or the last prefix, which are apart.
    let keys = [PREFIXES[0], PREFIXES[2]].map(|prefix| ["in", "out"].map(|way| (prefix.to_owned(), way.to_owned())));
    let key = |(prefix, way)| ((prefix, way, "all".to_owned()), Counters::ZERO);
    let asked: Totals = keys.into_iter().flatten().map(key).collect();
    let end = Instant::now() + PATIENCE;
    loop {
        let mut sum = Counters::ZERO;
        answered(&collector, &asked).values().for_each(|counters| sum.add(*counters));
        if sum == expected {
            break;
        }
        assert!(Instant::now() < end, "{sum:?}, not {expected:?}: {}", collector.log());
    }
}
