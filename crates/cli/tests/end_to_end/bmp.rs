//! Routes of routers by BMP: real routers, and sessions that are refused, end by an error or exceed a limit.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use flow::Counters;
use serde_json::Value;
use testing::bgp::{Feeder, Kind, Router};
use testing::bmp::{Network, Peer, Update, full_table, initiation, open, peer_up, route_monitoring};
use wire::{encode, netflow_v5};

use crate::answered_in_time;
use crate::collector::Collector;
use crate::connect::connect;
use crate::reloads::{free_tcp, free_udp};
use crate::traffic::Totals;

/// A collector that accepts BMP sessions, and where.
pub(crate) fn listening(settings: &[(&str, &str)]) -> (Collector, SocketAddr) {
    let listen = [("NETFLOW__BMP__LISTEN", "127.0.0.1:0")];
    let collector = Collector::start_with(&[&listen, settings].concat());
    // The thread of the sessions reports it when it has begun.
    let mut address = None;
    collector.wait_until("it listens", || {
        let status = collector.rest("GET", "/status", "");
        address = status["bmp"]["listening"][0].as_str().map(|address| address.parse().unwrap());
        address.is_some()
    });
    (collector, address.unwrap())
}

pub(crate) fn register(collector: &Collector, router: &str) {
    let (printed, stderr, code) = collector.command(&["senders", "add", router, "192.0.2.0/24"]);
    assert_eq!(code, Some(0), "{printed}{stderr}");
}

/// What `/status` shows of a router; null if it has had no session.
pub(crate) fn shown(collector: &Collector, router: &str) -> Value {
    let status = collector.rest("GET", "/status", "");
    let routers = status["bmp"]["routers"].as_array().unwrap();
    routers.iter().find(|shown| shown["address"] == router).cloned().unwrap_or_default()
}

/// Waits until a router is shown like this.
pub(crate) fn wait_for(collector: &Collector, router: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    collector.wait_until(what, || {
        last = shown(collector, router);
        holds(&last)
    });
    last
}

/// Waits until the other side has closed the connection.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        // What it had not read was thrown away.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Whether it is closed already.
fn was_refused(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |count| count == 0)
}

/// A session of a router with one peer, from this address. The connections before the router is admitted are closed.
pub(crate) fn session(collector: &Collector, from: &str, to: SocketAddr) -> TcpStream {
    let peer = Peer::new(1, 64501);
    let begin = [initiation(), peer_up(&peer, &open(peer.asn, &[]))].concat();
    let sessions = || shown(collector, from)["sessions"].as_u64().unwrap_or_default();
    let before = sessions();
    let mut stream = connect(from, to);
    let _ = stream.write_all(&begin);
    collector.wait_until("in a session", || {
        if sessions() == before && was_refused(&stream) {
            stream = connect(from, to);
            let _ = stream.write_all(&begin);
        }
        shown(collector, from)["session"]["peers"] == 1
    });
    stream
}

pub(crate) fn announce(mut stream: &TcpStream, path: &[u32], networks: impl IntoIterator<Item = Network>) {
    let networks: Vec<Network> = networks.into_iter().collect();
    for networks in networks.chunks(500) {
        let update = Update::new().path(path).announce(networks);
        // It may have been closed meanwhile.
        let _ = stream.write_all(&route_monitoring(&Peer::new(1, 64501), &update.octets()));
    }
}

/// This number of networks of 256 addresses each.
fn networks(count: u32) -> impl Iterator<Item = Network> {
    (0..count).map(|number| (IpAddr::from((0x0100_0000 + (number << 8)).to_be_bytes()), 24))
}

#[test]
fn a_router_that_is_not_registered_is_refused_before_it_is_read_and_accepted_when_it_is() {
    let (collector, to) = listening(&[]);
    let mut stream = connect("127.0.0.2", to);
    let _ = stream.write_all(&initiation());
    assert!(is_closed(&stream));
    collector.wait_for_line("refused a BMP session of 127.0.0.2: the router is not registered");
    let status = collector.rest("GET", "/status", "");
    let refused = &status["bmp"]["refused"][0];
    assert_eq!((&refused["address"], &refused["reason"]), (&"127.0.0.2".into(), &"unregistered".into()), "{status}");
    assert_eq!(status["counters"]["bmp_refused_sessions"]["unregistered"], 1, "{status}");
    assert_eq!(shown(&collector, "127.0.0.2"), Value::Null);
    register(&collector, "127.0.0.2");
    let stream = session(&collector, "127.0.0.2", to);
    announce(&stream, &[64501, 64502], networks(10));
    wait_for(&collector, "127.0.0.2", "10 routes", |router| router["routes"] == 10 && router["ranges"] == 1);
    // Its registration ends, and so does its session.
    collector.rest("DELETE", "/senders/127.0.0.2", "");
    assert!(is_closed(&stream));
    wait_for(&collector, "127.0.0.2", "forgotten", Value::is_null);
}

