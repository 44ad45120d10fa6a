//! Properties of random records: encoded records decode to themselves in each protocol, and a compiled plan books the same
//! as a decoder that reads each field in turn.

use std::net::{IpAddr, Ipv4Addr};

use flow::{Counters, Exporter, FlowRecord, Timestamp};
use proptest::prelude::*;
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::{
    Datagram, Decoded, ElementId, FieldName, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, Value, ipfix,
    netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v8, netflow_v9,
};
use zerocopy::FromBytes;

/// One field as it was listed: element, and number or address.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Number(u64),
    Address(IpAddr),
    Other,
}

/// Enterprise number and element.
type Element = (u32, u16);

type Listed = Vec<(Element, Content)>;

fn decode(payload: &[u8]) -> (Decoded, Vec<(Option<FlowRecord>, Listed)>) {
    let mut session = Session::new(SessionLimits::default());
    let exporter = Exporter::udp(Ipv4Addr::LOCALHOST.into(), 1);
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(9), payload };
    let mut records = Vec::new();
    let decoded = session.decode(&datagram, &mut |record| {
        let mut listed = Vec::new();
        record.fields(&mut |field| {
            let content = match field.value {
                Value::Unsigned(number) => Content::Number(number),
                Value::Ipv4(address) => Content::Address(address.into()),
                Value::Ipv6(address) => Content::Address(address.into()),
                _ => Content::Other,
            };
            match field.name {
                FieldName::Element(id, _) | FieldName::Described(id, _) | FieldName::Unknown(id) => {
                    listed.push(((id.enterprise, id.id), content))
                }
                FieldName::Named(_) => {}
            }
        });
        records.push((record.flow.copied(), listed));
    });
    (decoded, records)
}

/// A flow booked by looking at each listed field in turn: the rules of `booking.rs`, written a second time.
fn naive(fields: &Listed, exported: Timestamp) -> Option<FlowRecord> {
    let number = |enterprise, id| {
        let found = fields
            .iter()
            .find(|(element, content)| *element == (enterprise, id) && matches!(content, Content::Number(_)));
        found.map(|(_, content)| if let Content::Number(number) = content { *number } else { 0 })
    };
    let address = |ids: [u16; 2]| {
        let found = ids.iter().find_map(|id| {
            fields.iter().find_map(|(element, content)| match content {
                Content::Address(address) if *element == (0, *id) => Some(*address),
                _ => None,
            })
        });
        found.filter(|address| !address.is_unspecified() || address.is_ipv6())
    };
    let first = |ids: &[u16]| ids.iter().find_map(|&id| number(0, id)).unwrap_or(0);
    let pair = |pairs: &[(Element, Element)]| {
        pairs.iter().map(|&(f, r)| (number(f.0, f.1), number(r.0, r.1))).find(|found| *found != (None, None))
    };
    let bytes = pair(&[
        ((0, 1), (29305, 1)),
        ((0, 23), (29305, 23)),
        ((0, 231), (0, 232)),
        ((0, 85), (29305, 85)),
        ((0, 352), (29305, 352)),
        ((0, 353), (29305, 353)),
    ]);
    let packets = pair(&[((0, 2), (29305, 2)), ((0, 24), (29305, 24)), ((0, 298), (0, 299)), ((0, 86), (29305, 86))]);
    if bytes.is_none() && packets.is_none() {
        return None;
    }
    let (bytes, reverse_bytes) = bytes.unwrap_or_default();
    let (packets, reverse_packets) = packets.unwrap_or_default();
    let (mut bytes, mut packets) = (bytes.unwrap_or(0), packets.unwrap_or(0));
    if bytes == 0 && packets == 0 {
        (bytes, packets) = (number(0, 23).unwrap_or(0), number(0, 24).unwrap_or(0));
    }
    let (back_bytes, back_packets) = (reverse_bytes.unwrap_or(0), reverse_packets.unwrap_or(0));
    // The IP interface unless it is 0 or missing; ifIndexes have 32 bits.
    let interface = |ip, physical| {
        let index = |id| number(0, id).map(|index| index as u32).filter(|index| *index != 0);
        index(ip).or_else(|| index(physical)).unwrap_or(0)
    };
    let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Some(FlowRecord {
        source: address([8, 44]).or_else(|| address([27, 170])).unwrap_or(none),
        destination: address([12, 45]).or_else(|| address([28, 169])).unwrap_or(none),
        protocol: (first(&[4, 193]) & 0xff) as u8,
        source_port: (first(&[7, 180, 182]) & 0xffff) as u16,
        destination_port: (first(&[11, 181, 183]) & 0xffff) as u16,
        source_as: (first(&[16]) & 0xffff_ffff) as u32,
        destination_as: (first(&[17]) & 0xffff_ffff) as u32,
        input_interface: interface(10, 252),
        output_interface: interface(14, 253),
        forward: Counters { bytes, packets, flows: 1 },
        reverse: Counters {
            bytes: back_bytes,
            packets: back_packets,
            flows: u64::from(back_bytes > 0 || back_packets > 0),
        },
        ..FlowRecord::empty(exported)
    })
}

