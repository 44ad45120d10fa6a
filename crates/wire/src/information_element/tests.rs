//! Every fact of `xtask/elements.csv` is found where a decoder looks for it.

use super::*;

const FACTS: &str = include_str!("../../../../xtask/elements.csv");

#[test]
fn every_row_of_the_csv_file_is_found() {
    let mut rows = 0;
    for line in FACTS.lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let id: u16 = columns[1].parse().unwrap();
        let element = match columns[0] {
            "v9" => lookup_v9(id),
            enterprise => lookup(ElementId { enterprise: enterprise.parse().unwrap(), id }),
        };
        let element = element.unwrap_or_else(|| panic!("not found: {line}"));
        assert_eq!(element.id.id, id, "{line}");
        let units = if columns[5].is_empty() { "none" } else { columns[5] };
        let found = [element.name, element.data_type.name(), element.semantics.name(), element.units.name()];
        assert_eq!(found, [columns[2], columns[3], columns[4], units], "{line}");
        rows += 1;
    }
    assert!(rows > 1400, "only {rows} rows were read");
}

#[test]
fn every_element_of_iana_has_a_reverse() {
    for element in iana::ELEMENTS {
        let reverse = lookup(ElementId { enterprise: REVERSE, id: element.id.id }).unwrap();
        assert_eq!(reverse.name.to_lowercase(), format!("reverse{}", element.name.to_lowercase()));
        assert_eq!(reverse.data_type, element.data_type);
    }
    let octets = lookup(ElementId { enterprise: REVERSE, id: 1 }).unwrap();
    assert_eq!(octets.name, "reverseOctetDeltaCount");
}

#[test]
fn elements_of_cert_have_their_reverse_under_bit_14() {
    let name = |id| lookup(ElementId { enterprise: 6871, id }).map(|element| element.name);
    assert_eq!(name(40), Some("flowAttributes"));
    assert_eq!(name(16424), Some("reverseFlowAttributes"));
    assert_eq!(name(16400), None, "an obsolete reverse element has no reverse");
}

#[test]
fn unassigned_ids_are_not_found() {
    for (enterprise, id) in [(0, 0), (0, 65535), (0, IANA_IDS as u16), (9, 1), (4_000_000_000, 1)] {
        assert_eq!(lookup(ElementId { enterprise, id }), None, "{enterprise}.{id}");
    }
}

#[test]
fn netflow_v9_knows_its_own_types_and_those_of_iana_ntop_and_cisco() {
    let name = |field_type| lookup_v9(field_type).map(|element| (element.id.enterprise, element.name));
    assert_eq!(name(1), Some((0, "octetDeltaCount")));
    assert_eq!(name(21), Some((0, "flowEndSysUpTime")));
    assert_eq!(name(33002), Some((0, "firewallEventExtended")));
    assert_eq!(name(0x8000 + 12235), Some((9, "appHTTPHost")));
    assert_eq!(name(57472 + 123), Some((NTOP, "CLIENT_NW_LATENCY_MS")));
    assert_eq!(name(40005), Some((0, "firewallEvent")));
    assert_eq!(name(56702), Some((0, "User-ID")));
    assert_eq!(name(0x8000), None);
    assert_eq!(lookup(ElementId { enterprise: 0, id: 33002 }), None, "a v9 type must not be taken for IPFIX");
}

#[test]
fn numbers_of_type_information_are_those_of_iana() {
    assert_eq!(DataType::from_number(18), Some(DataType::Ipv4Address));
    assert_eq!(DataType::from_number(23), Some(DataType::Unsigned256));
    assert_eq!(DataType::from_number(24), None);
    assert_eq!(Semantics::from_number(3), Some(Semantics::DeltaCounter));
    assert_eq!(Units::from_number(9), Some(Units::Words));
}
