//! The registered exporters: one table for all shards, with the decoding state of each.
//!
//! Templates, sampling rates, sequence numbers and queued data belong to the exporter, not to the thread that happens
//! to read its datagrams. A shard holds the exporter's lock only while it decodes one of its datagrams. Attribution and
//! tally, most of the work, happen without it. Each shard keeps references to the exporters that it has met, so that it
//! locks the table only for the first datagram of an exporter.
//!
//! The REST interface reads exporters here: [`Exporters::all`], [`Exporters::detailed`]. Counting happens in
//! [`shard`](crate::shard).

mod interfaces;
mod table_sizes;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use accounting::presence::Arrived;
use accounting::tally::Monitored;
use flow::{
    DatagramFate, Fate, FlowFate, FlowRecord, Protocol, Sampling, SamplingSource, Tallied, Timestamp, Transport,
};
use view::{DetailedExporter, SenderTransport, Unknown};
use wire::{Ambiguities, Datagram, Decoded, PendingBudget, ReadOptions, Record, Session, SessionLimits, Unit};

use crate::arrivals_by_minute::ArrivalsByMinute;
use crate::as_sources::AsSources;
use crate::exporter_detail;
use crate::exporter_stats::{ExporterStats, LastFlow, used_units};
use crate::lock::locked;
use crate::rate_changes::RateChanges;
use crate::sealed::Sealed;
use crate::unknown::UnknownSenders;
use crate::unmatched::{self, Unmatched};

pub use interfaces::StatedInterfaces;
pub use table_sizes::TableSizes;

/// The table, shared by all shards and by the view of the collector.
#[derive(Clone, Debug)]
pub struct Exporters {
    limits: Arc<Mutex<SessionLimits>>,
    waiting: PendingBudget,
    /// Whether announcements are reported at each cut, to be stored for the next start.
    announcing: bool,
    known: Arc<Mutex<HashMap<IpAddr, Arc<Exporter>>>>,
    unknown: Arc<UnknownSenders>,
    /// Removed since the last report.
    removed: Arc<Mutex<Removed>>,
    /// Connections of an earlier run that continue.
    kept: Arc<HashSet<flow::Exporter>>,
}

/// Exporters that were removed since the last report.
#[derive(Debug, Default)]
struct Removed {
    addresses: Vec<IpAddr>,
    arrived: Vec<Arrived>,
}

/// One registered exporter.
#[derive(Debug)]
pub(crate) struct Exporter {
    state: Mutex<ExporterState>,
    /// By [`FlowFate`]: counted by shards without the lock.
    flows: [AtomicU64; FlowFate::ALL.len()],
    /// Flows whose export time was too far off, also counted without the lock.
    clamped: AtomicU64,
    unmatched: Mutex<Unmatched>,
    as_sources: AsSources,
}

/// The state under the lock.
#[derive(Debug)]
struct ExporterState {
    session: Session,
    stats: ExporterStats,
    arrivals: ArrivalsByMinute,
    rate_changes: RateChanges,
    /// Whether a datagram has arrived since the last report.
    is_heard: bool,
    /// [`Session::announcements_changed`] at the last report.
    announced: u64,
    /// Removed from the table: nothing may be added any more.
    gone: bool,
}

/// A datagram of a relay, in the statistics of the relay or of an exporter that it names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    /// The relay; `None` in its own statistics.
    pub(crate) relay: Option<IpAddr>,
    pub(crate) received: Timestamp,
    pub(crate) protocol: Protocol,
}

/// The records of an exporter in the datagram of a relay: those that name it, or those of the relay itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordsOf {
    /// Of those that name it and arrived in the datagram. The rest of that is the relay's.
    pub(crate) octets: usize,
    pub(crate) last: LastFlow,
    /// The port whose options data announced the sampling rate of the last one.
    pub(crate) announced_by: Option<u16>,
    pub(crate) ambiguities: Ambiguities,
}

