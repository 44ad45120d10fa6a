//! Exported rows against the totals that readers get.

use super::*;
use crate::sample::{ADA, fill, groups, minute};
use crate::totals;
use crate::{Blocks, Memory, Retention, Writers};
use flow::FlushNumber;

async fn filled() -> Memory {
    let store = Memory::default();
    fill(&store).await;
    store
}

fn all(period: Period) -> Request {
    Request { period, from: Minute::EPOCH, before: Minute::MAX, sender: None, prefix: None }
}

async fn exported(store: &dyn Store, request: Request) -> Vec<Exported> {
    let mut export = Export::new(store, request);
    let mut found = Vec::new();
    while let Some(exported) = export.next().await.unwrap() {
        found.push(exported);
    }
    found
}

#[tokio::test]
async fn every_period_is_exported_with_the_totals_of_all_writers() {
    let store = filled().await;
    let expected: [&[&str]; 5] = [
        &[
            "2027-11-30 23:10",
            "2027-12-31 22:30",
            "2027-12-31 22:59",
            "2027-12-31 23:00",
            "2027-12-31 23:59",
            "2028-01-01 00:00",
            "2028-01-01 01:07",
        ],
        // The last hour, day, month and year are open.
        &["2027-11-30 23", "2027-12-31 22", "2027-12-31 23", "2028-01-01 00", "2028-01-01 01"],
        &["2027-11-30", "2027-12-31", "2028-01-01"],
        &["2027-11", "2027-12", "2028-01"],
        &["2027", "2028"],
    ];
    let mut sums = Vec::new();
    for (period, intervals) in Period::ALL.into_iter().zip(expected) {
        let exports = exported(&store, all(period)).await;
        let places =
            exports.iter().map(|Exported { interval, sender, prefix, .. }| (interval.to_string(), *sender, *prefix));
        let in_order = intervals
            .iter()
            .flat_map(|interval| groups().map(|(sender, prefix)| (interval.to_string(), sender, prefix)));
        assert_eq!(places.collect::<Vec<_>>(), in_order.collect::<Vec<_>>());
        let mut bytes = 0;
        for Exported { interval, sender, prefix, totals: counted } in &exports {
            let expected = totals(&store, *sender, *prefix, *interval, TableSet::COUNTED).await.unwrap();
            assert_eq!(*counted, expected);
            bytes += counted.tables.rows().map(|(_, _, counters)| counters.bytes).sum::<u64>();
        }
        sums.push(bytes);
    }
    assert!(sums[0] > 0 && sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

#[tokio::test]
async fn only_what_is_asked_for_is_exported() {
    let store = filled().await;
    let [(ada, v4), (_, v6), (bob, _)] = groups();
    let places = async |request| {
        let exports = exported(&store, request).await;
        exports.iter().map(|e| format!("{} {} {}", e.interval, e.sender, e.prefix)).collect::<Vec<_>>()
    };
    let (from, before) = (minute("2027-12-31 22:01").start, minute("2028-01-01 00:00").start);
    let hours = Request { from, before, sender: Some(bob), ..all(Period::Hour) };
    assert_eq!(
        places(hours).await,
        ["2027-12-31 23 192.0.2.2 172.16.0.0/16"],
        "an hour that began earlier is not in it"
    );
    let years = Request { prefix: Some(v6), ..all(Period::Year) };
    assert_eq!(places(years).await, ["2027 192.0.2.1 2001:db8::/32", "2028 192.0.2.1 2001:db8::/32"]);
    assert_eq!(places(Request { sender: Some(bob), prefix: Some(v6), ..all(Period::Year) }).await, [""; 0]);
    assert_eq!(
        places(Request { sender: Some(ada), prefix: Some(v4), from: before, ..all(Period::Month) }).await,
        ["2028-01 192.0.2.1 172.16.0.0/16"]
    );
    assert_eq!(places(Request { from: before, before: from, ..all(Period::Minute) }).await, [""; 0]);
}

#[tokio::test]
async fn what_was_folded_has_a_row_of_its_own_so_that_rows_add_up_to_all() {
    let store = filled().await;
    // A flush that folded nearly everything.
    let mut tables = crate::sample::tables(5);
    tables.fold(2);
    let (sender, prefix) = groups()[0];
    let at = minute("2028-01-01 01:08");
    store
        .put_blocks(&tables.blocks(at, sender, prefix, ADA, FlushNumber { epoch: 3, sequence: 200 }.into()))
        .await
        .unwrap();
    let exports = exported(&store, Request { from: at.start, ..all(Period::Minute) }).await;
    assert_eq!(exports.len(), 1);
    let rows: Vec<ExportedRow> = exports[0].rows().collect();
    let shown: Vec<String> = rows.iter().map(|row| format!("{} {}", row.direction.name(), row.name)).collect();
    assert!(shown.contains(&"in srcip:other".to_owned()), "{shown:#?}");
    assert!("srcip:other".parse::<Name>().is_err(), "a row could be mistaken for a name");
    for direction in [Direction::In, Direction::Out] {
        let all = tables.get(direction, Name::ALL).unwrap();
        for field in Field::ALL {
            let of_field = |row: &&ExportedRow| {
                let found = match row.name {
                    RowName::Name(name) => name.field,
                    RowName::Other(field) => field,
                };
                row.direction == direction && found == field
            };
            let mut sum = Counters::ZERO;
            rows.iter().filter(of_field).for_each(|row| sum.add(row.counters));
            assert_eq!(sum, all, "{direction:?} {field:?}");
        }
        let variances: Vec<_> =
            rows.iter().filter(|row| row.direction == direction).filter_map(|row| row.variance).collect();
        assert_eq!(variances, [tables.about_all(direction).variance], "of `all` alone");
    }
}

#[tokio::test]
async fn a_damaged_block_is_reported_and_the_rest_exported() {
    let store = filled().await;
    let mut damaged = crate::sample::flush(ADA, 7, "2028-01-01 01:07");
    damaged[0].content.truncate(9);
    store.put_blocks(&damaged[..1]).await.unwrap();
    let exports = exported(&store, Request { from: minute("2028-01-01 01:07").start, ..all(Period::Minute) }).await;
    assert_eq!(exports.len(), 3);
    assert_eq!(exports[0].totals.damaged.iter().map(|error| error.key).collect::<Vec<_>>(), [damaged[0].key]);
    assert!(exports[0].rows().count() > 0, "the other writer's block");
}

#[tokio::test]
async fn what_retention_has_left_is_exported() {
    let store = filled().await;
    for state in store.writers().await.unwrap() {
        let retention = Retention { period: Period::Minute, before: Minute::MAX };
        store.expire(state.writer, retention).await.unwrap();
    }
    assert_eq!(exported(&store, all(Period::Minute)).await.len(), 3, "the minute that is not rolled up");
    assert_eq!(exported(&store, all(Period::Hour)).await.len(), 15);
}
