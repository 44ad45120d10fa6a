//! A week ago and yesterday, three routers sent flows to a collector and to nfcapd: most of them are generated, and the flood, the
//! scans and the loss of yesterday are made here.

use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use wire::netflow_v5::{Header, Record};
use zerocopy::IntoBytes;

use crate::collector::{Collector, PATIENCE};
use crate::disk::Refusal;

pub(super) const ROUTERS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
/// Flows that the sequence numbers of the third router lack.
pub(super) const LOST: u64 = 100;
const DAY: u64 = 86_400;
/// 14:20:05, so that a load is of one minute.
const LOADED: u64 = (14 * 60 + 20) * 60 + 5;
/// 14:25:05, in the next sample of 5 minutes.
const FLOODED: u64 = LOADED + 300;

/// A flow as nfdump lists it.
pub(super) struct Flow {
    pub(super) is_of_yesterday: bool,
    pub(super) is_generated: bool,
    /// Such as 2026-11.
    pub(super) month: String,
    /// Minutes since 1970.
    pub(super) minute: u64,
    pub(super) router: String,
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
    pub(super) source_as: u32,
    pub(super) destination_as: u32,
    pub(super) input: u32,
    pub(super) packets: u64,
    pub(super) octets: u64,
}

impl Flow {
    /// The host of 192.0.2.0/24 that an address is.
    pub(super) fn own_host(&self, address: &str) -> Option<u8> {
        address.strip_prefix("192.0.2.")?.parse().ok()
    }
}

/// A collector and the files of nfcapd after that.
pub(super) struct Sent {
    pub(super) collector: Collector,
    pub(super) nfcapd: TempDir,
    pub(super) flows: Vec<Flow>,
}

impl Sent {
    pub(super) fn before_today() -> Self {
        let clock = Refusal::new();
        let now = unix(SystemTime::now());
        let today = now - now % DAY;
        clock.step_clock_of_all(to_then(today - 8 * DAY + LOADED));
        let collector = Collector::start_as(&mut clock.command());
        register(&collector);
        let nfcapd = tempfile::tempdir().unwrap();
        let mut expected = [0; 3];
        let mut send = |at: u64, generated: (&str, &str), made: &[(&str, Vec<u8>)]| {
            let receiver = Nfcapd::start(&nfcapd, at);
            clock.step_clock_of_all(to_then(at));
            let sums = [collector.receiving, receiver.address].map(|to| generate(&clock, to, generated));
            assert_eq!(sums[0], sums[1], "the same seed");
            expected = add(expected, sums[0]);
            is_counted(&collector, expected[2]);
            run_on(&collector, &clock, at..FLOODED - LOADED + at);
            // The numbers of a source port continue.
            let sockets = ROUTERS.map(|router| (router, UdpSocket::bind((router, 0)).unwrap()));
            for (router, datagram) in made {
                let (_, socket) = sockets.iter().find(|(address, _)| address == router).unwrap();
                for to in [collector.receiving, receiver.address] {
                    socket.send_to(datagram, to).unwrap();
                }
            }
            receiver.stop();
            expected = made.iter().map(|(_, datagram)| sums_of(datagram)).fold(expected, add);
            is_counted(&collector, expected[2]);
        };
        send(today - 8 * DAY + LOADED, ("7", "3000"), &[]);
        send(today - DAY + LOADED, ("8", "6000"), &made(today - DAY + FLOODED));
        run_on(&collector, &clock, today - DAY + FLOODED..today - DAY + FLOODED + 300);
        clock.step_clock_of_all(0);
        super::wait_for(&collector, &["archive", "status", "--json"], "/total/flows", expected[2]);
        let flows: Vec<Flow> =
            [8, 1].into_iter().flat_map(|days| list(&nfcapd, today - days * DAY, days == 1)).collect();
        let listed = [sum(&flows, |flow| flow.octets), sum(&flows, |flow| flow.packets), flows.len() as u64];
        assert_eq!(listed, expected, "what nfdump lists");
        Self { collector, nfcapd, flows }
    }
}