impl Exporters {
    /// An empty table. All sessions share the budget for data queued for a template.
    #[must_use]
    pub fn new(limits: SessionLimits, waiting: PendingBudget) -> Self {
        Self {
            limits: Arc::new(Mutex::new(limits)),
            waiting,
            announcing: false,
            known: Arc::default(),
            unknown: Arc::default(),
            removed: Arc::default(),
            kept: Arc::default(),
        }
    }

    /// Continues with restored sessions, and reports announcements from now on.
    #[must_use]
    pub fn restoring(self, sessions: HashMap<IpAddr, Session>) -> Self {
        let known = sessions.into_iter().map(|(address, session)| (address, Arc::new(Exporter::new(session))));
        Self { announcing: true, known: Arc::new(Mutex::new(known.collect())), ..self }
    }

    /// The exporter with this address, added if it is new.
    pub(crate) fn meet(&self, address: IpAddr) -> Arc<Exporter> {
        self.unknown.forget(address);
        let new = || Arc::new(Exporter::new(Session::with_budget(*locked(&self.limits), self.waiting.clone())));
        Arc::clone(locked(&self.known).entry(address).or_insert_with(new))
    }

    /// The exporter with this address, if it is registered or was since the last cut.
    pub(crate) fn known(&self, address: IpAddr) -> Option<Arc<Exporter>> {
        locked(&self.known).get(&address).map(Arc::clone)
    }

    /// Whether an exporter with this address is known.
    #[must_use]
    pub fn knows(&self, address: IpAddr) -> bool {
        locked(&self.known).contains_key(&address)
    }

    /// Sets new limits for the state of every exporter.
    pub fn set_limits(&self, limits: SessionLimits) {
        *locked(&self.limits) = limits;
        for (_, exporter) in self.sorted() {
            locked(&exporter.state).session.set_limits(limits);
        }
    }

    /// Notes a datagram from an unregistered address, or of a relay that names one.
    pub(crate) fn note_unknown(&self, address: IpAddr, relay: Option<IpAddr>, datagram: &Datagram<'_>) {
        let transport = match datagram.exporter.transport {
            Transport::Udp => SenderTransport::Udp,
            Transport::Tcp => SenderTransport::Tcp,
        };
        self.unknown.note(address, relay, datagram, transport);
    }

    /// Notes that a registered exporter has connected, so that it is shown before its first message.
    pub fn note_connected(&self, address: IpAddr) {
        self.meet(address);
    }

    /// Notes a connection of an unregistered address, of which nothing is read; `tls`: to an address at which TLS is required.
    pub fn note_refused(&self, exporter: flow::Exporter, tls: bool, received: Timestamp) {
        let transport = if tls { SenderTransport::Tls } else { SenderTransport::Tcp };
        self.unknown.note(exporter.address, None, &Datagram { exporter, received, payload: &[] }, transport);
    }

    /// The busiest unregistered addresses, at most 1024, the busiest first.
    #[must_use]
    pub fn unknown(&self) -> Vec<Unknown> {
        let shown = self.unknown.busiest().into_iter().map(|sender| Unknown {
            address: sender.address,
            names: view::RouterNames::default(),
            relay: sender.relay,
            datagrams: sender.datagrams.saturating_sub(sender.taken_over),
            last: sender.last,
            protocol: sender.protocol.map(Protocol::name),
            transport: sender.transport,
        });
        shown.collect()
    }

    /// Removes exporters that are no longer registered.
    pub(crate) fn retain(&self, registered: impl Fn(&IpAddr) -> bool) {
        locked(&self.known).retain(|address, exporter| {
            let stays = registered(address);
            if !stays {
                let ExporterState { session, arrivals, gone, .. } = &mut *locked(&exporter.state);
                *gone = true;
                let mut removed = locked(&self.removed);
                removed.addresses.push(*address);
                removed.arrived.extend(arrivals.report(*address, session));
            }
            stays
        });
    }

