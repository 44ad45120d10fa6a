//! Exporters' descriptions of their own information elements (RFC 5610): name and type, in options data whose scope is
//! enterprise and number. They apply to elements that are in no registry; they never override the registry.
//!
//! Only names that need no escaping anywhere are accepted: letters, digits, `_`, `-` and `.`, starting with a letter, as
//! RFC 7012, section 2.1, demands. Semantics, units and ranges are not stored.

use hashbrown::HashMap;

use crate::cursor::unsigned;
use crate::field_specifier::{ENTERPRISE_BIT, FieldSpecifier, Numbering, TemplateKind};
use crate::information_element::{DataType, lookup};
use crate::record::ElementId;

/// How many elements of one exporter address are stored.
const ELEMENTS_KEPT: usize = 1024;
/// The longest accepted name, in octets.
const LONGEST_NAME: usize = 255;

const INFORMATION_ELEMENT_ID: ElementId = iana(303);
const INFORMATION_ELEMENT_DATA_TYPE: ElementId = iana(339);
const INFORMATION_ELEMENT_NAME: ElementId = iana(341);
const PRIVATE_ENTERPRISE_NUMBER: ElementId = iana(346);

const fn iana(id: u16) -> ElementId {
    ElementId { enterprise: 0, id }
}

/// The description of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description<'r> {
    /// Its name.
    pub name: &'r str,
    /// How its value is encoded; octets if the exporter gives no known type.
    pub data_type: DataType,
}

/// Whether the records of a template describe elements.
pub(crate) fn is_described_by(kind: TemplateKind, numbering: Numbering, fields: &[FieldSpecifier]) -> bool {
    let holds = |element| fields.iter().any(|field| field.element == element);
    kind != TemplateKind::Data
        && numbering == Numbering::Ipfix
        && [PRIVATE_ENTERPRISE_NUMBER, INFORMATION_ELEMENT_ID, INFORMATION_ELEMENT_NAME].into_iter().all(holds)
}

/// The elements of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeInformation {
    elements: HashMap<ElementId, (Box<str>, DataType)>,
}

impl TypeInformation {
    /// Learns from the fields of an options data record whose template describes elements.
    pub(crate) fn learn<'a>(&mut self, fields: impl Iterator<Item = (&'a FieldSpecifier, &'a [u8])>) {
        let (mut enterprise, mut id, mut data_type, mut name) = (0, 0, DataType::OctetArray, None);
        for (specifier, octets) in fields {
            match specifier.element {
                PRIVATE_ENTERPRISE_NUMBER => enterprise = u32::try_from(unsigned(octets)).unwrap_or_default(),
                // Some send it with the enterprise bit that it has in a template.
                INFORMATION_ELEMENT_ID => id = unsigned(octets) as u16 & !ENTERPRISE_BIT,
                INFORMATION_ELEMENT_DATA_TYPE => {
                    let known = u8::try_from(unsigned(octets)).ok().and_then(DataType::from_number);
                    data_type = known.unwrap_or(DataType::OctetArray);
                }
                INFORMATION_ELEMENT_NAME => name = plain_name(octets),
                _ => {}
            }
        }
        if let Some(name) = name {
            self.note(ElementId { enterprise, id }, name, data_type);
        }
    }

    fn note(&mut self, element: ElementId, name: &str, data_type: DataType) {
        if element.enterprise == 0 || lookup(element).is_some() {
            return;
        }
        let full = self.elements.len() >= ELEMENTS_KEPT;
        if let Some((known_name, known_type)) = self.elements.get_mut(&element) {
            *known_type = data_type;
            if **known_name != *name {
                *known_name = name.into();
            }
        } else if !full {
            self.elements.insert(element, (name.into(), data_type));
        }
    }

    /// The description of an element.
    pub(crate) fn find(&self, element: ElementId) -> Option<Description<'_>> {
        self.elements.get(&element).map(|(name, data_type)| Description { name, data_type: *data_type })
    }
}

/// An acceptable name. Exporters pad fixed lengths with NULs.
fn plain_name(octets: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(octets).ok()?.trim_end_matches('\0');
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.');
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    (starts && name.len() <= LONGEST_NAME && name.bytes().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests;
