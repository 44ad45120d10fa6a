//! Templates: the layout of data records, announced by the exporter (RFC 7011, section 3.4; RFC 3954, section 5.2).
//!
//! A template keeps its fields for listing and its [`Plan`] for accounting. Its wire format is in [`crate::netflow_v9`]
//! and [`crate::ipfix`], its storage in [`crate::template_store`], and how records show their fields in
//! [`crate::templated_record`].

use std::cell::OnceCell;
use std::net::IpAddr;

use crate::booking::{self, Slot};
use crate::cursor::{Cursor, unsigned};
use crate::error::ErrorKind;
use crate::field_specifier::{FIRST_TEMPLATE_ID, FieldSpecifier, Numbering, TemplateKind, with_content};
use crate::plan::Plan;
use crate::record::ElementId;
use crate::row_plan::RowPlan;
use crate::sampling::Parameters;
use crate::structured_data::RecordLayout;
use crate::type_information;

/// An address in a field; `None` if it is empty or of another length.
pub(crate) fn address(octets: &[u8]) -> Option<IpAddr> {
    let address = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some(flow::canonical(address)).filter(|address| !address.is_unspecified())
}

/// A template, ready to read records with.
#[derive(Clone, Debug)]
pub struct Template {
    id: u16,
    kind: TemplateKind,
    numbering: Numbering,
    fields: Box<[FieldSpecifier]>,
    plan: Plan,
    /// How its records become rows: compiled when the first one is asked for. It takes no more than as much memory again as
    /// the rest.
    row_plan: OnceCell<Box<RowPlan>>,
    /// Where its records give a sampling rate.
    sampling: Parameters,
    /// Whether its records describe information elements (RFC 5610).
    describes_elements: bool,
}

impl Template {
    /// Compiles an announced template. Fields of length 0 are left out; a template with no other fields describes no
    /// record.
    ///
    /// # Errors
    /// [`ErrorKind::BadTemplate`] if the id is below 256, there is no field, the scope is larger than the record, or the
    /// record would be longer than 65535 octets.
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
        let describes_elements = type_information::is_described_by(kind, numbering, &fields);
        let sampling = Parameters::locate(&fields);
        Ok(Self { id, kind, numbering, fields, plan, row_plan: OnceCell::new(), sampling, describes_elements })
    }

    /// Whether an announcement repeats this template.
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

    /// The octets of the scope fields, which are the first of a record.
    pub(crate) fn scope<'r>(&self, record: &'r [u8]) -> &'r [u8] {
        let mut cursor = Cursor::new(record);
        let scope = self.fields.iter().take(self.kind.scope_fields());
        // Stops at the first one that is not whole.
        let _ = scope.map(|field| field.take(&mut cursor)).take_while(Option::is_some).count();
        record.get(..cursor.offset()).unwrap_or(record)
    }

    /// Memory outside of the struct, in octets.
    pub(crate) fn heap_octets(&self) -> usize {
        size_of_val(&*self.fields) + self.plan.heap_octets() + self.sampling.heap_octets()
    }

    pub(crate) const fn numbering(&self) -> Numbering {
        self.numbering
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How its records become rows.
    pub(crate) fn row_plan(&self) -> &RowPlan {
        self.row_plan.get_or_init(|| Box::new(RowPlan::of_template(&self.fields, self.plan.samples())))
    }

    /// Where its records give a sampling rate.
    pub(crate) const fn sampling(&self) -> &Parameters {
        &self.sampling
    }

    /// Whether its records are of flows, and name their sampler.
    pub(crate) fn names_sampler(&self) -> bool {
        self.kind == TemplateKind::Data && self.plan.fills(Slot::SamplerId)
    }

    /// Whether its records name their sampler by a number that flags are a part of.
    pub(crate) fn combines_sampler(&self) -> bool {
        self.fields.iter().any(|field| field.element == booking::FLAGS_AND_SAMPLER_ID)
    }

    /// The number in a field of a record, by its element in IANA's registry. For the rare fields that have no slot.
    pub(crate) fn number(&self, record: &[u8], element: u16) -> Option<u64> {
        let element = ElementId { enterprise: 0, id: element };
        let (_, octets) = self.fields_of(record).find(|(field, _)| field.element == element)?;
        Some(unsigned(octets))
    }

    /// The exporter that a data record names. An empty address is none.
    pub(crate) fn exporter(&self, record: &[u8]) -> Option<IpAddr> {
        if !self.plan.names_exporter() {
            return None;
        }
        let place = |field: &FieldSpecifier| booking::exporter_place(field.element);
        let named = self.fields_of(record).filter_map(|(field, octets)| Some((place(field)?, address(octets)?)));
        named.min_by_key(|(place, _)| *place).map(|(_, address)| address)
    }

    /// Whether its records describe information elements (RFC 5610).
    pub(crate) const fn describes_elements(&self) -> bool {
        self.describes_elements
    }

    /// The fields of a record, each with its octets, as far as they are there.
    pub(crate) fn fields_of<'r>(&self, record: &'r [u8]) -> impl Iterator<Item = (&FieldSpecifier, &'r [u8])> {
        let mut cursor = Cursor::new(record);
        self.fields.iter().map_while(move |field| Some((field, field.take(&mut cursor)?)))
    }
}

impl RecordLayout for Template {
    fn field(&self, index: usize) -> Option<(ElementId, u16)> {
        self.fields.get(index).map(|field| (field.element, field.length))
    }
}