/// Whether the octets and packets of a record are sums since its flow began.
fn is_running_total(fields: &Listed) -> bool {
    let has =
        |ids: &[u16]| fields.iter().any(|((enterprise, id), _)| [0, 29305].contains(enterprise) && ids.contains(id));
    let octets_are_others = has(&[352, 353]) && !has(&[85]);
    let has_end = |ids: &[u16]| {
        fields.iter().any(|((_, id), content)| ids.contains(id) && matches!(content, Content::Address(_)))
    };
    let is_identified = has_end(&[8, 44, 27, 170]) && has_end(&[12, 45, 28, 169]);
    is_identified && has(&[85, 86]) && !octets_are_others && !has(&[1, 2, 23, 24, 231, 232, 298, 299])
}

/// Elements that are booked, and some that are not.
const NUMBERS: &[(u32, u16)] = &[
    (0, 1),
    (0, 2),
    (0, 4),
    (0, 7),
    (0, 10),
    (0, 11),
    (0, 14),
    (0, 16),
    (0, 17),
    (0, 23),
    (0, 24),
    (0, 85),
    (0, 86),
    (0, 180),
    (0, 183),
    (0, 193),
    (0, 231),
    (0, 232),
    (0, 252),
    (0, 253),
    (0, 298),
    (0, 299),
    (0, 352),
    (29305, 1),
    (29305, 2),
    (29305, 23),
    (29305, 85),
    (29305, 86),
];
const ADDRESSES: &[(u16, u16)] = &[(8, 4), (12, 4), (44, 4), (45, 4), (15, 4), (27, 16), (28, 16)];

/// A field, whether it is to be of variable length, and the octets of its value.
fn field() -> impl Strategy<Value = (ElementId, bool, Vec<u8>)> {
    let number = (prop::sample::select(NUMBERS), any::<bool>(), prop::collection::vec(small_octet(), 1..=8))
        .prop_map(|((enterprise, id), variable, octets)| (ElementId { enterprise, id }, variable, octets));
    let address = (prop::sample::select(ADDRESSES), any::<bool>(), prop::collection::vec(small_octet(), 16)).prop_map(
        |((id, length), variable, mut octets)| {
            octets.truncate(length.into());
            (ElementId { enterprise: 0, id }, variable, octets)
        },
    );
    // An unknown element of any length, the longest of which take three octets of length.
    let other = (prop::sample::select(vec![0_usize, 1, 3, 254, 255, 300]), any::<bool>())
        .prop_map(|(length, variable)| (ElementId { enterprise: 64_000, id: 9 }, variable, vec![0xee; length]));
    prop_oneof![6 => number, 3 => address, 1 => other]
}

/// Octets that are often zero, because zero means something in several rules.
fn small_octet() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(0_u8), 1 => any::<u8>()]
}

fn spec(fields: &[(ElementId, bool, Vec<u8>)]) -> TemplateSpec {
    let specifiers: Vec<_> = fields
        .iter()
        .map(|(element, variable, octets)| FieldSpecifier {
            element: *element,
            length: if *variable { VARIABLE_LENGTH } else { octets.len() as u16 },
        })
        .collect();
    TemplateSpec::data(300, specifiers)
}

