//! Export connections over loopback into a running collector: what was sent is what is counted, and every end has its reason.

use std::io::{Read, Write};
use std::net::TcpStream;

use collector::ExportConnectionSettings;
use view::{EndedExportConnection, ExportConnections, SenderTransport};
use wire::FieldSpecifier;
use wire::encode::{Ipfix, TemplateSpec};
use wire::ipfix;

use super::*;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn message() -> Ipfix {
    let export_seconds = u32::try_from(now().seconds()).unwrap().into();
    Ipfix::new(ipfix::Header { export_seconds, ..Default::default() })
}

/// Destination address and bytes.
fn template() -> TemplateSpec {
    TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)])
}

/// Bytes and destination address, with the same id.
fn other_template() -> TemplateSpec {
    TemplateSpec::data(256, [FieldSpecifier::iana(1, 4), FieldSpecifier::iana(12, 4)])
}

fn announcement(template: &TemplateSpec) -> Vec<u8> {
    message().template(template).finish()
}

/// A flow of 100 bytes to the monitored prefix, by [`template`].
fn flow() -> Vec<u8> {
    message().data(&template(), &[vec![192, 0, 2, 1, 0, 0, 0, 100]]).finish()
}

/// The same, by [`other_template`].
fn other_flow() -> Vec<u8> {
    message().data(&other_template(), &[vec![0, 0, 0, 100, 192, 0, 2, 1]]).finish()
}

fn listening_at(tcp: &[&str]) -> Settings {
    let mut settings = settings(&["127.0.0.1:0"]);
    let tcp = tcp.iter().map(|address| address.parse().unwrap()).collect();
    settings.reloadable.export_connections = ExportConnectionSettings { tcp, ..ExportConnectionSettings::default() };
    settings
}

impl Bench {
    async fn connected(senders: &[IpAddr]) -> Self {
        Self::start_with(listening_at(&["127.0.0.1:0"]), senders).await
    }

    fn export_connections(&self) -> ExportConnections {
        self.collector.view().status().export_connections.unwrap()
    }

    fn listening_at(&self, number: usize) -> SocketAddr {
        self.export_connections().listening.get(number).unwrap().address
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.listening_at(0)).unwrap()
    }

    /// A connection from a loopback address.
    fn connect_from(&self, address: [u8; 4]) -> TcpStream {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&self.listening_at(0).into()).unwrap();
        socket.into()
    }

    /// How the only connection of a sender ended.
    async fn ended(&self, sender: IpAddr) -> EndedExportConnection {
        let view = self.collector.view();
        testing::wait::wait_for("the end of a connection", async || {
            view.exporter(sender).and_then(|found| found.exporter.ended_export_connection)
        })
        .await
    }

    /// How many connections have ended, or were refused, for this reason.
    fn count(&self, reason: &str) -> u64 {
        let counts = self.export_connections().counts;
        let all = counts.ended.iter().chain(&counts.refused);
        all.filter(|(name, _)| *name == reason).map(|(_, count)| count).sum()
    }

    async fn until_count(&self, reason: &str, expected: u64) {
        testing::wait::wait_for(reason, async || (self.count(reason) == expected).then_some(())).await;
    }

    async fn until_open(&self, expected: u64) {
        testing::wait::wait_for("open connections", async || {
            (self.export_connections().open == expected).then_some(())
        })
        .await;
    }

    /// Stops, checks the ledgers, and returns how many flows of 100 bytes were counted for the sender.
    async fn stop_and_count(self) -> u64 {
        let (store, status) = (Arc::clone(&self.store), self.collector.status());
        self.collector.stop().await.unwrap();
        balances(&status, &["datagrams"]);
        let Counters { bytes, flows, .. } = counted(store.as_ref(), SENDER).await;
        assert_eq!(bytes, 100 * flows);
        flows
    }
}

/// Whether the collector has closed a connection, of which nothing is read.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

