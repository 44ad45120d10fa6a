//! A log that cannot be written, or that nobody reads: the collector admits, counts, reloads and stops as ever, and counts the
//! lines that are lost.

use std::fs::{self, File, OpenOptions};
use std::io::{Write, pipe};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::collector::{Collector, shell_block};
use crate::disk::fill;
use crate::load::this_year;
use crate::service_manager::Manager;
use crate::thirty_flows;

/// Registers a router and sends for it, until this many more datagrams are counted; expects all that were counted in the
/// answer.
fn counts(collector: &Collector, more: u64) {
    collector.shell(&shell_block("ask PUT"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let decoded = || collector.rest("GET", "/status", "")["counters"]["datagrams"]["decoded"].as_u64().unwrap();
    let until = decoded() + more;
    collector.wait_until("counted", || {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        decoded() >= until
    });
    collector.wait_until("answered", || {
        this_year(collector).is_ok_and(|[_, _, flows]| flows == 30 * decoded() && flows >= 30 * until)
    });
}

fn is_ready(collector: &Collector) -> bool {
    collector.shell("curl -sS http://127.0.0.1:8080/readyz").contains(r#""reasons":[]"#)
}

/// The collector counts, loses lines, reloads and stops, with its log as it is.
fn continues(collector: Collector, manager: &Manager) {
    counts(&collector, 5);
    collector.wait_until("lines lost", || collector.counter("lost_log_lines") > 3);
    collector.signal("HUP");
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    counts(&collector, 5);
    assert!(is_ready(&collector));
    collector.terminate();
    manager.wait_for("STOPPING=1");
}

/// A shell for a collector, and the service manager that gets its notifications.
fn managed(program: &str) -> (Command, Manager, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let mut command = Command::new(program);
    command.env("NOTIFY_SOCKET", path);
    (command, manager, folder)
}

#[test]
fn a_log_whose_reader_ends_costs_nothing_but_its_lines() {
    let (reader, writer) = pipe().unwrap();
    let (mut shell, manager, _folder) = managed("sh");
    let collector = Collector::start_logging(&mut shell, "COLLECTOR", writer);
    assert_eq!(collector.counter("lost_log_lines"), 0);
    drop(reader);
    continues(collector, &manager);
}

#[test]
fn a_log_that_nobody_reads_costs_nothing_but_its_lines() {
    let (_reader, writer) = pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    // Until the reader is closed; the pipe is full all the time.
    std::thread::spawn(move || while filling.write_all(&[b'x'; 4096]).is_ok() {});
    let (mut shell, manager, _folder) = managed("sh");
    continues(Collector::start_logging(&mut shell, "COLLECTOR", writer), &manager);
}

#[test]
fn a_log_on_a_full_disk_from_the_start_costs_nothing_but_its_lines() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (mut shell, manager, _folder) = managed("sh");
    continues(Collector::start_logging(&mut shell, "COLLECTOR", full), &manager);
}

#[test]
fn a_log_continues_when_its_full_disk_has_room_again() {
    let (mut shell, manager, _folder) = managed("unshare");
    shell.args(["--mount", "sh"]);
    let script = "mkdir logs && mount -t tmpfs -o size=64k logs logs && COLLECTOR 2>>logs/log";
    let collector = Collector::start_logging(&mut shell, script, File::open("/dev/null").unwrap());
    let disk = seen_from_here(&collector, "logs");
    let (log, filler) = (disk.join("log"), disk.join("filler"));
    fill(&filler);
    counts(&collector, 5);
    collector.wait_until("lines lost", || collector.counter("lost_log_lines") > 3);
    fs::remove_file(filler).unwrap();
    let text = || fs::read_to_string(&log).unwrap();
    collector.wait_until("continued", || text().contains("log lines lost"));
    let lost = collector.counter("lost_log_lines");
    collector.signal("HUP");
    manager.wait_for("RELOADING=1");
    collector.wait_until("logged", || text().contains("configuration reloaded"));
    assert_eq!(collector.counter("lost_log_lines"), lost);
    assert!(text().contains(&format!("lines={lost}\n")), "{}", text());
    collector.terminate();
}

/// A path of a collector that has a mount namespace of its own.
fn seen_from_here(collector: &Collector, path: &str) -> PathBuf {
    Path::new(&format!("/proc/{}/root", collector.process()))
        .join(collector.path().join(path).strip_prefix("/").unwrap())
}
