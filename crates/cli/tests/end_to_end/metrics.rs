//! What Prometheus reads of a running collector: losses, durations, and every number that the alerts ask for.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Instant;

use crate::collector::{Collector, PATIENCE};
use crate::doctor::v5;
use crate::load::register;

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
    let collector = Collector::start();
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
    let alerts = std::fs::read_to_string(packaging.join("prometheus-alerts.yml")).unwrap();
    let mut known = names(&text);
    known.extend(OF_NETWORK_STORES);
    let unknown: Vec<_> = names(&alerts).difference(&known).copied().collect();
    assert!(unknown.is_empty(), "alerts ask for {unknown:?}\n{text}");
    collector.terminate();
}
