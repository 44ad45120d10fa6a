//! A range answers what its minutes answer, wherever it begins and ends and whatever is rolled up in it; all answers are of
//! one moment; and what a question costs depends on what is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::{Minute, Period};
use accounting::query::parse_interval;
use accounting::rollup::lift;
use flow::{Counters, FlushNumber, Timestamp};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::roll_up::advance;
use crate::sample::{ADA, MINUTES, fill, groups, minute};
use crate::{Faulty, Flush, Identity, Memory, Sqlite, WriterState, Writers};

/// The sum over the minutes of a range in which anything was counted, each read by itself.
async fn minute_by_minute(store: &dyn Store, sender: IpAddr, prefix: Prefix, range: Range) -> Tables {
    let inside = |interval: &Interval| range.from <= interval.start && interval.start < range.to;
    let minutes = MINUTES.into_iter().map(minute).filter(inside);
    let ask = |interval: Interval| Question { range: interval.into(), sender, prefix, tables: TableSet::COUNTED };
    let mut sum = Tables::new();
    for answer in Answers::to(minutes.map(ask).collect()).all(store).await.unwrap() {
        add(&mut sum, &answer.tables);
    }
    sum
}

fn add(sum: &mut Tables, tables: &Tables) {
    for (direction, name, counters) in tables.rows() {
        sum.add(direction, name, counters);
    }
    Direction::ALL.into_iter().for_each(|direction| sum.note(direction, tables.about_all(direction)));
}

/// What was counted in a range.
async fn in_range(store: &dyn Store, (sender, prefix): (IpAddr, Prefix), range: Range, tables: TableSet) -> Totals {
    let mut answers = Answers::to(vec![Question { range, sender, prefix, tables }]);
    answers.all(store).await.unwrap().pop().unwrap()
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
            let sum = in_range(&store, (sender, prefix), range, TableSet::COUNTED).await;
            let expected = minute_by_minute(&store, sender, prefix, range).await;
            prop_assert_eq!(sum.damaged, vec![]);
            prop_assert!(sum.tables == expected, "{range}");
            Ok(())
        })?;
    });
}

/// From the first minute to the last one of the sample.
fn whole_sample() -> Range {
    let [first, last] = [MINUTES[0], MINUTES[MINUTES.len() - 1]].map(|text| minute(text).start);
    Range { from: first, to: last.saturating_add(1) }
}

#[tokio::test]
async fn a_range_over_everything_is_read_from_few_blocks() {
    let memory = Memory::default();
    fill(&memory).await;
    let store = Faulty::new(memory);
    let whole = in_range(&store, groups()[0], whole_sample(), TableSet::of_field(Field::All)).await;
    let flows: u64 = whole.tables.rows_of(Field::All).map(|(_, _, counters)| counters.flows).sum();
    // Seven flushes and a late one of two writers, twenty flows each.
    assert_eq!(flows, 8 * 2 * 20);
    // The 50 minutes to the end of November are listed, and one has blocks. Then December, an hour, and the minutes of the
    // open one.
    assert_eq!(store.take_read().selections.len(), 1 + 1 + 1 + 8);
}

#[tokio::test]
async fn a_range_of_all_times_costs_as_few_calls_as_what_is_stored() {
    let memory = Memory::default();
    fill(&memory).await;
    let store = Faulty::new(memory);
    let ever = Range { from: Minute::new(1), to: Minute::LAST.saturating_sub(1) };
    let all = TableSet::of_field(Field::All);
    let whole = in_range(&store, groups()[0], ever, all).await;
    // The states; for each writer the first minutes, hours, days and years, and the open minutes; two reads.
    let calls = store.take_calls();
    assert!(calls <= 1 + 2 * 5 + 2, "{calls} calls");
    assert_eq!(whole.tables, in_range(&store, groups()[0], whole_sample(), all).await.tables);
    store.take_calls();
    store.take_read();
    // A week of minutes before anything was counted, asked one by one.
    let (sender, prefix) = groups()[0];
    let ask = |minute| {
        let range = Range { from: Minute::new(minute), to: Minute::new(minute + 1) };
        Question { range, sender, prefix, tables: all }
    };
    let answers = Answers::to((20_000_000..20_010_080).map(ask).collect()).all(&store).await.unwrap();
    assert!(answers.len() == 10_080 && answers.iter().all(|answer| answer.tables.is_empty()));
    assert_eq!(store.take_calls(), 1 + 2);
    assert_eq!(store.take_read().selections, []);
}

