//! Plain connections, against a listener of the test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use export_client::{Error, ExportConnection, Reason, Target};

const NEVER: &dyn Fn() -> bool = &|| false;

fn listener() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, Target { address, encryption: None })
}

/// Connects, and takes the other side.
fn connected() -> (ExportConnection, TcpStream, SocketAddr) {
    let (listener, target) = listener();
    let connection = ExportConnection::open(&target, None, NEVER).unwrap();
    let (accepted, from) = listener.accept().unwrap();
    (connection, accepted, from)
}

/// Messages whose octets differ, some of them long.
fn messages() -> Vec<Vec<u8>> {
    (0..3000_u32).map(|number| vec![number as u8; 16 + (number as usize * 7919) % 9000]).collect()
}

#[test]
fn messages_arrive_in_order_octet_for_octet_and_the_end_is_clean() {
    let (mut connection, mut accepted, from) = connected();
    assert_eq!(connection.address(), from);
    let reader = thread::spawn(move || {
        let mut octets = Vec::new();
        accepted.read_to_end(&mut octets).unwrap();
        octets
    });
    let messages = messages();
    for (number, message) in messages.iter().enumerate() {
        connection.send(message, NEVER).unwrap();
        if number % 100 == 0 {
            connection.flush(NEVER).unwrap();
        }
    }
    connection.end(NEVER).unwrap().wait(NEVER).unwrap();
    assert!(reader.join().unwrap() == messages.concat());
}

#[test]
fn a_connection_comes_from_the_source_that_is_asked_for() {
    let (listener, target) = listener();
    let source = IpAddr::from([127, 0, 7, 9]);
    let connection = ExportConnection::open(&target, Some(source), NEVER).unwrap();
    let (_, from) = listener.accept().unwrap();
    assert_eq!((from.ip(), from), (source, connection.address()));
    let foreign = ExportConnection::open(&target, Some([192, 0, 2, 1].into()), NEVER).unwrap_err();
    assert!(matches!(foreign.reason, Reason::Source(..)), "{foreign}");
}

#[test]
fn a_port_without_a_listener_refuses() {
    let (taken, target) = listener();
    drop(taken);
    let error = ExportConnection::open(&target, None, NEVER).unwrap_err();
    let Reason::Connect(reason) = &error.reason else { panic!("{error}") };
    assert_eq!((reason.kind(), error.messages), (ErrorKind::ConnectionRefused, 0));
}

/// Sends until the connection breaks.
fn broken(mut connection: ExportConnection) -> Error {
    for _ in 0..100_000 {
        let sent = connection.send(&[1; 1000], NEVER).and_then(|()| connection.flush(NEVER));
        if let Err(error) = sent {
            return error;
        }
    }
    panic!("it does not break");
}

#[test]
fn a_connection_that_the_collector_closes_breaks_with_the_number_of_messages() {
    let (connection, accepted, from) = connected();
    drop(accepted);
    let error = broken(connection);
    assert!(matches!(error.reason, Reason::Closed | Reason::Broken(_)), "{error}");
    assert_eq!(error.from, Some(from));
    assert!(error.messages >= 1, "{error:?}");
}

#[test]
fn a_collector_that_closes_without_reading_all_is_an_error_at_the_end() {
    let (mut connection, accepted, _) = connected();
    connection.send(b"unread", NEVER).unwrap();
    let ending = connection.end(NEVER).unwrap();
    accepted.peek(&mut [0; 6]).unwrap();
    drop(accepted);
    let error = ending.wait(NEVER).unwrap_err();
    let Reason::Broken(reason) = &error.reason else { panic!("{error}") };
    assert_eq!((reason.kind(), error.messages), (ErrorKind::ConnectionReset, 1));
}

#[test]
fn the_sender_waits_for_a_collector_that_does_not_read() {
    let (mut connection, mut accepted, _) = connected();
    let (blocked, waits) = channel();
    let reader = thread::spawn(move || {
        waits.recv().unwrap();
        let mut octets = Vec::new();
        accepted.read_to_end(&mut octets).unwrap();
        octets.len()
    });
    let give_up = || {
        let _ = blocked.send(());
        false
    };
    // More than fits the buffers of the kernel.
    for _ in 0..1000 {
        connection.send(&[7; 65_535], &give_up).unwrap();
    }
    connection.end(NEVER).unwrap().wait(NEVER).unwrap();
    assert_eq!(reader.join().unwrap(), 65_535_000);
}

#[test]
fn a_sender_that_gives_up_reports_that_the_collector_does_not_read() {
    let (mut connection, _accepted, _) = connected();
    let asked = Cell::new(0);
    let give_up = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let error = (0..100_000).find_map(|_| connection.send(&[7; 65_535], &give_up).err()).unwrap();
    assert!(matches!(error.reason, Reason::NotRead), "{error}");
    assert_eq!(asked.get(), 3);
}

#[test]
fn a_collector_that_does_not_close_the_connection_is_an_error() {
    let (mut connection, _accepted, _) = connected();
    connection.send(b"read by nobody", NEVER).unwrap();
    let error = connection.end(NEVER).unwrap().wait(&|| true).unwrap_err();
    assert!(matches!(error.reason, Reason::NotClosed), "{error}");
    assert_eq!(error.messages, 1);
}

#[test]
fn a_collector_that_answers_with_tls_is_recognised() {
    let (connection, mut accepted, _) = connected();
    // Alert, TLS 1.2, of two octets: fatal, decode error.
    accepted.write_all(&[21, 3, 3, 0, 2, 2, 50]).unwrap();
    let error = broken(connection);
    assert!(matches!(error.reason, Reason::IsTls), "{error}");
}

#[test]
fn octets_that_the_collector_sends_are_ignored() {
    let (mut connection, mut accepted, _) = connected();
    accepted.write_all(&[b'x'; 5000]).unwrap();
    connection.send(b"message", NEVER).unwrap();
    let ending = connection.end(NEVER).unwrap();
    let mut octets = [0; 7];
    accepted.read_exact(&mut octets).unwrap();
    drop(accepted);
    ending.wait(NEVER).unwrap();
    assert_eq!(&octets, b"message");
}
