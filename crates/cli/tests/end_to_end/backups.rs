//! `netflow backup` and `netflow restore` with the real program: while datagrams arrive, while the collector is killed, and
//! while the commands themselves are killed. Flows carry the number of their datagram as their octets, so that the sums show
//! a gap or a flow that counts twice.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use testing::{Random, Service};
use wire::encode;
use wire::netflow_v5::{Header, Record};

use crate::collector::Collector;
use crate::crashes::recovered;
use crate::load::{register, this_year};
use crate::stores;

const FLOWS_A_DATAGRAM: u64 = 30;
/// Datagrams that are sent before it is looked whether they were read: few enough for any receive buffer.
const AT_ONCE: u64 = 40;
const ONE_CORE: [(&str, &str); 1] = [("NETFLOW__SERVER__CORES", "1")];

/// How often the collector is killed: NETFLOW_BACKUPS in the environment, or few enough for every change.
fn rounds() -> u64 {
    std::env::var("NETFLOW_BACKUPS").map_or(3, |number| number.parse().expect("NETFLOW_BACKUPS is a number"))
}

/// Octets and flows.
type Sums = [u64; 2];

fn counted(collector: &Collector) -> Sums {
    let [octets, _, flows] = this_year(collector).unwrap();
    [octets, flows]
}

/// The datagrams that one run of a collector gets.
struct Run {
    socket: UdpSocket,
    /// What had been counted before.
    before: Sums,
    /// The number of the last datagram of earlier runs.
    after: u64,
    sent: u64,
}

impl Run {
    fn new(before: Sums, after: u64) -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").unwrap(), before, after, sent: 0 }
    }

    /// Sends some datagrams.
    fn send(&mut self, collector: &Collector) {
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
        for _ in 0..AT_ONCE {
            self.sent += 1;
            let header = Header { unix_seconds: seconds.into(), ..Header::default() };
            let record = Record {
                destination: [192, 0, 2, (self.sent % 250) as u8],
                octets: ((self.after + self.sent) as u32).into(),
                packets: 1.into(),
                ..Record::default()
            };
            let datagram = encode::netflow_v5(&header, &[record; FLOWS_A_DATAGRAM as usize]);
            self.socket.send_to(&datagram, collector.receiving).unwrap();
        }
    }

    /// Sends some, and waits until all are in the journal.
    fn send_and_wait(&mut self, collector: &Collector) {
        self.send(collector);
        let sent = self.sent;
        collector.wait_until("written", || collector.counter("journal_written_datagrams") == sent);
    }

    /// How many datagrams of this run are counted. They must be the first ones, each once.
    fn first(&self, counted: Sums) -> u64 {
        let [octets, flows] = [0, 1].map(|index| counted[index] - self.before[index]);
        let datagrams = flows / FLOWS_A_DATAGRAM;
        let numbers: u64 = (self.after + 1..=self.after + datagrams).sum();
        let context = format!("{counted:?} after {:?}, numbered from {}", self.before, self.after + 1);
        assert_eq!((flows % FLOWS_A_DATAGRAM, octets), (0, numbers * FLOWS_A_DATAGRAM), "{context}");
        assert!(datagrams <= self.sent, "{context}");
        datagrams
    }
}

/// What a backup must contain.
struct Backup {
    path: PathBuf,
    /// The first datagrams of this run,
    before: Sums,
    after: u64,
    /// at least this many,
    read: u64,
    /// and at most this many.
    sent: u64,
}

impl Backup {
    fn check(&self, counted: Sums) {
        let run = Run { sent: self.sent, ..Run::new(self.before, self.after) };
        let datagrams = run.first(counted);
        assert!(datagrams >= self.read, "{datagrams} of {} in {}", self.read, self.path.display());
    }
}

fn netflow(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    command
}

fn output(directory: &Path, arguments: &[&str]) -> Output {
    netflow(directory, arguments).output().unwrap()
}

