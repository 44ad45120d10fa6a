//! Planted faults: each is found, named, and the only one that is reported.

use accounting::block::{AboutAll, BlockError, BlockFault, BlockKey, Origin, TableSet, Tables};
use accounting::field::{FieldSet, Name, Value};
use accounting::query::parse_interval;
use accounting::rollup::lift;
use accounting::variance::SamplingVariance;
use flow::{FlushNumber, Timestamp};

use super::*;
use crate::roll_up::advance;
use crate::sample::{ADA, BOB, blocks, fill, flush, groups, many_names, minute, tables};
use crate::{Blocks, Memory, Retention, Writers};

async fn filled() -> Memory {
    let store = Memory::default();
    fill(&store).await;
    store
}

/// The violations of a check, and its summary.
async fn checked(store: &dyn Store) -> (Vec<Violation>, Checked) {
    let mut found = Vec::new();
    let mut listen = |event| {
        match event {
            CheckEvent::Violation(violation) => found.push(violation),
            CheckEvent::Saturated(_) | CheckEvent::Reached(..) => {}
        }
        ControlFlow::Continue(())
    };
    let summary = check(store, &mut listen).await.unwrap();
    assert_eq!(summary.violations, found.len() as u64);
    (found, summary)
}

fn lines(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(Violation::to_string).collect()
}

/// The blocks of a group of ADA in an interval.
async fn blocks_of(store: &Memory, interval: Interval, group: Group) -> Vec<Block> {
    read(store, ADA, interval, &[group]).await.unwrap()
}

fn interval(period: Period, text: &str) -> Interval {
    parse_interval(period, text).unwrap()
}

async fn replace(store: &Memory, old: &[Block], new: &[Block]) {
    store.delete_blocks(&old.iter().map(|block| block.key).collect::<Vec<BlockKey>>()).await.unwrap();
    store.put_blocks(new).await.unwrap();
}

/// What a group counts, changed and made into blocks under the same identity again.
fn changed(blocks: &[Block], change: impl FnOnce(&mut Tables)) -> Vec<Block> {
    let mut tables = Tables::new();
    blocks.iter().for_each(|block| tables.merge(block, TableSet::ALL).unwrap());
    change(&mut tables);
    let key = blocks[0].key;
    tables.blocks(key.interval, key.sender, key.prefix, key.writer, key.origin)
}

const MORE: Counters = Counters { bytes: 5, packets: 2, flows: 1 };

#[tokio::test]
async fn a_store_that_holds_together_has_no_violations_and_all_of_it_is_looked_at() {
    let store = filled().await;
    let (violations, summary) = checked(&store).await;
    assert_eq!(lines(&violations), [""; 0]);
    let all = blocks(&store).await;
    assert_eq!(summary.writers, 2);
    assert_eq!(summary.blocks, all.len() as u64);
    assert_eq!(summary.octets, all.iter().map(|block| block.content.len() as u64).sum::<u64>());
    let places: BTreeSet<_> =
        all.iter().map(|Block { key, .. }| (key.writer, key.interval, key.sender, key.prefix)).collect();
    assert_eq!(summary.groups, places.len() as u64);
    // What has ended: 4 hours, 2 days, 2 months and 1 year.
    assert_eq!(summary.compared, 2 * 3 * (4 + 2 + 2 + 1));
    let mut names = 0;
    for block in &all {
        let mut tables = Tables::new();
        tables.merge(block, TableSet::ALL).unwrap();
        names += tables.len() as u64;
    }
    assert_eq!(summary.names, names);
}

