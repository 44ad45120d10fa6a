//! A session decodes the datagrams of one exporter address: it passes each to the file of its protocol, with the state
//! that the exporter has built up, by datagrams or in the connection of a message. What that state consists of is in [`crate::exporter_state`].

use flow::{Exporter, Protocol, Timestamp};

use crate::ambiguity::{Ambiguities, ReadOptions};
use crate::announcements::{self, AnnouncementsError};
use crate::connection_states::ConnectionStates;
use crate::connections::ConnectionCounts;
use crate::datagram::Datagram;
use crate::decoded::Decoded;
use crate::exporter_state::{ExporterState, SessionLimits};
use crate::interfaces::{self, StatedInterface};
use crate::pending::{PendingBudget, PendingSet, Waiting};
use crate::record::{Record, RecordKind};
use crate::sampling::{AppliedRate, ImplausibleRate, Sampler};
use crate::sequence::{Arrivals, StreamKey, Unit};
use crate::sequence_number::{Numbered, SequenceNumber};
use crate::session_rules::{SessionRules, StateScope};
use crate::stream::Stream;
use crate::template_store::KnownTemplate;
use crate::templated_record::TemplatedRecord;
use crate::{
    ipfix, message_writer, netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v8, netflow_v9, sflow, version,
};

/// Decodes the datagrams of one exporter address: all ports, all protocols, all domains. The messages of its connections are
/// datagrams too, whose exporter has another transport; in each connection, what the exporter has announced there applies.
#[derive(Debug)]
pub struct Session {
    /// Of what it has sent by datagrams. Its limits and options apply to connections too.
    pub(crate) state: ExporterState,
    connections: ConnectionStates,
}

