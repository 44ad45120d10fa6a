//! Every flow that is counted is in Kafka, and once by its identity, whatever becomes of the brokers and of the collector. What
//! is there is read by others: kcat, and a consumer in Python that knows goflow2's schema only and takes each flow once as
//! docs/kafka.md describes it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testing::Service;

use crate::collector::{Collector, PATIENCE};
use crate::crashes::{EXPORTERS, Exporter, counted, run_until_killed, send_some};

const TOPIC: &str = "flow-messages";

/// A cluster with the topic.
struct Cluster {
    service: Service,
    brokers: String,
}

impl Cluster {
    fn start(brokers: u16, settings: &[(&str, &str)]) -> Self {
        let number = brokers.to_string();
        let settings: Vec<_> = [("NODES", number.as_str())].into_iter().chain(settings.iter().copied()).collect();
        let service = Service::start("kafka", brokers, &settings);
        let brokers = service.hosts.join(",");
        let cluster = Self { service, brokers };
        cluster.create(TOPIC);
        cluster
    }

    /// Asks for a topic until it has leaders: brokers create it by that.
    fn create(&self, topic: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.kcat(&["-L", "-J", "-t", topic]);
            let found: Value = serde_json::from_slice(&found).unwrap_or_default();
            let partitions = found["topics"][0]["partitions"].as_array().cloned().unwrap_or_default();
            if !partitions.is_empty() && partitions.iter().all(|it| it["leader"].as_i64().is_some_and(|it| it > 0)) {
                return;
            }
            assert!(Instant::now() < end, "no topic: {found:#}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn kcat(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("kcat");
        command.args(["-b", &self.brokers, "-q"]).args(arguments).stdin(Stdio::null());
        command.output().expect("kcat is installed by `make test`").stdout
    }

    /// What the consumer finds.
    fn consumed(&self) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka");
        let mut protoc = Command::new("protoc");
        protoc.arg("-I").arg(&fixtures).arg("--python_out").arg(folder.path()).arg(fixtures.join("goflow2.proto"));
        assert!(protoc.status().expect("protoc is installed by `make test`").success());
        let records = folder.path().join("records");
        std::fs::write(&records, self.kcat(&["-C", "-e", "-o", "beginning", "-t", TOPIC, "-f", "%p\\t%h\\t%R%s"]))
            .unwrap();
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kafka.md");
        // Debian's, which has the package with protobuf.
        let mut consumer = Command::new("/usr/bin/python3");
        consumer.arg(fixtures.join("consumer.py")).arg(folder.path()).arg(document);
        let output = consumer.stdin(std::fs::File::open(&records).unwrap()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("NETFLOW__KAFKA__BROKERS", self.brokers.clone()), ("NETFLOW__SERVER__CORES", "2".to_owned())]
    }
}

