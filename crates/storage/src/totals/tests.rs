//! A range answers what its minutes answer, wherever it begins and ends and whatever is rolled up in it.

use accounting::field::Field;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::Memory;
use crate::sample::{MINUTES, fill, groups, minute};

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
    }
    sum
}

/// A minute near the ends of hours, days, months and years, where covers change.
fn edge() -> impl Strategy<Value = Minute> {
    (prop::sample::select(&MINUTES[..]), prop_oneof![-70i64..70, -50_000i64..50_000])
        .prop_map(|(text, offset)| Minute(u32::try_from(i64::from(minute(text).start.0) + offset).unwrap()))
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
    let range = Range { from: first, to: Minute(last.0 + 1) };
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