#[tokio::test]
async fn a_flipped_byte_is_found_and_the_block_named() {
    let store = filled().await;
    for mut block in blocks(&store).await.into_iter().step_by(5) {
        let whole = block.clone();
        let mut content = block.content.to_vec();
        content[block.content.len() / 2] ^= 0x10;
        block.content = content.into();
        store.put_blocks(&[block.clone()]).await.unwrap();
        let expected = BlockError { key: block.key, fault: BlockFault::Checksum };
        assert_eq!(checked(&store).await.0, [Violation::Damaged(expected)]);
        store.put_blocks(&[whole]).await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_counter_unbalances_its_flush_and_what_it_was_summed_into() {
    let store = filled().await;
    let found = blocks_of(&store, minute("2027-12-31 23:00"), groups()[0]).await;
    let port = Name { field: Field::DestinationPort, value: Value::Number(443) };
    replace(&store, &found, &changed(&found, |tables| tables.add(Direction::In, port, MORE))).await;
    let sums = |tables: &Tables| tables.get(Direction::In, Name::ALL).unwrap();
    let mut tables = Tables::new();
    found.iter().for_each(|block| tables.merge(block, TableSet::ALL).unwrap());
    let Counters { bytes, packets, flows } = sums(&tables);
    let (violations, _) = checked(&store).await;
    let shown = lines(&violations);
    assert_eq!(shown.len(), 2, "{shown:#?}");
    let place = "2027-12-31 23:00, sender 192.0.2.1, prefix 172.16.0.0/16, writer 0000000000000ada";
    assert_eq!(
        shown[0],
        format!(
            "minute {place}, epoch 3, flush 4: in dstport adds up to {} bytes, {} packets, {} flows, but all is {bytes} bytes, {packets} packets, {flows} flows",
            bytes + 5,
            packets + 2,
            flows + 1
        )
    );
    let hour = "hour 2027-12-31 23, sender 192.0.2.1, prefix 172.16.0.0/16, writer 0000000000000ada: in dstport is ";
    assert!(shown[1].starts_with(hour) && shown[1].contains("but its minutes add up to"), "{}", shown[1]);
}

/// Names and totals of two minutes reach the end, those of their hour, day, month and year with them.
#[tokio::test]
async fn totals_that_reached_their_end_are_reported_and_are_no_violations() {
    let store = Memory::default();
    let state = WriterState::new(ADA, 3, Timestamp::from_seconds(1_830_000_000));
    store.put_writer(&state).await.unwrap();
    let (sender, prefix) = groups()[0];
    for (at, sequence) in ["2027-12-31 22:30", "2027-12-31 22:31"].into_iter().zip(1..) {
        let mut tables = tables(1);
        for field in Field::ALL {
            for (number, bytes) in [(1, u64::MAX / 2), (2, u64::MAX / 2 + 1), (3, u64::MAX / 3)] {
                let value = match field {
                    Field::All => Value::Number(0),
                    field if field.is_address() => Value::Address([10, 0, 0, number].into()),
                    _ => Value::Number(number.into()),
                };
                tables.add(Direction::In, Name { field, value }, Counters { bytes, packets: 1, flows: 1 });
            }
        }
        let flush = FlushNumber { epoch: 3, sequence }.into();
        store.put_blocks(&tables.blocks(minute(at), sender, prefix, ADA, flush)).await.unwrap();
    }
    advance(&store, state, minute("2028-01-01 01:09").start).await.unwrap();
    let mut saturated = Vec::new();
    let mut listen = |event| {
        match event {
            CheckEvent::Violation(violation) => panic!("{violation}"),
            CheckEvent::Saturated(total) => saturated.push(total),
            CheckEvent::Reached(..) => {}
        }
        ControlFlow::Continue(())
    };
    let summary = check(&store, &mut listen).await.unwrap();
    assert_eq!((summary.saturated, summary.compared), (6, 4));
    let periods: Vec<_> = saturated.iter().map(|total| total.place.interval.period).collect();
    assert_eq!(periods, [Period::Minute, Period::Minute, Period::Hour, Period::Day, Period::Month, Period::Year]);
    assert!(saturated.iter().all(|total| total.direction == Direction::In && total.counters.bytes == u64::MAX));
    assert!(saturated[5].to_string().contains("in all is a lower bound, a counter reached its end: 1844674407"));
}

#[tokio::test]
async fn a_changed_variance_of_a_roll_up_is_found_although_all_counters_hold() {
    let store = filled().await;
    let found = blocks_of(&store, interval(Period::Hour, "2027-12-31 23"), groups()[0]).await;
    let more = AboutAll { variance: SamplingVariance { packets: 1, bytes: 0 }, ..AboutAll::NOTHING };
    replace(&store, &found, &changed(&found, |tables| tables.note(Direction::In, more))).await;
    let (violations, _) = checked(&store).await;
    let shown = lines(&violations);
    assert_eq!(shown.len(), 2, "of the hour and of its day: {shown:#?}");
    for line in shown {
        let expected = "in all adds up, but its sampling variance or its complete fields are not those of its ";
        assert!(line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn a_field_that_was_not_counted_is_no_violation_and_a_lost_table_is() {
    let (sender, prefix) = groups()[0];
    let one = Counters { bytes: 10, packets: 1, flows: 1 };
    for (complete, violations) in [(FieldSet::LEAST, 0), (FieldSet::LEAST.with(Field::InputInterface), 1)] {
        let store = filled().await;
        let mut tables = Tables::new();
        tables.add(Direction::In, Name::ALL, one);
        tables.note(Direction::In, AboutAll { complete, ..AboutAll::NOTHING });
        let number = FlushNumber { epoch: 3, sequence: 9 };
        let blocks = tables.blocks(minute("2028-01-01 01:07"), sender, prefix, BOB, number.into());
        store.put_blocks(&blocks).await.unwrap();
        let (found, _) = checked(&store).await;
        assert_eq!(found.len(), violations, "{:#?}", lines(&found));
    }
}

#[tokio::test]
async fn counters_that_changed_places_are_found_although_all_sums_hold() {
    let store = filled().await;
    let day = interval(Period::Day, "2027-12-31");
    let found = blocks_of(&store, day, groups()[1]).await;
    let rolled_up: Vec<Block> = found.iter().filter(|block| block.key.origin == Origin::RolledUp).cloned().collect();
    let [tcp, udp] = [6, 17].map(|number| Name { field: Field::Protocol, value: Value::Number(number) });
    let swapped = changed(&rolled_up, |tables| {
        let mut other = Tables::new();
        for (direction, name, counters) in tables.rows() {
            let name = if name == tcp {
                udp
            } else if name == udp {
                tcp
            } else {
                name
            };
            other.add(direction, name, counters);
        }
        Direction::ALL.into_iter().for_each(|direction| other.note(direction, tables.about_all(direction)));
        *tables = other;
    });
    replace(&store, &rolled_up, &swapped).await;
    let shown = lines(&checked(&store).await.0);
    let place = "day 2027-12-31, sender 192.0.2.1, prefix 2001:db8::/32, writer 0000000000000ada";
    let month = "month 2027-12, sender 192.0.2.1, prefix 2001:db8::/32, writer 0000000000000ada";
    let line = |place: &str, direction: &str, finer: &str| {
        format!("{place}: {direction} proto adds up, but under other names than its {finer}")
    };
    let expected = [(place, "in", "hours"), (place, "out", "hours"), (month, "in", "days"), (month, "out", "days")];
    assert_eq!(shown, expected.map(|(place, direction, finer)| line(place, direction, finer)));
}

#[tokio::test]
async fn a_missing_finer_block_is_found_where_it_was_summed() {
    for (text, hour) in [("2027-12-31 23:00", "2027-12-31 23"), ("2028-01-01 00:00", "2028-01-01 00")] {
        let store = filled().await;
        let gone = blocks_of(&store, minute(text), groups()[2]).await;
        replace(&store, &gone, &[]).await;
        let shown = lines(&checked(&store).await.0);
        let expected = format!("hour {hour}, sender 192.0.2.2, prefix 172.16.0.0/16, writer 0000000000000ada: ");
        assert_eq!(shown.len(), 2, "{shown:#?}");
        for (line, direction) in shown.iter().zip(["in", "out"]) {
            assert!(line.starts_with(&format!("{expected}{direction} all is ")), "{line}");
        }
    }
}

#[tokio::test]
async fn a_missing_coarser_block_is_found_even_in_the_first_interval_that_is_kept() {
    let store = filled().await;
    // The hours before it stay, so retention has not taken it.
    let gone = blocks_of(&store, interval(Period::Hour, "2027-11-30 23"), groups()[0]).await;
    replace(&store, &gone, &[]).await;
    let shown = lines(&checked(&store).await.0);
    let hour = "hour 2027-11-30 23, sender 192.0.2.1, prefix 172.16.0.0/16, writer 0000000000000ada: in all is 0 bytes";
    assert!(shown[0].starts_with(hour), "{shown:#?}");
}

#[tokio::test]
async fn a_block_that_belongs_to_a_flush_of_several_is_missed() {
    let store = filled().await;
    let (sender, prefix) = groups()[0];
    let one = many_names().blocks(
        minute("2028-01-01 01:07"),
        sender,
        prefix,
        BOB,
        FlushNumber { epoch: 3, sequence: 9 }.into(),
    );
    assert!(one.len() > 1);
    store.put_blocks(&one).await.unwrap();
    assert_eq!(checked(&store).await.0, []);
    store.delete_blocks(&[one[1].key]).await.unwrap();
    let shown = lines(&checked(&store).await.0);
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert!(shown[0].contains("writer 0000000000000b0b, epoch 3, flush 9: in srcas adds up to "), "{}", shown[0]);
}

#[tokio::test]
async fn what_retention_has_deleted_is_not_missed() {
    let store = filled().await;
    for (period, before) in [
        (Period::Minute, "2027-12-31 22:45"),
        (Period::Hour, "2027-12-31 23:00"),
        (Period::Minute, "2027-12-31 23:30"),
        (Period::Day, "2027-12-31 23:30"),
        (Period::Minute, "2028-06-01 00:00"),
        (Period::Hour, "2028-06-01 00:00"),
        (Period::Day, "2028-06-01 00:00"),
    ] {
        for writer in [ADA, BOB] {
            store.expire(writer, Retention { period, before: minute(before).start }).await.unwrap();
        }
        assert_eq!(lines(&checked(&store).await.0), [""; 0], "{period:?} before {before}");
    }
    // Fewer coarse intervals may be kept than finer ones.
    let store = filled().await;
    let (period, before) = (Period::Hour, minute("2027-12-31 23:00").start);
    store.expire(ADA, Retention { period, before }).await.unwrap();
    assert_eq!(lines(&checked(&store).await.0), [""; 0]);
}

/// A flush of flows that come after their hour, day or month is rolled up.
async fn put_late(store: &Memory, writer: WriterId, sequence: u64, at: &str) {
    let state = store.writers().await.unwrap().into_iter().find(|state| state.writer == writer).unwrap();
    let mut late = flush(writer, sequence, at);
    late.extend(lift(&late, state.watermarks).unwrap());
    store.put_blocks(&late).await.unwrap();
}

#[tokio::test]
async fn late_flows_where_retention_has_deleted_are_no_violation() {
    let expire = [
        (Period::Minute, "2027-12-31 23:30"),
        (Period::Hour, "2027-12-31 23:30"),
        (Period::Minute, "2028-01-01 00:30"),
        (Period::Day, "2027-12-31 23:30"),
        (Period::Month, "2027-12-31 23:30"),
        (Period::Hour, "2028-06-01 00:00"),
        (Period::Day, "2028-06-01 00:00"),
    ];
    let store = filled().await;
    let mut sequence = 200;
    for (period, before) in expire {
        for writer in [ADA, BOB] {
            store.expire(writer, Retention { period, before: minute(before).start }).await.unwrap();
        }
        for at in ["2027-11-30 23:10", "2027-12-31 22:59", "2027-12-31 23:31", "2027-12-31 23:10"] {
            sequence += 1;
            put_late(&store, ADA, sequence, at).await;
            assert_eq!(lines(&checked(&store).await.0), [""; 0], "{period:?} before {before}, late at {at}");
        }
    }
}

#[tokio::test]
async fn a_missing_finer_block_is_found_although_late_flows_came_where_retention_has_deleted() {
    let store = filled().await;
    let before = minute("2027-12-31 22:45").start;
    store.expire(ADA, Retention { period: Period::Minute, before }).await.unwrap();
    put_late(&store, ADA, 200, "2027-11-30 23:10").await;
    let gone = blocks_of(&store, minute("2027-12-31 23:00"), groups()[2]).await;
    replace(&store, &gone, &[]).await;
    let shown = lines(&checked(&store).await.0);
    let expected = "hour 2027-12-31 23, sender 192.0.2.2, prefix 172.16.0.0/16, writer 0000000000000ada: ";
    assert!(shown.len() == 2 && shown.iter().all(|line| line.starts_with(expected)), "{shown:#?}");
}

#[tokio::test]
async fn coarser_blocks_that_count_for_no_reader_only_have_to_be_readable() {
    let store = filled().await;
    // Left by an attempt to roll up the open hour.
    let hour = interval(Period::Hour, "2028-01-01 01");
    let found = blocks_of(&store, minute("2028-01-01 01:07"), groups()[0]).await;
    let mut left = accounting::rollup::roll_up(hour, &found).blocks;
    left = changed(&left, |tables| tables.add(Direction::In, Name::ALL, MORE));
    store.put_blocks(&left).await.unwrap();
    assert_eq!(checked(&store).await.0, []);
    left[0].content.truncate(9);
    store.put_blocks(&left).await.unwrap();
    assert_eq!(checked(&store).await.0.len(), 1);
}

#[tokio::test]
async fn folded_names_are_no_violation() {
    let store = filled().await;
    let hour = interval(Period::Hour, "2027-12-31 22");
    let rolled_up = blocks_of(&store, hour, groups()[0]).await;
    replace(&store, &rolled_up, &changed(&rolled_up, |tables| tables.fold(3))).await;
    let shown = lines(&checked(&store).await.0);
    // The day claims to have all names, the hour does not.
    assert!(
        shown.iter().all(|line| line.starts_with("day 2027-12-31, ") && line.contains("under other names")),
        "{shown:#?}"
    );
    assert!(!shown.is_empty());
}

#[tokio::test]
async fn who_listens_may_end_it() {
    let store = filled().await;
    let whole = checked(&store).await.1;
    let ended = check(&store, &mut |_| ControlFlow::Break(())).await.unwrap();
    assert!(ended.blocks < whole.blocks / 2 && ended.blocks > 0, "{ended:?}");
}
