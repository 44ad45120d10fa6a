//! The cost of forwarding a batch of long datagrams over the loopback interface, from this host and with their source kept
//! (which needs CAP_NET_RAW), to a socket that nobody reads.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::net::UdpSocket;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udp::{Forwarded, Forwarder};

/// Datagrams of a receiving thread.
const BATCH: usize = 64;

fn forward(criterion: &mut Criterion) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let payload = [7; 1400];
    let datagrams = [Forwarded { source: "192.0.2.1:2055".parse().unwrap(), payload: &payload }; BATCH];
    let mut group = criterion.benchmark_group("forward");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, keeps_source) in [("collector", false), ("exporter", true)] {
        let Ok(forwarder) = Forwarder::open(receiver.local_addr().unwrap(), keeps_source) else { continue };
        forwarder.connect().unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = datagrams.as_slice();
                while !rest.is_empty() {
                    match forwarder.send(rest) {
                        Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                        Err(_) => forwarder.wait(Duration::from_secs(1)),
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
