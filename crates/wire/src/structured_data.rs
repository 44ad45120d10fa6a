//! Lists inside a field: basicList, subTemplateList and subTemplateMultiList (RFC 6313, section 4.5).
//!
//! **Invariants.** Every item takes at least one octet, so a list has at most as many items as octets. Lists inside lists
//! are opened down to [`MAXIMUM_DEPTH`]; deeper ones are shown as octets, and so is a list that is truncated or whose
//! template is missing. Nothing is allocated.

use crate::cursor::Cursor;
use crate::field_specifier::{FieldSpecifier, VARIABLE_LENGTH, ipfix_specifier, variable_length_content};
use crate::information_element::{DataType, lookup};
use crate::record::{ElementId, Field, FieldName, Fields, List, Value};
pub use crate::type_information::Description;
use crate::value;

/// The deepest lists that are opened: a list in a record has depth 1.
pub const MAXIMUM_DEPTH: u8 = 4;

/// The templates of one stream, to which lists refer by id.
pub trait Templates {
    /// The template with this id in the observation domain of the record.
    fn find(&self, template: u16) -> Option<&dyn RecordLayout>;

    /// The exporter's description of an element that is in no registry.
    fn describe(&self, element: ElementId) -> Option<Description<'_>> {
        let _ = element;
        None
    }
}

/// How the records of a template are laid out.
pub trait RecordLayout {
    /// The field at this index: its element, and its length in octets or 65535 if that varies. `None` after the last one.
    /// Fields of length 0 are left out: a list whose template has one is not opened.
    fn field(&self, index: usize) -> Option<(ElementId, u16)>;
}

/// For records that cannot refer to a template.
#[derive(Clone, Copy, Debug)]
pub struct NoTemplates;

impl Templates for NoTemplates {
    fn find(&self, _template: u16) -> Option<&dyn RecordLayout> {
        None
    }
}

/// How the items of a list relate to the record (RFC 6313, section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// None of the items is a property of the record.
    NoneOf,
    /// One of them is.
    ExactlyOneOf,
    /// At least one of them is.
    OneOrMoreOf,
    /// All of them are.
    AllOf,
    /// All of them are, and their order is significant.
    Ordered,
    /// The exporter gives no relation, or one that is not in the registry.
    Undefined,
}

impl Relation {
    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::NoneOf,
            1 => Self::ExactlyOneOf,
            2 => Self::OneOrMoreOf,
            3 => Self::AllOf,
            4 => Self::Ordered,
            _ => Self::Undefined,
        }
    }
}