#[test]
fn a_malformed_message_ends_the_session_with_its_number_and_place() {
    let (collector, to) = listening(&[]);
    register(&collector, "127.0.0.1");
    let mut stream = session(&collector, "127.0.0.1", to);
    announce(&stream, &[64501, 64502], networks(10));
    let mut damaged = route_monitoring(&Peer::new(1, 64501), &Update::new().octets());
    // The length of the message of BGP, after its marker.
    damaged[6 + 42 + 16..][..2].copy_from_slice(&[0, 1]);
    stream.write_all(&damaged).unwrap();
    assert!(is_closed(&stream));
    let router = wait_for(&collector, "127.0.0.1", "ended", |router| router["errors"] == 1);
    let ended = &router["ended"];
    assert_eq!((&ended["kind"], &router["session"]), (&"malformed".into(), &Value::Null), "{router}");
    let reason = ended["reason"].as_str().unwrap();
    assert!(reason.starts_with("message 4 (route monitoring), octet 6"), "{reason}");
    collector.wait_for_line(reason);
    // What came before is kept, and the next session must wait.
    assert_eq!((&router["routes"], &router["staleRoutes"]), (&10.into(), &10.into()), "{router}");
    assert!(is_closed(&connect("127.0.0.1", to)));
    let status = collector.rest("GET", "/status", "");
    assert_eq!(status["counters"]["bmp_refused_sessions"]["too_early"], 1, "{status}");
}

#[test]
fn a_router_that_sends_too_many_routes_loses_its_session_and_others_keep_theirs() {
    let (collector, to) = listening(&[("NETFLOW__BMP__MEMORY", "16MiB")]);
    register(&collector, "127.0.0.1");
    register(&collector, "127.0.0.2");
    let other = session(&collector, "127.0.0.2", to);
    announce(&other, &[64501, 64502], networks(1000));
    let stream = session(&collector, "127.0.0.1", to);
    announce(&stream, &[64501, 64502], networks(400_000));
    assert!(is_closed(&stream));
    let router = wait_for(&collector, "127.0.0.1", "ended", |router| router["errors"] == 1);
    assert_eq!(router["ended"]["kind"], "limit", "{router}");
    assert!(router["ended"]["reason"].as_str().unwrap().contains("bmp.memory"), "{router}");
    assert!(router["bytes"].as_u64().unwrap() < 9 << 20, "{router}");
    announce(&other, &[64501, 64502], networks(2000));
    wait_for(&collector, "127.0.0.2", "2000 routes", |router| router["routes"] == 2000 && router["errors"] == 0);
}

#[test]
fn another_session_of_a_router_replaces_the_one_that_it_has() {
    let (collector, to) = listening(&[]);
    register(&collector, "127.0.0.1");
    let first = session(&collector, "127.0.0.1", to);
    announce(&first, &[64501, 64502], networks(10));
    wait_for(&collector, "127.0.0.1", "10 routes", |router| router["routes"] == 10);
    let second = session(&collector, "127.0.0.1", to);
    assert!(is_closed(&first));
    announce(&second, &[64501, 64503], networks(4));
    let router = wait_for(&collector, "127.0.0.1", "announced again", |router| router["staleRoutes"] == 6);
    assert_eq!((&router["sessions"], &router["ended"]["kind"]), (&2.into(), &"replaced".into()), "{router}");
    let exporters = collector.rest("GET", "/exporters", "");
    assert_eq!(exporters, Value::Array(Vec::new()), "it has sent no datagrams");
}

