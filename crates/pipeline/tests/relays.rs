//! What comes through a relay is counted for the exporters that it names, if the operator has set the relay to
//! `identity=agent`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use accounting::block::{TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::tally::{OwnNetworks, Tally, TallySettings};
use flow::{Counters, DatagramFate, Exporter, FlowFate, FlushNumber, Prefix, SenderSettings, Timestamp};
use pipeline::{Admission, Again, Decoder, Exporters, Registered, Rules, Sealed, Shard};
use testing::datagrams::sflow;
use view::Ambiguities;
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, PendingBudget, Session, SessionLimits, ipfix, netflow_v5, netflow_v9};

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
/// The ends of the flows, those of [`sflow`] too.
const INSIDE: [u8; 4] = [192, 0, 2, 7];
const OUTSIDE: [u8; 4] = [233, 252, 0, 1];
const PORT: u16 = 6343;
const NOW: u32 = 1_800_000_000;

/// A collector's shard. Each sender monitors 192.0.2.0/24.
struct Collector {
    admission: Admission,
    exporters: Exporters,
    shard: Shard,
    received: u32,
    announced: HashMap<IpAddr, Vec<u8>>,
    stored: Vec<(IpAddr, Tables)>,
    reader: Reader,
}

/// A reader of the log, which decodes the same datagrams later.
struct Reader {
    decoder: Decoder,
    records: u64,
    /// Flows and events of exporters that are not registered.
    unregistered: u64,
}

impl Reader {
    fn new() -> Self {
        Self { decoder: Decoder::new(SessionLimits::default()), records: 0, unregistered: 0 }
    }
}

impl Collector {
    fn new(senders: &[(IpAddr, &str)]) -> Self {
        let rules = Rules {
            scale_samples: true,
            clock_limit: Duration::from_secs(600),
            session: SessionLimits::default(),
            tally: TallySettings::default(),
        };
        let (admission, exporters) = (Admission::default(), restoring(HashMap::new()));
        let shard = Shard::new(rules, admission.admitted(), exporters.clone());
        let announced = HashMap::new();
        let mut collector =
            Self { admission, exporters, shard, received: 0, announced, stored: Vec::new(), reader: Reader::new() };
        collector.register(senders);
        collector
    }

    /// A relay and two exporters behind it.
    fn with_relay() -> Self {
        Self::new(&[(RELAY, "identity=agent"), (ONE, ""), (OTHER, "")])
    }

    fn register(&mut self, senders: &[(IpAddr, &str)]) {
        let prefixes: [Prefix; 1] = ["192.0.2.0/24".parse().unwrap()];
        let registered = senders.iter().map(|(address, settings)| {
            let settings: SenderSettings = settings.parse().unwrap();
            Registered { address: *address, prefixes: &prefixes, settings }
        });
        self.admission.update(&registered.collect::<Vec<_>>(), &OwnNetworks::default());
    }

    /// Stops, and starts again with what its senders have announced.
    fn restart(&mut self) {
        let mut sealed = Sealed::new(vec![self.shard.seal(Tally::new(TallySettings::default()))]);
        self.exporters.report(&mut sealed);
        self.store(&sealed.tallies);
        self.announced.extend(sealed.announced);
        let restored = self.announced.iter().map(|(sender, announced)| {
            let mut session = Session::new(SessionLimits::default());
            session.learn(announced).unwrap();
            (*sender, session)
        });
        self.exporters = restoring(restored.collect());
        self.reader = Reader::new();
        for (sender, announced) in &self.announced {
            assert!(self.reader.decoder.learn(*sender, announced));
        }
        self.shard = Shard::new(*self.shard.rules(), self.admission.admitted(), self.exporters.clone());
    }

    fn take(&mut self, from: IpAddr, payload: &[u8]) -> DatagramFate {
        self.received += 1;
        let received = Timestamp::new(NOW.into(), self.received);
        let datagram = Datagram { exporter: Exporter::udp(from, PORT), received, payload };
        let fate = self.shard.take(&datagram);
        self.read(&datagram);
        fate
    }

