//! `netflow decode` as the shell sees it: output, messages and exit codes.
#![cfg(test)]

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use capture::{Carrier, UdpDatagram, Writer, frame};
use flow::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

/// A NetFlow v5 datagram with this many records of one packet and 100 octets each.
fn netflow_v5(records: u16) -> Vec<u8> {
    let mut datagram = [5_u16, records].map(u16::to_be_bytes).concat();
    datagram.resize(24, 0);
    for _ in 0..records {
        let mut record = [0; 48];
        record[..8].copy_from_slice(&[192, 0, 2, 7, 198, 51, 100, 9]);
        record[19] = 1;
        record[23] = 100;
        datagram.extend(record);
    }
    datagram
}

/// A capture of datagrams, each sent to a port.
fn capture(folder: &TempDir, name: &str, datagrams: &[(u16, Vec<u8>)]) -> PathBuf {
    let path = folder.path().join(name);
    let mut writer = Writer::new(File::create(&path).unwrap()).unwrap();
    for (port, payload) in datagrams {
        let (source, destination): (SocketAddr, _) =
            ("192.0.2.1:4444".parse().unwrap(), ([192, 0, 2, 2], *port).into());
        writer.write(Timestamp::from_seconds(1_391_317_260), source, destination, payload).unwrap();
    }
    path
}

fn decode(arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netflow")).arg("decode").args(arguments).args(files).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_record_is_a_line_of_json() {
    let folder = TempDir::new().unwrap();
    let file = capture(&folder, "a.pcap", &[(2055, netflow_v5(2)), (9995, netflow_v5(1))]);
    let output = decode(&[], &[&file]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let records = lines(&output);
    assert_eq!(records.len(), 3);
    assert_eq!(records[0]["protocol"], "netflow-v5");
    assert_eq!(records[0]["exporter"], "192.0.2.1");
    assert_eq!(records[0]["received"], "2014-02-02T05:01:00Z");
    assert_eq!(records[0]["flow"]["bytes"], 100);
}

#[test]
fn ports_choose_and_files_add_up() {
    let folder = TempDir::new().unwrap();
    let first = capture(&folder, "a.pcap", &[(2055, netflow_v5(2)), (9995, netflow_v5(1)), (53, vec![1; 40])]);
    let second = capture(&folder, "b.pcap", &[(9995, netflow_v5(4))]);
    assert_eq!(lines(&decode(&["--port", "9995"], &[&first])).len(), 1);
    let output = decode(&["--summary", "--port", "9995", "--port", "2055"], &[&first, &second]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["datagrams"]["total"], 3);
    assert_eq!(summary["datagrams"]["by_version"]["5"], 3);
    assert_eq!(summary["records"]["data"], 7);
    assert_eq!((&summary["sum"]["octets"], &summary["sum"]["packets"]), (&700.into(), &7.into()));
}

#[test]
fn a_dash_is_standard_input() {
    let folder = TempDir::new().unwrap();
    let file = capture(&folder, "a.pcap", &[(2055, netflow_v5(2))]);
    let command = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(["decode", "-"])
        .stdin(File::open(file).unwrap())
        .output()
        .unwrap();
    assert_eq!(lines(&command).len(), 2);
}

#[test]
fn an_unreadable_file_does_not_affect_the_others() {
    let folder = TempDir::new().unwrap();
    let whole = capture(&folder, "a.pcap", &[(2055, netflow_v5(1)), (2055, netflow_v5(1))]);
    let cut = folder.path().join("cut.pcap");
    let octets = fs::read(&whole).unwrap();
    fs::write(&cut, &octets[..octets.len() - 1]).unwrap();
    let missing = folder.path().join("missing.pcap");
    let output = decode(&[], &[&missing, &cut, &whole]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(lines(&output).len(), 3);
    let messages = String::from_utf8(output.stderr).unwrap();
    let messages: Vec<&str> = messages.lines().collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].starts_with(&format!("netflow: {}: cannot open the file: ", missing.display())),
        "{messages:?}"
    );
    assert!(messages[1].contains("cut.pcap: damaged at octet 140, after packet 1: the file ends"), "{messages:?}");
}

