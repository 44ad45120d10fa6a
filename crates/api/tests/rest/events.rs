//! `GET /events`: what happens now, as server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use accounting::direction::Direction::{In, InLocal, Out};
use api::{Api, Key, Role};
use serde_json::{Value, json};
use tap::Taps;
use testing::wait::DEADLINE;

use crate::client::{ask, credentials, send, sign_with};
use crate::server::{Server, keys};
use crate::stats::{WRITER, count_of, minute};
use crate::status::MadeUp;

const SENDER: &str = "192.0.2.1";
const OWN: &str = "X-Netflow: 1\r\nOrigin: http://netflow\r\n";

/// With a fake collector, which has flushed last at 16:00, and a key for one of its senders.
fn server() -> Server {
    let limited = Key::new("limited", "l", "s").unwrap();
    let limited = limited.limited(Role::Read, Some(vec![SENDER.parse().unwrap()]));
    let server = Server::with(keys().with([limited]), |api: Api| {
        api.with_web().showing(Arc::new(MadeUp::default()), Taps::default())
    });
    let body = r#"{"tags":["edge"],"prefixes":[{"prefix":"10.0.0.0","prefixLen":8},{"prefix":"10.1.0.0","prefixLen":16},{"prefix":"192.0.2.0","prefixLen":24}]}"#;
    for sender in [SENDER, "192.0.2.2"] {
        assert_eq!(ask(server.address, "PUT", &format!("/senders/{sender}"), body).status, 200);
    }
    let at = minute("2025-11-25 15:59");
    count_of(&server, WRITER, SENDER, at, "10.0.0.0/8", &[(In, "all", 60, 6000), (Out, "all", 6, 600)]);
    // In the prefix around it, too.
    count_of(&server, WRITER, SENDER, at, "10.1.0.0/16", &[(In, "all", 30, 3000)]);
    count_of(&server, WRITER, SENDER, at, "192.0.2.0/24", &[(In, "all", 3, 300), (InLocal, "all", 12, 120)]);
    count_of(&server, WRITER, "192.0.2.2", at, "10.0.0.0/8", &[(In, "all", 6, 60)]);
    server
}

/// An open stream.
struct Events(BufReader<TcpStream>);

impl Events {
    /// Asks for events; also returns the head of the answer.
    fn request(server: &Server, headers: &str) -> (BufReader<TcpStream>, String) {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nHost: netflow\r\nAccept-Encoding: gzip\r\n{headers}\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        (reader, head)
    }

    fn open(server: &Server, headers: &str) -> Self {
        let (reader, head) = Self::request(server, headers);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
            assert!(head.contains(line), "{head}");
        }
        assert!(!head.contains("content-encoding"), "{head}");
        Self(reader)
    }

    /// The name and the data of the next event; `None` at the end.
    fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection was closed");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            } else if line == "0\r\n" {
                return None;
            }
        }
    }
}

fn rate(flows: f64, bytes: f64, packets: f64) -> Value {
    json!({"bitsPerSecond": bytes * 8.0 / 60.0, "packetsPerSecond": packets / 60.0, "flowsPerSecond": flows / 60.0})
}

