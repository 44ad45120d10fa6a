//! What an exporter announces of a template: which records it describes, and the specifiers of their fields (RFC 7011,
//! section 3.2; RFC 3954, section 5.2). A template that is ready to read records with is in [`crate::template`].

use crate::cursor::Cursor;
use crate::record::{ElementId, RecordKind};

/// The length of a field whose length is in each record.
pub const VARIABLE_LENGTH: u16 = u16::MAX;

/// The smallest template id; smaller ids are those of sets without data records.
pub const FIRST_TEMPLATE_ID: u16 = 256;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldSpecifier {
    /// The information element; for the scope of a v9 options template, the scope type.
    pub element: ElementId,
    /// Octets; [`VARIABLE_LENGTH`] if it varies.
    pub length: u16,
}

impl FieldSpecifier {
    /// A field of IANA's registry.
    #[must_use]
    pub const fn iana(id: u16, length: u16) -> Self {
        Self { element: ElementId { enterprise: 0, id }, length }
    }

    /// The length, if it is the same in each record.
    #[must_use]
    pub const fn fixed_length(&self) -> Option<u16> {
        if self.length == VARIABLE_LENGTH { None } else { Some(self.length) }
    }

    /// Takes the octets of the field off a record; `None` when they are not all there.
    pub(crate) fn take<'r>(&self, record: &mut Cursor<'r>) -> Option<&'r [u8]> {
        match self.fixed_length() {
            Some(length) => record.take(length.into()),
            None => variable_length_content(record),
        }
    }
}

/// The content of a variable-length field (RFC 7011, section 7: one octet of length, or 255 and two).
pub(crate) fn variable_length_content<'a>(record: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = match record.u8()? {
        255 => usize::from(record.u16()?),
        short => usize::from(short),
    };
    record.take(length)
}

/// Bit of an IPFIX element identifier: an enterprise number follows (RFC 7011, section 3.2).
pub(crate) const ENTERPRISE_BIT: u16 = 0x8000;

/// The element of an IPFIX field specifier and its length, as templates and basicLists have them.
pub(crate) fn ipfix_specifier(octets: &mut Cursor<'_>) -> Option<FieldSpecifier> {
    let (id, length) = (octets.u16()?, octets.u16()?);
    let enterprise = if id & ENTERPRISE_BIT == 0 { 0 } else { octets.u32()? };
    Some(FieldSpecifier { element: ElementId { enterprise, id: id & !ENTERPRISE_BIT }, length })
}

/// Which records a template describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TemplateKind {
    /// Data records.
    Data,
    /// Options data records, the first fields of which are their scope.
    Options {
        /// How many fields are scope fields.
        scope_fields: u16,
    },
}

impl TemplateKind {
    pub(crate) const fn scope_fields(self) -> usize {
        match self {
            Self::Data => 0,
            Self::Options { scope_fields } => scope_fields as usize,
        }
    }

    /// The same, counting only scope fields that have content.
    pub(crate) fn with_content(self, fields: &[FieldSpecifier]) -> Self {
        match self {
            Self::Data => Self::Data,
            Self::Options { .. } => {
                let scope = fields.get(..self.scope_fields()).unwrap_or(fields);
                Self::Options { scope_fields: with_content(scope).count() as u16 }
            }
        }
    }

    pub(crate) const fn record_kind(self) -> RecordKind {
        match self {
            Self::Data => RecordKind::Data,
            Self::Options { .. } => RecordKind::Options,
        }
    }
}

/// The fields that have content. Juniper announces fields of length 0 for what it cannot report.
pub(crate) fn with_content(fields: &[FieldSpecifier]) -> impl Iterator<Item = FieldSpecifier> + '_ {
    fields.iter().copied().filter(|field| field.length > 0)
}

/// Who assigned the numbers of a template's fields: NetFlow v9 has its own for scopes and some field types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// RFC 3954, sections 6.1 and 8.
    NetflowV9,
    /// IANA's registry and private enterprise numbers.
    Ipfix,
}
