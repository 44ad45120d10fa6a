//! The loop: admits, decodes, attributes and tallies one datagram after the other, to completion, on one thread.
//!
//! Datagrams and their times are arguments. Sockets, capture files and the simulation drive the same code, and the same
//! datagrams in the same order always make the same blocks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::period::Minute;
use accounting::tally::{FlowTime, NameBudget, Tally, TallySettings};
use arc_swap::cache::Cache;
use flow::sender_settings::FlowDirection;
use flow::{DatagramFate, FlowFate, FlowRecord, Sampling, SamplingSource, Tallied};
use tap::Taps;
use wire::{Datagram, ReadOptions, Record, RecordKind, SessionLimits};

use crate::admission::{Admitted, Registration, Snapshot};
use crate::counts::Counts;
use crate::exporters::{Exporter, Exporters};
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

/// An exporter from which a shard has read datagrams.
struct Met {
    exporter: Arc<Exporter>,
    /// By what its last datagram was counted.
    registration: Arc<Registration>,
    /// The number with which [`Shard::unstated`] has returned them; 0 if it has not.
    stated: u64,
}

/// One thread's share of the work: its open counters.
pub struct Shard {
    rules: Rules,
    admitted: Cache<Admitted, Arc<Snapshot>>,
    exporters: Exporters,
    /// The exporters from which this shard has read datagrams.
    met: HashMap<IpAddr, Met>,
    taps: Taps,
    /// The flows of one datagram between decoding and attribution, with the times at which they count.
    flows: Vec<FlowRecord>,
    tally: Tally,
    counts: Counts,
}

impl Shard {
    /// An empty shard. All shards of a process share one table of exporters.
    #[must_use]
    pub fn new(rules: Rules, admitted: Admitted, exporters: Exporters) -> Self {
        Self {
            rules,
            admitted: Cache::new(admitted),
            exporters,
            met: HashMap::new(),
            taps: Taps::default(),
            flows: Vec::new(),
            tally: Tally::new(rules.tally),
            counts: Counts::default(),
        }
    }

    /// Also publishes decoded flows to open taps.
    #[must_use]
    pub fn publishing_to(self, taps: Taps) -> Self {
        Self { taps, ..self }
    }

    /// Uses a budget of names that shards share.
    #[must_use]
    pub fn sharing(self, budget: &NameBudget) -> Self {
        Self { tally: Tally::within(self.rules.tally, budget), ..self }
    }

    /// Uses other rules from now on, except for the limits of open counters.
    pub fn set_rules(&mut self, rules: Rules) {
        self.met.values_mut().for_each(|met| met.stated = 0);
        self.rules = Rules { tally: self.rules.tally, ..rules };
    }

    /// Admits, decodes, attributes and tallies one datagram. Returns its fate.
    pub fn take(&mut self, datagram: &Datagram<'_>) -> DatagramFate {
        self.take_by(datagram, None)
    }

    /// The same, by this registration instead of the present one.
    pub fn take_by(&mut self, datagram: &Datagram<'_>, registration: Option<&Arc<Registration>>) -> DatagramFate {
        let Self { rules, admitted, exporters, met, taps, flows, tally, counts } = self;
        let address = datagram.exporter.address;
        let Some(registration) = registration.or_else(|| admitted.load().get(&address)) else {
            counts.datagrams[DatagramFate::Unregistered] += 1;
            exporters.note_unknown(datagram);
            return DatagramFate::Unregistered;
        };
        let meet = || Met { exporter: exporters.meet(address), registration: Arc::clone(registration), stated: 0 };
        let met = met.entry(address).or_insert_with(meet);
        if !Arc::ptr_eq(&met.registration, registration) {
            (met.registration, met.stated) = (Arc::clone(registration), 0);
        }
        let Registration { monitored, settings } = &**registration;
        let exporter = &mut met.exporter;
        let mut fates = Tallied::default();
        let clamped_before = counts.time_clamped;
        flows.clear();
        let subscribers = taps.of(address);
        // Reading them costs every flow something, so it is done only where they are counted or a tap may filter by them.
        let interfaces = rules.tally.fields.has_interfaces() || subscribers.is_some();
        let read = ReadOptions {
            interfaces,
            out_counters: settings.out_counters,
            nat_addresses: settings.nat_addresses,
            tunnels: settings.tunnels,
        };
        let mut each = |record: &Record<'_>| {
            if let Some(subscribers) = &subscribers {
                publish(record, subscribers);
            }
            collect(record, rules, settings.flow_direction, flows, &mut fates, counts);
        };
        let mut visit = |record: &Record<'_>| match (settings.sampling_rate, record.flow) {
            (Some(rate), Some(flow)) => {
                let sampling = Sampling::of_packets(rate.get(), SamplingSource::Setting);
                each(&Record { flow: Some(&FlowRecord { sampling, ..*flow }), ..*record });
            }
            _ => each(record),
        };
        let decoded = match exporter.decode(datagram, read, &mut visit) {
            Some(decoded) => Some(decoded),
            // It was removed and registered again before this shard noticed.
            None => {
                *exporter = exporters.meet(address);
                exporter.decode(datagram, read, &mut visit)
            }
        };
        let Some((fate, decoded)) = decoded else {
            counts.datagrams[DatagramFate::Unregistered] += 1;
            return DatagramFate::Unregistered;
        };
        // So far, `fates` contains only flows that are not booked.
        counts.shown_records += flows.len() as u64 + fates.total();
        let (received, displaced_before) = (Minute::of(datagram.received), tally.displaced());
        for flow in &*flows {
            let time = FlowTime { exported: Minute::of(flow.exported), received };
            fates[tally.book(monitored, flow, time, rules.scale_samples)] += 1;
        }
        counts.time_clamped += tally.displaced() - displaced_before;
        exporter.note(&fates, counts.time_clamped - clamped_before, monitored, flows);
        counts.flows.merge(&fates);
        counts.datagrams[fate] += 1;
        counts.note(&decoded);
        fate
    }

    /// The registration and rules by which the last datagram of this exporter was counted, unless they were returned with
    /// this number (from 1) before.
    pub fn unstated(&mut self, address: IpAddr, number: u64) -> Option<(&Registration, &Rules)> {
        let met = self.met.get_mut(&address).filter(|met| met.stated != number)?;
        met.stated = number;
        Some((&met.registration, &self.rules))
    }

    /// The senders that are registered now.
    pub fn registered(&mut self) -> Arc<Snapshot> {
        Arc::clone(self.admitted.load())
    }

    /// The rules by which it counts.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns the tally and continues with an empty one.
    pub fn seal(&mut self, empty: Tally) -> Tally {
        let snapshot = Arc::clone(self.admitted.load());
        self.met.retain(|address, _| snapshot.contains_key(address));
        self.exporters.retain(|address| snapshot.contains_key(address));
        // Now, because making blocks borrows the tally and would have to clone it.
        self.tally.merge_pending();
        std::mem::replace(&mut self.tally, empty)
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// Collects the flow of a record, or counts why there is none. A flow counts at its export time, unless the exporter's
/// clock is too far off.
#[inline(always)]
fn collect(
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
