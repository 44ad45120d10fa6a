//! An exporter that libfixbuf makes (`libfixbuf_exporter.c`), over TCP, and over TLS with the client of OpenSSL, because Debian's
//! libfixbuf has none: what it states to have sent is what is counted, and its templates and options are known as it left them.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use flow::Counters;
use serde_json::Value;

use crate::collector::Collector;
use crate::encrypted_export_connections::{certificates, collector, listening};
use crate::traffic::Totals;
use crate::{answered_in_time, register};

const EXPORTER: &str = "/exporters/127.0.0.1";

fn build(directory: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/libfixbuf_exporter.c");
    let line = "cc -Wall -Werror -o exporter \"$0\" $(pkg-config --cflags --libs libfixbuf)";
    let status = Command::new("sh").args(["-c", line]).arg(source).current_dir(directory).status();
    assert!(status.unwrap().success(), "`make test` installs libfixbuf-dev");
}

/// Exporters that have sent everything, and leave their connection open until `input` is closed.
struct Exporting {
    input: ChildStdin,
    processes: Vec<Child>,
    /// By prefix and direction, as the exporter states them.
    sent: Totals,
}

impl Exporting {
    fn start(directory: &Path, to: &str, is_encrypted: bool) -> Self {
        let mut command = Command::new("./exporter");
        command.current_dir(directory).stdin(Stdio::piped()).stderr(Stdio::piped());
        if is_encrypted {
            command.stdout(Stdio::piped());
        } else {
            command.arg(to.rsplit(':').next().unwrap());
        }
        let mut exporter = command.spawn().unwrap();
        let encrypting = exporter.stdout.take().map(|messages| {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-quiet", "-no_ign_eof", "-nocommands", "-verify_return_error", "-connect", to]);
            command.args(["-CAfile", "ca.pem", "-cert", "exporter.pem", "-key", "exporter.key"]);
            command.current_dir(directory).stdin(messages).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let stated = std::io::read_to_string(exporter.stderr.take().unwrap()).unwrap();
        Self {
            input: exporter.stdin.take().unwrap(),
            processes: [exporter].into_iter().chain(encrypting).collect(),
            sent: stated.lines().map(totals).collect(),
        }
    }

    fn end(self) {
        drop(self.input);
        for mut process in self.processes {
            assert!(process.wait().unwrap().success());
        }
    }
}

/// A line of the exporter.
fn totals(line: &str) -> ((String, String, String), Counters) {
    let words: Vec<&str> = line.split(' ').collect();
    let [prefix, direction, bytes, packets, flows] = words[..] else { panic!("{line}") };
    let [bytes, packets, flows] = [bytes, packets, flows].map(|number| number.parse().unwrap());
    ((prefix.to_owned(), direction.to_owned(), "all".to_owned()), Counters { bytes, packets, flows })
}

/// The templates that are known, each with its kind and first two fields.
fn templates(shown: &Value) -> Vec<(u64, &str, &str, &str)> {
    let templates = shown["templates"].as_array().unwrap().iter().map(|template| {
        let [first, second] = [0, 1].map(|index| template["fields"][index]["name"].as_str().unwrap());
        (template["id"].as_u64().unwrap(), template["kind"].as_str().unwrap(), first, second)
    });
    templates.collect()
}

fn is_known_as_it_was_left(collector: &Collector, connection: u64) {
    let shown = collector.rest("GET", EXPORTER, "");
    // 256 has been withdrawn and announced again, and 258 withdrawn.
    let expected = [
        (256, "data", "destinationIPv6Address", "sourceIPv6Address"),
        (257, "data", "octetDeltaCount", "applicationName"),
        (259, "options", "ingressInterface", "interfaceName"),
        (260, "options", "selectorId", "samplingPacketInterval"),
    ];
    assert_eq!(templates(&shown), expected);
    let options: Vec<_> = shown["options"].as_array().unwrap().iter().map(|record| &record["fields"]).collect();
    assert_eq!((options.len(), &options[0]["interfaceName"]), (2, &"ge-0/0/7".into()), "{options:?}");
    let counters = &shown["counters"];
    let expected = [("decode_errors", 0), ("missing_template_sets", 0), ("discarded_sets", 0)];
    let of_each = [("templates", 6), ("options_records", 2)].map(|(name, count)| (name, connection * count));
    for (name, count) in expected.into_iter().chain(of_each) {
        assert_eq!(counters[name], count, "{name} {counters}");
    }
    assert_eq!(
        (&shown["arrivals"][0]["received"], &shown["arrivals"][0]["lost"]),
        (&(connection * 12_002).into(), &0.into())
    );
}

#[test]
fn what_libfixbuf_exports_is_counted_over_tcp_and_tls() {
    let certificates = certificates();
    let directory = certificates.path();
    build(directory);
    let (collector, tls, _) = collector(directory);
    register(&collector);
    let mut expected = Totals::new();
    for (connection, to, is_encrypted) in [(1, listening(&collector), false), (2, tls, true)] {
        let exporting = Exporting::start(directory, &to, is_encrypted);
        assert_eq!(exporting.sent.len(), 4);
        for (key, counters) in &exporting.sent {
            expected.entry(key.clone()).or_default().add(*counters);
        }
        assert_eq!(answered_in_time(&collector, &expected), expected);
        is_known_as_it_was_left(&collector, connection);
        exporting.end();
        let ended = || collector.rest("GET", "/status", "")["counters"]["export_connections_ended"]["closed"].clone();
        collector.wait_until("ended", || ended() == connection);
        let shown = collector.rest("GET", EXPORTER, "");
        let last = &shown["endedExportConnection"];
        assert_eq!((&last["kind"], last["tls"].is_object()), (&"closed".into(), is_encrypted), "{last}");
        assert_eq!(shown["templates"], Value::Array(Vec::new()));
    }
    collector.terminate();
}
