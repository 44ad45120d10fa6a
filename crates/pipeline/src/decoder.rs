//! Decodes the datagrams of the log again, for its readers: with sessions of its own, by the registrations of their time, and
//! without counting. It shows the same records as a shard, of relays too, for the same exporters and with the same sampling.
//!
//! What is to be kept of an exporter for a later start is [announced](Decoder::announced).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use columns::{Id, Row};
use flow::sender_settings::Identity;
use flow::{Exporter, FlowRecord, Protocol, Timestamp};
use wire::{Datagram, PendingBudget, ReadOptions, Record, RecordKind, Session, SessionLimits, sflow};

use crate::admission::Registration;
use crate::booked_origins::{Before, mark};
use crate::origins::is_flow;
use crate::shard::{Again, Rules, read_options, stated};

/// A record of the log, with the terms by which it was counted.
pub struct Logged<'r> {
    /// The exporter that it was counted for.
    pub exporter: IpAddr,
    /// The registration of the exporter then; `None` if it was not registered, or if the log does not have it.
    pub registration: Option<&'r Registration>,
    /// The settings of the collector then.
    pub rules: &'r Rules,
    /// The record. Its flow has the sampling rate that the registration states, and the origins by which it was counted.
    pub record: &'r Record<'r>,
    /// The AS path to its destination, if it is known.
    pub path: Option<&'r Arc<str>>,
}

impl Logged<'_> {
    /// Makes a row of the record ([`Record::row`]): of the exporter that it was counted for, also after a relay, with its path,
    /// and with the next AS of that, if the exporter has sent none.
    pub fn row(&self, row: &mut Row) -> bool {
        if !self.record.row(row) {
            return false;
        }
        row.set_address(Id::Exporter, self.exporter);
        if let Some(path) = self.path {
            row.set_text(Id::DstAsPath, Arc::clone(path));
            if row.number(Id::NextAs) == 0 {
                row.set_some(Id::NextAs, next_as(path));
            }
        }
        true
    }
}

/// The first AS of a path; 0 if it begins with several.
fn next_as(path: &str) -> u64 {
    path.split(' ').next().and_then(|asn| asn.parse().ok()).unwrap_or(0)
}

/// Shows the records of datagrams.
#[derive(Debug)]
pub struct Decoder {
    limits: SessionLimits,
    waiting: PendingBudget,
    sessions: HashMap<IpAddr, Decoding>,
    /// The origins of the present datagram's flows.
    origins: Before,
}

/// The state of an exporter.
#[derive(Debug)]
struct Decoding {
    session: Session,
    /// [`Session::announcements_changed`] when they were last reported.
    reported: u64,
}

/// Registrations by address.
type RegisteredThen<'a> = &'a mut dyn FnMut(IpAddr) -> Option<Arc<Registration>>;

