//! `/tap`: the stream of flows as a client reads it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Key, Role};
use columns::{Id, Row};
use flow::{Counters, FlowRecord, Protocol, Timestamp};
use serde_json::{Value, json};
use tap::{Details, Taps};

use crate::client::{ask, send, sign};
use crate::server::{AUTH_KEY, Server, keys};
use crate::status::MadeUp;

const RECEIVED: Timestamp = Timestamp::from_seconds(1_764_086_400);
const PATIENCE: Duration = testing::wait::DEADLINE;

fn show(taps: &Taps, exporter: &str, bytes: u64) {
    let flow = FlowRecord {
        source: "198.51.100.7".parse().unwrap(),
        destination: "192.0.2.1".parse().unwrap(),
        protocol: 6,
        source_port: 50_000,
        destination_port: 443,
        forward: Counters { bytes, packets: 2, flows: 1 },
        ..FlowRecord::empty(RECEIVED)
    };
    let details = || Details { tcp_flags: Some(0x1b), input: Some(3), ..Details::default() };
    if let Some(tapped) = taps.of(exporter.parse::<IpAddr>().unwrap()) {
        let mut row = Row::new();
        row.set(Id::Bytes, bytes);
        row.set(Id::DstPort, flow.destination_port.into());
        tapped.show(RECEIVED, Protocol::NetflowV9, &flow, &row, details);
    }
}

fn server(taps: &Taps) -> Server {
    let limited = Key::new("limited", "l", "s").unwrap();
    let senders = vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
    let keys = keys().with([limited.limited(Role::Read, Some(senders))]);
    Server::with(keys, |api| api.showing(Arc::new(MadeUp::default()), taps.clone()))
}

/// Sends the request and reads the head of the response: from then on, flows are streamed.
fn open(server: &Server, query: &str, auth: &str, signature: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET /tap{query} HTTP/1.1\r\nHost: netflow\r\nAccept-Encoding: gzip\r\n");
    write!(stream, "{head}X-Io-Auth: {auth}\r\nX-Io-Sign: {signature}\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut lines = String::new();
    while !lines.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut lines).unwrap() > 0, "{lines}");
    }
    assert!(lines.starts_with("HTTP/1.1 200 "), "{lines}");
    assert!(lines.contains("content-type: application/x-ndjson") && !lines.contains("content-encoding"), "{lines}");
    reader
}

/// The next line, without the lines of the chunked encoding.
fn line(reader: &mut BufReader<TcpStream>) -> Value {
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the answer ended");
        if line.starts_with('{') {
            return serde_json::from_str(&line).unwrap();
        }
    }
}

fn signed() -> String {
    sign(AUTH_KEY.as_bytes())
}

#[test]
fn flows_are_lines_in_the_format_of_decode() {
    let taps = Taps::default();
    let server = server(&taps);
    let mut reader = open(&server, "?filter=bytes+%3E+100+and+port+443&exporter=192.0.2.1", AUTH_KEY, &signed());
    assert_eq!(line(&mut reader), json!({"dropped": 0}));
    for (exporter, bytes) in [("192.0.2.1", 100), ("192.0.2.2", 500), ("192.0.2.1", 300)] {
        show(&taps, exporter, bytes);
    }
    let expected = json!({
        "received": RECEIVED.to_string(), "exporter": "192.0.2.1", "protocol": "netflow-v9",
        "flow": {
            "source": "198.51.100.7", "destination": "192.0.2.1", "protocol": 6, "sourcePort": 50_000,
            "destinationPort": 443, "sourceAs": 0, "destinationAs": 0, "bytes": 300, "packets": 2, "flows": 1,
            "sampling": {"rate": 1, "source": "none"},
        },
        "tcpFlags": 27, "input": 3,
    });
    assert_eq!(line(&mut reader), expected);
    assert_eq!(taps.taken().0, 1);
    drop(reader);
    let end = Instant::now() + PATIENCE;
    while taps.taken().0 > 0 {
        assert!(Instant::now() < end, "its place is not given back");
        std::thread::yield_now();
    }
}

