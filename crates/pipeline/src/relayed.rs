//! Datagrams of a relay, which hides the addresses of the exporters behind it: they are counted for the exporters that they
//! name ([`Identity::Agent`](flow::sender_settings::Identity)), each by its own registration.
//!
//! - An sFlow datagram is one agent's, from the sequence numbers to the samples: it is counted as if the agent had sent it.
//! - A message of NetFlow v9 or IPFIX is the relay's, whose templates, sampling rates and sequence numbers describe it. Each
//!   data record is counted for the exporter that it names.
//! - What names nobody is the relay's own.
//! - Each octet has arrived for one exporter: that of a record for the one that it names, all others for the relay.
//!
//! Only what the operator has registered is counted, as for the source addresses of datagrams.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use accounting::period::Minute;
use flow::{DatagramFate, Exporter, FlowFate, FlowRecord, Protocol, Tallied};
use tap::Tapped;
use wire::{Ambiguities, Datagram, ReadOptions, Record, RecordKind, sflow};

use crate::admission::Registration;
use crate::counts::Counts;
use crate::exporter_stats::LastFlow;
use crate::exporters::{RecordsOf, Relayed};
use crate::publish::publish;
use crate::shard::{Counting, Met, Rules, book, collect, decode, meet, read_options, stated};

/// The records of a datagram that name one exporter.
#[derive(Default)]
struct Share {
    /// `None` if it is not registered.
    registration: Option<Arc<Registration>>,
    subscribers: Option<Tapped>,
    flows: Vec<FlowRecord>,
    fates: Tallied<FlowFate>,
    clamped: u64,
    octets: usize,
    last: LastFlow,
    ambiguities: Ambiguities,
}

impl Counting {
    /// Decodes, attributes and tallies a datagram of a relay.
    #[cold]
    pub(crate) fn take_relayed(
        &mut self,
        datagram: &Datagram<'_>,
        relay: &Arc<Registration>,
        registered: &mut dyn FnMut(IpAddr) -> Option<Arc<Registration>>,
    ) -> DatagramFate {
        self.named.clear();
        match datagram.protocol() {
            Some(protocol) if protocol.is_sflow() => self.take_of_agent(datagram, protocol, relay, registered),
            Some(protocol @ (Protocol::NetflowV9 | Protocol::Ipfix)) => {
                self.take_records(datagram, protocol, relay, registered)
            }
            _ => self.take(datagram, relay),
        }
    }

    fn take_of_agent(
        &mut self,
        datagram: &Datagram<'_>,
        protocol: Protocol,
        relay: &Arc<Registration>,
        registered: &mut dyn FnMut(IpAddr) -> Option<Arc<Registration>>,
    ) -> DatagramFate {
        let address = datagram.exporter.address;
        let Some(agent) = sflow::agent(datagram).filter(|agent| *agent != address) else {
            return self.take(datagram, relay);
        };
        self.note_relayed(address, relay, &relayed(datagram, protocol, None));
        let Some(registration) = registered(agent) else {
            self.counts.datagrams[DatagramFate::Unregistered] += 1;
            self.exporters.note_unknown(agent, Some(address), datagram);
            return DatagramFate::Unregistered;
        };
        let exporter = Exporter { address: agent, ..datagram.exporter };
        let fate = self.take(&Datagram { exporter, ..*datagram }, &registration);
        if let Some(met) = self.met.get(&agent) {
            met.exporter.note_relay(address);
        }
        self.named.push(agent);
        fate
    }