fn is_counted(collector: &Collector, flows: u64) {
    collector.wait_until("counted", || collector.rest("GET", "/status", "")["counters"]["flows"]["matched"] == flows);
}

/// Lets some minutes pass for a collector, with a flush in each: a sample of which it did not see each minute is unknown.
fn run_on(collector: &Collector, clock: &Refusal, time: Range<u64>) {
    for at in time.step_by(60) {
        clock.step_clock_of_all(to_then(at + 60));
        let flushes = collector.counter("flushes");
        collector.wait_until("flushed", || collector.counter("flushes") > flushes);
    }
}

fn sum(flows: &[Flow], of: impl Fn(&Flow) -> u64) -> u64 {
    flows.iter().map(of).sum()
}

fn add(one: [u64; 3], other: [u64; 3]) -> [u64; 3] {
    [one[0] + other[0], one[1] + other[1], one[2] + other[2]]
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// By how much a clock differs that shows this time.
fn to_then(then: u64) -> i64 {
    then as i64 - unix(SystemTime::now()) as i64
}

/// What the first lines of the cookbook do, without a command: the clock of the collector is wrong. Networks come first, so that
/// routers have them from their first datagram on.
fn register(collector: &Collector) {
    for (prefix, customer) in [("192.0.2.0/25", "customer-a"), ("192.0.2.128/25", "customer-b")] {
        collector.rest("PUT", &format!("/networks/{prefix}"), &format!(r#"{{"customer":"{customer}"}}"#));
    }
    for router in ROUTERS {
        let tags = if router == "127.0.0.3" { "[]" } else { "[\"edge\"]" };
        let body = format!(r#"{{"prefixes":[{{"prefix":"192.0.2.0","prefixLen":24}}],"tags":{tags}}}"#);
        collector.rest("PUT", &format!("/senders/{router}"), &body);
    }
    collector.wait_for_line("senders=3");
}

/// Sends a generated load with the clock of the collector; returns its octets, packets and flows.
fn generate(clock: &Refusal, to: SocketAddr, (seed, flows): (&str, &str)) -> [u64; 3] {
    let output = clock
        .command()
        .args(["generate", "--exporters", "3", "--prefix", "192.0.2.0/24", "--zipf", "--rate", "2000", "--json"])
        .args(["--seed", seed, "--flows", flows, "--to", &to.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    ["bytes", "pkts", "flows"].map(|key| sent[key].as_u64().unwrap())
}

/// NetFlow v5: a flood of one host, two hosts that try port 445 of many, and a gap between two datagrams.
fn made(at: u64) -> Vec<(&'static str, Vec<u8>)> {
    let flood = |number: u8| Record {
        source: [203, 0, 113, number],
        destination: [192, 0, 2, 77],
        octets: (10_000_000 + 100_000 * u32::from(number)).into(),
        packets: 20_000.into(),
        source_port: 123.into(),
        destination_port: 53.into(),
        protocol: 17,
        source_as: 64_511.into(),
        destination_as: 64_500.into(),
        ..Record::default()
    };
    let scan = |source: u8, host: u8| Record {
        source: [198, 51, 100, source],
        destination: [192, 0, 2, host],
        octets: 48.into(),
        packets: 1.into(),
        destination_port: 445.into(),
        protocol: 6,
        ..Record::default()
    };
    let mut datagrams: Vec<_> =
        (0..8).map(|part| ("127.0.0.2", datagram(at, part * 30, &(0..30).map(flood).collect::<Vec<_>>()))).collect();
    datagrams.push(("127.0.0.3", datagram(at, 0, &(0..30).map(|host| scan(9, host)).collect::<Vec<_>>())));
    let others: Vec<_> = (0..12).map(|host| scan(if host < 5 { 10 } else { 9 }, 100 + host)).collect();
    datagrams.push(("127.0.0.3", datagram(at, 30 + LOST as u32, &others)));
    datagrams
}

fn datagram(at: u64, sequence: u32, records: &[Record]) -> Vec<u8> {
    let header = Header {
        version: 5.into(),
        count: (records.len() as u16).into(),
        uptime: 60_000.into(),
        unix_seconds: (at as u32).into(),
        sequence: sequence.into(),
        ..Header::default()
    };
    let records = records.iter().map(|record| Record { first: 59_000.into(), last: 60_000.into(), ..*record });
    let mut octets = header.as_bytes().to_vec();
    records.for_each(|record| octets.extend_from_slice(record.as_bytes()));
    octets
}

/// Octets, packets and flows of such a datagram.
fn sums_of(datagram: &[u8]) -> [u64; 3] {
    let number = |record: &[u8], at: usize| u64::from(u32::from_be_bytes(record[at..at + 4].try_into().unwrap()));
    let records = datagram[size_of::<Header>()..].chunks(size_of::<Record>());
    records.map(|record| [number(record, 20), number(record, 16), 1]).fold([0; 3], add)
}

/// A running nfcapd at another time.
struct Nfcapd {
    child: Child,
    address: SocketAddr,
}

impl Nfcapd {
    fn start(directory: &TempDir, at: u64) -> Self {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // The program `faketime` itself would stay its parent.
        let library = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().unwrap().stdout;
        let child = Command::new("nfcapd")
            .args(["-b", "127.0.0.1", "-p", &address.port().to_string(), "-t", "3600", "-w"])
            .arg(directory.path())
            .env("LD_PRELOAD", String::from_utf8(library).unwrap().trim())
            .env("FAKETIME", to_then(at).to_string())
            .env("TZ", "UTC")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("installed by `make test`");
        let receiver = Self { child, address };
        receiver.wait_until("listening", |queue| queue.is_some());
        receiver
    }

    /// Ends it when it has read everything.
    fn stop(mut self) {
        self.wait_until("without datagrams in its queue", |queue| queue == Some(0));
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// Waits until this holds for the octets in the queue of its socket, if it has one.
    fn wait_until(&self, what: &str, is_so: impl Fn(Option<u64>) -> bool) {
        let end = Instant::now() + PATIENCE;
        let local = format!(":{:04X}", self.address.port());
        let queue = || {
            let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
            let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let of_it = fields.into_iter().find(|fields| fields[1].ends_with(&local))?;
            u64::from_str_radix(of_it[4].split_once(':')?.1, 16).ok()
        };
        while !is_so(queue()) {
            assert!(Instant::now() < end, "nfcapd is not {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Nfcapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The flows in the file of an hour.
fn list(nfcapd: &TempDir, day: u64, is_of_yesterday: bool) -> Vec<Flow> {
    let date = |format: &str| {
        let output = Command::new("date").args(["-u", "-d", &format!("@{day}"), format]).output().unwrap().stdout;
        String::from_utf8(output).unwrap().trim().to_owned()
    };
    let (file, month) = (date("+nfcapd.%Y%m%d1400"), date("+%Y-%m"));
    let output = Command::new("nfdump")
        .args(["-N", "-q", "-o", "fmt:%sa,%da,%dp,%pr,%sas,%das,%in,%pkt,%byt,%ra", "-r"])
        .arg(nfcapd.path().join(file))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let flow = |line: &str| {
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap_or_else(|error| panic!("{error}: {line}"));
        // Only those made here have other remote addresses.
        let is_generated = [words[0], words[1]].iter().any(|address| address.starts_with("172."));
        let second = day + if is_generated { LOADED } else { FLOODED };
        Flow {
            is_of_yesterday,
            is_generated,
            month: month.clone(),
            minute: second / 60,
            router: words[9].to_owned(),
            source: words[0].to_owned(),
            destination: words[1].to_owned(),
            destination_port: number(2) as u16,
            protocol: number(3) as u8,
            source_as: number(4) as u32,
            destination_as: number(5) as u32,
            input: number(6) as u32,
            packets: number(7),
            octets: number(8),
        }
    };
    text.lines().map(flow).collect()
}
