//! What the settings of the journal do, with the real program: how often it is forced to the disk, what a kill costs then,
//! and what happens when it is full.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use flow::Counters;

use crate::collector::{Collector, PATIENCE};
use crate::crashes::segments;
use crate::load::{FLOWS_A_SECOND, Running, register, sum, this_year, until_exact};
use crate::thirty_flows;

/// Sends datagrams one by one, each read before the next, kills the process and starts it again: all are counted. Returns how
/// often something was synced until then.
fn syncs_of_a_run_that_is_killed(sync: &str, datagrams: u64) -> u64 {
    let settings = [("NETFLOW__JOURNAL__SYNC", sync)];
    let collector = Collector::start_with(&settings);
    register(&collector);
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    for sent in 1..=datagrams {
        from.send_to(&thirty_flows(), collector.receiving).unwrap();
        collector.wait_until("written", || collector.counter("journal_written_datagrams") == sent);
    }
    if sync == "interval" {
        collector.wait_until("synced", || collector.counter("journal_syncs") > 0);
    }
    let syncs = collector.counter("journal_syncs");
    let collector = Collector::start_in_with(collector.kill(), &settings);
    let flows = 30 * datagrams;
    let all = Counters { bytes: 100 * flows, packets: 2 * flows, flows };
    collector.wait_until("counted", || this_year(&collector) == Ok([all.bytes, all.packets, all.flows]));
    collector.terminate();
    syncs
}

#[test]
fn each_sync_policy_counts_everything_after_a_kill_and_syncs_as_often_as_documented() {
    assert_eq!(syncs_of_a_run_that_is_killed("off", 5), 0);
    let at_intervals = syncs_of_a_run_that_is_killed("interval", 5);
    assert!(at_intervals > 0);
    let with_batches = syncs_of_a_run_that_is_killed("batch", 20);
    assert!(with_batches >= 20, "each datagram was a batch: {with_batches}");
}

#[test]
fn a_full_journal_costs_nothing_that_no_crash_follows() {
    // A second of the load, which is how long a flush takes to come, is twice as much.
    let collector = Collector::start_with(&[("NETFLOW__JOURNAL__MAX_BYTES", "1MiB")]);
    register(&collector);
    let load = Running::start(collector.receiving, 2 * FLOWS_A_SECOND, 1);
    collector.wait_for_line("it is full:");
    collector.wait_until("missed", || collector.counter("journal_missed_datagrams") > 0);
    let first = load.stop();
    until_exact(&collector, &first, PATIENCE);
    // The limit is no error of the disk, and a smaller load fits again.
    let missed = collector.counter("journal_missed_datagrams");
    assert_eq!(collector.counter("journal_write_errors"), 0);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND / 10, 2);
    collector.wait_for_line("the journal can be written again");
    let sent = sum(first, load.stop());
    until_exact(&collector, &sent, PATIENCE);
    assert_eq!(collector.counter("kernel_drops"), 0);
    println!("{missed} datagrams did not fit the journal; all are counted");
    collector.terminate();
}

/// Standard output and standard error of a successful command.
fn netflow(directory: &Path, arguments: &[&str]) -> [String; 2] {
    let output = Command::new(env!("CARGO_BIN_EXE_netflow")).current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn commands_that_read_captures_skip_the_own_records_of_a_segment() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    register(&collector);
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    for sent in 1..=3 {
        from.send_to(&thirty_flows(), collector.receiving).unwrap();
        collector.wait_until("written", || collector.counter("journal_written_datagrams") == sent);
    }
    let directory = collector.kill();
    let segments = segments(&directory.path().join("data/journal"));
    let [segment] = segments.as_slice() else { panic!("{segments:?}") };
    let segment = segment.to_str().unwrap();
    let to = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = to.local_addr().unwrap().to_string();
    let commands =
        [vec!["decode", "--summary", segment], vec!["import", segment], vec!["replay", "--to", &to, segment]];
    for (command, expected) in commands.iter().zip(["\"datagrams\": 3", "datagrams 3 ", "3 datagrams"]) {
        let [output, report] = netflow(directory.path(), command);
        assert!(output.contains(expected), "{command:?}: {output}");
        assert!(report.contains("skipped records of prefixes and settings"), "{command:?}: {report}");
    }
    let [output, _] = netflow(directory.path(), &["decode", segment]);
    assert_eq!(output.lines().count(), 90);
    Collector::start_in(directory).terminate();
}