    fn take_records(
        &mut self,
        datagram: &Datagram<'_>,
        protocol: Protocol,
        relay: &Arc<Registration>,
        registered: &mut dyn FnMut(IpAddr) -> Option<Arc<Registration>>,
    ) -> DatagramFate {
        let Self { rules, exporters, met, taps, is_carried, counts, .. } = self;
        let address = datagram.exporter.address;
        let exporter = &mut meet(met, exporters, address, relay).exporter;
        // A tap of any exporter may filter by interfaces. Further options are those of the exporter of each record.
        let read =
            ReadOptions { interfaces: true, is_carried: *is_carried, is_relayed: true, ..ReadOptions::default() };
        // Queued data were counted for the relay when they arrived.
        let arrives = |record: &Record<'_>| !*is_carried && record.message.received == datagram.received;
        let mut shares = BTreeMap::new();
        let mut visit = |record: &Record<'_>| match record.kind {
            RecordKind::Data | RecordKind::NoIpHeader => {
                let named = record.exporter().unwrap_or(address);
                let share = shares.entry(named).or_insert_with(|| {
                    let registration = if named == address { Some(Arc::clone(relay)) } else { registered(named) };
                    let subscribers = registration.as_ref().and_then(|_| taps.of(named));
                    Share { registration, subscribers, ..Share::default() }
                });
                if share.registration.is_some() && named != address && arrives(record) {
                    share.octets += record.length();
                }
                share.add(record, rules, counts);
            }
            RecordKind::Options | RecordKind::Counters | RecordKind::Drop => counts.shown_records += 1,
        };
        let Some((fate, decoded)) = decode(exporter, exporters, datagram, read, &mut visit) else {
            counts.datagrams[DatagramFate::Unregistered] += 1;
            return DatagramFate::Unregistered;
        };
        counts.datagrams[fate] += 1;
        counts.note(&decoded);
        if !*is_carried {
            let octets: usize = shares.values().map(|share: &Share| share.octets).sum();
            exporter.note_arrived(datagram.received, datagram.payload.len().saturating_sub(octets));
        }
        for (exporter, share) in shares {
            if exporter != address {
                self.note_named(exporter, &share, datagram, protocol);
            }
            self.book_share(exporter, share, datagram, protocol, relay);
        }
        fate
    }

    /// Notes that a relay has named another exporter.
    fn note_named(&mut self, exporter: IpAddr, share: &Share, datagram: &Datagram<'_>, protocol: Protocol) {
        let relay = Some(datagram.exporter.address);
        match &share.registration {
            Some(registration) => {
                self.note_relayed(exporter, registration, &relayed(datagram, protocol, relay));
            }
            None => {
                self.exporters.note_unknown(exporter, relay, datagram);
                self.met.get_mut(&exporter).into_iter().for_each(Met::forget_registration);
            }
        }
        if self.met.contains_key(&exporter) {
            self.named.push(exporter);
        }
    }

    fn book_share(
        &mut self,
        exporter: IpAddr,
        share: Share,
        datagram: &Datagram<'_>,
        protocol: Protocol,
        relay: &Registration,
    ) {
        let Share { registration, flows, mut fates, clamped, octets, last, ambiguities, .. } = share;
        // The flows of an exporter that is not registered have their fate already: the relay's statistics show it.
        let counted_for = if registration.is_some() { exporter } else { datagram.exporter.address };
        let monitored = &registration.as_deref().unwrap_or(relay).monitored;
        let Self { rules, tally, counts, met, .. } = self;
        let clamped_before = counts.time_clamped - clamped;
        book(&flows, &mut fates, Minute::of(datagram.received), monitored, rules, tally, counts);
        let announced_by = met.get(&datagram.exporter.address);
        let announced_by = announced_by.and_then(|relay| relay.exporter.announcer(datagram, protocol, last));
        if let Some(met) = met.get(&counted_for) {
            met.exporter.note(&fates, counts.time_clamped - clamped_before, monitored, &flows);
            met.exporter.note_records(datagram, protocol, &RecordsOf { octets, last, announced_by, ambiguities });
        }
    }

    /// Notes at an exporter what it has relayed, or what was relayed for it.
    fn note_relayed(&mut self, address: IpAddr, registration: &Arc<Registration>, relayed: &Relayed) {
        let met = meet(&mut self.met, &self.exporters, address, registration);
        if !met.exporter.note_relayed(relayed) {
            // It was removed and registered again before this shard noticed.
            met.exporter = self.exporters.meet(address);
            met.exporter.note_relayed(relayed);
        }
    }
}

fn relayed(datagram: &Datagram<'_>, protocol: Protocol, relay: Option<IpAddr>) -> Relayed {
    Relayed { relay, received: datagram.received, protocol }
}

impl Share {
    /// Adds a record of the exporter.
    fn add(&mut self, record: &Record<'_>, rules: &Rules, counts: &mut Counts) {
        let Some(registration) = &self.registration else {
            self.fates[FlowFate::UnregisteredAgent] += 1;
            return;
        };
        let settings = &registration.settings;
        self.last.note(record);
        let flow = record.flow.map(|flow| {
            let mut flow = *flow;
            self.ambiguities.merge(&record.fill(&read_options(settings, true), &mut flow));
            if let Some(rate) = settings.sampling_rate {
                flow.sampling = stated(rate);
            }
            flow
        });
        let record = Record { flow: flow.as_ref(), ..*record };
        if let Some(subscribers) = &self.subscribers {
            publish(&record, subscribers);
        }
        let clamped_before = counts.time_clamped;
        collect(&record, rules, settings.flow_direction, &mut self.flows, &mut self.fates, counts);
        self.clamped += counts.time_clamped - clamped_before;
    }
}