/// Its standard output.
fn done(directory: &Path, arguments: &[&str]) -> String {
    let output = output(directory, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Its standard error.
fn refusal(directory: &Path, arguments: &[&str]) -> String {
    let output = output(directory, arguments);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn begin(collector: &Collector, path: &Path) -> Child {
    netflow(collector.path(), &["backup", path.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap()
}

/// Begins a backup, and kills it in some cases: then it must be as if it had not begun.
fn begin_again(collector: &Collector, path: &Path, random: &mut Random) -> Child {
    for _ in 0..random.below(3) {
        let mut child = begin(collector, path);
        std::thread::sleep(Duration::from_millis(random.below(40)));
        child.kill().unwrap();
        child.wait().unwrap();
        // Complete, if it was killed just before its end.
        let _ = fs::remove_dir_all(path);
    }
    begin(collector, path)
}

/// What is counted by collectors that start in a directory, one after the other.
fn counted_after_starts(mut directory: TempDir, starts: usize) -> (TempDir, Sums) {
    let mut last = None;
    for _ in 0..starts {
        let collector = Collector::start_in_with(directory, &ONE_CORE);
        recovered(&collector);
        let now = counted(&collector);
        assert_eq!(*last.get_or_insert(now), now, "counted again at the second start");
        (directory, _) = collector.terminate();
    }
    (directory, last.unwrap())
}

#[test]
fn what_was_received_before_a_backup_is_restored_exactly_whatever_is_killed() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let kept = tempfile::tempdir().unwrap();
    let mut collector = Collector::start_with(&ONE_CORE);
    register(&collector);
    let mut backups = Vec::<Backup>::new();
    let mut run = Run::new([0, 0], 0);
    for _ in 0..rounds() {
        for is_last in [false, false, true] {
            for _ in 0..1 + random.below(4) {
                run.send_and_wait(&collector);
            }
            let (read, path) = (run.sent, kept.path().join(backups.len().to_string()));
            let mut child = begin_again(&collector, &path, &mut random);
            if is_last {
                run.send(&collector);
                std::thread::sleep(Duration::from_millis(random.below(60)));
                let directory = collector.kill();
                assert!(child.wait().unwrap().success());
                collector = Collector::start_in_with(directory, &ONE_CORE);
                recovered(&collector);
                let now = counted(&collector);
                assert!(run.first(now) >= read);
                backups.push(Backup { path, before: run.before, after: run.after, read, sent: run.sent });
                run = Run::new(now, run.after + run.sent);
            } else {
                while child.try_wait().unwrap().is_none() {
                    run.send_and_wait(&collector);
                }
                assert!(child.wait().unwrap().success());
                backups.push(Backup { path, before: run.before, after: run.after, read, sent: run.sent });
            }
        }
    }
    let (mut directory, _) = collector.terminate();
    let mut restored = Vec::new();
    for backup in &backups {
        let elsewhere = tempfile::tempdir().unwrap();
        done(elsewhere.path(), &["restore", backup.path.to_str().unwrap()]);
        let (_, sums) = counted_after_starts(elsewhere, 2);
        backup.check(sums);
        restored.push(sums);
    }
    // In the directory of the collector, killed at any moment: the old data or those of the backup.
    let mut now;
    (directory, now) = counted_after_starts(directory, 1);
    let (mut old, mut new) = (0, 0);
    for _ in 0..4 * rounds() {
        let index = random.below(backups.len() as u64) as usize;
        let path = backups[index].path.to_str().unwrap();
        let mut child = netflow(directory.path(), &["restore", path]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.below(60)));
        child.kill().unwrap();
        child.wait().unwrap();
        let sums;
        (directory, sums) = counted_after_starts(directory, 1);
        assert!(sums == now || sums == restored[index], "{sums:?} is neither {now:?} nor {:?}", restored[index]);
        if sums == restored[index] {
            new += 1
        } else {
            old += 1
        }
        now = sums;
    }
    let datagrams = run.after;
    println!(
        "{} backups of {datagrams} datagrams; restores killed: {old} without effect, {new} finished",
        backups.len()
    );
}

/// A collector that has counted some datagrams, and its backup in `copy`.
fn backed_up() -> (Collector, Run) {
    let collector = Collector::start_with(&ONE_CORE);
    register(&collector);
    let mut run = Run::new([0, 0], 0);
    run.send_and_wait(&collector);
    let printed = done(collector.path(), &["backup", "copy"]);
    assert!(printed.starts_with("backed up to copy: netflow.sqlite ("), "{printed}");
    let (copied, others) = printed.split_once('\n').unwrap();
    assert!(copied.ends_with(" journal segments, keys, nonces"), "{printed}");
    // The archive may lack what was counted last.
    let is_unread = others.starts_with("not included: ") && others.ends_with(" counted, and not archived yet\n");
    assert!(others.is_empty() || is_unread, "{printed}");
    let keys = fs::read_to_string(collector.path().join("data/keys")).unwrap();
    let key = keys.split('"').nth(1).unwrap();
    assert!(key.len() == 64 && !printed.contains(key), "{printed}");
    (collector, run)
}

/// All names below a directory with their modes.
fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = vec![(path.to_owned(), fs::metadata(path).unwrap().permissions().mode() & 0o777)];
    if path.is_dir() {
        found.extend(fs::read_dir(path).unwrap().flat_map(|entry| modes(&entry.unwrap().path())));
    }
    found
}

#[test]
fn only_the_owner_can_read_a_backup_and_what_was_restored() {
    let (collector, run) = backed_up();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = collector.path().join("copy");
    done(elsewhere.path(), &["restore", copy.to_str().unwrap()]);
    for directory in [copy, elsewhere.path().join("data")] {
        let modes = modes(&directory);
        assert!(modes.len() > 4, "{modes:?}");
        assert!(modes.iter().all(|(_, mode)| mode & 0o077 == 0), "{modes:?}");
    }
    let keys = |directory: &Path| fs::read_to_string(directory.join("data/keys")).unwrap();
    assert_eq!(keys(elsewhere.path()), keys(collector.path()));
    let (_, sums) = counted_after_starts(elsewhere, 2);
    assert_eq!(run.first(sums), run.sent);
}

#[test]
fn what_arrived_after_a_backup_and_is_in_the_journal_is_counted_after_the_restore() {
    let (collector, mut run) = backed_up();
    let (directory, _) = collector.terminate();
    let collector = Collector::start_in_with(directory, &[ONE_CORE[0], ("NETFLOW__FLUSH_INTERVAL", "5m")]);
    let mut later = Run::new([0, 0], run.sent);
    later.send_and_wait(&collector);
    run.sent += later.sent;
    let directory = collector.kill();
    let old_keys = fs::read_to_string(directory.path().join("data/keys")).unwrap();
    fs::write(directory.path().join("data/keys"), old_keys.replace('0', "1")).unwrap();
    let printed = done(directory.path(), &["restore", "copy"]);
    assert!(
        printed.starts_with("restored copy to data\nthe replaced netflow.sqlite is in data/replaced-"),
        "{printed}"
    );
    let replaced = printed.split(" is in ").nth(1).unwrap().split(':').next().unwrap();
    assert!(directory.path().join(replaced).join("netflow.sqlite").is_file(), "{printed}");
    let keys = fs::read_to_string(directory.path().join("data/keys")).unwrap();
    assert_ne!(keys, old_keys, "keys that were replaced since the backup stay");
    let (_, sums) = counted_after_starts(directory, 3);
    assert_eq!(run.first(sums), run.sent);
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_refused_and_nothing_changes() {
    let (collector, run) = backed_up();
    let exists = refusal(collector.path(), &["backup", "copy"]);
    assert!(exists.contains("copy exists: give the backup a new directory"), "{exists}");
    let running = refusal(collector.path(), &["restore", "copy"]);
    assert!(running.contains("stop the collector before you restore"), "{running}");
    let missing = refusal(collector.path(), &["backup", "missing/copy"]);
    assert!(missing.contains("cannot create missing/copy.incomplete: No such file"), "{missing}");
    let (directory, _) = collector.terminate();
    let path = directory.path();
    fs::create_dir(path.join("empty")).unwrap();
    let no_backup = refusal(path, &["restore", "empty"]);
    assert!(no_backup.contains("empty is no backup: it has no netflow.sqlite"), "{no_backup}");
    let itself = refusal(path, &["restore", "data"]);
    assert!(itself.contains("data is the dataDir itself"), "{itself}");
    fs::rename(path.join("copy"), path.join("copy.incomplete")).unwrap();
    let incomplete = refusal(path, &["restore", "copy.incomplete"]);
    assert!(incomplete.contains("copy.incomplete is incomplete"), "{incomplete}");
    fs::rename(path.join("copy.incomplete"), path.join("copy")).unwrap();
    let database = fs::read(path.join("copy/netflow.sqlite")).unwrap();
    let mut damaged = database.clone();
    damaged.iter_mut().skip(4096).step_by(512).for_each(|octet| *octet ^= 0x55);
    let newer = directory.path().join("newer");
    fs::write(&newer, &database).unwrap();
    let status = Command::new("sqlite3").arg(&newer).arg("PRAGMA user_version = 99").status().unwrap();
    assert!(status.success());
    for (content, reason) in
        [(damaged, "damaged"), (database[..4096].to_vec(), "damaged"), (fs::read(newer).unwrap(), "layout version 99")]
    {
        fs::write(path.join("copy/netflow.sqlite"), content).unwrap();
        let refused = refusal(path, &["restore", "copy"]);
        assert!(refused.contains("copy/netflow.sqlite cannot be restored") && refused.contains(reason), "{refused}");
    }
    let (_, sums) = counted_after_starts(directory, 1);
    assert_eq!(run.first(sums), run.sent);
}

#[test]
fn a_restored_spool_and_identity_count_nothing_twice_in_redis() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let settings = stores::settings("redis", &redis.hosts, "backup");
    let collector = stores::start(&settings);
    register(&collector);
    let mut run = Run::new([0, 0], 0);
    run.send_and_wait(&collector);
    redis.run(&["kill", "1"]);
    run.send_and_wait(&collector);
    collector.wait_for_line("they wait on disk");
    let command = |directory: &Path, arguments: &[&str]| {
        let output = netflow(directory, arguments).envs(settings.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = command(collector.path(), &["backup", "copy"]);
    assert!(printed.contains(" 0 journal segments") && printed.contains("routers and counters in redis"), "{printed}");
    redis.run(&["start"]);
    run.send_and_wait(&collector);
    let is_exact = |collector: &Collector, sent: u64| {
        let numbers: u64 = (1..=sent).sum();
        this_year(collector) == Ok([numbers, sent, sent].map(|sum| sum * FLOWS_A_DATAGRAM))
    };
    collector.wait_until("stored", || is_exact(&collector, run.sent));
    let (mut directory, _) = collector.terminate();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy");
    for is_lost in [false, true] {
        if is_lost {
            fs::rename(&copy, elsewhere.path().join("copy")).unwrap();
            directory = tempfile::tempdir().unwrap();
        }
        let from = if is_lost { elsewhere.path().join("copy") } else { copy.clone() };
        command(directory.path(), &["restore", from.to_str().unwrap()]);
        let collector = stores::start_in(directory, &settings);
        // Its flushes follow those of the spool.
        let mut more = Run::new([0, 0], run.sent);
        more.send_and_wait(&collector);
        run.sent += more.sent;
        collector.wait_until("exact", || is_exact(&collector, run.sent));
        (directory, _) = collector.terminate();
    }
}
