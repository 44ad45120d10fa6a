//! Options data as RFC 5610 draws it, and what it does to the fields that follow.

use std::net::{IpAddr, Ipv4Addr};

use flow::{Exporter, Timestamp};

use super::*;
use crate::encode::{Ipfix, NetflowV9, TemplateSpec};
use crate::field_specifier::VARIABLE_LENGTH;
use crate::{Datagram, FieldName, Session, SessionLimits, Value, ipfix, netflow_v9};

/// An enterprise that no registry knows.
const STRANGER: u32 = 4_000_000_000;

fn types() -> TemplateSpec {
    let fields = [(346, 4), (303, 2), (339, 1), (344, 1), (341, VARIABLE_LENGTH)];
    TemplateSpec::options(300, 2, fields.map(|(id, length)| FieldSpecifier::iana(id, length)))
}

fn description(enterprise: u32, id: u16, data_type: DataType, name: &str) -> Vec<u8> {
    types().record(&[&enterprise.to_be_bytes(), &id.to_be_bytes(), &[data_type as u8], &[0], name.as_bytes()])
}

fn message() -> Ipfix {
    Ipfix::new(ipfix::Header::default())
}

fn send(session: &mut Session, payload: &[u8]) -> Vec<String> {
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    let datagram = Datagram { exporter, received: Timestamp::EPOCH, payload };
    let mut shown = Vec::new();
    session.decode(&datagram, &mut |record| {
        record.fields(&mut |field| match field.value {
            Value::List(list) => list.visit(&mut |item| {
                item.visit(&mut |inner| shown.push(format!("{}: {}={:?}", field.name, inner.name, inner.value)));
            }),
            value => shown.push(format!("{}={value:?}", field.name)),
        });
    });
    shown
}

/// The fields of elements of the exporter after these descriptions.
fn shown_after(descriptions: &[Vec<u8>], elements: &[(ElementId, &[u8])]) -> Vec<String> {
    let mut session = Session::new(SessionLimits::default());
    send(&mut session, &message().template(&types()).data(&types(), descriptions).finish());
    let fields: Vec<_> =
        elements.iter().map(|&(element, octets)| FieldSpecifier { element, length: octets.len() as u16 }).collect();
    let template = TemplateSpec::data(256, fields);
    let record = template.record(&elements.iter().map(|(_, octets)| *octets).collect::<Vec<_>>());
    send(&mut session, &message().template(&template).data(&template, &[record]).finish())
}

fn own(id: u16) -> ElementId {
    ElementId { enterprise: STRANGER, id }
}

#[test]
fn an_element_is_shown_by_the_name_and_type_that_its_exporter_has_announced() {
    let descriptions = [
        description(STRANGER, 1, DataType::Unsigned32, "queueDepth"),
        description(STRANGER, 2, DataType::String, "operator.name"),
        description(STRANGER, 0x8003, DataType::Ipv4Address, "collector_1"),
    ];
    let fields: [(ElementId, &[u8]); 4] =
        [(own(1), &[1, 0]), (own(2), b"x"), (own(3), &[192, 0, 2, 1]), (own(4), &[7])];
    let expected = ["queueDepth=256", "operator.name=\"x\"", "collector_1=192.0.2.1", "4000000000.4=[07]"];
    assert_eq!(shown_after(&descriptions, &fields), expected);
}

#[test]
fn elements_in_lists_are_shown_so_too_and_lists_of_the_exporters_own_are_opened() {
    let descriptions = [
        description(STRANGER, 1, DataType::Unsigned32, "queueDepth"),
        description(STRANGER, 5, DataType::BasicList, "queueDepths"),
    ];
    let enterprise = STRANGER.to_be_bytes();
    let list = [&[3, 0x80, 1, 0, 2][..], &enterprise, &[0, 5, 0, 9]].concat();
    assert_eq!(
        shown_after(&descriptions, &[(own(5), &list)]),
        ["queueDepths: queueDepth=5", "queueDepths: queueDepth=9"]
    );
}

