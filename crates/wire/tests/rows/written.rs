//! Rows that were written as IPFIX messages are the same when they are read again.

use std::collections::BTreeMap;
use std::time::Duration;

use columns::{COLUMNS, Columns, Id, Kind, Row, RowKind};
use flow::{Exporter, Timestamp};
use testing::Random;
use wire::framing::message_length;
use wire::row_writer::{RowCounters, RowWriter, is_written};
use wire::{Datagram, Session, SessionLimits};

use crate::{Cell, Outcome, captures, cell};

/// An hour, so that captures of routers with a wrong clock are among the rest.
const CLOCK_LIMIT: Duration = Duration::from_secs(3600);

fn write(rows: &[Row], columns: Columns, counters: RowCounters) -> Vec<u8> {
    let mut writer = RowWriter::new(columns, counters, CLOCK_LIMIT);
    let mut octets = Vec::new();
    rows.iter().for_each(|row| writer.push(row, &mut octets));
    writer.finish(&mut octets);
    octets
}

/// The messages of a file, each with its export time and its sequence number.
fn messages(octets: &[u8]) -> Vec<(u32, u32, &[u8])> {
    let (mut rest, mut messages) = (octets, Vec::new());
    while let Some(length) = message_length(rest).unwrap() {
        let (message, after) = rest.split_at(length);
        let (words, _) = message.as_chunks::<4>();
        let [_, seconds, sequence, domain] = words.first_chunk().unwrap().map(u32::from_be_bytes);
        assert_eq!(domain, 0);
        messages.push((seconds, sequence, message));
        rest = after;
    }
    assert!(rest.is_empty(), "a piece of a message");
    messages
}

/// The rows of a file.
fn read(octets: &[u8]) -> Vec<Row> {
    let exporter = Exporter::udp([192, 0, 2, 1].into(), 1);
    let (mut session, mut rows, mut row) = (Session::new(SessionLimits::default()), Vec::new(), Row::new());
    for (seconds, sequence, payload) in messages(octets) {
        assert!(payload.len() <= 1400, "{}", payload.len());
        assert_eq!(sequence as usize, rows.len(), "data records before the message");
        let received = Timestamp::from_seconds(seconds.into());
        let decoded = session.decode(&Datagram { exporter, received, payload }, &mut |record| {
            assert!(record.row(&mut row));
            rows.push(row.clone());
        });
        assert_eq!((decoded.errors, decoded.missing_template_sets), (0, 0));
    }
    rows
}

/// The columns in which a row is not what was written.
fn differences(written: &Row, read: &Row) -> Vec<String> {
    let mut different = Vec::new();
    for column in COLUMNS.iter().filter(|column| is_written(column.id) || column.id == Id::Kind) {
        let expected = match column.id {
            // Those are of the new message; the records name the old ones.
            Id::Received | Id::Exporter | Id::Domain => continue,
            // A record of a packet is a flow of one packet.
            Id::Kind if written.number(Id::Kind) == RowKind::Packet as u64 => Cell::Number(RowKind::Flow as u64),
            // The rate at which flows were sampled is in their number.
            Id::Flows => Cell::Number(written.number(Id::Flows) * written.number(Id::FlowRate).max(1)),
            id => cell(written, id),
        };
        let got = cell(read, column.id);
        if got != expected {
            different.push(format!("{}: got {got:?}, expected {expected:?}", column.name));
        }
    }
    different
}

#[test]
fn every_captured_row_is_the_same_after_writing_and_reading() {
    let Some(corpus) = testing::captures() else { return };
    let mut paths = Vec::new();
    captures(&corpus, &mut paths);
    let (mut count, mut different) = (0, BTreeMap::<String, (String, u64)>::new());
    for path in &paths {
        let rows = crate::read(path, &mut Outcome::default());
        let again = read(&write(&rows, Columns::ALL, RowCounters::Sent));
        assert_eq!(again.len(), rows.len(), "{}", path.display());
        count += rows.len();
        for (index, (written, read)) in rows.iter().zip(&again).enumerate() {
            for difference in differences(written, read) {
                let key = format!("{} {}", path.display(), difference.split_once(':').unwrap().0);
                different.entry(key).or_insert_with(|| (format!("row {index} {difference}"), 0)).1 += 1;
            }
        }
    }
    assert!(count > 10_000, "only {count} rows");
    assert!(different.is_empty(), "{} of {count} rows: {different:#?}", different.len());
}

