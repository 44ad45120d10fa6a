use std::path::Path;
use std::process::Command;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};
use testing::Random;

use super::*;

/// Two authorities, and certificates: of the collector and of exporters, each with its key.
fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
         sign() { # name, authority, extensions, command
           openssl req -new $key -subj /CN=$1 -keyout $1.key -out $1.request
           printf \"basicConstraints=CA:FALSE\\n${3:-}\\n\" >extensions
           ${4:-} openssl x509 -req -in $1.request -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile extensions -out $1.pem
         }
         for name in ca same other; do
           subject=${name%same}; openssl req -x509 $key -days 2 -subj /CN=${subject:-ca} -keyout $name.key -out $name.pem
         done
         sign collector ca subjectAltName=DNS:localhost
         sign named ca subjectAltName=IP:192.0.2.1,DNS:r1.example.net,DNS:r1.example.org
         sign wildcard ca 'subjectAltName=DNS:*.example.net'
         sign many ca subjectAltName=DNS:a.example,DNS:b.example,DNS:c.example,DNS:d.example,DNS:e.example
         sign nameless ca
         sign server ca 'extendedKeyUsage=serverAuth'
         sign foreign other subjectAltName=DNS:r1.example.net
         sign copied same subjectAltName=DNS:r1.example.net
         sign expired ca subjectAltName=DNS:r1.example.net 'faketime -f -10d'";
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

fn collector(directory: &Path) -> TlsCertificates {
    let (chain, key) = pair(directory, "collector");
    let own = CertifiedKey::from_der(chain, key, &ring::default_provider()).unwrap();
    TlsCertificates::new(Arc::new(SingleCertAndKey::from(own)), authority(directory)).unwrap()
}

/// An exporter with a certificate, or without.
fn exporter(directory: &Path, name: Option<&str>, version: &'static SupportedProtocolVersion) -> ClientConnection {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(authority(directory));
    let config = match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let (chain, key) = pair(directory, name);
            let own = CertifiedKey::from_der(chain, key, &ring::default_provider()).unwrap();
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
    };
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

/// Delivers what each has for the other in pieces, until neither has more. Returns what the exporter has sent.
fn talk(exporter: &mut ClientConnection, tls: &mut Tls, mut cut: impl FnMut() -> usize) -> Result<Vec<u8>, TlsFailure> {
    let mut sent = Vec::new();
    loop {
        let (mut to_collector, mut to_exporter) = (Vec::new(), Vec::new());
        while exporter.wants_write() {
            exporter.write_tls(&mut to_collector).unwrap();
        }
        let mut rest = to_collector.as_slice();
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(cut().clamp(1, rest.len()));
            tls.receive(piece, &mut sent)?;
            rest = others;
        }
        tls.answer(&mut to_exporter).unwrap();
        assert!(!tls.connection.wants_write());
        let mut octets = to_exporter.as_slice();
        while !octets.is_empty() {
            exporter.read_tls(&mut octets).unwrap();
            exporter.process_new_packets().unwrap();
        }
        if to_collector.is_empty() && to_exporter.is_empty() {
            return Ok(sent);
        }
    }
}

fn name(text: &str) -> CertificateName {
    text.parse().unwrap()
}

const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "1.2"), (&TLS13, "1.3")];

#[test]
fn what_a_verified_exporter_sends_arrives_at_any_cut_and_its_end_is_known() {
    let certificates = certificates();
    let collector = collector(certificates.path());
    let mut random = Random::new(23);
    for (version, shown) in VERSIONS {
        for (certificate, required, found) in [
            ("named", None, Some("r1.example.net")),
            ("named", Some("r1.example.org"), Some("r1.example.org")),
            ("wildcard", Some("r7.example.net"), Some("r7.example.net")),
            ("wildcard", None, Some("*.example.net")),
            ("nameless", None, None),
        ] {
            let mut tls = Tls::new(&collector, required.map(name)).unwrap();
            let mut exporter = exporter(certificates.path(), Some(certificate), version);
            assert!(tls.is_handshaking() && tls.shown().is_none());
            let octets: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
            exporter.writer().write_all(&octets[..1000]).unwrap();
            let mut sent = talk(&mut exporter, &mut tls, || random.below(300) as usize).unwrap();
            assert!(!tls.is_handshaking() && !tls.is_closed());
            let expected = TlsOfConnection { version: shown, certificate_name: found.map(str::to_owned) };
            assert_eq!(tls.shown(), Some(expected));
            for part in octets[1000..].chunks(40_000) {
                exporter.writer().write_all(part).unwrap();
                sent.extend(talk(&mut exporter, &mut tls, || random.below(40_000) as usize).unwrap());
            }
            assert!(sent == octets && !tls.is_closed());
            exporter.send_close_notify();
            assert_eq!(talk(&mut exporter, &mut tls, || 1), Ok(Vec::new()));
            assert!(tls.is_closed());
        }
    }
}

