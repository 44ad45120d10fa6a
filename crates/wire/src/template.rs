//! Templates: the layout of data records, announced by the exporter (RFC 7011, section 3.4; RFC 3954, section 5.2).
//!
//! A template keeps its fields for listing and its [`Plan`] for accounting. How it looks on the wire is the business
//! of [`crate::netflow_v9`] and [`crate::ipfix`]; where it is kept, of [`crate::template_store`].

use crate::booking;
use crate::cursor::Cursor;
use crate::datagram::Message;
use crate::error::ErrorKind;
use crate::plan::{Plan, variable};
use crate::record::{ElementId, Field, FieldName, Fields, RecordKind, Value};
use crate::sampled_packet::SampledPacket;
use crate::structured_data::{self, RecordLayout};
use crate::template_store::TemplateStore;
use crate::type_information::{self, Description, TypeInformation};
use crate::value;

/// The length of a field that says in each record how long it is.
pub const VARIABLE_LENGTH: u16 = u16::MAX;

/// The smallest template id; those below are the ids of sets that hold no data records.
pub const FIRST_TEMPLATE_ID: u16 = 256;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldSpecifier {
    /// The information element; for the scope of a v9 options template, the scope type.
    pub element: ElementId,
    /// Octets; [`VARIABLE_LENGTH`] when each record says.
    pub length: u16,
}

impl FieldSpecifier {
    /// A field of IANA's registry.
    #[must_use]
    pub const fn iana(id: u16, length: u16) -> Self {
        Self { element: ElementId { enterprise: 0, id }, length }
    }

    /// The length, when it is the same in each record.
    #[must_use]
    pub const fn fixed_length(&self) -> Option<u16> {
        if self.length == VARIABLE_LENGTH { None } else { Some(self.length) }
    }
}

/// Which records a template describes, and by whose numbers its fields go.
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

    /// The same with the scope counted in those of the fields that have content.
    fn with_content(self, fields: &[FieldSpecifier]) -> Self {
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

/// The fields that have content. One of no length says nothing; Juniper announces such for what it cannot report.
pub(crate) fn with_content(fields: &[FieldSpecifier]) -> impl Iterator<Item = FieldSpecifier> + '_ {
    fields.iter().copied().filter(|field| field.length > 0)
}

/// By whose numbers the fields of a template go: NetFlow v9 has its own for scopes and some field types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// RFC 3954, sections 6.1 and 8.
    NetflowV9,
    /// IANA's registry and private enterprise numbers.
    Ipfix,
}

/// A template, ready to read records with.
#[derive(Clone, Debug)]
pub struct Template {
    id: u16,
    kind: TemplateKind,
    numbering: Numbering,
    fields: Box<[FieldSpecifier]>,
    plan: Plan,
    /// Whether its records tell about information elements.
    tells_types: bool,
}

impl Template {
    /// Compiles what an exporter announced. Fields of no length are left out; no record is of a template that has no
    /// others.
    ///
    /// # Errors
    /// [`ErrorKind::BadTemplate`] when the id is below 256, there is no field, the scope is larger than the record, or
    /// no record could be as long as the fields sum to.
    pub fn compile(
        id: u16,
        kind: TemplateKind,
        numbering: Numbering,
        fields: &[FieldSpecifier],
    ) -> Result<Self, ErrorKind> {
        if id < FIRST_TEMPLATE_ID || fields.is_empty() || kind.scope_fields() > fields.len() {
            return Err(ErrorKind::BadTemplate);
        }
        let kind = kind.with_content(fields);
        let fields: Box<[_]> = with_content(fields).collect();
        let unbooked = if numbering == Numbering::NetflowV9 { kind.scope_fields() } else { 0 };
        let plan = Plan::compile(&fields, unbooked).ok_or(ErrorKind::BadTemplate)?;
        let tells_types = type_information::is_told_by(kind, numbering, &fields);
        Ok(Self { id, kind, numbering, fields, plan, tells_types })
    }

    /// Whether an announcement says nothing but what is known.
    pub(crate) fn is_announced_by(&self, kind: TemplateKind, fields: &[FieldSpecifier]) -> bool {
        self.kind == kind.with_content(fields) && with_content(fields).eq(self.fields.iter().copied())
    }

