//! Type and code of ICMP: they have elements of their own, but many exporters send them where others send the destination
//! port. They are shown, and not counted ([`flow::FlowRecord::ports`]).

use crate::record::{ElementId, Field, FieldName, Record, Value};

/// destinationTransportPort, which NetFlow v1 to v7 have as well.
const DESTINATION_PORT: u16 = 11;

/// What a record has of ICMP, each in the first of its places.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
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
        self.fields(&mut |field| found.note(field));
        let Found { both, kind, code, port } = found;
        let split = |both: u64| ((both >> 8) as u8, both as u8);
        match (kind, code) {
            (Some(kind), code) => Some((kind as u8, code.unwrap_or_default() as u8)),
            // An exporter may leave one place empty and fill the other.
            _ => both.filter(|both| *both != 0 || port.is_none()).or(port).map(split),
        }
    }
}

impl Found {
    fn note(&mut self, field: &Field<'_>) {
        let Value::Unsigned(number) = field.value else { return };
        let place = match field.name {
            FieldName::Element(ElementId { enterprise: 0, id }, _) => match id {
                // icmpTypeCodeIPv4, icmpTypeCodeIPv6.
                32 | 139 => &mut self.both,
                // icmpTypeIPv4, icmpTypeIPv6, and the codes.
                176 | 178 => &mut self.kind,
                177 | 179 => &mut self.code,
                DESTINATION_PORT => &mut self.port,
                _ => return,
            },
            FieldName::Named("packet.icmp_type") => &mut self.kind,
            FieldName::Named("packet.icmp_code") => &mut self.code,
            _ => return,
        };
        place.get_or_insert(number);
    }
}
