//! Roll-ups over the ends of periods, interrupted at every call, and beside what interrupted ones left.

use std::net::Ipv4Addr;

use accounting::block::{BlockKey, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::query::parse_interval;
use accounting::watermarks::Watermarks;
use flow::{Counters, FlushNumber, Timestamp};

use super::*;
use crate::faulty::Fault;
use crate::{Faulty, Memory, Presence, Writers, totals};

const ADA: WriterId = WriterId(0xada);

fn group() -> (IpAddr, Prefix) {
    (Ipv4Addr::new(192, 0, 2, 1).into(), "172.16.0.0/16".parse().unwrap())
}

fn minute(text: &str) -> Minute {
    parse_interval(Period::Minute, text).unwrap().start
}

/// A flush with one flow of this many bytes to this port.
fn flush(at: Minute, epoch: u32, sequence: u64, bytes: u64, port: u32) -> Vec<Block> {
    let counters = Counters { bytes, packets: 1, flows: 1 };
    let mut tables = Tables::new();
    tables.add(Direction::In, Name::ALL, counters);
    if port > 0 {
        tables.add(Direction::In, Name { field: Field::DestinationPort, value: Value::Number(port) }, counters);
    }
    let interval = Interval { period: Period::Minute, start: at };
    tables.blocks(interval, group().0, group().1, ADA, FlushNumber { epoch, sequence }.into())
}

fn state() -> WriterState {
    WriterState::new(ADA, 1, Timestamp::EPOCH)
}

/// The bytes of an interval by what readers see.
async fn bytes(store: &dyn Store, interval: Interval) -> u64 {
    let (sender, prefix) = group();
    let answer = totals(store, sender, prefix, interval, TableSet::of(Direction::In, Field::All)).await.unwrap();
    assert_eq!(answer.damaged, []);
    answer.tables.get(Direction::In, Name::ALL).map_or(0, |counters| counters.bytes)
}

/// All blocks of an interval as they are kept.
async fn kept(store: &dyn Store, interval: Interval) -> Vec<Block> {
    let (sender, prefix) = group();
    store.read_blocks(&[Selection { interval, sender, prefix, tables: TableSet::ALL }]).await.unwrap()
}

async fn filled(minutes: &[&str]) -> Memory {
    let store = Memory::default();
    store.put_writer(&state()).await.unwrap();
    for (text, sequence) in minutes.iter().zip(1..) {
        store.put_blocks(&flush(minute(text), 1, sequence, 100, 443)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn nothing_is_rolled_up_before_its_period_has_ended() {
    let store = filled(&["2028-02-29 23:59"]).await;
    let at = minute("2028-02-29 23:59");
    let until = |text| advance(&store, state(), minute(text));
    assert_eq!(
        until("2028-02-29 23:59").await.unwrap().watermarks.get(Period::Minute),
        Some(minute("2028-02-29 23:00"))
    );
    assert_eq!(kept(&store, Interval::containing(Period::Hour, at)).await, []);
    let ended = until("2028-03-01 00:00").await.unwrap();
    let expected = ["2028-03-01 00:00", "2028-03-01 00:00", "2028-03-01 00:00", "2028-01-01 00:00"].map(minute);
    assert_eq!(ended.watermarks, Watermarks::new(expected));
    for (period, blocks) in Period::ALL.into_iter().zip([1, 1, 1, 1, 0]) {
        assert_eq!(kept(&store, Interval::containing(period, at)).await.len(), blocks, "{period:?}");
        assert_eq!(bytes(&store, Interval::containing(period, at)).await, 100, "{period:?}");
    }
}

#[tokio::test]
async fn a_collector_that_was_down_for_years_catches_up_in_one_call() {
    let minutes = ["2026-12-31 23:59", "2027-01-01 00:00", "2027-01-01 00:01", "2028-02-28 12:00", "2028-02-29 00:00"];
    let store = filled(&minutes).await;
    let moved = advance(&store, state(), minute("2030-07-01 10:30")).await.unwrap();
    let expected = ["2030-07-01 10:00", "2030-07-01 00:00", "2030-07-01 00:00", "2030-01-01 00:00"].map(minute);
    assert_eq!(moved.watermarks, Watermarks::new(expected));
    assert_eq!(store.writers().await.unwrap(), [moved]);
    for (interval, expected) in [("2026", 100), ("2027", 200), ("2028", 200), ("2029", 0)] {
        let year = parse_interval(Period::Year, interval).unwrap();
        assert_eq!(bytes(&store, year).await, expected, "{interval}");
        assert_eq!(kept(&store, year).await.len(), usize::from(expected > 0), "{interval}");
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_moves_nothing_back() {
    let store = filled(&["2026-12-31 23:59"]).await;
    let moved = advance(&store, state(), minute("2027-01-02 00:00")).await.unwrap();
    assert_eq!(advance(&store, moved, minute("2026-12-01 00:00")).await.unwrap(), moved);
    assert_eq!(advance(&store, moved, Minute::EPOCH).await.unwrap(), moved);
    let at_the_end = advance(&store, moved, Minute::MAX).await.unwrap();
    assert_eq!(advance(&store, at_the_end, Minute::MAX).await.unwrap(), at_the_end);
}

#[tokio::test]
async fn every_interruption_is_made_good_by_the_next_start() {
    let minutes = ["2027-12-31 22:59", "2027-12-31 23:00", "2027-12-31 23:59", "2028-01-01 00:00"];
    let until = minute("2028-01-01 01:00");
    for fault in [Fault::Before, Fault::After] {
        let mut calls = 0;
        loop {
            let store = Faulty::new(filled(&minutes).await);
            store.plan(std::iter::repeat_n(Fault::None, calls).chain([fault]));
            let interrupted = advance(&store, state(), until).await;
            let whole =
                interrupted.is_ok_and(|moved| moved.watermarks.get(Period::Month) == Some(minute("2028-01-01 00:00")));
            store.plan([]);
            for (year, expected) in [("2027", 300), ("2028", 100)] {
                let year = parse_interval(Period::Year, year).unwrap();
                assert_eq!(bytes(&store, year).await, expected, "{fault:?} of call {calls}");
            }
            // What the dead process knew beyond the store is gone with it.
            let known = store.writers().await.unwrap().pop().unwrap_or(state());
            advance(&store, known, until).await.unwrap();
            for (year, expected) in [("2027", 300), ("2028", 100)] {
                let year = parse_interval(Period::Year, year).unwrap();
                assert_eq!(bytes(&store, year).await, expected, "{fault:?} of call {calls}, started again");
            }
            let year = parse_interval(Period::Year, "2027").unwrap();
            assert_eq!(kept(&store, year).await.len(), 1);
            calls += 1;
            if whole {
                break;
            }
        }
        assert!(calls > 20, "{calls}");
    }
}

#[tokio::test]
async fn an_error_is_returned_only_when_nothing_has_moved() {
    let store = Faulty::new(filled(&["2027-12-31 22:59"]).await);
    store.plan([Fault::Before]);
    assert!(matches!(advance(&store, state(), minute("2028-01-01 00:00")).await, Err(StoreError::Retry(_))));
    // The state is put at call 1; the hour is summed and its watermark put at some call after it.
    let moved = (1..).find_map(|calls| {
        store.plan(std::iter::repeat_n(Fault::None, calls).chain([Fault::Before]));
        futures(advance(&store, state(), minute("2028-01-01 00:00"))).ok()
    });
    let moved = moved.unwrap();
    assert_eq!(moved.watermarks.get(Period::Minute), Some(minute("2027-12-31 23:00")));
    assert_eq!(store.inner().writers().await.unwrap(), [state()], "it has moved although the store does not know");
    store.plan([]);
    let further = advance(&store, moved, minute("2027-12-31 23:00")).await.unwrap();
    assert_eq!(further.watermarks.get(Period::Minute), moved.watermarks.get(Period::Minute));
    assert_eq!(store.inner().writers().await.unwrap(), [further], "the next call puts it again");
}

/// The store in memory is always ready.
fn futures<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("not ready"),
    }
}

#[tokio::test]
async fn coarse_blocks_after_the_watermark_are_replaced_whatever_tables_they_have() {
    let at = minute("2027-05-01 10:30");
    let hour = Interval::containing(Period::Hour, at);
    let store = Memory::default();
    store.put_writer(&state()).await.unwrap();
    // An attempt that put its sum and died before the watermark...
    store.put_blocks(&flush(at, 1, 1, 100, 0)).await.unwrap();
    store
        .put_blocks(&roll_up(hour, &kept(&store, Interval { period: Period::Minute, start: at }).await).blocks)
        .await
        .unwrap();
    // ... a flush lifted by a watermark that never arrived, ...
    let lifted = flush(at, 1, 2, 10, 80);
    let known = WriterState {
        watermarks: Watermarks::new([hour.end(), Minute::EPOCH, Minute::EPOCH, Minute::EPOCH]),
        ..state()
    };
    store.put_blocks(&lifted).await.unwrap();
    store.put_blocks(&accounting::rollup::lift(&lifted, known.watermarks).unwrap()).await.unwrap();
    assert_eq!(kept(&store, hour).await.len(), 2);
    assert_eq!(bytes(&store, hour).await, 110);
    // ... and the next attempt, which sums other tables than the first one.
    advance(&store, state(), hour.end()).await.unwrap();
    assert_eq!(kept(&store, hour).await.len(), 1);
    assert_eq!(bytes(&store, hour).await, 110);
}

#[tokio::test]
async fn many_groups_are_summed_in_several_reads() {
    let at = minute("2027-05-01 10:30");
    let store = Memory::default();
    let mut blocks = Vec::new();
    for number in 0..1_000_u16 {
        let [high, low] = number.to_be_bytes();
        let sender = Ipv4Addr::new(198, 18, high, low).into();
        blocks.extend(flush(at, 1, 1, u64::from(number) + 1, 443).into_iter().map(|block| {
            let key = BlockKey { sender, ..block.key };
            block.with_key(key)
        }));
    }
    store.put_blocks(&blocks).await.unwrap();
    advance(&store, state(), minute("2027-05-01 11:00")).await.unwrap();
    let hour = Interval::containing(Period::Hour, at);
    let groups = store.groups(ADA, hour).await.unwrap();
    assert_eq!(groups.len(), 1_000);
    for ((sender, prefix), expected) in groups.into_iter().zip(1..) {
        let answer = totals(&store, sender, prefix, hour, TableSet::COUNTED).await.unwrap();
        assert_eq!(answer.tables.get(Direction::In, Name::ALL).unwrap().bytes, expected);
    }
}

#[tokio::test]
async fn a_damaged_block_is_left_out_and_stops_nothing() {
    let store = filled(&["2027-05-01 10:30", "2027-05-01 10:31"]).await;
    let mut damaged = flush(minute("2027-05-01 10:30"), 1, 1, 100, 443);
    damaged[0].content.truncate(9);
    store.put_blocks(&damaged).await.unwrap();
    let (sender, prefix) = group();
    let hour = parse_interval(Period::Hour, "2027-05-01 10").unwrap();
    store.put_writer(&state()).await.unwrap();
    let answer = totals(&store, sender, prefix, hour, TableSet::COUNTED).await.unwrap();
    assert_eq!(answer.damaged.iter().map(|error| error.key).collect::<Vec<_>>(), [damaged[0].key]);
    advance(&store, state(), minute("2027-05-01 11:00")).await.unwrap();
    assert_eq!(bytes(&store, hour).await, 100);
}

#[tokio::test]
async fn a_block_of_a_newer_program_is_not_rolled_up_and_stays() {
    let store = filled(&["2027-05-01 10:30", "2027-05-01 10:31"]).await;
    let mut newer = flush(minute("2027-05-01 10:32"), 1, 3, 100, 443);
    let mut content = newer[0].content.to_vec();
    content[0] = 3;
    content[1] ^= 1;
    newer[0].content = content.into();
    let mut unknown = flush(minute("2027-05-01 11:30"), 1, 4, 100, 443);
    let tables = unknown[0].key.tables.union(TableSet::of_bits(1 << 62));
    unknown[0] = unknown[0].clone().with_key(BlockKey { tables, ..unknown[0].key });
    for (newer, hour) in [(&newer, "2027-05-01 10"), (&unknown, "2027-05-01 11")] {
        store.put_blocks(newer).await.unwrap();
        let hour = parse_interval(Period::Hour, hour).unwrap();
        let mut state = WriterState { watermarks: Watermarks::new([hour.start; 4]), ..self::state() };
        let until = minute("2027-05-02 00:00");
        let outcome = advance_by(&store, &mut state, until, &RollUpOptions::default()).await;
        let Err(StoreError::Newer(error)) = &outcome.result else { panic!("{outcome:?}") };
        assert!(error.to_string().contains(&newer[0].key.to_string()), "{error}");
        assert_eq!(state.watermarks.get(Period::Minute), Some(hour.start));
        assert_eq!(kept(&store, hour).await, []);
        assert_eq!(kept(&store, newer[0].key.interval).await, *newer);
    }
}

#[tokio::test]
async fn an_import_is_never_gone_and_rolls_up_for_no_other_writer() {
    let store = filled(&["2027-05-01 10:30"]).await;
    let day = Duration::from_secs(24 * 3600);
    for state in [WriterState::import(WriterId(1)), WriterState::new(ADA, 1, Timestamp::EPOCH)] {
        store.put_writer(&state).await.unwrap();
    }
    let until = minute("2027-05-03 11:58");
    for now in [until.timestamp(), Timestamp::from_nanoseconds(u64::MAX)] {
        let moved = advance_gone(&store, WriterId(2), now, day, until).await.result.unwrap();
        assert_eq!(moved.iter().map(|state| state.writer).collect::<Vec<_>>(), [ADA]);
    }
}

#[tokio::test]
async fn one_of_those_that_are_left_rolls_up_for_one_that_is_gone() {
    let store = filled(&["2027-05-01 10:30"]).await;
    let day = Duration::from_secs(24 * 3600);
    let now = minute("2027-05-03 12:00").timestamp();
    let seen =
        |writer, seconds| WriterState::new(WriterId(writer), 1, now.saturating_sub(Duration::from_secs(seconds)));
    let gone = WriterState { writer: ADA, ..seen(ADA.0, 30 * 3600) };
    for state in [gone, seen(1, 30 * 3600), seen(2, 60), seen(3, 60)] {
        store.put_writer(&state).await.unwrap();
    }
    let until = minute("2027-05-03 11:58");
    let by = async |own| advance_gone(&store, WriterId(own), now, day, until).await.result;
    assert_eq!(by(3).await.unwrap(), [], "writer 2 is there");
    let moved = by(2).await.unwrap();
    assert_eq!(moved.iter().map(|state| state.writer).collect::<Vec<_>>(), [WriterId(1), ADA]);
    for state in &moved {
        assert_eq!(state.watermarks.get(Period::Minute), Some(minute("2027-05-03 11:00")));
        assert_eq!(state.watermarks.get(Period::Hour), Some(minute("2027-05-03 00:00")));
        assert_eq!(state.presence, gone.presence, "it was not seen again");
    }
    let may = parse_interval(Period::Month, "2027-05").unwrap();
    assert_eq!(bytes(&store, may).await, 100);
    assert_eq!(kept(&store, parse_interval(Period::Day, "2027-05-01").unwrap()).await.len(), 1);
    assert_eq!(by(2).await.unwrap(), moved, "once an hour is enough");
    assert!(
        !store
            .writers()
            .await
            .unwrap()
            .iter()
            .any(|state| state.writer == WriterId(2) && state.watermarks.get(Period::Minute) > Some(Minute::EPOCH))
    );
}

#[tokio::test]
async fn what_is_skipped_is_rolled_up_when_it_no_longer_is() {
    let minutes = ["2027-12-31 21:59", "2027-12-31 22:10", "2027-12-31 23:59"];
    let store = filled(&minutes).await;
    let until = minute("2028-01-01 01:00");
    let skip = BTreeSet::from([Interval { period: Period::Minute, start: minute("2027-12-31 22:40") }]);
    let mut moved = state();
    let options = RollUpOptions { skip, ..RollUpOptions::default() };
    let first = advance_by(&store, &mut moved, until, &options).await;
    first.result.unwrap();
    assert_eq!(moved.watermarks.get(Period::Minute), Some(minute("2027-12-31 22:00")));
    assert_eq!(first.sums.iter().map(|summed| summed.interval.to_string()).collect::<Vec<_>>(), ["2027-12-31 21"]);
    let rest = advance_by(&store, &mut moved, until, &RollUpOptions::default()).await;
    rest.result.unwrap();
    assert_eq!(moved.watermarks.get(Period::Month), Some(minute("2028-01-01 00:00")));
    assert_eq!(bytes(&store, parse_interval(Period::Year, "2027").unwrap()).await, 300);
    let keys: Vec<BlockKey> = first.sums.into_iter().chain(rest.sums).flat_map(|summed| summed.keys).collect();
    assert_eq!((keys.len(), store.missing(&keys).await.unwrap()), (6, vec![]));
}

#[tokio::test]
async fn an_interval_that_is_taken_back_is_summed_again_with_all_around_it() {
    let minutes = ["2027-12-31 21:59", "2027-12-31 22:10", "2027-12-31 23:59"];
    let store = filled(&minutes).await;
    let until = minute("2028-01-01 01:00");
    let mut moved = advance(&store, state(), until).await.unwrap();
    let hour = parse_interval(Period::Hour, "2027-12-31 22").unwrap();
    let year = parse_interval(Period::Year, "2027").unwrap();
    for lost in [hour, year] {
        let keys: Vec<BlockKey> = kept(&store, lost).await.into_iter().map(|block| block.key).collect();
        store.delete_blocks(&keys).await.unwrap();
        assert!(bytes(&store, lost).await == 0);
        moved.watermarks.take_back(lost);
        store.put_writer(&moved).await.unwrap();
        assert_eq!((bytes(&store, year).await, bytes(&store, lost).await > 0), (300, true));
        moved = advance(&store, moved, until).await.unwrap();
        assert_eq!(moved.watermarks.get(Period::Month), Some(minute("2028-01-01 00:00")));
        assert_eq!((bytes(&store, year).await, kept(&store, year).await.len()), (300, 1));
    }
}

#[tokio::test]
async fn no_collector_rolls_up_for_a_writer_that_returns_meanwhile() {
    let store = filled(&["2027-05-01 10:30"]).await;
    let until = minute("2027-05-01 11:00");
    let mut gone = state();
    let returned = WriterState { presence: Presence::Seen(Timestamp::from_seconds(7)), ..state() };
    let for_another = RollUpOptions { for_another: true, ..RollUpOptions::default() };
    // The other collector has read the state before.
    store.put_writer(&returned).await.unwrap();
    assert!(advance_by(&store, &mut gone, until, &for_another).await.result.is_err());
    assert_eq!(store.writers().await.unwrap(), [returned]);
    let mut gone = returned;
    advance_by(&store, &mut gone, until, &for_another).await.result.unwrap();
    assert_eq!(gone.watermarks.get(Period::Minute), Some(until));
    assert_eq!(store.writers().await.unwrap(), [gone]);
}