impl Decoder {
    /// A decoder without sessions.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, waiting: PendingBudget::default(), sessions: HashMap::new(), origins: Before::default() }
    }

    /// Begins with what an exporter has announced. `false` if that is damaged: then its data wait for the next announcement.
    pub fn learn(&mut self, exporter: IpAddr, announcements: &[u8]) -> bool {
        let (decoding, _) = self.decoding(exporter);
        let is_learnt = decoding.session.learn(announcements).is_ok();
        decoding.reported = decoding.session.announcements_changed();
        is_learnt
    }

    /// Forgets an exporter.
    pub fn forget(&mut self, exporter: IpAddr) {
        self.sessions.remove(&exporter);
    }

    /// Forgets what was announced in a connection, which has ended.
    pub fn end_connection(&mut self, ended: &Exporter) {
        if let Some(decoding) = self.sessions.get_mut(&ended.address) {
            decoding.session.end_connection(ended.port);
        }
    }

    /// The exporters with new announcements since the last call, with all of theirs.
    pub fn announced(&mut self) -> Vec<(IpAddr, Vec<u8>)> {
        let mut announced = Vec::new();
        for (exporter, Decoding { session, reported }) in &mut self.sessions {
            let now = session.announcements_changed();
            if std::mem::replace(reported, now) != now {
                announced.push((*exporter, session.announcements()));
            }
        }
        announced
    }

    /// The data that are queued for a template: [`Session::waiting`] of all exporters.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Exporter, Timestamp, Vec<u8>)> {
        self.sessions.values().flat_map(|decoding| decoding.session.waiting()).collect()
    }

    /// Decodes a datagram, or queued data that were carried over, and shows each of its records, also those that it releases.
    /// `registered` has the registrations of its time. Returns the number of records.
    pub fn decode(
        &mut self,
        again: &Again<'_>,
        rules: &Rules,
        registered: RegisteredThen<'_>,
        show: &mut dyn FnMut(&Logged<'_>),
    ) -> u64 {
        let datagram = &again.datagram;
        self.origins.read(again.booked.origins, mark(datagram.payload));
        let address = datagram.exporter.address;
        let registration = registered(address);
        let is_relay =
            registration.as_ref().is_some_and(|registration| registration.settings.identity == Identity::Agent);
        match datagram.protocol().filter(|_| is_relay) {
            Some(protocol) if protocol.is_sflow() => match sflow::agent(datagram).filter(|agent| *agent != address) {
                Some(agent) => {
                    let Some(registration) = registered(agent) else { return 0 };
                    let exporter = Exporter { address: agent, ..datagram.exporter };
                    let of_agent = Again { datagram: Datagram { exporter, ..*datagram }, ..*again };
                    self.decode_own(&of_agent, rules, Some(&registration), show)
                }
                None => self.decode_own(again, rules, registration.as_deref(), show),
            },
            Some(Protocol::NetflowV9 | Protocol::Ipfix) => self.decode_named(again, rules, registered, show),
            _ => self.decode_own(again, rules, registration.as_deref(), show),
        }
    }

    /// Decodes a datagram whose records are all of its exporter.
    fn decode_own(
        &mut self,
        Again { datagram, is_carried, booked: before }: &Again<'_>,
        rules: &Rules,
        registration: Option<&Registration>,
        show: &mut dyn FnMut(&Logged<'_>),
    ) -> u64 {
        let exporter = datagram.exporter.address;
        let settings = registration.map(|registration| registration.settings).unwrap_or_default();
        let (Decoding { session, .. }, origins) = self.decoding(exporter);
        session.read(ReadOptions { is_carried: *is_carried, ..read_options(&settings, true, false) });
        session.book_as(before.sums);
        let mut records = 0;
        session.decode(datagram, &mut |record| {
            records += 1;
            let mut flow = record.flow.copied();
            if let (Some(rate), Some(flow)) = (settings.sampling_rate, &mut flow) {
                flow.sampling = stated(rate);
            }
            let path = booked(origins, exporter, record, flow.as_mut());
            let record = &Record { flow: flow.as_ref(), ..*record };
            show(&Logged { exporter, registration, rules, record, path });
        });
        records
    }

    /// Decodes a datagram of a relay, whose data records may name other exporters.
    fn decode_named(
        &mut self,
        Again { datagram, is_carried, booked: before }: &Again<'_>,
        rules: &Rules,
        registered: RegisteredThen<'_>,
        show: &mut dyn FnMut(&Logged<'_>),
    ) -> u64 {
        let relay = datagram.exporter.address;
        let (Decoding { session, .. }, origins) = self.decoding(relay);
        session.read(ReadOptions {
            interfaces: true,
            is_carried: *is_carried,
            is_relayed: true,
            ..ReadOptions::default()
        });
        session.book_as(before.sums);
        let mut records = 0;
        session.decode(datagram, &mut |record| {
            records += 1;
            let is_data = matches!(record.kind, RecordKind::Data | RecordKind::NoIpHeader);
            let exporter = if is_data { record.exporter().unwrap_or(relay) } else { relay };
            let registration = registered(exporter);
            let mut flow = record.flow.map(|flow| match &registration {
                Some(registration) => as_registered(record, *flow, registration),
                None => *flow,
            });
            let path = booked(origins, exporter, record, flow.as_mut());
            let record = &Record { flow: flow.as_ref(), ..*record };
            show(&Logged { exporter, registration: registration.as_deref(), rules, record, path });
        });
        records
    }

    fn decoding(&mut self, exporter: IpAddr) -> (&mut Decoding, &mut Before) {
        let Self { limits, waiting, sessions, origins } = self;
        let new = || Decoding { session: Session::with_budget(*limits, waiting.clone()), reported: 0 };
        (sessions.entry(exporter).or_insert_with(new), origins)
    }
}

/// Gives the flow of a record the origins that were booked. Returns the path to its destination.
fn booked<'o>(
    origins: &'o mut Before,
    router: IpAddr,
    record: &Record<'_>,
    flow: Option<&mut FlowRecord>,
) -> Option<&'o Arc<str>> {
    origins.set(router, flow.filter(|_| is_flow(record))?)
}

/// The flow of a record, which was read by the default options, as the registration of its exporter has it.
fn as_registered(record: &Record<'_>, mut flow: FlowRecord, registration: &Registration) -> FlowRecord {
    // What is ambiguous was noted when it was counted.
    let _ = record.fill(&read_options(&registration.settings, true, false), &mut flow);
    if let Some(rate) = registration.settings.sampling_rate {
        flow.sampling = stated(rate);
    }
    flow
}
