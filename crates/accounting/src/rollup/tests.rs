use std::net::Ipv4Addr;

use flow::{Counters, FlushNumber};
use proptest::prelude::*;

use super::*;
use crate::block::BlockKey;
use crate::direction::Direction;
use crate::field::{Field, Name, Value};
use crate::period::Minute;
use crate::query::parse_interval;
use crate::samples::{Entry, entries, key_of, tables_of};

fn minute(text: &str) -> Minute {
    parse_interval(Period::Minute, text).unwrap().start
}

/// The blocks of one flush with entries in these minutes.
fn flush(booked: &[(Minute, Vec<Entry>)], sequence: u64) -> Vec<Block> {
    let mut minutes: BTreeMap<Minute, Vec<Entry>> = BTreeMap::new();
    for (minute, entries) in booked {
        minutes.entry(*minute).or_default().extend(entries);
    }
    let blocks = minutes.into_iter().flat_map(|(minute, entries)| {
        let key = key_of(Interval { period: Period::Minute, start: minute });
        tables_of(&entries).blocks(
            key.interval,
            key.sender,
            key.prefix,
            key.writer,
            FlushNumber { epoch: 3, sequence }.into(),
        )
    });
    blocks.collect()
}

/// A minimal store with the state of a writer.
#[derive(Default)]
struct Store {
    blocks: BTreeMap<BlockKey, Block>,
    watermarks: Watermarks,
}

impl Store {
    fn put(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            let before = self.blocks.insert(block.key, block.clone());
            assert!(before.is_none_or(|before| before == block), "two blocks have the key {}", block.key);
        }
    }

    /// Stores a flush as a collector does.
    fn accept(&mut self, blocks: Vec<Block>) {
        self.put(lift(&blocks, self.watermarks).unwrap());
        self.put(blocks);
    }

    fn of(&self, interval: Interval) -> Vec<Block> {
        // Keys are ordered by interval first, and no key is smaller than this one.
        let smallest = BlockKey { sender: Ipv4Addr::UNSPECIFIED.into(), origin: Origin::RolledUp, ..key_of(interval) };
        self.blocks
            .range(smallest..)
            .map(|(_, block)| block)
            .take_while(|b| b.key.interval == interval)
            .cloned()
            .collect()
    }

    /// Rolls up everything that ended before a minute.
    fn roll_up_until(&mut self, now: Minute) {
        for coarser in Period::ALL.into_iter().skip(1) {
            let finer = coarser.finer().unwrap();
            let until = Interval::containing(coarser, now).start;
            let from = self.watermarks.get(finer).unwrap();
            let due: std::collections::BTreeSet<Interval> = self
                .blocks
                .keys()
                .map(|key| key.interval)
                .filter(|part| part.period == finer && part.start >= from && part.end() <= until)
                .map(|part| Interval::containing(coarser, part.start))
                .collect();
            for interval in due {
                let parts: Vec<Block> = interval.parts().flat_map(|part| self.of(part)).collect();
                let summed = roll_up(interval, &parts);
                assert_eq!(summed.damaged, []);
                self.put(summed.blocks);
            }
            *self.watermarks.get_mut(finer).unwrap() = from.max(until);
        }
    }

    fn answer(&self, interval: Interval) -> Tables {
        let mut sum = Tables::new();
        for block in self.watermarks.cover(interval).into_iter().flat_map(|part| self.of(part)) {
            sum.merge(&block, TableSet::COUNTED).unwrap();
        }
        sum
    }
}

#[test]
fn a_late_minute_is_added_to_every_period_that_is_rolled_up() {
    let booked = flush(&[(minute("2016-02-29 23:59"), vec![(Direction::In, Name::ALL, ONE)])], 1);
    let periods = |watermarks: [&str; 4]| {
        let lifted = lift(&booked, Watermarks::new(watermarks.map(minute))).unwrap();
        lifted.iter().map(|block| block.key.interval.to_string()).collect::<Vec<_>>()
    };
    let (before, day, month, year) = ("2016-02-29 23:00", "2016-03-01 00:00", "2016-03-01 00:00", "2017-01-01 00:00");
    assert_eq!(periods([before; 4]), [""; 0]);
    assert_eq!(periods([day, before, before, before]), ["2016-02-29 23"]);
    assert_eq!(periods([day, day, before, before]), ["2016-02-29 23", "2016-02-29"]);
    assert_eq!(periods([day, day, month, before]), ["2016-02-29 23", "2016-02-29", "2016-02"]);
    assert_eq!(periods([year; 4]), ["2016-02-29 23", "2016-02-29", "2016-02", "2016"]);
}

const ONE: Counters = Counters { bytes: 1, packets: 1, flows: 1 };

