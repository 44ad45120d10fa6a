//! What decoding remembers of one exporter address between its datagrams, and the way of a datagram to its protocol.
//!
//! The version is known by content, on any port: one port takes all protocols. The files of the protocols do the
//! rest.

use flow::{Exporter, Protocol, Timestamp};

use crate::announcements::{self, AnnouncementsError};
use crate::datagram::Datagram;
use crate::decoded::Decoded;
use crate::exporter_state::{ExporterState, SessionLimits};
use crate::pending::{Held, PendingBudget, Waiting};
use crate::record::{Record, RecordKind};
use crate::sampling::Sampler;
use crate::sequence::{Arrivals, Stream, StreamKey, Unit};
use crate::sequence_number::{Numbered, SequenceNumber};
use crate::template_store::KnownTemplate;
use crate::templated_record::TemplatedRecord;
use crate::{
    ipfix, message_writer, netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v8, netflow_v9, sflow, version,
};

/// Everything that decoding must remember about one exporter address (all ports, all protocols, all domains).
#[derive(Debug)]
pub struct Session {
    pub(crate) state: ExporterState,
}

impl Session {
    /// A session that knows nothing yet, with a budget of its own for waiting sets.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self::with_budget(limits, PendingBudget::new(limits.pending.octets))
    }

    /// A session that shares the budget for waiting sets with others.
    #[must_use]
    pub fn with_budget(limits: SessionLimits, budget: PendingBudget) -> Self {
        Self { state: ExporterState::new(limits, budget) }
    }

    /// Goes on with other limits; what is known already and exceeds them goes when its time comes.
    pub fn set_limits(&mut self, limits: SessionLimits) {
        self.state.templates.set_limits(limits.templates);
        self.state.pending.set_limits(limits.pending);
    }

    /// Decodes a datagram of this exporter. Each record is visited as it is met; sets that waited for a template are
    /// visited when it comes, with the message that they came in.
    pub fn decode(&mut self, datagram: &Datagram<'_>, visit: &mut impl FnMut(&Record<'_>)) -> Decoded {
        let mut report = Decoded::default();
        let state = &mut self.state;
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
                let mut arrival = None;
                let mut note = |number: &SequenceNumber| {
                    let noted = state.note_number(protocol, number, datagram.received);
                    if number.of == Numbered::Datagrams {
                        arrival = Some(noted);
                    }
                };
                sflow::decode(datagram, visit, &mut note, &mut report);
                report.arrival = arrival;
            }
            Err(kind) => report.error(0, kind),
        }
        report
    }

    /// The templates that are known, in no particular order.
    pub fn templates(&self) -> impl Iterator<Item = KnownTemplate<'_>> {
        self.state.templates.iter()
    }

    /// How many templates are known.
    #[must_use]
    pub const fn template_count(&self) -> usize {
        self.state.templates.len()
    }

    /// How many announcements of templates found no room ([`TemplateLimits`](crate::TemplateLimits)).
    #[must_use]
    pub const fn refused_templates(&self) -> u64 {
        self.state.templates.refused()
    }

    /// How many templates that no data had come for made room for others ([`TemplateLimits`](crate::TemplateLimits)).
    #[must_use]
    pub const fn displaced_templates(&self) -> u64 {
        self.state.templates.displaced()
    }

    /// The templates and sampling rates that are known, to be kept until a later session of the same exporter address
    /// [learns](Self::learn) them: then data can be read at once, although exporters announce only every few minutes.
    #[must_use]
    pub fn announcements(&self) -> Vec<u8> {
        announcements::encode(&self.state)
    }

    /// Changes whenever what the exporter has announced is not what it was before. Announcements that repeat what is
    /// known do not count; so as long as this stays the same, [`announcements`](Self::announcements) need not be kept
    /// again.
    #[must_use]
    pub fn announcements_changed(&self) -> u64 {
        self.state.templates.changes() + self.state.samplers.changes()
    }

    /// Learns what [`announcements`](Self::announcements) of an earlier session said, in place of what this one knows;
    /// says how many templates that are. A restart of the exporter meanwhile is noticed as far as it can be: templates of
    /// NetFlow v9 are forgotten when their exporter turns out to have started after it announced them.
    ///
    /// # Errors
    /// When the octets are not as they were. Then nothing is learnt.
    pub fn learn(&mut self, announcements: &[u8]) -> Result<usize, AnnouncementsError> {
        let limits = SessionLimits { templates: self.state.templates.limits(), ..Default::default() };
        let learnt = announcements::decode(announcements, limits)?;
        self.state.templates = learnt.templates;
        self.state.samplers = learnt.samplers;
        self.state.restarts = learnt.restarts;
        Ok(self.state.templates.len())
    }

    /// The export streams that have sent sequence numbers, in no particular order.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        self.state.sequences.iter()
    }

    /// The data sets that wait for their template, each as a datagram of its own: who sent it, when it was received, and
    /// an export message that holds this set alone. A session that decodes it lets the set wait in its turn, or reads it.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Exporter, Timestamp, Vec<u8>)> {
        let held = |(id, set): (u16, &Held)| {
            (set.message.exporter, set.message.received, message_writer::pending_set(&set.message, id, &set.octets))
        };
        let mut messages: Vec<_> = self.state.pending.iter().map(held).collect();
        messages.sort_unstable_by(|(a, at, one), (b, bt, other)| (at, a, one).cmp(&(bt, b, other)));
        messages
    }

    /// What its sequence numbers tell, over all streams that count the same.
    #[must_use]
    pub fn arrivals(&self, unit: Unit) -> Arrivals {
        self.state.sequences.arrivals(unit)
    }

    /// The sampling rates that options data told, by domain and sampler.
    #[must_use]
    pub fn samplers(&self) -> Vec<Sampler> {
        self.state.samplers.list()
    }

    /// Visits at most so many of the options data records that are kept, the newest of each scope; returns how many were
    /// not visited or could not be kept.
    pub fn options(&self, limit: usize, visit: &mut dyn FnMut(&Record<'_>)) -> u64 {
        let ExporterState { templates, types, options, .. } = &self.state;
        let kept = options.sorted();
        for (id, kept) in kept.iter().take(limit) {
            let message = &kept.message;
            let Some(template) = templates.find(message, *id) else { continue };
            let content = TemplatedRecord { template, octets: &kept.octets, templates, types, message };
            let (kind, format) = (RecordKind::Options, Some(u32::from(*id)));
            visit(&Record { message, kind, format, flow: None, content: &content });
        }
        kept.len().saturating_sub(limit) as u64 + options.refused()
    }

    /// For which templates data sets wait, by domain and template.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<Waiting> {
        self.state.pending.by_template()
    }

    /// How many data sets wait for their template.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.pending.len()
    }
}
