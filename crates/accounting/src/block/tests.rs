use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::direction::Direction;
use crate::field::{Field, FieldSet};
use crate::field::{Name, Value};
use crate::period::{Interval, Minute, Period};
use crate::samples::{counters, entries, key_of, tables_of};
use crate::variance::SamplingVariance;
use flow::{Counters, Sampling, SamplingSource};

fn count(bytes: u64) -> Counters {
    Counters { bytes, packets: 1, flows: 1 }
}

fn merged(blocks: &[Block]) -> Tables {
    let mut tables = Tables::new();
    for block in blocks {
        tables.merge(block, TableSet::ALL).unwrap();
    }
    tables
}

/// A table with this many source addresses, whose counters grow with the address.
fn addresses(count: u32) -> Tables {
    let mut tables = Tables::new();
    for number in 0..count {
        let value = Value::Address(std::net::IpAddr::V4((number * 7).into()));
        let counters = Counters { bytes: u64::from(number) * 1000, packets: u64::from(number), flows: 1 };
        tables.add(Direction::In, Name { field: Field::SourceAddress, value }, counters);
    }
    tables
}

fn blocks(tables: &Tables) -> Vec<Block> {
    let key = key_of(Interval { period: Period::Minute, start: Minute::new(7) });
    tables.blocks(key.interval, key.sender, key.prefix, key.writer, key.origin)
}

