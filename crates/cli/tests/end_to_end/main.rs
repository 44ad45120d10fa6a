//! The main job, from outside: the real program, real exporters over real UDP, the README's own lines.
//!
//! softflowd and pmacctd (nfprobe) watch the same traffic; what the collector answers is compared with what tshark
//! counts in that traffic, to the byte, the packet and the flow.
//!
//! Where an exporter itself is not exact: neither knows AS numbers, so all traffic is under `srcas:0` and `dstas:0`.
//! v1 and v5 cannot carry IPv6, so the traffic that they watch has none. The traffic has no ICMP, whose type and code
//! exporters put into the ports each in its own way, and no FIN or RST, after which softflowd begins a new flow for
//! the same five-tuple; so there are exactly as many flows as five-tuples.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue has failed"
)]

mod accepted_senders;
mod archive;
mod archived_origins;
mod backups;
mod billing;
mod bmp;
mod changes;
mod clickhouse;
mod clickhouse_questions;
mod clients;
mod collector;
mod commands;
mod completions;
mod connect;
mod cookbook;
mod crashes;
mod disk;
mod doctor;
mod documents;
mod emptied_store;
mod encrypted_export_connections;
mod encryption;
mod exit_codes;
mod export_connections;
mod exported_by_libfixbuf;
mod failover;
mod floods;
mod flows;
mod flows_command;
mod forwarding;
mod full_spool;
mod generated;
mod groups;
mod imports;
mod interfaces;
mod ipfix_files;
mod journal;
mod kafka;
mod killed_together;
mod live;
mod load;
mod log;
mod logged_changes;
mod lost_acknowledgements;
mod metrics;
mod mistakes;
mod networks;
mod origins;
mod output;
mod prometheus;
mod proxy;
mod readme;
mod relays;
mod reloads;
mod remarks;
mod replaced;
mod restarts;
mod restored;
mod router_names;
mod sampling;
mod sent_over_connections;
mod service_manager;
mod snmp;
mod soak;
mod stated_senders;
mod stores;
mod streamed_flows;
mod tap;
mod terminal;
mod traffic;
mod upgrade;
mod web;
mod without_store;

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use collector::{Collector, PATIENCE, shell_block};
use flow::Counters;
use serde_json::{Value, json};
use storage::{Registry, Sqlite};
use traffic::{PREFIXES, Totals};
use wire::encode::{NetflowV9, TemplateSpec};
use wire::netflow_v5::{Header, Record};
use wire::{FieldSpecifier, netflow_v9};
use zerocopy::IntoBytes;

/// What makes an exporter of this name and version send what it saw in a capture of traffic.
fn export(collector: &Collector, exporter: &str, version: u8) {
    let directory = collector.path();
    let mut command = match exporter {
        "softflowd" => {
            // The README's line; -p and -c keep several at a time out of each other's way.
            let line = shell_block("softflowd").replace("-v 9", &format!("-v {version} -p pid -c control"));
            collector.shell(&line);
            return;
        }
        "pmacctd" => {
            let settings = format!(
                "daemonize: false\npcap_savefile: traffic.pcap\nplugins: nfprobe\naggregate: src_host, dst_host, src_port, dst_port, proto\n\
                 nfprobe_receiver: {}\nnfprobe_version: {version}\n",
                collector.receiving
            );
            fs::write(directory.join("pmacctd.conf"), settings).unwrap();
            let mut command = Command::new("pmacctd");
            command.args(["-f", "pmacctd.conf"]);
            command
        }
        other => panic!("no exporter {other}"),
    };
    // Its exit code is not asserted: it is 1 whenever its plugin, which exports everything at its end, ends before it.
    // Totals decide.
    command.current_dir(directory).output().expect("installed by `make test`");
}

