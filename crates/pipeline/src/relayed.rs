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

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use accounting::period::Minute;
use flow::{DatagramFate, Exporter, FlowFate, FlowRecord, Protocol, SenderSettings, Tallied};
use tap::Tapped;
use wire::{Ambiguities, Datagram, ReadOptions, Record, RecordKind, sflow};

use crate::admission::Registration;
use crate::counts::Counts;
use crate::exporter_stats::LastFlow;
use crate::exporters::{RecordsOf, Relayed};
use crate::origins::{self, From, is_flow};
use crate::publish::publish;
use crate::shard::{Counting, Met, Rules, book, collect, decode, meet, read_options, stated};

/// How many unregistered exporters of one datagram are shown.
const MOST_STRANGERS: usize = 64;

/// The records of a datagram that are counted for one exporter.
struct Share {
    registration: Arc<Registration>,
    subscribers: Option<Tapped>,
    flows: Vec<FlowRecord>,
    fates: Tallied<FlowFate>,
    clamped: u64,
    octets: usize,
    last: LastFlow,
    ambiguities: Ambiguities,
}

/// The records of a datagram, by exporter.
struct Shares {
    /// Those of the relay itself, with the fates of those that name exporters which are not registered.
    own: Share,
    /// Those that name others, which are registered.
    named: BTreeMap<IpAddr, Share>,
    /// Whether the origins of its flows are known.
    is_known: bool,
    /// Exporters that are named and not registered: all that were, and a few others, because a datagram can name thousands.
    strangers: BTreeSet<IpAddr>,
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
        let Self { rules, exporters, met, taps, origins, is_carried, booked, counts, .. } = self;
        let (from, mut room) = origins.of_datagram();
        let address = datagram.exporter.address;
        let mut exporter = Arc::clone(&meet(met, exporters, address, relay).exporter);
        // A tap of any exporter may filter by interfaces. Further options are those of the exporter of each record.
        let read = ReadOptions {
            is_carried: *is_carried,
            is_relayed: true,
            ..read_options(&SenderSettings::default(), true, from.is_looked_up())
        };
        let own = Share::of(Arc::clone(relay), taps.of(address));
        let mut shares = Shares { own, named: BTreeMap::new(), is_known: from.is_known(), strangers: BTreeSet::new() };
        let mut visit = |record: &Record<'_>| match record.kind {
            RecordKind::Data | RecordKind::NoIpHeader => {
                let named = record.exporter().filter(|named| *named != address);
                let register = |named| registered(named).map(|found| Share::of(found, taps.of(named)));
                let Some(share) = shares.of(named, register, met) else { return };
                // Queued data were counted for the relay when they arrived.
                if named.is_some() && !*is_carried && record.message.received == datagram.received {
                    share.octets += record.length();
                }
                let router = named.unwrap_or(address);
                let mut find =
                    |flow: &mut FlowRecord| origins::find_all(from, router, &mut room, std::slice::from_mut(flow));
                share.add(record, rules, from, &mut find, counts);
            }
            RecordKind::Options | RecordKind::Counters | RecordKind::Drop => counts.shown_records += 1,
        };
        let Some((fate, decoded)) = decode(&mut exporter, exporters, datagram, read, booked, &mut visit) else {
            counts.datagrams[DatagramFate::Unregistered] += 1;
            return DatagramFate::Unregistered;
        };
        room.finish(from, datagram);
        counts.datagrams[fate] += 1;
        counts.note(&decoded);
        if !*is_carried {
            let octets: usize = shares.named.values().map(|share| share.octets).sum();
            exporter.note_arrived(datagram.received, datagram.payload.len().saturating_sub(octets));
        }
        if let Some(met) = met.get_mut(&address) {
            met.exporter = exporter;
        }
        self.book_shares(shares, datagram, protocol);
        fate
    }

    fn book_shares(&mut self, shares: Shares, datagram: &Datagram<'_>, protocol: Protocol) {
        let Shares { own, named, is_known, strangers } = shares;
        let relay = datagram.exporter.address;
        for stranger in strangers {
            self.exporters.note_unknown(stranger, Some(relay), datagram);
            // Another shard may have stated its registration since the last cut, until which removed exporters are known.
            if let Some(exporter) = self.exporters.known(stranger) {
                self.met.entry(stranger).or_insert_with(|| Met::unregistered(exporter));
            }
            if let Some(met) = self.met.get_mut(&stranger) {
                met.forget_registration();
                self.named.push(stranger);
            }
        }
        for (exporter, share) in named {
            self.note_relayed(exporter, &share.registration, &relayed(datagram, protocol, Some(relay)));
            self.named.push(exporter);
            self.book_share(exporter, share, is_known, datagram, protocol);
        }
        self.book_share(relay, own, is_known, datagram, protocol);
    }

    fn book_share(
        &mut self,
        exporter: IpAddr,
        share: Share,
        is_known: bool,
        datagram: &Datagram<'_>,
        protocol: Protocol,
    ) {
        let Share { registration, flows, mut fates, clamped, octets, last, ambiguities, .. } = share;
        let Self { rules, tally, counts, met, .. } = self;
        let (monitored, clamped_before) = (&registration.monitored, counts.time_clamped - clamped);
        book(&flows, &mut fates, Minute::of(datagram.received), monitored, rules, tally, counts);
        let relay = met.get(&datagram.exporter.address);
        let announced_by = relay.and_then(|relay| relay.exporter.announcer(datagram, protocol, last));
        if let Some(met) = met.get(&exporter) {
            met.exporter.note(&fates, counts.time_clamped - clamped_before, monitored, &flows);
            if is_known {
                met.exporter.note_origins(&flows);
            }
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

impl Shares {
    /// The records of an exporter, the relay itself if none is named. `None` if that is not registered: this is the fate of the
    /// record then.
    fn of(
        &mut self,
        named: Option<IpAddr>,
        register: impl FnOnce(IpAddr) -> Option<Share>,
        met: &HashMap<IpAddr, Met>,
    ) -> Option<&mut Share> {
        let Some(named) = named else { return Some(&mut self.own) };
        match self.named.entry(named) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) => {
                let registered = register(named).map(|share| place.insert(share));
                if registered.is_none() {
                    self.own.fates[FlowFate::UnregisteredAgent] += 1;
                    if self.strangers.len() < MOST_STRANGERS || met.contains_key(&named) {
                        self.strangers.insert(named);
                    }
                }
                registered
            }
        }
    }
}