#[test]
fn rows_are_sorted_by_field_then_direction_then_value() {
    let mut tables = Tables::new();
    for (direction, name) in [
        (Direction::Out, "srcip:2001:db8::1"),
        (Direction::Out, "srcip:192.0.2.1"),
        (Direction::In, "srcip:192.0.2.9"),
        (Direction::Out, "all"),
        (Direction::InLocal, "proto:6"),
        (Direction::InLocal, "proto:17"),
    ] {
        tables.add(direction, name.parse().unwrap(), count(1));
    }
    let rows: Vec<String> = tables.rows().map(|(direction, name, _)| format!("{} {name}", direction.name())).collect();
    let expected = [
        "out all",
        "in:local proto:6",
        "in:local proto:17",
        "in srcip:192.0.2.9",
        "out srcip:192.0.2.1",
        "out srcip:2001:db8::1",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn folding_keeps_the_largest_and_of_equal_ones_the_smallest_value() {
    let mut tables = Tables::new();
    for (name, bytes) in [("srcas:1", 5), ("srcas:2", 9), ("srcas:3", 5), ("srcas:4", 5), ("srcas:5", 1)] {
        tables.add(Direction::In, name.parse().unwrap(), count(bytes));
    }
    tables.fold(5);
    assert!(!tables.truncated(Direction::In, Field::SourceAs));
    tables.fold(2);
    let names: Vec<String> = tables.rows().map(|(_, name, _)| name.to_string()).collect();
    assert_eq!(names, ["srcas:1", "srcas:2"]);
    assert!(tables.truncated(Direction::In, Field::SourceAs));
    assert_eq!(tables.other(Direction::In, Field::SourceAs), Counters { bytes: 11, packets: 3, flows: 3 });
    assert!(!tables.truncated(Direction::Out, Field::SourceAs));
}

#[test]
fn an_invalid_value_of_a_field_is_counted_as_other() {
    let mut tables = Tables::new();
    tables.add(Direction::In, Name { field: Field::Protocol, value: Value::Number(256) }, count(5));
    assert_eq!(tables.rows().count(), 0);
    assert_eq!(tables.other(Direction::In, Field::Protocol), count(5));
    assert_eq!(merged(&blocks(&tables)), tables);
}

#[test]
fn flows_from_before_a_field_was_counted_are_other_and_not_zero() {
    let mut tables = Tables::new();
    let note = |tables: &mut Tables, complete| tables.note(Direction::In, AboutAll { complete, ..AboutAll::NOTHING });
    tables.add(Direction::In, Name::ALL, count(10));
    note(&mut tables, FieldSet::DEFAULT);
    assert_eq!(tables.unnamed(Direction::In, Field::InputInterface), count(10));
    assert!(tables.is_partial(Direction::In, Field::InputInterface) && !tables.has(Field::InputInterface));
    assert!(
        !tables.is_partial(Direction::In, Field::Protocol) && !tables.is_partial(Direction::Out, Field::InputInterface)
    );
    // From here on, the field is counted.
    let mut later = Tables::new();
    for name in ["all", "inif:7"] {
        later.add(Direction::In, name.parse().unwrap(), count(5));
    }
    note(&mut later, FieldSet::DEFAULT.with(Field::InputInterface));
    blocks(&later).iter().for_each(|block| tables.merge(block, TableSet::ALL).unwrap());
    assert_eq!(tables.unnamed(Direction::In, Field::InputInterface), count(10));
    assert!(tables.is_partial(Direction::In, Field::InputInterface) && tables.has(Field::InputInterface));
}

#[test]
fn empty_tables_make_no_block() {
    assert_eq!(blocks(&Tables::new()), []);
}

#[test]
fn small_tables_share_a_block_and_large_ones_have_their_own() {
    let mut tables = addresses(20_000);
    tables.add(Direction::In, Name::ALL, count(1));
    tables.add(Direction::Out, Name::ALL, count(1));
    let made = blocks(&tables);
    let sets: Vec<TableSet> = made.iter().map(|block| block.key.tables).collect();
    let shared = TableSet::of(Direction::In, Field::All).union(TableSet::of(Direction::Out, Field::All));
    assert_eq!(sets, [shared, TableSet::of(Direction::In, Field::SourceAddress)]);
    assert_eq!(made.iter().map(|block| block.key.part).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(merged(&made), tables);
}

#[test]
fn a_huge_table_is_split_by_ranges_of_its_values() {
    let mut tables = addresses(150_000);
    tables.add_other(Direction::In, Field::SourceAddress, count(3));
    let made = blocks(&tables);
    assert!(made.len() > 3, "{}", made.len());
    assert!(made.iter().all(|block| block.content.len() <= 256 * 1024 + 32));
    assert!(made.iter().zip(0..).all(|(block, part)| block.key.part == part));
    assert_eq!(merged(&made), tables);
}

#[test]
fn only_wanted_tables_are_merged() {
    let mut tables = Tables::new();
    tables.add(Direction::In, Name::ALL, count(1));
    tables.add(Direction::In, "proto:6".parse().unwrap(), count(1));
    let block = blocks(&tables).remove(0);
    let mut wanted = Tables::new();
    wanted.merge(&block, TableSet::of_field(Field::Protocol)).unwrap();
    assert_eq!(wanted.get(Direction::In, Name::ALL), None);
    assert_eq!(wanted.get(Direction::In, "proto:6".parse().unwrap()), Some(count(1)));
}

#[test]
fn a_damaged_block_is_named_and_nothing_of_it_is_merged() {
    let good = blocks(&addresses(3)).remove(0);
    let fault = |change: &dyn Fn(&mut Block)| {
        let mut bad = good.clone();
        change(&mut bad);
        let mut tables = Tables::new();
        let error = tables.merge(&bad, TableSet::ALL).unwrap_err();
        assert_eq!(error.key, bad.key);
        assert!(tables.is_empty());
        error.fault
    };
    assert_eq!(fault(&|block| block.content = flipped(&block.content, 0, 2 ^ 3)), BlockFault::Checksum);
    assert_eq!(fault(&|block| block.content = flipped(&block.content, 0, 2)), BlockFault::Checksum);
    let newer = |block: &mut Block| block.content = flipped(&flipped(&block.content, 0, 2 ^ 3), 7, 1);
    assert_eq!(fault(&newer), BlockFault::Version(3));
    assert_eq!(fault(&|block| block.content = flipped(&block.content, 7, 1)), BlockFault::Checksum);
    assert_eq!(fault(&|block| block.content.clear()), BlockFault::Truncated);
    assert_eq!(fault(&|block| block.content.truncate(3)), BlockFault::Truncated);
    assert_eq!(fault(&|block| block.key.tables = TableSet::ALL), BlockFault::Checksum);
    let error = BlockError { key: good.key, fault: BlockFault::Checksum };
    assert_eq!(
        error.to_string(),
        "block of minute 1970-01-01 00:07, sender 192.0.2.1, prefix 10.0.0.0/8, writer 000000000000002a, epoch 3, \
         flush 9, part 0: its checksum does not match its key and content"
    );
}

fn flipped(content: &[u8], at: usize, bits: u8) -> Bytes {
    let mut content = content.to_vec();
    content[at] ^= bits;
    content.into()
}

/// The example of version 1 that docs/storage.md had when blocks of version 1 were written.
const VERSION_1: &[u8] = &[
    0x01, 0x07, 0x00, 0x00, 0x00, 0x07, 0x0c, 0x2a, 0x00, 0x01, 0x00, 0x88, 0x0e, 0x05, 0x04, 0x00, 0x02, 0x06, 0x0a,
    0xf8, 0x0a, 0x90, 0x03, 0x03, 0x02, 0x02, 0x02, 0x01, 0x64, 0x01, 0x01, 0x02, 0x81, 0x84, 0x80, 0x80, 0x0c, 0x07,
    0x01, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xee, 0x86, 0x81, 0x40,
    0xe8, 0x07, 0xac, 0x02, 0x90, 0x03, 0x01, 0x01, 0x02, 0x01, 0x01, 0x01, 0xa6, 0x92, 0x39, 0x1e,
];

#[test]
fn a_block_of_version_1_is_read_with_an_unknown_variance() {
    let key = key_of(Interval { period: Period::Minute, start: Minute::new(7) });
    let key = BlockKey { tables: TableSet::of_bits(0b111), ..key };
    let block = Block { key, content: Bytes::from_static(VERSION_1) };
    let mut tables = merged(std::slice::from_ref(&block));
    assert_eq!(tables.get(Direction::In, Name::ALL), Some(Counters { bytes: 1800, packets: 5, flows: 4 }));
    assert_eq!(tables.get(Direction::In, "srcip:2001:db8::1".parse().unwrap()).unwrap().bytes, 400);
    assert_eq!(tables.other(Direction::In, Field::SourceAddress).bytes, 100);
    let about = tables.about_all(Direction::In);
    assert!(about.variance_is_partial && about.complete == FieldSet::DEFAULT);
    assert_eq!(tables.about_all(Direction::Out), AboutAll::NOTHING);
    let mut sums = Sums::default();
    sums.merge(&block).unwrap();
    assert_eq!(sums.table(Direction::In, Field::Protocol).counters.bytes, 1800);
    // Under its old key, as a spool puts it again; and what is made of it is of version 2.
    assert_eq!(block.clone().with_key(BlockKey { part: 9, ..key }).content, block.content);
    let changed = Block { key: BlockKey { tables: TableSet::of_bits(0b11), ..key }, ..block.clone() };
    assert_eq!(Tables::new().merge(&changed, TableSet::ALL).unwrap_err().fault, BlockFault::Tables);
    let made = blocks(&tables);
    assert_eq!((made[0].content[0], merged(&made)), (2, tables.clone()));
    // With later traffic of another choice of fields.
    let complete = FieldSet::DEFAULT.with(Field::InputInterface);
    tables.note(Direction::In, AboutAll { complete, ..AboutAll::NOTHING });
    assert_eq!(tables.about_all(Direction::In).complete, FieldSet::DEFAULT);
}

#[test]
fn a_block_under_a_changed_key_is_noticed_and_under_a_new_one_is_sealed_again() {
    let good = blocks(&addresses(3)).remove(0);
    let changes: [&dyn Fn(&mut BlockKey); 8] = [
        &|key| key.interval.period = Period::Hour,
        &|key| key.interval.start = Minute::new(key.interval.start.number() ^ 1 << 20),
        &|key| key.sender = "192.0.2.3".parse().unwrap(),
        &|key| key.prefix = "10.0.0.0/9".parse().unwrap(),
        &|key| key.writer.0 ^= 1 << 63,
        &|key| key.origin = Origin::RolledUp,
        &|key| key.part ^= 1,
        &|key| key.tables = TableSet::of(Direction::Out, Field::SourceAddress),
    ];
    for change in changes {
        let mut block = good.clone();
        change(&mut block.key);
        assert_eq!(
            Tables::new().merge(&block, TableSet::ALL).unwrap_err().fault,
            BlockFault::Checksum,
            "{}",
            block.key
        );
        let key = block.key;
        assert_eq!(Tables::new().merge(&block.with_key(key), TableSet::ALL), Ok(()));
    }
}

#[test]
fn a_block_with_a_field_that_is_not_known_is_refused_whole() {
    let key = key_of(Interval { period: Period::Minute, start: Minute::new(7) });
    let key = BlockKey { tables: TableSet::of_bits(1 << 62 | 1), ..key };
    let block = Block { key, content: sealed(&key, &[2, 0, 0]) };
    let fault = Tables::new().merge(&block, TableSet::of_field(Field::All)).unwrap_err().fault;
    assert_eq!(fault, BlockFault::UnknownField);
}

/// Content with a checksum that matches, so that the decoder looks at all of it.
fn sealed(key: &BlockKey, body: &[u8]) -> Bytes {
    let checksum = match body.first() {
        Some(&encoding::VERSION) => encoding::checksum(key, body),
        _ => crc32fast::hash(body),
    };
    [body, &checksum.to_le_bytes()].concat().into()
}

#[test]
fn counts_and_lengths_beyond_the_content_are_refused_without_reserving() {
    let set = TableSet::of(Direction::In, Field::SourceAddress);
    let block = |tail: &[u8]| {
        let mut body = vec![2];
        body.extend_from_slice(tail);
        let key = BlockKey { tables: set, ..key_of(Interval { period: Period::Minute, start: Minute::EPOCH }) };
        Block { key, content: sealed(&key, &body) }
    };
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let mut table = vec![10, 0];
    table.extend_from_slice(&huge);
    for (tail, fault) in [
        (huge.as_slice(), BlockFault::Truncated),
        (&table, BlockFault::Truncated),
        (&[1, 2], BlockFault::Malformed),
        (&[3, 0, 0, 0, 0], BlockFault::Malformed),
        (&[4, 0, 0, 0, 0], BlockFault::Malformed),
        (&[0], BlockFault::Truncated),
    ] {
        assert_eq!(Tables::new().merge(&block(tail), TableSet::ALL).unwrap_err().fault, fault, "{tail:?}");
    }
    assert_eq!(Tables::new().merge(&block(&[3, 0, 0, 0]), TableSet::ALL), Ok(()));
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(entries in entries(200)) {
        let tables = tables_of(&entries);
        let made = blocks(&tables);
        prop_assert_eq!(&merged(&made), &tables);
        prop_assert_eq!(blocks(&merged(&made)), made);
    }

    #[test]
    fn the_order_of_adding_does_not_show(entries in entries(100)) {
        let backwards: Vec<_> = entries.iter().rev().copied().collect();
        prop_assert_eq!(blocks(&tables_of(&entries)), blocks(&tables_of(&backwards)));
    }

    #[test]
    fn folding_loses_no_byte(entries in entries(100), limit in 0usize..20) {
        let mut tables = tables_of(&entries);
        let before = sums(&tables);
        tables.fold(limit);
        prop_assert_eq!(sums(&tables), before);
        prop_assert_eq!(sums(&merged(&blocks(&tables))), sums(&tables));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), tables in any::<u64>()) {
        let key = key_of(Interval { period: Period::Minute, start: Minute::EPOCH });
        let tables = tables & TableSet::ALL.iter().fold(0, |all, (direction, field)| all | TableSet::of(direction, field).bits());
        let first = [&[1][..], &(tables as u32).to_le_bytes(), &body].concat();
        let second = [&[2], &body[..]].concat();
        for tables in [tables, u64::from(tables as u32)] {
            let key = BlockKey { tables: TableSet::of_bits(tables), ..key };
            for content in [body.clone().into(), sealed(&key, &body), sealed(&key, &first), sealed(&key, &second)] {
                let _ = Tables::new().merge(&Block { key, content }, TableSet::ALL);
            }
        }
    }

    #[test]
    fn mutated_content_is_decoded_or_refused(
        entries in entries(60),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for mut block in blocks(&tables_of(&entries)) {
            let mut body = block.content[..block.content.len() - 4].to_vec();
            for (at, byte) in &mutations {
                *at.get_mut(&mut body) = *byte;
            }
            body.truncate(cut.map_or(body.len(), |cut| cut.index(body.len())));
            block.content = sealed(&block.key, &body);
            let mut tables = Tables::new();
            if tables.merge(&block, TableSet::ALL).is_err() {
                prop_assert!(tables.is_empty());
            }
        }
    }

    #[test]
    fn one_changed_bit_is_noticed(entries in entries(20), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        for mut block in blocks(&tables_of(&entries)) {
            block.content = flipped(&block.content, at.index(block.content.len()), 1 << bit);
            prop_assert!(Tables::new().merge(&block, TableSet::ALL).is_err());
        }
    }

    #[test]
    fn large_counters_survive(one in counters(), bytes in any::<u64>()) {
        let mut tables = Tables::new();
        tables.add(Direction::In, Name::ALL, Counters { bytes, ..one });
        prop_assert_eq!(merged(&blocks(&tables)), tables);
    }
}

/// For each direction and field the sum of all values and of what was folded.
fn sums(tables: &Tables) -> Vec<Counters> {
    let sum = |(direction, field)| {
        let mut sum = tables.other(direction, field);
        tables.rows().filter(|(d, name, _)| (*d, name.field) == (direction, field)).for_each(|(_, _, c)| sum.add(c));
        sum
    };
    TableSet::ALL.iter().map(sum).collect()
}

/// The bytes of the worked example in docs/storage.md: the text before `#` in its block marked `hex`.
fn documented_example() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/storage.md");
    let document = std::fs::read_to_string(path).unwrap();
    let example = document.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let digits = example.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn the_worked_example_of_the_documentation_is_what_is_written() {
    let mut tables = Tables::new();
    for (name, bytes, packets, flows) in [
        ("all", 1800, 5, 4),
        ("proto:6", 1400, 3, 2),
        ("proto:17", 400, 2, 2),
        ("srcip:192.0.2.1", 1000, 1, 1),
        ("srcip:192.0.2.9", 300, 1, 1),
        ("srcip:2001:db8::1", 400, 2, 1),
    ] {
        tables.add(Direction::In, name.parse().unwrap(), Counters { bytes, packets, flows });
    }
    tables.add_other(Direction::In, Field::SourceAddress, Counters { bytes: 100, packets: 1, flows: 1 });
    let complete = [Field::Protocol, Field::SourceAddress].into_iter().collect();
    let sampling = Sampling::of_packets(2, SamplingSource::Record);
    let variance = SamplingVariance::of(Counters { bytes: 200, packets: 1, flows: 1 }, sampling);
    tables.note(Direction::In, AboutAll { variance, complete, ..AboutAll::NOTHING });
    let made = blocks(&tables);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].content, documented_example(), "{:02x?}", made[0].content);
    assert_eq!(made[0].key.tables, TableSet::of_bits(0b111));
}