#[test]
fn late_minutes_of_one_hour_make_one_block_of_that_hour() {
    let entry = vec![(Direction::In, Name::ALL, ONE)];
    let booked = flush(&[(minute("2016-02-29 23:58"), entry.clone()), (minute("2016-02-29 23:59"), entry)], 7);
    let late = minute("2016-03-01 00:00");
    let lifted = lift(&booked, Watermarks::new([late, Minute::EPOCH, Minute::EPOCH, Minute::EPOCH])).unwrap();
    assert_eq!(lifted.len(), 1);
    assert_eq!(lifted[0].key.origin, FlushNumber { epoch: 3, sequence: 7 }.into());
    let mut tables = Tables::new();
    tables.merge(&lifted[0], TableSet::COUNTED).unwrap();
    assert_eq!(tables.get(Direction::In, Name::ALL), Some(Counters { bytes: 2, packets: 2, flows: 2 }));
}

#[test]
fn a_damaged_block_is_reported_and_the_rest_is_summed() {
    let hour = parse_interval(Period::Hour, "2016-02-29 23").unwrap();
    let entry = vec![(Direction::In, Name::ALL, ONE)];
    let mut blocks = flush(&[(hour.start, entry.clone()), (hour.start.saturating_add(1), entry.clone())], 1);
    blocks[0].content.truncate(9);
    blocks.extend(flush(&[(hour.end(), entry)], 1));
    let summed = roll_up(hour, &blocks);
    let faults: Vec<_> = summed.damaged.iter().map(|error| (error.key, error.fault)).collect();
    assert_eq!(faults, [(blocks[0].key, BlockFault::Checksum), (blocks[2].key, BlockFault::Misplaced)]);
    let mut tables = Tables::new();
    tables.merge(&summed.blocks[0], TableSet::COUNTED).unwrap();
    assert_eq!(tables.get(Direction::In, Name::ALL), Some(ONE));
    let key = summed.blocks[0].key;
    assert_eq!((key.interval, key.origin, key.part), (hour, Origin::RolledUp, 0));
}

#[test]
fn a_coarser_block_keeps_the_number_of_names_of_its_period() {
    let hour = parse_interval(Period::Hour, "2016-02-29 23").unwrap();
    let booked: Vec<(Minute, Vec<Entry>)> = (0..3)
        .map(|minute| {
            let name = |number| Name { field: Field::SourceAs, value: Value::Number(minute * 10_000 + number) };
            (hour.start.saturating_add(minute), (0..10_000).map(|number| (Direction::In, name(number), ONE)).collect())
        })
        .collect();
    let mut tables = Tables::new();
    for block in roll_up(hour, &flush(&booked, 1)).blocks {
        tables.merge(&block, TableSet::COUNTED).unwrap();
    }
    assert_eq!(tables.rows().count(), 20_000);
    assert_eq!(tables.other(Direction::In, Field::SourceAs).bytes, 10_000);
}

/// Around the ends of months, years and leap days.
fn crowded_minute() -> impl Strategy<Value = Minute> {
    let edges =
        prop::sample::select(vec!["2015-12-31 23:58", "2016-02-28 23:30", "2016-02-29 22:59", "2016-03-31 23:59"]);
    let near = (edges, -90i64..90).prop_map(|(edge, by)| Minute::new((i64::from(minute(edge).number()) + by) as u32));
    let first = minute("2015-11-01 00:00").number();
    prop_oneof![near, (first..first + 400 * 24 * 60).prop_map(Minute::new)]
}

/// An operation on the store.
#[derive(Clone, Debug)]
enum Event {
    Flush(Vec<(Minute, Vec<Entry>)>),
    RollUp(Minute),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => prop::collection::vec((crowded_minute(), entries(6)), 1..4).prop_map(Event::Flush),
        1 => crowded_minute().prop_map(Event::RollUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_period_adds_up_whatever_the_order_of_flushes_late_flows_and_roll_ups(
        events in prop::collection::vec(event(), 1..14),
    ) {
        let mut store = Store::default();
        let mut booked: Vec<(Minute, Vec<Entry>)> = Vec::new();
        for (sequence, event) in (1..).zip(events) {
            match event {
                Event::Flush(minutes) => {
                    store.accept(flush(&minutes, sequence));
                    booked.extend(minutes);
                }
                Event::RollUp(now) => store.roll_up_until(now),
            }
        }
        for roll_up_all in [false, true] {
            if roll_up_all {
                store.roll_up_until(minute("2020-01-01 00:00"));
            }
            for period in Period::ALL {
                let mut expected: BTreeMap<Interval, Tables> = BTreeMap::new();
                for (minute, entries) in &booked {
                    let sum = expected.entry(Interval::containing(period, *minute)).or_default();
                    entries.iter().for_each(|(direction, name, counters)| sum.add(*direction, *name, *counters));
                }
                for (interval, tables) in expected {
                    prop_assert_eq!(store.answer(interval), tables, "{}", interval);
                }
            }
        }
    }

    #[test]
    fn the_order_of_finer_blocks_does_not_matter(booked in prop::collection::vec((0u32..60, entries(8)), 1..6)) {
        let hour = parse_interval(Period::Hour, "2016-02-29 23").unwrap();
        let booked: Vec<_> = booked.into_iter().map(|(at, entries)| (hour.start.saturating_add(at), entries)).collect();
        let mut blocks = flush(&booked, 1);
        let summed = roll_up(hour, &blocks);
        blocks.reverse();
        prop_assert_eq!(roll_up(hour, &blocks), summed);
    }
}