    /// A reader of the log shows the same records for the same exporters.
    fn read(&mut self, datagram: &Datagram<'_>) {
        let Self { admission, exporters, shard, reader: Reader { decoder, records, unregistered }, .. } = self;
        let admitted = admission.admitted().load_full();
        if !admitted.contains_key(&datagram.exporter.address) {
            // It is not in the log.
            return;
        }
        for exporter in [RELAY, ONE, OTHER, STRANGER].into_iter().filter(|exporter| !exporters.knows(*exporter)) {
            decoder.forget(exporter);
        }
        let mut registered = |address| admitted.get(&address).cloned();
        let again = Again { datagram: *datagram, is_carried: false, booked: shard.booked() };
        *records += decoder.decode(&again, shard.rules(), &mut registered, &mut |logged| {
            assert_eq!(logged.registration.is_some(), admitted.contains_key(&logged.exporter));
            *unregistered += u64::from(logged.registration.is_none());
        });
        let counts = shard.counts();
        assert_eq!((*records, *unregistered), (counts.shown_records, counts.flows[FlowFate::UnregisteredAgent]));
    }

    /// What a sender's prefix has sent until now.
    fn sent(&mut self, sender: IpAddr) -> Counters {
        self.counters(sender, Direction::Out)
    }

    fn counters(&mut self, sender: IpAddr, direction: Direction) -> Counters {
        let tally = self.shard.seal(Tally::new(TallySettings::default()));
        self.store(&[tally]);
        let of_sender = self.stored.iter().filter(|(of, _)| *of == sender);
        of_sender.filter_map(|(_, tables)| tables.get(direction, Name::ALL)).fold(Counters::ZERO, |sum, more| {
            Counters {
                bytes: sum.bytes + more.bytes,
                packets: sum.packets + more.packets,
                flows: sum.flows + more.flows,
            }
        })
    }

    fn store(&mut self, tallies: &[Tally]) {
        for block in tallies.iter().flat_map(|tally| tally.blocks(WriterId(1), FlushNumber { epoch: 1, sequence: 1 })) {
            let mut tables = Tables::new();
            tables.merge(&block, TableSet::ALL).unwrap();
            self.stored.push((block.key.sender, tables));
        }
    }

    fn flows(&self, fate: FlowFate) -> u64 {
        self.shard.counts().flows[fate]
    }

    /// A number in the statistics of an exporter.
    fn shown(&self, exporter: IpAddr, path: &str) -> u64 {
        let shown = self.exporters.all().into_iter().find(|shown| shown.address == exporter).unwrap();
        serde_json::to_value(shown).unwrap().pointer(path).unwrap().as_u64().unwrap_or_default()
    }

    /// How many flows of an exporter could mean more than one thing.
    fn ambiguities(&self, exporter: IpAddr) -> Ambiguities {
        self.exporters.detailed(exporter, true).unwrap().detail.ambiguities
    }

    /// The changes of an exporter's sampling rates: before, after, and the port that announced it.
    fn rate_changes(&self, exporter: IpAddr) -> Vec<(u32, u32, Option<u16>)> {
        let changes = self.exporters.detailed(exporter, true).unwrap().detail.sampling.changes;
        changes.iter().map(|change| (change.before, change.after, change.announced_by)).collect()
    }

    fn relay_of(&self, exporter: IpAddr) -> Option<IpAddr> {
        self.exporters.all().into_iter().find(|shown| shown.address == exporter).unwrap().relay
    }

    /// The addresses that are not registered, with the relays that name them, and the numbers of datagrams.
    fn unknown(&self) -> Vec<(IpAddr, Option<IpAddr>, u64)> {
        self.exporters.unknown().iter().map(|of| (of.address, of.relay, of.datagrams)).collect()
    }
}

fn restoring(sessions: HashMap<IpAddr, Session>) -> Exporters {
    Exporters::new(SessionLimits::default(), PendingBudget::default()).restoring(sessions)
}

const fn counters(bytes: u64, packets: u64, flows: u64) -> Counters {
    Counters { bytes, packets, flows }
}

