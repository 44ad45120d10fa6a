//! The columns that the structures of a sample have.

use std::net::{IpAddr, Ipv4Addr};

use columns::{Id, Row, RowKind, Value};
use flow::sender_settings::Tunnels;
use flow::{Exporter, Timestamp};
use wire::{Datagram, Decoded, sflow};

use crate::datagrams::{DESTINATION, SOURCE, Xdr, flow_sample, frame, version_5};
use crate::version_4;

fn rows(payload: &[u8]) -> Vec<Row> {
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 6343);
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(1_700_000_000), payload };
    let (mut rows, mut row) = (Vec::new(), Row::new());
    let visit = &mut |record: &wire::Record<'_>| {
        if record.row(&mut row) {
            rows.push(row.clone());
        }
    };
    sflow::decode(&datagram, Tunnels::Outer, visit, &mut |_| {}, &mut Decoded::default());
    rows
}

/// The row of a flow sample of version 5 with these records.
fn row(records: &[(u32, Xdr)]) -> Row {
    let count = u32::try_from(records.len()).unwrap();
    let records = records.iter().fold(Xdr::default(), |all, (format, content)| all.record(*format, content));
    let rows = rows(&version_5(1, &Xdr::default().record(1, &flow_sample(count, &records))));
    let [row] = rows.try_into().unwrap();
    row
}

