//! `/flows`, `/flows/top` and `/flows/series`: questions about archived flows, over files as the collector writes them.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use api::{FlowArchive, Key, Role};
use archive::{OpenParts, Reserve, Writer};
use columns::{Id, Row};
use flow::{FlushNumber, WriterId};
use serde_json::{Value, json};
use tempfile::TempDir;
use testing::wait::DEADLINE;

use crate::client::{Answer, ask, credentials, send, sign_with};
use crate::server::{Server, keys};
use crate::stats::minute;

/// The range of time in which all flows are.
pub(crate) const RANGE: &str = "from=2014-02-02T05:00Z&to=2014-02-02T05:10Z";

/// A flow in a minute, with 100 octets a packet.
pub(crate) struct Flow {
    minute: &'static str,
    exporter: &'static str,
    ends: [&'static str; 2],
    port: u64,
    bytes: u64,
    rate: u64,
}

const fn flow(
    minute: &'static str,
    exporter: &'static str,
    ends: [&'static str; 2],
    port: u64,
    bytes: u64,
    rate: u64,
) -> Flow {
    Flow { minute, exporter, ends, port, bytes, rate }
}

/// Those of docs/rest.md.
pub(crate) const FLOWS: [Flow; 5] = [
    flow("2014-02-02 05:00", "172.16.1.1", ["198.51.100.7", "172.16.1.5"], 443, 1500, 1),
    flow("2014-02-02 05:01", "172.16.1.1", ["198.51.100.7", "172.16.1.9"], 443, 300, 10),
    flow("2014-02-02 05:01", "172.16.1.1", ["2001:db8::7", "2001:db8:1::5"], 53, 200, 1),
    flow("2014-02-02 05:06", "172.16.1.1", ["198.51.100.8", "172.16.1.5"], 53, 100, 1),
    flow("2014-02-02 05:07", "192.0.2.1", ["198.51.100.8", "192.0.2.77"], 22, 50_000, 1),
];

impl Flow {
    pub(crate) fn row(&self) -> Row {
        let mut row = Row::new();
        row.set(Id::Received, minute(self.minute).start.timestamp().milliseconds() + 250);
        row.set(Id::DstPort, self.port);
        row.set(Id::Proto, 6);
        row.set(Id::Bytes, self.bytes);
        row.set(Id::Packets, self.bytes / 100);
        row.set(Id::Flows, 1);
        row.set(Id::Rate, self.rate);
        let [source, destination] = self.ends.map(|end| end.parse().unwrap());
        row.set_address(Id::SrcIp, source);
        row.set_address(Id::DstIp, destination);
        row.set_address(Id::Exporter, self.exporter.parse().unwrap());
        row
    }
}

/// Writes rows as one flush.
pub(crate) fn write(folder: &Path, rows: impl IntoIterator<Item = Row>) {
    let mut writer = Writer::new(folder.to_owned(), Reserve { percent: 0 });
    writer.begin_flush(WriterId(7), FlushNumber { epoch: 1, sequence: 1 }).unwrap();
    rows.into_iter().for_each(|row| writer.take(&row).unwrap());
    writer.finish().unwrap();
}

/// The archive of the examples in docs/rest.md.
pub(crate) fn example() -> (TempDir, FlowArchive) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), FLOWS.iter().map(Flow::row));
    let archive = FlowArchive::new(folder.path().to_owned(), OpenParts::default(), 256 << 20);
    (folder, archive)
}

/// A server over the example, also for a key that is limited to 172.16.1.1 and 172.16.1.2.
fn server() -> (TempDir, Server) {
    let (folder, archive) = example();
    (folder, over(archive))
}

/// A server over an archive, for the same keys.
pub(crate) fn over(archive: FlowArchive) -> Server {
    let senders = vec!["172.16.1.1".parse().unwrap(), "172.16.1.2".parse().unwrap()];
    let limited = Key::new("limited", "l", "s").unwrap().limited(Role::Read, Some(senders));
    Server::with(keys().with([limited]), |api| api.answering_from(Some(archive)))
}