proptest! {
    #[test]
    fn a_plan_books_what_a_decoder_books_that_looks_at_each_field(
        fields in prop::collection::vec(field(), 1..24), count in 1_usize..4,
    ) {
        let template = spec(&fields);
        let octets: Vec<_> = fields.iter().map(|(_, _, octets)| octets.as_slice()).collect();
        let record = template.record(&octets);
        // Up to three zeros at the end of a set may be padding.
        prop_assume!(record.len() > 3);
        let header = ipfix::Header { export_seconds: 77.into(), ..Default::default() };
        let (decoded, records) =
            decode(&Ipfix::new(header).template(&template).data(&template, &vec![record; count]).finish());
        prop_assert_eq!((decoded.data as usize, decoded.errors), (count, 0));
        for (number, (flow, listed)) in records.into_iter().enumerate() {
            let shown = fields.iter().filter(|(_, variable, octets)| *variable || !octets.is_empty()).count();
            prop_assert_eq!(listed.len(), shown);
            // A running total is new once.
            let is_new = |flow: &FlowRecord| number == 0 && [flow.forward, flow.reverse].iter().any(|way| way.bytes > 0 || way.packets > 0);
            let expected = naive(&listed, Timestamp::from_seconds(77));
            prop_assert_eq!(flow, if is_running_total(&listed) { expected.filter(is_new) } else { expected });
        }
    }

    #[test]
    fn version_9_and_ipfix_list_the_numbers_that_were_encoded(values in prop::collection::vec(any::<u64>(), 1..40)) {
        let template = TemplateSpec::data(256, vec![FieldSpecifier::iana(1, 8); values.len()]);
        let octets: Vec<_> = values.iter().map(|value| value.to_be_bytes()).collect();
        let record = template.record(&octets.iter().map(|octets| &octets[..]).collect::<Vec<_>>());
        let v9 = NetflowV9::new(netflow_v9::Header::default()).template(&template).data(&template, std::slice::from_ref(&record));
        let ipfix = Ipfix::new(ipfix::Header::default()).template(&template).data(&template, std::slice::from_ref(&record));
        for payload in [v9.finish(), ipfix.finish()] {
            let (_, records) = decode(&payload);
            let [(_, listed)] = &records[..] else { panic!("{} records", records.len()) };
            let expected: Listed = values.iter().map(|&value| ((0, 1), Content::Number(value))).collect();
            prop_assert_eq!(listed, &expected);
        }
    }

    #[test]
    fn records_of_versions_1_5_6_and_7_decode_to_themselves(octets in prop::collection::vec(any::<u8>(), 52)) {
        let (v1, _) = netflow_v1::Record::read_from_prefix(&octets).unwrap();
        let (v5, _) = netflow_v5::Record::read_from_prefix(&octets).unwrap();
        let (v6, _) = netflow_v6::Record::read_from_prefix(&octets).unwrap();
        let (v7, _) = netflow_v7::Record::read_from_prefix(&octets).unwrap();
        let expected = [
            (encode::netflow_v1(&Default::default(), &[v1; 3]), v1.octets, v1.packets, v1.source, v1.destination_port),
            (encode::netflow_v5(&Default::default(), &[v5; 3]), v5.octets, v5.packets, v5.source, v5.destination_port),
            (encode::netflow_v6(&Default::default(), &[v6; 3]), v6.octets, v6.packets, v6.source, v6.destination_port),
            (encode::netflow_v7(&Default::default(), &[v7; 3]), v7.octets, v7.packets, v7.source, v7.destination_port),
        ];
        for (payload, bytes, packets, source, port) in expected {
            let (decoded, records) = decode(&payload);
            prop_assert_eq!((decoded.data, decoded.errors), (3, 0));
            for (flow, listed) in records {
                let flow = flow.unwrap();
                prop_assert_eq!(flow.forward.bytes, u64::from(bytes.get()));
                prop_assert_eq!(flow.source, IpAddr::from(source));
                prop_assert_eq!(flow.destination_port, port.get());
                let of = |id| listed.iter().find(|(element, _)| *element == (0, id)).map(|(_, content)| content.clone());
                prop_assert_eq!(of(1), Some(Content::Number(bytes.get().into())));
                prop_assert_eq!(of(2), Some(Content::Number(packets.get().into())));
                prop_assert_eq!(of(8), Some(Content::Address(IpAddr::from(source))));
                prop_assert_eq!(of(11), Some(Content::Number(port.get().into())));
                let is_zero = |id| of(id) == Some(Content::Number(0));
                prop_assert_eq!((flow.is_source_by_default, flow.is_destination_by_default), (is_zero(9), is_zero(13)));
                // The listing and the booking are two ways to read the same record.
                let flow = FlowRecord { is_source_by_default: false, is_destination_by_default: false, ..flow };
                prop_assert_eq!(Some(flow), naive(&listed, flow.exported));
            }
        }
    }

    #[test]
    fn records_of_all_schemes_of_version_8_decode_to_themselves(aggregation in 1_u8..=14, seed in any::<u64>()) {
        let value = |id: u16| seed.rotate_left(u32::from(id)) & 0xff;
        let header = netflow_v8::Header { aggregation, ..Default::default() };
        let record = netflow_v8::record(aggregation, value);
        prop_assert_eq!(Some(record.len()), netflow_v8::record_length(aggregation));
        let (decoded, records) = decode(&encode::netflow_v8(&header, &vec![record; 5]));
        prop_assert_eq!((decoded.data, decoded.errors), (5, 0));
        for (flow, listed) in records {
            for ((_, id), content) in &listed {
                match content {
                    Content::Number(number) => prop_assert_eq!(*number, value(*id)),
                    Content::Address(IpAddr::V4(address)) => prop_assert_eq!(u64::from(u32::from(*address)), value(*id)),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            let flow = flow.unwrap();
            prop_assert_eq!((flow.forward.bytes, flow.forward.packets), (value(1), value(2)));
            let carried = |id| listed.iter().any(|(element, _)| *element == (0, id));
            let interfaces = [10, 14].map(|id| if carried(id) { value(id) } else { 0 });
            prop_assert_eq!([flow.input_interface, flow.output_interface].map(u64::from), interfaces);
        }
    }
}
