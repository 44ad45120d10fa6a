use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

use accounting::tally::{GroupId, Monitored};
use flow::{DatagramFate, FlowFate, FlushNumber, SenderSettings};
use pipeline::{Admitted, Exporters, Registration, Shard};
use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, PendingBudget, ipfix};

use super::*;
use crate::acceptance::Ranges;
use crate::journaled_shard;
use crate::settings::reloadable;
use crate::status::Status;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A connection with its other end, and a shard.
struct Bench {
    exporter: TcpStream,
    connection: Connection,
    counting: Arc<TurnMutex<JournaledShard>>,
    admitted: Admitted,
    acceptance: Acceptance,
    buffer: Vec<u8>,
}

impl Bench {
    fn new(is_registered: bool) -> Self {
        let listener = TcpListener::bind((SENDER, 0)).unwrap();
        let listening = listener.local_addr().unwrap();
        let exporter = TcpStream::connect(listening).unwrap();
        exporter.set_nodelay(true).unwrap();
        let (stream, from) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let open = Open::new(Exporter::tcp(from.ip(), from.port()), listening, NOW, is_registered);
        let connection = Connection::new(Stream::Plain(stream), Arc::new(open), listening);
        let rules = reloadable().rules;
        let admitted = Admitted::default();
        let exporters = Exporters::new(rules.session, PendingBudget::default());
        let shard = || Shard::new(rules, Arc::clone(&admitted), exporters.clone());
        let first = FlushNumber { epoch: 1, sequence: 1 };
        let (mut shards, _) = journaled_shard::begin(&Status::new(1), None, shard, &exporters, first).unwrap();
        let acceptance = Acceptance::default();
        let bench = Self {
            exporter,
            connection,
            counting: shards.remove(0),
            admitted,
            acceptance,
            buffer: vec![0; 2 * LONGEST_MESSAGE],
        };
        if is_registered {
            bench.admit();
        }
        bench
    }

    fn admit(&self) {
        let monitored = Monitored::new(SENDER, &[("192.0.2.0/24".parse().unwrap(), GroupId(0))]);
        let registration = Registration { monitored, settings: SenderSettings::default() };
        self.admitted.store(Arc::new(HashMap::from([(SENDER, Arc::new(registration))])));
    }

    /// Sends these octets, and reads until all of them have been read.
    fn pass(&mut self, octets: &[u8]) -> Outcome {
        self.exporter.write_all(octets).unwrap();
        let mut left = octets.len();
        loop {
            let Self { buffer, counting, acceptance, connection, .. } = self;
            match connection.read(&mut Reading { buffer, counting, acceptance, now: NOW, is_last: false }) {
                Outcome::Read(count) => left -= count,
                other => return other,
            }
            if left == 0 {
                return Outcome::Read(octets.len());
            }
            std::thread::yield_now();
        }
    }

    fn decoded_and_flows(&self) -> (u64, u64) {
        let counting = locked_in_turn(&self.counting);
        let counts = counting.shard.counts();
        assert_eq!(counting.read, counts.datagrams.total());
        (counts.datagrams[DatagramFate::Decoded], counts.flows[FlowFate::Matched])
    }
}

fn message() -> Ipfix {
    Ipfix::new(ipfix::Header { export_seconds: u32::try_from(NOW.seconds()).unwrap().into(), ..Default::default() })
}

/// Destination address and bytes.
fn template() -> TemplateSpec {
    TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)])
}

fn announcement() -> Vec<u8> {
    message().template(&template()).finish()
}

fn flow() -> Vec<u8> {
    message().data(&template(), &[vec![192, 0, 2, 1, 0, 0, 0, 100]]).finish()
}

fn stream() -> Vec<u8> {
    [announcement(), flow(), flow()].concat()
}

#[test]
fn messages_are_found_wherever_the_stream_is_cut() {
    let stream = stream();
    for cut in 1..stream.len() {
        let (mut bench, (first, second)) = (Bench::new(true), stream.split_at(cut));
        assert!(matches!(bench.pass(first), Outcome::Read(_)));
        assert!(matches!(bench.pass(second), Outcome::Read(_)));
        assert_eq!(bench.decoded_and_flows(), (3, 2), "cut at {cut}");
        assert!(bench.connection.partial.is_empty() && bench.connection.partial_since.is_none());
    }
    let mut bench = Bench::new(true);
    for octet in &stream {
        assert!(matches!(bench.pass(&[*octet]), Outcome::Read(_)));
    }
    assert_eq!(bench.decoded_and_flows(), (3, 2), "octet by octet");
}