#[test]
fn a_reload_moves_the_listener_and_a_stop_does_not_wait_for_sessions() {
    let (netflow, http, first, second) = (free_udp(), free_tcp(), free_tcp(), free_tcp());
    let text = |bmp: &str| {
        format!("[netflow]\nlisten = [\"{netflow}\"]\n[http]\nlisten = \"{http}\"\n[bmp]\nlisten = [{bmp}]\n")
    };
    let collector = Collector::start_configured(&text(""));
    assert_eq!(collector.rest("GET", "/status", "")["bmp"], Value::Null);
    let log = collector.reload(&text(&format!("\"{first}\"")));
    assert!(log.contains(&format!("accepting BMP sessions on {first}")), "{log}");
    register(&collector, "127.0.0.1");
    collector.wait_until("listening", || !collector.rest("GET", "/status", "")["bmp"].is_null());
    let stream = session(&collector, "127.0.0.1", first);
    announce(&stream, &[64501, 64502], networks(10));
    wait_for(&collector, "127.0.0.1", "10 routes", |router| router["routes"] == 10);
    // An address in use changes nothing.
    let refused = collector.reload(&text(&format!("\"{first}\", \"{http}\"")));
    assert!(refused.contains("reload failed") && refused.contains("bmp.listen"), "{refused}");
    let log = collector.reload(&text(&format!("\"{second}\"")));
    assert!(log.contains(&format!("no longer accepting BMP sessions on {first}")), "{log}");
    assert!(is_closed(&stream));
    let router = wait_for(&collector, "127.0.0.1", "ended", |router| router["session"].is_null());
    assert_eq!((&router["staleRoutes"], &router["ended"]["kind"]), (&10.into(), &"removed".into()), "{router}");
    let stream = session(&collector, "127.0.0.1", second);
    let began = std::time::Instant::now();
    collector.terminate();
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(is_closed(&stream));
}

#[test]
fn the_routes_of_real_routers_arrive_and_stay_while_they_restart() {
    for kind in [Kind::Frr, Kind::Gobgp { policy: "local-rib" }] {
        let (collector, to) = listening(&[]);
        register(&collector, "127.0.0.1");
        let router = Router::start(kind, to);
        let mut feeder = Feeder::start(&router);
        for number in 0..50 {
            feeder.announce(&format!("10.0.{number}.0/24"), "64501 64502");
        }
        wait_for(&collector, "127.0.0.1", "50 routes", |router| router["routes"] == 50);
        let router = router.restart(kind, to, || {
            wait_for(&collector, "127.0.0.1", "ended", |router| router["staleRoutes"] == 50);
            drop(feeder);
        });
        let mut feeder = Feeder::start(&router);
        for number in 0..50 {
            feeder.announce(&format!("10.0.{number}.0/24"), "64501 64502");
        }
        let shown = wait_for(&collector, "127.0.0.1", "50 routes of the next session", |router| {
            router["routes"] == 50 && router["staleRoutes"] == 0
        });
        eprintln!("{kind:?}: {shown}");
        collector.terminate();
    }
}

/// What a process has had of this, in MiB.
fn mib(collector: &Collector, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", collector.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// `BMP_ROUTES=1000000 cargo test --release -p cli --test end_to_end bmp::a_full_table -- --nocapture` prints the figures of
/// docs/decisions/0013-bmp.md.
#[test]
fn a_full_table_arrives_and_arrives_again() {
    let routes = std::env::var("BMP_ROUTES").map_or(20_000, |routes| routes.parse().unwrap());
    let (collector, to) = listening(&[]);
    register(&collector, "127.0.0.1");
    let peer = Peer::loc_rib(64500);
    let mut octets = Vec::new();
    for group in full_table(routes, 1) {
        for network in group.networks {
            let update = Update::new().path(&group.path).preference(100).announce(&[network]).octets();
            octets.extend(route_monitoring(&peer, &update));
        }
    }
    let before = mib(&collector, "VmRSS");
    let mut ranges = Value::Null;
    for times in ["the first session", "the second session"] {
        let stream = session(&collector, "127.0.0.1", to);
        let began = std::time::Instant::now();
        (&stream).write_all(&octets).unwrap();
        let written = began.elapsed();
        wait_for(&collector, "127.0.0.1", "read", |router| router["routes"] == routes && router["staleRoutes"] == 0);
        let read = began.elapsed();
        // The same table has the same ranges, and a random one about two for three routes.
        let shown = wait_for(&collector, "127.0.0.1", "published", |router| {
            router["ranges"].as_u64() > Some(routes as u64 / 2) && (ranges.is_null() || router["ranges"] == ranges)
        });
        ranges = shown["ranges"].clone();
        let (published, now, most) = (began.elapsed(), mib(&collector, "VmRSS"), mib(&collector, "VmHWM"));
        eprintln!("{times}: written {written:?}, read {read:?}, published {published:?}; {before}, {now}, {most} MiB");
        assert!(now - before < 150 && most - before < 150);
        if routes == 1_000_000 {
            // The ranges are those of the benchmark of the crate `bmp`.
            assert!(ranges == 676_145 && published < Duration::from_secs(30), "{ranges} {published:?}");
        }
    }
    collector.terminate();
}

/// Thirty flows of a router that exports AS 0.
pub(crate) fn flows_without_as(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let header = netflow_v5::Header { unix_seconds: u32::try_from(seconds).unwrap().into(), ..Default::default() };
    let record =
        netflow_v5::Record { source, destination, octets: 100.into(), packets: 2.into(), ..Default::default() };
    encode::netflow_v5(&header, &[record; 30])
}

/// Sends flows from an address of the routes into the monitored prefix until it is to stop; returns how many.
fn send_flows(to: SocketAddr, stop: &AtomicBool) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        socket.send_to(&flows_without_as([10, 0, 7, 1], [192, 0, 2, 1]), to).unwrap();
        sent += 30;
        std::thread::sleep(Duration::from_millis(10));
    }
    sent
}