impl Session {
    /// A new session, with a budget of its own for pending sets.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self::with_budget(limits, PendingBudget::new(limits.pending.octets))
    }

    /// A new session that shares the budget for pending sets with others.
    #[must_use]
    pub fn with_budget(limits: SessionLimits, budget: PendingBudget) -> Self {
        Self { state: ExporterState::new(limits, budget), connections: ConnectionStates::default() }
    }

    /// Changes the limits. What already exceeds them is removed only when it expires or room is needed.
    pub fn set_limits(&mut self, limits: SessionLimits) {
        self.state.templates.set_limits(limits.templates);
        self.state.pending.set_limits(limits.pending);
        self.connections.iter_mut().for_each(|state| state.templates.set_limits(limits.templates));
    }

    /// The states of all that it decodes.
    fn states(&self) -> impl Iterator<Item = &ExporterState> {
        std::iter::once(&self.state).chain(self.connections.open().values())
    }

    /// How datagrams are read from now on.
    pub const fn read(&mut self, options: ReadOptions) {
        self.state.read = options;
    }

    /// What is booked of the records of the last datagram that report sums, to be kept beside it; empty if it has none.
    #[must_use]
    pub fn booked(&self) -> &[u8] {
        self.state.connections.records.octets()
    }

    /// The next datagram was decoded before, and this was [booked](Self::booked) of it: it is booked again, whatever the
    /// session knows of the connections.
    pub fn book_as(&mut self, booked: &[u8]) {
        self.state.connections.records.book_as(booked);
    }

    /// How many connections are reported more than once.
    #[must_use]
    pub fn connections(&self) -> ConnectionCounts {
        let counts = self.states().map(|state| state.connections.counts());
        let of_datagrams = self.state.connections.counts();
        counts.skip(1).fold(of_datagrams, |sum, counts| ConnectionCounts {
            tracked: sum.tracked + counts.tracked,
            most: sum.most,
            deferred: sum.deferred + counts.deferred,
        })
    }

    /// How many flows had more than one meaning.
    #[must_use]
    pub fn ambiguities(&self) -> Ambiguities {
        let mut sum = self.state.ambiguities;
        self.connections.open().values().for_each(|state| sum.merge(&state.ambiguities));
        sum
    }

    /// Notes those of flows that a relay has sent for this exporter.
    pub fn note_ambiguities(&mut self, noted: &Ambiguities) {
        self.state.ambiguities.merge(noted);
    }

    /// Decodes a datagram of this exporter and visits each record. Records of pending sets are visited when their template
    /// arrives, with the message that they came in.
    pub fn decode(&mut self, datagram: &Datagram<'_>, visit: &mut impl FnMut(&Record<'_>)) -> Decoded {
        match SessionRules::of(datagram.exporter.transport).state_scope {
            StateScope::Address => decode(&mut self.state, datagram, visit),
            StateScope::Connection => {
                let Self { state: address, connections } = self;
                let state = connections.of(datagram.exporter.port, address);
                state.read = address.read;
                std::mem::swap(&mut state.connections.records, &mut address.connections.records);
                let decoded = decode(state, datagram, visit);
                std::mem::swap(&mut state.connections.records, &mut address.connections.records);
                decoded
            }
        }
    }

    /// Forgets what was announced in the connection from this port: it has ended.
    pub fn end_connection(&mut self, port: u16) {
        self.connections.end(port, &mut self.state);
    }

    /// The ports of the connections in which something was announced, and that have not ended.
    pub fn connection_ports(&self) -> impl Iterator<Item = u16> {
        self.connections.open().keys().copied()
    }

    /// The known templates, in no particular order.
    pub fn templates(&self) -> impl Iterator<Item = KnownTemplate<'_>> {
        self.states().flat_map(|state| state.templates.iter())
    }

    /// Number of known templates.
    #[must_use]
    pub fn template_count(&self) -> usize {
        self.states().map(|state| state.templates.len()).sum()
    }

    /// Announced templates for which there was no room ([`TemplateLimits`](crate::TemplateLimits)).
    #[must_use]
    pub fn refused_templates(&self) -> u64 {
        self.states().map(|state| state.templates.refused()).sum()
    }

    /// Templates that made room for others ([`TemplateLimits`](crate::TemplateLimits)).
    #[must_use]
    pub fn displaced_templates(&self) -> u64 {
        self.states().map(|state| state.templates.displaced()).sum()
    }

    /// The known templates and sampling rates, to be stored until a later session of the same exporter address
    /// [learns](Self::learn) them. It then decodes data immediately, although exporters announce only every few minutes.
    #[must_use]
    pub fn announcements(&self) -> Vec<u8> {
        announcements::encode(&self.state, self.connections.open())
    }

    /// Changes with every announcement that is new. While it stays the same, [`announcements`](Self::announcements) need
    /// not be stored again.
    #[must_use]
    pub fn announcements_changed(&self) -> u64 {
        self.state.changes() + self.connections.changes()
    }

    /// Replaces the templates and sampling rates by the [`announcements`](Self::announcements) of an earlier session, and
    /// returns the number of templates. NetFlow v9 templates are removed later if their exporter turns out to have
    /// restarted after it announced them.
    ///
    /// # Errors
    /// If the octets are damaged. The session is then unchanged.
    pub fn learn(&mut self, announcements: &[u8]) -> Result<usize, AnnouncementsError> {
        let limits = SessionLimits { templates: self.state.templates.limits(), ..Default::default() };
        let announcements::Learnt { state: learnt, mut of_connections } = announcements::decode(announcements, limits)?;
        of_connections.values_mut().for_each(|state| state.is_restored = true);
        self.connections = ConnectionStates::restored(of_connections);
        self.state.is_restored = true;
        self.state.ports = learnt.ports;
        self.state.templates = learnt.templates;
        self.state.samplers = learnt.samplers;
        self.state.restarts = learnt.restarts;
        self.state.connections = learnt.connections;
        Ok(self.template_count())
    }

    /// The export streams that have sent sequence numbers, in no particular order.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        self.states().flat_map(|state| state.sequences.iter())
    }

    /// Ends all export streams: what was lost before the next number of each is not known. The sums of arrivals stay.
    pub fn end_streams(&mut self) {
        self.state.sequences.end_streams();
        self.connections.iter_mut().for_each(|state| state.sequences.end_streams());
    }

    /// The pending data sets, each as a datagram: its exporter, when it was received, and an export message with only this
    /// set. A session that decodes the message queues the set again, or reads it.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Exporter, Timestamp, Vec<u8>)> {
        let held = |(id, set): (u16, &PendingSet)| {
            (set.message.exporter, set.message.received, message_writer::pending_set(&set.message, id, &set.octets))
        };
        let mut messages: Vec<_> = self.state.pending.iter().map(held).collect();
        messages.sort_unstable_by(|(a, at, one), (b, bt, other)| (at, a, one).cmp(&(bt, b, other)));
        messages
    }

    /// The sums of all streams whose sequence numbers count this unit.
    #[must_use]
    pub fn arrivals(&self, unit: Unit) -> Arrivals {
        self.states().fold(Arrivals::default(), |sum, state| sum.and(&state.sequences.arrivals(unit)))
    }

    /// The sampling rates from options data, by domain and sampler.
    #[must_use]
    pub fn samplers(&self) -> Vec<Sampler> {
        self.states().flat_map(|state| state.samplers.list()).collect()
    }

    /// Which of them apply to which records, for the templates that have described data.
    #[must_use]
    pub fn applied_rates(&self) -> Vec<AppliedRate> {
        self.states().flat_map(|state| state.samplers.applied(&state.ports, &state.templates)).collect()
    }

    /// The templates whose records gave rates that cannot be, the most recent last, at most 8 of each connection and of all
    /// datagrams.
    pub fn implausible_rates(&self) -> impl Iterator<Item = &ImplausibleRate> {
        self.states().flat_map(|state| state.samplers.implausible())
    }

    /// The port whose options data announced this rate for a protocol, domain and port of flows: the same port if it did.
    #[must_use]
    pub fn rate_announcer(&self, (protocol, domain, port): (Protocol, u32, u16), rate: u32) -> Option<u16> {
        self.states().find_map(|state| state.samplers.announcer((protocol, domain), port, rate))
    }

    /// Visits at most `limit` of the stored options data records, the newest of each scope. Returns how many were not
    /// visited or not stored.
    pub fn options(&self, limit: usize, visit: &mut dyn FnMut(&Record<'_>)) -> u64 {
        let (mut left, mut unvisited) = (limit, 0);
        for ExporterState { ports, templates, types, options, .. } in self.states() {
            let kept = options.sorted();
            for (id, kept) in kept.iter().take(left) {
                let message = &kept.message;
                let Some(template) = templates.find(ports, message, *id).map(|found| found.template) else { continue };
                let content = TemplatedRecord { template, octets: &kept.octets, ports, templates, types, message };
                let (kind, format) = (RecordKind::Options, Some(u32::from(*id)));
                visit(&Record { message, kind, format, flow: None, content: &content });
            }
            unvisited += kept.len().saturating_sub(left) as u64 + options.refused();
            left = left.saturating_sub(kept.len());
        }
        unvisited
    }

    /// How often the options data have changed, and when the last were received.
    #[must_use]
    pub fn options_state(&self) -> (u64, Timestamp) {
        let states = self.states().map(|state| state.options.state());
        states.fold((self.connections.changes(), Timestamp::EPOCH), |(changes, last), (more, at)| {
            (changes + more, last.max(at))
        })
    }

    /// The interfaces that its options data describe, the newest record of each scope, by domain and template.
    #[must_use]
    pub fn stated_interfaces(&self) -> Vec<StatedInterface> {
        let of_state = |ExporterState { ports, templates, options, .. }: &ExporterState| {
            let stated = options.sorted().into_iter().filter_map(|(id, kept)| {
                let found = templates.find(ports, &kept.message, id)?;
                interfaces::stated(&kept.message, found.template, &kept.octets)
            });
            stated.collect::<Vec<_>>()
        };
        self.states().flat_map(of_state).collect()
    }

    /// The missing templates for which data sets are pending, by domain and template.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<Waiting> {
        self.state.pending.by_template()
    }

    /// Number of pending data sets.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.pending.len()
    }
}