#[test]
fn the_first_event_has_everything_and_later_ones_what_has_changed() {
    let server = server();
    let mut events = Events::open(&server, &credentials());
    let (name, first) = events.next().unwrap();
    assert_eq!((&*name, &first["minute"]), ("now", &json!("2025-11-25T15:59:00Z")));
    let [one, other] = first["senders"].as_array().unwrap().as_slice() else { panic!("{first}") };
    assert_eq!((&one["address"], &one["tags"]), (&json!(SENDER), &json!(["edge"])));
    assert_eq!((&one["flowsPerSecond"], &one["lostPercent"]), (&json!(15.0), &json!(null)));
    assert_eq!((&other["address"], &other["flowsPerSecond"]), (&json!("192.0.2.2"), &json!(null)));
    assert_eq!(one["bitsPerSecond"], json!({"in": 8000.0, "out": 800.0, "local": 80.0}));
    assert_eq!(other["bitsPerSecond"], json!(null), "it has sent nothing");
    // The numbers of /series, without those of prefixes in others.
    let packets = |path: &str, direction: &str| {
        let path = format!("{path}&step=minute&from=2025-11-25T15:59Z&to=2025-11-25T16:00Z");
        let point = ask(server.address, "GET", &path, "").json()["points"][0]["counters"][direction].clone();
        point["pkts"].as_f64().unwrap_or_else(|| panic!("{path}: {point}"))
    };
    let series = |prefix: &str| format!("/series/{SENDER}?prefix={prefix}");
    let (around, net) = (series("10.0.0.0/8"), series("192.0.2.0/24"));
    let expected = json!({
        "in": rate(63.0, 6300.0, packets(&around, "in") + packets(&net, "in")),
        "out": rate(6.0, 600.0, packets(&around, "out")),
        "local": rate(12.0, 120.0, packets(&net, "in:local")),
    });
    assert_eq!(one["traffic"], expected);
    assert_eq!(first["totals"]["traffic"]["in"]["bitsPerSecond"], json!(6360.0 * 8.0 / 60.0));
    assert_eq!((&first["totals"]["senders"], &first["totals"]["flowsPerSecond"]), (&json!(2), &json!(15.0)));
    assert_eq!(first["unknown"][0]["address"], "2001:db8::1");

    assert_eq!(ask(server.address, "DELETE", "/senders/192.0.2.2", "").status, 200);
    let (_, second) = events.next().unwrap();
    assert_eq!(second["removed"], json!(["192.0.2.2"]));
    assert_eq!((&second["senders"], second.get("unknown")), (&json!([]), None));
    assert_eq!(second["totals"]["senders"], 1);
}

#[test]
fn a_limited_key_gets_only_its_senders_and_a_stream_ends_with_its_session() {
    let server = server();
    let nonce = send(server.address, "GET", "/session/nonce", "", b"").json()["nonce"].as_str().unwrap().to_owned();
    let login = json!({"authKey": "l", "sign": sign_with("s", nonce.as_bytes()), "nonce": nonce}).to_string();
    let answer = send(server.address, "POST", "/session", OWN, login.as_bytes());
    let (cookie, _) = answer.header("set-cookie").unwrap().split_once(';').unwrap();
    let cookie = format!("Cookie: {cookie}\r\n");
    let mut events = Events::open(&server, &cookie);
    let (_, first) = events.next().unwrap();
    assert_eq!((&first["senders"][0]["address"], first["senders"].as_array().unwrap().len()), (&json!(SENDER), 1));
    assert_eq!((&first["totals"]["senders"], first.get("unknown")), (&json!(1), None));
    assert_eq!(send(server.address, "DELETE", "/session", &format!("{cookie}{OWN}"), b"").status, 200);
    // An event may have been made before.
    let mut last = events.next();
    while last.as_ref().is_some_and(|(name, _)| name == "now") {
        last = events.next();
    }
    assert_eq!(last, Some(("ended".to_owned(), json!({}))));
    assert_eq!(events.next(), None);
}

#[test]
fn the_streams_of_a_key_are_limited_and_need_credentials_and_a_collector() {
    let server = server();
    let open: Vec<_> = (0..8).map(|_| Events::open(&server, &credentials())).collect();
    let answer = ask(server.address, "GET", "/events", "");
    assert!(answer.header("retry-after").is_some());
    assert!(answer.refusal(503, "SERVICE_UNAVAILABLE").contains("8 of a key"));
    let other = format!("X-Io-Auth: l\r\nX-Io-Sign: {}\r\n", sign_with("s", b"l"));
    drop(Events::open(&server, &other));
    // A place is free when the server has noticed that its client is gone.
    drop(open);
    let end = Instant::now() + DEADLINE;
    while Events::request(&server, &credentials()).1.contains(" 503 ") {
        assert!(Instant::now() < end, "its place is not given back");
    }
    send(server.address, "GET", "/events", "", b"").refusal(401, "UNAUTHORIZED");
    ask(Server::start().address, "GET", "/events", "").refusal(404, "NOT_FOUND");
}