/// A value of a column that a record can have.
fn value(id: Id, random: &mut Random) -> u64 {
    let any = random.below(u64::MAX) >> random.below(64);
    match id {
        Id::Direction => any % 3,
        Id::MplsLabel => any % (1 << 20),
        // No record is from after the year 2262.
        _ if id.column().kind == Kind::Time => any % (1 << 42),
        Id::Bytes | Id::Packets | Id::RevBytes | Id::RevPackets => any % (1 << 60),
        Id::Flows | Id::Rate => any % 1000 + 1,
        id => any & id.column().kind.largest(),
    }
}

/// A row that a record can have.
fn random_row(random: &mut Random) -> Row {
    let mut row = Row::new();
    let at = 1_700_000_000 + random.below(3);
    row.set(Id::Received, at * 1000 + 7);
    row.set(Id::Exported, at * 1000);
    row.set(Id::Kind, *random.pick(&[RowKind::Flow, RowKind::Flow, RowKind::Nat, RowKind::Firewall]) as u64);
    row.set(Id::Rate, 1);
    let is_event = row.number(Id::Kind) != 0;
    row.set(Id::Flows, u64::from(!is_event));
    row.set(Id::Proto, *random.pick(&[0, 1, 6, 17, 58]));
    let is_icmp = [1, 58].contains(&row.number(Id::Proto));
    for column in COLUMNS.iter().filter(|column| is_written(column.id)) {
        match column.id {
            _ if random.once_in(3) => {}
            Id::Received | Id::Proto | Id::Exporter | Id::Domain => {}
            Id::SrcPort | Id::DstPort if is_icmp => {}
            Id::IcmpType | Id::IcmpCode if !is_icmp => {}
            // An event of another kind has none of these.
            Id::PortStart | Id::NatEvent | Id::FwEvent => {}
            Id::Bytes | Id::Packets | Id::Flows | Id::RevBytes | Id::RevPackets | Id::Rate if is_event => {}
            id if column.kind == Kind::Address => {
                let octets = random.below(u64::MAX).to_be_bytes();
                let v4: [u8; 4] = octets[..4].try_into().unwrap();
                let v6 = [&[0x20, 1][..], &octets, &octets[..6]].concat();
                let v6 = <[u8; 16]>::try_from(v6).unwrap();
                row.set_address(id, if random.below(2) == 0 { v4.into() } else { v6.into() });
            }
            id => row.set(id, value(id, random)),
        }
    }
    if row.number(Id::InnerProto) == 0 {
        // Without a protocol, there is no packet inside.
        row.set(Id::InnerProto, 6);
    }
    let mark = if row.number(Id::Kind) == RowKind::Nat as u64 { Id::NatEvent } else { Id::FwEvent };
    row.set(mark, if is_event { 1 } else { 0 });
    row
}

#[test]
fn every_column_is_the_same_after_writing_and_reading() {
    let mut random = Random::new(7);
    let rows: Vec<_> = (0..3000).map(|_| random_row(&mut random)).collect();
    let octets = write(&rows, Columns::ALL, RowCounters::Sent);
    let again = read(&octets);
    assert_eq!(again.len(), rows.len());
    for (index, (written, read)) in rows.iter().zip(&again).enumerate() {
        let different = differences(written, read);
        assert!(different.is_empty(), "row {index}: {different:#?}");
    }
    for column in COLUMNS.iter().filter(|column| is_written(column.id)) {
        let has = |row: &Row| match cell(row, column.id) {
            Cell::Number(number) => number > 1,
            Cell::Address(address) => address.is_ipv6(),
        };
        let is_fixed = matches!(column.id, Id::Domain | Id::Exporter | Id::NatEvent | Id::FwEvent | Id::PortStart);
        assert!(is_fixed || rows.iter().any(has), "{}", column.name);
    }
}