pub(crate) fn get(server: &Server, path: &str) -> Value {
    let answer = ask(server.address, "GET", path, "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
    answer.json()
}

pub(crate) fn as_limited(server: SocketAddr, path: &str) -> Answer {
    let headers = format!("X-Io-Auth: l\r\nX-Io-Sign: {}\r\n", sign_with("s", b"l"));
    send(server, "GET", path, &headers, b"")
}

#[test]
fn flows_are_answered_one_by_one_in_pages() {
    let (_folder, server) = server();
    let columns = "columns=received,srcip,dstport,bytes,srcmac";
    let answer = get(&server, &format!("/flows?{RANGE}&{columns}&n=2&tz=Europe/Berlin"));
    assert_eq!(answer["columns"], json!(["received", "srcip", "dstport", "bytes", "srcmac"]));
    let row = |received: &str, srcip: &str, port: u64, bytes: u64| json!({"received": received, "srcip": srcip, "dstport": port, "bytes": bytes, "srcmac": null});
    assert_eq!(
        answer["rows"],
        json!([
            row("2014-02-02T06:07:00.25+01:00", "198.51.100.8", 22, 50_000),
            row("2014-02-02T06:06:00.25+01:00", "198.51.100.8", 53, 100)
        ])
    );
    assert_eq!((&answer["order"], &answer["tz"]), (&json!("newest"), &json!("Europe/Berlin")));
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = get(&server, &format!("/flows?{RANGE}&columns=bytes&order=oldest&n=2&cursor={cursor}"));
        found.extend(answer["rows"].as_array().unwrap().iter().map(|row| row["bytes"].as_u64().unwrap()));
        let Some(next) = answer["next"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(found, [1500, 3000, 200, 100, 50_000]);
}

#[test]
fn groups_add_up_to_the_total() {
    let (_folder, server) = server();
    let answer = get(&server, &format!("/flows/top?{RANGE}&by=srcip/24&n=1&counters=sent"));
    let sums = |records: u64, bytes: u64, packets: u64| json!({"records": records, "bytes": bytes, "packets": packets, "flows": records});
    let with = |mut object: Value, key: &str, value: Value| {
        object[key] = value;
        object
    };
    assert_eq!(answer["rows"], json!([with(sums(4, 51_900, 519), "key", json!({"srcip/24/48": "198.51.100.0/24"}))]));
    assert_eq!(answer["rest"], with(sums(1, 200, 2), "groups", json!(1)));
    assert_eq!(answer["total"], sums(5, 52_100, 521));
    assert_eq!(answer["by"], json!(["srcip/24/48"]));
    assert_eq!(answer["counters"], "sent");
    let answer = get(&server, &format!("/flows/top?{RANGE}&by=exporter&filter=dst+port+443"));
    assert_eq!((&answer["total"], &answer["counters"]), (&sums(2, 4500, 45), &json!("scaled")));
    assert_eq!(answer["filter"], "dstport = 443");
    assert_eq!(answer["coverage"]["since"], "2014-02-02T05:00:00Z");
    assert_eq!(answer["coverage"]["read"]["files"], 1);
}

#[test]
fn flows_and_groups_have_names_if_asked_for() {
    let (_folder, server) = server();
    let rows = |query: &str| get(&server, &format!("/flows{query}&{RANGE}&n=2"))["rows"].clone();
    let flow = |port: u64, name: &str| json!({"proto": 6, "dstport": port, "names": {"proto": "tcp", "dstport": name}});
    assert_eq!(rows("?columns=proto,dstport&names=1"), json!([flow(22, "ssh"), flow(53, "dns")]));
    assert_eq!(rows("?columns=dstport"), json!([{"dstport": 22}, {"dstport": 53}]));
    for path in ["/top?sum=flows&by=dstport,srcip/24", "/series?sum=flows&by=dstport,srcip/24"] {
        let named = rows(&format!("{path}&names=1"));
        assert_eq!(named[0]["key"], json!({"dstport": 443, "srcip/24/48": "198.51.100.0/24"}));
        assert_eq!(named[0]["names"], json!({"dstport": "https"}));
        assert_eq!(rows(path)[0].get("names"), None);
    }
}

#[test]
fn groups_develop_in_steps_of_time() {
    let (_folder, server) = server();
    let answer = get(&server, &format!("/flows/series?{RANGE}&by=dstport&n=1&sum=flows&every=5m"));
    let bytes = |sums: &Value| sums["bytes"].as_u64().unwrap();
    let steps: Vec<_> = answer["steps"].as_array().unwrap().iter().collect();
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step["start"].as_str().unwrap(), bytes(&step["rows"][0]), bytes(&step["rest"])))
        .collect();
    assert_eq!(answer["rows"][0]["key"], json!({"dstport": 53}));
    assert_eq!(steps, [("2014-02-02T05:00:00Z", 200, 4500), ("2014-02-02T05:05:00Z", 100, 50_000)]);
}

