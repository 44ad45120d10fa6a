//! The loop: admits, decodes, attributes and tallies one datagram after the other, to completion, on one thread.
//!
//! Datagrams and their times are arguments. Sockets, capture files and the simulation drive the same code, and the same
//! datagrams in the same order always make the same blocks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use accounting::period::Minute;
use accounting::tally::{FlowTime, Monitored, NameBudget, Tally, TallySettings};
use arc_swap::cache::Cache;
use flow::sender_settings::{FlowDirection, Identity};
use flow::{DatagramFate, FlowFate, FlowRecord, Sampling, SamplingSource, SenderSettings, Tallied};
use tap::Taps;
use wire::{Datagram, Decoded, ReadOptions, Record, RecordKind, SessionLimits};

use crate::admission::{Admitted, Registration, Snapshot};
use crate::booked_origins::mark;
use crate::counts::Counts;
use crate::exporters::{Exporter, Exporters};
use crate::origins::{self, Origins, PublishedSources};
use crate::publish::publish;

/// The settings that control counting.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whether counters are multiplied by the sampling rate.
    pub scale_samples: bool,
    /// How far an export time may be from the receive time; beyond that, the receive time replaces it.
    pub clock_limit: Duration,
    /// Limits of the state of one exporter.
    pub session: SessionLimits,
    /// The fields and limits of the open counters.
    pub tally: TallySettings,
}

/// A datagram that a shard has taken before.
#[derive(Clone, Copy, Debug)]
pub struct Again<'d> {
    /// The datagram.
    pub datagram: Datagram<'d>,
    /// Whether it was carried over: its arrival was counted when it was received.
    pub is_carried: bool,
    /// What was [booked](Shard::booked) of it; empty if that is not known.
    pub booked: Booked<'d>,
}

/// What is booked of a datagram, to be kept beside it; the next one to decode it books the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booked<'d> {
    /// Of records that report sums ([`wire::Session::booked`]).
    pub sums: &'d [u8],
    /// The origins of its flows.
    pub origins: &'d [u8],
}

/// An exporter from which a shard has read datagrams, or records of a relay.
pub(crate) struct Met {
    pub(crate) exporter: Arc<Exporter>,
    /// By what it was counted last; `None` if it was no longer registered then.
    registration: Option<Arc<Registration>>,
    /// The number with which [`Shard::unstated`] has shown them; 0 if it has not.
    stated: u64,
}

/// One thread's share of the work: its open counters.
pub struct Shard {
    admitted: Cache<Admitted, Arc<Snapshot>>,
    counting: Counting,
}

/// What datagrams are counted with, and their counts.
pub(crate) struct Counting {
    pub(crate) rules: Rules,
    pub(crate) exporters: Exporters,
    /// The exporters from which this shard has read.
    pub(crate) met: HashMap<IpAddr, Met>,
    pub(crate) taps: Taps,
    pub(crate) origins: Origins,
    /// The flows of one datagram between decoding and attribution, with the times at which they count.
    flows: Vec<FlowRecord>,
    /// Whether the present datagram was carried over in the journal: its arrival was counted before.
    pub(crate) is_carried: bool,
    /// What is booked of its records with sums, and until it is decoded what was booked before ([`wire::Session::booked`]).
    pub(crate) booked: Vec<u8>,
    /// The agents that the last datagram of a relay has named, and whose registrations its counters depend on.
    pub(crate) named: Vec<IpAddr>,
    pub(crate) tally: Tally,
    pub(crate) counts: Counts,
}

impl Shard {
    /// An empty shard. All shards of a process share one table of exporters.
    #[must_use]
    pub fn new(rules: Rules, admitted: Admitted, exporters: Exporters) -> Self {
        let counting = Counting {
            rules,
            exporters,
            met: HashMap::new(),
            taps: Taps::default(),
            origins: Origins::new(PublishedSources::default()),
            flows: Vec::new(),
            is_carried: false,
            booked: Vec::new(),
            named: Vec::new(),
            tally: Tally::new(rules.tally),
            counts: Counts::default(),
        };
        Self { admitted: Cache::new(admitted), counting }
    }

