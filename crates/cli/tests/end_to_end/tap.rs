//! `netflow tap` beside a collector that counts, with the real program and real flows.

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use crate::collector::{Collector, PATIENCE, shell_block};
use crate::commands::{counted, run};
use crate::thirty_flows;

/// Starts a command beside a collector; returns its output to read.
fn beside(collector: &Collector, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(arguments)
        .current_dir(collector.path())
        .env("NETFLOW_URL", format!("http://{}", collector.serving))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// The number of tap clients.
fn taps(collector: &Collector) -> f64 {
    let status: Value = serde_json::from_str(&run(collector, &["curl", "GET", "/status"])).unwrap();
    status["gauges"]["taps"]["value"].as_f64().unwrap()
}

fn wait_for_taps(collector: &Collector, expected: f64) {
    let end = Instant::now() + PATIENCE;
    while taps(collector) != expected {
        assert!(Instant::now() < end, "{} tap clients", taps(collector));
    }
}

/// Opens a tap; its lines when it ends.
pub(crate) fn of(collector: &Collector, arguments: &[&str]) -> JoinHandle<Vec<Value>> {
    let (tap, out) = beside(collector, &[&["tap", "--json"], arguments].concat());
    wait_for_taps(collector, 1.0);
    std::thread::spawn(move || {
        let lines = out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        assert_eq!(ended(tap).1, Some(0));
        lines
    })
}

pub(crate) fn send(collector: &Collector, datagrams: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..datagrams {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    }
}

/// Waits until it ends; its errors and exit code.
fn ended(mut child: Child) -> (String, Option<i32>) {
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (stderr, status.code())
}

#[test]
fn tap_prints_flows_and_stops_at_its_limit() {
    let collector = counted();
    let (tap, mut out) = beside(&collector, &["tap", "-c", "3", "host", "192.0.2.1", "and", "packets", "=", "2"]);
    let mut heading = String::new();
    out.read_line(&mut heading).unwrap();
    assert!(heading.starts_with("time         router "), "{heading}");
    send(&collector, 1);
    let lines: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains(" 127.0.0.1 ") && lines[0].contains("198.51.100.1 > 192.0.2.1 "), "{lines:?}");
    assert!(lines[0].contains(" 2   100 B ") && lines[0].ends_with(" if 0>0"), "{lines:?}");
    assert_eq!(ended(tap), ("3 flows shown, 0 dropped\n".to_owned(), Some(0)));
    wait_for_taps(&collector, 0.0);

    // Nothing passes this one: it sees none of what comes before the other one has seen all of it.
    let (none, _nothing) = beside(&collector, &["tap", "--json", "tcp"]);
    let (tap, out) = beside(&collector, &["tap", "--json", "-c", "30", "--exporter", "127.0.0.1"]);
    wait_for_taps(&collector, 2.0);
    send(&collector, 1);
    let flows: Vec<Value> = out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(flows.len(), 30);
    assert!(flows.iter().all(|line| line["flow"]["bytes"] == 100 && line["protocol"] == "netflow-v5"), "{flows:?}");
    assert_eq!(ended(tap).1, Some(0));
    // Ctrl-C.
    assert!(Command::new("kill").args(["-INT", &none.id().to_string()]).status().unwrap().success());
    assert_eq!(ended(none), ("0 flows shown, 0 dropped\n".to_owned(), Some(0)));
    let metrics = collector.shell("curl -sS http://127.0.0.1:8080/metrics");
    assert!(
        metrics.contains("netflow_tap_shown_flows_total ") && metrics.contains("netflow_taps_limit 4"),
        "{metrics}"
    );
    collector.terminate();
}

#[test]
fn tap_of_an_unregistered_router_says_so() {
    let collector = counted();
    let (tap, _out) = beside(&collector, &["tap", "--router", "192.0.2.77"]);
    wait_for_taps(&collector, 1.0);
    assert!(Command::new("kill").args(["-INT", &tap.id().to_string()]).status().unwrap().success());
    let (errors, code) = ended(tap);
    assert_eq!(code, Some(0));
    assert!(errors.starts_with("netflow: 192.0.2.77 is not registered, so that it has no flows to show"), "{errors}");
    collector.terminate();
}

#[test]
fn tap_ends_with_its_reader_and_with_the_collector() {
    let collector = counted();
    let (mut tap, out) = beside(&collector, &["tap"]);
    wait_for_taps(&collector, 1.0);
    drop(out);
    let end = Instant::now() + PATIENCE;
    while tap.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it continues without a reader");
        send(&collector, 1);
    }
    let (stderr, code) = ended(tap);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(" flows shown, "), "{stderr}");

    let (tap, out) = beside(&collector, &["tap"]);
    // Flows sent above may still arrive.
    let reader = std::thread::spawn(move || out.lines().count());
    wait_for_taps(&collector, 1.0);
    collector.terminate();
    assert!(reader.join().unwrap() > 0);
    let (stderr, code) = ended(tap);
    assert_eq!(code, Some(8), "{stderr}");
    assert!(stderr.contains("the collector closed the connection"), "{stderr}");
}

#[test]
fn the_command_of_the_readme_prints_flows() {
    let collector = counted();
    let script = format!("netflow() {{ {} \"$@\"; }}\n{}", env!("CARGO_BIN_EXE_netflow"), shell_block("netflow tap"));
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(collector.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.env("NETFLOW_URL", format!("http://{}", collector.serving)).spawn().unwrap();
    wait_for_taps(&collector, 1.0);
    send(&collector, 1);
    let lines = BufReader::new(shell.stdout.take().unwrap()).lines().count();
    assert_eq!((lines, ended(shell).1), (21, Some(0)));
    collector.terminate();
}

#[test]
fn tap_reports_the_position_of_a_wrong_filter() {
    let collector = Collector::start();
    let (printed, stderr, code) = collector.command(&["tap", "udp", "or", "prot", "53"]);
    assert_eq!((printed.as_str(), code), ("", Some(9)));
    assert!(stderr.contains("column 8: expected a test") && stderr.contains("did you mean proto?"), "{stderr}");
    collector.terminate();
}

#[test]
fn under_load_a_tap_costs_no_flow() {
    let collector = counted();
    let matched = || {
        let status: Value = serde_json::from_str(&run(&collector, &["curl", "GET", "/status"])).unwrap();
        status["counters"]["flows"]["matched"].as_u64().unwrap()
    };
    let before = matched();
    let (tap, out) = beside(&collector, &["tap", "--json"]);
    wait_for_taps(&collector, 1.0);
    let datagrams = 3000;
    // In parts that fit the receive buffer.
    for sent in (500..=datagrams).step_by(500) {
        send(&collector, 500);
        collector.wait_until("matched", || matched() == before + 30 * sent);
    }
    // Each flow is either shown or counted as dropped.
    let (mut shown, mut dropped) = (0, 0);
    for line in out.lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        match line["dropped"].as_u64() {
            Some(number) => dropped = number,
            None => shown += 1,
        }
        if shown + dropped == 30 * datagrams {
            break;
        }
    }
    assert!(shown > 0);
    assert!(Command::new("kill").args(["-TERM", &tap.id().to_string()]).status().unwrap().success());
    assert_eq!(ended(tap).1, Some(0));
    collector.terminate();
}
