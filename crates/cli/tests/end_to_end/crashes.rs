//! The real program is killed at random moments under load: what it had read is counted once, whatever it was doing.
//!
//! Datagrams sent to a killed process are counted up to some datagram, and none after it: those had not reached the journal. Just before the kill it is looked how many were sent and how many of them wait in its sockets, which
//! on a machine that has no time for it may be many: the others it has read, and all but a batch must be counted. What is
//! sent until the process is gone may be counted or not. Flows carry the number of their datagram as their octets, so that the sums show a gap or
//! a flow that counts twice.
//!
//! And a receiving thread panics: the process ends, because without that thread it would answer and not count.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tempfile::TempDir;
use testing::Random;
use wire::encode;
use wire::netflow_v5::{Header, Record};

use crate::collector::{Collector, PATIENCE};
use crate::disk::refusing_on_demand;
use crate::load::{self, Running, flows, until_exact};

const FLOWS_A_SECOND: u64 = 20_000;
pub(crate) const FLOWS_A_DATAGRAM: u64 = 30;
/// Two exporters, one for each of two receiving threads.
pub(crate) const EXPORTERS: [&str; 2] = ["127.0.0.2", "127.0.0.3"];
/// How a process ends that aborts.
const SIGABRT: i32 = 6;
/// What may be lost of each run: the batch that a thread has in hand.
const IN_HAND: u64 = 64;

/// How often it is killed: CRASHES in the environment, or few enough for every change to be tested with.
fn crashes() -> u64 {
    std::env::var("CRASHES").map_or(20, |number| number.parse().expect("CRASHES is a number"))
}

/// A datagram whose flows carry its number.
fn datagram(number: u64) -> Vec<u8> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
    let header = Header { unix_seconds: seconds.into(), ..Header::default() };
    let record = Record {
        destination: [192, 0, 2, (number % 250) as u8],
        octets: (number as u32).into(),
        packets: 1.into(),
        ..Record::default()
    };
    encode::netflow_v5(&header, &[record; FLOWS_A_DATAGRAM as usize])
}

/// Sends as many datagrams, numbered from `first` on.
pub(crate) fn send_some(exporter: &str, to: SocketAddr, first: u64, datagrams: u64) {
    let socket = UdpSocket::bind((exporter, 0)).unwrap();
    for number in first..first + datagrams {
        socket.send_to(&datagram(number), to).unwrap();
    }
}

/// Sends datagrams to a collector until `stop`, numbered from `first` on; counts them in `sent`.
fn send(exporter: &str, to: SocketAddr, first: u64, stop: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind((exporter, 0)).unwrap();
    let begun = Instant::now();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_micros() as u64 * FLOWS_A_SECOND / EXPORTERS.len() as u64 / 1_000_000;
        if number * FLOWS_A_DATAGRAM >= due {
            std::thread::sleep(Duration::from_micros(500));
            continue;
        }
        // Refused once the collector is gone.
        let _ = socket.send_to(&datagram(first + number), to);
        number += 1;
        sent.store(number, Ordering::Relaxed);
    }
}

/// Octets and flows that are counted for an exporter, also in years to which clocks were stepped.
pub(crate) fn counted(collector: &Collector, exporter: &str) -> [u64; 2] {
    let year: u32 = collector.shell("date -u +%Y").trim().parse().unwrap();
    let years: Vec<_> = (year - 1..year + 12).map(|year| year.to_string()).collect();
    let question = json!({ "192.0.2.0/24": { "years": years } });
    let answer = collector.rest("POST", &format!("/stats/{exporter}"), &question.to_string());
    let of_years = answer["192.0.2.0/24"]["years"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let of_years = of_years.iter().map(|year| year.as_object().and_then(|year| year.values().next()).unwrap());
    let rows: Vec<_> = of_years.flat_map(|rows| rows.as_array().unwrap()).collect();
    ["bytes", "flows"].map(|key| rows.iter().map(|row| row[key].as_u64().unwrap()).sum())
}

/// The segments of a journal that are not counted yet, beside those that the archive has not read and its cursor.
pub(crate) fn segments(journal: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(journal).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("epoch-"));
    files
}

