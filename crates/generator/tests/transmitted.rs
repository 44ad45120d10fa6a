//! Transmitted datagrams arrive from the right addresses, at the right rate, over UDP and over export connections.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use export_client::Target;
use flow::{Counters, Exporter, Protocol, Timestamp};
use generator::{ExportConnections, Generator, Load, Pace, transmit, transmit_over};
use wire::{Datagram, Session, SessionLimits};

/// The received datagrams of each source.
#[derive(Default)]
struct Arrived {
    session: Option<Session>,
    counters: Counters,
}

/// Transmits a load while reading the destination socket.
fn arrived(generator: &mut Generator, address: &str, pace: Pace) -> HashMap<IpAddr, Arrived> {
    let receiver = UdpSocket::bind(address).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (to, done) = (receiver.local_addr().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&receiver, &done));
        transmit(generator, to, pace, &mut |_| ControlFlow::Continue(())).unwrap();
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    })
}

fn read(receiver: &UdpSocket, done: &AtomicBool) -> HashMap<IpAddr, Arrived> {
    let mut arrived = HashMap::<IpAddr, Arrived>::new();
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, from)) = receiver.recv_from(&mut buffer) else {
            if done.load(Ordering::Relaxed) {
                return arrived;
            }
            continue;
        };
        let Arrived { session, counters } = arrived.entry(from.ip()).or_default();
        let datagram = Datagram {
            exporter: Exporter::udp(from.ip(), from.port()),
            received: Timestamp::from_seconds(1),
            payload: &buffer[..length],
        };
        let session = session.get_or_insert_with(|| Session::new(SessionLimits::default()));
        session.decode(&datagram, &mut |record| counters.add(record.flow.unwrap().forward));
    }
}

#[test]
fn each_exporter_has_its_address_and_its_totals() {
    let first_source = Some(Ipv4Addr::new(127, 0, 1, 254));
    let load = Load { exporters: 4, ports: 2, first_source, template_interval: 3, ..Load::default() };
    let mut generator = Generator::new(load).unwrap();
    // As many as fit into the receive buffer, however late they are read.
    let pace = Pace { rate: Some(20_000), flows: Some(1500), duration: None };
    let arrived = arrived(&mut generator, "127.0.0.1:0", pace);
    let totals = generator.totals();
    assert!((1500..1600).contains(&totals.all.flows), "{totals:?}");
    assert_eq!(arrived.len(), 4);
    for (exporter, sent) in (0..).zip(&totals.exporters) {
        let source = IpAddr::from(generator.load().source(exporter).unwrap());
        assert_eq!(arrived[&source].counters, *sent, "{source}");
    }
}

#[test]
fn one_exporter_can_be_of_ipv6() {
    let mut generator = Generator::new(Load { protocol: Protocol::NetflowV5, ..Load::default() }).unwrap();
    let pace = Pace { rate: Some(20_000), flows: Some(300), duration: None };
    let arrived = arrived(&mut generator, "[::1]:0", pace);
    assert_eq!(arrived[&"::1".parse().unwrap()].counters, generator.totals().all);
}

#[test]
fn the_rate_is_kept_until_the_time_is_over() {
    let mut generator = Generator::new(Load::default()).unwrap();
    let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let pace = Pace { rate: Some(50_000), flows: None, duration: Some(Duration::from_millis(500)) };
    let begun = Instant::now();
    transmit(&mut generator, to, pace, &mut |_| ControlFlow::Continue(())).unwrap();
    let (elapsed, flows) = (begun.elapsed().as_secs_f64(), generator.totals().all.flows as f64);
    // A busy machine may send less than was due, never more.
    assert!(flows <= 50_000.0 * elapsed && flows > 0.0, "{flows} in {elapsed}");
}

#[test]
fn it_stops_when_the_callback_breaks() {
    let mut generator = Generator::new(Load::default()).unwrap();
    let mut left = 3;
    transmit(&mut generator, "127.0.0.1:9".parse().unwrap(), Pace::default(), &mut |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    // A batch each time, and the template.
    assert_eq!(generator.totals().datagrams, 2 * 64 + 1);
}

/// The octets of each connection of a load, by its source address.
fn arrived_over_connections(generator: &mut Generator, pace: Pace) -> Vec<(IpAddr, Vec<u8>)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target { address: listener.local_addr().unwrap(), encryption: None };
    let connections = generator.load().streams();
    std::thread::scope(|scope| {
        let readers = scope.spawn(move || {
            let accepted = (0..connections).map(|_| listener.accept().unwrap()).map(|(mut stream, from)| {
                scope.spawn(move || {
                    let mut octets = Vec::new();
                    stream.read_to_end(&mut octets).unwrap();
                    (from.ip(), octets)
                })
            });
            accepted.collect::<Vec<_>>()
        });
        let mut transport = ExportConnections::open(generator.load(), &target, &|| false).unwrap();
        transmit_over(&mut transport, generator, pace, &mut |_| ControlFlow::Continue(())).unwrap();
        transport.end().unwrap();
        readers.join().unwrap().into_iter().map(|reader| reader.join().unwrap()).collect()
    })
}

#[test]
fn each_stream_has_an_export_connection_of_its_own_that_begins_with_its_template() {
    for rate in [None, Some(50_000)] {
        let first_source = Some(Ipv4Addr::new(127, 0, 1, 1));
        let load = Load { protocol: Protocol::Ipfix, exporters: 3, ports: 2, first_source, ..Load::default() };
        let mut generator = Generator::new(load).unwrap();
        let pace = Pace { rate, flows: Some(20_000), duration: None };
        let arrived = arrived_over_connections(&mut generator, pace);
        assert_eq!(arrived.len(), 6);
        let totals = generator.totals();
        let mut exporters = HashMap::<IpAddr, Counters>::new();
        let mut messages = 0;
        for (source, octets) in arrived {
            let mut session = Session::new(SessionLimits::default());
            let counters = exporters.entry(source).or_default();
            let mut rest = &octets[..];
            while !rest.is_empty() {
                let (payload, after) = rest.split_at(usize::from(u16::from_be_bytes([rest[2], rest[3]])));
                let datagram =
                    Datagram { exporter: Exporter::udp(source, 1), received: Timestamp::from_seconds(1), payload };
                let decoded = session.decode(&datagram, &mut |record| counters.add(record.flow.unwrap().forward));
                assert_eq!(decoded.errors, 0);
                (rest, messages) = (after, messages + 1);
            }
            assert_eq!(session.pending(), 0, "data before their template");
        }
        assert_eq!(messages, totals.datagrams);
        assert_eq!(totals.templates, 6);
        for (exporter, sent) in (0..).zip(&totals.exporters) {
            assert_eq!(exporters[&IpAddr::from(generator.load().source(exporter).unwrap())], *sent);
        }
    }
}
