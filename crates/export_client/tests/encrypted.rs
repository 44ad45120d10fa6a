//! Connections with TLS, against a server of the test with certificates of openssl.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use export_client::{Encryption, Error, ExportConnection, Reason, Target};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

const NEVER: &dyn Fn() -> bool = &|| false;
const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// An authority, and certificates of a collector and an exporter that it has signed.
fn certificates() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
         openssl req -x509 $key -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
         for name in collector exporter; do
           openssl req -new $key -subj /CN=$name -keyout $name.key -out $name.request
           printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' >extensions
           openssl x509 -req -in $name.request -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out $name.pem
         done";
    let output = Command::new("sh").args(["-euc", script]).current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory
}

fn authority(directory: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("ca.pem")).unwrap()).unwrap();
    roots
}

fn pair(directory: &Path, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_file(directory.join(format!("{name}.pem"))).unwrap();
    (vec![certificate], PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap())
}

/// A collector of one connection; its octets, or the error of TLS.
struct Collector {
    target: Target,
    read: JoinHandle<std::io::Result<Vec<u8>>>,
}

impl Collector {
    fn start(directory: &Path, version: &'static SupportedProtocolVersion, demands_certificate: bool) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[version]);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority(directory)), provider);
        let builder = match demands_certificate {
            true => builder.unwrap().with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.unwrap().with_no_client_auth(),
        };
        let (chain, key) = pair(directory, "collector");
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = target(&listener, directory, false);
        let read = thread::spawn(move || {
            let connection = ServerConnection::new(config).unwrap();
            let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
            let mut octets = Vec::new();
            // An end without a close_notify is an error.
            stream.read_to_end(&mut octets).map(|_| octets)
        });
        Self { target, read }
    }

    fn with_own_certificate(mut self, directory: &Path) -> Self {
        self.target.encryption = Some(encryption(directory, true));
        self
    }
}

fn target(listener: &TcpListener, directory: &Path, with_certificate: bool) -> Target {
    let address = listener.local_addr().unwrap();
    Target { address, encryption: Some(encryption(directory, with_certificate)) }
}

fn encryption(directory: &Path, with_certificate: bool) -> Encryption {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(authority(directory));
    let config = match with_certificate {
        true => {
            let (chain, key) = pair(directory, "exporter");
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        false => builder.with_no_client_auth(),
    };
    Encryption { config: Arc::new(config), name: "localhost".try_into().unwrap() }
}

/// Sends these over a connection from its opening to its end.
fn send(target: &Target, messages: &[Vec<u8>]) -> Result<(), Error> {
    let mut connection = ExportConnection::open(target, None, NEVER)?;
    messages.iter().try_for_each(|message| connection.send(message, NEVER))?;
    connection.end(NEVER)?.wait(NEVER)
}

fn messages() -> Vec<Vec<u8>> {
    (0..2000_u32).map(|number| vec![number as u8; 16 + (number as usize * 7919) % 9000]).collect()
}

#[test]
fn messages_arrive_octet_for_octet_and_the_end_is_announced() {
    let directory = certificates();
    for version in BOTH {
        let collector = Collector::start(directory.path(), version, false);
        send(&collector.target, &messages()).unwrap();
        assert!(collector.read.join().unwrap().unwrap() == messages().concat());
    }
}

#[test]
fn an_exporter_shows_its_certificate_to_a_collector_that_demands_one() {
    let directory = certificates();
    for version in BOTH {
        let collector = Collector::start(directory.path(), version, true).with_own_certificate(directory.path());
        send(&collector.target, &messages()).unwrap();
        assert!(collector.read.join().unwrap().unwrap() == messages().concat());
    }
}

#[test]
fn a_collector_that_demands_a_certificate_breaks_the_connection_without_one_with_its_reason() {
    let directory = certificates();
    // In TLS 1.3 the reason arrives after the handshake.
    for version in BOTH {
        for messages in [&messages()[..1], &[]] {
            let collector = Collector::start(directory.path(), version, true);
            let error = send(&collector.target, messages).unwrap_err();
            let Reason::Tls(reason) = &error.reason else { panic!("{version:?} {error}") };
            assert_eq!(**reason, rustls::Error::AlertReceived(AlertDescription::CertificateRequired));
            collector.read.join().unwrap().unwrap_err();
        }
    }
}

#[test]
fn a_collector_whose_certificate_is_not_trusted_gets_nothing() {
    let (directory, other) = (certificates(), certificates());
    let mut collector = Collector::start(directory.path(), &TLS13, false);
    collector.target.encryption = Some(encryption(other.path(), false));
    let error = send(&collector.target, &messages()).unwrap_err();
    let Reason::Tls(reason) = &error.reason else { panic!("{error}") };
    assert!(matches!(**reason, rustls::Error::InvalidCertificate(_)), "{error}");
    // The collector gets the reason for its log.
    let theirs = collector.read.join().unwrap().unwrap_err().to_string();
    assert!(theirs.starts_with("received fatal alert"), "{theirs}");
}

#[test]
fn a_collector_of_plain_connections_is_recognised() {
    let directory = certificates();
    // One that closes, one that resets because it has not read, and one that answers.
    let answers: [fn(TcpStream); 3] = [
        |mut stream| assert!(stream.read(&mut [0; 4096]).unwrap() > 0),
        |stream| assert!(stream.peek(&mut [0]).unwrap() > 0),
        |mut stream| {
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        },
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = target(&listener, directory.path(), false);
        let collector = thread::spawn(move || answer(listener.accept().unwrap().0));
        let error = send(&target, &messages()).unwrap_err();
        assert!(matches!(error.reason, Reason::NotTls), "{error}");
        collector.join().unwrap();
    }
}
