//! Sockets that outlive the collector: what comes between two starts waits in them and is counted.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use accounting::block::TableSet;
use accounting::field::{Field, Name, Value};
use accounting::period::{Interval, Minute, Period};
use flow::Counters;
use storage::Sqlite;
use storage::totals::totals;
use tempfile::TempDir;
use wire::encode;
use wire::netflow_v5::{Header, Record};

use crate::collector::Collector;
use crate::crashes::unread;
use crate::traffic::{PREFIXES, Totals};
use crate::{answered_in_time, register, thirty_flows};

const RESTARTS: usize = 10;
/// Of thirty flows each: 20,000 flows a second.
const DATAGRAMS_PER_SECOND: u64 = 667;
/// How long each collector receives at least.
const LIFE: Duration = Duration::from_millis(300);

/// How many datagrams may wait in a socket: a collector that starts slowly does not make it overflow.
const MOST_UNREAD: u64 = 500;

/// Sends until `done`; returns the number of datagrams.
fn send(from: &UdpSocket, to: &UdpSocket, done: &AtomicBool) -> u64 {
    let (to, begun, mut sent) = (to.local_addr().unwrap(), Instant::now(), 0);
    while !done.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * DATAGRAMS_PER_SECOND / 1000;
        let due = due.min(sent + MOST_UNREAD / 10);
        for _ in sent..due {
            // Never refused: the socket is there all the time.
            from.send_to(&thirty_flows(), to).unwrap();
        }
        sent = due;
        pause(to);
    }
    sent
}

