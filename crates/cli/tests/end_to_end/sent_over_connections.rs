//! `netflow generate` and `netflow replay` over TCP and TLS, against listeners of the test: which octets arrive, and what is
//! reported where they do not.

mod counted;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use accounting::field::{Field, Name};
use flow::{Counters, Exporter, Protocol, Timestamp};
use generator::{Generator, Load, Traffic};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use wire::encode::{Ipfix, TemplateSpec};
use wire::{Datagram, FieldSpecifier, Session, SessionLimits, ipfix};

use crate::collector::Collector;
use crate::encryption::certify;
use crate::reloads::{free_tcp, free_udp};
use crate::traffic::{PREFIXES, Totals};
use crate::{answered_in_time, register};

/// Runs the program in a directory; returns what it printed, its messages and its exit code.
fn netflow(directory: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = command(directory, arguments).output().unwrap();
    let Output { stdout, stderr, status } = output;
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    command
}

/// An authority, and certificates that it has signed: `collector.pem`, `exporter.pem`, each with its `.key`.
fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (serial, name) in [(1, "collector"), (2, "exporter")] {
        certify(directory.path(), serial);
        for (from, to) in [("certificate.pem", "pem"), ("key.pem", "key")] {
            fs::rename(directory.path().join(from), directory.path().join(format!("{name}.{to}"))).unwrap();
        }
    }
    directory
}

/// TLS of a collector; with a verifier, it demands certificates.
fn server(directory: &Path, demands_certificate: bool) -> Arc<ServerConfig> {
    let read = |name: &str| CertificateDer::from_pem_file(directory.join(name)).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if demands_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(read("ca.pem")).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(directory.join("collector.key")).unwrap();
    Arc::new(builder.with_single_cert(vec![read("collector.pem")], key).unwrap())
}

/// The octets of each connection, by its source; reads as many connections as there are.
struct Listener {
    to: SocketAddr,
    read: JoinHandle<Vec<(SocketAddr, Vec<u8>)>>,
}

impl Listener {
    fn start(connections: usize, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let read = thread::spawn(move || {
            let accepted = (0..connections).map(|_| listener.accept().unwrap()).map(|(stream, from)| {
                let tls = tls.clone();
                thread::spawn(move || (from, read(stream, tls)))
            });
            let accepted: Vec<_> = accepted.collect();
            accepted.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        Self { to, read }
    }

    fn arrived(self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.read.join().unwrap()
    }
}

/// To the end, which must be clean.
fn read(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Vec<u8> {
    let mut octets = Vec::new();
    match tls {
        None => stream.read_to_end(&mut octets).unwrap(),
        Some(tls) => {
            let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
            stream.read_to_end(&mut octets).unwrap()
        }
    };
    octets
}

/// The messages of a stream.
fn messages(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let [_, _, high, low, ..] = *octets {
        let (message, rest) = octets.split_at(u16::from_be_bytes([high, low]).into());
        messages.push(message);
        octets = rest;
    }
    assert_eq!(octets, b"", "a message is incomplete");
    messages
}

/// The flows of a connection, in which every template comes before its data.
fn decoded(octets: &[u8]) -> Counters {
    let mut session = Session::new(SessionLimits::default());
    let mut counters = Counters::ZERO;
    for payload in messages(octets) {
        let exporter = Exporter::udp([127, 0, 0, 1].into(), 1);
        let datagram = Datagram { exporter, received: Timestamp::from_seconds(1), payload };
        let decoded = session.decode(&datagram, &mut |record| counters.add(record.flow.unwrap().forward));
        assert_eq!((decoded.errors, session.pending()), (0, 0));
    }
    counters
}

fn counters(json: &Value) -> Counters {
    let number = |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("no {key}: {json}"));
    Counters { bytes: number("bytes"), packets: number("pkts"), flows: number("flows") }
}

#[test]
fn the_totals_of_generate_are_those_that_arrive_over_tcp_and_tls() {
    let directory = certificates();
    let load = ["--exporters", "2", "--ports", "2", "--ipv6", "30", "--flows", "30000", "--rate", "max"];
    for (transport, options) in [
        ("tcp", &["--tcp"][..]),
        ("tls", &["--tls", "--ca", "ca.pem", "--certificate", "exporter.pem", "--key", "exporter.key"]),
    ] {
        let tls = (transport == "tls").then(|| server(directory.path(), true));
        let listener = Listener::start(4, tls);
        let to = listener.to.to_string();
        let arguments = [&["generate", "--json", "--to", &to][..], &load, options].concat();
        let (printed, messages_printed, code) = netflow(directory.path(), &arguments);
        assert_eq!(code, Some(0), "{printed}{messages_printed}");
        let sent: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&sent["transport"], &sent["templates"]), (&transport.into(), &4.into()));
        let (mut exporters, mut number) = (BTreeMap::<IpAddr, Counters>::new(), 0);
        for (from, octets) in listener.arrived() {
            exporters.entry(from.ip()).or_default().add(decoded(&octets));
            number += messages(&octets).len();
        }
        assert_eq!(sent["datagrams"], number);
        let reported = sent["exporters"].as_array().unwrap().iter();
        let reported: BTreeMap<IpAddr, Counters> =
            reported.map(|it| (it["ip"].as_str().unwrap().parse().unwrap(), counters(it))).collect();
        assert_eq!(exporters, reported);
        let mut sum = Counters::ZERO;
        exporters.values().for_each(|counters| sum.add(*counters));
        assert_eq!(sum, counters(&sent));
        assert!(sum.flows >= 30_000);
    }
}

