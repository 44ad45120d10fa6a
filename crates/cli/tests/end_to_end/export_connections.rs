//! Export connections of the real program: what it has taken is counted exactly once although it is killed; routers that register
//! themselves; passed sockets, and connections that the service manager keeps.

use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;
use testing::Random;
use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use crate::collector::Collector;
use crate::connect::connect;
use crate::crashes::{counted, recovered};
use crate::reloads::{free_tcp, free_udp};

const SENDER: &str = "127.0.0.2";
const FLOWS_A_MESSAGE: u64 = 30;
/// How often the collector is killed.
const KILLS: usize = 20;
const LISTEN: [(&str, &str); 1] = [("NETFLOW__NETFLOW__TCP__LISTEN", "127.0.0.1:0")];

fn message() -> Ipfix {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
    Ipfix::new(ipfix::Header { export_seconds: seconds.into(), ..ipfix::Header::default() })
}

/// Destination address and bytes.
fn template() -> TemplateSpec {
    TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)])
}

fn announcement() -> Vec<u8> {
    message().template(&template()).finish()
}

/// A message whose flows carry its number.
fn numbered(number: u64) -> Vec<u8> {
    let record = [&[192, 0, 2, (number % 250) as u8][..], &(number as u32).to_be_bytes()].concat();
    message().data(&template(), &vec![record; FLOWS_A_MESSAGE as usize]).finish()
}

/// Where it accepts export connections.
fn listening(collector: &Collector) -> SocketAddr {
    let status = collector.rest("GET", "/status", "");
    status["exportConnections"]["listening"][0]["address"].as_str().unwrap().parse().unwrap()
}

/// Waits until the other side has closed the connection.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        // What it had not read was thrown away.
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn register(collector: &Collector) {
    let (printed, stderr, code) = collector.command(&["senders", "add", SENDER, "192.0.2.0/24"]);
    assert_eq!(code, Some(0), "{printed}{stderr}");
    collector.wait_until("registered", || {
        let stream = connect(SENDER, listening(collector));
        let mut octet = [0];
        stream.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        stream.peek(&mut octet).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    });
}

/// The messages that the collector says to have taken of the only connection of the sender.
fn taken(collector: &Collector) -> u64 {
    let shown = collector.rest("GET", &format!("/exporters/{SENDER}"), "");
    shown["exportConnections"][0]["messages"].as_u64().unwrap_or_default()
}

/// Announces the template, and sends messages until `stop` or the end of the connection, numbered from `first` on; counts them.
fn send(to: SocketAddr, first: u64, stop: &AtomicBool, sent: &AtomicU64) {
    let mut connection = connect(SENDER, to);
    connection.write_all(&announcement()).unwrap();
    for number in first.. {
        // Counted before: what is sent in part may have arrived as a whole.
        sent.store(number + 1 - first, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) || connection.write_all(&numbered(number)).is_err() {
            return;
        }
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn messages_that_were_taken_are_counted_once_although_the_process_is_killed() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let settings = [&LISTEN[..], &[("NETFLOW__SERVER__CORES", "2")]].concat();
    let mut collector = Collector::start_with(&settings);
    register(&collector);
    let (mut first, mut before, mut all_taken) = (1, [0; 2], 0);
    for _ in 0..KILLS {
        let to = listening(&collector);
        let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let (directory, taken) = std::thread::scope(|scope| {
            scope.spawn(|| send(to, first, &stop, &sent));
            std::thread::sleep(Duration::from_millis(random.below(700)));
            let taken = taken(&collector).saturating_sub(1);
            let directory = collector.kill();
            stop.store(true, Ordering::Relaxed);
            (directory, taken)
        });
        let sent = sent.into_inner();
        collector = Collector::start_in_with(directory, &settings);
        recovered(&collector);
        let now = counted(&collector, SENDER);
        let [octets, flows] = [0, 1].map(|index| now[index] - before[index]);
        let messages = flows / FLOWS_A_MESSAGE;
        // The first ones of the connection, without a gap, each once.
        let numbers: u64 = (first..first + messages).sum();
        let context = format!("{messages} messages of {sent} sent, {taken} taken, numbered from {first}");
        assert_eq!((flows % FLOWS_A_MESSAGE, octets), (0, numbers * FLOWS_A_MESSAGE), "{context}");
        assert!((taken..=sent).contains(&messages), "{context}");
        (first, before, all_taken) = (first + sent, now, all_taken + taken);
    }
    println!("{KILLS} kills, {} messages sent, {all_taken} known to be taken", first - 1);
    assert!(all_taken > 0);
    collector.terminate();
}

#[test]
fn a_router_that_connects_from_an_accepted_range_is_counted_from_its_first_message() {
    let (netflow, http, tcp) = (free_udp(), free_tcp(), free_tcp());
    let collector = Collector::start_configured(&format!(
        "flushInterval = \"1s\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n\
         [netflow.tcp]\nlisten = [\"{tcp}\"]\n[[networks.named]]\nprefix = \"192.0.2.0/24\"\nname = \"office\"\n\
         [senders]\naccept = [\"127.0.0.2/32\"]\n"
    ));
    // Elsewhere nothing is read.
    assert!(is_closed(&connect("127.0.0.3", tcp)));
    let mut nonsense = connect(SENDER, tcp);
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(is_closed(&nonsense));
    assert_eq!(collector.rest("GET", "/senders", ""), Value::Array(Vec::new()));
    let mut connection = connect(SENDER, tcp);
    connection.write_all(&announcement()).unwrap();
    for number in 1..=100 {
        connection.write_all(&numbered(number)).unwrap();
    }
    collector.wait_until("counted", || counted(&collector, SENDER)[1] == 100 * FLOWS_A_MESSAGE);
    let shown = collector.rest("GET", &format!("/exporters/{SENDER}"), "");
    assert_eq!(shown["exportConnections"][0]["messages"], 101, "{shown:#}");
    collector.terminate();
}

#[test]
fn connections_that_begin_while_no_collector_runs_wait_in_a_passed_socket() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = tcp.local_addr().unwrap();
    let http = free_tcp().to_string();
    let started = |directory| {
        let mut command = Command::new("sh");
        let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null >/dev/null";
        command.args(["-c", script, env!("CARGO_BIN_EXE_netflow")]);
        command.env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0").env("NETFLOW__HTTP__LISTEN", &http);
        command.env("NETFLOW__NETFLOW__TCP__LISTEN", to.to_string());
        command.stdin(OwnedFd::from(tcp.try_clone().unwrap()));
        Collector::start_in_as_is(directory, &mut command)
    };
    let collector = started(tempfile::tempdir().unwrap());
    register(&collector);
    let (directory, _) = collector.terminate();
    let mut connection = connect(SENDER, to);
    connection.write_all(&[announcement(), numbered(7)].concat()).unwrap();
    let collector = started(directory);
    assert!(collector.startup_log().contains("on a socket from systemd"), "{}", collector.startup_log());
    collector.wait_until("counted", || counted(&collector, SENDER) == [7 * FLOWS_A_MESSAGE, FLOWS_A_MESSAGE]);
    collector.terminate();
}