#[test]
fn a_limited_key_gets_only_the_flows_of_its_senders() {
    let (_folder, server) = server();
    let total = |path: &str| {
        let answer = as_limited(server.address, path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["coverage"].get("read"), None, "what was read shows how many flows others have");
        (answer["total"]["bytes"].as_u64(), answer["exporter"].clone())
    };
    let own = json!(["172.16.1.1", "172.16.1.2"]);
    assert_eq!(total(&format!("/flows/top?{RANGE}&by=exporter")), (Some(4800), own.clone()));
    assert_eq!(total(&format!("/flows/series?{RANGE}")), (Some(4800), own));
    assert_eq!(total(&format!("/flows/top?{RANGE}&exporter=172.16.1.1")), (Some(4800), json!(["172.16.1.1"])));
    assert_eq!(total(&format!("/flows/top?{RANGE}&exporter=::ffff:172.16.1.2")).0, Some(0));
    // Neither a filter nor its form makes more of them.
    for filter in ["exporter+192.0.2.1", "any+or+exporter+192.0.2.1", "not+exporter+172.16.1.1", "port+22)+or+(any"] {
        let path = format!("/flows/top?{RANGE}&filter={filter}");
        let answer = as_limited(server.address, &path);
        let bytes = answer.json()["total"]["bytes"].as_u64();
        assert!(answer.status == 400 || bytes == Some(if filter.starts_with("any") { 4800 } else { 0 }), "{answer:?}");
    }
    let rows = as_limited(server.address, &format!("/flows?{RANGE}&columns=exporter")).json();
    assert_eq!(
        rows["rows"],
        json!([{"exporter": "172.16.1.1"}, {"exporter": "172.16.1.1"}, {"exporter": "172.16.1.1"}, {"exporter": "172.16.1.1"}])
    );
    for exporter in ["192.0.2.1", "172.16.1.1,192.0.2.1", "::"] {
        for path in ["/flows", "/flows/top", "/flows/series"] {
            let refused = as_limited(server.address, &format!("{path}?{RANGE}&exporter={exporter}"));
            assert!(refused.refusal(403, "FORBIDDEN").contains("172.16.1.1, 172.16.1.2"));
        }
    }
    // All that it may not see is there.
    assert_eq!(get(&server, &format!("/flows/top?{RANGE}"))["total"]["bytes"], 54_800);
}

