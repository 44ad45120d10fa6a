//! The fields of a data record, listed by its template: names, values, lists, and the headers of sampled packets.
//! Accounting reads records with [`crate::plan`] instead.

use std::net::IpAddr;

use columns::{Row, RowKind};
use flow::FlowRecord;

use crate::ambiguity::{Ambiguities, ReadOptions};
use crate::booking::{self, Slot};
use crate::cursor::{Cursor, unsigned};
use crate::datagram::Message;
use crate::decoded::Decoded;
use crate::field_specifier::{FieldSpecifier, Numbering, TemplateKind};
use crate::information_element::{lookup, lookup_v9};
use crate::inner_ends;
use crate::plan::{Layout, Plan};
use crate::ports::Ports;
use crate::record::{ElementId, Field, FieldName, Fields, Value};
use crate::row;
use crate::sampled_packet::{Headers, LinkType, SampledPacket, Tunnelled};
use crate::structured_data::{self, RecordLayout};
use crate::template::Template;
use crate::template_store::TemplateStore;
use crate::type_information::{Description, TypeInformation};
use crate::value;

/// The octets of one record with the template that describes them.
pub(crate) struct TemplatedRecord<'r> {
    pub(crate) template: &'r Template,
    pub(crate) octets: &'r [u8],
    /// For the templates of items in lists.
    pub(crate) ports: &'r Ports,
    pub(crate) templates: &'r TemplateStore,
    /// The exporter's descriptions of elements that are in no registry.
    pub(crate) types: &'r TypeInformation,
    pub(crate) message: &'r Message,
}

impl structured_data::Templates for TemplatedRecord<'_> {
    fn find(&self, template: u16) -> Option<&dyn RecordLayout> {
        let found = self.templates.find(self.ports, self.message, template);
        found.map(|found| found.template as &dyn RecordLayout)
    }

    fn describe(&self, element: ElementId) -> Option<Description<'_>> {
        self.types.find(element)
    }
}

impl Fields for TemplatedRecord<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        let scope_fields = self.template.kind().scope_fields();
        for (index, (&FieldSpecifier { element, .. }, octets)) in self.template.fields_of(self.octets).enumerate() {
            let scope = index < scope_fields;
            let show_v9 = |(name, value), visitor: &mut dyn FnMut(&Field<'_>)| visitor(&Field { name, scope, value });
            match (self.template.numbering(), scope) {
                (Numbering::Ipfix, _) => structured_data::visit_field(element, scope, octets, self, visitor),
                (Numbering::NetflowV9, false) => show_v9(value::decode_v9(element.id, octets), visitor),
                (Numbering::NetflowV9, true) => show_v9(scope_field(element, octets), visitor),
            }
            show_section(element, octets, visitor);
        }
    }

    fn exporter(&self) -> Option<IpAddr> {
        // In options data they are about an exporting process (RFC 7011, section 4.3).
        if self.template.kind() == TemplateKind::Data { self.template.exporter(self.octets) } else { None }
    }

    fn set_columns(&self, has_flow: bool, row: &mut Row) -> RowKind {
        let (plan, row_plan) = (self.template.plan(), self.template.row_plan());
        if !has_flow || plan.samples() || plan.has_inner_ends() {
            self.set_rare_columns(has_flow, row);
        }
        row_plan.read(self.octets, self.message, row);
        // A running total of which nothing is new is still a flow.
        let is_flow = has_flow || plan.counts() && !plan.fills(Slot::FirewallEvent);
        match is_flow {
            _ if plan.is_of_packets() => RowKind::Packet,
            true => RowKind::Flow,
            false => row_plan.event(),
        }
    }

    fn length(&self) -> usize {
        self.octets.len()
    }

    fn fill(&self, read: &ReadOptions, flow: &mut FlowRecord) -> Ambiguities {
        let (plan, mut room) = (self.template.plan(), Layout::EMPTY);
        let (mut ambiguities, mut report) = (Ambiguities::default(), Decoded::default());
        // Other records mean the same by all options.
        if !plan.is_ambiguous() && !plan.is_of_packets() {
            return ambiguities;
        }
        let Some(reading) = plan.read(&mut Cursor::new(self.octets), &mut room) else { return ambiguities };
        if plan.is_of_packets()
            && let Some(packet) = plan.sampled_flow(&reading, flow.exported, read.tunnels, &mut report)
        {
            *flow = FlowRecord { sampling: flow.sampling, ..packet };
        }
        ambiguities.note(&report);
        ambiguities.decide(self.template, &reading, read, flow);
        ambiguities
    }
}

impl TemplatedRecord<'_> {
    /// The columns of records without a flow, of sections of packets, and of repeated elements.
    fn set_rare_columns(&self, has_flow: bool, row: &mut Row) {
        let (plan, mut room) = (self.template.plan(), Layout::EMPTY);
        let Some(reading) = plan.read(&mut Cursor::new(self.octets), &mut room) else { return };
        if !has_flow {
            let mut ends = Plan::ends(&reading, self.message.exported);
            (ends.input_interface, ends.output_interface) = plan.interfaces(&reading);
            row::set_ends(&ends, row);
        }
        if plan.samples() {
            let (link, octets) = reading.section().unwrap_or((LinkType::Ip, &[]));
            let headers = Headers::parse(link, octets);
            row::set_headers(&headers, row);
            if headers.is_tunnel {
                row::set_tunnelled(&Tunnelled { link, octets, inner_offset: None }, self.message, row);
            }
        }
        if plan.has_inner_ends()
            && let Some(ends) = inner_ends::of(self.template, self.octets)
        {
            let mut inner = FlowRecord::empty(self.message.exported);
            ends.replace_outer(&mut inner);
            row::set_inner_ends(&inner, row);
        }
    }
}

/// Lists the headers of a sampled packet after its octets, as for sFlow.
fn show_section(element: ElementId, octets: &[u8], visitor: &mut dyn FnMut(&Field<'_>)) {
    if let Some(link) = booking::section_link(element) {
        SampledPacket::parse(link, octets).visit(visitor);
    }
}

/// A scope field of NetFlow v9 (RFC 3954, section 6.1), whose types are not information elements. Its content is a
/// number if it is short enough: an interface index, a template id, a line card.
fn scope_field(element: ElementId, octets: &[u8]) -> (FieldName<'static>, Value<'_>) {
    let value = match octets.len() {
        1..=8 => Value::Unsigned(unsigned(octets)),
        _ => Value::Octets(octets),
    };
    (scope_name(element), value)
}

fn scope_name(element: ElementId) -> FieldName<'static> {
    match element.id {
        1 => FieldName::Named("scopeSystem"),
        2 => FieldName::Named("scopeInterface"),
        3 => FieldName::Named("scopeLineCard"),
        4 => FieldName::Named("scopeCache"),
        5 => FieldName::Named("scopeTemplate"),
        _ => FieldName::Unknown(element),
    }
}

impl Template {
    /// The name that a field has in records, except for elements that only the exporter describes; `index` is its place in the
    /// template.
    #[must_use]
    pub fn field_name(&self, index: usize, element: ElementId) -> FieldName<'static> {
        match (self.numbering(), index < self.kind().scope_fields()) {
            (Numbering::NetflowV9, true) => scope_name(element),
            (Numbering::NetflowV9, false) => value::name(lookup_v9(element.id), element),
            (Numbering::Ipfix, _) => value::name(lookup(element), element),
        }
    }
}
