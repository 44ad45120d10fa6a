//! A real broker that asks for a login and encrypts: what it takes, what it refuses, and what is said of it. And servers that are
//! no brokers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use columns::{Id, Row};
use flow::{FlushNumber, WriterId};
use kafka::{Compression, Error, Format, Login, Mechanism, Producer, Settings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use testing::Service;

const WRITER: WriterId = WriterId(0xfeed);
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest batch that the broker takes.
const MOST_OCTETS: usize = 100_000;

static BROKER: LazyLock<Service> = LazyLock::new(|| {
    let limit = format!("message.max.bytes={MOST_OCTETS}");
    Service::start("kafka", 1, &[("SASL", "yes"), ("TLS", "yes"), ("PARTITIONS", "2"), ("PROPERTIES", &limit)])
});

fn tls() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(BROKER.folder.join("tls/ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn login(mechanism: Mechanism) -> Login {
    Login { user: "netflow".to_owned(), password: "netflow".to_owned(), mechanism }
}

fn settings(topic: &str) -> Settings {
    Settings {
        brokers: BROKER.hosts.clone(),
        topic: topic.to_owned(),
        format: Format::Json,
        compression: Compression::Lz4,
        login: Some(login(Mechanism::Scram512)),
        tls: Some(tls()),
    }
}

/// kcat at the broker. It logs in by PLAIN.
fn kcat(arguments: &[&str]) -> Vec<u8> {
    let authority = format!("ssl.ca.location={}", BROKER.folder.join("tls/ca.pem").display());
    let mut command = Command::new("kcat");
    command.args(["-q", "-b", &BROKER.hosts[0], "-X", "security.protocol=SASL_SSL", "-X", &authority]);
    command.args(["-X", "sasl.mechanisms=PLAIN", "-X", "sasl.username=netflow", "-X", "sasl.password=netflow"]);
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("kcat is installed by `make test`");
    output.stdout
}

/// Asks for a topic until it has leaders: the broker creates it by that.
fn create(topic: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found: serde_json::Value = serde_json::from_slice(&kcat(&["-L", "-J", "-t", topic])).unwrap_or_default();
        let partitions = found["topics"][0]["partitions"].as_array().cloned().unwrap_or_default();
        if !partitions.is_empty() && partitions.iter().all(|it| it["leader"].as_i64().is_some_and(|it| it > 0)) {
            return;
        }
        assert!(Instant::now() < end, "no topic: {found:#}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn row(index: u64) -> Row {
    let mut row = Row::new();
    row.set_address(Id::Exporter, [192, 0, 2, (index % 7) as u8].into());
    row.set(Id::Received, 1_796_048_439_000 + index);
    row.set(Id::Bytes, index);
    row
}

/// Sends a flush of this many flows until all are acknowledged; how often it failed.
fn send(producer: &mut Producer, sequence: u64, flows: u64) -> u32 {
    let flush = FlushNumber { epoch: 1, sequence };
    for failed in 0..10 {
        let taken = (0..flows).try_for_each(|index| producer.take(WRITER, flush, &row(index)));
        match taken.and_then(|()| producer.end_flush()) {
            Ok(()) => return failed,
            Err(error) => println!("{error}"),
        }
        producer.rewind();
    }
    panic!("never acknowledged");
}

/// Why a flow cannot be sent.
fn refusal(settings: Settings) -> Error {
    let mut producer = Producer::new(settings);
    let taken = producer.take(WRITER, FlushNumber { epoch: 1, sequence: 1 }, &row(0));
    taken.and_then(|()| producer.end_flush()).unwrap_err()
}

/// The octets of all flows in a topic, by kcat.
fn octets(topic: &str) -> Vec<u64> {
    let found = kcat(&["-C", "-e", "-o", "beginning", "-t", topic, "-f", "%s\n"]);
    let text = String::from_utf8(found).unwrap();
    let octets = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["bytes"].as_u64();
    let mut octets: Vec<u64> = text.lines().map(|line| octets(line).unwrap_or_default()).collect();
    octets.sort_unstable();
    octets
}

#[test]
fn every_mechanism_and_compression_is_taken() {
    create("all");
    let mut producers = 0;
    for mechanism in Mechanism::ALL {
        let mut producer = Producer::new(Settings { login: Some(login(mechanism)), ..settings("all") });
        assert_eq!(send(&mut producer, producers + 1, 10), 0, "{mechanism:?}");
        producers += 1;
    }
    for compression in Compression::ALL {
        let mut producer = Producer::new(Settings { compression, ..settings("all") });
        assert_eq!(send(&mut producer, producers + 1, 10), 0, "{compression:?}");
        assert_eq!(producer.sent().flows, 10);
        producers += 1;
    }
    let expected: Vec<u64> = (0..10).flat_map(|octets| vec![octets; producers as usize]).collect();
    assert_eq!(octets("all"), expected);
}

#[test]
fn batches_that_are_too_large_are_halved_and_no_flow_comes_twice() {
    create("small");
    // As they are, so that they are as large as they look.
    let mut producer = Producer::new(Settings { compression: Compression::None, ..settings("small") });
    let failed = send(&mut producer, 1, 5_000);
    assert!(failed > 0, "5,000 flows are less than {MOST_OCTETS} octets");
    assert_eq!(send(&mut producer, 2, 5_000), 0, "the size is remembered");
    let expected: Vec<u64> = (0..5_000).flat_map(|octets| [octets, octets]).collect();
    assert_eq!(octets("small"), expected);
    assert_eq!(producer.sent().flows, 10_000);
}

#[test]
fn what_a_broker_refuses_is_an_error_that_says_what_to_do() {
    create("known");
    let error = refusal(settings("missing-topic")).to_string();
    assert_eq!(
        error,
        "topic 'missing-topic': does not exist: create it (kafka-topics.sh --create), or set kafka.topic"
    );
    let found = String::from_utf8(kcat(&["-L", "-J"])).unwrap();
    assert!(!found.contains("missing-topic"), "no topic is created by asking for it");
    let broker = &BROKER.hosts[0];
    for mechanism in Mechanism::ALL {
        let login = Login { password: "wrong".to_owned(), ..login(mechanism) };
        let error = refusal(Settings { login: Some(login), ..settings("known") }).to_string();
        let begin = format!("{broker} refuses user 'netflow' by {}: Authentication failed", mechanism.name());
        assert!(error.starts_with(&begin), "{error}");
    }
    let error = refusal(Settings { login: None, ..settings("known") }).to_string();
    assert!(error.starts_with(&format!("{broker}: ")), "{error}");
    let error = refusal(Settings { tls: None, ..settings("known") }).to_string();
    assert!(error.starts_with(broker.as_str()), "{error}");
    let roots = RootCertStore::empty();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let unknown = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let error = refusal(Settings { tls: Some(unknown), ..settings("known") }).to_string();
    assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
}

/// A server that reads some and answers with these octets, and its address.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            _ = stream.read(&mut [0; 64]);
            _ = stream.write_all(answer);
            // Until the client has seen it.
            _ = stream.read(&mut [0; 64]);
        }
    });
    address
}

#[test]
fn nonsense_is_an_error_and_takes_no_memory() {
    let plain = |broker: String| {
        let (format, compression) = (Format::Single, Compression::None);
        Settings { brokers: vec![broker], topic: "t".to_owned(), format, compression, login: None, tls: None }
    };
    for (answer, what) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "its length"),
        (&[0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0], "it belongs to another request"),
        (&[0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], "of the topic"),
    ] {
        let broker = server(answer);
        let error = refusal(plain(broker.clone())).to_string();
        assert!(error.starts_with(&format!("{broker} sends what is no answer of Kafka: {what};")), "{error}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refusal(plain(free.to_string())).to_string();
    assert!(error.starts_with(&format!("{free}: Connection refused")), "{error}");
    let error = refusal(plain("no-such-host.invalid:9092".to_owned())).to_string();
    assert!(error.starts_with("no-such-host.invalid:9092: "), "{error}");
}