/// Visits one field of an IPFIX record; if it is a list, opened.
pub fn visit_field(
    element: ElementId,
    scope: bool,
    octets: &[u8],
    templates: &dyn Templates,
    visitor: &mut dyn FnMut(&Field<'_>),
) {
    visit_field_at(1, element, scope, octets, templates, visitor);
}

/// The same for a field at a depth of lists.
fn visit_field_at(
    depth: u8,
    element: ElementId,
    scope: bool,
    octets: &[u8],
    templates: &dyn Templates,
    visitor: &mut dyn FnMut(&Field<'_>),
) {
    let (name, data_type) = if let Some(known) = lookup(element) {
        (FieldName::Element(known.id, known.name), known.data_type)
    } else if let Some(described) = templates.describe(element) {
        (FieldName::Described(element, described.name), described.data_type)
    } else {
        (FieldName::Unknown(element), DataType::OctetArray)
    };
    if let Some(list) = StructuredList::open(data_type, octets, templates, depth) {
        visitor(&Field { name, scope, value: Value::List(&list) });
    } else {
        visitor(&Field { name, scope, value: value::typed(data_type, octets) });
    }
}

/// A list whose items are known to be complete.
#[derive(Clone, Copy)]
pub struct StructuredList<'r> {
    relation: Relation,
    content: Content<'r>,
    octets: &'r [u8],
    templates: &'r dyn Templates,
    depth: u8,
}

/// The octets after the head of a list.
#[derive(Clone, Copy)]
enum Content<'r> {
    /// basicList: values of one element.
    Values { element: ElementId, length: u16 },
    /// subTemplateList: records of one template.
    Records { layout: &'r dyn RecordLayout },
    /// subTemplateMultiList: groups of records, each group with its template.
    Groups,
}

impl<'r> StructuredList<'r> {
    /// A list of this type; `None` if the type is no list, or the list is too deep or cannot be read to its end. A list in
    /// a record has depth 1.
    #[must_use]
    pub fn open(data_type: DataType, octets: &'r [u8], templates: &'r dyn Templates, depth: u8) -> Option<Self> {
        if depth > MAXIMUM_DEPTH {
            return None;
        }
        let read_head: fn(&mut Cursor<'r>, &'r dyn Templates) -> Option<Content<'r>> = match data_type {
            DataType::BasicList => |cursor, _| values(cursor),
            DataType::SubTemplateList => |cursor, templates| records(cursor, templates),
            DataType::SubTemplateMultiList => |_, _| Some(Content::Groups),
            _ => return None,
        };
        let mut cursor = Cursor::new(octets);
        let relation = Relation::from_number(cursor.u8()?);
        let content = read_head(&mut cursor, templates)?;
        let list = Self { relation, content, octets: cursor.rest(), templates, depth };
        list.walk(&mut |_| ())?;
        Some(list)
    }

    /// The relation of the items to the record.
    #[must_use]
    pub const fn relation(&self) -> Relation {
        self.relation
    }

    /// Visits each item; `None` if one is incomplete.
    fn walk(&self, visitor: &mut dyn FnMut(&dyn Fields)) -> Option<()> {
        let mut cursor = Cursor::new(self.octets);
        match self.content {
            Content::Values { element, length } => {
                while !cursor.is_empty() {
                    let octets = field(&mut cursor, length)?;
                    visitor(&SingleValue { list: self, element, octets });
                }
            }
            Content::Records { layout } => self.walk_records(layout, cursor, visitor)?,
            Content::Groups => {
                while !cursor.is_empty() {
                    let layout = self.templates.find(cursor.u16()?)?;
                    // The length counts its own two octets and those of the template id.
                    let length = usize::from(cursor.u16()?).checked_sub(4)?;
                    self.walk_records(layout, cursor.section(length)?, visitor)?;
                }
            }
        }
        Some(())
    }

    fn walk_records(
        &self,
        layout: &dyn RecordLayout,
        mut cursor: Cursor<'_>,
        visitor: &mut dyn FnMut(&dyn Fields),
    ) -> Option<()> {
        while !cursor.is_empty() {
            let start = cursor.rest();
            walk_record(layout, &mut cursor, &mut |_, _| ())?;
            let octets = start.get(..start.len() - cursor.remaining())?;
            if octets.is_empty() {
                return None;
            }
            visitor(&SubRecord { list: self, layout, octets });
        }
        Some(())
    }

    /// Visits a field of an item, one level deeper.
    fn visit_field(&self, element: ElementId, octets: &[u8], visitor: &mut dyn FnMut(&Field<'_>)) {
        visit_field_at(self.depth + 1, element, false, octets, self.templates, visitor);
    }
}

impl List for StructuredList<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&dyn Fields)) {
        // It was walked to its end when it was opened.
        let _ = self.walk(visitor);
    }
}

/// RFC 6313, section 4.5.1: the element of the values, with the enterprise bit as in a template.
fn values<'r>(cursor: &mut Cursor<'r>) -> Option<Content<'r>> {
    let FieldSpecifier { element, length } = ipfix_specifier(cursor)?;
    Some(Content::Values { element, length })
}

/// RFC 6313, section 4.5.2.
fn records<'r>(cursor: &mut Cursor<'r>, templates: &'r dyn Templates) -> Option<Content<'r>> {
    Some(Content::Records { layout: templates.find(cursor.u16()?)? })
}

/// The octets of one field; `None` if they are incomplete, or if the field has length 0.
fn field<'r>(cursor: &mut Cursor<'r>, length: u16) -> Option<&'r [u8]> {
    match length {
        0 => None,
        VARIABLE_LENGTH => variable_length_content(cursor),
        fixed => cursor.take(fixed.into()),
    }
}

/// Visits the fields of the next record; `None` if they are incomplete.
fn walk_record<'r>(
    layout: &dyn RecordLayout,
    cursor: &mut Cursor<'r>,
    visitor: &mut dyn FnMut(ElementId, &'r [u8]),
) -> Option<()> {
    for index in 0.. {
        let Some((element, length)) = layout.field(index) else { break };
        visitor(element, field(cursor, length)?);
    }
    Some(())
}

/// An item of a basicList.
struct SingleValue<'l> {
    list: &'l StructuredList<'l>,
    element: ElementId,
    octets: &'l [u8],
}

impl Fields for SingleValue<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        self.list.visit_field(self.element, self.octets, visitor);
    }
}

/// An item of a subTemplateList or a subTemplateMultiList.
struct SubRecord<'l> {
    list: &'l StructuredList<'l>,
    layout: &'l dyn RecordLayout,
    octets: &'l [u8],
}

impl Fields for SubRecord<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        let mut cursor = Cursor::new(self.octets);
        // The record was walked to its end when its list was opened.
        let _ = walk_record(self.layout, &mut cursor, &mut |element, octets| {
            self.list.visit_field(element, octets, visitor);
        });
    }
}

#[cfg(test)]
mod tests;