    /// The template id.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Which records it describes.
    #[must_use]
    pub const fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The fields that have content in the order of the wire, scope fields first.
    #[must_use]
    pub fn fields(&self) -> &[FieldSpecifier] {
        &self.fields
    }

    /// The octets of the scope fields, which stand first in a record.
    pub(crate) fn scope<'r>(&self, record: &'r [u8]) -> &'r [u8] {
        let mut cursor = Cursor::new(record);
        for field in self.fields.iter().take(self.kind.scope_fields()) {
            let octets = match field.fixed_length() {
                Some(length) => cursor.take(usize::from(length)),
                None => variable(&mut cursor),
            };
            if octets.is_none() {
                break;
            }
        }
        record.get(..cursor.offset()).unwrap_or(record)
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether its records tell about information elements.
    pub(crate) const fn tells_types(&self) -> bool {
        self.tells_types
    }

    /// Calls the visitor with each field of a record: its position, what the template says, and its octets.
    pub(crate) fn each_field<'r>(&self, record: &'r [u8], visitor: &mut impl FnMut(usize, &FieldSpecifier, &'r [u8])) {
        let mut cursor = Cursor::new(record);
        for (index, specifier) in self.fields.iter().enumerate() {
            let octets = match specifier.fixed_length() {
                Some(length) => cursor.take(usize::from(length)),
                None => variable(&mut cursor),
            };
            let Some(octets) = octets else { return };
            visitor(index, specifier, octets);
        }
    }
}

impl RecordLayout for Template {
    fn field(&self, index: usize) -> Option<(ElementId, u16)> {
        self.fields.get(index).map(|field| (field.element, field.length))
    }
}

/// The octets of one record with the template that describes them.
pub(crate) struct TemplatedRecord<'r> {
    pub(crate) template: &'r Template,
    pub(crate) octets: &'r [u8],
    /// Where lists in the record find the templates of their items.
    pub(crate) templates: &'r TemplateStore,
    /// What the exporter has told about elements that are in no registry.
    pub(crate) types: &'r TypeInformation,
    pub(crate) message: &'r Message,
}

impl structured_data::Templates for TemplatedRecord<'_> {
    fn find(&self, template: u16) -> Option<&dyn RecordLayout> {
        self.templates.find(self.message, template).map(|template| template as &dyn RecordLayout)
    }

    fn describe(&self, element: ElementId) -> Option<Description<'_>> {
        self.types.find(element)
    }
}

impl Fields for TemplatedRecord<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        let scope_fields = self.template.kind.scope_fields();
        self.template.each_field(self.octets, &mut |index, &FieldSpecifier { element, .. }, octets| {
            let scope = index < scope_fields;
            let show_v9 = |(name, value), visitor: &mut dyn FnMut(&Field<'_>)| visitor(&Field { name, scope, value });
            match (self.template.numbering, scope) {
                (Numbering::Ipfix, _) => structured_data::visit_field(element, scope, octets, self, visitor),
                (Numbering::NetflowV9, false) => show_v9(value::decode_v9(element.id, octets), visitor),
                (Numbering::NetflowV9, true) => show_v9(scope_field(element, octets), visitor),
            }
            show_section(element, octets, visitor);
        });
    }
}

/// Shows what the head of a sampled packet says, behind its octets, as it is done for sFlow.
fn show_section(element: ElementId, octets: &[u8], visitor: &mut dyn FnMut(&Field<'_>)) {
    if let Some(link) = booking::section_link(element) {
        SampledPacket::parse(link, octets).visit(visitor);
    }
}

/// A scope field of NetFlow v9 (RFC 3954, section 6.1), whose types are no information elements. Its content is a
/// number where it is short enough: an interface index, a template id, a line card.
fn scope_field(element: ElementId, octets: &[u8]) -> (FieldName<'static>, Value<'_>) {
    let name = match element.id {
        1 => FieldName::Named("scopeSystem"),
        2 => FieldName::Named("scopeInterface"),
        3 => FieldName::Named("scopeLineCard"),
        4 => FieldName::Named("scopeCache"),
        5 => FieldName::Named("scopeTemplate"),
        _ => FieldName::Unknown(element),
    };
    let value = match octets.len() {
        1..=8 => Value::Unsigned(crate::plan::unsigned(octets)),
        _ => Value::Octets(octets),
    };
    (name, value)
}
