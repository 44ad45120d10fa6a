//! Rows as IPFIX messages, for IPFIX files (RFC 5655): the reverse of `row`. Templates follow from the table of columns;
//! which element a column is written as is in `elements`.
//!
//! A template has the fields that a row needs: the ends, the counters, and what is not 0. Rows of the same shape (the same kind,
//! the same versions of IP) share a template, and a field that it lacks makes another one, which has its fields as well. So
//! there are few templates, each is written once, before its first record, and a field that a record does not carry is 0 as
//! routers write it. Where a 0 would mean something, such as a time, rows without the field have another shape.
//!
//! Messages are short enough for datagrams, so that `netflow replay` can send what was written. Each has the rows of one second:
//! its export time is the second in which they count.

mod elements;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use columns::{Columns, Id, Row, RowKind};
use flow::Timestamp;

use crate::field_specifier::{FIRST_TEMPLATE_ID, VARIABLE_LENGTH};
use crate::ipfix;
use crate::message_writer::{Ipfix, TemplateSpec};
use elements::{Form, Presence, RowField};

pub use elements::is_written;

/// The longest message in octets: it fits into an Ethernet frame with the headers of IPv6 and UDP, and has room for the longest
/// template and a record of it.
const LONGEST_MESSAGE: usize = 1400;

/// Octets of the header of a set.
const SET_HEADER: usize = 4;

/// What the counters of rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowCounters {
    /// As the exporter sent them. Bytes and packets are written so, each record with its sampling rate. Flows are multiplied
    /// where flows were sampled: no element has that rate.
    Sent,
    /// Multiplied by the sampling rate: no rate is written, or readers would multiply again.
    Multiplied,
}

/// Writes rows as IPFIX messages of observation domain 0.
#[derive(Debug)]
pub struct RowWriter {
    /// What can be written, at most as many as a mask has bits.
    fields: Vec<RowField>,
    /// Those whose presence makes another shape.
    shaping: Fields,
    counters: RowCounters,
    clock_limit: Duration,
    templates: HashMap<Shape, RowTemplate>,
    next_id: u16,
    /// The octets of the current record.
    record: Vec<u8>,
    message: Ipfix,
    /// The set at its end.
    set: Option<OpenSet>,
    /// Its export time.
    seconds: u32,
    /// Data records in it, and in those before.
    records: u32,
    sequence: u32,
}

/// Some fields, one bit each.
type Fields = u128;

/// What rows of one template have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    kind: u64,
    fields: Fields,
}

/// A template that was written.
#[derive(Debug, Default)]
struct RowTemplate {
    id: u16,
    has: Fields,
    fields: Vec<RowField>,
}

/// A data set to which records are added.
#[derive(Clone, Copy, Debug)]
struct OpenSet {
    template: u16,
    /// Where it begins among the sets.
    at: usize,
}

impl RowWriter {
    /// The columns that rows must have in any case: they decide when a row counts, and whether it is a flow or an event.
    pub const NEEDED: Columns = Columns::of(&[Id::Received, Id::Exported, Id::Kind]);

    /// Writes these columns, as far as there are elements for them ([`is_written`]). A row counts at its export time, or at its
    /// time of receipt if these differ by more than the limit.
    #[must_use]
    pub fn new(columns: Columns, counters: RowCounters, clock_limit: Duration) -> Self {
        let all = elements::of_columns(columns);
        let fields: Vec<_> = all.filter(|field| field.presence != Presence::Rate || counters.are_sent()).collect();
        let shaping = mask(&fields, |field| field.is_shaping);
        Self {
            fields,
            shaping,
            counters,
            clock_limit,
            templates: HashMap::new(),
            next_id: FIRST_TEMPLATE_ID,
            record: Vec::new(),
            message: Ipfix::new(ipfix::Header::default()),
            set: None,
            seconds: 0,
            records: 0,
            sequence: 0,
        }
    }

    /// Adds a row; appends the messages that are complete.
    pub fn push(&mut self, row: &Row, out: &mut Vec<u8>) {
        let seconds = self.counts_at(row);
        if seconds != self.seconds {
            self.end_message(out);
            self.seconds = seconds;
        }
        let kind = row.number(Id::Kind);
        let needed = mask(&self.fields, |field| is_needed(field, row, kind));
        let shape = Shape { kind, fields: needed & self.shaping };
        let template = self.templates.entry(shape).or_default();
        let is_new = needed & !template.has != 0 || template.id == 0;
        if is_new {
            let has = template.has | needed;
            let numbered = self.fields.iter().enumerate();
            let fields = numbered.filter(|(bit, _)| has >> bit & 1 == 1).map(|(_, field)| *field).collect();
            *template = RowTemplate { id: self.next_id, has, fields };
            // There are at most 24 shapes of kind and versions of IP, with and without times and direction, and each gets no
            // more templates than there are fields: the numbers suffice.
            self.next_id = self.next_id.saturating_add(1);
        }
        self.record.clear();
        for field in &template.fields {
            write(field, row, self.counters, &mut self.record);
        }
        let id = template.id;
        let spec = is_new
            .then(|| TemplateSpec::data(id, template.fields.iter().map(|field| field.specifier).collect::<Vec<_>>()));
        self.add(id, spec, out);
    }

