//! The collector as the interface shows it, with a fake collector.

mod metrics;

use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flow::{Counters, DatagramFate, Durations, FlowFate, Tallied, Timestamp};
use names::AsNames;
use serde_json::{Value, json};
use storage::StoreError;
use tap::Taps;
use view::{
    Arrivals, BitRates, Counter, Detail, DetailedExporter, EndedExportConnection, ExportConnection, ExportConnections,
    Exporter, ForwardDrops, ForwardTarget, Gauge, Histogram, Interface, Ledger, ListeningAddress, NameSource,
    OriginFile, OriginFiles, PrefixCounters, Rates, Reader, RefusedExportConnection, RouterName, RouterNames,
    SenderTransport, Socket, Status, Thread, TlsOfConnection, Unknown, View,
};

use crate::client::{ask, send};
use crate::server::{Broken, Server, keys};

/// A collector with one exporter and one unregistered sender.
#[derive(Debug, Default)]
pub(crate) struct MadeUp {
    pub(crate) spooled: f64,
    /// How long ago its threads last reported progress.
    pub(crate) silent: Duration,
    /// Of every router.
    pub(crate) interfaces: Vec<Interface>,
}

const ARRIVALS: Arrivals =
    Arrivals { unit: "datagrams", received: 999, lost: 1, filled: 2, duplicates: 0, late: 2, restarts: 0 };

const STARTED: Timestamp = Timestamp::from_seconds(1_764_086_400);

impl View for MadeUp {
    fn status(&self) -> Status {
        Status {
            started: STARTED,
            receiving: vec!["0.0.0.0:2055".parse().unwrap()],
            counters: counters(),
            gauges: vec![
                Gauge {
                    name: "spool_bytes",
                    help: "What waits for the store",
                    value: self.spooled,
                    limit: Some(100.0),
                },
                Gauge {
                    name: "spool_full",
                    help: "Whether the spool has no room for a flush",
                    value: f64::from(u8::from(self.spooled > 99.0)),
                    limit: None,
                },
                Gauge {
                    name: "journal_failing",
                    help: "Whether the journal cannot be written",
                    value: f64::from(u8::from(self.spooled > 100.0)),
                    limit: None,
                },
            ],
            histograms: vec![Histogram {
                name: "flush_duration_seconds",
                help: "How long flushes took",
                durations: durations(),
            }],
            ledgers_checked: Some(STARTED),
            ledgers: vec![Ledger { violations: 1, ..Ledger::new("datagrams", ["read", "fates of datagrams"], 5, 7) }],
            sockets: vec![Socket {
                address: "[::]:2055".parse().unwrap(),
                thread: 1,
                waiting_bytes: 2304,
                waiting_limit: 65_536,
                dropped: 2,
            }],
            readers: vec![Reader {
                name: "archive",
                paused: Some(STARTED),
                skipping: false,
                unread_flushes: 1,
                unread_segments: 2,
                unread_bytes: 4096,
                unread_seconds: 12,
                records: 300,
                missing_records: 3,
                forced_out_segments: 1,
                forced_out_bytes: 2048,
                skipped_flushes: 5,
                skipped_bytes: 6000,
                lost_seconds_ago: Some(60),
                failing_seconds: Some(4),
                last_error: Some("127.0.0.1:9092: Connection refused".to_owned()),
            }],
            origin_files: Some(origin_files()),
            bmp: None,
            export_connections: Some(export_connections()),
            forward: vec![ForwardTarget {
                address: "192.0.2.9:2055".parse().unwrap(),
                source: "collector",
                exporters: vec!["10.0.0.0/8".into()],
                received: 20,
                sent: 10,
                dropped: ForwardDrops { queue_full: 1, failed: 2, other_family: 3 },
                waiting: 4,
                waiting_bytes: 6000,
                waiting_bytes_limit: 16_777_216,
                refusals: 5,
                dropped_seconds_ago: Some(9),
                refused_seconds_ago: None,
                last_error: Some("Network is unreachable (os error 101)".into()),
            }],
            threads: vec![Thread { name: "receiver-0".into(), silent: self.silent }],
        }
    }

