//! Many exporters of four protocols, whose flows must all be counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

use flow::{Counters, Protocol};
use generator::{Generator, Load, Pace, Traffic, transmit};

use super::StopAtPanic;
use crate::crashes::unread;

const PROTOCOLS: [Protocol; 4] = [Protocol::NetflowV5, Protocol::NetflowV9, Protocol::Ipfix, Protocol::SflowV5];
/// Exporters of each protocol.
const EXPORTERS: u32 = 8;
/// The prefix that all of them monitor.
pub(super) const PREFIX: &str = "192.0.2.0/24";
/// How many datagrams may wait in the socket: a collector that starts slowly does not make it overflow.
const MOST_UNREAD: u64 = 500;

/// The address of the first exporter of a protocol.
fn first(protocol: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, protocol as u8, 1)
}

/// The addresses of all exporters.
pub(super) fn addresses() -> impl Iterator<Item = Ipv4Addr> {
    let of = |first: Ipv4Addr| (0..EXPORTERS).map(move |number| Ipv4Addr::from_bits(first.to_bits() + number));
    (0..PROTOCOLS.len()).map(first).flat_map(of)
}

/// What an exporter has sent.
pub(super) struct Sent {
    pub(super) exporter: Ipv4Addr,
    pub(super) counters: Counters,
    pub(super) flows_per_datagram: u64,
}

/// The threads that send.
pub(super) struct Running<'s>(Vec<std::thread::ScopedJoinHandle<'s, Generator>>);

impl<'s> Running<'s> {
    /// Sends this many flows a second, from all exporters together, until stopped.
    pub(super) fn start(scope: &'s Scope<'s, '_>, to: SocketAddr, rate: u64, stop: &'s AtomicBool) -> Self {
        let of_protocol = |number: usize| {
            let traffic = Traffic {
                prefixes: vec![PREFIX.parse().unwrap()],
                addresses: 100,
                client_ports: 100,
                ..Traffic::default()
            };
            let load = Load {
                protocol: PROTOCOLS[number],
                seed: number as u64,
                exporters: EXPORTERS,
                first_source: Some(first(number)),
                ports: 2,
                repeat: Some(6_000),
                traffic,
                ..Load::default()
            };
            let pace = Pace { rate: Some(rate / PROTOCOLS.len() as u64), ..Pace::default() };
            scope.spawn(move || {
                let _stop = StopAtPanic(stop);
                let mut generator = Generator::new(load).unwrap();
                let mut proceed = |_: &_| {
                    while unread(to) > MOST_UNREAD && !stop.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    match stop.load(Ordering::Relaxed) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                };
                transmit(&mut generator, to, pace, &mut proceed).unwrap();
                generator
            })
        };
        Self((0..PROTOCOLS.len()).map(of_protocol).collect())
    }

    /// What each exporter has sent; the loads must be stopped.
    pub(super) fn sent(self) -> Vec<Sent> {
        let of_generator = |generator: Generator| {
            let of_exporter = |(number, counters): (u32, &Counters)| Sent {
                exporter: generator.load().source(number).unwrap(),
                counters: *counters,
                flows_per_datagram: generator.flows_per_datagram().into(),
            };
            (0..).zip(&generator.totals().exporters).map(of_exporter).collect::<Vec<_>>()
        };
        self.0.into_iter().flat_map(|thread| of_generator(thread.join().unwrap())).collect()
    }
}