/// Waits until the flush of what was recovered is durable: until then there are segments in the journal.
pub(crate) fn recovered(collector: &Collector) {
    let end = Instant::now() + PATIENCE;
    while !segments(&collector.path().join("data/journal")).is_empty() {
        assert!(Instant::now() < end, "not recovered: {}", collector.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One exporter, over all runs.
#[derive(Default)]
pub(crate) struct Exporter {
    /// Datagrams that are numbered so far.
    pub(crate) sent: u64,
    counted: [u64; 2],
}

impl Exporter {
    /// Of the datagrams of the last run a first part must be counted, and nothing else: at least those that were read.
    /// Returns how many fewer it was.
    fn check(&mut self, sent: Sent, unread: u64, counted: [u64; 2]) -> u64 {
        let [octets, flows] = [0, 1].map(|index| counted[index] - self.counted[index]);
        let datagrams = flows / FLOWS_A_DATAGRAM;
        let numbers: u64 = (self.sent + 1..=self.sent + datagrams).sum();
        let context = format!("{datagrams} datagrams of {sent:?}, {unread} unread, numbered from {}", self.sent + 1);
        assert_eq!((flows % FLOWS_A_DATAGRAM, octets), (0, numbers * FLOWS_A_DATAGRAM), "{context}");
        assert!(datagrams <= sent.in_all, "{context}");
        let missing = sent.before_kill.saturating_sub(datagrams + unread);
        assert!(missing <= IN_HAND, "{context}");
        self.sent += sent.in_all;
        self.counted = counted;
        missing
    }
}

/// How many datagrams an exporter has sent in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    before_kill: u64,
    pub(crate) in_all: u64,
}

/// How many datagrams may wait in the sockets of a collector, or were dropped there: as many as fit into the memory that they
/// take, were each no larger than its payload.
pub(crate) fn unread(receiving: SocketAddr) -> u64 {
    let payload = size_of::<Header>() as u64 + FLOWS_A_DATAGRAM * size_of::<Record>() as u64;
    sockets(receiving).iter().map(|socket| socket.waiting / payload + socket.dropped).sum()
}

/// How many datagrams the sockets of a collector have dropped.
pub(crate) fn dropped(receiving: SocketAddr) -> u64 {
    sockets(receiving).iter().map(|socket| socket.dropped).sum()
}

/// A socket as the kernel shows it (proc_net_udp(5)).
struct Socket {
    /// Memory that unread datagrams take.
    waiting: u64,
    /// Datagrams.
    dropped: u64,
}

fn sockets(receiving: SocketAddr) -> Vec<Socket> {
    let port = format!(":{:04X}", receiving.port());
    let sockets = fs::read_to_string("/proc/net/udp").unwrap();
    let sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = sockets.filter(|columns| columns[1].ends_with(&port));
    let socket = |columns: Vec<&str>| {
        let (_, waiting) = columns[4].split_once(':').unwrap();
        Socket { waiting: u64::from_str_radix(waiting, 16).unwrap(), dropped: columns[12].parse().unwrap() }
    };
    own.map(socket).collect()
}

/// Runs under load until the moment; returns how many datagrams each exporter has sent, and how many of all were not read
/// by then.
pub(crate) fn run_until_killed(
    collector: Collector,
    exporters: &[Exporter],
    moment: Duration,
) -> (TempDir, Vec<Sent>, u64) {
    let stop = AtomicBool::new(false);
    let sent = EXPORTERS.map(|_| AtomicU64::new(0));
    let (directory, before_kill, unread) = std::thread::scope(|scope| {
        for ((address, exporter), sent) in EXPORTERS.iter().zip(exporters).zip(&sent) {
            let (to, first, stop) = (collector.receiving, exporter.sent + 1, &stop);
            scope.spawn(move || send(address, to, first, stop, sent));
        }
        std::thread::sleep(moment);
        let before_kill = sent.each_ref().map(|sent| sent.load(Ordering::Relaxed));
        let unread = unread(collector.receiving);
        let directory = collector.kill();
        stop.store(true, Ordering::Relaxed);
        (directory, before_kill, unread)
    });
    let sent = before_kill.into_iter().zip(sent);
    let sent = sent.map(|(before_kill, sent)| Sent { before_kill, in_all: sent.into_inner() });
    (directory, sent.collect(), unread)
}

#[test]
fn what_was_read_is_counted_once_although_the_process_is_killed() {
    let settings = [("NETFLOW__SERVER__CORES", "2")];
    let mut collector = Collector::start_with(&settings);
    for exporter in EXPORTERS {
        collector.rest(
            "PUT",
            &format!("/senders/{exporter}"),
            r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#,
        );
    }
    collector.wait_for_line("senders=2");
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut next = |below: u64| random.below(below);
    let mut exporters = EXPORTERS.map(|_| Exporter::default());
    let (mut slowest, mut missing, mut most_unread) = (Duration::ZERO, 0, 0);
    for _ in 0..crashes() {
        let (mut directory, sent, unread) =
            run_until_killed(collector, &exporters, Duration::from_millis(50 + next(1500)));
        // Again while it counts what it has found.
        for _ in 0..next(3) {
            directory = Collector::start_and_kill(directory, &settings, Duration::from_millis(next(60)));
        }
        let begun = Instant::now();
        collector = Collector::start_in_with(directory, &settings);
        slowest = slowest.max(begun.elapsed());
        recovered(&collector);
        most_unread = most_unread.max(unread);
        for ((address, exporter), sent) in EXPORTERS.iter().zip(&mut exporters).zip(sent) {
            missing = missing.max(exporter.check(sent, unread, counted(&collector, address)));
        }
    }
    let (crashes, sent) = (crashes(), exporters.iter().map(|exporter| exporter.sent).sum::<u64>());
    println!(
        "{crashes} crashes, {sent} datagrams; ready after {slowest:.1?} at most; at most {missing} of a run in hand, and \
         {most_unread} in the sockets"
    );
    collector.terminate();
}

#[test]
fn a_panic_of_a_receiving_thread_ends_the_process_and_costs_nothing() {
    let (collector, refusal) = refusing_on_demand();
    load::register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    load::wait(Duration::from_millis(500));
    let sent = load.stop();
    collector.wait_until("all read", || {
        collector.rest("GET", "/status", "")["counters"]["flows"]["matched"].as_u64() == Some(flows(&sent))
    });
    refusal.refuse(b'3');
    let (directory, status, log) = collector.ended();
    assert_eq!(status.signal(), Some(SIGABRT), "{status}\n{log}");
    let panic = log.lines().find(|line| line.contains("panic, aborting")).unwrap_or_else(|| panic!("{log}"));
    assert!(panic.contains("ERROR") && panic.contains("receiver-"), "{panic}");
    let collector = Collector::start_in(directory);
    until_exact(&collector, &sent, PATIENCE);
    collector.terminate();
}