/// Waits until flows that arrive from now on are counted: none waits for a session.
fn are_still_counted(collector: &Collector) {
    let counted = || collector.rest("GET", "/status", "")["counters"]["flows"]["matched"].as_u64().unwrap();
    let before = counted();
    // More than may have been on their way.
    collector.wait_until("flows are counted", || counted() > before + 60);
}

/// All flows have the AS of the route, also those that arrive while a peer or the session of the router is down, and they are
/// counted meanwhile.
fn flows_keep_their_as(kind: Kind) {
    let (collector, to) = listening(&[]);
    register(&collector, "127.0.0.1");
    let announce = |feeder: &mut Feeder| {
        (0..50).for_each(|number| feeder.announce(&format!("10.0.{number}.0/24"), "64501 64502"));
    };
    let up = |router: &Value| router["routes"] == 50 && router["staleRoutes"] == 0;
    let router = Router::start(kind, to);
    let mut feeder = Feeder::start(&router);
    announce(&mut feeder);
    wait_for(&collector, "127.0.0.1", "published", |router| up(router) && router["ranges"] == 1);
    let (stop, receiving) = (AtomicBool::new(false), collector.receiving);
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send_flows(receiving, &stop));
        if matches!(kind, Kind::Frr) {
            // The peer goes down and is up again. GoBGP withdraws its routes then: the router has none any more.
            drop(feeder);
            wait_for(&collector, "127.0.0.1", "peer down", |router| router["staleRoutes"] == 50);
            are_still_counted(&collector);
            feeder = Feeder::start(&router);
            announce(&mut feeder);
            wait_for(&collector, "127.0.0.1", "peer up", up);
        }
        // The router restarts.
        let router = router.restart(kind, to, || {
            wait_for(&collector, "127.0.0.1", "session down", |router| router["staleRoutes"] == 50);
            are_still_counted(&collector);
            drop(feeder);
        });
        let mut feeder = Feeder::start(&router);
        announce(&mut feeder);
        wait_for(&collector, "127.0.0.1", "session up", |router| up(router) && router["sessions"] == 2);
        stop.store(true, Ordering::Relaxed);
        sending.join().unwrap()
    });
    let key = |name: &str| ("192.0.2.0/24".to_owned(), "in".to_owned(), name.to_owned());
    let counters = Counters { bytes: 100 * sent, packets: 2 * sent, flows: sent };
    let expected = Totals::from(["all", "srcas:64502"].map(|name| (key(name), counters)));
    assert_eq!(answered_in_time(&collector, &expected), expected, "{}", collector.log());
    collector.terminate();
}

#[test]
fn flows_keep_their_as_while_frr_restarts() {
    flows_keep_their_as(Kind::Frr);
}

#[test]
fn flows_keep_their_as_while_gobgp_restarts() {
    flows_keep_their_as(Kind::Gobgp { policy: "post-policy" });
}
