//! What `/metrics` has of a running collector: losses, durations, counters of prefixes, and every number that rules ask for.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::collector::{Collector, PATIENCE};
use crate::doctor::{is_documented, v5};
use crate::load::register;
use crate::reloads::{free_tcp, free_udp};
use crate::thirty_flows;
use crate::traffic::PREFIXES;

/// They are there only where a store on the network is.
const OF_NETWORK_STORES: [&str; 3] =
    ["netflow_restored_registrations_total", "netflow_spool_bytes", "netflow_spool_bytes_limit"];

fn metrics(collector: &Collector) -> String {
    collector.shell(&format!("curl -sS http://{}/metrics", collector.serving))
}

/// Waits until a line is there; all of them.
fn metrics_with(collector: &Collector, line: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = metrics(collector);
        if text.lines().any(|found| found == line) {
            return text;
        }
        assert!(Instant::now() < end, "{line}\n{text}");
    }
}

/// The names that begin with `netflow_` in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("netflow_")).collect()
}

#[test]
fn prometheus_reads_losses_and_durations_and_all_that_alerts_ask_for() {
    let settings = [("NETFLOW__FORWARD__TARGETS", "127.0.0.1:9"), ("NETFLOW__NETFLOW__TCP__LISTEN", "127.0.0.1:0")];
    let collector = Collector::start_with(&settings);
    register(&collector);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |sequence: u32| {
        socket.send_to(&v5(sequence, 0, 10), collector.receiving).unwrap();
    };
    let of = |what: &str, count: u64| {
        format!("netflow_exporter_sequence_{what}_total{{exporter=\"127.0.0.1\",unit=\"records\"}} {count}")
    };
    // 10 and 20 are missing; then 20 comes late.
    for sequence in [0, 30] {
        send(sequence);
    }
    assert!(metrics_with(&collector, &of("missing", 20)).contains(&of("filled", 0)));
    send(20);
    let text = metrics_with(&collector, &of("filled", 10));
    assert!(text.contains(&of("missing", 20)), "a counter never goes back\n{text}");
    collector.rest("GET", "/series/127.0.0.1?prefix=192.0.2.0/24", "");
    // They are compared at flushes.
    let text = metrics_with(&collector, "netflow_ledger_difference{ledger=\"store\"} 0.0");
    for family in [
        "netflow_flush_duration_seconds_bucket{le=\"0.001\"}",
        "netflow_store_read_duration_seconds_count 1\n",
        "netflow_store_put_duration_seconds_bucket{le=\"+Inf\"}",
        "netflow_request_duration_seconds_bucket{path=\"/series/{sender}\",le=\"60\"} 1",
    ] {
        assert!(text.contains(family), "{family}\n{text}");
    }
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let mut known = names(&text);
    known.extend(OF_NETWORK_STORES);
    for rules in ["prometheus-alerts.yml", "prometheus-rules.yml"] {
        let rules = std::fs::read_to_string(packaging.join(rules)).unwrap();
        // Those that the rules record have a colon: `direction:netflow_bits:rate5m`.
        let asked = rules.split_whitespace().filter(|word| !word.contains(":netflow_")).collect::<Vec<_>>().join(" ");
        let unknown: Vec<_> = names(&asked).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "rules ask for {unknown:?}\n{text}");
    }
    collector.terminate();
}

/// The flows that went into a prefix, in `/metrics`.
fn flows_in(collector: &Collector, prefix: &str) -> Option<u64> {
    let start = format!(r#"netflow_prefix_flows_total{{router="127.0.0.1",prefix="{prefix}",direction="in"}} "#);
    metrics(collector).lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

/// The same in the REST interface.
fn stored_flows_in(collector: &Collector, prefix: &str) -> u64 {
    let top = collector.rest("GET", &format!("/top/127.0.0.1?prefix={prefix}&direction=in"), "");
    top["total"]["flows"].as_u64().unwrap_or_else(|| panic!("{top}"))
}

#[test]
fn counters_of_prefixes_begin_at_0_and_have_what_a_crash_left_in_the_journal() {
    let collector = Collector::start();
    register(&collector);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let prefix = PREFIXES[0];
    collector.wait_until("0", || flows_in(&collector, prefix) == Some(0));
    socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    collector.wait_until("30", || flows_in(&collector, prefix) == Some(30));
    assert_eq!(stored_flows_in(&collector, prefix), 30);
    let (directory, _) = collector.terminate();
    // Killed before a flush.
    let collector = Collector::start_in_with(directory, &[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    assert_eq!(flows_in(&collector, prefix), Some(0), "after a start");
    socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    collector.wait_until("in the journal", || collector.counter("journal_written_datagrams") == 1);
    let directory = collector.kill();
    let collector = Collector::start_in(directory);
    collector.wait_until("recovered", || flows_in(&collector, prefix) == Some(30));
    assert_eq!(stored_flows_in(&collector, prefix), 60);
}

#[test]
fn beyond_the_limit_no_prefix_has_counters_and_all_say_so() {
    let (netflow, http) = (free_udp(), free_tcp());
    let settings = |limit: usize| {
        format!(
            "flushInterval = \"1s\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n\
             [metrics]\nprefixes = {limit}\n\
             [[senders.known]]\naddress = \"127.0.0.1\"\nprefixes = [\"192.0.2.0/24\", \"192.0.2.0/25\"]\n"
        )
    };
    let collector = Collector::start_configured(&settings(1));
    let line = "/metrics has no counters of prefixes";
    if !collector.startup_log().contains(line) {
        collector.wait_for_line(line);
    }
    let text = metrics_with(&collector, "netflow_prefixes_limit 1.0");
    assert!(text.contains("netflow_prefixes 2.0") && !text.contains("netflow_prefix_"), "{text}");
    let finding = "/metrics has no counters of prefixes: 2 are monitored, more than 1";
    is_documented(&json!({"finding": "prefix_counters_off"}));
    let (findings, ..) = collector.command(&["doctor"]);
    assert!(findings.contains(finding), "{findings}");
    collector.reload(&settings(2));
    collector.wait_until("counters", || flows_in(&collector, "192.0.2.0/25") == Some(0));
    let (findings, ..) = collector.command(&["doctor"]);
    assert!(!findings.contains(finding), "{findings}");
    collector.reload(&settings(0));
    collector.wait_until("off", || flows_in(&collector, "192.0.2.0/25").is_none());
    let (findings, ..) = collector.command(&["doctor"]);
    assert!(!findings.contains(finding), "{findings}");
}
