//! TLS for the REST interface: real handshakes with curl and with our own commands, a renewed certificate, and faulty
//! clients.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::collector::{Collector, PATIENCE};
use crate::documents::lines;
use crate::reloads::free_tcp;

const KEYS: &str = "authKey = \"auth\"\nsignKey = \"sign\"";

/// Makes an authority, `ca.pem`, and a certificate for this machine that it signed, `certificate.pem` with `key.pem`.
/// `serial` distinguishes certificates.
pub(crate) fn certify(directory: &Path, serial: u32) {
    let script = format!(
        "[ -e ca.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
           -keyout ca.key -out ca.pem
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=collector -keyout key.new -out request.pem
         printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' >extensions
         openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -set_serial {serial} -days 2 -extfile extensions \
           -out certificate.new
         chmod 600 key.new; mv key.new key.pem; mv certificate.new certificate.pem"
    );
    let output = Command::new("sh").args(["-euc", &script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn settings(directory: &Path, http: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        "[netflow]\nlisten = [\"127.0.0.1:0\"]\n[http]\nlisten = \"{http}\"\n[admin]\n{KEYS}\n[admin.tls]\n\
         certificate = \"{directory}/certificate.pem\"\nkey = \"{directory}/key.pem\"\n"
    )
}

/// A collector with a certificate of its own.
fn encrypted() -> (Collector, tempfile::TempDir) {
    let certificates = tempfile::tempdir().unwrap();
    certify(certificates.path(), 1);
    let collector = Collector::start_configured(&settings(certificates.path(), free_tcp()));
    fs::copy(certificates.path().join("ca.pem"), collector.path().join("ca.pem")).unwrap();
    (collector, certificates)
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn curl(collector: &Collector, arguments: &[&str]) -> Output {
    Command::new("curl")
        .args(["-sS", "--max-time", "20"])
        .args(arguments)
        .current_dir(collector.path())
        .output()
        .unwrap()
}

/// Our own client, with its options.
fn senders(collector: &Collector, url: &str, ca: Option<&str>) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.args(["senders", "--url", url]).env("NETFLOW_AUTH_KEY", "auth").env("NETFLOW_SIGN_KEY", "sign");
    command.args(ca.map(|file| ["--ca", file]).into_iter().flatten());
    let output = command.current_dir(collector.path()).stdin(Stdio::null()).output().unwrap();
    (text(&output.stdout) + &text(&output.stderr), output.status.code())
}

#[test]
fn curl_and_our_client_use_tls_and_trust_only_the_authority() {
    let (collector, _certificates) = encrypted();
    let port = collector.serving.port();
    let url = format!("https://localhost:{port}/healthz");
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let output = curl(&collector, &[&["--cacert", "ca.pem", &*url], version.as_slice()].concat());
        assert!(output.status.success(), "{version:?} {}", text(&output.stderr));
    }
    let output = curl(&collector, &["--cacert", "ca.pem", "--tls-max", "1.1", &url]);
    assert!(!output.status.success(), "TLS 1.1 is spoken");
    assert_eq!(curl(&collector, &[&url]).status.code(), Some(60), "the system does not trust the certificate");

    let own = format!("https://localhost:{port}");
    assert_eq!(senders(&collector, &own, Some("ca.pem")).1, Some(0));
    let (stderr, code) = senders(&collector, &own, None);
    assert!(code == Some(8) && stderr.to_lowercase().contains("certificate"), "{stderr}");
    let (stderr, code) = senders(&collector, &format!("https://127.0.0.2:{port}"), Some("ca.pem"));
    assert_eq!(code, Some(8), "{stderr}");
}

/// A collector with a certificate that this line makes.
fn encrypted_by(line: &str) -> (Collector, tempfile::TempDir) {
    let certificates = tempfile::tempdir().unwrap();
    let output = Command::new("sh").args(["-euc", line]).current_dir(certificates.path()).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", text(&output.stderr));
    let collector = Collector::start_configured(&settings(certificates.path(), free_tcp()));
    fs::copy(certificates.path().join("certificate.pem"), collector.path().join("ca.pem")).unwrap();
    (collector, certificates)
}

#[test]
fn a_certificate_that_signed_itself_as_operations_md_makes_it_is_trusted_by_ca_alone() {
    let line = lines("operations.md").into_iter().find(|line| line.starts_with("openssl req -x509")).unwrap();
    let here = line.replace("collector.example.net", "localhost").replace("192.0.2.10", "127.0.0.1");
    assert_ne!(line, here);
    let (collector, _certificates) = encrypted_by(&here);
    let port = collector.serving.port();
    let [by_name, by_address] = ["localhost", "127.0.0.1"].map(|host| format!("https://{host}:{port}"));
    for url in [&by_name, &by_address] {
        let (stderr, code) = senders(&collector, url, Some("ca.pem"));
        assert_eq!(code, Some(0), "{stderr}");
        let output = curl(&collector, &["--cacert", "ca.pem", &format!("{url}/healthz")]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let (stderr, code) = senders(&collector, &by_name, None);
    assert!(code == Some(8) && stderr.contains("use --ca FILE with the certificate of the authority, or"), "{stderr}");

    // Another one with the same names is not trusted.
    let other = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-euc", &here]).current_dir(other.path()).output().unwrap();
    assert!(made.status.success());
    let another = other.path().join("certificate.pem");
    let (stderr, code) = senders(&collector, &by_name, another.to_str());
    assert!(code == Some(8) && stderr.contains("no authority that is trusted here"), "{stderr}");
    let (stderr, code) = senders(&collector, &by_name, other.path().join("key.pem").to_str());
    assert!(code == Some(3) && stderr.contains("key.pem contains no PEM certificate"), "{stderr}");
    collector.terminate();
}

#[test]
fn a_certificate_without_alternative_names_is_trusted_for_its_common_name() {
    let make =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=127.0.0.1 -keyout key.pem -out certificate.pem";
    let (collector, certificates) = encrypted_by(make);
    let [by_name, by_address] =
        ["localhost", "127.0.0.1"].map(|host| format!("https://{host}:{}", collector.serving.port()));
    let (stderr, code) = senders(&collector, &by_address, Some("ca.pem"));
    assert_eq!(code, Some(0), "{stderr}");
    let (stderr, code) = senders(&collector, &by_name, Some("ca.pem"));
    assert!(code == Some(8) && stderr.contains("its certificate is for another name"), "{stderr}");

    let renew = |make: &str| {
        assert!(Command::new("sh").args(["-euc", make]).current_dir(certificates.path()).status().unwrap().success());
        collector.reload(&settings(certificates.path(), collector.serving));
        fs::copy(certificates.path().join("certificate.pem"), collector.path().join("ca.pem")).unwrap();
        senders(&collector, &by_address, Some("ca.pem"))
    };
    let (stderr, code) = renew(&format!("faketime '-400 days' {make}"));
    assert!(code == Some(8) && stderr.contains("its certificate has expired: renew it"), "{stderr}");
    // Alternative names replace the common one.
    let (stderr, code) = renew(&format!("{make} -addext subjectAltName=DNS:localhost"));
    assert!(code == Some(8) && stderr.contains("its certificate is for another name"), "{stderr}");
    let (stderr, code) = renew(make);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn plain_http_to_a_tls_port_is_an_error_that_names_https() {
    let (collector, _certificates) = encrypted();
    let url = format!("http://{}", collector.serving);
    let output = curl(&collector, &["-w", "%{http_code}", &format!("{url}/healthz")]);
    let stderr = text(&output.stdout);
    assert!(stderr.ends_with("400") && stderr.contains("use https:// instead of http://"), "{stderr}");
    let (stderr, code) = senders(&collector, &url, None);
    assert!(code == Some(9) && stderr.contains("use https:// instead of http://"), "{stderr}");
}

#[test]
fn https_to_a_plain_port_is_an_error_that_names_http() {
    let collector = Collector::start();
    let (stderr, code) = senders(&collector, &format!("https://{}", collector.serving), None);
    assert!(code == Some(8) && stderr.contains("it has no certificate: use http:// instead of https://"), "{stderr}");
    collector.terminate();
}

/// The serial number of the certificate that a new connection gets.
fn serial(collector: &Collector) -> String {
    let script = format!(
        "openssl s_client -connect {} -CAfile ca.pem </dev/null 2>/dev/null | openssl x509 -noout -serial",
        collector.serving
    );
    let output = Command::new("sh").args(["-euc", &script]).current_dir(collector.path()).output().unwrap();
    text(&output.stdout).trim().to_owned()
}

#[test]
fn a_renewed_certificate_is_served_after_a_reload_and_open_connections_stay() {
    let (collector, certificates) = encrypted();
    assert_eq!(serial(&collector), "serial=01");
    let mut open = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &collector.serving.to_string(), "-CAfile", "ca.pem"])
        .current_dir(collector.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ask = |end: &str| {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: {end}\r\n\r\n");
        open.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        open.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!(text(&answer), "HTTP/1.1 200");
        let mut rest = Vec::new();
        let mut octet = [0];
        while !rest.ends_with(b"\r\n\r\n") {
            open.stdout.as_mut().unwrap().read_exact(&mut octet).unwrap();
            rest.push(octet[0]);
        }
        let length = text(&rest).to_lowercase();
        let length =
            length.split_once("content-length: ").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        open.stdout.as_mut().unwrap().read_exact(&mut vec![0; length]).unwrap();
    };
    ask("keep-alive");
    certify(certificates.path(), 2);
    assert_eq!(serial(&collector), "serial=01", "not before a reload");
    let stderr = collector.reload(&settings(certificates.path(), collector.serving));
    assert!(stderr.contains("configuration reloaded"), "{stderr}");
    assert_eq!(serial(&collector), "serial=02");
    ask("close");
    open.wait().unwrap();

    // The key of another certificate is rejected, and a world-readable one is reported.
    fs::copy(certificates.path().join("ca.key"), certificates.path().join("key.pem")).unwrap();
    let stderr = collector.reload(&settings(certificates.path(), collector.serving));
    assert!(
        stderr.contains("keeping the current configuration") && stderr.contains("is not the private key of"),
        "{stderr}"
    );
    assert_eq!(serial(&collector), "serial=02");
    certify(certificates.path(), 3);
    Command::new("chmod").args(["644", "key.pem"]).current_dir(certificates.path()).status().unwrap();
    let stderr = collector.reload(&settings(certificates.path(), collector.serving));
    assert!(stderr.contains("everybody can read the private key") && stderr.contains("chmod o-rwx"), "{stderr}");
    assert_eq!(serial(&collector), "serial=03");
}

#[test]
fn an_expiring_or_expired_certificate_and_exposed_keys_are_warned_of_at_the_start_and_at_a_reload() {
    let (collector, certificates) = encrypted();
    // It is valid for two days, and the file with the keys of the interface has the mode of any file.
    let started = collector.startup_log();
    assert!(started.contains("everybody can read admin.authKey in netflow.toml"), "{started}");
    collector.wait_for_line("certificate.pem (admin.tls.certificate) expires at 20");
    let script = "printf 'basicConstraints=CA:FALSE\n' >extensions
         faketime '-10 days' openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -set_serial 9 -days 1 \
           -extfile extensions -out certificate.pem";
    let output = Command::new("sh").args(["-euc", script]).current_dir(certificates.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let log = collector.reload(&settings(certificates.path(), collector.serving));
    for what in
        ["certificate.pem (admin.tls.certificate) expired at 20", "everybody can read admin.authKey in netflow.toml"]
    {
        assert!(log.contains(what), "{what}\n{log}");
    }
    assert!(log.contains("configuration reloaded"), "{log}");
    assert_eq!(serial(&collector), "serial=09");
    // Its own commands, which check its ledgers, trust a valid one.
    certify(certificates.path(), 10);
    collector.reload(&settings(certificates.path(), collector.serving));
}

#[test]
fn unfinished_handshakes_do_not_block_others() {
    let (collector, _certificates) = encrypted();
    let url = format!("https://localhost:{}/healthz", collector.serving.port());
    let mut open = Vec::new();
    for number in 0..600 {
        let mut stream = TcpStream::connect(collector.serving).unwrap();
        // Half of them begin a record and stop.
        if number % 2 == 0 {
            let _ = stream.write_all(&[22, 3, 1, 2, 0, 1]);
        }
        open.push(stream);
    }
    for _ in 0..5 {
        let output = curl(&collector, &["--cacert", "ca.pem", &url]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    // The others are closed at their timeout.
    for stream in &mut open {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(!matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{ended:?}");
    }
}
