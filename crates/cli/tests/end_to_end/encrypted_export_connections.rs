//! Export connections with TLS, from the client of OpenSSL: which certificates are refused, with one line each that names the
//! reason, and that what a verified exporter sends is counted, also while certificates are replaced, and with those that the
//! document shows how to make. And from an exporter in Python, with and without TLS.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use crate::collector::Collector;
use crate::crashes::counted;
use crate::documents::lines;
use crate::reloads::{free_tcp, free_udp};

const SENDER: &str = "127.0.0.1";
const NAME: &str = "r1.example.net";

fn openssl(directory: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, of which `NAME.pem` and `NAME.key` are made.
fn make_authority(directory: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let files = format!("-keyout {name}.key -out {name}.pem");
    openssl(directory, &format!("req -x509 {key} {files} -days 2 -subj /CN={name}"));
}

/// A certificate that an authority signs, for this subjectAltName and number of days.
fn make_certificate(directory: &Path, authority: &str, name: &str, alternative: &str, days: i32) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(directory, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    std::fs::write(directory.join("extensions"), format!("subjectAltName={alternative}\n")).unwrap();
    let signer = format!("-CA {authority}.pem -CAkey {authority}.key -CAcreateserial");
    openssl(directory, &format!("x509 -req -in {name}.csr {signer} -days {days} -extfile extensions -out {name}.pem"));
}

pub(crate) fn certificates() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    make_authority(at, "ca");
    make_authority(at, "foreign-ca");
    make_certificate(at, "ca", "collector", "IP:127.0.0.1", 2);
    make_certificate(at, "ca", "exporter", &format!("DNS:{NAME}"), 2);
    make_certificate(at, "ca", "expired", &format!("DNS:{NAME}"), -1);
    make_certificate(at, "foreign-ca", "foreign", &format!("DNS:{NAME}"), 2);
    directory
}

/// A collector that listens with TLS, where it does, and its configuration.
pub(crate) fn collector(certificates: &Path) -> (Collector, String, String) {
    let (udp, tls, http) = (free_udp(), free_tcp(), free_tcp());
    let at = certificates.display();
    let configuration = format!(
        "[netflow]\nlisten = [\"{udp}\"]\n[netflow.tcp]\nlisten = [\"127.0.0.1:0\"]\n[sflow]\nlisten = []\n[http]\nlisten = \"{http}\"\n[netflow.tls]\nlisten = [\"{tls}\"]\n\
         certificate = \"{at}/collector.pem\"\nkey = \"{at}/collector.key\"\nca = \"{at}/ca.pem\"\n"
    );
    let collector = Collector::start_configured(&configuration);
    let (printed, stderr, code) = collector.command(&["senders", "add", SENDER, "192.0.2.0/24"]);
    assert_eq!(code, Some(0), "{printed}{stderr}");
    (collector, tls.to_string(), configuration)
}

/// Where it listens without TLS.
pub(crate) fn listening(collector: &Collector) -> String {
    let status = collector.rest("GET", "/status", "");
    let listening = status["exportConnections"]["listening"].as_array().unwrap();
    let tcp = listening.iter().find(|place| place["tls"] == false).unwrap();
    tcp["address"].as_str().unwrap().to_owned()
}

/// The client of OpenSSL, which sends what is written to it.
fn client(certificates: &Path, to: &str, options: &str) -> Child {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", to, "-CAfile", "ca.pem", "-verify_return_error"]);
    command.args(options.split_whitespace()).current_dir(certificates);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A template with its data: this many flows of 100 bytes.
fn message(sequence: u32, flows: usize) -> Vec<u8> {
    let template = TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)]);
    let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as u32;
    let header = ipfix::Header { export_seconds: seconds.into(), sequence: sequence.into(), ..Default::default() };
    let records = vec![vec![192, 0, 2, 1, 0, 0, 0, 100]; flows];
    Ipfix::new(header).template(&template).data(&template, &records).finish()
}

fn send(client: &mut Child, octets: &[u8]) {
    let input = client.stdin.as_mut().unwrap();
    // The collector may have closed the connection.
    let _ = input.write_all(octets).and_then(|()| input.flush());
}

fn end(mut client: Child) {
    let _ = client.kill();
    client.wait().unwrap();
}

/// What is counted, once it has become this much.
fn is_counted(collector: &Collector, flows: u64) {
    let mut found = [0; 2];
    collector.wait_until(&format!("{flows} flows counted"), || {
        found = counted(collector, SENDER);
        found[1] >= flows
    });
    assert_eq!(found, [100 * flows, flows]);
}

/// How many connections have ended, or were refused, for this reason.
fn ended(collector: &Collector, reason: &str) -> u64 {
    let counters = collector.rest("GET", "/status", "")["counters"].take();
    let all = ["export_connections_ended", "export_connections_refused"];
    all.iter().filter_map(|name| counters[name][reason].as_u64()).sum()
}