/// What [`sflow`] is in version 5, in version 4 or 2.
fn old_sflow(version: u32, agent: IpAddr, sequence: u32) -> Vec<u8> {
    let agent = u32::from_be_bytes(octets(agent).try_into().unwrap());
    let address = |octets: [u8; 4]| u32::from_be_bytes(octets);
    let header = [version, 1, agent, sequence, 1000 * sequence, 1];
    // A flow sample: its head; an IPv4 packet of 100 octets; no further structures.
    let sample = [1, sequence, 1, 10, 0, 0, 1, 2];
    let packet = [2, 100, 17, address(INSIDE), address(OUTSIDE), 1000, 2000, 0, 0];
    [&header[..], &sample, &packet, &[0]].concat().iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Source, destination, octets, packets, and further elements.
fn template(further: &[(u16, u16)]) -> TemplateSpec {
    let base = [(8, 4), (12, 4), (1, 4), (2, 4)];
    let fields = base.iter().chain(further).map(|&(id, length)| FieldSpecifier::iana(id, length));
    TemplateSpec::data(256, fields.collect::<Vec<_>>())
}

/// A record of 100 octets that leave the prefix.
fn record(further: &[&[u8]]) -> Vec<u8> {
    [&INSIDE[..], &OUTSIDE, &100_u32.to_be_bytes(), &1_u32.to_be_bytes(), &further.concat()].concat()
}

fn v9(sequence: u32) -> NetflowV9 {
    let header = netflow_v9::Header { unix_seconds: NOW.into(), sequence: sequence.into(), ..Default::default() };
    NetflowV9::new(header)
}

fn message(sequence: u32) -> Ipfix {
    Ipfix::new(ipfix::Header { export_seconds: NOW.into(), sequence: sequence.into(), ..Default::default() })
}

/// Both as datagrams with their template.
fn both(template: &TemplateSpec, records: &[Vec<u8>]) -> [Vec<u8>; 2] {
    [
        v9(0).template(template).data(template, records).finish(),
        message(0).template(template).data(template, records).finish(),
    ]
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[test]
fn an_sflow_datagram_of_a_relay_is_counted_for_the_agent_that_it_names() {
    for version in [5, 4, 2] {
        let datagram = |agent, sequence| match version {
            5 => sflow(agent, sequence),
            version => old_sflow(version, agent, sequence),
        };
        let mut collector = Collector::with_relay();
        for sequence in 1..=3 {
            assert_eq!(collector.take(RELAY, &datagram(ONE, sequence)), DatagramFate::Decoded);
            assert_eq!(collector.take(RELAY, &datagram(OTHER, 1000 + 2 * sequence)), DatagramFate::Decoded);
            assert_eq!(collector.take(RELAY, &datagram(STRANGER, sequence)), DatagramFate::Unregistered);
        }
        assert_eq!(collector.sent(ONE), counters(3000, 30, 3), "version {version}");
        assert_eq!(collector.sent(OTHER), counters(3000, 30, 3));
        assert_eq!([RELAY, STRANGER].map(|sender| collector.sent(sender)), [Counters::ZERO; 2]);
        assert_eq!(collector.unknown(), [(STRANGER, Some(RELAY), 3)]);
        // Sequence numbers are an agent's own: only the other one's have gaps.
        assert_eq!(collector.shown(ONE, "/arrivals/0/lost"), 0);
        assert_eq!(collector.shown(OTHER, "/arrivals/0/lost"), 2);
        assert_eq!(collector.shown(ONE, "/counters/datagrams/decoded"), 3);
        assert_eq!([ONE, OTHER, RELAY].map(|it| collector.relay_of(it)), [Some(RELAY), Some(RELAY), None]);
        // The relay has relayed nine, and none of them is its own.
        let protocol = format!("/protocols/sflow-v{version}");
        assert_eq!([RELAY, ONE].map(|it| collector.shown(it, &protocol)), [9, 3]);
        assert_eq!(collector.shown(RELAY, "/counters/datagrams/decoded"), 0);
    }
}

#[test]
fn an_sflow_datagram_that_names_the_relay_or_nobody_is_its_own() {
    let mut collector = Collector::with_relay();
    collector.take(RELAY, &sflow(RELAY, 1));
    collector.take(RELAY, &sflow(Ipv4Addr::UNSPECIFIED, 1));
    assert_eq!(collector.sent(RELAY), counters(2000, 20, 2));
    assert!(collector.unknown().is_empty());
    // Truncated before and after the agent.
    assert_eq!(collector.take(RELAY, &sflow(ONE, 1)[..10]), DatagramFate::UnknownVersion);
    assert_eq!(collector.take(RELAY, &sflow(ONE, 1)[..60]), DatagramFate::Damaged);
    assert_eq!(collector.shown(RELAY, "/counters/datagrams/unknown_version"), 1);
    assert_eq!(collector.shown(ONE, "/counters/datagrams/damaged"), 1);
}

#[test]
fn an_agent_may_also_send_by_itself_and_be_named_by_an_ipv6_address() {
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, ""), (six, "samplingRate=1")]);
    collector.take(ONE, &sflow(ONE, 1));
    collector.take(RELAY, &sflow(ONE, 2));
    collector.take(RELAY, &sflow(six, 1));
    assert_eq!(collector.sent(ONE), counters(2000, 20, 2));
    assert_eq!(collector.shown(ONE, "/arrivals/0/received"), 2);
    assert_eq!(collector.sent(six), counters(100, 1, 1));
    let mapped: IpAddr = "::ffff:198.51.100.1".parse().unwrap();
    collector.take(RELAY, &sflow(mapped, 3));
    assert_eq!(collector.sent(ONE), counters(3000, 30, 3));
}

