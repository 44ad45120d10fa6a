//! IPFIX files (RFC 5655): what is written from an archive is what was counted, for this program and for those of others.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::collector::{Collector, PATIENCE};
use crate::terminal::Terminal;

/// Flows of the first, and sampled packets of the second.
const ROUTERS: [(&str, &[&str]); 2] =
    [("127.0.0.1", &["--protocol", "ipfix", "--ipv6", "33"]), ("127.0.0.2", &["--protocol", "sflow"])];
const FLOWS: u64 = 600;

/// A collector that knows both routers.
fn registered() -> Collector {
    let collector = Collector::start();
    for (router, _) in ROUTERS {
        let prefixes = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24},{"prefix":"2001:db8::","prefixLen":32}]}"#;
        collector.rest("PUT", &format!("/senders/{router}"), prefixes);
    }
    collector.wait_for_line("senders=2");
    collector
}

/// The directory of a collector that has archived what both routers have sent, and has ended.
fn archived() -> TempDir {
    let collector = registered();
    let (to, flows) = (collector.receiving.to_string(), FLOWS.to_string());
    for (router, load) in ROUTERS {
        let common = ["generate", "--to", &to, "--source", router, "--flows", &flows, "--rate", "1200"];
        let (_, errors, code) = collector.command(&[&common[..], load].concat());
        assert_eq!(code, Some(0), "{errors}");
    }
    collector.wait_until("the archive has what was sent", || {
        let (answer, _, _) = collector.command(&["flows", "--last", "1d", "--by", "exporter", "-o", "json"]);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.len() == 2 && rows.iter().all(|row| row["records"].as_u64() >= Some(FLOWS))
    });
    collector.terminate().0
}

fn netflow(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netflow")).args(arguments).current_dir(directory).output().unwrap()
}

/// What a command prints that succeeds.
fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = netflow(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The counters of a router in the store of a collector.
fn counters(directory: &Path, router: &str) -> BTreeSet<String> {
    let lines = printed(directory, &["store", "export"]);
    lines.lines().filter(|line| line.contains(router)).map(str::to_owned).collect()
}

/// Records, octets and packets, multiplied by the sampling rate, as decode prints them.
fn decoded(directory: &Path, file: &str) -> [u64; 3] {
    let mut sums = [0; 3];
    for line in printed(directory, &["decode", file]).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let flow = &record["flow"];
        let rate = flow["sampling"]["rate"].as_u64().unwrap();
        let [octets, packets] = ["bytes", "packets"].map(|key| flow[key].as_u64().unwrap() * rate);
        sums.iter_mut().zip([1, octets, packets]).for_each(|(sum, more)| *sum += more);
    }
    sums
}

/// The same as the archive has it.
fn in_archive(directory: &Path, filter: &str) -> [u64; 3] {
    let csv = printed(directory, &["archive", "export", "--columns", "bytes,packets,rate", filter]);
    let mut sums = [0; 3];
    for line in csv.lines().skip(1) {
        let numbers: Vec<u64> = line.split(',').map(|number| number.parse().unwrap()).collect();
        let [octets, packets, rate] = numbers[..] else { panic!("{line}") };
        sums.iter_mut().zip([1, octets * rate, packets * rate]).for_each(|(sum, more)| *sum += more);
    }
    sums
}

#[test]
fn what_is_written_from_an_archive_is_counted_as_it_was() {
    let directory = archived();
    let directory = directory.path();
    let fresh = registered().terminate().0;
    let fresh = fresh.path();
    for (router, _) in ROUTERS {
        let (file, filter) = (format!("{router}.ipfix"), format!("exporter {router}"));
        printed(directory, &["archive", "export", "-o", "ipfix", "-w", &file, &filter]);
        let sums = decoded(directory, &file);
        assert_eq!(sums, in_archive(directory, &filter));
        assert!(sums[0] >= FLOWS);
        // A second time, it replaces the first.
        let path = directory.join(&file).display().to_string();
        for _ in 0..2 {
            let counted = printed(fresh, &["import", "--sender", router, &path]);
            assert!(counted.contains(&format!(" flows {} ", sums[0])), "{counted}");
        }
        let expected = counters(directory, router);
        assert!(expected.len() > 100, "{expected:?}");
        assert_eq!(counters(fresh, router), expected);
    }
}