    fn exporters(&self) -> Vec<Exporter> {
        vec![Exporter {
            address: "192.0.2.1".parse().unwrap(),
            names: RouterNames::default(),
            relay: None,
            protocols: vec![("netflow-v9", 7)],
            first: Some(STARTED),
            last: None,
            counters: counters(),
            rates: Some(Rates { datagrams_per_second: 0.5, flows_per_second: 15.0 }),
            bits_per_second: Some(BitRates { incoming: 8000.0, outgoing: 800.0, local: 80.0 }),
            arrivals: vec![ARRIVALS],
            clock_offset_seconds: Some(-0.25),
            bmp: None,
            export_connections: vec![export_connection()],
            ended_export_connection: Some(EndedExportConnection {
                connection: export_connection(),
                at: STARTED,
                kind: "closed",
                reason: "the exporter closed the connection".to_owned(),
            }),
        }]
    }

    fn exporter(&self, address: IpAddr) -> Option<DetailedExporter> {
        let exporter = self.exporters().into_iter().find(|exporter| exporter.address == address)?;
        Some(DetailedExporter { exporter, detail: Detail { pending_sets: 4, ..Detail::default() } })
    }

    fn interfaces(&self, _: IpAddr) -> Vec<Interface> {
        self.interfaces.clone()
    }

    fn unknown(&self) -> Vec<Unknown> {
        let address = "2001:db8::1".parse().unwrap();
        let relay = Some("192.0.2.9".parse().unwrap());
        let name = RouterName { name: "edge-1.example.net".into(), source: NameSource::Dns };
        let names = RouterNames::new(vec![name]);
        let (protocol, transport) = (Some("ipfix"), SenderTransport::Udp);
        vec![Unknown { address, names, relay, datagrams: 3, last: STARTED, protocol, transport }]
    }

    fn prefixes(&self) -> Vec<PrefixCounters> {
        let of = |prefix: &str, within: Option<&str>, bytes| PrefixCounters {
            router: "192.0.2.1".parse().unwrap(),
            prefix: prefix.parse().unwrap(),
            within: within.map(|within| within.parse().unwrap()),
            counters: ["in", "in:local"].map(|name| (name, Counters { bytes, packets: 3, flows: 2 })).into(),
        };
        vec![of("192.0.2.0/25", Some("192.0.0.0/16"), u64::MAX), of("192.0.0.0/16", None, 7)]
    }

    fn networks(&self) -> Arc<flow::Networks> {
        let texts = ["192.0.2.0/24 name=office customer=customer-a", "2001:db8::/32 customer=customer-b"];
        Arc::new(texts.iter().map(|text| text.parse::<flow::Network>().unwrap()).collect())
    }

    fn as_names(&self) -> Arc<dyn AsNames> {
        Arc::new(Named)
    }
}

/// The name of one AS.
#[derive(Debug)]
struct Named;

impl AsNames for Named {
    fn of_as(&self, asn: u32) -> Option<&str> {
        (asn == 64_500).then_some("Example Ltd")
    }
}

fn export_connection() -> ExportConnection {
    ExportConnection {
        port: 50_000,
        listening: "192.0.2.7:4740".parse().unwrap(),
        tls: Some(TlsOfConnection { version: "1.3", certificate_name: Some("r1.example.net".to_owned()) }),
        since: STARTED,
        last: Some(STARTED),
        messages: 7,
        bytes: 9000,
    }
}

fn export_connections() -> ExportConnections {
    ExportConnections {
        listening: vec![ListeningAddress { address: "192.0.2.7:4740".parse().unwrap(), tls: true }],
        open: 1,
        limit: 1024,
        limit_per_sender: 16,
        refused: vec![RefusedExportConnection {
            address: "198.51.100.1".parse().unwrap(),
            reason: "unregistered",
            count: 3,
            last: STARTED,
        }],
        ..ExportConnections::default()
    }
}

