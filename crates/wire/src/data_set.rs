//! Data sets: records that a template describes (RFC 7011, section 3.4.3; RFC 3954, section 5.3). The same for
//! NetFlow v9 and IPFIX.

use crate::cursor::Cursor;
use crate::datagram::Message;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::ExporterState;
use crate::options::Options;
use crate::plan::Layout;
use crate::record::{Record, RecordKind};
use crate::sampling::Samplers;
use crate::template::Template;
use crate::template_store::{Announcement, TemplateKey, TemplateStore};
use crate::templated_record::TemplatedRecord;
use crate::type_information::TypeInformation;

/// How many data records a set contained; `None` if its template is missing.
pub(crate) type Units = Option<u32>;

/// Decodes the content of a data set, or queues it until its template arrives.
pub(crate) fn decode(
    state: &mut ExporterState,
    message: &Message,
    id: u16,
    content: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> Units {
    let Some(template) = state.templates.find(message, id) else {
        report.missing_template_sets += 1;
        report.missing_template_bytes += content.remaining() as u32;
        if state.pending.hold(message, id, content.rest()) {
            report.pending += 1;
        }
        return None;
    };
    let mut others = Others {
        templates: &state.templates,
        samplers: &mut state.samplers,
        types: &mut state.types,
        options: &mut state.options,
        reads_interfaces: state.reads_interfaces,
    };
    Some(records(template, &mut others, message, content, visit, report))
}

/// Stores a template and decodes the sets that are pending for it.
pub(crate) fn learn(
    state: &mut ExporterState,
    message: &Message,
    announcement: Announcement<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> Result<(), ErrorKind> {
    let before = state.templates.changes();
    state.templates.learn(message, announcement)?;
    if state.templates.changes() != before {
        state.options.forget(&TemplateKey::of(message, announcement.id));
    }
    for held in state.pending.take(&TemplateKey::of(message, announcement.id)) {
        let Some(template) = state.templates.find(&held.message, announcement.id) else { continue };
        let mut late = Decoded::default();
        let content = Cursor::new(&held.octets);
        let mut others = Others {
            templates: &state.templates,
            samplers: &mut state.samplers,
            types: &mut state.types,
            options: &mut state.options,
            reads_interfaces: state.reads_interfaces,
        };
        records(template, &mut others, &held.message, content, visit, &mut late);
        report.add_pending(&late, announcement.offset);
    }
    Ok(())
}

/// The parts of an exporter's state that reading records needs beside their template.
struct Others<'m> {
    templates: &'m TemplateStore,
    samplers: &'m mut Samplers,
    types: &'m mut TypeInformation,
    options: &'m mut Options,
    reads_interfaces: bool,
}

/// Decodes the records of a set. A rest that is shorter than the shortest record is padding, whatever its octets are
/// (RFC 7011, section 3.3.1).
fn records(
    template: &Template,
    others: &mut Others<'_>,
    message: &Message,
    mut content: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> u32 {
    let plan = template.plan();
    let kind = template.kind().record_kind();
    let mut room = Layout::EMPTY;
    let Others { templates, samplers, types, options, reads_interfaces } = others;
    let mut rates = samplers.of_set(message, plan);
    let mut count = 0;
    // With a template of length 0 a set would contain endless records.
    while plan.minimum_length() > 0 && content.remaining() >= plan.minimum_length() {
        let start = content.offset();
        let Some(reading) = plan.read(&mut content, &mut room) else {
            report.error(start, ErrorKind::TruncatedField);
            break;
        };
        let octets = reading.record();
        let mut flow = match kind {
            RecordKind::Options => {
                samplers.learn(message, plan, &reading);
                if template.describes_elements() {
                    types.learn(template.fields_of(octets));
                }
                options.note(message, template, octets);
                None
            }
            _ if plan.counts() => plan.flow(&reading, message.exported),
            _ if plan.samples() => plan.sampled_flow(&reading, message.exported),
            _ => None,
        };
        if let Some(flow) = &mut flow {
            flow.sampling = samplers.of(message, plan, &reading, &mut rates);
            if *reads_interfaces {
                (flow.input_interface, flow.output_interface) = plan.interfaces(&reading);
            }
        }
        let content = TemplatedRecord { template, octets, templates, types, message };
        visit(&Record {
            message,
            kind,
            format: Some(u32::from(template.id())),
            flow: flow.as_ref(),
            content: &content,
        });
        count += 1;
    }
    report.corrected_rates += rates.corrected;
    match kind {
        RecordKind::Options => report.options += count,
        _ => report.data += count,
    }
    count
}