#[test]
fn each_message_has_a_receive_time_of_its_own_also_when_the_clock_goes_back() {
    let mut bench = Bench::new(true);
    bench.pass(&stream());
    assert_eq!(bench.connection.last, NOW.saturating_add(Duration::from_nanos(2)));
    let (octets, before) = (flow(), NOW.saturating_sub(Duration::from_secs(9)));
    bench.connection.take(&octets, &Arc::clone(&bench.counting), before);
    assert_eq!(bench.connection.last, NOW.saturating_add(Duration::from_nanos(3)));
    bench.connection.end(&bench.counting, before);
    assert_eq!(bench.connection.last, NOW.saturating_add(Duration::from_nanos(4)));
}

#[test]
fn the_longest_message_is_taken_and_no_more_than_it_is_kept() {
    let mut bench = Bench::new(true);
    bench.pass(&announcement());
    // Records of 8 octets, as many as fit: 16 for the header, 4 for the set.
    let records = vec![vec![192, 0, 2, 1, 0, 0, 0, 100]; (LONGEST_MESSAGE - 20) / 8];
    let longest = message().data(&template(), &records).finish();
    assert!(longest.len() > LONGEST_MESSAGE - 8);
    let (last, all_but_last) = longest.split_last().unwrap();
    bench.pass(all_but_last);
    assert_eq!(bench.decoded_and_flows(), (1, 0));
    assert!(bench.connection.partial.capacity() <= LONGEST_MESSAGE);
    bench.pass(&[*last]);
    assert_eq!(bench.decoded_and_flows(), (2, records.len() as u64));
}

#[test]
fn a_message_that_is_not_whole_in_time_ends_the_connection_and_each_message_has_its_own_time() {
    let mut bench = Bench::new(true);
    let (flow, counting) = (flow(), Arc::clone(&bench.counting));
    bench.pass(&announcement());
    let (first, second) = flow.split_at(7);
    bench.pass(first);
    assert!(bench.connection.overdue(&counting, NOW).is_none());
    let long_ago = Instant::now().checked_sub(MESSAGE_PATIENCE).unwrap();
    bench.connection.partial_since = Some(long_ago);
    let end = bench.connection.overdue(&counting, NOW).unwrap();
    let expected = "a message was not whole 30 seconds after its first octet: 7 octets have arrived";
    assert_eq!((end.kind(), &*end.to_string()), ("incomplete", expected));
    // More of it changes nothing, but the next message has time.
    bench.pass(&[second[0]]);
    assert_eq!(bench.connection.partial_since, Some(long_ago));
    bench.pass(&[&second[1..], first].concat());
    assert!(bench.connection.overdue(&counting, NOW).is_none());
}

#[test]
fn nothing_is_counted_of_a_router_that_may_register_itself_before_it_is_registered() {
    let mut bench = Bench::new(false);
    bench.acceptance.set(Ranges { accepted: vec!["127.0.0.0/8".parse().unwrap()], ..Ranges::default() }, true);
    let stream = stream();
    let (first, second) = stream.split_at(announcement().len() + 3);
    assert!(matches!(bench.pass(first), Outcome::Undecided));
    assert_eq!(bench.acceptance.candidates(), [SENDER]);
    assert_eq!(bench.decoded_and_flows(), (0, 0));
    bench.admit();
    assert!(bench.connection.register(&Arc::clone(&bench.counting), NOW).is_none());
    assert_eq!(bench.decoded_and_flows(), (1, 0));
    bench.pass(second);
    assert_eq!(bench.decoded_and_flows(), (3, 2));
}

#[test]
fn the_first_message_of_a_router_that_does_not_become_registered_is_unregistered() {
    let mut bench = Bench::new(false);
    bench.acceptance.set(Ranges { accepted: vec!["127.0.0.0/8".parse().unwrap()], ..Ranges::default() }, true);
    assert!(matches!(bench.pass(&stream()), Outcome::Undecided));
    bench.connection.undecided_since = Instant::now().checked_sub(DECISION_PATIENCE);
    let end = bench.connection.overdue(&Arc::clone(&bench.counting), NOW).unwrap();
    assert_eq!(end.kind(), "unregistered");
    let counts = *locked_in_turn(&bench.counting).shard.counts();
    assert_eq!((counts.datagrams[DatagramFate::Unregistered], counts.datagrams.total()), (1, 1));
}