#[test]
fn exporters_without_the_right_certificate_are_refused_with_the_reason() {
    let certificates = certificates();
    let collector = collector(certificates.path());
    for (version, _) in VERSIONS {
        for (certificate, required, kind, reason) in [
            (
                None,
                None,
                "no_certificate",
                "it showed no certificate: it needs one that an authority in netflow.tls.ca",
            ),
            (Some("foreign"), None, "unknown_authority", "no authority in netflow.tls.ca has signed its certificate"),
            (Some("foreign"), Some("r1.example.net"), "unknown_authority", "no authority in netflow.tls.ca"),
            (Some("copied"), None, "unknown_authority", "no authority in netflow.tls.ca has signed its certificate"),
            (Some("expired"), Some("r1.example.net"), "expired_certificate", "its certificate expired at 20"),
            (Some("server"), None, "bad_certificate", "its extendedKeyUsage needs clientAuth"),
            (
                Some("named"),
                Some("r2.example.net"),
                "wrong_name",
                "its certificate must have the name r2.example.net (certificateName), and has r1.example.net, r1.example.org",
            ),
            (Some("wildcard"), Some("r1.a.example.net"), "wrong_name", "and has *.example.net"),
            (Some("nameless"), Some("nameless"), "wrong_name", "and has no DNS name in its subjectAltName"),
            (Some("many"), Some("x"), "wrong_name", "has a.example, b.example, c.example, d.example and more"),
        ] {
            let mut tls = Tls::new(&collector, required.map(name)).unwrap();
            let mut exporter = exporter(certificates.path(), certificate, version);
            exporter.writer().write_all(b"too early").unwrap();
            let failure = talk(&mut exporter, &mut tls, || usize::MAX).unwrap_err();
            assert!(TlsFailure::KINDS.contains(&failure.kind));
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.to_string().contains(reason), "{failure}");
            // The exporter learns that it is refused.
            let mut alert = Vec::new();
            tls.answer(&mut alert).unwrap();
            exporter.read_tls(&mut alert.as_slice()).unwrap();
            assert!(matches!(exporter.process_new_packets(), Err(Error::AlertReceived(_))));
        }
    }
}

#[test]
fn what_is_no_tls_or_another_version_is_refused_with_the_reason() {
    let certificates = certificates();
    let collector = collector(certificates.path());
    let refused = |octets: &[u8]| {
        let mut tls = Tls::new(&collector, None).unwrap();
        let mut sent = Vec::new();
        let failure = tls.receive(octets, &mut sent).unwrap_err();
        assert!(sent.is_empty());
        failure
    };
    let ipfix = [0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let failure = refused(&ipfix);
    assert_eq!(failure.kind, "not_tls");
    assert!(failure.to_string().contains("without TLS, send to netflow.tcp.listen"), "{failure}");
    // A ClientHello of TLS 1.1 without extensions.
    let hello = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat();
    let failure = refused(&hello);
    assert_eq!(failure.kind, "tls_error", "{failure}");
    assert!(failure.to_string().contains("TLS 1.2 and 1.3"), "{failure}");
    let mut random = Random::new(7);
    for _ in 0..200 {
        let octets: Vec<u8> = (0..random.below(2000)).map(|_| random.below(256) as u8).collect();
        let _ = Tls::new(&collector, None).unwrap().receive(&octets, &mut Vec::new());
    }
}

#[test]
fn what_came_before_an_octet_that_was_changed_is_taken_and_nothing_after_it() {
    let certificates = certificates();
    let collector = collector(certificates.path());
    let mut tls = Tls::new(&collector, None).unwrap();
    let mut exporter = exporter(certificates.path(), Some("named"), &TLS13);
    talk(&mut exporter, &mut tls, || usize::MAX).unwrap();
    let mut octets = Vec::new();
    for text in [b"first", b"other", b"third"] {
        exporter.writer().write_all(text).unwrap();
        exporter.write_tls(&mut octets).unwrap();
    }
    let at = octets.len() / 2;
    octets[at] ^= 1;
    let mut sent = Vec::new();
    let failure = tls.receive(&octets, &mut sent).unwrap_err();
    assert_eq!((sent.as_slice(), failure.kind), (&b"first"[..], "tls_error"), "{failure}");
    assert!(failure.to_string().starts_with("TLS failed: "), "{failure}");
}

#[test]
fn a_name_can_be_required_of_a_connection_that_is_open() {
    let certificates = certificates();
    let collector = collector(certificates.path());
    let mut tls = Tls::new(&collector, None).unwrap();
    assert_eq!(tls.require(Some(name("r2.example.net"))), None, "it has shown none yet");
    talk(&mut exporter(certificates.path(), Some("named"), &TLS13), &mut tls, || usize::MAX).unwrap();
    for allowed in [None, Some(name("R1.example.net")), Some(name("r1.example.org")), None] {
        assert_eq!(tls.require(allowed), None);
    }
    let failure = tls.require(Some(name("r2.example.net"))).unwrap();
    assert_eq!(failure.kind, "wrong_name");
}
