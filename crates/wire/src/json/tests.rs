//! The objects are valid JSON with the values of the record.

use std::net::{IpAddr, Ipv4Addr};

use flow::{Exporter, Protocol, Sampling, SamplingSource, Timestamp, Transport};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::datagram::Message;
use crate::structured_data::{NoTemplates, visit_field};
use crate::value::decode;

/// Fields of IANA by number, the first N of them scope.
struct Sent<'a> {
    scope: usize,
    fields: &'a [(u16, &'a [u8])],
}

impl Fields for Sent<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        for (index, (id, octets)) in self.fields.iter().enumerate() {
            let element = ElementId { enterprise: 0, id: *id };
            visit_field(element, index < self.scope, octets, &NoTemplates, visitor);
        }
    }
}

const MESSAGE: Message = Message {
    protocol: Protocol::Ipfix,
    exporter: Exporter { transport: Transport::Udp, address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port: 4739 },
    received: Timestamp::new(1_391_317_260, 5_000_000),
    exported: Timestamp::from_seconds(1_391_317_260),
    domain: 7,
    sequence: u32::MAX,
    uptime: None,
};

fn parsed(record: &Record<'_>) -> serde_json::Value {
    let mut line = String::new();
    write_json(record, &mut line);
    assert!(!line.contains(char::is_control), "{line}");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn fields(scope: usize, fields: &[(u16, &[u8])]) -> serde_json::Value {
    let content = Sent { scope, fields };
    let record = Record { message: &MESSAGE, kind: RecordKind::Data, format: Some(256), flow: None, content: &content };
    parsed(&record)
}

#[test]
fn a_record_shows_its_message_its_fields_and_what_accounting_sees() {
    let flow = FlowRecord {
        source: "192.0.2.7".parse().unwrap(),
        destination: "2001:db8::1".parse().unwrap(),
        protocol: 6,
        source_port: 1,
        destination_port: 2,
        source_as: 3,
        destination_as: 4,
        input_interface: 5,
        output_interface: 6,
        forward: Counters { bytes: u64::MAX, packets: 5, flows: 1 },
        reverse: Counters { bytes: 8, packets: 1, flows: 1 },
        sampling: Sampling::of_packets(1000, SamplingSource::Options),
        ..FlowRecord::empty(MESSAGE.exported)
    };
    let message = Message { uptime: Some(9), ..MESSAGE };
    let content = Sent { scope: 0, fields: &[(8, &[192, 0, 2, 7])] };
    let record =
        Record { message: &message, kind: RecordKind::Data, format: Some(256), flow: Some(&flow), content: &content };
    let expected = json!({
        "protocol": "ipfix", "exporter": "192.0.2.1", "port": 4739, "domain": 7, "sequence": 4_294_967_295_u32,
        "received": "2014-02-02T05:01:00.005Z", "exported": "2014-02-02T05:01:00Z", "uptime": 9,
        "kind": "data", "template": 256,
        "fields": { "sourceIPv4Address": "192.0.2.7" },
        "flow": {
            "source": "192.0.2.7", "destination": "2001:db8::1", "protocol": 6, "sourcePort": 1, "destinationPort": 2,
            "sourceAs": 3, "destinationAs": 4, "inputInterface": 5, "outputInterface": 6, "bytes": u64::MAX, "packets": 5, "flows": 1,
            "reverse": { "bytes": 8, "packets": 1, "flows": 1 },
            "sampling": { "rate": 1000, "source": "options" },
        },
    });
    assert_eq!(parsed(&record), expected);
}

#[test]
fn every_data_type_has_its_form() {
    let octets: [(u16, &[u8]); 10] = [
        (1, &[0xff; 8]),
        (434, &[0xff, 0xff, 0xff, 0xfe]),
        (320, &0.25f64.to_be_bytes()),
        (321, &f64::NEG_INFINITY.to_be_bytes()),
        (276, &[1]),
        (56, &[0, 1, 2, 3, 4, 0xff]),
        (27, &[0; 16]),
        (152, &1_391_317_260_005u64.to_be_bytes()),
        (104, &[0xde, 0xad]),
        (0, &[1]),
    ];
    let expected = json!({
        "octetDeltaCount": u64::MAX,
        "mibObjectValueInteger": -2,
        "absoluteError": 0.25,
        "relativeError": "-Infinity",
        "dataRecordsReliability": true,
        "sourceMacAddress": "00:01:02:03:04:ff",
        "sourceIPv6Address": "::",
        "flowStartMilliseconds": "2014-02-02T05:01:00.005Z",
        "layer2packetSectionData": "dead",
        "0.0": "01",
    });
    assert_eq!(fields(0, &octets)["fields"], expected);
}

#[test]
fn repeated_fields_are_one_array_and_scope_fields_are_apart() {
    let record = fields(1, &[(7, &[0, 1]), (8, &[192, 0, 2, 1]), (7, &[0, 2]), (7, &[0, 3]), (11, &[0, 4])]);
    let expected = json!({ "sourceIPv4Address": "192.0.2.1", "sourceTransportPort": [2, 3],
                           "destinationTransportPort": 4 });
    assert_eq!(record["fields"], expected);
    assert_eq!(record["scope"], json!({ "sourceTransportPort": 1 }));
    assert_eq!(fields(0, &[])["fields"], json!({}));
    assert!(fields(0, &[]).get("scope").is_none());
}

#[test]
fn lists_are_arrays_of_objects() {
    let list: &[u8] = &[3, 0, 14, 0, 1, 1, 4];
    let nested: &[u8] = &[3, 1, 35, 0xff, 0xff, 7, 3, 0, 14, 0, 1, 1, 4];
    let two = json!([{ "egressInterface": 1 }, { "egressInterface": 4 }]);
    assert_eq!(fields(0, &[(291, list)])["fields"]["basicList"], two);
    assert_eq!(fields(0, &[(291, list), (291, list)])["fields"]["basicList"], json!([two, two]));
    assert_eq!(fields(0, &[(291, nested)])["fields"]["basicList"], json!([{ "basicList": two }]));
    assert_eq!(fields(0, &[(291, &[3, 0, 14, 0, 1])])["fields"]["basicList"], json!([]));
}

proptest! {
    #[test]
    fn any_string_parses_back_to_what_was_sent(octets in prop::collection::vec(any::<u8>(), 0..60)) {
        let sent = octets.iter().rposition(|octet| *octet != 0).map_or(&[][..], |last| &octets[..=last]);
        let found = fields(0, &[(82, &octets)])["fields"]["interfaceName"].clone();
        prop_assert_eq!(found, json!(String::from_utf8_lossy(sent)));
    }

    #[test]
    fn any_valid_string_parses_back(text in "\\PC*|[\\x00-\\x9f\"\\\\]*x") {
        let found = fields(0, &[(82, text.as_bytes())])["fields"]["interfaceName"].clone();
        prop_assert_eq!(found, json!(text));
    }

    #[test]
    fn any_octets_of_any_element_give_an_object(sent in prop::collection::vec((0u16..540, prop::collection::vec(any::<u8>(), 0..24)), 0..12)) {
        let sent: Vec<(u16, &[u8])> = sent.iter().map(|(id, octets)| (*id, octets.as_slice())).collect();
        let record = fields(0, &sent);
        for (id, octets) in sent {
            let (name, _) = decode(ElementId { enterprise: 0, id }, octets);
            prop_assert!(record["fields"].get(name.to_string()).is_some(), "{name}");
        }
    }
}