#[test]
fn a_question_that_cannot_be_understood_is_refused_with_the_place_and_a_proposal() {
    let (_folder, server) = server();
    for (path, expected) in [
        ("/flows?filter=udp+or+host+x", "filter: column 13: expected an address"),
        ("/flows?by=srcip", "by: \"by\" is no word of this question"),
        ("/flows?n=1000000", "n: must be a whole number from 1 to 10000"),
        ("/flows?cursor=1", "cursor: is none: pass on the text of next of the answer before"),
        ("/flows/top?by=srcip,dstprot", "by: column 7: \"dstprot\" is no column of flows: did you mean dstport?"),
        ("/flows/top?by=srcip&by=dstip", "by: is given twice"),
        ("/flows/top?from=tomorrow", "from: 'tomorrow' is not a time: write 2026-11-23T05:01Z"),
        ("/flows/top?from=2013-01-01&to=2013-01-02", "to: the archive has flows from 2014-02-02T05:00:00Z on"),
        ("/flows/top?%22%3E=1", "[\"\\\">\"]: "),
        ("/flows/series?every=1ms", "every: at most 10080 steps fit into an answer: ask for every=1m"),
    ] {
        let refusal = ask(server.address, "GET", path, "").refusal(400, "BAD_REQUEST");
        assert!(refusal.starts_with(expected), "{path}: {refusal}");
    }
    let keys: Vec<_> =
        ["srcip", "dstip", "nexthop", "bgpnexthop", "natsrcip", "natdstip", "innersrcip", "innerdstip"].into();
    let answer = ask(server.address, "GET", &format!("/flows/top?{RANGE}&by={}", keys.join(",")), "");
    assert!(answer.refusal(400, "BAD_REQUEST").contains("group by fewer columns"));
    ask(server.address, "GET", "/flows/all", "").refusal(404, "NOT_FOUND");
    assert_eq!(ask(server.address, "POST", "/flows", "").status, 405);
    send(server.address, "GET", "/flows", "", b"").refusal(401, "UNAUTHORIZED");
}

#[test]
fn without_an_archive_the_refusal_advises_to_enable_it() {
    let server = Server::start();
    for path in ["/flows", "/flows/top", "/flows/series"] {
        let refusal = ask(server.address, "GET", path, "").refusal(404, "NOT_FOUND");
        assert!(refusal.contains("set archive.enabled = true"), "{refusal}");
    }
}

/// The value of a metric.
pub(crate) fn metric(server: SocketAddr, name: &str) -> f64 {
    let metrics = send(server, "GET", "/metrics", "", b"");
    let value = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name}: {}", metrics.text())).parse().unwrap()
}

pub(crate) fn wait_until(event: &str, mut holds: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !holds() {
        assert!(since.elapsed() < DEADLINE, "still waiting: {event}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A folder in which a question takes long.
pub(crate) fn large() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let begin = minute("2014-02-02 05:00").start.timestamp().milliseconds();
    let rows = (0..400_000_u64).map(|number| {
        let mut row = FLOWS[0].row();
        row.set(Id::Received, begin + number / 10);
        row.set(Id::SrcPort, number.wrapping_mul(40_503) >> 4);
        row.set(Id::Start, number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        row
    });
    write(folder.path(), rows);
    folder
}

#[test]
fn a_question_ends_when_its_client_goes_or_the_collector_stops() {
    let folder = large();
    let archive = FlowArchive::new(folder.path().to_owned(), OpenParts::default(), 256 << 20);
    let of_server = archive.clone();
    let server = Server::with(keys(), |api| api.answering_from(Some(of_server)));
    let address = server.address;
    let cancelled = || metric(address, "netflow_flow_questions_total{result=\"cancelled\"}");
    let is_running = || metric(address, "netflow_running_flow_questions") > 0.0;
    let path = format!("/flows/top?{RANGE}&by=srcport,start&distinct=srcip,received");
    let begin = || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: netflow\r\n{}\r\n", credentials()).unwrap();
        wait_until("the question is being answered", is_running);
        stream
    };
    // Until one was not answered before its client had gone.
    wait_until("a question is cancelled when its client goes", || {
        drop(begin());
        wait_until("the question has ended", || !is_running());
        cancelled() > 0.0
    });
    let _stream = begin();
    archive.close();
    wait_until("the question has ended", || !is_running());
    let refusal = ask(address, "GET", &path, "").refusal(503, "SERVICE_UNAVAILABLE");
    assert_eq!(refusal, "the collector is stopping");
}
