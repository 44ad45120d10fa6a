//! The addresses that a running collector receives at, and changes of them.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use super::*;
use storage::{Registry, Writers};

/// An unused address.
fn free() -> SocketAddr {
    exporter(Ipv4Addr::LOCALHOST.into()).local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_collector_changes_the_addresses_that_it_receives_at() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (first, second) = (free(), free());
    let mut bench = Bench::start(&[&first.to_string()], &[sender]).await;
    let (socket, mut sent) = (exporter(sender), 0);
    // An address that was left can be taken again at once, by the same collector too.
    for listen in [vec![first, second], vec![second], vec![first], vec![first, second]] {
        let prepared = bench.collector.prepare(reloadable(&listen)).unwrap();
        bench.collector.change(prepared).await;
        let mut addresses = bench.collector.addresses();
        addresses.sort_by_key(|address| *address != first);
        assert_eq!(addresses, listen);
        for address in &listen {
            socket.send_to(&datagram(now()), address).unwrap();
            sent += 1;
        }
        bench.until(|counts| counts.datagrams[DatagramFate::Decoded] == sent).await;
        for left in [first, second].iter().filter(|address| !listen.contains(address)) {
            udp::try_bind(*left).unwrap();
        }
    }
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_queued_at_a_removed_address_are_counted() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let mut bench = Bench::start(&["127.0.0.1:0", "127.0.0.1:0"], &[sender]).await;
    let addresses = bench.collector.addresses();
    let sent = 2_000;
    let prepared = bench.collector.prepare(reloadable(&[free()])).unwrap();
    let socket = exporter(sender);
    for number in 0..sent {
        socket.send_to(&datagram(now()), addresses[number % 2]).unwrap();
    }
    bench.collector.change(prepared).await;
    assert_eq!(bench.collector.status().counts().datagrams[DatagramFate::Decoded], sent as u64);
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_and_all_addresses_of_a_port_can_take_each_others_place() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let one = free();
    let all = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), one.port());
    let mut bench = Bench::start(&[&one.to_string()], &[sender]).await;
    let socket = exporter(sender);
    for (sent, listen) in [all, one, all].into_iter().enumerate() {
        let prepared = bench.collector.prepare(reloadable(&[listen])).unwrap();
        bench.collector.change(prepared).await;
        assert_eq!(bench.collector.addresses(), [listen]);
        socket.send_to(&datagram(now()), one).unwrap();
        bench.until(|counts| counts.datagrams[DatagramFate::Decoded] == sent as u64 + 1).await;
    }
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_an_address_in_use_or_to_none_is_refused_and_changes_nothing() {
    let mut bench = Bench::start(&["127.0.0.1:0"], &[]).await;
    let there = bench.collector.addresses();
    let (taken, new) = (exporter(Ipv4Addr::LOCALHOST.into()), free());
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    let refused = bench.collector.prepare(reloadable(&[new, taken.0])).err().unwrap();
    assert!(matches!(refused, StartError::Listen { address, .. } if address == taken.0), "{refused}");
    assert!(matches!(bench.collector.prepare(reloadable(&[])).err().unwrap(), StartError::NoAddress));
    assert_eq!(bench.collector.addresses(), there);
    udp::try_bind(new).unwrap();
    // The port that the kernel chose belongs to the address that was asked for.
    let kept = bench.collector.prepare(reloadable(&["127.0.0.1:0".parse().unwrap()])).unwrap();
    bench.collector.change(kept).await;
    assert_eq!(bench.collector.addresses(), there);
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_socket_stays_open() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (store, writer) = (Arc::new(Memory::default()), WriterState::new(WriterId(1), 1, now()));
    store.put_writer(&writer).await.unwrap();
    store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    let held = exporter(sender);
    let at = held.local_addr().unwrap();
    let settings = Settings { passed: vec![held.try_clone().unwrap()], ..settings(&[&at.to_string()]) };
    let mut collector = start(settings, store, None, None, writer, Arc::default(), None).await.unwrap();
    let (status, new) = (collector.status(), free());
    let prepared = collector.prepare(reloadable(&[new])).unwrap();
    collector.change(prepared).await;
    assert_eq!(collector.addresses(), [at, new]);
    let socket = exporter(sender);
    for address in [at, new] {
        socket.send_to(&datagram(now()), address).unwrap();
    }
    collector.stop().await.unwrap();
    assert_eq!(status.counts().datagrams[DatagramFate::Decoded], 2);
}

/// A socket that is always readable and cannot be read: one of TCP that has a connection to accept.
fn unreadable() -> (UdpSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (UdpSocket::from(OwnedFd::from(listener)), waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_cannot_be_read_does_not_keep_the_next_one_from_being_read() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (store, writer) = (Arc::new(Memory::default()), WriterState::new(WriterId(1), 1, now()));
    store.put_writer(&writer).await.unwrap();
    store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    let ((broken, _waiting), whole) = (unreadable(), exporter(sender));
    let at = [&broken, &whole].map(|socket| socket.local_addr().unwrap());
    // One thread reads both, the broken one first.
    let listening = settings(&at.map(|address| address.to_string()).each_ref().map(String::as_str));
    let settings = Settings { passed: vec![broken, whole], threads: 1, ..listening };
    let shared: Arc<dyn Store> = Arc::<Memory>::clone(&store);
    let collector = start(settings, shared, None, None, writer, Arc::default(), None).await.unwrap();
    let bench = Bench { store, changed: Arc::default(), collector };
    let socket = exporter(sender);
    for sent in 1..=3 {
        socket.send_to(&datagram(now()), at[1]).unwrap();
        bench.until(|counts| counts.datagrams[DatagramFate::Decoded] == sent).await;
    }
    bench.collector.stop().await.unwrap();
}
