//! The client and the table on ClickHouse's real engine; and servers that are not ClickHouse.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::thread;

use clickhouse::{Client, Error, Request, Settings, table};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use testing::Service;

static SERVER: LazyLock<Service> =
    LazyLock::new(|| Service::start("clickhouse", 1, &[("TLS", "yes"), ("USER", "netflow"), ("PASSWORD", "s3cret é")]));

fn authority() -> Vec<CertificateDer<'static>> {
    let path = SERVER.folder.join("tls/ca.pem");
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

fn settings() -> Settings {
    Settings {
        hosts: SERVER.hosts.clone(),
        authorities: Some(authority()),
        database: "default".to_owned(),
        table: "flows".to_owned(),
        user: Some("netflow".to_owned()),
        password: Some("s3cret é".to_owned()),
    }
}

fn plain(host: String) -> Settings {
    Settings { hosts: vec![host], authorities: None, user: None, password: None, ..settings() }
}

fn refusal(settings: Settings) -> Error {
    Client::new(settings).text(&Request::new("SELECT 1")).unwrap_err()
}

/// A server that reads some and answers with this, and its address.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            _ = stream.read(&mut [0; 4096]);
            _ = stream.write_all(answer);
        }
    });
    address
}

/// A port where nothing listens.
fn closed() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn the_table_has_every_column_with_its_type() {
    let client = Client::new(settings());
    for _ in 0..2 {
        client.text(&Request::new(&table::creation("default", "created"))).unwrap();
    }
    let sql =
        "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String} ORDER BY position";
    let found = client.text(&Request::new(sql).with(&[("d", "default"), ("t", "created")])).unwrap();
    let expected: String =
        table::columns().map(|(name, kind)| format!("{name}\t{}\n", kind.replace('\'', "\\'"))).collect();
    assert_eq!(found, expected);
}

#[test]
fn parameters_are_values_whatever_is_in_them() {
    let client = Client::new(settings());
    for value in ["", "'; DROP TABLE flows; --", "a\tb\\c\nd\r", "ä€𝄞", "{x:String}", "\\N", "a&b=c%20+"] {
        let request = Request::new("SELECT hex({x:String})");
        let found = client.text(&request.with(&[("x", value)])).unwrap();
        let expected: String = value.bytes().map(|octet| format!("{octet:02X}")).collect();
        assert_eq!(found.trim_end(), expected, "{value:?}");
    }
}

#[test]
fn settings_of_a_request_are_of_it_alone() {
    let client = Client::new(settings());
    let request = Request::new("SELECT getSetting('max_result_rows')");
    let found = client.text(&Request { settings: &[("max_result_rows", "7")], ..request }).unwrap();
    assert_eq!(found.trim_end(), "7");
    assert_eq!(client.text(&request).unwrap().trim_end(), "0");
}

#[test]
fn a_host_that_cannot_be_reached_is_left_out() {
    let hosts = [vec![closed(), "no-such-host.invalid:8443".to_owned()], SERVER.hosts.clone()].concat();
    let client = Client::new(Settings { hosts, ..settings() });
    let mut answer = client.query("SELECT 1", &[]).unwrap();
    let mut text = String::new();
    answer.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), answer.host()), ("1\n", SERVER.hosts.first().unwrap().as_str()));
}

#[test]
fn what_is_wrong_is_an_error_that_names_the_place_and_what_to_do() {
    let host = SERVER.hosts.first().unwrap();
    let error = refusal(Settings { password: Some("wrong".to_owned()), ..settings() }).to_string();
    let begin = format!("ClickHouse at {host} refuses: netflow: Authentication failed");
    assert!(error.starts_with(&begin) && error.ends_with("check clickhouse.user and clickhouse.password"), "{error}");
    let error = refusal(Settings { database: "missing".to_owned(), ..settings() }).to_string();
    assert!(error.contains("Database missing does not exist") && error.contains("CREATE DATABASE"), "{error}");
    let error = refusal(Settings { authorities: Some(Vec::new()), ..settings() });
    assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let host = closed();
    let error = refusal(plain(host.clone())).to_string();
    assert!(error.starts_with(&format!("cannot reach ClickHouse at {host}: Connection refused")), "{error}");
}

#[test]
fn an_answer_that_is_not_clickhouses_is_never_a_success() {
    for (answer, status) in [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt works!".as_slice(), 200),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 17\r\n\r\n<html>\x07</html>\n\n\n", 502),
    ] {
        let host = server(answer);
        let error = refusal(plain(host.clone()));
        assert!(matches!(&error, Error::Nonsense { status: found, .. } if *found == status), "{error:?}");
        assert!(error.to_string().contains(&host) && !error.to_string().contains('\x07'), "{error}");
    }
    for answer in [
        b"\x15\x03\x01\x00\x02\x02\x46".as_slice(),
        b"",
        b"HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {}\r\nContent-Length: 9\r\n\r\n1",
    ] {
        let error = refusal(plain(server(answer)));
        assert!(matches!(&error, Error::Lost { .. }), "{error:?}");
    }
}
