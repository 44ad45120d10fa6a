use std::net::{IpAddr, UdpSocket};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use flow::Timestamp;
use testing::wait::DEADLINE;
use udp::{Received, Socket, SocketSet, Steering};

use super::copies::Share;
use super::target::QUEUE_OCTETS;
use super::*;
use crate::settings::reloadable;

fn to(address: SocketAddr) -> ForwardTarget {
    ForwardTarget { address, exporters: Vec::new(), source: ForwardSource::Collector }
}

fn receiver() -> (UdpSocket, SocketAddr) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(DEADLINE)).unwrap();
    let address = receiver.local_addr().unwrap();
    (receiver, address)
}

fn apply(forwarders: &mut Forwarders, targets: &[ForwardTarget]) {
    let prepared = forwarders.prepare(&Reloadable { forward: targets.to_vec(), ..reloadable() }).unwrap();
    forwarders.change(prepared);
}

/// A socket like those of receiving threads, with its batch.
struct Receiving {
    sockets: SocketSet,
    batch: Batch,
    address: SocketAddr,
}

impl Receiving {
    fn new() -> Self {
        let socket = udp::bind("127.0.0.1:0".parse().unwrap(), 1, Steering::Source, 1 << 20).unwrap().remove(0);
        let address = socket.address();
        Self { sockets: SocketSet::new(vec![socket]), batch: Batch::new(64), address }
    }

    /// Receives what is sent here and hands it on.
    fn pass(&mut self, from: &str, payloads: &[Vec<u8>], forwarding: &mut Forwarding) {
        let sender = UdpSocket::bind((from, 0)).unwrap();
        for payload in payloads {
            sender.send_to(payload, self.address).unwrap();
            self.sockets.wait(DEADLINE).unwrap().for_each(drop);
            let socket: &Socket = self.sockets.sockets().first().unwrap();
            assert_eq!(self.batch.receive(socket).unwrap(), 1);
            forwarding.take(&self.batch);
        }
    }
}

