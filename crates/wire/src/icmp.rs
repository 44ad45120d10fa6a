//! Type and code of ICMP: they have elements of their own, but many exporters send them where others send the destination
//! port. They are shown, and not counted ([`flow::FlowRecord::ports`]).

use crate::record::{ElementId, Field, FieldName, Record, Value};

/// A place of type or code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Type and code in one number.
    Both,
    Type,
    Code,
    /// The same as [`Both`](Self::Both), in the place of the destination port.
    Port,
}

/// The places among the elements of IANA's registry.
pub(crate) const ELEMENTS: [(u16, Place); 7] = [
    // icmpTypeCodeIPv4, icmpTypeCodeIPv6.
    (32, Place::Both),
    (139, Place::Both),
    // icmpTypeIPv4, icmpTypeIPv6, and the codes.
    (176, Place::Type),
    (178, Place::Type),
    (177, Place::Code),
    (179, Place::Code),
    // destinationTransportPort, which NetFlow v1 to v7 have as well.
    (11, Place::Port),
];

/// What a record has of ICMP, each in the first of its places that is not empty: templates may have those of both versions
/// of IP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    both: Option<u64>,
    kind: Option<u64>,
    code: Option<u64>,
    port: Option<u64>,
}

impl Record<'_> {
    /// Type and code of an ICMP or ICMPv6 flow; `None` if the record has none, or is of another protocol.
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        self.flow.filter(|flow| flow.is_icmp())?;
        let mut found = Found::default();
        self.fields(&mut |field| found.note_field(field));
        found.type_and_code()
    }
}

impl Found {
    pub(crate) fn note(&mut self, place: Place, number: u64) {
        let noted = match place {
            Place::Both => &mut self.both,
            Place::Type => &mut self.kind,
            Place::Code => &mut self.code,
            Place::Port => &mut self.port,
        };
        *noted = noted.filter(|noted| *noted != 0).or(Some(number));
    }

    fn note_field(&mut self, field: &Field<'_>) {
        let Value::Unsigned(number) = field.value else { return };
        let place = match field.name {
            FieldName::Element(ElementId { enterprise: 0, id }, _) => {
                ELEMENTS.iter().find_map(|(element, place)| (*element == id).then_some(*place))
            }
            FieldName::Named("packet.icmp_type") => Some(Place::Type),
            FieldName::Named("packet.icmp_code") => Some(Place::Code),
            _ => None,
        };
        if let Some(place) = place {
            self.note(place, number);
        }
    }

    pub(crate) fn type_and_code(&self) -> Option<(u8, u8)> {
        let split = |both: u64| ((both >> 8) as u8, both as u8);
        match (self.kind, self.code) {
            (Some(kind), code) => Some((kind as u8, code.unwrap_or_default() as u8)),
            // An exporter may leave one place empty and fill the other.
            _ => self.both.filter(|both| *both != 0 || self.port.is_none()).or(self.port).map(split),
        }
    }
}
