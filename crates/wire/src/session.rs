//! What decoding remembers of one exporter address between its datagrams, and the way of a datagram to its protocol.
//!
//! The version is known by content, on any port: one port takes all protocols. The files of the protocols do the
//! rest.

use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::pending::{Pending, PendingBudget, PendingLimits};
use crate::record::Record;
use crate::sampling::Samplers;
use crate::sequence::{Sequences, Stream, StreamKey};
use crate::template::FieldSpecifier;
use crate::template_store::{KnownTemplate, TemplateLimits, TemplateStore};
use crate::{ipfix, netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v9};

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
    memory: Memory,
}

/// The parts of a session, open to the files of the protocols.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) templates: TemplateStore,
    pub(crate) samplers: Samplers,
    pub(crate) pending: Pending,
    sequences: Sequences,
    streams_kept: usize,
    /// Room for the fields of a template that is being read, kept so that announcements allocate nothing.
    fields: Vec<FieldSpecifier>,
}

impl Memory {
    /// Notes the sequence number of a message that holds so many units of its protocol; `None` when they could not
    /// be counted.
    pub(crate) fn note_arrival(&mut self, message: &Message, units: Option<u32>, report: &mut Decoded) {
        let key = StreamKey { protocol: message.protocol, domain: message.domain, agent: None };
        report.arrival = Some(self.sequences.note(key, message.sequence, units, self.streams_kept));
    }

    /// An empty list to read the fields of a template into; give it back afterwards.
    pub(crate) fn lend_fields(&mut self) -> Vec<FieldSpecifier> {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
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
                pending: Pending::new(limits.pending, budget),
                sequences: Sequences::default(),
                streams_kept: limits.templates.domains,
                fields: Vec::new(),
            },
        }
    }

    /// Decodes a datagram of this exporter. Each record is visited as it is met; sets that waited for a template are
    /// visited when it comes, with the message that they came in.
    pub fn decode(&mut self, datagram: &Datagram<'_>, visit: &mut impl FnMut(&Record<'_>)) -> Decoded {
        let mut report = Decoded::default();
        let memory = &mut self.memory;
        report.pending_expired = memory.pending.expire(datagram.received);
        match *datagram.payload {
            [0, 1, ..] => netflow_v1::decode(datagram, visit, &mut report),
            [0, 5, ..] => netflow_v5::decode(memory, datagram, visit, &mut report),
            [0, 6, ..] => netflow_v6::decode(memory, datagram, visit, &mut report),
            [0, 7, ..] => netflow_v7::decode(memory, datagram, visit, &mut report),
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

    /// The export streams that have sent sequence numbers, in no particular order.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        self.memory.sequences.iter()
    }

    /// How many data sets wait for their template.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.memory.pending.len()
    }
}