/// Sends a message of this many flows as soon as the collector accepts that. Returns what it shows of the connection's TLS.
fn accepted(collector: &Collector, certificates: &Path, to: &str, options: &str, flows: usize) -> Value {
    let shown = || collector.rest("GET", &format!("/exporters/{SENDER}"), "")["exportConnections"][0].clone();
    loop {
        collector.wait_until("the connection before has ended", || shown().is_null());
        let before = ended(collector, "wrong_name");
        let mut exporter = client(certificates, to, options);
        send(&mut exporter, &message(0, flows));
        let mut found = Value::Null;
        collector.wait_until("accepted or refused", || {
            found = shown();
            found["messages"] == 1 || ended(collector, "wrong_name") > before
        });
        end(exporter);
        if found["messages"] == 1 {
            return found["tls"].clone();
        }
    }
}

#[test]
fn exporters_without_the_right_certificate_are_refused_with_one_line_and_others_are_counted() {
    let certificates = certificates();
    let (collector, to, _) = collector(certificates.path());
    let refusals = [
        ("", "no_certificate", "it showed no certificate"),
        ("-cert foreign.pem -key foreign.key", "unknown_authority", "no authority in netflow.tls.ca has signed"),
        ("-cert expired.pem -key expired.key", "expired_certificate", "its certificate expired"),
        (
            "-tls1_2 -cert foreign.pem -key foreign.key",
            "unknown_authority",
            "no authority in netflow.tls.ca has signed",
        ),
    ];
    for (options, kind, reason) in refusals {
        let before = ended(&collector, kind);
        let mut stranger = client(certificates.path(), &to, options);
        send(&mut stranger, &message(0, 7));
        collector.wait_until(&format!("refused: {kind}"), || ended(&collector, kind) > before);
        end(stranger);
        collector.wait_for_line(reason);
        let status = collector.rest("GET", "/status", "");
        assert_eq!(status["exportConnections"]["refused"][0]["reason"], kind, "{status}");
        let counters = &status["counters"];
        assert_eq!(counters["export_connections_ended"][kind], 0, "{counters}");
        assert_eq!(counters["export_connections_accepted"], 0, "{counters}");
    }
    let good = "-cert exporter.pem -key exporter.key";
    let set = |name: &str| {
        let (printed, stderr, code) = collector.command(&["senders", "set", SENDER, "--certificate-name", name]);
        assert_eq!(code, Some(0), "{printed}{stderr}");
    };
    set("r2.example.net");
    // Refused, or ended as soon as the collector knows the name.
    let mut stranger = client(certificates.path(), &to, good);
    send(&mut stranger, &message(0, 7));
    collector.wait_until("refused: wrong_name", || ended(&collector, "wrong_name") > 0);
    end(stranger);
    let line = collector.wait_for_line("must have the name");
    assert!(line.contains("r2.example.net") && line.contains(NAME), "{line}");
    set(NAME);
    // What was sent while the former name was not known yet may count, too.
    let before = counted(&collector, SENDER)[1];
    for (number, version) in (1..).zip(["-tls1_2", "-tls1_3"]) {
        let shown = accepted(&collector, certificates.path(), &to, &format!("{good} {version}"), 50);
        assert_eq!(shown["certificateName"], NAME, "{shown}");
        assert_eq!(shown["version"], version[4..].replace('_', "."), "{shown}");
        is_counted(&collector, before + 50 * number);
    }
}

#[test]
fn certificates_are_replaced_without_breaking_connections() {
    let certificates = certificates();
    let at = certificates.path();
    let (collector, to, configuration) = collector(at);
    let good = "-cert exporter.pem -key exporter.key";
    let mut first = client(at, &to, good);
    send(&mut first, &message(0, 10));
    is_counted(&collector, 10);

    // Another authority of exporters: the next connection needs a certificate of that one.
    std::fs::copy(at.join("foreign-ca.pem"), at.join("exporters-ca.pem")).unwrap();
    let other = configuration.replace("ca.pem", "exporters-ca.pem");
    let log = collector.reload(&other);
    assert!(log.contains("configuration reloaded"), "{log}");
    let mut second = client(at, &to, "-cert foreign.pem -key foreign.key");
    send(&mut second, &message(0, 20));
    is_counted(&collector, 30);
    let stranger = client(at, &to, good);
    collector.wait_until("refused", || ended(&collector, "unknown_authority") == 1);
    end(stranger);
    // The first connection is as before.
    send(&mut first, &message(10, 5));
    is_counted(&collector, 35);

    // A file that cannot be used changes nothing.
    std::fs::write(at.join("exporters-ca.pem"), "nothing").unwrap();
    let log = collector.reload(&other);
    assert!(log.contains("netflow.tls.ca") && !log.contains("configuration reloaded"), "{log}");
    send(&mut first, &message(15, 1));
    is_counted(&collector, 36);
    end(first);
    end(second);
}