#[test]
fn without_the_setting_the_source_address_is_the_exporter_whomever_the_payload_names() {
    let mut collector = Collector::new(&[(RELAY, ""), (ONE, ""), (STRANGER, "identity=source")]);
    collector.take(RELAY, &sflow(ONE, 1));
    collector.take(STRANGER, &sflow(ONE, 1));
    let template = template(&[(130, 4)]);
    for datagram in both(&template, &[record(&[&octets(ONE)])]) {
        collector.take(RELAY, &datagram);
    }
    assert_eq!(collector.sent(RELAY), counters(1200, 12, 3));
    assert_eq!(collector.sent(STRANGER), counters(1000, 10, 1));
    assert_eq!(collector.sent(ONE), Counters::ZERO);
}

#[test]
fn only_a_relay_that_is_registered_as_one_may_speak_for_others() {
    let mut collector = Collector::with_relay();
    // A stranger, and an exporter that is no relay.
    assert_eq!(collector.take(STRANGER, &sflow(ONE, 1)), DatagramFate::Unregistered);
    collector.take(OTHER, &sflow(ONE, 1));
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [0, 1]);
    assert_eq!(collector.unknown(), [(STRANGER, None, 1)]);
    // A relay does not speak for another relay's exporters: what it names is the exporter.
    collector.register(&[(RELAY, "identity=agent"), (OTHER, "identity=agent"), (ONE, "")]);
    collector.take(RELAY, &sflow(OTHER, 1));
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [0, 2]);
}

#[test]
fn records_of_a_relay_are_counted_for_the_exporters_that_they_name() {
    for protocol in [0, 1] {
        let mut collector = Collector::with_relay();
        let template = template(&[(130, 4)]);
        let named = [ONE, OTHER, STRANGER, ONE, Ipv4Addr::UNSPECIFIED.into(), RELAY];
        let records = named.map(|exporter| record(&[&octets(exporter)]));
        let datagram = &both(&template, &records)[protocol];
        assert_eq!(collector.take(RELAY, datagram), DatagramFate::Decoded);
        let sent = [ONE, OTHER, RELAY, STRANGER].map(|sender| collector.sent(sender));
        assert_eq!(sent, [counters(200, 2, 2), counters(100, 1, 1), counters(200, 2, 2), Counters::ZERO]);
        assert_eq!((collector.flows(FlowFate::Matched), collector.flows(FlowFate::UnregisteredAgent)), (5, 1));
        assert_eq!(collector.unknown(), [(STRANGER, Some(RELAY), 1)]);
        // Each datagram and each flow is in the statistics of one exporter.
        let shown = |path| [RELAY, ONE, OTHER].map(|exporter| collector.shown(exporter, path));
        assert_eq!(shown("/counters/flows/matched"), [2, 2, 1]);
        assert_eq!(shown("/counters/flows/unregistered_agent"), [1, 0, 0]);
        assert_eq!(shown("/counters/datagrams/decoded"), [1, 0, 0]);
        assert_eq!(shown(["/protocols/netflow-v9", "/protocols/ipfix"][protocol]), [1, 1, 1]);
        let counts = collector.shard.counts();
        assert_eq!((counts.records, counts.flows.total()), (counts.shown_records, counts.data_records));
    }
}