pub(crate) fn borrowed<'s>(settings: &'s [(&'static str, String)]) -> Vec<(&'s str, &'s str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

pub(crate) fn register(collector: &Collector) {
    for exporter in EXPORTERS {
        let prefixes = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#;
        collector.rest("PUT", &format!("/senders/{exporter}"), prefixes);
    }
    collector.wait_for_line("senders=2");
}

/// A stream as `/status` has it.
pub(crate) fn reader(collector: &Collector, name: &str) -> Value {
    let status = collector.rest("GET", "/status", "");
    let readers = status["readers"].as_array().cloned().unwrap_or_default();
    readers.into_iter().find(|reader| reader["name"] == name).unwrap_or_else(|| panic!("{status:#}"))
}

/// Waits until all that was counted is sent.
pub(crate) fn is_sent(collector: &Collector, name: &str) {
    collector.wait_until("sent", || {
        let reader = reader(collector, name);
        reader["unreadSegments"] == 0 && reader["failingSeconds"].is_null()
    });
}

/// Compares what is counted and what the consumer found.
fn is_complete(cluster: &Cluster, collector: &Collector) -> Value {
    let expected: serde_json::Map<_, _> =
        EXPORTERS.iter().map(|exporter| ((*exporter).to_owned(), json!(counted(collector, exporter)))).collect();
    let flows: u64 = expected.values().map(|sums| sums[1].as_u64().unwrap()).sum();
    assert!(flows > 0);
    let found = cluster.consumed();
    assert_eq!(found["sums"], Value::Object(expected), "{found:#}");
    assert_eq!(found["identities"], flows, "{found:#}");
    found
}

#[test]
fn every_counted_flow_is_in_kafka_although_brokers_and_the_collector_are_killed() {
    let cluster = Cluster::start(3, &[]);
    let settings = cluster.settings();
    let mut collector = Collector::start_with(&borrowed(&settings));
    register(&collector);
    let mut exporters = EXPORTERS.map(|_| Exporter::default());
    for (kill, moment) in [1500, 300, 2500].into_iter().enumerate() {
        let broker = (kill + 1).to_string();
        cluster.service.run(&["kill", &broker]);
        let (directory, sent, _) = run_until_killed(collector, &exporters, Duration::from_millis(moment));
        for (exporter, sent) in exporters.iter_mut().zip(sent) {
            exporter.sent += sent.in_all;
        }
        cluster.service.run(&["start", &broker]);
        collector = start(directory, &settings);
    }
    for broker in ["1", "2", "3"] {
        cluster.service.run(&["pause", broker]);
    }
    send_some(EXPORTERS[0], collector.receiving, exporters[0].sent + 1, 20);
    collector.wait_until("failing", || !reader(&collector, "kafka")["failingSeconds"].is_null());
    let failing = reader(&collector, "kafka");
    assert!(failing["lastError"].as_str().is_some_and(|error| error.contains("timed out")), "{failing:#}");
    for broker in ["1", "2", "3"] {
        cluster.service.run(&["resume", broker]);
    }
    is_sent(&collector, "kafka");
    let found = is_complete(&cluster, &collector);
    println!("{found}");
    assert_eq!(
        found["partitions"],
        json!({ EXPORTERS[0]: 1, EXPORTERS[1]: 1 }),
        "each router's flows keep their order"
    );
    collector.terminate();
}

fn start(directory: TempDir, settings: &[(&'static str, String)]) -> Collector {
    Collector::start_in_with(directory, &borrowed(settings))
}

#[test]
fn a_stream_that_is_added_later_begins_with_what_the_log_has() {
    let cluster = Cluster::start(1, &[]);
    // No stream yet. The archive keeps the log until its files are complete.
    let collector = Collector::start();
    register(&collector);
    EXPORTERS.iter().for_each(|exporter| send_some(exporter, collector.receiving, 1, 40));
    collector.wait_until("counted", || counted(&collector, EXPORTERS[1])[1] == 40 * crate::crashes::FLOWS_A_DATAGRAM);
    let directory = collector.kill();
    let collector = start(directory, &cluster.settings());
    is_sent(&collector, "kafka");
    is_complete(&cluster, &collector);
    collector.terminate();
}

#[test]
fn what_is_sent_again_has_the_same_identities_and_what_is_skipped_is_not_sent() {
    let cluster = Cluster::start(1, &[]);
    // The archive keeps the log until its files are complete.
    let collector = Collector::start_with(&borrowed(&cluster.settings()));
    register(&collector);
    EXPORTERS.iter().for_each(|exporter| send_some(exporter, collector.receiving, 1, 40));
    collector.wait_until("counted", || counted(&collector, EXPORTERS[1])[1] == 40 * crate::crashes::FLOWS_A_DATAGRAM);
    is_sent(&collector, "kafka");
    let found = is_complete(&cluster, &collector);
    let orders = |arguments: &[&str]| {
        let (printed, errors, code) = collector.command(&[&["readers"], arguments].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        printed
    };
    let printed = orders(&["reset", "kafka", "--to", "oldest"]);
    assert!(printed.starts_with("kafka reads again ") && !printed.contains(" 0 flushes"), "{printed}");
    is_sent(&collector, "kafka");
    let again = is_complete(&cluster, &collector);
    assert_eq!(again["records"].as_u64(), found["records"].as_u64().map(|records| 2 * records), "{again:#}");
    // While it is paused, nothing is sent; what is skipped then is not sent later.
    orders(&["pause", "kafka"]);
    send_some(EXPORTERS[0], collector.receiving, 41, 10);
    collector.wait_until("unread", || reader(&collector, "kafka")["unreadFlushes"] != 0);
    collector.wait_until("counted", || counted(&collector, EXPORTERS[0])[1] == 50 * crate::crashes::FLOWS_A_DATAGRAM);
    let (_, errors, code) = collector.command(&["readers", "reset", "kafka", "--to", "newest"]);
    assert!(code == Some(9) && errors.contains("add --yes to skip"), "{errors}");
    let printed = orders(&["reset", "kafka", "--to", "newest", "--yes"]);
    assert!(printed.starts_with("kafka skips "), "{printed}");
    orders(&["resume", "kafka"]);
    is_sent(&collector, "kafka");
    assert!(reader(&collector, "kafka")["skippedFlushes"].as_u64() > Some(0), "{:#}", reader(&collector, "kafka"));
    send_some(EXPORTERS[1], collector.receiving, 41, 1);
    collector.wait_until("counted", || counted(&collector, EXPORTERS[1])[1] == 41 * crate::crashes::FLOWS_A_DATAGRAM);
    is_sent(&collector, "kafka");
    let found = cluster.consumed();
    assert_eq!(found["identities"], 81 * crate::crashes::FLOWS_A_DATAGRAM, "{found:#}");
    assert!(collector.log().contains("skipped flushes of the log, as ordered"), "{}", collector.log());
    collector.terminate();
}