    /// Looks up the origins of flows in these sources.
    #[must_use]
    pub fn looking_up(mut self, sources: PublishedSources) -> Self {
        self.counting.origins = Origins::new(sources);
        self
    }

    /// Also publishes decoded flows to open taps.
    #[must_use]
    pub fn publishing_to(mut self, taps: Taps) -> Self {
        self.counting.taps = taps;
        self
    }

    /// Uses a budget of names that shards share.
    #[must_use]
    pub fn sharing(mut self, budget: &NameBudget) -> Self {
        self.counting.tally = Tally::within(self.counting.rules.tally, budget);
        self
    }

    /// Uses other rules from now on, except for the limits of open counters.
    pub fn set_rules(&mut self, rules: Rules) {
        let counting = &mut self.counting;
        counting.met.values_mut().for_each(|met| met.stated = 0);
        counting.rules = Rules { tally: counting.rules.tally, ..rules };
    }

    /// Admits, decodes, attributes and tallies one datagram. Returns its fate.
    pub fn take(&mut self, datagram: &Datagram<'_>) -> DatagramFate {
        let Self { admitted, counting } = self;
        counting.booked.clear();
        counting.origins.booking.clear();
        let snapshot = admitted.load();
        let Some(registration) = snapshot.get(&datagram.exporter.address) else { return counting.refuse(datagram) };
        if registration.settings.identity == Identity::Agent {
            return counting.take_relayed(datagram, registration, &mut |agent| snapshot.get(&agent).map(Arc::clone));
        }
        counting.take(datagram, registration)
    }

    /// What is booked of the last datagram, to be kept beside it.
    #[must_use]
    pub fn booked(&self) -> Booked<'_> {
        Booked { sums: &self.counting.booked, origins: self.counting.origins.booking.octets() }
    }

    /// [`take`](Self::take) for a datagram of an earlier run, by these registrations instead of the present ones.
    pub fn take_again(
        &mut self,
        Again { datagram, is_carried, booked }: &Again<'_>,
        registered: &mut dyn FnMut(IpAddr) -> Option<Arc<Registration>>,
    ) -> DatagramFate {
        self.counting.is_carried = *is_carried;
        booked.sums.clone_into(&mut self.counting.booked);
        self.counting.origins.is_again = true;
        self.counting.origins.before.read(booked.origins, mark(datagram.payload));
        let Some(registration) = registered(datagram.exporter.address) else { return self.counting.refuse(datagram) };
        if registration.settings.identity == Identity::Agent {
            return self.counting.take_relayed(datagram, &registration, registered);
        }
        self.counting.take(datagram, &registration)
    }

    /// Calls `state` with the registration and rules by which the last datagram of this exporter was counted, unless they
    /// were shown with this number (from 1) before; if it is a relay, also with those of the agents that the datagram named,
    /// and with none for agents that are no longer registered.
    pub fn unstated(
        &mut self,
        address: IpAddr,
        number: u64,
        state: &mut impl FnMut(IpAddr, Option<&Registration>, &Rules),
    ) {
        let Counting { met, rules, named, .. } = &mut self.counting;
        let mut show = |address: IpAddr| {
            let met = met.get_mut(&address)?;
            if met.stated != number {
                met.stated = number;
                state(address, met.registration.as_deref(), rules);
            }
            met.registration.as_ref().map(|registration| registration.settings.identity)
        };
        if show(address) == Some(Identity::Agent) {
            for agent in named {
                show(*agent);
            }
        }
    }

    /// Forgets what these exporters have announced, and their queued data.
    pub fn forget(&mut self, exporters: &[IpAddr]) {
        self.counting.exporters.retain(|address| !exporters.contains(address));
    }

    /// Forgets what was announced in a connection, which has ended.
    pub fn end_connection(&mut self, ended: &flow::Exporter) {
        self.counting.exporters.end_connection(ended);
    }

    /// The senders that are registered now.
    pub fn registered(&mut self) -> Arc<Snapshot> {
        Arc::clone(self.admitted.load())
    }

    /// Whether an address is registered now.
    pub fn is_registered(&mut self, address: IpAddr) -> bool {
        self.admitted.load().contains_key(&address)
    }

    /// The rules by which it counts.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.counting.rules
    }

    /// Returns the tally and continues with an empty one.
    pub fn seal(&mut self, empty: Tally) -> Tally {
        let snapshot = Arc::clone(self.admitted.load());
        let Counting { met, exporters, tally, .. } = &mut self.counting;
        met.retain(|address, _| snapshot.contains_key(address));
        exporters.retain(|address| snapshot.contains_key(address));
        // Now, because making blocks borrows the tally and would have to clone it.
        tally.merge_pending();
        std::mem::replace(tally, empty)
    }

    /// What is counted and not sealed.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.counting.tally
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counting.counts
    }
}

