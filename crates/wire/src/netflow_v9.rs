//! NetFlow version 9 (RFC 3954). Field types are those of IPFIX up to 127; see [`crate::information_element`] for the
//! rest.
//!
//! Flow sets are read by their lengths, because softflowd, FortiGate and nProbe send wrong counts in the header. The count
//! only decides whether a flow set that ends after the datagram was cut.

use flow::{Protocol, Timestamp};
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cursor::Cursor;
use crate::data_set;
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::ExporterState;
use crate::field_specifier::{FIRST_TEMPLATE_ID, FieldSpecifier, TemplateKind};
use crate::fixed_record::header;
use crate::record::{ElementId, Record};
use crate::set::{self, CutSet};
use crate::template_store::Announcement;

/// Id of a flow set of templates.
pub const TEMPLATE_SET: u16 = 0;
/// Id of a flow set of options templates.
pub const OPTIONS_TEMPLATE_SET: u16 = 1;
/// Octets of a field specifier.
const SPECIFIER_LENGTH: usize = 4;

/// The header of an export packet (RFC 3954, section 5.1).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 9.
    pub version: U16,
    /// Records of all kinds in the packet; often wrong.
    pub count: U16,
    /// Milliseconds since the exporter started.
    pub uptime: U32,
    /// Seconds since 1970.
    pub unix_seconds: U32,
    /// Counts export packets.
    pub sequence: U32,
    /// The exporter's observation domain.
    pub source_id: U32,
}
const _: () = assert!(size_of::<Header>() == 20);

impl Header {
    fn message(&self, datagram: &Datagram<'_>) -> Message {
        Message {
            protocol: Protocol::NetflowV9,
            exporter: datagram.exporter,
            received: datagram.received,
            exported: Timestamp::from_seconds(u64::from(self.unix_seconds.get())),
            domain: self.source_id.get(),
            sequence: self.sequence.get(),
            uptime: Some(self.uptime.get()),
        }
    }
}

pub(crate) fn decode(
    state: &mut ExporterState,
    datagram: &Datagram<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    report.protocol = Some(Protocol::NetflowV9);
    let mut cursor = Cursor::new(datagram.payload);
    let Some(header) = header::<Header>(&mut cursor) else {
        report.error(0, ErrorKind::TruncatedHeader);
        return;
    };
    let message = header.message(datagram);
    state.note_restart(&message);
    let count = usize::from(header.count.get());
    // More records are announced than are there.
    let is_cut = |state: &ExporterState, cut: &CutSet<'_>, report: &Decoded| {
        report.records() + data_set::whole_records(state, &message, cut.id, cut.content) < count
    };
    while let Some((id, content)) = set::next(&mut cursor, report, |cut, report| is_cut(state, cut, report)) {
        match id {
            TEMPLATE_SET => templates(state, &message, content, visit, report),
            OPTIONS_TEMPLATE_SET => options_templates(state, &message, content, visit, report),
            FIRST_TEMPLATE_ID.. => {
                data_set::decode(state, &message, id, content, visit, report);
            }
            // Reserved (RFC 3954, section 5.2).
            _ => {}
        }
    }
    state.note_arrival(&message, Some(1), report);
}

fn templates(
    state: &mut ExporterState,
    message: &Message,
    mut set: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    let padding = set::padding(&set);
    while set::has_template(&set, padding) {
        let offset = set.offset();
        let (Some(id), Some(count)) = (set.u16(), set.u16()) else { return };
        let fields = set.section(usize::from(count) * SPECIFIER_LENGTH);
        let is_whole = fields.is_some();
        let fields = fields.ok_or(ErrorKind::TruncatedTemplate);
        match announce(state, message, id, TemplateKind::Data, fields, visit, report) {
            Ok(()) => report.templates += 1,
            Err(kind) => report.error(offset, kind),
        }
        if !is_whole {
            return;
        }
    }
}

/// Options templates give the lengths of their field lists in octets, where templates give counts (section 6.1).
fn options_templates(
    state: &mut ExporterState,
    message: &Message,
    mut set: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    let padding = set::padding(&set);
    while set::has_template(&set, padding) {
        let offset = set.offset();
        let (Some(id), Some(scope), Some(options)) = (set.u16(), set.u16(), set.u16()) else { return };
        let (scope, options) = (usize::from(scope), usize::from(options));
        let fields = if scope.is_multiple_of(SPECIFIER_LENGTH) && options.is_multiple_of(SPECIFIER_LENGTH) {
            set.section(scope + options).ok_or(ErrorKind::TruncatedTemplate)
        } else {
            Err(ErrorKind::BadTemplate)
        };
        let is_whole = fields.is_ok();
        let kind = TemplateKind::Options { scope_fields: (scope / SPECIFIER_LENGTH) as u16 };
        match announce(state, message, id, kind, fields, visit, report) {
            Ok(()) => report.options_templates += 1,
            Err(kind) => report.error(offset, kind),
        }
        if !is_whole {
            // The start of the next template is then unknown, too.
            return;
        }
    }
}

fn announce(
    state: &mut ExporterState,
    message: &Message,
    id: u16,
    kind: TemplateKind,
    specifiers: Result<Cursor<'_>, ErrorKind>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> Result<(), ErrorKind> {
    let mut specifiers = match specifiers {
        Ok(specifiers) => specifiers,
        Err(reason) => return data_set::refuse(state, message, id, reason),
    };
    let offset = specifiers.offset();
    let mut fields = state.lend_fields(specifiers.remaining() / SPECIFIER_LENGTH);
    while let (Some(id), Some(length)) = (specifiers.u16(), specifiers.u16()) {
        fields.push(FieldSpecifier { element: ElementId { enterprise: 0, id }, length });
    }
    let announced = data_set::learn(state, message, Announcement { id, kind, fields: &fields, offset }, visit, report);
    state.return_fields(fields);
    announced
}