fn origin_files() -> OriginFiles {
    let file = |path: &str| OriginFile { path: path.to_owned(), ..OriginFile::default() };
    let used = OriginFile {
        kind: Some("MaxMind database GeoLite2-ASN".to_owned()),
        modified: Some(STARTED),
        ipv4_ranges: 7,
        names: 3,
        ..file("/a.mmdb")
    };
    let error = Some("/b, line 2: \"x\" is no address; correct the line".to_owned());
    let failing = OriginFile { error, failing_since: Some(STARTED), ..file("/b") };
    OriginFiles {
        read: Some(STARTED),
        ipv4_ranges: 7,
        ipv6_ranges: 5,
        names: 3,
        bytes: 1000,
        reads: 2,
        failures: 1,
        files: vec![used, failing],
    }
}

/// One of 7 ms and one of 2 minutes.
fn durations() -> Durations {
    let mut durations = Durations::default();
    [7, 120_000].into_iter().for_each(|milliseconds| durations.note(Duration::from_millis(milliseconds)));
    durations
}

fn counters() -> Vec<Counter> {
    let mut datagrams = Tallied::<DatagramFate>::default();
    datagrams[DatagramFate::Decoded] = 7;
    let mut flows = Tallied::<FlowFate>::default();
    flows[FlowFate::Matched] = 210;
    vec![
        Counter::fates("datagrams", "Datagrams that were read", &datagrams),
        Counter::fates("flows", "Flow records that were decoded", &flows),
        Counter::plain("kernel_drops", "Datagrams that the kernel dropped", 2),
    ]
}

fn watched(spooled: f64) -> Server {
    showing(MadeUp { spooled, ..MadeUp::default() })
}

pub(crate) fn showing(collector: MadeUp) -> Server {
    Server::with(keys(), |api| api.showing(Arc::new(collector), Taps::default()))
}