impl Counting {
    /// Counts a datagram that no registered sender has sent.
    fn refuse(&mut self, datagram: &Datagram<'_>) -> DatagramFate {
        self.counts.datagrams[DatagramFate::Unregistered] += 1;
        self.exporters.note_unknown(datagram.exporter.address, None, datagram);
        DatagramFate::Unregistered
    }

    /// Decodes, attributes and tallies a datagram of a sender.
    pub(crate) fn take(&mut self, datagram: &Datagram<'_>, registration: &Arc<Registration>) -> DatagramFate {
        let Self { rules, exporters, met, taps, origins, flows, is_carried, booked, tally, counts, .. } = self;
        let (from, mut room) = origins.of_datagram();
        let address = datagram.exporter.address;
        let exporter = &mut meet(met, exporters, address, registration).exporter;
        let Registration { monitored, settings } = &**registration;
        let mut fates = Tallied::default();
        let clamped_before = counts.time_clamped;
        flows.clear();
        let subscribers = taps.of(address);
        // Reading them costs every flow something, so it is done only where they are counted or a tap may filter by them.
        let interfaces = rules.tally.fields.has_interfaces() || subscribers.is_some();
        let read = ReadOptions { is_carried: *is_carried, ..read_options(settings, interfaces, from.asks_exporter()) };
        let mut each = |record: &Record<'_>| {
            if let Some(subscribers) = &subscribers {
                publish(record, subscribers, from.sources().map(|sources| sources.of(address)));
            }
            collect(record, rules, settings.flow_direction, flows, &mut fates, counts);
        };
        let mut visit = |record: &Record<'_>| match (settings.sampling_rate, record.flow) {
            (Some(rate), Some(flow)) => {
                each(&Record { flow: Some(&FlowRecord { sampling: stated(rate), ..*flow }), ..*record });
            }
            _ => each(record),
        };
        let Some((fate, decoded)) = decode(exporter, exporters, datagram, read, booked, &mut visit) else {
            counts.datagrams[DatagramFate::Unregistered] += 1;
            return DatagramFate::Unregistered;
        };
        if from.is_known() {
            origins::find_all(from, address, &mut room, flows);
            room.finish(from, datagram);
            exporter.note_origins(flows);
        }
        book(flows, &mut fates, Minute::of(datagram.received), monitored, rules, tally, counts);
        exporter.note(&fates, counts.time_clamped - clamped_before, monitored, flows);
        counts.datagrams[fate] += 1;
        counts.note(&decoded);
        fate
    }
}

/// The exporter at this address, which is counted by this registration from now on.
pub(crate) fn meet<'m>(
    met: &'m mut HashMap<IpAddr, Met>,
    exporters: &Exporters,
    address: IpAddr,
    registration: &Arc<Registration>,
) -> &'m mut Met {
    let new = || Met { exporter: exporters.meet(address), registration: Some(Arc::clone(registration)), stated: 0 };
    let met = met.entry(address).or_insert_with(new);
    if !met.registration.as_ref().is_some_and(|known| Arc::ptr_eq(known, registration)) {
        (met.registration, met.stated) = (Some(Arc::clone(registration)), 0);
    }
    met
}