#[test]
fn certificates_that_the_lines_of_the_document_make_are_accepted() {
    let certificates = tempfile::tempdir().unwrap();
    let at = certificates.path();
    let lines = lines("export-connections.md");
    let (clients, makers): (Vec<_>, Vec<_>) =
        lines.iter().filter(|line| line.starts_with("openssl ")).partition(|line| line.contains(" s_client "));
    let ([client], 3) = (&clients[..], makers.len()) else { panic!("{lines:?}") };
    for line in makers {
        let output = Command::new("sh").args(["-euc", line]).current_dir(at).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::copy(at.join("exporters-ca.pem"), at.join("ca.pem")).unwrap();
    let (collector, to, _) = collector(at);
    let set = lines.iter().find(|line| line.starts_with("netflow senders set ")).unwrap().replace("192.0.2.1", SENDER);
    let (printed, stderr, code) = collector.command(&set.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{set}: {printed}{stderr}");
    let name = "collector.example.net";
    let verified = format!("-quiet -verify_return_error -verify_hostname {name}");
    let line = format!("exec {} {verified}", client.replace(&format!("{name}:4740"), &to));
    let mut command = Command::new("sh");
    command.args(["-euc", &line]).current_dir(at).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut exporter = command.spawn().unwrap();
    send(&mut exporter, &message(0, 20));
    is_counted(&collector, 20);
    let shown = || collector.rest("GET", &format!("/exporters/{SENDER}"), "")["exportConnections"][0]["tls"].clone();
    collector.wait_until("verified by its name", || shown()["certificateName"] == NAME);
    end(exporter);
}

/// An exporter of another author, the package `ipfix` of Python: messages of up to 65,535 octets, which the journal keeps in two
/// records, over this transport, and how many octets its flows have.
fn export_by_python(certificates: &Path, to: &str, transport: &str) -> [u64; 2] {
    const SCRIPT: &str = "
import ipaddress, socket, ssl, sys
import ipfix.ie, ipfix.template, ipfix.writer

ipfix.ie.use_iana_default()
stream = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
if sys.argv[2] == 'tls':
    context = ssl.create_default_context(cafile='ca.pem')
    context.load_cert_chain('exporter.pem', 'exporter.key')
    stream = context.wrap_socket(stream, server_hostname='127.0.0.1')
out = stream.makefile('wb')
writer = ipfix.writer.to_stream(out)
writer.set_domain(7)
octets = flows = 0
for template, names, count in [
    (300, ['destinationIPv4Address', 'octetDeltaCount', 'packetDeltaCount'], 10000),
    (301, ['packetDeltaCount', 'destinationIPv4Address', 'octetDeltaCount'], 500),
]:
    writer.add_template(ipfix.template.from_ielist(template, ipfix.ie.spec_list(names)))
    writer.set_export_template(template)
    for number in range(count):
        destination = ipaddress.ip_address('192.0.2.%d' % (number % 200))
        writer.export_namedict({'destinationIPv4Address': destination, 'octetDeltaCount': number, 'packetDeltaCount': 2})
        octets, flows = octets + number, flows + 1
    writer.flush()
out.close()
if sys.argv[2] == 'tls':
    stream.unwrap()
stream.close()
print(octets, flows)
";
    // The system's: Debian has the package.
    let port = to.rsplit(':').next().unwrap();
    let mut command = Command::new("/usr/bin/python3");
    let output = command.args(["-c", SCRIPT, port, transport]).current_dir(certificates).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_exporter_of_another_author_is_counted_over_tcp_and_tls() {
    let certificates = certificates();
    let (collector, tls, _) = collector(certificates.path());
    let tcp = listening(&collector);
    let mut expected = [0; 2];
    for (to, transport) in [(&tcp, "tcp"), (&tls, "tls")] {
        let sent = export_by_python(certificates.path(), to, transport);
        expected = [expected[0] + sent[0], expected[1] + sent[1]];
        collector.wait_until(transport, || counted(&collector, SENDER)[1] >= expected[1]);
        assert_eq!(counted(&collector, SENDER), expected, "{transport}");
    }
    // Killed and started again, with messages in the journal that are longer than a packet.
    export_by_python(certificates.path(), &tcp, "tcp");
    let sent = [expected[0] / 2, expected[1] / 2];
    collector.wait_until("read", || ended(&collector, "closed") >= 3);
    let collector = Collector::start_in_configured(collector.kill());
    collector.wait_until("counted after a kill", || counted(&collector, SENDER)[1] >= expected[1] + sent[1]);
    assert_eq!(counted(&collector, SENDER), [expected[0] + sent[0], expected[1] + sent[1]]);
}