#[test]
fn undecoded_data_is_reported() {
    let folder = TempDir::new().unwrap();
    let cut: Vec<u8> = netflow_v5(2)[..100].to_vec();
    let file = capture(&folder, "a.pcap", &[(2055, cut)]);
    let output = decode(&[], &[&file]);
    assert_eq!((output.status.code(), lines(&output).len()), (Some(0), 1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, "netflow: malformed parts of datagrams: 1; see --summary\n");
    let summary: Value = serde_json::from_slice(&decode(&["--summary"], &[&file]).stdout).unwrap();
    assert_eq!(summary["malformed"][0]["datagram"], 1);
    assert_eq!(summary["malformed"][0]["reason"], "truncated_records");
    let empty = capture(&folder, "empty.pcap", &[]);
    let output = decode(&[], &[&empty]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().ends_with("empty.pcap contains no UDP datagrams\n"));
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let folder = TempDir::new().unwrap();
    let many: Vec<_> = (0..500).map(|_| (2055, netflow_v5(30))).collect();
    let file = capture(&folder, "a.pcap", &many);
    let mut child = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .arg("decode")
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut messages = String::new();
    child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    assert_eq!((child.wait().unwrap().code(), messages.as_str()), (Some(0), ""));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let folder = TempDir::new().unwrap();
    let file = capture(&folder, "a.pcap", &[(2055, netflow_v5(2))]);
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let output = Command::new(env!("CARGO_BIN_EXE_netflow")).arg("decode").arg(file).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_wrong_command_line_has_its_own_exit_code() {
    assert_eq!(decode(&[], &[]).status.code(), Some(2));
    assert_eq!(decode(&["--port", "70000"], &[Path::new("x")]).status.code(), Some(2));
}

#[test]
fn a_capture_of_other_traffic_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let queries = capture(&folder, "dns.pcap", &[(53, vec![0x12; 40]), (53, vec![0x34; 40])]);
    let output = decode(&[], &[&queries]);
    let messages = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{messages}");
    assert!(messages.contains("netflow: none of 2 datagrams is NetFlow, IPFIX or sFlow"), "{messages}");
    // Beside export datagrams it is not: the rest is counted as malformed.
    let mixed = capture(&folder, "mixed.pcap", &[(53, vec![0x12; 40]), (2055, netflow_v5(1))]);
    assert_eq!(decode(&[], &[&mixed]).status.code(), Some(0));
}

/// An IPFIX message of a template with this id: an address of this length, octets, packets. Then records of one packet.
fn ipfix(template: u16, address: (u16, u16), records: u16) -> Vec<u8> {
    let (element, length) = address;
    let template_set = [2, 20, template, 3, element, length, 1, 8, 2, 8].map(u16::to_be_bytes).concat();
    let mut record = vec![7; length.into()];
    record.extend([100_u64, 1].map(u64::to_be_bytes).concat());
    let data = record.repeat(records.into());
    let data_set = [template.to_be_bytes(), (data.len() as u16 + 4).to_be_bytes()].concat();
    let content = [template_set, data_set, data].concat();
    let header = [10, content.len() as u16 + 16].map(u16::to_be_bytes).concat();
    [header, [1_391_317_260_u32, 0, 5].map(u32::to_be_bytes).concat(), content].concat()
}

#[test]
fn an_ipfix_file_is_decoded_without_addresses_and_with_templates_of_its_own() {
    let folder = TempDir::new().unwrap();
    let [first, second] = ["a.ipfix", "b.ipfix"].map(|name| folder.path().join(name));
    fs::write(&first, ipfix(256, (8, 4), 2)).unwrap();
    // The same id for another template, as in another file.
    fs::write(&second, ipfix(256, (27, 16), 3)).unwrap();
    let of_port = ["--port", "2055"];
    let output = decode(&of_port, &[&first, &second]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let records = lines(&output);
    let sources: Vec<_> = records.iter().map(|record| record["flow"]["source"].as_str().unwrap()).collect();
    let ipv6 = "707:707:707:707:707:707:707:707";
    assert_eq!(sources, ["7.7.7.7", "7.7.7.7", ipv6, ipv6, ipv6]);
    for record in &records {
        assert_eq!((record.get("exporter"), record.get("port")), (None, None));
        assert_eq!((&record["received"], &record["domain"]), (&"2014-02-02T05:01:00Z".into(), &5.into()));
    }

    let summary: Value = serde_json::from_slice(&decode(&["--summary"], &[&first, &second]).stdout).unwrap();
    assert_eq!((&summary["records"]["data"], &summary["sum"]["octets"]), (&5.into(), &500.into()));
    assert_eq!(summary["exporters"], serde_json::json!({}));
    let streams: Vec<_> = summary["sequence"].as_object().unwrap().keys().collect();
    assert_eq!(streams, ["file 1 ipfix domain 5", "file 2 ipfix domain 5"]);

    let piped = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(["decode", "-"])
        .stdin(File::open(first).unwrap())
        .output()
        .unwrap();
    assert_eq!(lines(&piped).len(), 2);
}

#[test]
fn templates_of_an_ipfix_file_apply_in_its_order() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ipfix");
    // A message of a set that withdraws template 256 (RFC 7011, section 8.1).
    let withdrawal = [&[0, 10, 0, 24][..], &[0; 11], &[5], &[0, 2, 0, 8, 1, 0, 0, 0]].concat();
    let (v4, v6) = (ipfix(256, (8, 4), 2), ipfix(256, (27, 16), 3));
    let sources = |output: &Output| {
        let is_ipv6 = |record: &Value| record["flow"]["source"].as_str().unwrap().contains(':');
        lines(output).iter().map(is_ipv6).collect::<Vec<_>>()
    };
    fs::write(&path, [&v4[..], &withdrawal, &v6].concat()).unwrap();
    let output = decode(&[], &[&path]);
    assert_eq!((sources(&output), output.stderr.as_slice()), (vec![false, false, true, true, true], &b""[..]));
    // Without the withdrawal it is an error.
    fs::write(&path, [&v4[..], &v6].concat()).unwrap();
    let output = decode(&[], &[&path]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("netflow: malformed parts of datagrams: "), "{message}");
}

#[test]
fn an_ipfix_file_is_decoded_up_to_what_is_no_message() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ipfix");
    let message = ipfix(256, (8, 4), 2);
    let length = message.len();
    for (end, problem) in [
        (&message[..length - 1], "the file ends in the middle of the next one"),
        (b"\0\x0a\0\x0f", "a message claims 15 octets, but its header has 16"),
        (b"PK\x03\x04", "a message has version 20555, and not 10, which is IPFIX"),
    ] {
        fs::write(&path, [&message, end].concat()).unwrap();
        let output = decode(&[], &[&path]);
        assert_eq!((output.status.code(), lines(&output).len()), (Some(4), 2));
        let expected = format!("netflow: {}: damaged at octet {length}, after message 1: {problem}\n", path.display());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    }
}

