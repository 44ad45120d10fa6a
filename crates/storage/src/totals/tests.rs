//! A range answers what its minutes answer, wherever it begins and ends and whatever is rolled up in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::query::parse_interval;
use flow::{Counters, FlushNumber, Timestamp};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::roll_up::advance;
use crate::sample::{ADA, MINUTES, fill, groups, minute};
use crate::{Faulty, Memory};

/// The sum over the minutes of a range in which anything was counted, each read by itself.
async fn minute_by_minute(store: &dyn Store, sender: IpAddr, prefix: Prefix, range: Range) -> Tables {
    let inside = |interval: &Interval| range.from <= interval.start && interval.start < range.to;
    let minutes = MINUTES.into_iter().map(minute).filter(inside);
    let questions: Vec<_> =
        minutes.map(|interval| Selection { interval, sender, prefix, tables: TableSet::ALL }).collect();
    let mut sum = Tables::new();
    for answer in totals_many(store, &questions).await.unwrap() {
        for (direction, name, counters) in answer.tables.rows() {
            sum.add(direction, name, counters);
        }
        Direction::ALL.into_iter().for_each(|direction| sum.note(direction, answer.tables.about_all(direction)));
    }
    sum
}

/// A minute near the ends of hours, days, months and years, where covers change.
fn edge() -> impl Strategy<Value = Minute> {
    (prop::sample::select(&MINUTES[..]), prop_oneof![-70i64..70, -50_000i64..50_000])
        .prop_map(|(text, offset)| Minute::new(u32::try_from(i64::from(minute(text).start.number()) + offset).unwrap()))
}

#[test]
fn a_range_is_the_sum_of_its_minutes() {
    let store = Memory::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(fill(&store));
    let case = (edge(), edge(), 0..groups().len());
    proptest!(ProptestConfig::with_cases(200), |((one, other, group) in case)| {
        let (sender, prefix) = groups()[group];
        let range = Range { from: one.min(other), to: one.max(other) };
        runtime.block_on(async {
            let sum = totals_in_range(&store, sender, prefix, range, TableSet::ALL).await.unwrap();
            let expected = minute_by_minute(&store, sender, prefix, range).await;
            prop_assert_eq!(sum.damaged, vec![]);
            prop_assert!(sum.tables == expected, "{range}");
            Ok(())
        })?;
    });
}

#[tokio::test]
async fn a_range_over_everything_is_read_from_few_blocks() {
    let store = Memory::default();
    fill(&store).await;
    let (sender, prefix) = groups()[0];
    let [first, last] = [MINUTES[0], MINUTES[MINUTES.len() - 1]].map(|text| minute(text).start);
    let range = Range { from: first, to: last.saturating_add(1) };
    let whole = totals_in_range(&store, sender, prefix, range, TableSet::of_field(Field::All)).await.unwrap();
    let flows: u64 = whole.tables.rows_of(Field::All).map(|(_, _, counters)| counters.flows).sum();
    // Seven flushes and a late one of two writers, twenty flows each.
    assert_eq!(flows, 8 * 2 * 20);
    let parts: Vec<_> = range
        .cover()
        .into_iter()
        .map(|interval| Selection { interval, sender, prefix, tables: TableSet::ALL })
        .collect();
    let plan = Plan::make(&store, &parts).await.unwrap();
    // 50 minutes to the end of the hour, the last day of November, December, an hour, and the minutes of the open one.
    assert!(plan.selections.len() <= 50 + 1 + 1 + 1 + 8, "{} selections", plan.selections.len());
}

/// A flow to each of enough addresses that their table does not fit into a block with others.
fn with_many_addresses() -> Tables {
    let mut tables = Tables::new();
    let counters = Counters { bytes: 1 << 44, packets: 1 << 44, flows: 1 << 44 };
    for number in 0..900_u128 {
        for field in Field::ALL {
            let value = match field {
                Field::SourceAddress => Value::Address([192, 0, 2, 1].into()),
                Field::DestinationAddress => Value::Address((number << 117).to_be_bytes().into()),
                _ => Value::Number(0),
            };
            tables.add(Direction::In, Name { field, value }, counters);
        }
    }
    tables
}