#[test]
fn a_datagram_that_names_thousands_of_unregistered_exporters_costs_no_memory_for_each() {
    let template = TemplateSpec::data(256, [FieldSpecifier::iana(130, 4), FieldSpecifier::iana(1, 1)]);
    let named = |number: u32| [&number.to_be_bytes()[..], &[1]].concat();
    let (first, strangers) = (0x0a00_0000, 12_000);
    let of_one = [octets(ONE), vec![1]].concat();
    let records: Vec<_> = (first..first + strangers).map(named).chain([named(first), of_one]).collect();
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        let allocated = allocation_counter::measure(|| {
            collector.take(RELAY, &datagram);
        });
        assert!(allocated.bytes_max < 256 << 10, "{allocated:?}");
        assert_eq!(collector.flows(FlowFate::UnregisteredAgent), u64::from(strangers) + 1);
        assert_eq!(collector.shown(ONE, "/counters/flows/unmatched"), 1);
        let unknown = collector.unknown();
        assert!((1..=64).contains(&unknown.len()));
        assert!(unknown.iter().all(|(_, relay, datagrams)| (*relay, *datagrams) == (Some(RELAY), 1)));
        // Another datagram shows others.
        let another = IpAddr::V4(Ipv4Addr::from_bits(first + 5000));
        collector.take(RELAY, &both(&template, &[named(first + 5000)])[0]);
        assert!(collector.unknown().contains(&(another, Some(RELAY), 1)));
    }
}

#[test]
fn the_exporter_of_a_record_may_be_an_ipv6_address_or_that_which_a_mediator_received_it_from() {
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    let none = [0; 16];
    for (elements, values, expected) in [
        (vec![(131, 16)], vec![octets(six)], six),
        (vec![(130, 4), (131, 16)], vec![vec![0; 4], octets(six)], six),
        (vec![(131, 16), (130, 4)], vec![none.to_vec(), octets(ONE)], ONE),
        (vec![(130, 4), (403, 4)], vec![octets(OTHER), octets(ONE)], ONE),
        (vec![(404, 16), (130, 4)], vec![octets(six), octets(OTHER)], six),
        // Not an address.
        (vec![(130, 2)], vec![vec![198, 51]], RELAY),
    ] {
        let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, ""), (OTHER, ""), (six, "")]);
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        for datagram in both(&template(&elements), &[record(&values)]) {
            collector.take(RELAY, &datagram);
        }
        assert_eq!(collector.sent(expected).flows, 2, "{elements:?}");
    }
}

#[test]
fn each_exporter_behind_a_relay_is_counted_by_its_own_settings() {
    let up_and_down: &[&[u8]] = &[&40_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[1]];
    let template = template(&[(23, 4), (24, 4), (61, 1), (130, 4)]);
    let records = [ONE, OTHER].map(|exporter| record(&[&up_and_down.concat(), &octets(exporter)]));
    for datagram in both(&template, &records) {
        let settings = "samplingRate=7 flowDirection=ingress outCounters=reverse identity=agent";
        let mut collector =
            Collector::new(&[(RELAY, settings), (ONE, "samplingRate=5 outCounters=reverse"), (OTHER, "")]);
        collector.take(RELAY, &datagram);
        assert_eq!(collector.sent(ONE), counters(500, 5, 1));
        assert_eq!(collector.counters(ONE, Direction::In), counters(200, 5, 1));
        assert_eq!(collector.sent(OTHER), counters(100, 1, 1));
        assert_eq!(collector.counters(OTHER, Direction::In), Counters::ZERO);
        // Those of the relay are for what is its own.
        collector.register(&[(RELAY, settings), (ONE, "flowDirection=ingress"), (OTHER, "flowDirection=egress")]);
        collector.take(RELAY, &datagram);
        assert_eq!(collector.flows(FlowFate::OtherDirection), 1);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [1, 2]);
    }
}

#[test]
fn addresses_after_translation_count_for_the_exporter_that_is_set_so() {
    let client = [192, 0, 2, 77];
    let template = template(&[(226, 4), (130, 4)]);
    let to_router = |exporter| {
        let ends = [OUTSIDE, [233, 252, 0, 9]].concat();
        [ends, 100_u32.to_be_bytes().to_vec(), 1_u32.to_be_bytes().to_vec(), client.to_vec(), octets(exporter)].concat()
    };
    let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, "natAddresses=inside"), (OTHER, "")]);
    for datagram in both(&template, &[to_router(ONE), to_router(OTHER)]) {
        collector.take(RELAY, &datagram);
    }
    assert_eq!(collector.counters(ONE, Direction::In), counters(200, 2, 2));
    assert_eq!((collector.counters(OTHER, Direction::In), collector.flows(FlowFate::Unmatched)), (Counters::ZERO, 2));
}

