//! Sockets that outlive the collector: what comes between two starts waits in them and is counted.

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flow::Counters;

use crate::collector::Collector;
use crate::traffic::{PREFIXES, Totals};
use crate::{answered_in_time, register, thirty_flows};

const RESTARTS: usize = 10;
/// Of thirty flows each: 20,000 flows a second.
const DATAGRAMS_PER_SECOND: u64 = 667;
/// How long each collector receives at least.
const LIFE: Duration = Duration::from_millis(300);

/// Sends until it is told to stop; says how many datagrams that were.
fn send(from: &UdpSocket, to: &UdpSocket, done: &AtomicBool) -> u64 {
    let (to, begun, mut sent) = (to.local_addr().unwrap(), Instant::now(), 0);
    while !done.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * DATAGRAMS_PER_SECOND / 1000;
        for _ in sent..due {
            // Never refused: the socket is there all the time.
            from.send_to(&thirty_flows(), to).unwrap();
        }
        sent = due;
        std::thread::sleep(Duration::from_millis(5));
    }
    sent
}

#[test]
fn ten_restarts_under_load_lose_nothing_when_the_sockets_are_held() {
    let receiving = UdpSocket::bind("127.0.0.1:0").unwrap();
    let serving = TcpListener::bind("127.0.0.1:0").unwrap();
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    let first = Collector::start_passing(tempfile::tempdir().unwrap(), &receiving, &serving);
    register(&first);
    let (directory, _) = first.terminate();
    let done = AtomicBool::new(false);
    let (collector, sent) = std::thread::scope(|scope| {
        let mut collector = Collector::start_passing(directory, &receiving, &serving);
        let load = scope.spawn(|| send(&from, &receiving, &done));
        for _ in 0..RESTARTS {
            std::thread::sleep(LIFE);
            let (directory, log) = collector.terminate();
            assert!(log.contains(" drops 0"), "{log}");
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

#[test]
fn a_socket_that_is_not_configured_is_refused_by_its_address() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" 3<&0 </dev/null", env!("CARGO_BIN_EXE_netflow")])
        .current_dir(directory.path())
        .env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0")
        .env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")
        .stdin(std::os::fd::OwnedFd::from(stranger.try_clone().unwrap()))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains(&format!("the socket of {} was passed", stranger.local_addr().unwrap())), "{said}");
}