/// A flow of this many octets and packets.
fn flow(second: u64, bytes: u64, packets: u64) -> Row {
    let mut row = Row::new();
    row.set(Id::Received, second * 1000 + 900);
    row.set(Id::Exported, second * 1000);
    row.set_address(Id::Exporter, [192, 0, 2, 7].into());
    row.set(Id::Domain, 3);
    row.set_address(Id::SrcIp, [192, 0, 2, 1].into());
    row.set_address(Id::DstIp, [198, 51, 100, 1].into());
    for (id, number) in [(Id::Bytes, bytes), (Id::Packets, packets), (Id::Flows, 1), (Id::Rate, 1), (Id::Proto, 6)] {
        row.set(id, number);
    }
    row
}

#[test]
fn rows_of_one_shape_share_a_template_and_a_message_has_those_of_one_second() {
    let rows: Vec<_> = (0..100).map(|index| flow(1000 + index / 50, index, 1)).collect();
    let octets = write(&rows, Columns::ALL, RowCounters::Sent);
    let messages = messages(&octets);
    // 63 octets a record: received, exporter, domain, bytes, packets, addresses, ports, protocol.
    let seconds: Vec<_> = messages.iter().map(|(second, sequence, _)| (*second, *sequence)).collect();
    let (first, rest) = seconds.split_first().unwrap();
    assert_eq!(*first, (1000, 0));
    assert!(rest.windows(2).all(|two| two[0] < two[1]) && rest.contains(&(1001, 50)), "{seconds:?}");
    let sets: Vec<u16> = messages.iter().map(|(_, _, octets)| u16::from_be_bytes([octets[16], octets[17]])).collect();
    assert_eq!((sets[0], sets[1..].iter().all(|set| *set == 256)), (2, true), "{sets:?}");
}

#[test]
fn readers_of_sampled_flows_get_the_same_totals_in_either_way() {
    let mut sampled = flow(1000, 500, 5);
    sampled.set(Id::Rate, 100);
    sampled.set(Id::FlowRate, 20);
    let counters = |row: &Row| [Id::Bytes, Id::Packets, Id::Flows, Id::Rate].map(|id| row.number(id));
    let sent = read(&write(&[sampled.clone()], Columns::ALL, RowCounters::Sent));
    assert_eq!(counters(&sent[0]), [500, 5, 20, 100]);
    // As an answer has them.
    for (id, number) in [(Id::Bytes, 50_000), (Id::Packets, 500), (Id::Flows, 20)] {
        sampled.set(id, number);
    }
    let multiplied = read(&write(&[sampled], Columns::ALL, RowCounters::Multiplied));
    assert_eq!(counters(&multiplied[0]), [50_000, 500, 20, 1]);
}

#[test]
fn a_row_counts_when_it_was_received_if_the_clock_of_its_exporter_is_wrong() {
    let seconds = |rows: &[Row]| -> Vec<u32> {
        messages(&write(rows, Columns::ALL, RowCounters::Sent)).iter().map(|(second, ..)| *second).collect()
    };
    let mut late = flow(10_000, 1, 1);
    late.set(Id::Received, (10_000 + CLOCK_LIMIT.as_secs()) * 1000);
    assert_eq!(seconds(&[late.clone()]), [10_000]);
    late.set(Id::Received, (10_001 + CLOCK_LIMIT.as_secs()) * 1000);
    assert_eq!(seconds(&[late]), [13_601]);
}

#[test]
fn only_the_columns_that_were_chosen_are_written() {
    let octets = write(&[flow(1000, 7, 1)], Columns::of(&[Id::Bytes, Id::DstIp]), RowCounters::Sent);
    let template = [2_u16, 16, 256, 2, 1, 8, 12, 4].map(u16::to_be_bytes).concat();
    let data = [&[1, 0, 0, 16][..], &7_u64.to_be_bytes(), &[198, 51, 100, 1]].concat();
    assert_eq!(octets[16..], [template, data].concat());
}

#[test]
fn a_file_without_rows_is_one() {
    assert_eq!(write(&[], Columns::ALL, RowCounters::Sent), [&[0, 10, 0, 16][..], &[0; 12]].concat());
}