#[test]
fn packets_in_tunnels_count_for_the_exporter_by_the_headers_that_it_is_set_to() {
    let ip = |protocol, length, source: [u8; 4], destination: [u8; 4]| {
        [&[0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0][..], &source, &destination].concat()
    };
    let frame = [
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..],
        &ip(4, 120, OUTSIDE, OUTSIDE),
        &ip(17, 100, INSIDE, OUTSIDE),
        &[0, 53, 0, 53, 0, 80, 0, 0],
    ];
    let template = TemplateSpec::data(256, [FieldSpecifier::iana(315, 62), FieldSpecifier::iana(130, 4)]);
    let records = [ONE, OTHER].map(|exporter| [frame.concat(), octets(exporter)].concat());
    let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, "tunnels=inner"), (OTHER, "")]);
    for datagram in both(&template, &records) {
        collector.take(RELAY, &datagram);
    }
    assert_eq!(collector.sent(ONE), counters(200, 2, 2));
    assert_eq!((collector.sent(OTHER), collector.flows(FlowFate::Unmatched)), (Counters::ZERO, 2));
    let tunnelled = Ambiguities { tunnelled: 2, ..Ambiguities::default() };
    assert_eq!([ONE, OTHER].map(|it| collector.ambiguities(it)), [tunnelled; 2]);
    assert_eq!(collector.ambiguities(RELAY), Ambiguities::default());
    // The packet inside is cut off: only who counts by it does not know it.
    let template = TemplateSpec::data(257, [FieldSpecifier::iana(315, 40), FieldSpecifier::iana(130, 4)]);
    let records = [ONE, OTHER].map(|exporter| [&frame.concat()[..40], &octets(exporter)].concat());
    collector.take(RELAY, &v9(0).template(&template).data(&template, &records).finish());
    let unknown = Ambiguities { tunnelled: 3, inner_unknown: 1, ..Ambiguities::default() };
    assert_eq!(collector.ambiguities(ONE), unknown);
    assert_eq!(collector.ambiguities(OTHER), Ambiguities { inner_unknown: 0, ..unknown });
}

#[test]
fn what_is_ambiguous_in_records_is_noted_for_the_exporter_that_they_name() {
    let template = template(&[(23, 4), (24, 4), (61, 1), (226, 4), (130, 4)]);
    let ambiguous = |exporter, side: u8| {
        record(&[&1000_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[side], &INSIDE, &octets(exporter)])
    };
    let records = [ambiguous(ONE, 0), ambiguous(ONE, 1), ambiguous(RELAY, 0), ambiguous(STRANGER, 1)];
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        let of_relay = Ambiguities { ingress: 1, out_counters_differ: 1, translated: 1, ..Ambiguities::default() };
        let of_one = Ambiguities { ingress: 1, egress: 1, out_counters_differ: 2, translated: 2, ..of_relay };
        assert_eq!([RELAY, ONE].map(|it| collector.ambiguities(it)), [of_relay, of_one]);
    }
}

#[test]
fn rates_that_differ_by_exporter_are_no_change_and_a_change_is_that_of_the_exporter() {
    let template = template(&[(130, 4)]);
    let flow = |exporter| message(0).template(&template).data(&template, &[record(&[&octets(exporter)])]).finish();
    let options = TemplateSpec::options(257, 1, [FieldSpecifier::iana(130, 4), FieldSpecifier::iana(34, 4)]);
    let rate = |exporter, rate: u32| {
        let record = [&octets(exporter)[..], &rate.to_be_bytes()].concat();
        message(0).template(&options).data(&options, &[record]).finish()
    };
    let mut collector = Collector::with_relay();
    collector.take(RELAY, &rate(ONE, 100));
    collector.take(RELAY, &rate(OTHER, 1000));
    for exporter in [ONE, OTHER] {
        for _ in 0..40 {
            collector.take(RELAY, &flow(exporter));
        }
    }
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).packets), [40 * 100, 40 * 1000]);
    for sender in [RELAY, ONE, OTHER] {
        assert_eq!(collector.rate_changes(sender), []);
    }
    collector.take(RELAY, &rate(ONE, 5000));
    collector.take(RELAY, &flow(ONE));
    collector.take(RELAY, &flow(OTHER));
    assert_eq!(collector.rate_changes(ONE), [(100, 5000, Some(PORT))]);
    assert_eq!([RELAY, OTHER].map(|sender| collector.rate_changes(sender).len()), [0, 0]);
}