    /// Adds to a cut the exporters that sent datagrams since the last report, and new announcements. What removed ones had
    /// announced is needed until this cut is durable: until then, a start may have to count their data again.
    pub fn report(&self, sealed: &mut Sealed) {
        let Removed { addresses, arrived } = std::mem::take(&mut *locked(&self.removed));
        sealed.arrived.extend(arrived);
        if self.announcing {
            sealed.announced.extend(addresses.into_iter().map(|address| (address, Vec::new())));
        }
        for (address, exporter) in self.sorted() {
            let mut state = locked(&exporter.state);
            if std::mem::take(&mut state.is_heard)
                && let Some(last) = state.stats.last
            {
                sealed.heard.push((address, last));
                let ExporterState { session, arrivals, .. } = &mut *state;
                sealed.arrived.extend(arrivals.report(address, session));
            }
            let now = state.session.announcements_changed();
            let before = std::mem::replace(&mut state.announced, now);
            if self.announcing && now != before {
                sealed.announced.push((address, state.session.announcements()));
            }
        }
    }

    /// Ends the export streams of all: the datagrams that follow are of another run, and what was lost between is not known.
    pub fn end_streams(&self) {
        for (_, exporter) in self.sorted() {
            locked(&exporter.state).session.end_streams();
        }
    }

    /// Forgets what was announced in a connection, which has ended.
    pub(crate) fn end_connection(&self, ended: &flow::Exporter) {
        if let Some(exporter) = self.known(ended.address) {
            locked(&exporter.state).session.end_connection(ended.port);
        }
    }

    /// Lets these connections of an earlier run continue.
    #[must_use]
    pub fn keeping(self, kept: HashSet<flow::Exporter>) -> Self {
        Self { kept: Arc::new(kept), ..self }
    }

    /// Ends all connections, and returns them: those of an earlier run are gone, except those that continue.
    #[must_use]
    pub fn end_connections(&self) -> Vec<flow::Exporter> {
        let mut ended = Vec::new();
        for (address, exporter) in self.sorted() {
            let session = &mut locked(&exporter.state).session;
            let ports: Vec<_> = session.connection_ports().collect();
            let is_kept = |port: &u16| self.kept.contains(&flow::Exporter::tcp(address, *port));
            for port in ports.into_iter().filter(|port| !is_kept(port)) {
                session.end_connection(port);
                ended.push(flow::Exporter::tcp(address, port));
            }
        }
        ended
    }

    /// Data queued for a template, which no tally has counted: [`Session::waiting`] of all exporters.
    #[must_use]
    pub fn waiting(&self) -> Vec<(flow::Exporter, Timestamp, Vec<u8>)> {
        self.sorted().into_iter().flat_map(|(_, exporter)| locked(&exporter.state).session.waiting()).collect()
    }

    /// The statistics of each exporter, by address. Without rates, which need a clock.
    #[must_use]
    pub fn all(&self) -> Vec<view::Exporter> {
        self.sorted().into_iter().map(|(address, exporter)| exporter.view(address)).collect()
    }

    /// Datagrams and flows of each exporter since the start.
    #[must_use]
    pub fn totals(&self) -> HashMap<IpAddr, (u64, u64)> {
        self.sorted().into_iter().map(|(address, exporter)| (address, exporter.totals())).collect()
    }

    /// One exporter with its decoding state. `is_multiplied`: whether counters are multiplied by sampling rates. Its
    /// datagrams wait meanwhile, so lists are truncated. `None` if it is unknown.
    #[must_use]
    pub fn detailed(&self, address: IpAddr, is_multiplied: bool) -> Option<DetailedExporter> {
        let exporter = self.known(address)?;
        let mut detail = {
            let ExporterState { session, stats, rate_changes, .. } = &*locked(&exporter.state);
            let mut detail = exporter_detail::of(stats, session, is_multiplied);
            detail.sampling.changes = rate_changes.list();
            detail
        };
        detail.unmatched = locked(&exporter.unmatched).busiest();
        Some(DetailedExporter { exporter: exporter.view(address), detail })
    }

