//! Which records a statement about sampling applies to, checked by the counters of blocks.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Field;
use accounting::tally::{GroupId, Monitored, Tally, TallySettings};
use arc_swap::ArcSwap;
use flow::{Exporter, FlushNumber, SenderSettings, Timestamp};
use pipeline::{Exporters, Registration, Rules, Sealed, Shard};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, PendingBudget, Session, SessionLimits, ipfix, netflow_v9};

mod flow_sampling;
mod plausibility;
mod samplers;
mod scope;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: u64 = 1_800_000_000;
const PORT: u16 = 2055;

/// A router and the shard that counts what it sends.
struct Router {
    exporters: Exporters,
    shard: Shard,
    port: u16,
    second: u64,
}

impl Router {
    fn new() -> Self {
        Self::restored(HashMap::new())
    }

    fn restored(sessions: HashMap<IpAddr, Session>) -> Self {
        let rules = Rules {
            scale_samples: true,
            clock_limit: Duration::from_secs(86_400),
            session: SessionLimits::default(),
            tally: TallySettings::default(),
        };
        let monitored = Monitored::new(SENDER, &[("192.0.2.0/24".parse().unwrap(), GroupId(0))]);
        let registration = Registration { monitored, settings: SenderSettings::default() };
        let senders = HashMap::from([(SENDER, Arc::new(registration))]);
        let exporters = Exporters::new(SessionLimits::default(), PendingBudget::default()).restoring(sessions);
        let shard = Shard::new(rules, Arc::new(ArcSwap::from_pointee(senders)), exporters.clone());
        Self { exporters, shard, port: PORT, second: 0 }
    }

    /// Takes a datagram. Returns the bytes, packets and flows that it added.
    fn send(&mut self, message: impl Message) -> [u64; 3] {
        let payload = message.octets();
        let (exporter, received) = (Exporter::udp(SENDER, self.port), Timestamp::from_seconds(NOW + self.second));
        self.shard.take(&Datagram { exporter, received, payload: &payload });
        self.second += 1;
        let tally = self.shard.seal(Tally::new(TallySettings::default()));
        let mut sums = [0; 3];
        for block in tally.blocks(WriterId(1), FlushNumber { epoch: 1, sequence: 1 }) {
            let mut tables = Tables::default();
            tables.merge(&block, TableSet::ALL).unwrap();
            for (direction, _, counters) in tables.rows_of(Field::All) {
                assert_eq!(direction, Direction::Out);
                let more = [counters.bytes, counters.packets, counters.flows];
                sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            }
        }
        sums
    }

    /// The collector stops, and starts with what it has stored.
    fn restart(&mut self) {
        let mut sealed = Sealed::new(Vec::new());
        self.exporters.report(&mut sealed);
        let mut session = Session::new(SessionLimits::default());
        let (_, announcements) = sealed.announced.pop().unwrap();
        session.learn(&announcements).unwrap();
        let Self { port, second, .. } = *self;
        *self = Self { port, second, ..Self::restored(HashMap::from([(SENDER, session)])) };
    }
}

/// An export message.
trait Message {
    fn octets(self) -> Vec<u8>;
}

impl Message for NetflowV9 {
    fn octets(self) -> Vec<u8> {
        self.finish()
    }
}

impl Message for Ipfix {
    fn octets(self) -> Vec<u8> {
        self.finish()
    }
}

const fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::iana(id, length)
}

fn v9() -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header { unix_seconds: (NOW as u32).into(), ..Default::default() })
}

fn ipfix() -> Ipfix {
    ipfix_of(0)
}

fn ipfix_of(domain: u32) -> Ipfix {
    let export_seconds = (NOW as u32).into();
    Ipfix::new(ipfix::Header { domain: domain.into(), export_seconds, ..Default::default() })
}

/// A record of numbers, each in the length of its field.
fn record(template: &TemplateSpec, numbers: &[u64]) -> Vec<u8> {
    let octets: Vec<_> = numbers.iter().map(|number| number.to_be_bytes()).collect();
    let fields = template.fields.iter().zip(&octets);
    let fields: Vec<_> = fields.map(|(field, octets)| &octets[8 - usize::from(field.length)..]).collect();
    template.record(&fields)
}

/// Flows from the monitored prefix: source, bytes, packets, and these.
fn flows(id: u16, more: &[FieldSpecifier]) -> TemplateSpec {
    TemplateSpec::data(id, [&[iana(8, 4), iana(1, 4), iana(2, 4)], more].concat())
}

/// A flow of 1000 bytes in 2 packets.
fn flow(template: &TemplateSpec, more: &[u64]) -> Vec<u8> {
    record(template, &[&[u64::from(u32::from_be_bytes([192, 0, 2, 1])), 1000, 2], more].concat())
}

/// What one flow adds of which one of this many packets was sampled.
const fn packets(rate: u64) -> [u64; 3] {
    [1000 * rate, 2 * rate, 1]
}
