//! What is booked of what exporters send: datagrams go through the shard loop, and the counters of its blocks are compared.
//! One file for each kind of export; docs/protocols.md ("How it is booked") has the rules.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::tally::{GroupId, Monitored, Tally, TallySettings};
use arc_swap::ArcSwap;
use flow::{Counters, DatagramFate, Exporter, FlushNumber, Timestamp};
use pipeline::{Again, Booked, Decoder, Exporters, Registration, Rules, Sealed, Shard};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{Datagram, ElementId, FieldSpecifier, PendingBudget, Session, SessionLimits, ipfix, netflow_v9};

mod connections;
mod icmp;
mod lengths;
mod link_layers;
mod packets;
mod sampling;
mod sender_settings;
mod templates;
mod tunnels;

const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PORT: u16 = 2055;
const NOW: u32 = 1_800_000_000;
/// In the monitored prefix 198.51.100.0/24.
const INSIDE: [u8; 4] = [198, 51, 100, 7];
const OUTSIDE: [u8; 4] = [203, 0, 113, 9];

/// A collector's shard with one router, one prefix of which is monitored.
struct Collector {
    registration: Arc<Registration>,
    exporters: Exporters,
    shard: Shard,
    /// The port that the router sends from.
    port: u16,
    /// When the next datagram is received, in seconds after the start of the test. Each is a nanosecond after the last.
    second: u64,
    nanosecond: u32,
    stored: Tables,
}

impl Collector {
    fn new() -> Self {
        Self::monitoring("198.51.100.0/24")
    }

    fn monitoring(prefix: &str) -> Self {
        Self::with_settings(prefix, "")
    }

    fn with_settings(prefix: &str, settings: &str) -> Self {
        let monitored = Monitored::new(ROUTER, &[(prefix.parse().unwrap(), GroupId(0))]);
        let registration = Arc::new(Registration { monitored, settings: settings.parse().unwrap() });
        let exporters = exporters().restoring(HashMap::new());
        let shard = shard(&exporters, &registration);
        Self { registration, exporters, shard, port: PORT, second: 0, nanosecond: 0, stored: Tables::new() }
    }

    /// Takes a datagram from the router.
    fn take(&mut self, payload: &[u8]) -> DatagramFate {
        self.take_from(self.port, payload)
    }

    fn take_from(&mut self, port: u16, payload: &[u8]) -> DatagramFate {
        self.nanosecond += 1;
        let received = Timestamp::new(u64::from(NOW) + self.second, self.nanosecond);
        self.shard.take(&Datagram { exporter: Exporter::udp(ROUTER, port), received, payload })
    }

    /// What the prefix has sent, in all minutes.
    fn sent(&mut self) -> Counters {
        self.counters(Direction::Out, Name::ALL)
    }

    fn counters(&mut self, direction: Direction, name: Name) -> Counters {
        let tally = self.shard.seal(Tally::new(TallySettings::default()));
        self.store(&[tally]);
        self.stored.get(direction, name).unwrap_or_default()
    }

    /// Stops, and starts again with what the router has announced and what is queued, as a collector with a journal does.
    fn restart(&mut self) {
        let mut sealed = Sealed::new(vec![self.shard.seal(Tally::new(TallySettings::default()))]);
        self.exporters.report(&mut sealed);
        self.store(&sealed.tallies);
        let restored = sealed.announced.into_iter().map(|(router, announced)| {
            let mut session = Session::new(SessionLimits::default());
            session.learn(&announced).unwrap();
            (router, session)
        });
        let waiting = self.exporters.waiting();
        self.exporters = exporters().restoring(restored.collect());
        self.shard = shard(&self.exporters, &self.registration);
        for (exporter, received, payload) in waiting {
            self.shard.take(&Datagram { exporter, received, payload: &payload });
        }
    }

    fn store(&mut self, tallies: &[Tally]) {
        for block in tallies.iter().flat_map(|tally| tally.blocks(WriterId(1), FlushNumber { epoch: 1, sequence: 1 })) {
            self.stored.merge(&block, TableSet::ALL).unwrap();
        }
    }
}

fn exporters() -> Exporters {
    Exporters::new(SessionLimits::default(), PendingBudget::default())
}

fn shard(exporters: &Exporters, registration: &Arc<Registration>) -> Shard {
    let rules = Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(86_400),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    };
    let admitted = Arc::new(ArcSwap::from_pointee(HashMap::from([(ROUTER, Arc::clone(registration))])));
    Shard::new(rules, admitted, exporters.clone())
}

const fn counters(bytes: u64, packets: u64, flows: u64) -> Counters {
    Counters { bytes, packets, flows }
}

const fn field(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::iana(id, length)
}

/// A NetFlow v9 packet.
fn v9(sequence: u32) -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header {
        unix_seconds: NOW.into(),
        uptime: 3_600_000.into(),
        sequence: sequence.into(),
        ..Default::default()
    })
}

/// An IPFIX message.
fn message(sequence: u32) -> Ipfix {
    Ipfix::new(ipfix::Header { export_seconds: NOW.into(), sequence: sequence.into(), ..Default::default() })
}