#[test]
fn the_last_announcement_applies() {
    let descriptions = [
        description(STRANGER, 1, DataType::Unsigned32, "queueDepth"),
        description(STRANGER, 1, DataType::Signed8, "queueBalance"),
    ];
    assert_eq!(shown_after(&descriptions, &[(own(1), &[0xff])]), ["queueBalance=-1"]);
}

#[test]
fn the_registry_is_not_overruled() {
    let descriptions = [description(0, 1, DataType::String, "mine"), description(29305, 1, DataType::String, "mine")];
    let reverse = ElementId { enterprise: 29305, id: 1 };
    assert_eq!(
        shown_after(&descriptions, &[(iana(1), &[65]), (reverse, &[65])]),
        ["octetDeltaCount=65", "reverseOctetDeltaCount=65"]
    );
}

#[test]
fn names_that_need_care_are_not_learnt() {
    for name in ["", "1st", "two words", "quote\"", "back\\slash", "line\n", "\u{1b}[31m", "größe", &"n".repeat(256)]
    {
        let descriptions = [description(STRANGER, 1, DataType::Unsigned8, name)];
        assert_eq!(shown_after(&descriptions, &[(own(1), &[7])]), ["4000000000.1=[07]"], "{name:?}");
    }
    let padded = [description(STRANGER, 1, DataType::Unsigned8, "padded\0\0")];
    assert_eq!(shown_after(&padded, &[(own(1), &[7])]), ["padded=7"]);
}

#[test]
fn an_unknown_type_shows_as_octets() {
    let mut record = description(STRANGER, 1, DataType::Unsigned8, "novelty");
    record[6] = 200;
    assert_eq!(shown_after(&[record], &[(own(1), &[7])]), ["novelty=[07]"]);
}

#[test]
fn the_number_of_remembered_elements_is_limited_and_they_may_still_change() {
    let mut types = TypeInformation::default();
    for id in 0..2000 {
        types.note(own(id), "first", DataType::Unsigned8);
    }
    assert_eq!(types.elements.len(), ELEMENTS_KEPT);
    types.note(own(0), "second", DataType::Unsigned8);
    assert_eq!(types.find(own(0)).unwrap().name, "second");
    assert_eq!(types.find(own(1999)), None);
}

/// The element numbers of NetFlow v9 are of no enterprise.
#[test]
fn options_data_of_netflow_v9_contain_no_types() {
    let mut session = Session::new(SessionLimits::default());
    let packet = || NetflowV9::new(netflow_v9::Header::default());
    let record = description(STRANGER, 1, DataType::Unsigned32, "queueDepth");
    send(&mut session, &packet().template(&types()).data(&types(), &[record]).finish());
    let template = TemplateSpec::data(256, [FieldSpecifier { element: own(1), length: 1 }]);
    let shown = send(&mut session, &message().template(&template).data(&template, &[vec![7]]).finish());
    assert_eq!(shown, ["4000000000.1=[07]"]);
}

#[test]
fn an_announced_name_is_a_key_in_json() {
    let mut session = Session::new(SessionLimits::default());
    let record = description(STRANGER, 1, DataType::Unsigned32, "queueDepth");
    send(&mut session, &message().template(&types()).data(&types(), &[record]).finish());
    let template = TemplateSpec::data(256, [FieldSpecifier { element: own(1), length: 2 }; 2]);
    let payload = message().template(&template).data(&template, &[vec![0, 7, 0, 8]]).finish();
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    let mut line = String::new();
    session.decode(&Datagram { exporter, received: Timestamp::EPOCH, payload: &payload }, &mut |record| {
        crate::json::write_json(record, &mut line);
        record.fields(&mut |field| assert_eq!(field.name, FieldName::Described(own(1), "queueDepth")));
    });
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["fields"], serde_json::json!({ "queueDepth": [7, 8] }));
}
