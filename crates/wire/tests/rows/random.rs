//! Rows of records of random templates: of the elements in the table of columns, in lengths that fit and in others.

use std::net::Ipv4Addr;

use columns::{COLUMNS, Row, Source};
use flow::{Exporter, Timestamp};
use proptest::prelude::*;
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::information_element::{DataType, lookup};
use wire::{Datagram, ElementId, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, ipfix, netflow_v9};

use crate::differences;

/// All elements of the table, those beside it that rows depend on, and some that they do not.
fn elements() -> Vec<ElementId> {
    let of_table = COLUMNS.iter().flat_map(|column| column.sources).filter_map(|source| match source {
        Source::Element(enterprise, id) => Some(ElementId { enterprise: *enterprise, id: *id }),
        _ => None,
    });
    let others = [160, 148, 315, 313, 2000, 60].map(|id| ElementId { enterprise: 0, id });
    let mut elements: Vec<_> = of_table.chain(others).collect();
    elements.sort_unstable();
    elements.dedup();
    elements
}

/// A field, whether it is of variable length, and the octets of its value.
type RandomField = (ElementId, bool, Vec<u8>);

/// The enterprise bit of IPFIX, which is a part of the number in NetFlow v9.
const ENTERPRISE_BIT: u16 = 0x8000;

fn field() -> impl Strategy<Value = RandomField> {
    let length = prop_oneof![6 => Just(4_usize), 3 => 1_usize..=9, 2 => Just(16), 2 => Just(8), 1 => 10_usize..=40];
    let octet =
        prop_oneof![2 => Just(0_u8), 1 => any::<u8>(), 1 => prop::sample::select(vec![1_u8, 6, 58, 0x45, 0x60])];
    let octets = length.prop_flat_map(move |length| prop::collection::vec(octet.clone(), length));
    let field = (prop::sample::select(elements()), prop::bool::weighted(0.2), octets);
    // A template that announces a variable length announces one that fits.
    field.prop_map(|(element, variable, octets)| (element, variable && fits(element, octets.len()), octets))
}

/// Whether a value of this element may have this length.
fn fits(element: ElementId, length: usize) -> bool {
    let expected = match lookup(element).map(|known| known.data_type) {
        Some(DataType::Ipv4Address | DataType::DateTimeSeconds) => 4,
        Some(DataType::MacAddress) => 6,
        Some(DataType::DateTimeMilliseconds | DataType::DateTimeMicroseconds | DataType::DateTimeNanoseconds) => 8,
        Some(DataType::Ipv6Address) => 16,
        Some(DataType::OctetArray) if element.id == 70 => 3,
        _ => return length <= 8,
    };
    length == expected
}

/// Elements that records of tunnels repeat.
const REPEATED: [u16; 7] = [4, 7, 8, 11, 12, 27, 28];
/// Sections of packets.
const SECTIONS: [u16; 2] = [313, 315];
/// Type and code of ICMP.
const ICMP: [u16; 6] = [32, 139, 176, 177, 178, 179];

/// Fields as templates have them: only some elements are repeated, there is at most one section of a packet, and type and
/// code of ICMP are in that or have elements.
fn fields() -> impl Strategy<Value = Vec<RandomField>> {
    prop::collection::vec(field(), 1..30).prop_map(|fields| {
        let mut kept: Vec<RandomField> = Vec::new();
        for field in fields {
            let has = |ids: &[u16]| kept.iter().any(|(element, ..)| ids.contains(&element.id));
            let id = field.0.id;
            let is_second = kept.iter().any(|(element, ..)| *element == field.0) && !REPEATED.contains(&id);
            let is_second_section = SECTIONS.contains(&id) && has(&SECTIONS);
            let is_second_icmp = SECTIONS.contains(&id) && has(&ICMP) || ICMP.contains(&id) && has(&SECTIONS);
            if !is_second && !is_second_section && !is_second_icmp {
                kept.push(field);
            }
        }
        kept
    })
}

fn template(fields: &[RandomField]) -> (TemplateSpec, Vec<u8>) {
    let specifiers: Vec<_> = fields
        .iter()
        .map(|(element, variable, octets)| FieldSpecifier {
            element: *element,
            length: if *variable { VARIABLE_LENGTH } else { octets.len() as u16 },
        })
        .collect();
    let template = TemplateSpec::data(300, specifiers);
    let record = template.record(&fields.iter().map(|(_, _, octets)| octets.as_slice()).collect::<Vec<_>>());
    (template, record)
}

/// The differences between rows and fields in a datagram.
fn compare(payload: &[u8], records: u32) -> Result<(), TestCaseError> {
    let mut session = Session::new(SessionLimits::default());
    let exporter = Exporter::udp(Ipv4Addr::LOCALHOST.into(), 1);
    let datagram = Datagram { exporter, received: Timestamp::from_milliseconds(1_700_000_000_123), payload };
    let (mut row, mut different) = (Row::new(), Vec::new());
    let decoded = session.decode(&datagram, &mut |record| {
        if record.row(&mut row) {
            different.extend(differences(record, &row));
        }
    });
    prop_assert_eq!(decoded.data, records);
    prop_assert_eq!(different, Vec::<String>::new());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn columns_of_random_ipfix_templates_are_what_their_fields_say(
        fields in fields(), count in 1_u32..4,
    ) {
        let fields: Vec<_> = fields.into_iter().filter(|(element, ..)| element.id < ENTERPRISE_BIT).collect();
        prop_assume!(!fields.is_empty());
        let (template, record) = template(&fields);
        prop_assume!(record.len() > 3);
        let header = ipfix::Header { export_seconds: 1_700_000_000.into(), ..Default::default() };
        let message = Ipfix::new(header).template(&template).data(&template, &vec![record; count as usize]);
        compare(&message.finish(), count)?;
    }

    #[test]
    fn columns_of_random_version_9_templates_are_what_their_fields_say(
        fields in fields(), uptime: u32,
    ) {
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|(element, ..)| element.enterprise == 0)
            .map(|(element, _, octets)| (element, false, octets))
            .collect();
        let (template, record) = template(&fields);
        prop_assume!(record.len() > 3);
        let header = netflow_v9::Header { uptime: uptime.into(), unix_seconds: 1_700_000_000.into(), ..Default::default() };
        compare(&NetflowV9::new(header).template(&template).data(&template, &[record]).finish(), 1)?;
    }
}
