//! NetFlow v9 and IPFIX messages, set by set. The collector writes messages to keep what an exporter has announced
//! ([`crate::announcements`]) and data sets whose template is missing; what only tests and load need is in
//! [`crate::encode`].
//!
//! Versions, counts and lengths are filled in here; everything else of a header is as it is given.

use flow::Protocol;
use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::U16;

use crate::datagram::Message;
use crate::field_specifier::{ENTERPRISE_BIT, FieldSpecifier, TemplateKind};
use crate::{ipfix, netflow_v9};

/// A template of an exporter.
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
}

/// A NetFlow v9 export packet, built flow set by flow set.
#[derive(Clone, Debug)]
pub struct NetflowV9 {
    header: netflow_v9::Header,
    pub(crate) records: usize,
    pub(crate) sets: Vec<u8>,
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

    /// Adds a flow set with exactly this content.
    #[must_use]
    pub fn set(mut self, id: u16, content: &[u8]) -> Self {
        padded_set(&mut self.sets, id, content, 0);
        self.records += 1;
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

/// An IPFIX message, built set by set.
#[derive(Clone, Debug)]
pub struct Ipfix {
    header: ipfix::Header,
    pub(crate) sets: Vec<u8>,
}

impl Ipfix {
    /// A message without sets.
    #[must_use]
    pub const fn new(header: ipfix::Header) -> Self {
        Self { header, sets: Vec::new() }
    }

    /// The same with another header.
    pub(crate) fn with_header(self, header: ipfix::Header) -> Self {
        Self { header, ..self }
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
            let bit = if enterprise == 0 { 0 } else { ENTERPRISE_BIT };
            content.extend_from_slice(&(field.element.id | bit).to_be_bytes());
            content.extend_from_slice(&field.length.to_be_bytes());
            if enterprise != 0 {
                content.extend_from_slice(&enterprise.to_be_bytes());
            }
        }
        set(&mut self.sets, id, &content);
        self
    }

    /// Adds a set with exactly this content.
    #[must_use]
    pub fn set(mut self, id: u16, content: &[u8]) -> Self {
        padded_set(&mut self.sets, id, content, 0);
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

/// Adds a set, padded to a multiple of four octets unless the padding could be taken for a record (RFC 7011, section
/// 3.3.1).
pub(crate) fn padded_set(sets: &mut Vec<u8>, id: u16, content: &[u8], shortest_record: usize) {
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

pub(crate) fn count(records: usize) -> U16 {
    U16::new(u16::try_from(records).unwrap_or(u16::MAX))
}

/// A data set in a message of its own, with the header of the message that it came in.
pub(crate) fn pending_set(message: &Message, id: u16, content: &[u8]) -> Vec<u8> {
    let Message { protocol, exported, domain, sequence, uptime, .. } = *message;
    let seconds = u32::try_from(exported.seconds()).unwrap_or(u32::MAX).into();
    let (domain, sequence) = (domain.into(), sequence.into());
    if protocol == Protocol::NetflowV9 {
        let uptime = uptime.unwrap_or_default().into();
        let header =
            netflow_v9::Header { uptime, unix_seconds: seconds, sequence, source_id: domain, ..Default::default() };
        NetflowV9::new(header).set(id, content).finish()
    } else {
        let header = ipfix::Header { export_seconds: seconds, sequence, domain, ..Default::default() };
        Ipfix::new(header).set(id, content).finish()
    }
}