fn header(frame: &[u8]) -> (u32, Xdr) {
    (1, Xdr::default().words(&[1, 118, 4]).opaque(frame))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn xdr_address(text: &str) -> Xdr {
    Xdr::default().address(address(text))
}

#[test]
fn a_sampled_header_fills_the_columns_of_its_layers() {
    // Two tags: service 100, customer 200.
    let tagged = [&frame()[..12], &[0x88, 0xa8, 0, 100, 0x81, 0, 0, 200], &frame()[12..]].concat();
    let row = row(&[header(&tagged)]);
    assert_eq!(row.value(Id::SrcMac), Value::Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(row.value(Id::DstMac), Value::Mac([2, 0, 0, 0, 0, 2]));
    assert_eq!((row.number(Id::SrcVlan), row.number(Id::InnerVlan)), (100, 200));
    assert_eq!((row.number(Id::EtherType), row.number(Id::Ttl), row.number(Id::FragId)), (0x0800, 64, 7));
    assert_eq!(row.address(Id::SrcIp), IpAddr::V4(*SOURCE.ip()));
    assert_eq!(row.address(Id::DstIp), IpAddr::V4(*DESTINATION.ip()));
    assert_eq!((row.number(Id::Proto), row.number(Id::DstPort)), (17, 53));
    assert_eq!((row.number(Id::Bytes), row.number(Id::Packets), row.number(Id::Rate)), (118, 1, 1000));
    assert_eq!((row.number(Id::Kind), row.number(Id::Version)), (RowKind::Packet as u64, 25));
    assert_eq!((row.number(Id::Domain), row.number(Id::InIf), row.number(Id::OutIf)), (3, 7, 0));
}

#[test]
fn what_an_agent_states_beside_the_header_has_columns() {
    let row = row(&[
        (1001, Xdr::default().words(&[300, 0, 400, 0])),
        header(&frame()),
        (1002, xdr_address("203.0.113.1").words(&[24, 16])),
        (
            1003,
            xdr_address("2001:db8::1").words(&[64_500, 64_501, 64_502, 2, 1, 0, 2, 2, 64_510, 64_511]).words(&[0, 0]),
        ),
        (1007, xdr_address("192.0.2.7").address(address("192.0.2.8"))),
        (1020, Xdr::default().words(&[1234, 5678])),
        (1030, Xdr::default().words(&[5000])),
    ]);
    // The agent's VLAN before that of a tag.
    assert_eq!((row.number(Id::SrcVlan), row.number(Id::DstVlan)), (300, 400));
    assert_eq!(
        (row.address(Id::NextHop), row.address(Id::BgpNextHop)),
        (address("203.0.113.1"), address("2001:db8::1"))
    );
    assert_eq!((row.number(Id::SrcMask), row.number(Id::DstMask)), (24, 16));
    // Of a path whose first segment is empty.
    assert_eq!((row.number(Id::NextAs), row.number(Id::SrcAs), row.number(Id::DstAs)), (64_510, 64_501, 64_511));
    assert_eq!((row.address(Id::NatSrcIp), row.address(Id::NatDstIp)), (address("192.0.2.7"), address("192.0.2.8")));
    assert_eq!((row.number(Id::NatSrcPort), row.number(Id::NatDstPort)), (1234, 5678));
    assert_eq!(row.number(Id::Vni), 5000);
}

#[test]
fn a_packet_that_the_agent_has_interpreted_has_columns_without_a_header() {
    let ethernet =
        Xdr::default().words(&[64]).octets(&[2, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0]).words(&[0x86dd]);
    let ipv4 = Xdr::default().words(&[40, 6]).octets(&[192, 0, 2, 1, 192, 0, 2, 2]).words(&[1000, 443, 0x12, 0xb8]);
    let row = row(&[(3, ipv4), (2, ethernet)]);
    assert_eq!(row.value(Id::SrcMac), Value::Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(row.value(Id::DstMac), Value::Mac([2, 0, 0, 0, 0, 2]));
    assert_eq!((row.number(Id::EtherType), row.number(Id::TcpFlags), row.number(Id::Tos)), (0x86dd, 0x12, 0xb8));
    assert_eq!((row.number(Id::SrcPort), row.number(Id::Bytes)), (1000, 64));
}

#[test]
fn a_packet_in_a_tunnel_has_the_ends_of_both() {
    let inner = frame();
    let ip = [0x45, 0, 0, 100, 0, 7, 0, 0, 63, 4, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2];
    let row = row(&[header(&[&inner[..14], &ip, &inner[14..]].concat())]);
    assert_eq!((row.address(Id::SrcIp), row.number(Id::Proto), row.number(Id::Ttl)), (address("203.0.113.1"), 4, 63));
    assert_eq!(row.address(Id::InnerSrcIp), IpAddr::V4(*SOURCE.ip()));
    assert_eq!(row.address(Id::InnerDstIp), IpAddr::V4(*DESTINATION.ip()));
    assert_eq!((row.number(Id::InnerSrcPort), row.number(Id::InnerDstPort)), (SOURCE.port().into(), 53));
    assert_eq!(row.number(Id::InnerProto), 17);
}

#[test]
fn the_agent_states_where_the_packet_inside_begins() {
    let outer = [0x45, 0, 0, 100, 0, 7, 0, 0, 63, 17, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2, 0, 9, 0, 9, 0, 80, 0, 0];
    let inner = &frame()[14..];
    let sampled = [&frame()[..14], &outer, inner].concat();
    let begins = u32::try_from(14 + outer.len()).unwrap();
    let row = row(&[header(&sampled), (1028, Xdr::default().words(&[begins]))]);
    assert_eq!(row.address(Id::SrcIp), address("203.0.113.1"));
    assert_eq!((row.address(Id::InnerSrcIp), row.number(Id::InnerProto)), (IpAddr::V4(*SOURCE.ip()), 17));
}

#[test]
fn samples_of_versions_2_and_4_have_the_same_columns() {
    for version in [2, 4] {
        let rows = rows(&version_4::datagram(version, 1, &version_4::full_flow_sample(version)));
        let [row] = rows.try_into().unwrap();
        assert_eq!((row.number(Id::SrcVlan), row.number(Id::DstVlan)), (100, 200), "version {version}");
        assert_eq!(row.address(Id::NextHop), address("203.0.113.1"));
        assert_eq!((row.number(Id::SrcMask), row.number(Id::DstMask), row.number(Id::NextAs)), (24, 16, 64_510));
        assert_eq!((row.value(Id::SrcMac), row.number(Id::Ttl)), (Value::Mac([2, 0, 0, 0, 0, 1]), 64));
        assert_eq!((row.number(Id::Rate), row.number(Id::Version)), (400, u64::from(20 + version)));
    }
}

#[test]
fn counter_samples_and_notifications_are_no_rows() {
    let counters = Xdr::default().words(&[4, 0x0100_0006, 0]);
    let drop = Xdr::default().words(&[1, 0, 5, 0, 7, 8, 256, 0]);
    let samples = Xdr::default().record(2, &counters).record(5, &drop);
    assert_eq!(rows(&version_5(2, &samples)).len(), 0);
}