/// Minutes of 323 days of 2027 and of the morning after them, as far as 10:05; hours are rolled up to ten o'clock.
async fn fill_open_year(store: &dyn Store) {
    let (sender, prefix) = groups()[0];
    let state = WriterState::new(ADA, 1, Timestamp::from_seconds(1_830_000_000));
    store.put_writer(&state).await.unwrap();
    let days = std::iter::successors(Some(minute("2027-01-01 12:30")), |noon| {
        Some(Interval { start: noon.start.saturating_add(24 * 60), ..*noon })
    });
    let today = ["2027-11-20 03:10", "2027-11-20 10:01", "2027-11-20 10:02", "2027-11-20 10:05"].map(minute);
    let tables = with_many_addresses();
    for (at, sequence) in days.take(323).chain(today).zip(1..) {
        store
            .put_blocks(&tables.blocks(at, sender, prefix, ADA, FlushNumber { epoch: 1, sequence }.into()))
            .await
            .unwrap();
    }
    advance(store, state, minute("2027-11-20 10:00").start).await.unwrap();
}

#[tokio::test]
async fn a_year_is_asked_for_by_its_coarsest_intervals_and_the_wanted_tables() {
    let memory = Memory::default();
    fill_open_year(&memory).await;
    let store = Faulty::new(memory);
    let (sender, prefix) = groups()[0];
    let year = parse_interval(Period::Year, "2027").unwrap();
    let months = (1..=10).map(|month| parse_interval(Period::Month, &format!("2027-{month:02}")).unwrap());
    let days = (1..=19).map(|day| parse_interval(Period::Day, &format!("2027-11-{day:02}")).unwrap());
    let hours = (0..10).map(|hour| parse_interval(Period::Hour, &format!("2027-11-20 {hour:02}")).unwrap());
    let minutes = ["2027-11-20 10:01", "2027-11-20 10:02", "2027-11-20 10:05"].map(minute);
    let mut cover: Vec<Interval> = months.chain(days).chain(hours).chain(minutes).collect();
    cover.sort_unstable();
    let blocks_in_store = crate::sample::blocks(store.inner()).await.len();
    // All months and days have blocks, one of the ten hours has, and the minutes.
    let places = 10 + 19 + 1 + 3;
    let destinations = TableSet::of_field(Field::DestinationAddress);
    for (tables, others) in
        [(TableSet::of_field(Field::All), destinations), (destinations, TableSet::of_bits(!destinations.bits()))]
    {
        let whole = totals(&store, sender, prefix, year, tables).await.unwrap();
        assert_eq!(whole.damaged, vec![]);
        let bytes: u64 = whole.tables.rows().map(|(_, _, counters)| counters.bytes).sum();
        assert_eq!(bytes, ((323 + 4) * 900) << 44);
        let mut read = store.take_read();
        read.selections.sort_unstable_by_key(|selection| selection.interval);
        let expected: Vec<_> = cover.iter().map(|&interval| Selection { interval, sender, prefix, tables }).collect();
        assert_eq!(read.selections, expected);
        assert_eq!(read.blocks.len(), places, "of {blocks_in_store} blocks");
        assert!(read.blocks.iter().all(|key| key.tables.intersects(tables) && !key.tables.intersects(others)));
    }
    // The addresses have a block beside that of the other tables, and the finer blocks are there as well.
    let written = 2 * (323 + 4);
    assert!(blocks_in_store > written, "{blocks_in_store} blocks");
}

/// The memory store answers without a pause of its own.
#[tokio::test(flavor = "current_thread")]
async fn other_tasks_of_the_thread_have_their_turn_while_many_blocks_are_merged() {
    let store = Memory::default();
    fill_open_year(&store).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&turns);
    tokio::spawn(async move {
        loop {
            counting.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let (sender, prefix) = groups()[0];
    let year = parse_interval(Period::Year, "2027").unwrap();
    totals(&store, sender, prefix, year, TableSet::ALL).await.unwrap();
    assert!(turns.load(Ordering::Relaxed) > 1);
}