#[test]
fn the_status_has_all_counters_and_gauges() {
    let server = watched(12.0);
    let status = ask(server.address, "GET", "/status", "").json();
    assert_eq!(status["started"], STARTED.to_string());
    assert!(status["uptimeSeconds"].as_u64().unwrap() > 0);
    assert_eq!(status["store"]["reachable"], true);
    assert_eq!(
        status["counters"]["datagrams"],
        json!({"decoded": 7, "damaged": 0, "unknown_version": 0, "unregistered": 0})
    );
    assert_eq!(status["counters"]["kernel_drops"], 2);
    assert_eq!(status["gauges"]["spool_bytes"], json!({"value": 12.0, "limit": 100.0}));
    assert_eq!(status["ledgersChecked"], STARTED.to_string());
    let sides = ["read", "fates of datagrams"];
    let ledger = json!({"name": "datagrams", "sides": sides, "left": 5, "right": 7, "violations": 1, "difference": -2});
    assert_eq!(status["ledgers"], json!([ledger]));
    assert_eq!(
        status["sockets"],
        json!([{"address": "[::]:2055", "thread": 1, "waitingBytes": 2304, "waitingLimit": 65_536, "dropped": 2}])
    );
    let reader = json!({"name": "archive", "paused": STARTED.to_string(), "skipping": false, "unreadFlushes": 1,
        "skippedFlushes": 5, "skippedBytes": 6000, "unreadSegments": 2, "unreadBytes": 4096, "unreadSeconds": 12, "records": 300,
        "missingRecords": 3, "forcedOutSegments": 1, "forcedOutBytes": 2048, "lostSecondsAgo": 60, "failingSeconds": 4,
        "lastError": "127.0.0.1:9092: Connection refused"});
    assert_eq!(status["readers"], json!([reader]));
    let target = json!({"address": "192.0.2.9:2055", "source": "collector", "exporters": ["10.0.0.0/8"], "received": 20,
        "sent": 10, "dropped": {"queueFull": 1, "failed": 2, "otherFamily": 3}, "waiting": 4, "waitingBytes": 6000,
        "waitingBytesLimit": 16_777_216, "refusals": 5, "droppedSecondsAgo": 9, "refusedSecondsAgo": null,
        "lastError": "Network is unreachable (os error 101)"});
    assert_eq!(status["forward"], json!([target]));
    let files = &status["originFiles"];
    assert_eq!((&files["read"], &files["ipv4Ranges"]), (&status["started"], &json!(7)));
    assert_eq!(files["files"][0]["kind"], "MaxMind database GeoLite2-ASN");
    assert_eq!(files["files"][1]["error"], r#"/b, line 2: "x" is no address; correct the line"#);
    assert_eq!(files["files"][1]["failingSince"], status["started"]);
    let refused = json!({"address": "198.51.100.1", "reason": "unregistered", "count": 3, "last": STARTED.to_string()});
    let listening = json!([{"address": "192.0.2.7:4740", "tls": true}]);
    let connections =
        json!({"listening": listening, "open": 1, "limit": 1024, "limitPerSender": 16, "refused": [refused]});
    assert_eq!(status["exportConnections"], connections);
    ask(server.address, "GET", "/status?verbose=1", "").refusal(400, "BAD_REQUEST");
}

#[test]
fn exporters_are_shown_with_their_statistics() {
    let server = watched(0.0);
    let all = ask(server.address, "GET", "/exporters", "").json();
    let mut one = ask(server.address, "GET", "/exporters/::ffff:192.0.2.1", "").json();
    let detail = one.as_object_mut().unwrap();
    for name in ["templates", "streams", "options", "interfaces", "pending"] {
        assert_eq!(detail.remove(name), Some(json!([])), "{name}");
    }
    assert_eq!(detail.remove("pendingSets"), Some(json!(4)));
    assert_eq!(
        detail.remove("sampling"),
        Some(
            json!({"multiplied": false, "rates": [], "announced": [], "applied": [], "changes": [], "implausible": []})
        )
    );
    assert_eq!(detail.remove("connections"), Some(json!({"tracked": 0, "most": 0, "deferred": 0})));
    let ambiguities = detail.remove("ambiguities").unwrap();
    let names = ["ingress", "egress", "outCountersDiffer", "translated", "tunnelled", "innerUnknown"];
    assert_eq!(ambiguities, Value::Object(names.map(|name| (name.to_owned(), json!(0))).into_iter().collect()));
    assert_eq!(detail.remove("unmatched"), Some(json!({"sampled": 0, "networks": []})));
    assert_eq!(detail.remove("unreadable"), Some(json!(null)));
    assert!(detail.remove("leftOut").unwrap().as_object().unwrap().values().all(|left_out| *left_out == 0));
    assert_eq!(all, json!([one]));
    assert_eq!(one["protocols"], json!({"netflow-v9": 7}));
    assert_eq!((&one["first"], &one["last"]), (&json!(STARTED.to_string()), &json!(null)));
    assert_eq!(one["rates"], json!({"datagramsPerSecond": 0.5, "flowsPerSecond": 15.0}));
    assert_eq!(one["counters"]["flows"]["matched"], 210);
    assert_eq!(one["clockOffsetSeconds"], -0.25);
    assert_eq!((&one["arrivals"][0]["lost"], &one["arrivals"][0]["unit"]), (&json!(1), &json!("datagrams")));
    let mut connection = json!({"port": 50_000, "listening": "192.0.2.7:4740", "since": STARTED.to_string(),
        "tls": {"version": "1.3", "certificateName": "r1.example.net"}, "last": STARTED.to_string(), "messages": 7, "bytes": 9000});
    assert_eq!(one["exportConnections"], json!([connection]));
    connection["at"] = STARTED.to_string().into();
    connection["kind"] = "closed".into();
    connection["reason"] = "the exporter closed the connection".into();
    assert_eq!(one["endedExportConnection"], connection);
    let message = ask(server.address, "GET", "/exporters/192.0.2.2", "").refusal(404, "NOT_FOUND");
    assert!(message.starts_with("nothing has arrived from 192.0.2.2"), "{message}");
}

#[test]
fn unregistered_senders_are_shown_with_commands_that_register_them() {
    let server = watched(0.0);
    let unknown = ask(server.address, "GET", "/unknown", "").json();
    assert_eq!((&unknown[0]["address"], &unknown[0]["relay"]), (&json!("2001:db8::1"), &json!("192.0.2.9")));
    assert_eq!((&unknown[0]["datagrams"], &unknown[0]["protocol"]), (&json!(3), &json!("ipfix")));
    assert_eq!(unknown[0]["register"]["command"], "netflow senders add 2001:db8::1");
    let curl = unknown[0]["register"]["curl"].as_str().unwrap();
    let script = format!("authKey=$AUTH_KEY signKey=$SIGN_KEY\n{}", curl.replace("curl ", "curl -sS "));
    let answer = crate::client::shell(server.address, &script);
    assert_eq!(answer, r#"{"ip":"2001:db8::1","last":null,"prefixes":[]}"#);
}

#[test]
fn without_a_collector_there_is_none_to_show() {
    let server = Server::start();
    for path in ["/status", "/exporters", "/exporters/192.0.2.1", "/unknown"] {
        let message = ask(server.address, "GET", path, "").refusal(404, "NOT_FOUND");
        assert!(message.starts_with("no collector runs here"), "{message}");
    }
}

#[test]
fn health_needs_no_credentials_and_reports_why_it_is_not_ready() {
    let open = |server: &Server, path: &str| send(server.address, "GET", path, "", b"");
    let server = watched(98.0);
    assert_eq!(open(&server, "/healthz").text(), r#"{"status":"OK"}"#);
    assert_eq!(open(&server, "/readyz").json(), json!({"status": "OK", "reasons": []}));
    let full = open(&watched(99.5), "/readyz");
    assert_eq!(full.status, 503);
    assert!(full.json()["reasons"][0].as_str().unwrap().starts_with("the spool is full"), "{full:?}");
    let both = open(&watched(101.0), "/readyz").json();
    assert!(both["reasons"][1].as_str().unwrap().starts_with("the journal cannot be written"), "{both}");
    let broken = Server::broken_with(StoreError::Retry, |api| api);
    assert_eq!(open(&broken, "/healthz").status, 200);
    assert_eq!(open(&broken, "/readyz").json()["reasons"], json!(["the store is unreachable"]));
    assert_eq!(send(server.address, "PUT", "/healthz", "", b"").status, 405);
    for path in ["/healthz/", "/healthz/x", "//metrics", "/metricsx", "/status"] {
        assert_eq!(open(&server, path).status, 401, "{path}");
    }
}

#[test]
fn a_stalled_thread_makes_it_not_ready() {
    for (silent, code) in [(59, 200), (61, 503)] {
        let server = showing(MadeUp { silent: Duration::from_secs(silent), ..MadeUp::default() });
        let answer = send(server.address, "GET", "/readyz", "", b"");
        assert_eq!(answer.status, code);
        if code != 200 {
            let reasons = json!(["the thread receiver-0 is stalled: no progress for 61 seconds"]);
            assert_eq!(answer.json()["reasons"], reasons);
        }
    }
}

#[test]
fn however_many_strangers_ask_the_store_is_asked_once_a_second() {
    let store = Arc::new(Broken::at_once(StoreError::Retry));
    let server = Server::over(Arc::<Broken>::clone(&store), Arc::default());
    let begun = Instant::now();
    for path in ["/readyz", "/metrics"].into_iter().cycle().take(100) {
        send(server.address, "GET", path, "", b"");
    }
    let (calls, seconds) = (store.calls.load(Ordering::Relaxed), begun.elapsed().as_secs());
    assert!((1..=1 + seconds).contains(&calls), "{calls} calls in {seconds} seconds");
}
