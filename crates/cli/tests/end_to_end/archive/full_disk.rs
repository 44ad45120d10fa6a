//! The disk of the archive is full: a real one, a tmpfs on the folder of the archive. It is in a mount namespace of its own,
//! which takes root, or else a user namespace; it is reached from here by way of /proc.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::faults::{AHEAD, Faulty};
use super::{Sums, expected, files};
use crate::collector::Collector;
use crate::crashes::{EXPORTERS, FLOWS_A_DATAGRAM, counted};
use crate::disk::fill;

/// More datagrams than a small disk has room for.
const MOST_DATAGRAMS: u64 = 2000;

/// A disk for the archive of the collectors in a directory. It lasts as long as this.
pub(super) struct SmallDisk {
    /// Keeps the namespace until its standard input ends.
    holder: Child,
    directory: PathBuf,
    /// How much of it is left free.
    free_percent: &'static str,
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

impl SmallDisk {
    /// A disk of this size, as tmpfs(5) has it, of which the archive leaves some percent free; and the directory.
    fn new(size: &str, free_percent: &'static str) -> (TempDir, Self) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        fs::create_dir_all(path.join("data/flows")).unwrap();
        let mut command = Command::new("unshare");
        command.args(if is_root() { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
        let script = "mount -t tmpfs -o size=$1,mode=700 archive \"$0/data/flows\"; echo mounted; read end";
        command.args(["sh", "-euc", script]).arg(&path).arg(size).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        (directory, Self { holder, directory: path, free_percent })
    }

    /// Runs something where the disk is.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        command.args(if is_root() { &[][..] } else { &["--user", "--preserve-credentials"] });
        command
    }

    /// The same collector as this command starts, with its archive on the disk.
    pub(super) fn command(&self, collector: &Command) -> Command {
        let mut command = self.enter();
        command
            .args(["sh", "-euc", "cd \"$1\" && shift && exec \"$0\" \"$@\""])
            .arg(collector.get_program())
            .arg(&self.directory);
        command.env("NETFLOW__ARCHIVE__FREE_PERCENT", self.free_percent);
        command.envs(collector.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Changes its size.
    fn resize(&self, size: &str) {
        let mut command = self.enter();
        command.args(["mount", "-o", &format!("remount,size={size}")]).arg(self.directory.join("data/flows"));
        assert!(command.status().unwrap().success());
    }

    /// The directory, with the disk.
    fn path(&self) -> PathBuf {
        Path::new("/proc")
            .join(self.holder.id().to_string())
            .join("root")
            .join(self.directory.strip_prefix("/").unwrap())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// What must be counted and archived of an exporter: flows have the number of their datagram as their octets.
fn sent(faulty: &Faulty) -> [u64; 2] {
    [FLOWS_A_DATAGRAM * (1..=faulty.sent).sum::<u64>(), FLOWS_A_DATAGRAM * faulty.sent]
}

/// Counting is not disturbed: the REST interface has all that was sent.
fn is_counted(faulty: &Faulty) {
    let Faulty { collector, .. } = faulty;
    collector.wait_until("counted as sent", || EXPORTERS.iter().all(|of| counted(collector, of) == sent(faulty)));
    assert_eq!(collector.counter("kernel_drops"), 0);
}

fn gauge(collector: &Collector, name: &str) -> f64 {
    let metrics = collector.shell(&format!("curl -sS http://{}/metrics", collector.serving));
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse().unwrap()
}

fn is_found(collector: &Collector, finding: &str) -> bool {
    collector.command(&["doctor", "--json"]).0.contains(&format!("\"{finding}\""))
}

/// There is room again: the archive continues, and the files have what was sent, each flow once.
fn is_archived(faulty: Faulty) {
    faulty.collector.wait_until("archived after all", || faulty.has_all());
    is_counted(&faulty);
    let faulty = faulty.restart();
    let Faulty { collector, disk, .. } = &faulty;
    let path = disk.as_ref().unwrap().path();
    let expected: Sums = expected([sent(&faulty); 2]);
    assert_eq!(files::sums(&path), expected, "{}", collector.log());
    // `clock.txt` may be written at this moment.
    collector.wait_until("no unfinished file is left", || files::unfinished(&path).is_empty());
    assert_eq!(gauge(collector, "netflow_archive_losses"), 0.0);
    if let Some(found) = files::sums_by_duckdb(&path) {
        assert_eq!(found, expected, "DuckDB");
    }
    faulty.collector.terminate();
}

#[test]
fn an_archive_that_fills_its_disk_continues_when_there_is_room() {
    let (directory, disk) = SmallDisk::new("256k", "0");
    let mut faulty = Faulty::start_on(directory, Some(disk));
    faulty.refusal.step_clock(AHEAD);
    let fails = |faulty: &Faulty| gauge(&faulty.collector, "netflow_archive_failing_seconds") > 0.0;
    // Each time a file.
    while !fails(&faulty) {
        assert!(faulty.sent < MOST_DATAGRAMS, "the disk is not full");
        faulty.send();
        faulty.collector.wait_until("archived, or the disk is full", || faulty.has_all() || fails(&faulty));
    }
    faulty.collector.wait_for_line("No space left on device");
    assert!(is_found(&faulty.collector, "archive_failing"));
    assert!(files::sums(&faulty.disk.as_ref().unwrap().path()).values().all(|[_, flows]| *flows > 0));
    faulty.send();
    is_counted(&faulty);
    // Neither a stop nor a start makes a difference.
    let mut faulty = faulty.restart();
    faulty.send();
    is_counted(&faulty);
    faulty.collector.wait_until("the disk is still full", || fails(&faulty) && !faulty.has_all());
    faulty.disk.as_ref().unwrap().resize("64m");
    faulty.collector.wait_until("it does not fail any more", || !fails(&faulty));
    assert!(!is_found(&faulty.collector, "archive_failing"));
    is_archived(faulty);
}

#[test]
fn an_archive_on_a_disk_that_others_fill_continues_when_there_is_room() {
    let (directory, disk) = SmallDisk::new("64m", "10");
    let filler = disk.path().join("data/flows/filler");
    fill(&filler);
    let mut faulty = Faulty::start_on(directory, Some(disk));
    faulty.refusal.step_clock(AHEAD);
    faulty.send();
    faulty.collector.wait_for_line("less than 10 % of the disk is free");
    assert!(gauge(&faulty.collector, "netflow_archive_lacking_bytes") > 0.0);
    assert!(is_found(&faulty.collector, "archive_disk_full"));
    faulty.send();
    is_counted(&faulty);
    assert!(!faulty.has_all());
    fs::remove_file(filler).unwrap();
    is_archived(faulty);
}
