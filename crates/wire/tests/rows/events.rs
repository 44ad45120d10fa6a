//! Rows of events without counters, and of records with both directions.

use std::net::{IpAddr, Ipv4Addr};

use columns::{Id, Row, RowKind};
use flow::{Exporter, Timestamp};
use wire::encode::{Ipfix, TemplateSpec};
use wire::{Datagram, ElementId, FieldSpecifier, Session, SessionLimits, ipfix};

/// The row of a record of these elements, by number and octets.
fn row(fields: &[(u32, u16, &[u8])]) -> Row {
    let specifiers = fields.iter().map(|&(enterprise, id, octets)| FieldSpecifier {
        element: ElementId { enterprise, id },
        length: u16::try_from(octets.len()).unwrap(),
    });
    let template = TemplateSpec::data(256, specifiers.collect::<Vec<_>>());
    let record = template.record(&fields.iter().map(|(.., octets)| *octets).collect::<Vec<_>>());
    let header = ipfix::Header { export_seconds: 1_700_000_000.into(), ..Default::default() };
    let payload = Ipfix::new(header).template(&template).data(&template, &[record]).finish();
    let exporter = Exporter::udp(Ipv4Addr::LOCALHOST.into(), 1);
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(1_700_000_001), payload: &payload };
    let (mut rows, mut row) = (Vec::new(), Row::new());
    Session::new(SessionLimits::default()).decode(&datagram, &mut |record| {
        assert!(record.row(&mut row));
        rows.push(row.clone());
    });
    let [row] = rows.try_into().unwrap();
    row
}

const INSIDE: [u8; 4] = [10, 0, 0, 7];
const OUTSIDE: [u8; 4] = [203, 0, 113, 7];
const SERVER: [u8; 4] = [198, 51, 100, 1];
const PORT: [u8; 2] = [0xc0, 0x00];
const HAPPENED: u64 = 1_699_999_999_500;

/// No bytes, packets or flows, and a rate of 1.
fn assert_counts_nothing(row: &Row) {
    let counters = [Id::Bytes, Id::Packets, Id::Flows, Id::RevBytes, Id::RevPackets].map(|id| row.number(id));
    assert_eq!((counters, row.number(Id::Rate)), ([0; 5], 1));
}

#[test]
fn a_translation_is_a_row_with_both_addresses_and_its_time() {
    let happened = HAPPENED.to_be_bytes();
    let row = row(&[
        (0, 323, &happened),
        (0, 8, &INSIDE),
        (0, 225, &OUTSIDE),
        (0, 12, &SERVER),
        (0, 7, &PORT),
        (0, 227, &[0x10, 0x00]),
        (0, 11, &[1, 0xbb]),
        (0, 4, &[6]),
        (0, 230, &[4]),
        (0, 234, &[0, 0, 0, 9]),
    ]);
    assert_eq!((row.number(Id::Kind), row.number(Id::NatEvent)), (RowKind::Nat as u64, 4));
    assert_eq!((row.address(Id::SrcIp), row.address(Id::NatSrcIp)), (IpAddr::from(INSIDE), IpAddr::from(OUTSIDE)));
    assert_eq!((row.address(Id::DstIp), row.number(Id::Proto)), (IpAddr::from(SERVER), 6));
    let ports = [Id::SrcPort, Id::NatSrcPort, Id::DstPort].map(|id| row.number(id));
    assert_eq!((ports, row.number(Id::InVrf)), ([0xc000, 0x1000, 443], 9));
    assert_eq!((row.number(Id::Start), row.number(Id::End)), (HAPPENED, HAPPENED));
    assert_eq!((row.number(Id::Received), row.number(Id::Exported)), (1_700_000_001_000, 1_700_000_000_000));
    assert_counts_nothing(&row);
}

#[test]
fn a_block_of_ports_is_a_row() {
    let (first, last) = ([0x04, 0x00], [0x05, 0xff]);
    let row = row(&[(0, 8, &INSIDE), (0, 225, &OUTSIDE), (0, 361, &first), (0, 362, &last), (0, 230, &[16])]);
    assert_eq!((row.number(Id::Kind), row.number(Id::NatEvent)), (RowKind::PortBlock as u64, 16));
    assert_eq!((row.number(Id::PortStart), row.number(Id::PortEnd)), (1024, 1535));
    assert_eq!(row.address(Id::NatSrcIp), IpAddr::from(OUTSIDE));
    assert_counts_nothing(&row);
}

#[test]
fn a_denied_connection_is_an_event_and_one_that_ended_is_a_flow() {
    let connection = |event: &[u8], octets: &[u8]| {
        row(&[(0, 8, &INSIDE), (0, 12, &SERVER), (0, 4, &[6]), (0, 233, event), (0, 231, octets), (0, 232, &[0; 4])])
    };
    let denied = connection(&[3], &[0; 4]);
    assert_eq!((denied.number(Id::Kind), denied.number(Id::FwEvent)), (RowKind::Firewall as u64, 3));
    assert_eq!((denied.address(Id::SrcIp), denied.address(Id::DstIp)), (IpAddr::from(INSIDE), IpAddr::from(SERVER)));
    assert_counts_nothing(&denied);
    let ended = connection(&[2], &[0, 0, 5, 0xdc]);
    assert_eq!((ended.number(Id::Kind), ended.number(Id::FwEvent)), (RowKind::Flow as u64, 2));
    assert_eq!((ended.number(Id::Bytes), ended.number(Id::Flows)), (1500, 1));
}

#[test]
fn both_directions_of_a_flow_are_one_row() {
    let row = row(&[
        (0, 8, &INSIDE),
        (0, 12, &SERVER),
        (0, 1, &[0, 0, 0, 100]),
        (0, 2, &[0, 2]),
        (0, 6, &[0x1b]),
        (29305, 1, &[0, 0, 4, 0]),
        (29305, 2, &[0, 3]),
        (29305, 6, &[0x12]),
    ]);
    let counters = [Id::Bytes, Id::Packets, Id::Flows, Id::RevBytes, Id::RevPackets].map(|id| row.number(id));
    assert_eq!((counters, row.number(Id::Kind)), ([100, 2, 1, 1024, 3], RowKind::Flow as u64));
    assert_eq!((row.number(Id::TcpFlags), row.number(Id::RevTcpFlags)), (0x1b, 0x12));
}
