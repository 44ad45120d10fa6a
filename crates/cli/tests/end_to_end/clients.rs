//! Hostile clients of the REST interface: neither other clients nor the counting of flows notice them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::SystemTime;

use crate::collector::{Collector, PATIENCE};
use crate::load::{register, this_year};

/// A request without credentials on a connection of its own: the status, or 0 without an answer.
fn status_of(server: SocketAddr, path: &str) -> u16 {
    let ask = || {
        let mut stream = TcpStream::connect(server).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: netflow\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    };
    ask().unwrap_or_default()
}

/// A collector that may open this many files.
fn with_descriptors(limit: u32) -> Collector {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_netflow")]);
    command.env("NETFLOW__SERVER__CORES", "2");
    Collector::start_as(&mut command)
}

#[test]
fn with_few_descriptors_strangers_keep_neither_health_nor_the_admin_out_and_no_flow_is_lost() {
    let collector = with_descriptors(64);
    assert!(collector.startup_log().contains("the limit of open files is 64"), "{}", collector.startup_log());
    register(&collector);
    let (socket, mut strangers) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Vec::new());
    let rounds = 20;
    for _ in 0..rounds {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(collector.serving).unwrap();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost:");
            strangers.push(stream);
        }
        socket.send_to(&crate::thirty_flows(), collector.receiving).unwrap();
        assert_eq!([status_of(collector.serving, "/healthz"), status_of(collector.serving, "/readyz")], [200; 2]);
        assert_eq!(status_of(collector.serving, "/metrics"), 200);
        this_year(&collector).unwrap();
    }
    collector.wait_until("counted", || this_year(&collector).is_ok_and(|counted| counted[2] == 30 * rounds));
    assert_eq!(collector.rest("GET", "/status", "")["counters"]["kernel_drops"], 0);
    assert_eq!(collector.counter("journal_missed_datagrams"), 0, "{}", collector.log());
    drop(strangers);
    collector.terminate();
}

/// A request of version 2, made of the keys in its data directory, to be sent more than once.
fn signed_now(collector: &Collector) -> String {
    let keys = std::fs::read_to_string(collector.path().join("data/keys")).unwrap();
    let key = |name: &str| {
        let (_, rest) = keys.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let signature = api::sign(&key("signKey"), "GET", "/", seconds, "a-nonce-used-once", b"");
    format!("X-Io-Auth: {}\r\nX-Io-Sign: {signature}\r\n", key("authKey"))
}

fn status_with(server: SocketAddr, credentials: &str) -> u16 {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: netflow\r\nConnection: close\r\n{credentials}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_start_with_a_clock_that_is_ahead_makes_no_request_valid_again() {
    let first = Collector::start();
    let credentials = signed_now(&first);
    assert_eq!(status_with(first.serving, &credentials), 200);
    assert_eq!(status_with(first.serving, &credentials), 401);
    let (directory, _) = first.terminate();
    // The program `faketime` itself would stay the parent of the collector.
    let library = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().unwrap().stdout;
    let mut ahead = Command::new(env!("CARGO_BIN_EXE_netflow"));
    ahead.env("LD_PRELOAD", String::from_utf8(library).unwrap().trim()).env("FAKETIME", "+1h");
    let ahead = Collector::start_in_as(directory, &mut ahead);
    assert_eq!(status_with(ahead.serving, &credentials), 401, "it is too old");
    // Its own clients have the wrong clock too, so it cannot be asked whether its ledgers balance.
    let directory = ahead.kill();
    let right = Collector::start_in(directory);
    assert_eq!(status_with(right.serving, &credentials), 401, "it was used");
}
