//! An exporter whose records have running totals. What is counted of it after a crash depends on what the collector then
//! remembers of its connections, and the oracle does not follow that. But whatever is counted, readers of the log have the same.

use std::net::Ipv4Addr;

use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use super::*;
use crate::audit;
use crate::exporter::{DESTINATION, OCTETS, source};

/// Its address.
pub(super) const EXPORTER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
const CONNECTIONS: usize = 5;

/// The exporter.
pub(super) struct Totals {
    random: Random,
    sequence: u32,
    /// Packets of each connection so far.
    packets: [u64; CONNECTIONS],
    /// When it has sent.
    minutes: BTreeSet<Minute>,
    /// Whether the power failed when its terms may not have been on the disk: a start counts by its own, readers do not know
    /// them.
    pub(super) may_lack_terms: bool,
}

impl Totals {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed.rotate_left(40)),
            sequence: 0,
            packets: [0; CONNECTIONS],
            minutes: BTreeSet::new(),
            may_lack_terms: false,
        }
    }

    /// A message with its template and reports of some connections, which continue or begin again.
    fn message(&mut self, now: Timestamp) -> Vec<u8> {
        let fields = [(8, 4), (12, 4), (85, 8), (86, 8)].map(|(id, length)| FieldSpecifier::iana(id, length));
        let template = TemplateSpec::data(256, fields);
        let mut records = Vec::new();
        for _ in 0..=self.random.below(3) {
            let connection = self.random.index(CONNECTIONS);
            let packets = &mut self.packets[connection];
            *packets = if self.random.once_in(8) { 0 } else { *packets } + self.random.below(4);
            let (from, octets) = (source(connection as u32), *packets * u64::from(OCTETS));
            let ends = [from.octets(), DESTINATION.octets()].concat();
            records.push([ends, octets.to_be_bytes().into(), packets.to_be_bytes().into()].concat());
        }
        let header = ipfix::Header {
            export_seconds: u32::try_from(now.seconds()).unwrap().into(),
            sequence: self.sequence.into(),
            ..Default::default()
        };
        self.sequence += records.len() as u32;
        self.minutes.insert(Minute::of(now));
        Ipfix::new(header).template(&template).data(&template, &records).finish()
    }
}

impl World {
    /// It sends something, if the log has readers.
    pub(super) fn may_report_totals(&mut self) {
        if !self.has_readers || !self.totals.random.once_in(2) {
            return;
        }
        self.now = self.now.saturating_add(Duration::from_millis(1));
        let now = self.now;
        let payload = self.totals.message(now);
        let datagram = Datagram { exporter: Address::udp(EXPORTER, 4000), received: now, payload: &payload };
        let shard = self.totals.random.index(SHARDS);
        self.story.push(format!("shard {shard} takes totals: {:?}", self.totals.packets));
        let mut held = self.process().shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        held.read += 1;
        held.take(&datagram, "0.0.0.0:2055".parse().unwrap());
        held.commit();
    }

    /// The readers have of it what is counted, unless something is missing in the log.
    pub(super) async fn check_totals(&self, store: &dyn Store) {
        if !self.is_log_whole || self.lost_database || self.totals.may_lack_terms {
            return;
        }
        let [prefix, _] = prefixes();
        let counted = audit::counted(store, (EXPORTER, prefix), &self.totals.minutes, Period::Minute).await;
        for (name, target) in &self.targets {
            assert_eq!(target.flows((EXPORTER, prefix)), counted, "running totals: {name}, and the counters");
        }
    }
}