#[test]
fn at_a_rate_messages_are_not_held_back() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let mut command = command(directory.path(), &["generate", "--tcp", "--rate", "30", "--to", &to]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stream = listener.accept().unwrap().0;
    // A template and two messages: less than is gathered at full speed.
    let mut octets = Vec::new();
    while octets.len() < 2500 {
        let mut some = [0; 2500];
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0);
        octets.extend_from_slice(&some[..read]);
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    stream.read_to_end(&mut octets).unwrap();
    drop(stream);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let number = messages(&octets).len();
    assert!(text.contains(&format!(" in {number} messages (1 of templates) over TCP to {to} in ")), "{text}");
    assert!(text.starts_with(&format!("sent {} flows, ", decoded(&octets).flows)), "{text}");
}

/// A listener that does this with its first connection.
fn answering(answer: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let to = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    (to, thread::spawn(move || answer(listener.accept().unwrap().0)))
}

/// An answer of TLS, whatever the reason is for which it ends.
fn encrypted(tls: Arc<ServerConfig>) -> (String, JoinHandle<()>) {
    answering(|stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
        let _ = stream.read_to_end(&mut Vec::new());
        let _ = stream.flush();
    })
}

/// The messages of a command that must fail with this code.
fn failure(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let (printed, errors, ended) = netflow(directory, &[&["generate", "--flows", "30"], arguments].concat());
    assert_eq!(ended, Some(code), "{arguments:?} {printed}{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

#[test]
fn a_collector_that_refuses_connections_is_an_error_that_names_the_setting() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = taken.local_addr().unwrap().to_string();
    drop(taken);
    let error = failure(directory.path(), 8, &["--tcp", "--to", &to]);
    assert!(error.contains(&format!("no export connection to {to}: Connection refused")), "{error}");
    assert!(error.contains("netflow.tcp.listen?"), "{error}");
    let error = failure(directory.path(), 8, &["--tls", "--to", &to]);
    assert!(error.contains("netflow.tls.listen?"), "{error}");
    let error = failure(directory.path(), 8, &["--tcp", "--source", "192.0.2.1", "--to", &to]);
    assert!(error.contains("cannot send from 192.0.2.1") && error.contains("--source"), "{error}");
}

#[test]
fn a_collector_that_ends_the_connection_is_an_error_without_totals() {
    let directory = tempfile::tempdir().unwrap();
    // It has received something, and does not read it.
    let (to, collector) = answering(|stream| assert!(stream.peek(&mut [0]).unwrap() > 0));
    let (printed, error, code) = netflow(directory.path(), &["generate", "--tcp", "--rate", "max", "--to", &to]);
    collector.join().unwrap();
    assert_eq!((printed.as_str(), code), ("", Some(8)), "{error}");
    assert!(error.contains("the export connection from 127.0.0.1:"), "{error}");
    assert!(error.contains("netflow senders add 127.0.0.1 PREFIX"), "{error}");
    assert!(error.contains(" messages; how many of them have arrived is not known\n"), "{error}");
}

#[test]
fn errors_of_certificates_name_their_fix() {
    let (directory, other) = (certificates(), certificates());
    let path = directory.path();
    let tls = |demands_certificate| server(path, demands_certificate);
    let foreign = other.path().join("ca.pem");
    let own = |name: &str| other.path().join(name).to_str().unwrap().to_owned();
    let (foreign_certificate, foreign_key) = (own("exporter.pem"), own("exporter.key"));
    let ca = ["--tls", "--ca", "ca.pem"];
    for (demands_certificate, options, reason) in [
        (true, ca.to_vec(), "use --certificate FILE and --key FILE"),
        (false, vec!["--tls"], "use --ca FILE"),
        (false, vec!["--tls", "--ca", foreign.to_str().unwrap()], "use --ca FILE"),
        (
            true,
            [&ca[..], &["--certificate", &foreign_certificate, "--key", &foreign_key]].concat(),
            "it may not accept the certificate of --certificate",
        ),
        (false, vec!["--tcp"], "use --tls instead of --tcp"),
    ] {
        let (to, collector) = encrypted(tls(demands_certificate));
        let error = failure(path, 8, &[&options[..], &["--to", &to]].concat());
        assert!(error.contains(reason), "{options:?}: {error}");
        collector.join().unwrap();
    }
    // Its certificate is of localhost and 127.0.0.1.
    let (to, collector) = encrypted(tls(false));
    let (_, port) = to.split_once(':').unwrap();
    let by_other_name = failure(path, 8, &[&ca[..], &["--to", &format!("127.0.0.2:{port}")]].concat());
    assert!(by_other_name.contains("use a name of the certificate in --to"), "{by_other_name}");
    collector.join().unwrap();

    let error = failure(path, 3, &["--tls", "--ca", "collector.key"]);
    assert!(error.contains("--ca: collector.key contains no PEM certificate"), "{error}");
    let error = failure(path, 3, &["--tls", "--certificate", "exporter.pem", "--key", "ca.pem"]);
    assert!(error.contains("--key: ca.pem contains no PEM private key"), "{error}");
    let error = failure(path, 3, &["--tls", "--certificate", "exporter.pem", "--key", "collector.key"]);
    assert!(error.contains("collector.key is not the private key of exporter.pem"), "{error}");

    let (to, collector) = answering(|mut stream| assert!(stream.read(&mut [0; 4096]).unwrap() > 0));
    let error = failure(path, 8, &[&ca[..], &["--to", &to]].concat());
    assert!(error.contains("use a port of netflow.tls.listen, or --tcp"), "{error}");
    collector.join().unwrap();
}

#[test]
fn only_ipfix_is_generated_for_a_connection() {
    let directory = tempfile::tempdir().unwrap();
    for (protocol, name) in [("v5", "netflow-v5"), ("v9", "netflow-v9"), ("sflow", "sflow-v5")] {
        let error = failure(directory.path(), 2, &["--tcp", "--protocol", protocol]);
        assert!(error.contains(&format!("{name} cannot be sent over a connection")), "{error}");
    }
    let (_, error, code) = netflow(directory.path(), &["generate", "--ca", "ca.pem"]);
    assert!(code == Some(2) && error.contains("--tls"), "{error}");
}

/// A capture of two exporters of IPFIX, and of what cannot be sent over a connection. Returns the messages of both.
fn capture(path: &Path) -> [Vec<Vec<u8>>; 2] {
    let mut writer = capture::Writer::new(File::create(path).unwrap()).unwrap();
    let mut write = |source: &str, payload: &[u8]| {
        let destination = "198.51.100.1:2055".parse().unwrap();
        writer.write(Timestamp::from_seconds(1_000), source.parse().unwrap(), destination, payload).unwrap();
    };
    let generated = |seed| {
        let mut generator = Generator::new(Load { protocol: Protocol::Ipfix, seed, ..Load::default() }).unwrap();
        let made = generator.batch(Timestamp::from_seconds(1_000), 50).map(|made| made.payload.to_vec());
        made.collect::<Vec<_>>()
    };
    let sent = [generated(1), generated(2)];
    for (number, (first, second)) in sent[0].iter().zip(&sent[1]).enumerate() {
        write("192.0.2.1:40000", first);
        // Every tenth has octets after its message.
        let after = if number % 10 == 0 { &b"after"[..] } else { b"" };
        write("192.0.2.1:40001", &[second, after].concat());
    }
    for _ in 0..3 {
        write("192.0.2.2:9995", &[0, 9, 0, 1]);
    }
    write("192.0.2.3:53", b"a name");
    write("192.0.2.1:40000", &sent[0][1][..100]);
    write("192.0.2.1:40000", &[0, 10, 0, 3]);
    sent
}

#[test]
fn a_capture_is_sent_over_a_connection_for_each_exporter_message_by_message() {
    let directory = certificates();
    let path = directory.path();
    let expected = capture(&path.join("export.pcap"));
    for tls in [None, Some(server(path, false))] {
        let listener = Listener::start(2, tls.clone());
        let to = listener.to.to_string();
        let mut arguments = vec!["replay", "export.pcap", "--to", &to, "--json"];
        arguments.extend(if tls.is_some() { &["--tls", "--ca", "ca.pem"][..] } else { &["--tcp"] });
        let (printed, errors, code) = netflow(path, &arguments);
        assert_eq!(code, Some(4), "{printed}{errors}");
        let arrived: BTreeMap<_, _> = listener.arrived().into_iter().collect();
        let report: Value = serde_json::from_str(&printed).unwrap();
        for (exporter, messages) in report["exporters"].as_array().unwrap().iter().zip(&expected) {
            assert_eq!(exporter["datagrams"], messages.len());
            let from: SocketAddr = exporter["sentFrom"].as_str().unwrap().parse().unwrap();
            assert!(arrived[&from] == messages.concat(), "{exporter}");
        }
        assert_eq!((&report["datagrams"], &report["shortened"]), (&102.into(), &6.into()), "{report}");
        let not_sent = report["notSent"].as_array().unwrap().iter();
        let not_sent: Vec<_> =
            not_sent.map(|it| (it["protocol"].as_str().unwrap(), it["datagrams"].as_u64())).collect();
        let expected = [
            ("ipfix-without-length", Some(1)),
            ("ipfix-incomplete", Some(1)),
            ("netflow-v9", Some(3)),
            ("unknown", Some(1)),
        ];
        assert_eq!(not_sent, expected);
        assert!(errors.contains("netflow: 6 datagrams have octets after their message"), "{errors}");
        assert!(errors.contains("netflow: 6 datagrams were not sent, because only whole IPFIX"), "{errors}");
        assert!(errors.contains("\n  3 of 192.0.2.2:9995: netflow-v9\n"), "{errors}");
    }
}

#[test]
fn each_ipfix_file_is_sent_over_a_connection_of_its_own() {
    let directory = certificates();
    let path = directory.path();
    // Templates with the same id: in one connection, the second would be an error.
    let fields = [[12, 1], [1, 12]].map(|ids| TemplateSpec::data(256, ids.map(|id| FieldSpecifier::iana(id, 4))));
    let expected = fields.map(|template| {
        let message = || Ipfix::new(ipfix::Header::default()).template(&template);
        [message().finish(), message().data(&template, &[vec![1; 8]]).finish()].concat()
    });
    for (name, octets) in ["first.ipfix", "second.ipfix"].iter().zip(&expected) {
        fs::write(path.join(name), octets).unwrap();
    }
    for tls in [None, Some(server(path, false))] {
        let listener = Listener::start(2, tls.clone());
        let to = listener.to.to_string();
        let mut arguments = vec!["replay", "first.ipfix", "second.ipfix", "--to", &to, "--json"];
        arguments.extend(if tls.is_some() { &["--tls", "--ca", "ca.pem"][..] } else { &["--tcp"] });
        let (printed, errors, code) = netflow(path, &arguments);
        assert_eq!(code, Some(0), "{printed}{errors}");
        let report: Value = serde_json::from_str(&printed).unwrap();
        let exporters = report["exporters"].as_array().unwrap();
        assert_eq!(exporters.len(), 2, "{report}");
        for (((from, octets), exporter), expected) in listener.arrived().iter().zip(exporters).zip(&expected) {
            assert_eq!((&exporter["captured"], &exporter["datagrams"]), (&Value::Null, &2.into()));
            assert_eq!(exporter["sentFrom"], from.to_string());
            assert!(octets == expected, "{exporter}");
        }
    }
}

#[test]
fn with_the_gaps_of_the_capture_messages_are_not_held_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.pcap");
    let mut writer = capture::Writer::new(File::create(&path).unwrap()).unwrap();
    let message = [0, 10, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for seconds in [0, 3600] {
        let at = Timestamp::from_seconds(1_000).saturating_add(Duration::from_secs(seconds));
        writer.write(at, "192.0.2.1:4739".parse().unwrap(), "198.51.100.1:4739".parse().unwrap(), &message).unwrap();
    }
    writer.flush().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let mut command = command(directory.path(), &["replay", "export.pcap", "--tcp", "--realtime", "--to", &to]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stream = listener.accept().unwrap().0;
    let mut octets = [0; 16];
    stream.read_exact(&mut octets).unwrap();
    assert_eq!(octets, message);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(stream.read(&mut octets).unwrap(), 0);
    drop(stream);
    let mut printed = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut printed).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(printed.starts_with(&format!("sent 1 messages over TCP to {to} in ")), "{printed}");
}