/// Waits a moment, and until there is room in the socket.
fn pause(to: SocketAddr) {
    std::thread::sleep(Duration::from_millis(5));
    while unread(to) > MOST_UNREAD {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the service manager keeps while collectors come and go: sockets, and the directory of a collector that has the
/// sender registered. And a socket to send from.
struct ServiceManager {
    receiving: UdpSocket,
    serving: TcpListener,
    from: UdpSocket,
    directory: TempDir,
}

impl ServiceManager {
    fn with_a_sender() -> Self {
        let [receiving, from] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let serving = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = Collector::start_passing(tempfile::tempdir().unwrap(), &receiving, &serving);
        register(&first);
        let (directory, _) = first.terminate();
        Self { receiving, serving, from, directory }
    }
}

#[test]
fn ten_restarts_under_load_lose_nothing_when_the_sockets_stay_open() {
    let ServiceManager { receiving, serving, from, directory } = ServiceManager::with_a_sender();
    let done = AtomicBool::new(false);
    let (collector, sent) = std::thread::scope(|scope| {
        let mut collector = Collector::start_passing(directory, &receiving, &serving);
        let load = scope.spawn(|| send(&from, &receiving, &done));
        for _ in 0..RESTARTS {
            std::thread::sleep(LIFE);
            let (directory, log) = collector.terminate();
            assert!(log.contains(" kernel_drops 0"), "{log}");
            collector = Collector::start_passing(directory, &receiving, &serving);
        }
        done.store(true, Ordering::Relaxed);
        (collector, load.join().unwrap())
    });
    let key = (PREFIXES[0].to_owned(), "in".to_owned(), "all".to_owned());
    let flows = 30 * sent;
    let expected = Totals::from([(key, Counters { bytes: 100 * flows, packets: 2 * flows, flows })]);
    assert_eq!(answered_in_time(&collector, &expected), expected, "{}", collector.log());
}

const KILLS: usize = 10;
/// A number is a source port.
const NUMBERS: u64 = 1 << 16;
/// Datagrams that one thread has read and not written down at any moment: one batch.
const IN_HAND: u64 = 64;

/// Sends datagrams whose flows have their number as source port.
fn send_numbered(from: &UdpSocket, to: &UdpSocket, done: &AtomicBool) -> u64 {
    let (to, begun, mut sent) = (to.local_addr().unwrap(), Instant::now(), 0);
    while !done.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * DATAGRAMS_PER_SECOND / 1000;
        let due = due.min(sent + MOST_UNREAD / 10).min(NUMBERS);
        for number in sent..due {
            let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
            let header = Header { unix_seconds: seconds.into(), ..Header::default() };
            let source_port = u16::try_from(number).unwrap().into();
            let record = Record {
                source_port,
                destination: [192, 0, 2, 1],
                octets: 100.into(),
                packets: 2.into(),
                ..Record::default()
            };
            from.send_to(&encode::netflow_v5(&header, &[record; 30]), to).unwrap();
        }
        sent = due;
        pause(to);
    }
    sent
}

/// How many flows are stored of each source port.
fn flows_by_number(data: &Path) -> BTreeMap<u64, u64> {
    let store = Sqlite::open(&data.join("netflow.sqlite")).unwrap();
    let year = Interval::containing(Period::Year, Minute::of(SystemTime::now().into()));
    let sender = "127.0.0.1".parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wanted = TableSet::of_field(Field::SourcePort);
    let totals = runtime.block_on(totals(&store, sender, PREFIXES[0].parse().unwrap(), year, wanted)).unwrap();
    let number = |name: Name| match name.value {
        Value::Number(number) => u64::from(number),
        Value::Address(_) => panic!("{name:?}"),
    };
    totals.tables.rows_of(Field::SourcePort).map(|(_, name, counters)| (number(name), counters.flows)).collect()
}

#[test]
fn killed_while_the_sockets_are_held_it_loses_no_more_than_it_had_in_hand() {
    let ServiceManager { receiving, serving, from, directory } = ServiceManager::with_a_sender();
    let done = AtomicBool::new(false);
    let (collector, sent) = std::thread::scope(|scope| {
        let mut collector = Collector::start_passing(directory, &receiving, &serving);
        let load = scope.spawn(|| send_numbered(&from, &receiving, &done));
        for _ in 0..KILLS {
            std::thread::sleep(LIFE);
            collector = Collector::start_passing(collector.kill(), &receiving, &serving);
        }
        done.store(true, Ordering::Relaxed);
        (collector, load.join().unwrap())
    });
    let (directory, log) = collector.terminate();
    assert!(log.contains(" kernel_drops 0"), "{log}");
    let counted = flows_by_number(&directory.path().join("data"));
    assert!(counted.values().all(|flows| *flows == 30), "{counted:?}");
    assert!(counted.keys().all(|number| *number < sent), "{sent}: {counted:?}");
    let missing = sent - counted.len() as u64;
    println!("{KILLS} kills, {sent} datagrams, {missing} of them were in hand and are lost");
    assert!(missing <= KILLS as u64 * IN_HAND, "{missing} of {sent}");
}

#[test]
fn a_socket_that_is_not_configured_is_refused_by_its_address() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve 3<&0 </dev/null", env!("CARGO_BIN_EXE_netflow")])
        .current_dir(directory.path())
        .env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0")
        .env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")
        .stdin(std::os::fd::OwnedFd::from(stranger.try_clone().unwrap()))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains(&format!("the socket of {} was passed", stranger.local_addr().unwrap())), "{stderr}");
}

#[test]
fn an_address_that_the_host_does_not_have_yet_does_not_end_a_start() {
    // Nobody else gets the port while the test has it.
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = format!("192.0.2.77:{}", free.local_addr().unwrap().port());
    let collector = Collector::start_with(&[("NETFLOW__NETFLOW__LISTEN", &format!("{at},127.0.0.1:0"))]);
    let log = collector.startup_log();
    assert!(log.contains("this host does not have this address yet"), "{log}");
    let receiving = &collector.rest("GET", "/status", "")["receiving"];
    let receiving: Vec<_> = receiving.as_array().unwrap().iter().map(|at| at.as_str().unwrap()).collect();
    assert!(receiving.contains(&at.as_str()) && receiving.len() == 2, "{receiving:?}");
}

#[test]
fn an_address_of_the_rest_interface_that_the_host_does_not_have_yet_does_not_end_a_start() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = format!("192.0.2.77:{}", free.port());
    let collector = Collector::start_with(&[("NETFLOW__HTTP__LISTEN", &at)]);
    let log = collector.startup_log();
    assert!(log.contains(&format!("serving the REST interface there as soon as it has address={at}")), "{log}");
    // It counts without the interface.
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    from.send_to(&thirty_flows(), collector.receiving).unwrap();
    collector.signal("TERM");
    let (_, status, log) = collector.ended();
    assert!(status.success() && log.contains("unregistered 1"), "{log}");
}