#[tokio::test]
async fn stretches_without_blocks_cost_few_calls_however_many_are_asked_for() {
    let memory = Memory::default();
    fill(&memory).await;
    let store = Faulty::new(memory);
    let (sender, prefix) = groups()[0];
    let tables = TableSet::of_field(Field::All);
    // Every other hour around the first flows, from years before them to years after them.
    let first = Interval::containing(Period::Hour, minute(MINUTES[0]).start).start.number();
    let hours = (0..10_000).map(|number| first - 5_000 * 120 + number * 120);
    let ask = |from| {
        let range = Range { from: Minute::new(from), to: Minute::new(from + 60) };
        Question { range, sender, prefix, tables }
    };
    let questions: Vec<Question> = hours.map(ask).collect();
    let together = Answers::to(questions.clone()).all(&store).await.unwrap();
    let calls = store.take_calls();
    assert!(calls < 100, "{calls} calls");
    let mut counted = 0;
    for (question, together) in questions.into_iter().zip(together).skip(4_990).take(20) {
        let alone = in_range(&store, (sender, prefix), question.range, tables).await;
        counted += usize::from(!alone.tables.is_empty());
        assert_eq!(together, alone, "{}", question.range);
    }
    assert!(counted > 0);
}

#[test]
fn questions_asked_together_have_the_answers_that_each_has_alone() {
    let store = Memory::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(fill(&store));
    let range = (edge(), 1u32..200).prop_map(|(from, minutes)| Range { from, to: from.saturating_add(minutes) });
    proptest!(ProptestConfig::with_cases(50), |(ranges in prop::collection::vec(range, 1..100))| {
        let (sender, prefix) = groups()[0];
        let ask = |range: &Range| Question { range: *range, sender, prefix, tables: TableSet::COUNTED };
        runtime.block_on(async {
            let together = Answers::to(ranges.iter().map(ask).collect()).all(&store).await.unwrap();
            for (range, together) in ranges.iter().zip(together) {
                let alone = in_range(&store, (sender, prefix), *range, TableSet::COUNTED).await;
                prop_assert!(together == alone, "{range}");
            }
            Ok(())
        })?;
    });
}

#[test]
fn sums_of_answers_are_those_of_answers_asked_alone() {
    let store = Memory::default();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(fill(&store));
    let range = (edge(), 1u32..200).prop_map(|(from, minutes)| Range { from, to: from.saturating_add(minutes) });
    proptest!(ProptestConfig::with_cases(50), |(ranges in prop::collection::vec(range, 1..40), summed in 1usize..9)| {
        let ask = |(range, (sender, prefix))| Question { range, sender, prefix, tables: TableSet::COUNTED };
        let questions: Vec<Question> = ranges.into_iter().zip(groups().into_iter().cycle()).map(ask).collect();
        runtime.block_on(async {
            let sums = Answers::to_sums(questions.clone(), summed).all(&store).await.unwrap();
            prop_assert_eq!(sums.len(), questions.len().div_ceil(summed));
            for (questions, sum) in questions.chunks(summed).zip(sums) {
                let mut expected = Totals::default();
                for Question { sender, prefix, range, tables } in questions {
                    let alone = in_range(&store, (*sender, *prefix), *range, *tables).await;
                    prop_assert_eq!(alone.senders.contains(sender), !alone.tables.is_empty());
                    add(&mut expected.tables, &alone.tables);
                    expected.senders.extend(alone.senders);
                }
                prop_assert!(sum == expected, "{questions:?}");
            }
            Ok(())
        })?;
    });
}

/// The flush of a minute of one flow, with its copies in coarser intervals that are rolled up.
fn one_flow(sequence: u64, at: &str, state: &WriterState) -> Flush {
    let (sender, prefix) = groups()[0];
    let number = FlushNumber { epoch: state.epoch, sequence };
    let mut tables = Tables::new();
    tables.add(Direction::In, Name::ALL, Counters { bytes: 100, packets: 1, flows: 1 });
    let mut blocks = tables.blocks(minute(at), sender, prefix, state.writer, number.into());
    blocks.extend(lift(&blocks, state.watermarks).unwrap());
    Flush { number, watermarks: state.watermarks, blocks }
}

/// Flows of these ranges in one answer, while a flush arrives before each call of the store: the first minute of an open
/// hour, a minute that is there, a late minute of an hour that is rolled up, and so on.
async fn flows_while_flushes_arrive<S: Store>(inner: S, state: WriterState, ranges: &[Range]) -> Vec<u64> {
    inner.put_flush(state.writer, &one_flow(1, "2028-01-01 01:07", &state).into(), &[], &[]).await.unwrap();
    let store = Faulty::new(inner);
    let times = ["2028-01-01 01:08", "2028-01-01 01:07", "2028-01-01 00:31", "2027-12-31 23:59", "2027-06-01 00:00"];
    let flushes = (2..).zip(times.into_iter().cycle()).map(|(sequence, at)| one_flow(sequence, at, &state));
    store.meanwhile(state.writer, flushes.take(50));
    let (sender, prefix) = groups()[0];
    let ask = |range: &Range| Question { range: *range, sender, prefix, tables: TableSet::COUNTED };
    let answers = Answers::to(ranges.iter().map(ask).collect()).all(&store).await.unwrap();
    let flows = |answer: &Totals| answer.tables.get(Direction::In, Name::ALL).unwrap_or_default().flows;
    answers.iter().map(flows).collect()
}

/// A collector whose minutes are rolled up to an hour ago.
async fn begun(store: &dyn Store, writer: WriterId) -> WriterState {
    let state = WriterState::new(writer, 1, Timestamp::from_seconds(1_830_000_000));
    advance(store, state, minute("2028-01-01 01:05").start).await.unwrap()
}

