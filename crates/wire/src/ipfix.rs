//! IPFIX messages (RFC 7011).

use flow::{Protocol, Timestamp};
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cursor::Cursor;
use crate::data_set;
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::ExporterState;
use crate::field_specifier::{FIRST_TEMPLATE_ID, TemplateKind, ipfix_specifier};
use crate::fixed_record::header;
use crate::record::Record;
use crate::session_rules::{Redefinitions, SessionRules, Withdrawals};
use crate::set;
use crate::template_store::Announcement;

/// Id of a set of templates.
pub const TEMPLATE_SET: u16 = 2;
/// Id of a set of options templates.
pub const OPTIONS_TEMPLATE_SET: u16 = 3;
/// Octets of a field specifier without an enterprise number.
const SPECIFIER_LENGTH: usize = 4;

/// The message header (RFC 7011, section 3.1).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 10.
    pub version: U16,
    /// Octets of the message, this header included.
    pub length: U16,
    /// Seconds since 1970.
    pub export_seconds: U32,
    /// Data records sent in this observation domain before this message, modulo 2^32.
    pub sequence: U32,
    /// Observation domain.
    pub domain: U32,
}
const _: () = assert!(size_of::<Header>() == 16);

impl Header {
    fn message(&self, datagram: &Datagram<'_>) -> Message {
        Message {
            protocol: Protocol::Ipfix,
            exporter: datagram.exporter,
            received: datagram.received,
            exported: Timestamp::from_seconds(u64::from(self.export_seconds.get())),
            domain: self.domain.get(),
            sequence: self.sequence.get(),
            uptime: None,
        }
    }
}

/// Decodes the message of a datagram. A datagram contains one message; octets after it are counted and ignored.
///
/// The length in the header only decides where the lengths of the sets leave it open ([`set::extent`]): exporters send
/// lengths that leave out a part of the last set, or that are greater than the datagram.
pub(crate) fn decode(
    state: &mut ExporterState,
    datagram: &Datagram<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    report.protocol = Some(Protocol::Ipfix);
    let mut cursor = Cursor::new(datagram.payload);
    let Some(header) = header::<Header>(&mut cursor) else {
        report.error(0, ErrorKind::TruncatedHeader);
        return;
    };
    let message = header.message(datagram);
    let length = usize::from(header.length.get());
    if length != datagram.payload.len() {
        cursor = other_length(length, cursor, report);
    }
    let missing = length.saturating_sub(datagram.payload.len());
    if missing > 0 && !has_records(state, &message, cursor, missing) {
        cursor = Cursor::new(&[]);
    }
    let units = message_sets(state, &message, cursor, missing, visit, report);
    state.note_arrival(&message, units, report);
}

/// The sets of a message whose length is not that of its datagram.
#[cold]
fn other_length<'a>(length: usize, mut octets: Cursor<'a>, report: &mut Decoded) -> Cursor<'a> {
    let announced = length.saturating_sub(size_of::<Header>());
    if length < size_of::<Header>() {
        report.error(0, ErrorKind::MessageTooShort);
    }
    if announced > octets.remaining() {
        report.error(0, ErrorKind::MessageTooLong);
        return octets;
    }
    let sets = octets.section(set::extent(octets.rest(), announced)).unwrap_or(octets);
    report.trailing_bytes = octets.remaining() as u32;
    sets
}

/// Whether a message of which octets are missing has data of a template that is known, or that may be in the message. If
/// not, it may be anything, and nothing is learnt from it.
#[cold]
fn has_records(state: &ExporterState, message: &Message, mut sets: Cursor<'_>, missing: usize) -> bool {
    let mut has_templates = false;
    let mut unreported = Decoded::default();
    while let Some((id, _)) = set::next(&mut sets, &mut unreported, |cut, _| cut.missing <= missing) {
        match id {
            TEMPLATE_SET | OPTIONS_TEMPLATE_SET => has_templates = true,
            FIRST_TEMPLATE_ID.. if has_templates || state.templates.find(&state.ports, message, id).is_some() => {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// Decodes the sets of a message, of whose octets some may be missing; returns the number of data records, `None` if a
/// template is missing.
fn message_sets(
    state: &mut ExporterState,
    message: &Message,
    mut sets: Cursor<'_>,
    missing: usize,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) -> data_set::Units {
    let mut units = Some(0_u32);
    while let Some((id, content)) = set::next(&mut sets, report, |cut, _| cut.missing <= missing) {
        match id {
            TEMPLATE_SET => templates(state, message, content, false, visit, report),
            OPTIONS_TEMPLATE_SET => templates(state, message, content, true, visit, report),
            FIRST_TEMPLATE_ID.. => {
                let records = data_set::decode(state, message, id, content, visit, report);
                units = units.zip(records).map(|(units, records)| units.saturating_add(records));
            }
            // Reserved (RFC 7011, section 3.3.2).
            _ => {}
        }
    }
    units
}

fn templates(
    state: &mut ExporterState,
    message: &Message,
    mut set: Cursor<'_>,
    options: bool,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    let padding = set::padding(&set);
    while set::has_template(&set, padding) {
        let offset = set.offset();
        let (Some(id), Some(count)) = (set.u16(), set.u16()) else { return };
        let rules = SessionRules::of(message.exporter.transport);
        if count == 0 {
            report.withdrawals += 1;
            match rules.withdrawals {
                Withdrawals::Ignored => {}
                Withdrawals::Honoured if data_set::withdraw(state, message, id) => {}
                Withdrawals::Honoured => report.error(offset, ErrorKind::UnknownWithdrawal),
            }
            continue;
        }
        let kind = if options {
            set.u16().map(|scope_fields| TemplateKind::Options { scope_fields })
        } else {
            Some(TemplateKind::Data)
        };
        let mut fields = state.lend_fields(usize::from(count).min(set.remaining() / SPECIFIER_LENGTH));
        fields.extend((0..count).map_while(|_| ipfix_specifier(&mut set)));
        let complete = kind.filter(|_| fields.len() == usize::from(count));
        let announced = match complete {
            Some(kind) => {
                let announcement = Announcement { id, kind, fields: &fields, offset };
                match rules.redefinitions {
                    Redefinitions::Errors if state.templates.is_redefined_by(message, &announcement) => {
                        report.error(offset, ErrorKind::RedefinedTemplate);
                    }
                    Redefinitions::Allowed | Redefinitions::Errors => {}
                }
                data_set::learn(state, message, announcement, visit, report)
            }
            None => data_set::refuse(state, message, id, ErrorKind::TruncatedTemplate),
        };
        state.return_fields(fields);
        match announced {
            Ok(()) if options => report.options_templates += 1,
            Ok(()) => report.templates += 1,
            Err(kind) => report.error(offset, kind),
        }
        if complete.is_none() {
            return;
        }
    }
}