/// Reads what is sent to a service manager. Returns the descriptors that it is to keep, and `None` at the message `END`.
fn stored(manager: UnixDatagram) -> Receiver<Option<OwnedFd>> {
    let (found, stored) = channel();
    std::thread::spawn(move || {
        loop {
            let mut text = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(&manager, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC);
            let message = String::from_utf8_lossy(&text[..received.unwrap().bytes]).into_owned();
            if message == "END" {
                return drop(found.send(None));
            }
            for of in control.drain() {
                let RecvAncillaryMessage::ScmRights(descriptors) = of else { continue };
                assert_eq!(message, "FDSTORE=1\nFDNAME=export-connection");
                descriptors.for_each(|descriptor| drop(found.send(Some(descriptor))));
            }
        }
    });
    stored
}

#[test]
fn a_connection_continues_after_a_restart_if_the_service_manager_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = stored(UnixDatagram::bind(&path).unwrap());
    let tcp = free_tcp();
    let settings = [("NETFLOW__NETFLOW__TCP__LISTEN", &*tcp.to_string()), ("NOTIFY_SOCKET", path.to_str().unwrap())];
    let collector = Collector::start_with(&settings);
    register(&collector);
    let mut connection = connect(SENDER, tcp);
    let message = numbered(2);
    let (first, second) = message.split_at(message.len() / 2);
    connection.write_all(&[announcement(), numbered(1), first.to_vec()].concat()).unwrap();
    collector.wait_until("taken", || taken(&collector) == 2);
    // The rest of the message arrives while it stops; what follows is for the next run.
    collector.signal("TERM");
    connection.write_all(second).unwrap();
    let (directory, status, log) = collector.ended();
    assert!(status.success(), "{log}");
    UnixDatagram::unbound().unwrap().send_to(b"END", &path).unwrap();
    let descriptors: Vec<OwnedFd> = manager.iter().map_while(|descriptor| descriptor).collect();
    assert_eq!(descriptors.len(), 1, "{log}");
    let _manager = stored({
        std::fs::remove_file(&path).unwrap();
        UnixDatagram::bind(&path).unwrap()
    });
    connection.write_all(&numbered(3)).unwrap();

    let mut command = Command::new("sh");
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null >/dev/null";
    command.args(["-c", script, env!("CARGO_BIN_EXE_netflow")]).envs(settings);
    command.env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0").env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0");
    command.env("LISTEN_FDNAMES", "export-connection").stdin(descriptors.into_iter().next().unwrap());
    let collector = Collector::start_in_as_is(directory, &mut command);
    // The template that was announced to the first run still applies.
    connection.write_all(&numbered(4)).unwrap();
    let all = [1 + 2 + 3 + 4, 4].map(|count| count * FLOWS_A_MESSAGE);
    collector.wait_until("counted", || counted(&collector, SENDER) == all);
    drop((command, connection));
    let ended = || collector.rest("GET", &format!("/exporters/{SENDER}"), "")["endedExportConnection"].clone();
    collector.wait_until("ended", || ended()["kind"] == "closed");
    assert_eq!(ended()["messages"], 2);
    collector.terminate();
}

#[test]
fn an_address_that_another_program_has_is_an_error_that_names_the_setting() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .arg("serve")
        .current_dir(directory.path())
        .envs([("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0"), ("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")])
        .envs([("NETFLOW__SFLOW__LISTEN", ""), ("NETFLOW__NETFLOW__TCP__LISTEN", &address)])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let expected = format!("cannot accept export connections at {address} (netflow.tcp.listen, netflow.tls.listen)");
    assert!(!output.status.success() && stderr.contains(&expected), "{stderr}");
}