/// Decodes a datagram with the state of its exporter.
fn decode(state: &mut ExporterState, datagram: &Datagram<'_>, visit: &mut impl FnMut(&Record<'_>)) -> Decoded {
    let mut report = Decoded::default();
    let own = state.read.is_relayed.then_some(state.ambiguities);
    state.connections.records.begin();
    state.resume(datagram.received);
    report.pending_expired = state.pending.expire(datagram.received);
    match version::protocol_of(datagram.payload) {
        Ok(Protocol::NetflowV1) => netflow_v1::decode(datagram, visit, &mut report),
        Ok(Protocol::NetflowV5) => netflow_v5::decode(state, datagram, visit, &mut report),
        Ok(Protocol::NetflowV6) => netflow_v6::decode(state, datagram, visit, &mut report),
        Ok(Protocol::NetflowV7) => netflow_v7::decode(state, datagram, visit, &mut report),
        Ok(Protocol::NetflowV8) => netflow_v8::decode(state, datagram, visit, &mut report),
        Ok(Protocol::NetflowV9) => netflow_v9::decode(state, datagram, visit, &mut report),
        Ok(Protocol::Ipfix) => ipfix::decode(state, datagram, visit, &mut report),
        Ok(protocol @ (Protocol::SflowV2 | Protocol::SflowV4 | Protocol::SflowV5)) => {
            let (tunnels, mut arrival) = (state.read.tunnels, None);
            let mut note = |number: &SequenceNumber| {
                let noted = state.note_number(protocol, number, datagram);
                if number.of == Numbered::Datagrams {
                    arrival = Some(noted);
                }
            };
            sflow::decode(datagram, tunnels, visit, &mut note, &mut report);
            report.arrival = arrival;
        }
        Err(kind) => report.error(0, kind),
    }
    if report.has_data() {
        state.ports.note(datagram.exporter.port, datagram.received);
    }
    state.connections.records.end();
    state.ambiguities.note(&report);
    if let Some(own) = own {
        state.ambiguities = own;
    }
    report
}