/// Everything that was counted this year, for all names that are expected.
fn answered(collector: &Collector, expected: &Totals) -> Totals {
    let year = collector.shell("date -u +%Y").trim().to_owned();
    let mut names = BTreeMap::<&str, Vec<&str>>::new();
    for (prefix, _, name) in expected.keys() {
        names.entry(prefix).or_default().push(name);
    }
    let mut question = serde_json::Map::new();
    for (prefix, mut names) in names {
        names.dedup();
        names.sort_unstable();
        names.dedup();
        question.insert(prefix.into(), json!({ "years": [{ &year: names }] }));
    }
    let answer = collector.rest("POST", "/stats/127.0.0.1", &Value::Object(question).to_string());
    let mut totals = Totals::new();
    for (prefix, periods) in answer.as_object().unwrap() {
        for row in periods["years"][0][&year].as_array().unwrap_or_else(|| panic!("{answer}")) {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let number = |key: &str| row[key].as_u64().unwrap();
            let counters = Counters { bytes: number("bytes"), packets: number("pkts"), flows: number("flows") };
            totals.insert((prefix.clone(), text("direction"), text("name")), counters);
        }
    }
    totals
}

/// Asks until as many flows are counted as are expected, or patience ends.
fn answered_in_time(collector: &Collector, expected: &Totals) -> Totals {
    let flows = |totals: &Totals| totals.iter().filter(|(key, _)| key.2 == "all").map(|(_, c)| c.flows).sum::<u64>();
    let end = Instant::now() + PATIENCE;
    loop {
        let totals = answered(collector, expected);
        if flows(&totals) >= flows(expected) || Instant::now() > end {
            return totals;
        }
        std::thread::yield_now();
    }
}

fn register(collector: &Collector) {
    collector.shell(&shell_block("ask PUT"));
    let prefixes: Vec<Value> = PREFIXES[1..]
        .iter()
        .map(|prefix| prefix.split_once('/').unwrap())
        .map(|(address, length)| json!({ "prefix": address, "prefixLen": length.parse::<u8>().unwrap() }))
        .collect();
    collector.rest("PUT", "/senders/127.0.0.1", &json!({ "prefixes": prefixes }).to_string());
}

fn totals_are_exact(exporter: &str, version: u8) {
    let collector = Collector::start();
    register(&collector);
    let capture = collector.path().join("traffic.pcap");
    traffic::write(&capture, version >= 9);
    let expected = traffic::expected(&capture);
    export(&collector, exporter, version);
    let answered = answered_in_time(&collector, &expected);
    let wrong = expected.iter().find(|(key, counters)| answered.get(key) != Some(counters));
    if let Some((key, counters)) = wrong {
        panic!("{key:?} is {:?}, not {counters:?}\n{}", answered.get(key), collector.log());
    }
    assert_eq!(answered.len(), expected.len());
    collector.terminate();
}

#[test]
fn softflowd_netflow_v1_is_counted_exactly() {
    totals_are_exact("softflowd", 1);
}

#[test]
fn softflowd_netflow_v5_is_counted_exactly() {
    totals_are_exact("softflowd", 5);
}

#[test]
fn softflowd_netflow_v9_is_counted_exactly() {
    totals_are_exact("softflowd", 9);
}

#[test]
fn softflowd_ipfix_is_counted_exactly() {
    totals_are_exact("softflowd", 10);
}

#[test]
fn pmacctd_netflow_v5_is_counted_exactly() {
    totals_are_exact("pmacctd", 5);
}

#[test]
fn pmacctd_netflow_v9_is_counted_exactly() {
    totals_are_exact("pmacctd", 9);
}

#[test]
fn pmacctd_ipfix_is_counted_exactly() {
    totals_are_exact("pmacctd", 10);
}

