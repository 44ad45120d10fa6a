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
use view::Ambiguities;
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, PendingBudget, Session, SessionLimits, ipfix, netflow_v9};

mod records;
mod settings;
mod sflow;
mod state;

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