#[test]
fn data_that_wait_for_the_template_of_a_relay_are_counted_for_their_exporters() {
    let mut collector = Collector::with_relay();
    let template = template(&[(130, 4)]);
    let records = [record(&[&octets(ONE)]), record(&[&octets(OTHER)])];
    collector.take(RELAY, &message(0).data(&template, &records).finish());
    assert_eq!(collector.exporters.waiting().len(), 1);
    collector.take(RELAY, &message(2).template(&template).data(&template, &records[..1]).finish());
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [2, 1]);
    // The sequence numbers are the relay's.
    collector.take(RELAY, &message(8).data(&template, &records[..1]).finish());
    assert_eq!(collector.shown(RELAY, "/arrivals/0/lost"), 5);
}

/// The exporters that were heard since the last time, and the octets that arrived for each.
fn heard(collector: &Collector) -> (Vec<IpAddr>, Vec<(IpAddr, u64)>) {
    let mut sealed = Sealed::new(Vec::new());
    collector.exporters.report(&mut sealed);
    let heard = sealed.heard.iter().map(|(sender, _)| *sender).collect();
    (heard, sealed.arrived.iter().map(|of| (of.sender, of.arrived.bytes)).collect())
}

#[test]
fn neither_a_relay_nor_those_behind_it_are_silent_and_each_octet_has_arrived_for_one_of_them() {
    let template = template(&[(130, 4)]);
    let records = [ONE, OTHER, ONE, STRANGER, RELAY].map(|exporter| record(&[&octets(exporter)]));
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        // The octets of a record are those of the exporter that it names, all others the relay's.
        let rest = datagram.len() as u64 - 3 * 20;
        assert_eq!(heard(&collector), (vec![ONE, OTHER, RELAY], vec![(ONE, 40), (OTHER, 20), (RELAY, rest)]));
    }
    // Queued data are the relay's, when they arrive.
    let mut collector = Collector::with_relay();
    let [data, announcement] = [v9(0).data(&template, &records[..1]), v9(1).template(&template)].map(NetflowV9::finish);
    collector.take(RELAY, &data);
    collector.take(RELAY, &announcement);
    assert_eq!(heard(&collector), (vec![ONE, RELAY], vec![(RELAY, (data.len() + announcement.len()) as u64)]));
    // An sFlow datagram is the agent's.
    let datagram = sflow(ONE, 1);
    collector.take(RELAY, &datagram);
    assert_eq!(heard(&collector), (vec![ONE, RELAY], vec![(ONE, datagram.len() as u64)]));
    collector.take(RELAY, &sflow(STRANGER, 1));
    assert_eq!(heard(&collector), (vec![RELAY], vec![]));
}

#[test]
fn running_totals_of_two_exporters_are_those_of_two_flows() {
    let fields = [(8, 4), (12, 4), (85, 4), (86, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let total = |exporter, octets: u32| {
        [&INSIDE[..], &OUTSIDE, &octets.to_be_bytes(), &1_u32.to_be_bytes(), &self::octets(exporter)].concat()
    };
    let records = [total(ONE, 100), total(OTHER, 700), total(ONE, 150), total(OTHER, 800)];
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).bytes), [150, 800]);
    }
}

#[test]
fn of_two_firewalls_behind_a_relay_only_the_one_that_sends_updates_had_counted_before_a_start() {
    const END: u8 = 2;
    const UPDATE: u8 = 5;
    // Connection, ends, start, event, octets both ways, exporter.
    let fields = [(148, 4), (8, 4), (12, 4), (152, 8), (233, 1), (231, 8), (232, 8), (130, 4)];
    let template = TemplateSpec::data(256, fields.map(|(id, length)| FieldSpecifier::iana(id, length)));
    let started = (u64::from(NOW) - 3600) * 1000;
    let event = |exporter, connection: u32, event: u8, sent: u64| {
        let counters = [sent, 0].map(u64::to_be_bytes).concat();
        let connection = [&connection.to_be_bytes()[..], &INSIDE, &OUTSIDE, &started.to_be_bytes()].concat();
        [&connection[..], &[event], &counters, &octets(exporter)].concat()
    };
    for protocol in [0, 1] {
        let mut collector = Collector::with_relay();
        let before = [event(ONE, 1, UPDATE, 1000), event(OTHER, 1, END, 700)];
        collector.take(RELAY, &both(&template, &before)[protocol]);
        collector.restart();
        // Both connections began an hour ago: one firewall has reported the first 1000 octets of its one, the other nothing.
        let after = [event(ONE, 1, END, 1000), event(OTHER, 2, END, 30)];
        collector.take(RELAY, &both(&template, &after)[protocol]);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).bytes), [1000, 730]);
        // It is remembered at the next start too.
        collector.restart();
        collector.take(RELAY, &both(&template, &after)[protocol]);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).bytes), [1000, 760]);
    }
}