#[test]
fn the_requests_of_the_readme_are_answered_as_it_shows() {
    let collector = Collector::start();
    let answer = collector.shell(&shell_block("ask PUT"));
    assert!(answer.is_empty() || serde_json::from_str::<Value>(&answer).is_ok(), "{answer}");
    traffic::write(&collector.path().join("traffic.pcap"), false);
    collector.shell(&shell_block("softflowd"));
    let end = Instant::now() + PATIENCE;
    let days = loop {
        let answer: Value = serde_json::from_str(&collector.shell(&shell_block("ask POST"))).unwrap();
        let days =
            answer["192.0.2.0/24"]["days"][0].as_object().unwrap().values().next().unwrap().as_array().unwrap().clone();
        if !days.is_empty() {
            break days;
        }
        assert!(Instant::now() < end, "nothing was counted");
    };
    assert_eq!(days[0]["name"], "all");
    assert!(days[0]["bytes"].as_u64().unwrap() > 0);
}

/// A v5 datagram of thirty flows into the first monitored prefix, 100 octets and 2 packets each.
fn thirty_flows() -> Vec<u8> {
    thirty_flows_at(SystemTime::now())
}

fn thirty_flows_at(time: SystemTime) -> Vec<u8> {
    let seconds = u32::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let header = Header { version: 5.into(), count: 30.into(), unix_seconds: seconds.into(), ..Header::default() };
    let record = Record {
        source: [198, 51, 100, 1],
        destination: [192, 0, 2, 1],
        octets: 100.into(),
        packets: 2.into(),
        ..Record::default()
    };
    [header.as_bytes(), &record.as_bytes().repeat(30)].concat()
}

/// The flows in the last status line.
fn flows_read(log: &str) -> u64 {
    let (_, rest) = log.rsplit_once(" flows ").expect("a status line");
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn terminated_in_the_middle_of_a_load_it_loses_nothing_that_it_read() {
    let mut collector = Collector::start();
    register(&collector);
    let mut read = 0;
    for _ in 0..3 {
        let (done, socket, to) = (AtomicBool::new(false), UdpSocket::bind("127.0.0.1:0").unwrap(), collector.receiving);
        let (directory, log) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let end = Instant::now() + PATIENCE;
                while !done.load(Ordering::Relaxed) && Instant::now() < end {
                    // Refused once the collector is gone.
                    let _ = socket.send_to(&thirty_flows(), to);
                }
            });
            collector.wait_until("a load", || {
                collector.rest("GET", "/status", "")["counters"]["flows"]["matched"].as_u64().unwrap() > 30_000
            });
            let ended = collector.terminate();
            done.store(true, Ordering::Relaxed);
            ended
        });
        let flows = flows_read(&log);
        read += flows;
        collector = Collector::start_in(directory);
    }
    let key = (PREFIXES[0].to_owned(), "in".to_owned(), "all".to_owned());
    let expected = Counters { bytes: 100 * read, packets: 2 * read, flows: read };
    let answered = answered(&collector, &Totals::from([(key.clone(), expected)]));
    assert_eq!(answered.get(&key), Some(&expected));
}

