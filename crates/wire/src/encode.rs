//! Flow records to datagrams: an exporter for tests and for load. The structs are those of the decoders.
//!
//! Versions, counts and lengths are filled in here; everything else of a header is as it is given, so that a test
//! can say something wrong on purpose by patching the octets afterwards. sFlow has its own: [`crate::sflow::encode`].

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{Immutable, IntoBytes};

use crate::template::{FieldSpecifier, TemplateKind, VARIABLE_LENGTH};
use crate::{ipfix, netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v8, netflow_v9};

/// A NetFlow v1 datagram.
#[must_use]
pub fn netflow_v1(header: &netflow_v1::Header, records: &[netflow_v1::Record]) -> Vec<u8> {
    fixed(&netflow_v1::Header { version: U16::new(1), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v5 datagram.
#[must_use]
pub fn netflow_v5(header: &netflow_v5::Header, records: &[netflow_v5::Record]) -> Vec<u8> {
    fixed(&netflow_v5::Header { version: U16::new(5), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v6 datagram.
#[must_use]
pub fn netflow_v6(header: &netflow_v6::Header, records: &[netflow_v6::Record]) -> Vec<u8> {
    fixed(&netflow_v6::Header { version: U16::new(6), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v7 datagram.
#[must_use]
pub fn netflow_v7(header: &netflow_v7::Header, records: &[netflow_v7::Record]) -> Vec<u8> {
    fixed(&netflow_v7::Header { version: U16::new(7), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v8 datagram. The records are octets as [`netflow_v8::record`] makes them, all of the header's scheme.
#[must_use]
pub fn netflow_v8(header: &netflow_v8::Header, records: &[Vec<u8>]) -> Vec<u8> {
    let header = netflow_v8::Header { version: U16::new(8), count: count(records.len()), ..*header };
    let mut datagram = header.as_bytes().to_vec();
    datagram.extend(records.iter().flatten());
    datagram
}

fn fixed<H: IntoBytes + Immutable, R: IntoBytes + Immutable>(header: &H, records: &[R]) -> Vec<u8> {
    let mut datagram = header.as_bytes().to_vec();
    for record in records {
        datagram.extend_from_slice(record.as_bytes());
    }
    datagram
}

fn count(records: usize) -> U16 {
    U16::new(u16::try_from(records).unwrap_or(u16::MAX))
}

/// A template as an exporter has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSpec {
    /// The template id, 256 or more.
    pub id: u16,
    /// Data or options, with the number of scope fields.
    pub kind: TemplateKind,
    /// The fields, scope fields first.
    pub fields: Vec<FieldSpecifier>,
}

impl TemplateSpec {
    /// A template of data records.
    #[must_use]
    pub fn data(id: u16, fields: impl Into<Vec<FieldSpecifier>>) -> Self {
        Self { id, kind: TemplateKind::Data, fields: fields.into() }
    }

    /// A template of options data records.
    #[must_use]
    pub fn options(id: u16, scope_fields: u16, fields: impl Into<Vec<FieldSpecifier>>) -> Self {
        Self { id, kind: TemplateKind::Options { scope_fields }, fields: fields.into() }
    }

    /// A record of this template from the octets of its fields: those of variable length get their length before them
    /// (RFC 7011, section 7); the others must have the length that the template says.
    #[must_use]
    pub fn record(&self, fields: &[&[u8]]) -> Vec<u8> {
        let mut record = Vec::new();
        for (specifier, octets) in self.fields.iter().zip(fields) {
            if specifier.length == VARIABLE_LENGTH {
                variable_length(&mut record, octets.len());
            }
            record.extend_from_slice(octets);
        }
        record
    }
}

fn variable_length(record: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 255 => record.push(short),
        _ => {
            record.push(255);
            record.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

/// A NetFlow v9 export packet, flow set by flow set.
#[derive(Clone, Debug)]
pub struct NetflowV9 {
    header: netflow_v9::Header,
    records: usize,
    sets: Vec<u8>,
}

impl NetflowV9 {
    /// A packet without flow sets.
    #[must_use]
    pub const fn new(header: netflow_v9::Header) -> Self {
        Self { header, records: 0, sets: Vec::new() }
    }

    /// Adds a template, in a flow set of its own.
    #[must_use]
    pub fn template(mut self, template: &TemplateSpec) -> Self {
        let mut content = template.id.to_be_bytes().to_vec();
        let id = match template.kind {
            TemplateKind::Data => {
                content.extend_from_slice(&length(template.fields.len()));
                netflow_v9::TEMPLATE_SET
            }
            TemplateKind::Options { scope_fields } => {
                let scope = usize::from(scope_fields);
                content.extend_from_slice(&length(scope * 4));
                content.extend_from_slice(&length(template.fields.len().saturating_sub(scope) * 4));
                netflow_v9::OPTIONS_TEMPLATE_SET
            }
        };
        for field in &template.fields {
            content.extend_from_slice(&field.element.id.to_be_bytes());
            content.extend_from_slice(&field.length.to_be_bytes());
        }
        set(&mut self.sets, id, &content);
        self.records += 1;
        self
    }

    /// Adds a flow set with this content, to which nothing is added.
    #[must_use]
    pub fn set(mut self, id: u16, content: &[u8]) -> Self {
        padded_set(&mut self.sets, id, content, 0);
        self.records += 1;
        self
    }

    /// Adds a data flow set of this template.
    #[must_use]
    pub fn data(mut self, template: &TemplateSpec, records: &[Vec<u8>]) -> Self {
        data_set(&mut self.sets, template, records);
        self.records += records.len();
        self
    }

    /// The datagram.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let header = netflow_v9::Header { version: U16::new(9), count: count(self.records), ..self.header };
        let mut datagram = header.as_bytes().to_vec();
        datagram.extend(self.sets);
        datagram
    }
}

/// An IPFIX message, set by set.
#[derive(Clone, Debug)]
pub struct Ipfix {
    header: ipfix::Header,
    sets: Vec<u8>,
}

impl Ipfix {
    /// A message without sets.
    #[must_use]
    pub const fn new(header: ipfix::Header) -> Self {
        Self { header, sets: Vec::new() }
    }

    /// Adds a template, in a set of its own.
    #[must_use]
    pub fn template(mut self, template: &TemplateSpec) -> Self {
        let mut content = template.id.to_be_bytes().to_vec();
        content.extend_from_slice(&length(template.fields.len()));
        let id = match template.kind {
            TemplateKind::Data => ipfix::TEMPLATE_SET,
            TemplateKind::Options { scope_fields } => {
                content.extend_from_slice(&scope_fields.to_be_bytes());
                ipfix::OPTIONS_TEMPLATE_SET
            }
        };
        for field in &template.fields {
            let enterprise = field.element.enterprise;
            let bit = if enterprise == 0 { 0 } else { ipfix::ENTERPRISE_BIT };
            content.extend_from_slice(&(field.element.id | bit).to_be_bytes());
            content.extend_from_slice(&field.length.to_be_bytes());
            if enterprise != 0 {
                content.extend_from_slice(&enterprise.to_be_bytes());
            }
        }
        set(&mut self.sets, id, &content);
        self
    }

    /// Adds a set with this content, to which nothing is added.
    #[must_use]
    pub fn set(mut self, id: u16, content: &[u8]) -> Self {
        padded_set(&mut self.sets, id, content, 0);
        self
    }

    /// Adds a data set of this template.
    #[must_use]
    pub fn data(mut self, template: &TemplateSpec, records: &[Vec<u8>]) -> Self {
        data_set(&mut self.sets, template, records);
        self
    }

    /// The datagram.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let octets = size_of::<ipfix::Header>() + self.sets.len();
        let header = ipfix::Header { version: U16::new(10), length: count(octets), ..self.header };
        let mut datagram = header.as_bytes().to_vec();
        datagram.extend(self.sets);
        datagram
    }
}

/// Adds a set of templates, whose lengths are multiples of two: padding cannot be taken for one.
fn set(sets: &mut Vec<u8>, id: u16, content: &[u8]) {
    padded_set(sets, id, content, usize::MAX);
}

fn data_set(sets: &mut Vec<u8>, template: &TemplateSpec, records: &[Vec<u8>]) {
    let shortest = template.fields.iter().map(|field| field.fixed_length().map_or(1, usize::from)).sum();
    padded_set(sets, template.id, &records.concat(), shortest);
}

/// Adds a set, padded to a multiple of four octets unless the padding could be taken for a record (RFC 7011, section
/// 3.3.1).
fn padded_set(sets: &mut Vec<u8>, id: u16, content: &[u8], shortest_record: usize) {
    let padding = content.len().next_multiple_of(4) - content.len();
    let padding = if padding < shortest_record { padding } else { 0 };
    sets.extend_from_slice(&id.to_be_bytes());
    sets.extend_from_slice(&length(4 + content.len() + padding));
    sets.extend_from_slice(content);
    sets.extend(std::iter::repeat_n(0, padding));
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes()
}
