//! An exporter that sends over connections, each with templates of its own under the same ids. Everything arrives in the order
//! of its connection, until that ends, or the process. Some connections begin again from the port of one that has ended.

use std::net::Ipv4Addr;

use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use super::*;
use crate::audit;
use crate::exporter::{DESTINATION, OCTETS, source};

/// Its address.
pub(super) const EXPORTER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 2));
/// The source ports of its connections.
const PORTS: Range<u16> = 5000..5003;
/// The source addresses of its flows, which are counted together.
const SOURCES: u64 = 4;
const RECEIVED_AT: &str = "0.0.0.0:4739";

/// The exporter.
pub(super) struct Connections {
    random: Random,
    open: BTreeSet<u16>,
    /// The layout of the template that the last connection of each port uses.
    layouts: BTreeMap<u16, usize>,
    sequences: BTreeMap<u16, u32>,
    /// Flows that must be counted, if nothing was lost, and flows that may be.
    sure: u64,
    possible: u64,
    /// Whether nothing was lost that the journal had: power failures, and what the disk refused.
    pub(super) is_exact: bool,
    /// When it has sent.
    minutes: BTreeSet<Minute>,
}

impl Connections {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed.rotate_left(56)),
            open: BTreeSet::new(),
            layouts: BTreeMap::new(),
            sequences: BTreeMap::new(),
            sure: 0,
            possible: 0,
            is_exact: true,
            minutes: BTreeSet::new(),
        }
    }

    /// The process has ended, and with it all connections.
    pub(super) fn end_all(&mut self) {
        self.open.clear();
    }

    /// The next message of a connection, and how many flows it has. With another template from there on, if it `redefines`.
    fn message(&mut self, port: u16, now: Timestamp, redefines: bool) -> (Vec<u8>, u64) {
        let begins = self.open.insert(port);
        if begins {
            self.sequences.remove(&port);
        }
        let sequence = self.sequences.get(&port).copied().unwrap_or_default();
        let before = self.layouts.get(&port).copied().unwrap_or_default();
        let layout = if redefines { 1 - before } else { before };
        let header = ipfix::Header {
            export_seconds: u32::try_from(now.seconds()).unwrap().into(),
            sequence: sequence.into(),
            ..Default::default()
        };
        let (mut message, mut flows) = (Ipfix::new(header), 0);
        if !begins && redefines {
            // Another template takes the place of the one that is withdrawn after the first flows.
            let records = self.records(before);
            flows += records.len();
            let withdrawal = [template(before).id.to_be_bytes(), [0, 0]].concat();
            message = message.data(&template(before), &records).set(ipfix::TEMPLATE_SET, &withdrawal);
        }
        if begins || redefines {
            message = message.template(&template(layout));
        }
        let records = self.records(layout);
        flows += records.len();
        message = message.data(&template(layout), &records);
        self.layouts.insert(port, layout);
        self.sequences.insert(port, sequence + flows as u32);
        self.minutes.insert(Minute::of(now));
        (message.finish(), flows as u64)
    }

    fn records(&mut self, layout: usize) -> Vec<Vec<u8>> {
        let flow = |source: Ipv4Addr| {
            let ends = [source.octets(), DESTINATION.octets()];
            let counters = [u32::from(OCTETS).to_be_bytes(), 1_u32.to_be_bytes()].concat();
            // With the other template, its bytes are packets, and its ends have changed places.
            [&ends[layout], &ends[1 - layout], counters.as_slice()].concat()
        };
        (0..=self.random.below(3)).map(|_| flow(source(self.random.below(SOURCES) as u32))).collect()
    }
}

fn template(layout: usize) -> TemplateSpec {
    let [first, second] = [[8, 12], [12, 8]][layout];
    TemplateSpec::data(256, [first, second, 1, 2].map(|id| FieldSpecifier::iana(id, 4)))
}

impl World {
    /// It sends something in one of its connections, or ends one. As for [`redefine`](Self::redefine), another template must not
    /// get lost while what follows does not.
    pub(super) fn may_send_in_a_connection(&mut self) {
        if !self.connections.random.once_in(2) || !self.process().shards[0].lock().unwrap().is_registered(EXPORTER) {
            return;
        }
        let port = PORTS.start + self.connections.random.below(PORTS.len() as u64) as u16;
        if self.connections.open.contains(&port) && self.connections.random.once_in(5) {
            return self.take_of_connection(port, None);
        }
        if self.connections.random.once_in(3) {
            self.disk.spare(true);
            self.tick();
            let is_synced =
                self.process().journal.counts().missed == self.process().missed_before && self.disk.is_synced();
            let redefines = is_synced && !self.loses_databases && !self.flips_bits;
            self.take_of_connection(port, Some(redefines));
            self.tick();
            self.disk.spare(false);
        } else {
            self.take_of_connection(port, Some(false));
        }
    }

    /// A shard takes a message, with another template if it says so, or the end of the connection.
    fn take_of_connection(&mut self, port: u16, redefines: Option<bool>) {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        // Each connection is served by one thread.
        let shard = usize::from(port) % SHARDS;
        let (exporter, now, at) = (Address::tcp(EXPORTER, port), self.now, RECEIVED_AT.parse().unwrap());
        let missed = self.process().journal.counts().missed;
        let message = redefines.map(|redefines| self.connections.message(port, now, redefines));
        let flows = message.as_ref().map_or(0, |(_, flows)| *flows);
        self.connections.possible += flows;
        self.story.push(format!("shard {shard} takes of connection {port}: redefines {redefines:?}, {flows} flows"));
        let mut held = self.process().shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Some((payload, _)) => {
                held.read += 1;
                held.take(&Datagram { exporter, received: now, payload: &payload }, at);
            }
            None => held.end_connection(exporter, now, at),
        }
        held.commit();
        drop(held);
        self.connections.sure += flows;
        self.connections.is_exact &= self.process().journal.counts().missed == missed;
        if redefines.is_none() {
            self.connections.open.remove(&port);
        }
    }

    /// All that it has sent is counted once, and the readers have it, unless something was lost.
    pub(super) async fn check_connections(&self, store: &dyn Store) {
        if self.lost_database || self.flips_bits {
            return;
        }
        let [prefix, _] = prefixes();
        let of = (EXPORTER, prefix);
        let counted = audit::counted(store, of, &self.connections.minutes, Period::Minute).await;
        let flows: u64 = counted.values().map(|counted| counted.flows).sum();
        let Connections { sure, possible, is_exact, .. } = self.connections;
        assert!(flows <= possible, "connections: {flows} of {possible}");
        assert!(flows >= sure || !is_exact, "connections: {flows} of {sure}");
        if self.is_log_whole && self.has_cursors && is_exact {
            for (name, target) in &self.targets {
                assert_eq!(target.flows(of), counted, "connections: {name}, and the counters");
            }
        }
    }
}