#[test]
fn a_template_that_came_before_a_restart_reads_what_comes_after_it() {
    let template = TemplateSpec::data(256, [12, 2, 1].map(|element| FieldSpecifier::iana(element, 4)));
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let unix_seconds = u32::try_from(seconds).unwrap().into();
    let packet = || NetflowV9::new(netflow_v9::Header { unix_seconds, ..Default::default() });
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let first = Collector::start();
    register(&first);
    let end = Instant::now() + PATIENCE;
    // Until it is known: the first one may arrive before the sender is admitted.
    let is_known =
        || first.rest("GET", "/exporters/127.0.0.1", "")["templates"].as_array().is_some_and(|it| !it.is_empty());
    while !is_known() {
        assert!(Instant::now() < end, "the template did not arrive");
        socket.send_to(&packet().template(&template).finish(), first.receiving).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    let (directory, _) = first.terminate();
    let second = Collector::start_in(directory);
    let record = [[192, 0, 2, 1], [0, 0, 0, 2], [0, 0, 0, 100]].concat();
    socket.send_to(&packet().data(&template, &[record]).finish(), second.receiving).unwrap();
    let key = (PREFIXES[0].to_owned(), "in".to_owned(), "all".to_owned());
    let expected = Totals::from([(key, Counters { bytes: 100, packets: 2, flows: 1 })]);
    assert_eq!(answered_in_time(&second, &expected), expected, "{}", second.log());
}

#[test]
fn damaged_stored_templates_are_reported() {
    let first = Collector::start();
    register(&first);
    let (directory, _) = first.terminate();
    let store = Sqlite::open(&directory.path().join("data/netflow.sqlite")).unwrap();
    let sender = "127.0.0.1".parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.put_templates(&[(sender, b"damaged".to_vec())])).unwrap();
    drop(store);
    let second = Collector::start_in(directory);
    let report = second.startup_log().lines().find(|line| line.contains("damaged")).map(str::to_owned).unwrap();
    assert!(report.contains("127.0.0.1") && report.contains("checksum"), "{report}");
}

#[test]
fn a_second_collector_on_the_same_data_is_refused() {
    let first = Collector::start();
    let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .arg("serve")
        .current_dir(first.path())
        .env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0")
        .env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("in use by another collector"), "{stderr}");
}

/// All blocks of a store but for those of its own collector, as sqlite3 prints it.
fn blocks(data: &Path) -> String {
    let select = "WITH stored AS (
                      SELECT period, writer, start, series, epoch, sequence, part, tables, content, large FROM block
                      UNION ALL
                      SELECT 0, writer, start, series, epoch, sequence, part, tables, content, large
                      FROM flushed_minute JOIN minute_block ON flush = flushed_minute.id)
                  SELECT period, start, sender, prefix, writer, epoch, sequence, part, tables,
                      hex(coalesce(large_content.content, stored.content))
                  FROM stored JOIN series ON series.id = stored.series
                  LEFT JOIN large_content ON large_content.id = stored.large
                  WHERE stored.writer NOT IN (SELECT id FROM writer JOIN identity USING (writer)) ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9";
    let output = Command::new("sqlite3").arg(data.join("netflow.sqlite")).arg(select).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_capture_imported_into_two_fresh_stores_makes_the_same_blocks() {
    let capture = tempfile::NamedTempFile::new().unwrap();
    let mut writer = capture::write::Writer::new(fs::File::create(capture.path()).unwrap()).unwrap();
    let (exporter, here) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:2055".parse().unwrap());
    let now = SystemTime::now();
    let sent = 200;
    for second in 0..sent {
        let at = now - Duration::from_secs(7200 - 30 * second);
        writer.write(at.into(), exporter, here, &thirty_flows_at(at)).unwrap();
    }
    drop(writer);
    let imported = [1, 2].map(|times| {
        let collector = Collector::start();
        register(&collector);
        let (directory, _) = collector.terminate();
        for _ in 0..times {
            let import = Command::new(env!("CARGO_BIN_EXE_netflow"))
                .current_dir(directory.path())
                .arg("import")
                .arg(capture.path())
                .output()
                .unwrap();
            let stderr = String::from_utf8(import.stdout).unwrap();
            assert!(stderr.starts_with(&format!("datagrams {sent} flows {} ", sent * 30)), "{stderr}");
        }
        let blocks = blocks(&directory.path().join("data"));
        let collector = Collector::start_in(directory);
        let key = (PREFIXES[0].to_owned(), "in".to_owned(), "all".to_owned());
        let expected = Counters { bytes: 3000 * sent, packets: 60 * sent, flows: 30 * sent };
        let answered = answered(&collector, &Totals::from([(key.clone(), expected)]));
        assert_eq!(answered.get(&key), Some(&expected));
        blocks
    });
    assert!(imported[0].lines().count() > 100);
    assert_eq!(imported[0], imported[1]);
}