#[test]
fn a_slow_client_gets_the_number_of_missed_flows_and_others_get_all() {
    let taps = Taps::default();
    let server = server(&taps);
    let mut reader = open(&server, "", AUTH_KEY, &signed());
    assert_eq!(line(&mut reader), json!({"dropped": 0}));
    let shown = 200_000;
    (0..shown).for_each(|number| show(&taps, "192.0.2.1", number));
    let (mut flows, mut dropped) = (0, 0);
    while flows + dropped < shown {
        match line(&mut reader) {
            line if line["dropped"].is_null() => flows += 1,
            line => dropped = line["dropped"].as_u64().unwrap(),
        }
    }
    assert_eq!((flows, dropped), (taps.shown(), taps.dropped()));
    assert!(dropped > 0);
}

#[test]
fn a_stream_ends_when_the_collector_stops() {
    let taps = Taps::default();
    let server = server(&taps);
    let mut reader = open(&server, "", AUTH_KEY, &signed());
    taps.close();
    let mut rest = String::new();
    while !rest.ends_with("\r\n0\r\n\r\n") {
        let mut octet = [0];
        reader.read_exact(&mut octet).unwrap();
        rest.push(char::from(octet[0]));
    }
}

#[test]
fn the_number_of_streams_is_limited() {
    let taps = Taps::default();
    let server = server(&taps);
    let open: Vec<_> = (0..taps.taken().1).map(|_| open(&server, "", AUTH_KEY, &signed())).collect();
    let answer = ask(server.address, "GET", "/tap", "");
    assert!(answer.header("retry-after").is_some());
    let refusal = answer.refusal(503, "SERVICE_UNAVAILABLE");
    assert!(refusal.contains("taps already"), "{refusal}");
    drop(open);
}

#[test]
fn an_invalid_filter_is_an_error_with_the_column() {
    let server = server(&Taps::default());
    let refusal = ask(server.address, "GET", "/tap?filter=udp+or+host+x", "").refusal(400, "BAD_REQUEST");
    assert!(refusal.contains("filter") && refusal.contains("column 13: expected an address"), "{refusal}");
    ask(server.address, "GET", "/tap?exporter=x", "").refusal(400, "BAD_REQUEST");
    ask(server.address, "GET", "/tap?count=1", "").refusal(400, "BAD_REQUEST");
    send(server.address, "GET", "/tap", "", b"").refusal(401, "UNAUTHORIZED");
    ask(Server::start().address, "GET", "/tap", "").refusal(404, "NOT_FOUND");
}

#[test]
fn a_limited_key_gets_only_the_flows_of_its_senders() {
    let taps = Taps::default();
    let server = server(&taps);
    // Made with `printf l | openssl dgst -sha256 -hmac s`.
    let signature = crate::client::openssl(&["dgst", "-sha256", "-hmac", "s", "-r"], b"l");
    let signature = signature.split(' ').next().unwrap().to_owned();
    let headers = format!("X-Io-Auth: l\r\nX-Io-Sign: {signature}\r\n");
    let refused = send(server.address, "GET", "/tap?exporter=192.0.2.3", &headers, b"");
    assert!(refused.refusal(403, "FORBIDDEN").contains("192.0.2.1, 192.0.2.2"));
    let mut all = open(&server, "", "l", &signature);
    let mut one = open(&server, "?exporter=192.0.2.2", "l", &signature);
    assert_eq!((line(&mut all), line(&mut one)), (json!({"dropped": 0}), json!({"dropped": 0})));
    for (exporter, bytes) in [("192.0.2.3", 1), ("192.0.2.1", 2), ("192.0.2.2", 3)] {
        show(&taps, exporter, bytes);
    }
    let bytes = |reader: &mut BufReader<TcpStream>| line(reader)["flow"]["bytes"].as_u64().unwrap();
    assert_eq!([bytes(&mut all), bytes(&mut all), bytes(&mut one)], [2, 3, 3]);
}
