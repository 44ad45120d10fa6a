//! What decoding remembers of one exporter address between its datagrams, and the way of a datagram to its protocol.
//!
//! The version is known by content, on any port: one port takes all protocols. The files of the protocols do the
//! rest.

use flow::{Exporter, Protocol, Timestamp};

use crate::announcements::{self, AnnouncementsError};
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::options::Options;
use crate::pending::{Pending, PendingBudget, PendingLimits, Waiting};
use crate::record::{Record, RecordKind};
use crate::restart::Restarts;
use crate::sampling::{Sampler, Samplers};
use crate::sequence::{Arrivals, Sequences, Stream, StreamKey, Unit};
use crate::sflow::{self, Counted, SequenceNumber};
use crate::template::{FieldSpecifier, TemplatedRecord};
use crate::template_store::{KnownTemplate, TemplateLimits, TemplateStore};
use crate::type_information::TypeInformation;
use crate::{ipfix, netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v8, netflow_v9};

/// How many export streams are followed for one exporter address: domains, or the sources of an sFlow agent, of which
/// a large switch has two for each interface.
const STREAMS_KEPT: usize = 4096;

/// Bounds on what one exporter address can make us remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Templates.
    pub templates: TemplateLimits,
    /// Data sets that wait for their template.
    pub pending: PendingLimits,
}

/// Everything that decoding must remember about one exporter address (all ports, all protocols, all domains).
#[derive(Debug)]
pub struct Session {
    pub(crate) memory: Memory,
}

/// The parts of a session, open to the files of the protocols.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) templates: TemplateStore,
    pub(crate) samplers: Samplers,
    pub(crate) types: TypeInformation,
    pub(crate) options: Options,
    pub(crate) pending: Pending,
    sequences: Sequences,
    pub(crate) restarts: Restarts,
    /// Room for the fields of a template that is being read, kept so that announcements allocate nothing.
    fields: Vec<FieldSpecifier>,
}

impl Memory {
    /// Notes the sequence number of a message that holds so many units of its protocol; `None` when they could not
    /// be counted.
    pub(crate) fn note_arrival(&mut self, message: &Message, units: Option<u32>, report: &mut Decoded) {
        let key = StreamKey::of(message);
        report.arrival = Some(self.sequences.note(key, message.sequence, units, message.received, STREAMS_KEPT));
    }

    /// Forgets the templates of a process that has started again.
    pub(crate) fn note_restart(&mut self, message: &Message) {
        if self.restarts.note(message) {
            self.templates.forget_domain(message.protocol, message.domain, message.exporter.port);
        }
    }