impl Share {
    fn of(registration: Arc<Registration>, subscribers: Option<Tapped>) -> Self {
        Self {
            registration,
            subscribers,
            flows: Vec::new(),
            fates: Tallied::default(),
            clamped: 0,
            octets: 0,
            last: LastFlow::default(),
            ambiguities: Ambiguities::default(),
        }
    }

    /// Adds a record of the exporter.
    fn add(
        &mut self,
        record: &Record<'_>,
        rules: &Rules,
        from: From<'_>,
        find: &mut dyn FnMut(&mut FlowRecord),
        counts: &mut Counts,
    ) {
        let settings = &self.registration.settings;
        self.last.note(record);
        let flow = record.flow.map(|flow| {
            let mut flow = *flow;
            self.ambiguities.merge(&record.fill(&read_options(settings, true, from.is_looked_up()), &mut flow));
            if let Some(rate) = settings.sampling_rate {
                flow.sampling = stated(rate);
            }
            if is_flow(record) {
                find(&mut flow);
            }
            flow
        });
        let record = Record { flow: flow.as_ref(), ..*record };
        if let Some(subscribers) = &self.subscribers {
            publish(&record, subscribers, None);
        }
        let clamped_before = counts.time_clamped;
        collect(&record, rules, settings.flow_direction, &mut self.flows, &mut self.fates, counts);
        self.clamped += counts.time_clamped - clamped_before;
    }
}
