//! What decoding remembers of one exporter address between its datagrams, or of one connection between its messages. The protocols' files read and change it;
//! [`crate::Session`] owns it.

use flow::{Protocol, Timestamp};

use crate::ambiguity::{Ambiguities, ReadOptions};
use crate::connections::Connections;
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::field_specifier::FieldSpecifier;
use crate::options::Options;
use crate::pending::{Pending, PendingBudget, PendingLimits};
use crate::ports::Ports;
use crate::restart::Restarts;
use crate::sampling::Samplers;
use crate::sequence::{Noted, Sequences, StreamKey};
use crate::sequence_number::SequenceNumber;
use crate::stream::{Arrival, Clocks};
use crate::template_store::{TemplateLimits, TemplateStore};
use crate::type_information::TypeInformation;

/// Bounds on the memory that one exporter address can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Templates.
    pub templates: TemplateLimits,
    /// Data sets whose template is missing.
    pub pending: PendingLimits,
}

/// The state of one exporter address: all its ports, protocols and domains. Or of one of its connections.
#[derive(Debug)]
pub(crate) struct ExporterState {
    /// Whose entries in the other parts displace whose.
    pub(crate) ports: Ports,
    pub(crate) templates: TemplateStore,
    pub(crate) samplers: Samplers,
    pub(crate) types: TypeInformation,
    pub(crate) options: Options,
    pub(crate) pending: Pending,
    pub(crate) sequences: Sequences,
    pub(crate) restarts: Restarts,
    /// How datagrams are read.
    pub(crate) read: ReadOptions,
    /// What that has been decided for.
    pub(crate) ambiguities: Ambiguities,
    /// Those that are reported more than once.
    pub(crate) connections: Connections,
    /// Whether announcements were stored by an earlier run of the collector, and nothing was received since.
    pub(crate) is_restored: bool,
    /// Room for the fields of a template that is being read, so that repeated announcements allocate nothing.
    fields: Vec<FieldSpecifier>,
}

impl ExporterState {
    /// Nothing is known yet. The budget for pending sets may be shared with other exporters.
    pub(crate) fn new(limits: SessionLimits, budget: PendingBudget) -> Self {
        Self {
            ports: Ports::default(),
            templates: TemplateStore::new(limits.templates),
            samplers: Samplers::default(),
            types: TypeInformation::default(),
            options: Options::default(),
            pending: Pending::new(limits.pending, budget),
            sequences: Sequences::default(),
            restarts: Restarts::default(),
            read: ReadOptions::default(),
            ambiguities: Ambiguities::default(),
            connections: Connections::default(),
            is_restored: false,
            fields: Vec::new(),
        }
    }

    /// Notes the sequence number of a message that has been decoded, and how many units of its protocol it holds; `None`
    /// when they could not be counted. Not of data that were carried over.
    pub(crate) fn note_arrival(&mut self, message: &Message, units: Option<u32>, report: &mut Decoded) {
        if self.read.is_carried {
            return;
        }
        let noted = Noted {
            key: StreamKey::of(message),
            port: message.exporter.port,
            number: message.sequence,
            units,
            has_data: report.has_data(),
            clocks: Clocks::of(message),
        };
        report.arrival = Some(self.sequences.note(&self.ports, &noted));
    }

    /// Notes a sequence number of an sFlow datagram, which numbers one unit.
    pub(crate) fn note_number(
        &mut self,
        protocol: Protocol,
        number: &SequenceNumber,
        datagram: &Datagram<'_>,
    ) -> Arrival {
        let noted = Noted {
            key: StreamKey::of_sflow(protocol, number),
            port: datagram.exporter.port,
            number: number.number,
            units: Some(1),
            has_data: true,
            clocks: Clocks::of_sflow(number, datagram.received),
        };
        self.sequences.note(&self.ports, &noted)
    }

    /// The first datagram after a restart of the collector: what was stored is as recent as it was then.
    pub(crate) fn resume(&mut self, received: Timestamp) {
        if std::mem::take(&mut self.is_restored) {
            self.ports.resume(received);
            self.templates.resume(received);
            self.samplers.resume(received);
        }
    }

    /// Changes with every announcement that is new.
    pub(crate) fn changes(&self) -> u64 {
        self.templates.changes() + self.samplers.changes() + self.ports.changes() + self.connections.changes()
    }

    /// Adds what was counted of a connection that has ended.
    pub(crate) fn count_those_of(&mut self, ended: &Self) {
        self.templates.count_those_of(&ended.templates);
        self.sequences.count_those_of(&ended.sequences);
        self.ambiguities.merge(&ended.ambiguities);
    }

    /// Forgets the templates of an exporting process that has restarted.
    pub(crate) fn note_restart(&mut self, message: &Message) {
        if self.restarts.note(&self.ports, message) {
            self.templates.invalidate_domain(message.protocol, message.domain, message.exporter.port);
        }
    }

    /// An empty list with room for `count` fields of a template; to be given back with
    /// [`return_fields`](Self::return_fields).
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