#[test]
fn an_answer_in_an_ipfix_file_has_the_same_totals_for_every_reader() {
    let directory = archived();
    let directory = directory.path();
    let flows = ["flows", "--folder", "data/flows", "--last", "1d", "-n", "10000", "-o", "ipfix"];
    let expected = in_archive(directory, "bytes >= 0");
    let sampled = in_archive(directory, "rate > 1");
    assert!(sampled[0] > 0, "the packets are sampled");
    for (more, has_rates) in [(&[][..], false), (&["--sent"], true)] {
        let output = netflow(directory, &[&flows[..], more].concat());
        let notes = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && notes.contains("flow records in"), "{notes}");
        fs::write(directory.join("answer.ipfix"), output.stdout).unwrap();
        assert_eq!(decoded(directory, "answer.ipfix"), expected);
        let lines = printed(directory, &["decode", "answer.ipfix"]);
        assert_eq!(lines.contains("samplingInterval"), has_rates);
        assert!(lines.contains(r#""originalExporterIPv4Address":"127.0.0.2""#));
        if !has_rates {
            assert_eq!(read_by_libfixbuf(directory, "answer.ipfix"), expected);
            assert_eq!(read_by_python(directory, "answer.ipfix"), expected);
        }
    }
}

/// What ipfixDump prints: a line for each field of a record.
fn read_by_libfixbuf(directory: &Path, file: &str) -> [u64; 3] {
    let output = Command::new("ipfixDump").args(["--data", "--in", file]).current_dir(directory).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let values = |name: &str| -> Vec<u64> {
        let lines = text.lines().filter(|line| line.contains(&format!(" {name} ")) && line.contains(" : "));
        lines.filter_map(|line| line.rsplit_once(" : ")?.1.trim().parse().ok()).collect()
    };
    let (octets, packets) = (values("octetDeltaCount"), values("packetDeltaCount"));
    assert_eq!(octets.len(), packets.len(), "{text}");
    [octets.len() as u64, octets.iter().sum(), packets.iter().sum()]
}

/// What the package `ipfix` of Python reads.
fn read_by_python(directory: &Path, file: &str) -> [u64; 3] {
    const SCRIPT: &str = "
import sys, ipfix.ie, ipfix.reader
ipfix.ie.use_iana_default()
ipfix.ie.use_5103_default()
count = octets = packets = 0
with open(sys.argv[1], 'rb') as stream:
    for record in ipfix.reader.from_stream(stream).namedict_iterator():
        count += 1
        octets += record['octetDeltaCount']
        packets += record['packetDeltaCount']
print(count, octets, packets)
";
    // The interpreter that Debian's packages are for.
    let mut command = Command::new("/usr/bin/python3");
    let output = command.args(["-c", SCRIPT, file]).current_dir(directory).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn an_import_requires_the_sender_of_an_ipfix_file_and_of_nothing_else() {
    let directory = registered().terminate().0;
    let directory = directory.path();
    fs::write(directory.join("none.ipfix"), [&[0, 10, 0, 16][..], &[0; 12]].concat()).unwrap();
    let output = netflow(directory, &["import", "none.ipfix"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    assert!(errors.contains("none.ipfix is an IPFIX file, which has no addresses: add --sender ADDRESS"), "{errors}");
    printed(directory, &["import", "none.ipfix", "--sender", ROUTERS[0].0]);
    let capture = crate::imports::capture(directory, "one.pcap", &[]);
    let capture = capture.to_str().unwrap();
    let output = netflow(directory, &["import", capture, "--sender", ROUTERS[0].0]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && errors.contains("--sender is for IPFIX files"), "{errors}");
}

#[test]
fn a_truncated_ipfix_file_is_imported_up_to_its_last_whole_message() {
    let directory = archived();
    let directory = directory.path();
    printed(directory, &["archive", "export", "-o", "ipfix", "-w", "whole.ipfix", "exporter 127.0.0.1"]);
    let octets = fs::read(directory.join("whole.ipfix")).unwrap();
    fs::write(directory.join("cut.ipfix"), &octets[..octets.len() - 1]).unwrap();
    let fresh = registered().terminate().0;
    let cut = directory.join("cut.ipfix").display().to_string();
    let output = netflow(fresh.path(), &["import", "--sender", "127.0.0.1", &cut]);
    let (counted, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(4), "{counted}{errors}");
    assert!(errors.contains("everything before this was counted: damaged at octet "), "{errors}");
    let flows = counted.split(" flows ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok()).unwrap();
    let all = in_archive(directory, "exporter 127.0.0.1")[0];
    assert!(0 < flows && flows < all, "{flows} of {all}");
}

#[test]
fn groups_and_columns_without_elements_are_refused_in_an_ipfix_file() {
    let directory = archived();
    let directory = directory.path();
    let flows = ["flows", "--folder", "data/flows", "--last", "1d", "-o", "ipfix"];
    for (command, proposal) in [
        ([&flows[..], &["--by", "srcip"]].concat(), "-o ipfix is of single flows"),
        ([&flows[..], &["--columns", "srcip,dstaspath"]].concat(), "IPFIX has no element for dstaspath"),
        (vec!["archive", "export", "-o", "ipfix", "--columns", "version"], "IPFIX has no element for version"),
    ] {
        let output = netflow(directory, &command);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(9), 0), "{errors}");
        assert!(errors.contains(proposal), "{errors}");
    }
    // Columns that are named are the only ones.
    let output = netflow(directory, &[&flows[..], &["--columns", "srcip,bytes", "-n", "5"]].concat());
    fs::write(directory.join("two.ipfix"), output.stdout).unwrap();
    let record = printed(directory, &["decode", "two.ipfix"]);
    assert_eq!(record.lines().count(), 5);
    let first: Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"].as_object().unwrap().len(), 2, "{first}");
}

#[test]
fn a_replay_sends_each_message_of_an_ipfix_file_in_a_datagram() {
    let directory = tempfile::tempdir().unwrap();
    let messages = [1, 2].map(|domain| [&[0, 10, 0, 16][..], &[0; 11], &[domain]].concat());
    fs::write(directory.path().join("two.ipfix"), messages.concat()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let report = printed(directory.path(), &["replay", "two.ipfix", "--to", &to, "--port", "2055", "--json"]);
    for message in messages {
        let mut octets = [0; 100];
        let length = socket.recv(&mut octets).unwrap();
        assert_eq!(octets[..length], message);
    }
    let report: Value = serde_json::from_str(&report).unwrap();
    let [exporter] = report["exporters"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&exporter["captured"], &exporter["datagrams"]), (&Value::Null, &2.into()));
    let report = printed(directory.path(), &["replay", "two.ipfix", "--to", &to]);
    assert!(report.contains("2 of IPFIX files from 127.0.0.1:"), "{report}");
}

#[test]
fn a_terminal_gets_no_file_that_only_programs_read() {
    let collector = registered();
    for (line, kind) in [
        ("netflow flows -o ipfix", "an IPFIX"),
        ("netflow archive export -o ipfix", "an IPFIX"),
        ("netflow archive export -o parquet", "a Parquet"),
    ] {
        let mut terminal = Terminal::start(&collector, 160, "xterm", line);
        let error = format!("{kind} file is not for a terminal");
        collector.wait_until(line, || terminal.printed().contains(&error));
        assert_eq!(terminal.wait().code(), Some(1));
    }
    collector.terminate();
}