/// A segment of the journal, as far as its name does not matter: what came from these ports of one router, and how.
fn segment(folder: &TempDir, records: &[(u16, Carrier, &[u8])]) -> PathBuf {
    let mut octets = frame::CHECKED_FILE_HEADER.to_vec();
    let destination = "192.0.2.2:4739".parse().unwrap();
    for (port, carrier, payload) in records {
        let (source, received) = (([192, 0, 2, 1], *port).into(), Timestamp::from_seconds(1_391_317_260));
        let record = UdpDatagram { received, source, destination, carrier: *carrier, payload };
        frame::append_checked(&mut octets, 7, &record).unwrap();
    }
    let path = folder.path().join("segment.pcap");
    fs::write(&path, octets).unwrap();
    path
}

#[test]
fn messages_of_connections_in_a_segment_are_decoded_with_the_templates_of_their_connection() {
    use Carrier::{BegunMessage, Datagram, Message, RestOfMessage};
    let folder = TempDir::new().unwrap();
    // A template of source addresses, one of destination addresses with the same id, and data of each.
    let (source, destination) = (ipfix(256, (8, 4), 0), ipfix(256, (12, 4), 0));
    let data = |records: u16| {
        let with_template = ipfix(256, (8, 4), records);
        let length = (with_template.len() as u16 - 20).to_be_bytes();
        [&[0, 10], &length[..], &with_template[4..16], &with_template[36..]].concat()
    };
    // Longer than a packet can be.
    let long = data(3_200);
    let (begun, rest) = long.split_at(60_000);
    let file = segment(
        &folder,
        &[
            (1, Message, &source),
            (2, Message, &destination),
            (1, Message, &data(1)),
            (2, BegunMessage, begun),
            (2, RestOfMessage, rest),
            // Its beginning is missing.
            (2, RestOfMessage, rest),
            (2, Message, &[]),
            // What was announced before has ended, and a datagram is of no connection.
            (2, Message, &data(2)),
            (1, Datagram, &data(4)),
        ],
    );
    let records = lines(&decode(&[], &[&file]));
    assert_eq!(records.len(), 1 + 3_200);
    let with = |key: &str| records.iter().filter(|record| record["flow"][key] == "7.7.7.7").count();
    assert_eq!((with("source"), with("destination")), (1, 3_200), "{}", records[0]);
    let output = decode(&["--summary"], &[&file]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["datagrams"]["total"], 6, "{summary}");
}