fn decoded(counts: &Counts) -> u64 {
    counts.datagrams[DatagramFate::Decoded]
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_count_over_tcp_as_they_do_over_udp() {
    let bench = Bench::connected(&[SENDER]).await;
    let messages = [announcement(&template()), flow(), flow(), announcement(&template()), flow()];
    let mut connection = bench.connect();
    connection.write_all(&messages.concat()).unwrap();
    bench.until(|counts| decoded(counts) == 5).await;
    let over_tcp = bench.collector.status().counts();
    let socket = exporter(SENDER);
    for message in &messages {
        socket.send_to(message, bench.collector.addresses()[0]).unwrap();
    }
    bench.until(|counts| decoded(counts) == 10).await;
    let both = bench.collector.status().counts();
    assert_eq!((both.templates, both.data_records), (2 * over_tcp.templates, 2 * over_tcp.data_records));
    assert_eq!((over_tcp.flows[FlowFate::Matched], both.flows[FlowFate::Matched]), (3, 6));

    let shown = bench.collector.view().exporter(SENDER).unwrap().exporter;
    let [open] = &shown.export_connections[..] else { panic!("{:?}", shown.export_connections) };
    let octets: usize = messages.iter().map(Vec::len).sum();
    assert_eq!((open.messages, open.bytes, open.tls.is_none()), (5, octets as u64, true));
    assert_eq!(open.port, connection.local_addr().unwrap().port());
    assert_eq!(open.listening, connection.peer_addr().unwrap());
    assert!(open.last.is_some_and(|last| last >= open.since));
    assert_eq!(bench.stop_and_count().await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_sender_may_use_the_same_template_id_for_different_things() {
    let bench = Bench::connected(&[SENDER]).await;
    let (mut one, mut other) = (bench.connect(), bench.connect());
    one.write_all(&announcement(&template())).unwrap();
    other.write_all(&announcement(&other_template())).unwrap();
    bench.until(|counts| counts.templates == 2).await;
    for _ in 0..10 {
        one.write_all(&flow()).unwrap();
        other.write_all(&other_flow()).unwrap();
    }
    bench.until(|counts| counts.flows[FlowFate::Matched] == 20).await;
    drop(one);
    bench.until_count("closed", 1).await;
    // What the other one has announced still applies.
    other.write_all(&other_flow()).unwrap();
    bench.until(|counts| counts.flows[FlowFate::Matched] == 21).await;
    assert_eq!(bench.stop_and_count().await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_of_an_unregistered_address_is_closed_before_anything_is_read() {
    let bench = Bench::connected(&[SENDER]).await;
    let mut stranger = bench.connect_from([127, 0, 0, 2]);
    assert!(is_closed(&mut stranger));
    bench.until_count("unregistered", 1).await;
    let shown = bench.export_connections();
    let address = IpAddr::from([127, 0, 0, 2]);
    let [refused] = &shown.refused[..] else { panic!("{:?}", shown.refused) };
    assert_eq!((refused.address, refused.reason, refused.count), (address, "unregistered", 1));
    assert_eq!((shown.open, shown.counts.accepted), (0, 0));
    let unknown = bench.collector.view().unknown();
    let shown: Vec<_> = unknown.iter().map(|sender| (sender.address, sender.datagrams, sender.transport)).collect();
    assert_eq!(shown, [(address, 1, SenderTransport::Tcp)]);
    assert_eq!(bench.collector.status().counts().datagrams.total(), 0);
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_shown_from_its_first_connection_also_if_that_brings_no_message() {
    let bench = Bench::connected(&[SENDER]).await;
    let mut stream = bench.connect();
    let view = bench.collector.view();
    let open = async || view.exporter(SENDER).filter(|found| found.exporter.export_connections.len() == 1);
    let shown = testing::wait::wait_for("the router", open).await;
    assert_eq!((shown.exporter.first, shown.exporter.last), (None, None));
    stream.write_all(&[0x16, 3, 1, 0, 200]).unwrap();
    let ended = bench.ended(SENDER).await;
    assert_eq!((ended.kind, ended.connection.messages), ("malformed", 0));
    assert!(ended.reason.contains("a TLS handshake"), "{}", ended.reason);
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_has_a_limited_number_of_connections_and_others_have_theirs() {
    let other = IpAddr::from([127, 0, 0, 2]);
    let bench = Bench::connected(&[SENDER, other]).await;
    let mut connections: Vec<TcpStream> = (0..16).map(|_| bench.connect()).collect();
    bench.until_open(16).await;
    assert!(is_closed(&mut bench.connect()));
    bench.until_count("too_many_of_sender", 1).await;
    let _other = bench.connect_from([127, 0, 0, 2]);
    bench.until_open(17).await;
    drop(connections.pop());
    bench.until_count("closed", 1).await;
    connections.push(bench.connect());
    bench.until_open(17).await;
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_begins_connections_in_a_loop_is_refused() {
    let bench = Bench::connected(&[SENDER]).await;
    // Those after 32 are too early, unless this takes longer than a second for each.
    for _ in 0..200 {
        drop(bench.connect());
    }
    testing::wait::wait_for("a refusal", async || (bench.count("too_often") > 0).then_some(())).await;
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_a_connection_has_its_reason() {
    let bench = Bench::connected(&[SENDER]).await;
    let begin = || {
        let mut connection = bench.connect();
        connection.write_all(&announcement(&template())).unwrap();
        connection.write_all(&flow()).unwrap();
        connection
    };
    drop(begin());
    let end = bench.ended(SENDER).await;
    assert_eq!((end.kind, end.connection.messages, &*end.reason), ("closed", 2, "the exporter closed it"));

    let mut inside = begin();
    inside.write_all(&flow()[..5]).unwrap();
    drop(inside);
    bench.until_count("closed_inside_message", 1).await;
    let reason = bench.ended(SENDER).await.reason;
    assert_eq!(reason, "the exporter closed it inside a message, of which 5 octets had arrived and do not count");

    let mut malformed = begin();
    malformed.write_all(&[0, 10, 0, 15]).unwrap();
    assert!(is_closed(&mut malformed));
    bench.until_count("malformed", 1).await;
    let reason = bench.ended(SENDER).await.reason;
    let expected =
        "message 3 of the connection cannot be read: a message of 15 octets, which is less than its header has";
    assert_eq!(reason, expected);

    let mut another_version = begin();
    another_version.write_all(&datagram(now())).unwrap();
    assert!(is_closed(&mut another_version));
    bench.until_count("malformed", 2).await;
    assert!(bench.ended(SENDER).await.reason.contains("a message of version 5"));

    let reset = begin();
    bench.until(|counts| decoded(counts) == 10).await;
    socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
    drop(reset);
    bench.until_count("lost", 1).await;
    let reason = bench.ended(SENDER).await.reason;
    assert!(reason.starts_with("it was lost: Connection reset"), "{reason}");

    let _open = begin();
    bench.until(|counts| decoded(counts) == 12).await;
    let view = bench.collector.view();
    assert_eq!(bench.stop_and_count().await, 6);
    let end = view.exporter(SENDER).unwrap().exporter.ended_export_connection.unwrap();
    assert_eq!((end.kind, &*end.reason), ("stopped", "the collector stops"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_a_removed_sender_end() {
    let other = IpAddr::from([127, 0, 0, 2]);
    let bench = Bench::connected(&[SENDER, other]).await;
    let (mut removed, _other) = (bench.connect(), bench.connect_from([127, 0, 0, 2]));
    removed.write_all(&announcement(&template())).unwrap();
    bench.until_open(2).await;
    bench.store.remove_sender(SENDER).await.unwrap();
    bench.changed.notify_one();
    assert!(is_closed(&mut removed));
    bench.until_count("unregistered", 1).await;
    assert_eq!(bench.export_connections().open, 1);
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_ends_the_connections_of_removed_addresses_and_no_others() {
    let mut bench = Bench::start_with(listening_at(&["127.0.0.1:0", "127.0.0.2:0"]), &[SENDER]).await;
    let [kept, removed] = [0, 1].map(|number| bench.listening_at(number));
    let connect = |address: SocketAddr| {
        let mut connection = bench.connect_from([127, 0, 0, 1]);
        if address != kept {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
            socket.connect(&address.into()).unwrap();
            connection = socket.into();
        }
        connection.write_all(&announcement(&template())).unwrap();
        connection
    };
    let (mut stays, mut ends) = (connect(kept), connect(removed));
    bench.until(|counts| counts.templates == 2).await;
    let mut wanted = listening_at(&["127.0.0.1:0", "127.0.0.3:0"]).reloadable;
    wanted.listen = vec!["127.0.0.1:0".parse().unwrap()];
    // Octets that have arrived are read before the end.
    ends.write_all(&flow()).unwrap();
    let prepared = bench.collector.prepare(wanted).unwrap();
    bench.collector.change(prepared).await;
    assert!(is_closed(&mut ends));
    bench.until_count("not_listening", 1).await;
    stays.write_all(&flow()).unwrap();
    bench.until(|counts| counts.flows[FlowFate::Matched] == 2).await;
    let listening: Vec<_> = bench.export_connections().listening.iter().map(|at| at.address).collect();
    assert_eq!((listening.len(), listening[0], listening[1].ip()), (2, kept, IpAddr::from([127, 0, 0, 3])));
    assert!(TcpStream::connect(removed).is_err());
    assert_eq!(bench.stop_and_count().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_collector_counts_what_has_arrived_in_connections() {
    let bench = Bench::connected(&[SENDER]).await;
    let mut connection = bench.connect();
    connection.write_all(&announcement(&template())).unwrap();
    bench.until_open(1).await;
    for _ in 0..2000 {
        connection.write_all(&flow()).unwrap();
    }
    assert_eq!(bench.stop_and_count().await, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_from_the_port_of_another_open_one_is_refused() {
    let bench = Bench::start_with(listening_at(&["127.0.0.1:0", "127.0.0.2:0"]), &[SENDER]).await;
    let listening = [0, 1].map(|number| bench.listening_at(number));
    let connect = |from: SocketAddr, to: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        TcpStream::from(socket)
    };
    let first = connect(SocketAddr::new(SENDER, 0), listening[0]);
    bench.until_open(1).await;
    let mut second = connect(first.local_addr().unwrap(), listening[1]);
    assert!(is_closed(&mut second));
    bench.until_count("same_port", 1).await;
    bench.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_kept_end_if_their_sender_was_removed() {
    let bench = Bench::connected(&[SENDER]).await;
    let at = bench.listening_at(0);
    let mut connection = bench.connect();
    connection.write_all(&[announcement(&template()), flow()].concat()).unwrap();
    bench.until(|counts| decoded(counts) == 2).await;
    let view = bench.collector.view();
    let kept = bench.collector.stop_keeping(true).await.unwrap();
    assert_eq!(kept.len(), 1);
    let end = view.exporter(SENDER).unwrap().exporter.ended_export_connection.unwrap();
    assert_eq!((end.kind, end.connection.messages), ("kept", 2));
    connection.write_all(&flow()).unwrap();

    let settings = Settings { kept_connections: kept, ..listening_at(&[&at.to_string()]) };
    let bench = Bench::start_with(settings, &[]).await;
    assert!(is_closed(&mut connection));
    assert_eq!(bench.export_connections().counts.accepted, 0);
    bench.collector.stop().await.unwrap();
}