impl Met {
    /// One that is no longer registered.
    pub(crate) const fn unregistered(exporter: Arc<Exporter>) -> Self {
        Self { exporter, registration: None, stated: 0 }
    }

    /// Notes that it is no longer registered.
    pub(crate) fn forget_registration(&mut self) {
        if self.registration.take().is_some() {
            self.stated = 0;
        }
    }
}

/// How the records of a sender are read.
pub(crate) fn read_options(settings: &SenderSettings, interfaces: bool, default_routes: bool) -> ReadOptions {
    let SenderSettings { out_counters, nat_addresses, tunnels, .. } = *settings;
    ReadOptions { interfaces, default_routes, out_counters, nat_addresses, tunnels, ..ReadOptions::default() }
}

/// The sampling that an operator has stated.
pub(crate) fn stated(rate: NonZeroU32) -> Sampling {
    Sampling::of_packets(rate.get(), SamplingSource::Setting)
}

/// Decodes a datagram with the state of its exporter. `None` if that is no longer registered.
#[inline]
pub(crate) fn decode(
    exporter: &mut Arc<Exporter>,
    exporters: &Exporters,
    datagram: &Datagram<'_>,
    read: ReadOptions,
    booked: &mut Vec<u8>,
    visit: &mut impl FnMut(&Record<'_>),
) -> Option<(DatagramFate, Decoded)> {
    let decoded = exporter.decode(datagram, read, booked, visit);
    if decoded.is_some() {
        return decoded;
    }
    // It was removed and registered again before this shard noticed.
    *exporter = exporters.meet(datagram.exporter.address);
    exporter.decode(datagram, read, booked, visit)
}

/// Attributes and tallies the flows of a datagram. Until then, `fates` contains only flows that are not booked.
#[inline(always)]
pub(crate) fn book(
    flows: &[FlowRecord],
    fates: &mut Tallied<FlowFate>,
    received: Minute,
    monitored: &Monitored,
    rules: &Rules,
    tally: &mut Tally,
    counts: &mut Counts,
) {
    counts.shown_records += flows.len() as u64 + fates.total();
    let displaced_before = tally.displaced();
    for flow in flows {
        let time = FlowTime { exported: Minute::of(flow.exported), received };
        fates[tally.book(monitored, flow, time, rules.scale_samples)] += 1;
    }
    counts.time_clamped += tally.displaced() - displaced_before;
    counts.flows.merge(fates);
}

/// Collects the flow of a record, or counts why there is none. A flow counts at its export time, unless the exporter's
/// clock is too far off.
#[inline(always)]
pub(crate) fn collect(
    record: &Record<'_>,
    rules: &Rules,
    counted: FlowDirection,
    flows: &mut Vec<FlowRecord>,
    fates: &mut Tallied<FlowFate>,
    counts: &mut Counts,
) {
    match (record.kind, record.flow) {
        (RecordKind::NoIpHeader, _) => fates[FlowFate::NoIpHeader] += 1,
        (_, Some(flow)) if !counted.counts(flow.observed) => fates[FlowFate::OtherDirection] += 1,
        (_, Some(flow)) => {
            // A push would copy it twice.
            flows.extend_from_slice(std::slice::from_ref(flow));
            let received = record.message.received;
            if !flow.exported.is_within(rules.clock_limit, received) {
                counts.time_clamped += 1;
                if let Some(flow) = flows.last_mut() {
                    flow.exported = received;
                }
            }
        }
        (RecordKind::Data, None) => fates[FlowFate::Event] += 1,
        (RecordKind::Options | RecordKind::Counters | RecordKind::Drop, None) => counts.shown_records += 1,
    }
}
