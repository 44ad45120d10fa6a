//! Type and code of ICMP are no port: `srcport` and `dstport` count 0, wherever the exporter has put them.

use wire::encode;

use super::*;

/// Destination unreachable, communication prohibited.
const TYPE_AND_CODE: u16 = 3 << 8 | 13;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Datagrams with one ICMP flow of the prefix, of 84 octets and one packet.
fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    let seconds = NOW.into();
    let v1 = wire::netflow_v1::Record {
        source: INSIDE,
        destination: OUTSIDE,
        octets: 84.into(),
        packets: 1.into(),
        destination_port: TYPE_AND_CODE.into(),
        protocol: ICMP,
        ..Default::default()
    };
    let v5 = wire::netflow_v5::Record {
        source: INSIDE,
        destination: OUTSIDE,
        octets: 84.into(),
        packets: 1.into(),
        source_port: 77.into(),
        destination_port: TYPE_AND_CODE.into(),
        protocol: ICMP,
        ..Default::default()
    };
    let v7 = wire::netflow_v7::Record {
        source: INSIDE,
        destination: OUTSIDE,
        octets: 84.into(),
        packets: 1.into(),
        destination_port: TYPE_AND_CODE.into(),
        protocol: ICMP,
        ..Default::default()
    };
    let v1_header = wire::netflow_v1::Header { unix_seconds: seconds, ..Default::default() };
    let v5_header = wire::netflow_v5::Header { unix_seconds: seconds, ..Default::default() };
    let v7_header = wire::netflow_v7::Header { unix_seconds: seconds, ..Default::default() };
    let with = |id: u16| {
        TemplateSpec::data(256, [field(8, 4), field(12, 4), field(4, 1), field(id, 2), field(1, 4), field(2, 4)])
    };
    let record = |template: &TemplateSpec, protocol: u8| {
        let (octets, packets) = (84_u32.to_be_bytes(), 1_u32.to_be_bytes());
        [template.record(&[&INSIDE, &OUTSIDE, &[protocol], &TYPE_AND_CODE.to_be_bytes(), &octets, &packets])]
    };
    let v9_of =
        |id: u16, protocol: u8| v9(0).template(&with(id)).data(&with(id), &record(&with(id), protocol)).finish();
    let ipfix_of =
        |id: u16, protocol: u8| message(0).template(&with(id)).data(&with(id), &record(&with(id), protocol)).finish();
    vec![
        ("NetFlow v1", encode::netflow_v1(&v1_header, &[v1])),
        ("NetFlow v5", encode::netflow_v5(&v5_header, &[v5])),
        ("NetFlow v7", encode::netflow_v7(&v7_header, &[v7])),
        ("NetFlow v9, destination port", v9_of(11, ICMP)),
        ("NetFlow v9, ICMP_TYPE", v9_of(32, ICMP)),
        ("NetFlow v9, destination port, ICMPv6", v9_of(11, ICMPV6)),
        ("IPFIX, destinationTransportPort", ipfix_of(11, ICMP)),
        ("IPFIX, udpDestinationPort", ipfix_of(181, ICMP)),
        ("IPFIX, icmpTypeCodeIPv6", ipfix_of(139, ICMPV6)),
        ("sFlow v5, sampled_header", packets::sampled(&[3, 13, 0, 0, 0, 0, 0, 0], ICMP)),
        ("sFlow v5, sampled_ipv4", sampled_ipv4()),
    ]
}

/// An sFlow v5 datagram whose packet is described without its header.
fn sampled_ipv4() -> Vec<u8> {
    let words = [
        [5, 1, 0x0a00_0001, 0, 1, 1000, 1].as_slice(),
        &[1, 32 + 8 + 32, 1, 1, 1, 1000, 0, 1, 2, 1],
        &[
            3,
            32,
            84,
            ICMP.into(),
            u32::from_be_bytes(INSIDE),
            u32::from_be_bytes(OUTSIDE),
            77,
            TYPE_AND_CODE.into(),
            0,
            0,
        ],
    ];
    words.concat().into_iter().flat_map(u32::to_be_bytes).collect()
}

#[test]
fn type_and_code_of_icmp_count_as_port_0_in_every_protocol() {
    for (name, datagram) in datagrams() {
        let mut collector = Collector::new();
        collector.take(&datagram);
        assert_eq!(collector.sent().flows, 1, "{name}");
        for field in ["srcport", "dstport"] {
            let port_0 = format!("{field}:0").parse().unwrap();
            assert_eq!(collector.counters(Direction::Out, port_0).flows, 1, "{name}: {field}");
        }
    }
}

#[test]
fn the_ports_of_other_protocols_count() {
    let mut collector = Collector::new();
    let template = TemplateSpec::data(256, [field(8, 4), field(4, 1), field(11, 2), field(1, 4)]);
    let record = |protocol: u8| template.record(&[&INSIDE, &[protocol], &2048_u16.to_be_bytes(), &[0, 0, 0, 1]]);
    let all: Vec<_> = (0..=255).map(record).collect();
    collector.take(&v9(0).template(&template).data(&template, &all).finish());
    let flows = |collector: &mut Collector, name: &str| collector.counters(Direction::Out, name.parse().unwrap()).flows;
    assert_eq!((flows(&mut collector, "dstport:2048"), flows(&mut collector, "dstport:0")), (254, 2));
}

/// What `netflow decode` shows of them.
#[test]
fn type_and_code_of_icmp_are_shown_as_such() {
    for (name, datagram) in datagrams() {
        let (mut session, mut shown) = (Session::new(SessionLimits::default()), Vec::new());
        let datagram =
            Datagram { exporter: Exporter::udp(ROUTER, PORT), received: Timestamp::EPOCH, payload: &datagram };
        session.decode(&datagram, &mut |record| {
            let mut line = String::new();
            wire::json::write_json(record, &mut line);
            shown.push((record.icmp(), serde_json::from_str::<serde_json::Value>(&line).unwrap()["flow"].clone()));
        });
        let [(icmp, flow)] = shown.as_slice() else { panic!("{name}: {shown:?}") };
        assert_eq!((flow["sourcePort"].as_u64(), flow["destinationPort"].as_u64()), (Some(0), Some(0)), "{name}");
        if name != "sFlow v5, sampled_ipv4" && name != "IPFIX, udpDestinationPort" {
            assert_eq!(*icmp, Some((3, 13)), "{name}");
            assert_eq!((flow["icmpType"].as_u64(), flow["icmpCode"].as_u64()), (Some(3), Some(13)), "{name}");
        }
    }
}
