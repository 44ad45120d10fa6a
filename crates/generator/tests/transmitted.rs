//! Transmitted datagrams arrive from the right addresses, at the right rate.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flow::{Counters, Exporter, Protocol, Timestamp};
use generator::{Generator, Load, Pace, transmit};
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
