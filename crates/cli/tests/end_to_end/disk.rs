//! The data directory on a disk that fails for a while, under load: the failure is reported, counting continues in memory,
//! and everything is counted soon after the disk works again.
//!
//! A full disk is a real one: a tmpfs in a mount namespace of the collector's own, which takes root, or else a user
//! namespace; it is reached from here by way of /proc. A file system that is open for writing cannot be made read-only
//! (EBUSY; a faulty ext4 turns so by itself, and for good), and no healthy one fails to sync: these the system calls
//! pretend (`refuse.c`).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::collector::{Collector, PATIENCE};
use crate::load::{FLOWS_A_SECOND, Running, flows, register, sum, until_exact, wait};
use crate::stores;
use testing::Service;

/// How long the disk refuses, at least.
const REFUSING: Duration = Duration::from_secs(4);
/// The octets of the file that `refuse.c` reads.
const CONTROL: usize = 32;
/// By how much the collector may grow meanwhile.
const MOST_GROWTH: u64 = 64 << 20;

/// Makes the disk fail under load, queries meanwhile, ends the failure, and expects everything counted. `counters` must not be
/// zero by then.
fn nothing_is_lost(what: &str, collector: &Collector, counters: &[&str], refuse: impl FnOnce(), agree: impl FnOnce()) {
    register(collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(2));
    let before = collector.resident();
    collector.log();
    refuse();
    let refusing = Instant::now();
    let (mut most, mut log) = (before, String::new());
    let noticed = ["the journal cannot be written", "a flush cannot be stored"];
    let logged = ["cannot store a flush", "the journal cannot be written"];
    collector.wait_until("noticed everywhere", || {
        let reasons = ready(collector)["reasons"].as_array().unwrap().clone();
        most = most.max(collector.resident());
        log += &collector.log();
        let has = |what: &&str| reasons.iter().any(|reason| reason.as_str().unwrap().starts_with(what));
        noticed.iter().all(has)
            && logged.iter().all(|what| log.contains(what))
            && counters.iter().all(|name| collector.counter(name) > 0)
            && refusing.elapsed() >= REFUSING
    });
    agree();
    let agreed = Instant::now();
    collector.wait_until("ready again", || ready(collector)["status"] == "OK");
    let normal = agreed.elapsed();
    let first = load.stop();
    until_exact(collector, &first, PATIENCE);
    // And it continues as before.
    let missed = collector.counter("journal_missed_datagrams");
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 2);
    wait(Duration::from_secs(1));
    let sent = sum(first, load.stop());
    until_exact(collector, &sent, PATIENCE);
    assert_eq!((collector.counter("journal_missed_datagrams"), collector.counter("kernel_drops")), (missed, 0));
    assert!(most - before < MOST_GROWTH, "{before} {most}");
    let (flows, grown) = (flows(&sent), (most - before) >> 20);
    println!(
        "{what} for {REFUSING:?}: {flows} flows, all counted; normal {normal:.1?} after; {missed} datagrams not in the \
         journal; {grown} MiB grown"
    );
}

fn ready(collector: &Collector) -> Value {
    serde_json::from_str(&collector.shell("curl -sS http://127.0.0.1:8080/readyz")).unwrap()
}

