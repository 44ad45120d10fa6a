//! Data sets: records that a template describes (RFC 7011, section 3.4.3; RFC 3954, section 5.3). The same for
//! NetFlow v9 and IPFIX.

use crate::ambiguity::{Ambiguities, ReadOptions};
use crate::connections::{Connections, Reports};
use crate::cursor::Cursor;
use crate::datagram::Message;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::ExporterState;
use crate::field_specifier::TemplateKind;
use crate::ipfix;
use crate::options::Options;
use crate::plan::Layout;
use crate::ports::Ports;
use crate::record::{Record, RecordKind};
use crate::sampling::{Samplers, SetSource};
use crate::session_rules::{MissingTemplates, SessionRules};
use crate::set;
use crate::template::Template;
use crate::template_store::{Announcement, FoundTemplate, TemplateKey, TemplateStore};
use crate::templated_record::TemplatedRecord;
use crate::type_information::TypeInformation;

/// How many data records a set contained; `None` if its template is missing.
pub(crate) type Units = Option<u32>;

/// Decodes the content of a data set, or queues it until its template arrives.
#[inline]
pub(crate) fn decode(
    state: &mut ExporterState,
    message: &Message,
    id: u16,
    content: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> Units {
    let Some(described) = state.templates.find(&state.ports, message, id) else {
        report.missing_template_sets += 1;
        report.missing_template_bytes += content.remaining() as u32;
        match SessionRules::of(message.exporter.transport).missing_templates {
            MissingTemplates::Queued => report.pending += u32::from(state.pending.hold(message, id, content.rest())),
            MissingTemplates::Discarded => report.discarded_sets += 1,
        }
        return None;
    };
    let mut others = Others {
        ports: &state.ports,
        templates: &state.templates,
        samplers: &mut state.samplers,
        types: &mut state.types,
        options: &mut state.options,
        read: state.read,
        ambiguities: &mut state.ambiguities,
        connections: &mut state.connections,
    };
    let read = records(described, &mut others, message, content, visit, report);
    read.note_other_ports(&mut state.ports, message, described.port);
    Some(read.count)
}

/// How many records a set contains at most; 0 if its template is missing.
pub(crate) fn whole_records(state: &ExporterState, message: &Message, id: u16, content: Cursor<'_>) -> usize {
    let found = state.templates.find(&state.ports, message, id);
    let shortest = found.map_or(0, |found| found.template.plan().minimum_length());
    content.remaining().checked_div(shortest).unwrap_or_default()
}

/// Notes an announcement that cannot be read: data of its id wait for a readable one. Returns the reason.
pub(crate) fn refuse(
    state: &mut ExporterState,
    message: &Message,
    id: u16,
    reason: ErrorKind,
) -> Result<(), ErrorKind> {
    announced(state, message, id, |state| state.templates.note_unreadable(&state.ports, message, id, reason))
}

/// Calls a function that changes a template, and forgets the options data that were read with the old one.
fn announced(
    state: &mut ExporterState,
    message: &Message,
    id: u16,
    change: impl FnOnce(&mut ExporterState) -> Result<(), ErrorKind>,
) -> Result<(), ErrorKind> {
    let before = state.templates.changes();
    let changed = change(state);
    if state.templates.changes() != before {
        state.options.forget(&TemplateKey::of(message, id));
    }
    changed
}

/// Withdraws the template of an id, or all of a kind if the id is that of their set (RFC 7011, section 8.1). Returns
/// whether there was one: to withdraw all of none is no error.
pub(crate) fn withdraw(state: &mut ExporterState, message: &Message, id: u16) -> bool {
    let withdrawn = match id {
        ipfix::TEMPLATE_SET => state.templates.ids(message, |kind| matches!(kind, TemplateKind::Data)),
        ipfix::OPTIONS_TEMPLATE_SET => state.templates.ids(message, |kind| !matches!(kind, TemplateKind::Data)),
        id => return withdraw_one(state, message, id),
    };
    for id in withdrawn {
        withdraw_one(state, message, id);
    }
    true
}

fn withdraw_one(state: &mut ExporterState, message: &Message, id: u16) -> bool {
    state.options.forget(&TemplateKey::of(message, id));
    state.templates.withdraw(message, id)
}

/// Stores a template and decodes the sets that are pending for it.
pub(crate) fn learn(
    state: &mut ExporterState,
    message: &Message,
    announcement: Announcement<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> Result<(), ErrorKind> {
    let id = announcement.id;
    announced(state, message, id, |state| state.templates.learn(&state.ports, message, announcement))?;
    let key = TemplateKey::of(message, id);
    let (ports, templates) = (&state.ports, &state.templates);
    // Sets of a port whose last announcement cannot be read keep waiting for that port.
    for held in state.pending.take(&key, |message| templates.find(ports, message, id).is_some()) {
        let found = state.templates.find(&state.ports, &held.message, id);
        let Some(described) = found else { continue };
        let mut late = Decoded::default();
        let content = Cursor::new(&held.octets);
        let mut others = Others {
            ports: &state.ports,
            templates: &state.templates,
            samplers: &mut state.samplers,
            types: &mut state.types,
            options: &mut state.options,
            read: state.read,
            ambiguities: &mut state.ambiguities,
            connections: &mut state.connections,
        };
        let read = records(described, &mut others, &held.message, content, visit, &mut late);
        read.note_other_ports(&mut state.ports, &held.message, described.port);
        if late.has_data() {
            state.ports.note(held.message.exporter.port, message.received);
        }
        report.add_pending(&late, announcement.offset);
    }
    Ok(())
}

/// The parts of an exporter's state that reading records needs beside their template.
struct Others<'m> {
    ports: &'m Ports,
    templates: &'m TemplateStore,
    samplers: &'m mut Samplers,
    types: &'m mut TypeInformation,
    options: &'m mut Options,
    read: ReadOptions,
    ambiguities: &'m mut Ambiguities,
    connections: &'m mut Connections,
}

/// What was read of a set.
struct ReadSet {
    kind: RecordKind,
    count: u32,
    /// The port that announced the sampling rate, if it is another one than that of the set.
    rate_port: Option<u16>,
}

impl ReadSet {
    /// Notes the other ports whose template or sampling rate these flows were read with.
    fn note_other_ports(&self, ports: &mut Ports, message: &Message, template_port: u16) {
        if self.count > 0 && self.kind == RecordKind::Data {
            let template_port = Some(template_port).filter(|port| *port != message.exporter.port);
            template_port.into_iter().chain(self.rate_port).for_each(|port| ports.note(port, message.received));
        }
    }
}

/// Decodes the records of a set. A rest that is shorter than the shortest record is padding, whatever its octets are
/// (RFC 7011, section 3.3.1). So are up to three zeros at the end of a set that they make a multiple of four octets long,
/// although records of that length exist: some templates have only such, or only fields of variable length.
fn records(
    described: FoundTemplate<'_>,
    others: &mut Others<'_>,
    message: &Message,
    mut content: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> ReadSet {
    let template = described.template;
    let plan = template.plan();
    let kind = template.kind().record_kind();
    let mut room = Layout::EMPTY;
    let Others { ports, templates, samplers, types, options, read, ambiguities, connections } = others;
    let source = SetSource { ports, templates, message, described };
    let mut rates = samplers.of_set(&source);
    let mut count = 0;
    let contents = Contents::of(template);
    let without_flow = if contents == Contents::Packets { RecordKind::NoIpHeader } else { kind };
    let may_be_padding =
        plan.minimum_length() < set::HEADER_LENGTH && content.remaining().is_multiple_of(set::HEADER_LENGTH);
    // With a template of length 0 a set would contain endless records.
    while plan.minimum_length() > 0 && content.remaining() >= plan.minimum_length() {
        let start = content.offset();
        if may_be_padding && count > 0 && is_padding(content.rest()) {
            break;
        }
        let Some(reading) = plan.read(&mut content, &mut room) else {
            report.error(start, ErrorKind::TruncatedField);
            break;
        };
        let octets = reading.record();
        let mut flow = match contents {
            Contents::Counters => plan.flow(&reading, message.exported),
            Contents::Sums => plan
                .flow(&reading, message.exported)
                .and_then(|flow| connections.rest(message, template, &reading, flow)),
            Contents::Packets => plan.sampled_flow(&reading, message.exported, read.tunnels, report),
            Contents::Options => {
                samplers.learn(ports, message, template, octets);
                if template.describes_elements() {
                    types.learn(template.fields_of(octets));
                }
                options.note(message, template, octets);
                None
            }
            Contents::Events => None,
        };
        if let Some(flow) = &mut flow {
            flow.sampling = samplers.of(&source, &reading, &mut rates);
            ambiguities.decide(template, &reading, read, flow);
        }
        let content = TemplatedRecord { template, octets, ports, templates, types, message };
        visit(&Record {
            message,
            kind: if flow.is_some() { kind } else { without_flow },
            format: Some(u32::from(template.id())),
            flow: flow.as_ref(),
            content: &content,
        });
        count += 1;
    }
    report.corrected_rates += rates.corrected;
    samplers.note_set(message, template, &rates);
    match kind {
        RecordKind::Options => report.options += count,
        _ => report.data += count,
    }
    ReadSet { kind, count, rate_port: rates.other_port }
}

/// Whether the rest of a set is shorter than the unit that sets are padded to, and zero.
fn is_padding(rest: &[u8]) -> bool {
    rest.len() < set::HEADER_LENGTH && set::is_zero(rest)
}

/// What the records of a template are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Counters of a flow, with its addresses or with neither those nor a packet.
    Counters,
    /// The same, of which some were counted before.
    Sums,
    /// A sampled packet, maybe with counters, but without other addresses.
    Packets,
    Options,
    Events,
}

impl Contents {
    fn of(template: &Template) -> Self {
        let plan = template.plan();
        if template.kind().record_kind() == RecordKind::Options {
            Self::Options
        } else if plan.is_of_packets() {
            Self::Packets
        } else if plan.counts() {
            if plan.reports() == Reports::New { Self::Counters } else { Self::Sums }
        } else {
            Self::Events
        }
    }
}
