//! What options data say about interfaces: names and descriptions (interfaceName 82, interfaceDescription 83) of the interface
//! that the record names, in its scope (NetFlow v9 scope type 2; 10, 14, 252 or 253 in IPFIX) or in a field beside it, as
//! Cisco's interface table of NetFlow v9 has it. When they are read, and for how long they apply, is not known here.

use flow::{Protocol, Timestamp};

use crate::cursor::unsigned;
use crate::datagram::Message;
use crate::field_specifier::{FieldSpecifier, Numbering};
use crate::record::ElementId;
use crate::template::Template;

const INTERFACE_NAME: ElementId = iana(82);
const INTERFACE_DESCRIPTION: ElementId = iana(83);
/// Scope of NetFlow v9 (RFC 3954, section 6.1).
const SCOPE_INTERFACE: ElementId = iana(2);
/// ingressInterface, egressInterface, and the physical ones. Where a record has several, they are of one interface.
const INDEXES: [ElementId; 4] = [iana(10), iana(14), iana(252), iana(253)];
/// The longest name or description that is read, in octets.
const LONGEST: usize = 255;

const fn iana(id: u16) -> ElementId {
    ElementId { enterprise: 0, id }
}

/// An interface, as an options data record describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedInterface {
    /// Its SNMP index, by which flows name it.
    pub index: u32,
    /// interfaceName: a short name, such as `Gi0/1`.
    pub name: Option<String>,
    /// interfaceDescription: often a long name, such as `GigabitEthernet0/1`.
    pub description: Option<String>,
    /// The protocol of the record.
    pub protocol: Protocol,
    /// Its observation domain or source id.
    pub domain: u32,
    /// When the record was last received.
    pub received: Timestamp,
    /// When the exporting process started, if the header of the message has its uptime.
    pub booted: Option<Timestamp>,
}

/// The octets by which the records of a template differ beside their scope: the index of an interface that has a name.
pub(crate) fn index_beside_scope<'r>(template: &Template, record: &'r [u8]) -> Option<&'r [u8]> {
    if !names_interface(template.fields()) {
        return None;
    }
    let outside = template.fields_of(record).skip(template.kind().scope_fields());
    outside.into_iter().find(|(field, _)| INDEXES.contains(&field.element)).map(|(_, octets)| octets)
}

fn names_interface(fields: &[FieldSpecifier]) -> bool {
    fields.iter().any(|field| [INTERFACE_NAME, INTERFACE_DESCRIPTION].contains(&field.element))
}

/// The interface that a record describes; `None` if it describes none.
pub(crate) fn stated(message: &Message, template: &Template, record: &[u8]) -> Option<StatedInterface> {
    if !names_interface(template.fields()) {
        return None;
    }
    let (mut index, mut name, mut description) = (None, None, None);
    for (number, (field, octets)) in template.fields_of(record).enumerate() {
        let is_v9_scope = template.numbering() == Numbering::NetflowV9 && number < template.kind().scope_fields();
        match field.element {
            SCOPE_INTERFACE if is_v9_scope => index = index.or(Some(octets)),
            _ if is_v9_scope => {}
            INTERFACE_NAME => name = text(octets),
            INTERFACE_DESCRIPTION => description = text(octets),
            element if INDEXES.contains(&element) => index = index.or(Some(octets)),
            _ => {}
        }
    }
    let index = index.filter(|octets| !octets.is_empty() && octets.len() <= size_of::<u64>())?;
    let index = u32::try_from(unsigned(index)).ok()?;
    (name.is_some() || description.is_some()).then_some(StatedInterface {
        index,
        name,
        description,
        protocol: message.protocol,
        domain: message.domain,
        received: message.received,
        booted: message.uptime.map(|uptime| {
            Timestamp::from_nanoseconds(message.exported.nanoseconds().saturating_sub(u64::from(uptime) * 1_000_000))
        }),
    })
}

/// A text of a fixed length is padded with NULs or blanks.
fn text(octets: &[u8]) -> Option<String> {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len()).min(LONGEST);
    let text = String::from_utf8_lossy(octets.get(..end).unwrap_or_default());
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}