/// A collector with these settings on a small disk of its own, and a file there that can fill it.
fn on_a_small_disk(settings: &[(String, String)]) -> (Collector, PathBuf) {
    let mut command = Command::new("unshare");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    command.args(if is_root { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    let script = "mkdir disk && mount -t tmpfs -o size=64m,mode=700 disk disk && exec \"$0\" \"$@\"";
    command.args(["sh", "-euc", script, env!("CARGO_BIN_EXE_netflow")]);
    command.env("NETFLOW__DATA_DIR", "disk").envs(settings.iter().cloned());
    let collector = Collector::start_as(&mut command);
    let seen = collector.path().join("disk");
    let disk = PathBuf::from(format!("/proc/{}/root{}", collector.process(), seen.display()));
    // Where the commands and the README's function look for them.
    let keys = collector.path().join("data");
    fs::create_dir(&keys).unwrap();
    fs::copy(disk.join("keys"), keys.join("keys")).unwrap();
    (collector, disk.join("filler"))
}

const OF_WRITING: [&str; 3] = ["journal_missed_datagrams", "journal_write_errors", "flush_retries"];

#[test]
fn a_full_disk_costs_nothing() {
    let (collector, filler) = on_a_small_disk(&[]);
    nothing_is_lost("disk full", &collector, &OF_WRITING, || fill(&filler), || fs::remove_file(&filler).unwrap());
}

#[test]
fn a_full_disk_while_the_store_is_unreachable_costs_nothing() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let (collector, filler) = on_a_small_disk(&stores::settings("redis", &redis.hosts, "netflow"));
    let refuse = || {
        redis.run(&["kill", "1"]);
        // The disk has room for some flushes yet.
        collector.wait_for_line("they wait on disk");
        fill(&filler);
    };
    let agree = || {
        redis.run(&["start"]);
        fs::remove_file(&filler).unwrap();
    };
    nothing_is_lost("disk full and redis unreachable", &collector, &OF_WRITING, refuse, agree);
}

/// Writes until there is no room.
pub(crate) fn fill(path: &Path) {
    let (mut file, zeroes) = (File::create(path).unwrap(), vec![0; 1 << 16]);
    while file.write_all(&zeroes).is_ok() {}
    // The rest of the last pages.
    while file.write_all(&[0]).is_ok() {}
}

/// Refuses system calls to collectors, as a file says (`refuse.c`).
pub(crate) struct Refusal {
    directory: TempDir,
    control: File,
}

impl Refusal {
    /// Refuses nothing yet.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/refuse.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .arg(directory.path().join("refuse.so"))
            .arg(source);
        assert!(compiler.status().expect("cargo needs it as well").success());
        let control = File::options().read(true).write(true).create_new(true).open(directory.path().join("control"));
        let refusal = Self { control: control.unwrap(), directory };
        refusal.control.write_all_at(&[0; CONTROL], 0).unwrap();
        refusal.refuse(b'0');
        refusal
    }

    /// A collector to which it refuses.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        let path = self.directory.path();
        command.env("LD_PRELOAD", path.join("refuse.so")).env("REFUSE", path.join("control"));
        command
    }

    /// What it refuses from now on.
    pub(crate) fn refuse(&self, what: u8) {
        self.control.write_all_at(&[what], 0).unwrap();
    }

    /// What it refuses now.
    pub(crate) fn refuses(&self) -> u8 {
        let mut what = [0];
        self.control.read_exact_at(&mut what, 0).unwrap();
        what[0]
    }

    /// The n-th call for a file of the archive fails, from 1.
    pub(crate) fn refuse_nth(&self, nth: i64) {
        self.control.write_all_at(&nth.to_ne_bytes(), 8).unwrap();
        self.refuse(b'4');
    }

    /// By how many seconds the clock of the archive differs from now on.
    pub(crate) fn step_clock(&self, seconds: i64) {
        self.control.write_all_at(&seconds.to_ne_bytes(), 16).unwrap();
    }

    /// By how many seconds the clock of the whole collector differs from now on.
    pub(crate) fn step_clock_of_all(&self, seconds: i64) {
        self.control.write_all_at(&seconds.to_ne_bytes(), 24).unwrap();
    }
}

/// A collector to which calls are refused on demand.
pub(crate) fn refusing_on_demand() -> (Collector, Refusal) {
    let refusal = Refusal::new();
    (Collector::start_as(&mut refusal.command()), refusal)
}

#[test]
fn a_disk_that_turns_read_only_costs_nothing() {
    let (collector, refusal) = refusing_on_demand();
    nothing_is_lost("disk read-only", &collector, &OF_WRITING, || refusal.refuse(b'1'), || refusal.refuse(b'0'));
}

#[test]
fn a_disk_that_does_not_sync_costs_nothing() {
    let (collector, refusal) = refusing_on_demand();
    let counters = ["journal_sync_errors", "flush_retries"];
    let (refuse, agree) = (|| refusal.refuse(b'2'), || refusal.refuse(b'0'));
    nothing_is_lost("disk that does not sync", &collector, &counters, refuse, agree);
}