fn arrived(receiver: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = receiver.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn nothing_arrives(receiver: &UdpSocket) {
    receiver.set_nonblocking(true).unwrap();
    assert!(receiver.recv(&mut [0; 9]).is_err());
    receiver.set_nonblocking(false).unwrap();
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < DEADLINE, "still waiting: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until nothing is queued; each datagram is counted once.
fn settled(forwarders: &Forwarders) -> Vec<view::ForwardTarget> {
    wait_until("nothing is queued", || forwarders.shown().view().iter().all(|target| target.waiting == 0));
    let shown = forwarders.shown().view();
    for view::ForwardTarget { received, sent, dropped, waiting_bytes, .. } in &shown {
        assert_eq!(*received, sent + dropped.queue_full + dropped.failed + dropped.other_family);
        assert_eq!(*waiting_bytes, 0);
    }
    shown
}

#[test]
fn each_target_gets_what_its_exporters_send_whatever_becomes_of_the_others() {
    let ((all, at_all), (some, at_some)) = (receiver(), receiver());
    let (closed, at_closed) = receiver();
    drop(closed);
    // A broadcast address: the kernel refuses to connect there.
    let unreachable = "127.255.255.255:9".parse().unwrap();
    let only = ForwardTarget { exporters: vec!["127.0.0.2/32".parse().unwrap()], ..to(at_some) };
    let (mut forwarders, mut receiving) = (Forwarders::default(), Receiving::new());
    apply(&mut forwarders, &[to(unreachable), to(at_closed), to(at_all), only]);
    let mut forwarding = forwarders.forwarding();
    let payloads: Vec<Vec<u8>> = (0..20).map(|number| vec![number; 100 * usize::from(number)]).collect();
    for from in ["127.0.0.1", "127.0.0.2"] {
        receiving.pass(from, &payloads, &mut forwarding);
    }
    let expected: Vec<_> = payloads.iter().chain(&payloads).cloned().collect();
    assert_eq!(expected.iter().map(|_| arrived(&all)).collect::<Vec<_>>(), expected);
    assert_eq!(payloads.iter().map(|_| arrived(&some)).collect::<Vec<_>>(), payloads);
    let shown = settled(&forwarders);
    nothing_arrives(&some);
    let counts: Vec<_> = shown.iter().map(|it| (it.received, it.sent, it.dropped.failed)).collect();
    assert_eq!(counts, [(40, 0, 40), (40, 40, 0), (40, 40, 0), (20, 20, 0)]);
    assert!(shown[0].last_error.as_ref().is_some_and(|error| error.starts_with("Permission denied")), "{shown:?}");
    assert!(shown[1].refusals > 0 && shown[2].refusals == 0, "{shown:?}");
    forwarders.stop().unwrap();
}

#[test]
fn a_change_keeps_targets_that_stay_with_their_counts() {
    let ((first, at_first), (second, at_second), (third, at_third)) = (receiver(), receiver(), receiver());
    let (mut forwarders, mut receiving) = (Forwarders::default(), Receiving::new());
    // It exists before there are any targets, as that of a receiving thread.
    let mut forwarding = forwarders.forwarding();
    receiving.pass("127.0.0.1", &[b"none".to_vec()], &mut forwarding);
    apply(&mut forwarders, &[to(at_first), to(at_second)]);
    receiving.pass("127.0.0.1", &[b"two".to_vec()], &mut forwarding);
    apply(&mut forwarders, &[to(at_third), to(at_second)]);
    receiving.pass("127.0.0.1", &[b"after".to_vec()], &mut forwarding);
    let shown: Vec<_> = settled(&forwarders).iter().map(|it| (it.address, it.sent)).collect();
    assert_eq!(shown, [(at_third, 1), (at_second, 2)]);
    assert_eq!([arrived(&first), arrived(&second), arrived(&second), arrived(&third)].concat(), b"twotwoafterafter");
    apply(&mut forwarders, &[]);
    receiving.pass("127.0.0.1", &[b"none".to_vec()], &mut forwarding);
    assert_eq!(forwarders.shown().view(), []);
    [first, second, third].iter().for_each(nothing_arrives);
}

#[test]
fn what_is_queued_is_sent_before_a_stop() {
    let (receiver, address) = receiver();
    let (mut forwarders, mut receiving) = (Forwarders::default(), Receiving::new());
    apply(&mut forwarders, &[to(address)]);
    let payloads: Vec<Vec<u8>> = (0..50).map(|number| vec![number]).collect();
    receiving.pass("127.0.0.1", &payloads, &mut forwarders.forwarding());
    forwarders.stop().unwrap();
    assert_eq!(payloads.iter().map(|_| arrived(&receiver)).collect::<Vec<_>>(), payloads);
}

/// A target whose thread never takes anything.
fn stalled(wanted: ForwardTarget) -> (Arc<Target>, Receiver<Share>) {
    let (queue, queued) = channel();
    (Arc::new(Target::new(wanted, queue)), queued)
}

fn offer(source: &str, payload: &[u8], targets: &[Arc<Target>]) {
    let source = source.parse().unwrap();
    let received = Received { source, received: Timestamp::EPOCH, dropped: None, payload };
    Copies::offer(std::iter::repeat_n(received, 3), targets);
}

#[test]
fn beyond_its_limit_a_queue_drops_the_newest_and_counts_them() {
    let address = "192.0.2.9:2055".parse().unwrap();
    let (target, queued) = stalled(to(address));
    let targets = [Arc::clone(&target)];
    for _ in 0..2 * QUEUE_OCTETS / (3 * 60_000) {
        offer("192.0.2.1:5", &[7; 60_000], &targets);
    }
    let shown = target.view();
    assert!(shown.waiting_bytes <= QUEUE_OCTETS as u64, "{shown:?}");
    assert!(shown.dropped.queue_full > 0 && shown.received == shown.waiting + shown.dropped.queue_full, "{shown:?}");
    assert_eq!(queued.try_iter().map(|share| share.datagrams).sum::<u64>(), shown.waiting);
}

#[test]
fn the_source_is_kept_only_for_a_target_of_its_family() {
    let keeping = |address: &str| ForwardTarget {
        source: ForwardSource::Exporter,
        exporters: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        ..to(address.parse().unwrap())
    };
    let [(v4, to_v4), (v6, to_v6)] = ["192.0.2.9:1", "[2001:db8::9]:1"].map(|address| stalled(keeping(address)));
    let targets = [Arc::clone(&v4), Arc::clone(&v6)];
    // The second is how a socket of both families reports an IPv4 source.
    for source in ["192.0.2.1:5", "[::ffff:192.0.2.2]:6", "[2001:db8::1]:7", "198.51.100.1:8"] {
        offer(source, b"x", &targets);
    }
    let counts = |target: &Target| (target.view().received, target.view().waiting, target.view().dropped.other_family);
    assert_eq!((counts(&v4), counts(&v6)), ((9, 6, 3), (9, 3, 6)));
    let sources = |queued: &Receiver<Share>| -> Vec<IpAddr> {
        let mut sources: Vec<_> = queued
            .try_iter()
            .flat_map(|it| it.datagrams().iter().map(|it| it.source.ip()).collect::<Vec<_>>())
            .collect();
        sources.dedup();
        sources
    };
    let [first, second, third] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    assert_eq!((sources(&to_v4), sources(&to_v6)), (vec![first, second], vec![third]));
}

#[test]
fn a_target_that_the_collector_itself_receives_at_is_refused() {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let refused = |listening: &str, target: &str| receives_itself(at(listening), at(target));
    assert!(refused("127.0.0.1:2055", "127.0.0.1:2055"));
    assert!(refused("0.0.0.0:2055", "127.0.0.9:2055"));
    assert!(refused("[::]:2055", "[::1]:2055"));
    assert!(!refused("0.0.0.0:2055", "127.0.0.1:2056"));
    assert!(!refused("127.0.0.1:2055", "127.0.0.2:2055"));
    assert!(!refused("0.0.0.0:2055", "[::1]:2055"));
    // Of a documentation prefix, which no host has.
    assert!(!refused("0.0.0.0:2055", "192.0.2.1:2055"));
    let (mut forwarders, (_receiver, address)) = (Forwarders::default(), receiver());
    apply(&mut forwarders, &[to(address)]);
    // Also if the listen address is the one that is new.
    let changed = Reloadable { forward: vec![to(address)], listen: vec![address], ..reloadable() };
    let error = forwarders.prepare(&changed).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot forward to {address} (forward.targets): this collector receives")),
        "{error}"
    );
}

/// Its thread reports drops within a nap.
#[test]
fn drops_are_noted_with_their_time() {
    let (mut forwarders, mut receiving) = (Forwarders::default(), Receiving::new());
    apply(&mut forwarders, &[to("127.255.255.255:9".parse().unwrap())]);
    receiving.pass("127.0.0.1", &[b"x".to_vec()], &mut forwarders.forwarding());
    wait_until("noted", || forwarders.shown().view()[0].dropped_seconds_ago.is_some());
    assert!(forwarders.shown().view()[0].dropped_seconds_ago < Some(Duration::from_secs(3600).as_secs()));
}