    fn decode_sflow(&mut self, datagram: &Datagram<'_>, visit: &mut impl FnMut(&Record<'_>), report: &mut Decoded) {
        let protocol = datagram.protocol().unwrap_or(Protocol::SflowV5);
        let mut arrival = None;
        let mut count = |number: &SequenceNumber| {
            let key = StreamKey::of_sflow(protocol, number);
            let noted = self.sequences.note(key, number.number, Some(1), datagram.received, STREAMS_KEPT);
            if number.of == Counted::Datagrams {
                arrival = Some(noted);
            }
        };
        sflow::decode(datagram, visit, &mut count, report);
        report.arrival = arrival;
    }

    /// An empty list with room for so many fields of a template, and no more than was needed before; give it back
    /// afterwards.
    pub(crate) fn lend_fields(&mut self, count: usize) -> Vec<FieldSpecifier> {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        fields.reserve_exact(count);
        fields
    }

    pub(crate) fn return_fields(&mut self, fields: Vec<FieldSpecifier>) {
        self.fields = fields;
    }
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
        Self {
            memory: Memory {
                templates: TemplateStore::new(limits.templates),
                samplers: Samplers::default(),
                types: TypeInformation::default(),
                options: Options::default(),
                pending: Pending::new(limits.pending, budget),
                sequences: Sequences::default(),
                restarts: Restarts::default(),
                fields: Vec::new(),
            },
        }
    }

    /// Goes on with other limits; what is known already and exceeds them goes when its time comes.
    pub fn set_limits(&mut self, limits: SessionLimits) {
        self.memory.templates.set_limits(limits.templates);
        self.memory.pending.set_limits(limits.pending);
    }

    /// Decodes a datagram of this exporter. Each record is visited as it is met; sets that waited for a template are
    /// visited when it comes, with the message that they came in.
    pub fn decode(&mut self, datagram: &Datagram<'_>, visit: &mut impl FnMut(&Record<'_>)) -> Decoded {
        let mut report = Decoded::default();
        let memory = &mut self.memory;
        report.pending_expired = memory.pending.expire(datagram.received);
        match *datagram.payload {
            _ if sflow::is_sflow(datagram.payload) => memory.decode_sflow(datagram, visit, &mut report),
            [0, 1, ..] => netflow_v1::decode(datagram, visit, &mut report),
            [0, 5, ..] => netflow_v5::decode(memory, datagram, visit, &mut report),
            [0, 6, ..] => netflow_v6::decode(memory, datagram, visit, &mut report),
            [0, 7, ..] => netflow_v7::decode(memory, datagram, visit, &mut report),
            [0, 8, ..] => netflow_v8::decode(memory, datagram, visit, &mut report),
            [0, 9, ..] => netflow_v9::decode(memory, datagram, visit, &mut report),
            [0, 10, ..] => ipfix::decode(memory, datagram, visit, &mut report),
            [_, _, ..] => report.error(0, ErrorKind::UnknownVersion),
            [..] => report.error(0, ErrorKind::TruncatedHeader),
        }
        report
    }

    /// The templates that are known, in no particular order.
    pub fn templates(&self) -> impl Iterator<Item = KnownTemplate<'_>> {
        self.memory.templates.iter()
    }

    /// How many templates are known.
    #[must_use]
    pub const fn template_count(&self) -> usize {
        self.memory.templates.len()
    }

    /// How many announcements of templates found no room ([`TemplateLimits`]).
    #[must_use]
    pub const fn refused_templates(&self) -> u64 {
        self.memory.templates.refused()
    }

    /// How many templates that no data had come for made room for others ([`TemplateLimits`]).
    #[must_use]
    pub const fn displaced_templates(&self) -> u64 {
        self.memory.templates.displaced()
    }

    /// The templates and sampling rates that are known, to be kept until a later session of the same exporter address
    /// [learns](Self::learn) them: then data can be read at once, although exporters announce only every few minutes.
    #[must_use]
    pub fn announcements(&self) -> Vec<u8> {
        announcements::encode(&self.memory)
    }

    /// Changes whenever what the exporter has announced is not what it was before. Announcements that repeat what is
    /// known do not count; so as long as this stays the same, [`announcements`](Self::announcements) need not be kept
    /// again.
    #[must_use]
    pub fn announcements_changed(&self) -> u64 {
        self.memory.templates.changes() + self.memory.samplers.changes()
    }

    /// Learns what [`announcements`](Self::announcements) of an earlier session said, in place of what this one knows;
    /// says how many templates that are. A restart of the exporter meanwhile is noticed as far as it can be: templates of
    /// NetFlow v9 are forgotten when their exporter turns out to have started after it announced them.
    ///
    /// # Errors
    /// When the octets are not as they were. Then nothing is learnt.
    pub fn learn(&mut self, announcements: &[u8]) -> Result<usize, AnnouncementsError> {
        let limits = SessionLimits { templates: self.memory.templates.limits(), ..Default::default() };
        let mut learnt = Self::new(limits);
        announcements::decode(announcements, &mut learnt)?;
        let Memory { templates, samplers, restarts, .. } = learnt.memory;
        self.memory.templates = templates;
        self.memory.samplers = samplers;
        self.memory.restarts = restarts;
        Ok(self.memory.templates.len())
    }

    /// The export streams that have sent sequence numbers, in no particular order.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        self.memory.sequences.iter()
    }

    /// The data sets that wait for their template, each as a datagram of its own: who sent it, when it was received, and
    /// an export message that holds this set alone. A session that decodes it lets the set wait in its turn, or reads it.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Exporter, Timestamp, Vec<u8>)> {
        self.memory.pending.messages()
    }

    /// What its sequence numbers tell, over all streams that count the same.
    #[must_use]
    pub fn arrivals(&self, unit: Unit) -> Arrivals {
        self.memory.sequences.arrivals(unit)
    }

    /// The sampling rates that options data told, by domain and sampler.
    #[must_use]
    pub fn samplers(&self) -> Vec<Sampler> {
        self.memory.samplers.list()
    }

    /// Visits at most so many of the options data records that are kept, the newest of each scope; returns how many were
    /// not visited or could not be kept.
    pub fn options(&self, limit: usize, visit: &mut dyn FnMut(&Record<'_>)) -> u64 {
        let Memory { templates, types, options, .. } = &self.memory;
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
        self.memory.pending.by_template()
    }

    /// How many data sets wait for their template.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.memory.pending.len()
    }
}