    /// Appends the last message. A file without rows has a message without sets, so that it is one.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.sequence == 0 && self.records == 0 {
            out.extend(self.message.finish());
        } else {
            self.end_message(out);
        }
    }

    /// The second in which a row counts.
    fn counts_at(&self, row: &Row) -> u32 {
        let [exported, received] = [Id::Exported, Id::Received].map(|id| Timestamp::from_milliseconds(row.number(id)));
        let at = if exported.is_within(self.clock_limit, received) { exported } else { received };
        u32::try_from(at.seconds()).unwrap_or(u32::MAX)
    }

    /// Adds the record, after its template if that is new.
    fn add(&mut self, id: u16, template: Option<TemplateSpec>, out: &mut Vec<u8>) {
        let of_template = template.as_ref().map_or(0, |template| SET_HEADER + 4 + 8 * template.fields.len());
        let header = size_of::<ipfix::Header>();
        let longest = header + self.message.sets.len() + of_template + SET_HEADER + self.record.len();
        if longest > LONGEST_MESSAGE {
            self.end_message(out);
        }
        if let Some(template) = template {
            self.end_set();
            let message = std::mem::replace(&mut self.message, Ipfix::new(ipfix::Header::default()));
            self.message = message.template(&template);
        }
        if self.set.is_none_or(|set| set.template != id) {
            self.end_set();
            self.set = Some(OpenSet { template: id, at: self.message.sets.len() });
            self.message.sets.extend_from_slice(&id.to_be_bytes());
            self.message.sets.extend_from_slice(&[0, 0]);
        }
        self.message.sets.extend_from_slice(&self.record);
        self.records += 1;
    }

    /// Fills in the length of the set at the end.
    fn end_set(&mut self) {
        let Some(OpenSet { at, .. }) = self.set.take() else { return };
        let length = (self.message.sets.len() - at) as u16;
        if let Some(octets) = self.message.sets.get_mut(at + 2..at + 4) {
            octets.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn end_message(&mut self, out: &mut Vec<u8>) {
        if self.records == 0 {
            return;
        }
        self.end_set();
        let next = Ipfix::new(ipfix::Header::default());
        let message = std::mem::replace(&mut self.message, next);
        let header = ipfix::Header {
            export_seconds: self.seconds.into(),
            sequence: self.sequence.into(),
            ..ipfix::Header::default()
        };
        out.extend(message.with_header(header).finish());
        self.sequence = self.sequence.wrapping_add(self.records);
        self.records = 0;
    }
}

impl RowCounters {
    const fn are_sent(self) -> bool {
        matches!(self, Self::Sent)
    }
}

/// The fields of which something is so.
fn mask(fields: &[RowField], is_so: impl Fn(&RowField) -> bool) -> Fields {
    let bits = fields.iter().enumerate().filter(|(_, field)| is_so(field));
    bits.fold(0, |mask, (bit, _)| mask | 1 << bit)
}

/// Whether a row cannot be written without a field.
fn is_needed(field: &RowField, row: &Row, kind: u64) -> bool {
    let is = |kinds: &[RowKind]| kinds.iter().any(|one| *one as u64 == kind);
    let counts = is(&[RowKind::Flow, RowKind::Packet]);
    if field.ip.is_some_and(|(end, is_v6)| row.address(end).is_ipv6() != is_v6) {
        return false;
    }
    match field.presence {
        Presence::Always => true,
        Presence::Counter => counts,
        Presence::Flows => counts && row.number(Id::Flows).max(1).saturating_mul(row.number(Id::FlowRate).max(1)) != 1,
        Presence::Rate => counts && row.number(Id::Rate) > 1,
        Presence::Mark(mark) => is(&[mark]) || row.number(field.column) != 0,
        Presence::Both(other) => row.number(field.column) != 0 || row.number(other) != 0,
        Presence::WithValue => match field.form {
            Form::Ipv4 | Form::Ipv6 => {
                let address = row.address(field.column);
                !address.is_unspecified() && address.is_ipv6() == (field.form == Form::Ipv6)
            }
            _ => row.number(field.column) != 0,
        },
    }
}

/// Writes the value of a field.
fn write(field: &RowField, row: &Row, counters: RowCounters, out: &mut Vec<u8>) {
    let number = row.number(field.column);
    let number = match (field.form, row.address(field.column)) {
        (Form::Ipv4, IpAddr::V4(address)) => return out.extend(address.octets()),
        (Form::Ipv6, IpAddr::V6(address)) => return out.extend(address.octets()),
        (Form::Ipv6, _) => return out.extend([0; 16]),
        // Its length decides which octet is the first one.
        (Form::Octets, _) => {
            let octets = number.to_be_bytes();
            let octets = octets.get(number.leading_zeros() as usize / 8..).unwrap_or_default();
            out.push(octets.len() as u8);
            return out.extend(octets);
        }
        (Form::Ipv4, _) => 0,
        // 0 for ingress and 1 for egress: the column has 0 for neither.
        (Form::Direction, _) => number.saturating_sub(1),
        // Traffic class and end of stack are not known.
        (Form::MplsLabel, _) => number << 4,
        (Form::Number, _) => match field.presence {
            Presence::Rate | Presence::Flows => number.max(1),
            _ => number,
        },
    };
    let factor = if field.column == Id::Flows && counters.are_sent() { row.number(Id::FlowRate).max(1) } else { 1 };
    let octets = number.saturating_mul(factor).to_be_bytes();
    let length = usize::from(field.specifier.length);
    debug_assert!(length <= octets.len() && field.specifier.length != VARIABLE_LENGTH);
    out.extend(octets.get(octets.len().saturating_sub(length)..).unwrap_or_default());
}