#[tokio::test]
async fn all_parts_of_an_answer_are_of_one_moment_while_flushes_arrive() {
    // The year 2027 to now as a whole, from its periods, and the open hour minute by minute.
    let period = |period, text: &str| Range::from(parse_interval(period, text).unwrap());
    let minutes: Vec<Range> = (0..60).map(|at| period(Period::Minute, &format!("2028-01-01 01:{at:02}"))).collect();
    let whole = Range { from: minute("2027-01-01 00:00").start, to: minute("2028-01-01 02:00").start };
    let years = [period(Period::Year, "2027"), period(Period::Year, "2028")];
    let (hour, day) = (period(Period::Hour, "2028-01-01 01"), period(Period::Day, "2028-01-01"));
    let months = [period(Period::Month, "2027-06"), period(Period::Month, "2027-12")];
    let ranges = [&[whole], &years[..], &[day, hour], &minutes, &months, &[whole]].concat();

    let memory = Memory::default();
    let state = begun(&memory, ADA).await;
    let in_memory = flows_while_flushes_arrive(memory, state, &ranges).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (sqlite, identity) = (Sqlite::open(&path).unwrap(), Identity::open(&path).unwrap());
    let state = begun(&sqlite, identity.writer()).await;
    let in_sqlite = flows_while_flushes_arrive(sqlite, state, &ranges).await;
    for flows in [in_memory, in_sqlite] {
        let sum = |some: &[u64]| some.iter().sum::<u64>();
        let (whole, rest) = flows.split_first().unwrap();
        // Flushes arrived before the first answer was begun, and after it.
        assert!(*whole > 1 && *whole < 20, "{flows:?}");
        let (years, rest) = rest.split_at(2);
        let (day_and_hour, rest) = rest.split_at(2);
        let (minutes, rest) = rest.split_at(60);
        assert_eq!(sum(years), *whole, "{flows:?}");
        assert_eq!(day_and_hour[0], years[1], "{flows:?}");
        assert_eq!(sum(minutes), day_and_hour[1], "{flows:?}");
        assert_eq!(sum(&rest[..2]), years[0], "{flows:?}");
        assert_eq!(rest[2], *whole, "{flows:?}");
    }
}

#[tokio::test]
async fn a_step_makes_few_calls_however_many_stretches_are_asked_for() {
    let store = Faulty::new(Memory::default());
    store.put_writer(&WriterState::new(WriterId(7), 1, Timestamp::EPOCH)).await.unwrap();
    let (sender, prefix) = groups()[0];
    // Every other hour, none of which is rolled up.
    let hours = (0..1000).map(|number| Interval { period: Period::Hour, start: Minute::new(number * 120) });
    let ask = |hour: Interval| Question { range: hour.into(), sender, prefix, tables: TableSet::COUNTED };
    let mut answers = Answers::to(hours.map(ask).collect());
    let mut complete = 0;
    store.take_calls();
    while let Some(some) = answers.next(&store).await.unwrap() {
        complete += some.len();
        let calls = store.take_calls();
        assert!(calls <= 1 + 16 + 1, "{calls} calls");
    }
    assert_eq!(complete, 1000);
}

#[tokio::test]
async fn a_step_is_small_and_answers_come_in_the_order_of_the_questions() {
    let memory = Memory::default();
    fill_open_year(&memory).await;
    let (sender, prefix) = groups()[0];
    // Each minute has more than 30 KB, and the year consists of all months: far more than is summed in a step.
    let year = Range::from(parse_interval(Period::Year, "2027").unwrap());
    let days = (1..=9).map(|day| minute(&format!("2027-01-0{day} 12:30")));
    let ranges: Vec<Range> = days.map(Range::from).chain([year, year]).collect();
    let ask = |range: &Range| Question { range: *range, sender, prefix, tables: TableSet::COUNTED };
    let mut answers = Answers::to(ranges.iter().map(ask).collect());
    let (mut complete, mut steps) = (Vec::new(), 0);
    while let Some(some) = answers.next(&memory).await.unwrap() {
        complete.extend(some);
        steps += 1;
    }
    assert!(steps > 10, "{steps} steps");
    assert_eq!(complete.len(), ranges.len());
    for (range, answer) in ranges.iter().zip(&complete) {
        assert_eq!(*answer, in_range(&memory, (sender, prefix), *range, TableSet::COUNTED).await, "{range}");
    }
    // Further questions are about the same moment.
    let state = memory.writers().await.unwrap()[0];
    memory.put_flush(state.writer, &one_flow(1_000, "2027-11-20 10:06", &state).into(), &[], &[]).await.unwrap();
    let mut again = answers.then(vec![ask(&year)]);
    assert_eq!(again.all(&memory).await.unwrap().pop(), complete.pop());
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
        store.put_flushed(ADA, FlushNumber { epoch: 1, sequence }).await.unwrap();
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
    totals(&store, sender, prefix, year, TableSet::COUNTED).await.unwrap();
    assert!(turns.load(Ordering::Relaxed) > 1);
}
