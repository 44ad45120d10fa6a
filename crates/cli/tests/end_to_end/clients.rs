//! Hostile clients of the REST interface: neither other clients nor the counting of flows notice them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::SystemTime;

use crate::collector::Collector;

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