#[test]
fn other_protocols_name_nobody() {
    let mut collector = Collector::with_relay();
    let header = netflow_v5::Header { unix_seconds: NOW.into(), ..Default::default() };
    let record = netflow_v5::Record {
        source: INSIDE,
        destination: OUTSIDE,
        octets: 100.into(),
        packets: 1.into(),
        ..Default::default()
    };
    collector.take(RELAY, &encode::netflow_v5(&header, &[record]));
    assert_eq!(collector.sent(RELAY), counters(100, 1, 1));
}

/// What has to be stated before the last datagram of the relay, by sender; `None` if it is not registered.
fn unstated(collector: &mut Collector, number: u64) -> Vec<(IpAddr, Option<String>)> {
    let mut stated = Vec::new();
    collector.shard.unstated(RELAY, number, &mut |sender, registration, _| {
        stated.push((sender, registration.map(|registration| registration.settings.to_string())));
    });
    stated
}

#[test]
fn the_terms_of_the_exporters_that_a_relay_names_are_stated_with_their_changes() {
    let relay = || (RELAY, Some("identity=agent".to_owned()));
    let template = template(&[(130, 4)]);
    let records = [ONE, STRANGER].map(|exporter| record(&[&octets(exporter)]));
    for datagram in both(&template, &records).iter().chain([&sflow(ONE, 1)]) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, datagram);
        assert_eq!(unstated(&mut collector, 1), [relay(), (ONE, Some(String::new()))]);
        collector.take(RELAY, datagram);
        assert_eq!(unstated(&mut collector, 1), []);
        assert_eq!(unstated(&mut collector, 2), [relay(), (ONE, Some(String::new()))]);
        collector.register(&[(RELAY, "identity=agent"), (ONE, "samplingRate=5")]);
        collector.take(RELAY, datagram);
        assert_eq!(unstated(&mut collector, 2), [(ONE, Some("samplingRate=5".to_owned()))]);
    }
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        unstated(&mut collector, 1);
        // Without a statement, a reader of the journal would take it for registered still.
        collector.register(&[(RELAY, "identity=agent")]);
        collector.take(RELAY, &datagram);
        assert_eq!(unstated(&mut collector, 1), [(ONE, None)]);
        collector.take(RELAY, &datagram);
        assert_eq!(unstated(&mut collector, 1), []);
        collector.register(&[(RELAY, "identity=agent"), (ONE, ""), (STRANGER, "")]);
        collector.take(RELAY, &datagram);
        assert_eq!(unstated(&mut collector, 1), [(ONE, Some(String::new())), (STRANGER, Some(String::new()))]);
    }
}

#[test]
fn an_exporter_that_was_removed_and_registered_again_keeps_its_place_behind_a_relay() {
    let mut collector = Collector::with_relay();
    let template = template(&[(130, 4)]);
    let [datagram, _] = both(&template, &[record(&[&octets(ONE)])]);
    collector.take(RELAY, &datagram);
    let mut other_shard =
        Shard::new(*collector.shard.rules(), collector.admission.admitted(), collector.exporters.clone());
    collector.register(&[(RELAY, "identity=agent")]);
    // Another shard notices it.
    drop(other_shard.seal(Tally::new(TallySettings::default())));
    collector.register(&[(RELAY, "identity=agent"), (ONE, "")]);
    collector.take(RELAY, &datagram);
    assert_eq!(collector.shown(ONE, "/counters/flows/matched"), 1);
    assert_eq!(collector.sent(ONE).flows, 2);
}