    /// All exporters by address, copied so that shards do not wait for the table.
    fn sorted(&self) -> Vec<(IpAddr, Arc<Exporter>)> {
        let known = locked(&self.known);
        let mut sorted: Vec<_> = known.iter().map(|(address, exporter)| (*address, Arc::clone(exporter))).collect();
        drop(known);
        sorted.sort_unstable_by_key(|(address, _)| *address);
        sorted
    }
}

impl Exporter {
    fn new(session: Session) -> Self {
        let announced = session.announcements_changed();
        let state = ExporterState {
            session,
            stats: ExporterStats::default(),
            arrivals: ArrivalsByMinute::default(),
            rate_changes: RateChanges::default(),
            is_heard: false,
            announced,
            gone: false,
        };
        Self {
            state: Mutex::new(state),
            flows: Default::default(),
            clamped: AtomicU64::default(),
            unmatched: Mutex::default(),
            as_sources: AsSources::default(),
        }
    }

    /// Decodes one of its datagrams; `None` if the exporter is no longer registered.
    pub(crate) fn decode(
        &self,
        datagram: &Datagram<'_>,
        read: ReadOptions,
        booked: &mut Vec<u8>,
        visit: &mut impl FnMut(&Record<'_>),
    ) -> Option<(DatagramFate, Decoded)> {
        let mut state = locked(&self.state);
        if state.gone {
            return None;
        }
        let ExporterState { session, stats, arrivals, rate_changes, is_heard, .. } = &mut *state;
        arrivals.open(datagram.received, session);
        let mut last = LastFlow::default();
        session.read(read);
        session.book_as(booked);
        let decoded = session.decode(datagram, &mut |record| {
            last.note(record);
            visit(record);
        });
        session.booked().clone_into(booked);
        let fate = fate(&decoded);
        if fate != DatagramFate::UnknownVersion && !read.is_carried && !read.is_relayed {
            arrivals.note(datagram.payload.len());
        }
        *is_heard = true;
        stats.note(datagram, fate, &decoded, last);
        if !read.is_relayed
            && let (Some(protocol), Some((domain, sampling))) = (decoded.protocol, last.sampling())
        {
            let stream = (protocol, domain, datagram.exporter.port);
            stats.note_rate(sampling, datagram.received);
            rate_changes.note(stream, sampling, datagram.received, || announcer(session, stream, sampling));
        }
        Some((fate, decoded))
    }

    /// Notes a datagram that is counted for an exporter behind this relay, or records of it in the datagram of a relay.
    /// `false` if it is no longer registered.
    pub(crate) fn note_relayed(&self, relayed: &Relayed) -> bool {
        let ExporterState { stats, is_heard, gone, .. } = &mut *locked(&self.state);
        if !*gone {
            *is_heard = true;
            stats.note_relayed(relayed);
        }
        !*gone
    }

    /// Notes octets of a relay's datagram that arrived for it.
    pub(crate) fn note_arrived(&self, received: Timestamp, octets: usize) {
        let ExporterState { session, arrivals, .. } = &mut *locked(&self.state);
        arrivals.open(received, session);
        arrivals.note(octets);
    }

    /// Notes that its last datagram came through a relay.
    pub(crate) fn note_relay(&self, relay: IpAddr) {
        locked(&self.state).stats.relay = Some(relay);
    }

    /// Notes the records that are counted for it out of the datagram of a relay.
    pub(crate) fn note_records(&self, datagram: &Datagram<'_>, protocol: Protocol, records: &RecordsOf) {
        self.note_arrived(datagram.received, records.octets);
        let ExporterState { session, stats, rate_changes, .. } = &mut *locked(&self.state);
        session.note_ambiguities(&records.ambiguities);
        if let Some((domain, sampling)) = records.last.sampling() {
            let stream = (protocol, domain, datagram.exporter.port);
            stats.note_rate(sampling, datagram.received);
            rate_changes.note(stream, sampling, datagram.received, || records.announced_by);
        }
    }

    /// The port whose options data announced the sampling rate of a flow of this relay.
    pub(crate) fn announcer(&self, datagram: &Datagram<'_>, protocol: Protocol, last: LastFlow) -> Option<u16> {
        let (domain, sampling) = last.sampling()?;
        announcer(&locked(&self.state).session, (protocol, domain, datagram.exporter.port), sampling)
    }

    /// Adds the fates of flows and the number of clamped ones, and samples flows that matched no prefix.
    pub(crate) fn note(&self, fates: &Tallied<FlowFate>, clamped: u64, monitored: &Monitored, flows: &[FlowRecord]) {
        if clamped > 0 {
            self.clamped.fetch_add(clamped, Ordering::Relaxed);
        }
        for ((fate, more), count) in fates.iter().zip(&self.flows).filter(|((_, more), _)| *more > 0) {
            let before = count.fetch_add(more, Ordering::Relaxed);
            if fate == FlowFate::Unmatched {
                self.note_unmatched(unmatched::due(before, before + more), monitored, flows);
            }
        }
    }

    /// Notes from where the AS numbers of flows are, which were looked up.
    pub(crate) fn note_origins(&self, flows: &[FlowRecord]) {
        self.as_sources.note(flows);
    }

    fn note_unmatched(&self, due: usize, monitored: &Monitored, flows: &[FlowRecord]) {
        if due == 0 {
            return;
        }
        let outside = flows.iter().filter(|flow| !is_monitored(monitored, flow)).take(due);
        let mut unmatched = locked(&self.unmatched);
        outside.for_each(|flow| unmatched.note(flow.source, flow.destination));
    }

    fn view(&self, address: IpAddr) -> view::Exporter {
        let state = locked(&self.state);
        let stats = state.stats.clone();
        let arrivals = Unit::ALL.map(|unit| state.session.arrivals(unit));
        drop(state);
        let mut counts = stats.counts;
        counts.time_clamped = self.clamped.load(Ordering::Relaxed);
        for (fate, count) in FlowFate::ALL.iter().zip(&self.flows) {
            counts.flows[*fate] = count.load(Ordering::Relaxed);
        }
        view::Exporter {
            address,
            names: view::RouterNames::default(),
            relay: stats.relay,
            protocols: stats.protocols(),
            first: stats.first,
            last: stats.last,
            rates: None,
            bits_per_second: None,
            arrivals: used_units(arrivals),
            clock_offset_seconds: stats.clock_offset_seconds(),
            bmp: None,
            export_connections: Vec::new(),
            ended_export_connection: None,
            counters: counts.counters().into_iter().chain(self.as_sources.counter()).collect(),
        }
    }

    fn totals(&self) -> (u64, u64) {
        let flows = self.flows.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        (locked(&self.state).stats.counts.datagrams.total(), flows)
    }
}

/// The port whose options data announced the sampling of flows in a stream; `None` if it is from elsewhere.
fn announcer(session: &Session, stream: (Protocol, u32, u16), sampling: Sampling) -> Option<u16> {
    (sampling.source == SamplingSource::Options).then(|| session.rate_announcer(stream, sampling.rate))?
}

fn is_monitored(monitored: &Monitored, flow: &FlowRecord) -> bool {
    let mut found = false;
    for end in [flow.source, flow.destination] {
        monitored.table().covering(end, &mut |_| found = true);
    }
    found
}

/// Whether a datagram can be decoded to its end, by itself.
#[must_use]
pub fn is_valid(datagram: &Datagram<'_>) -> bool {
    fate(&Session::new(SessionLimits::default()).decode(datagram, &mut |_| ())) == DatagramFate::Decoded
}

fn fate(decoded: &Decoded) -> DatagramFate {
    match (decoded.protocol, decoded.first_error) {
        (None, _) => DatagramFate::UnknownVersion,
        (Some(_), Some(_)) => DatagramFate::Damaged,
        (Some(_), None) => DatagramFate::Decoded,
    }
}
