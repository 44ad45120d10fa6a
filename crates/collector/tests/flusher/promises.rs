//! One promise a test, on a store in memory that loses requests, answers and what it had accepted.

use std::time::Duration;

use accounting::block::TableSet;
use accounting::period::{Minute, PerPeriod, Period};
use collector::Keep;
use storage::faulty::{Call, Fault, Faulty};
use storage::memory::Memory;
use storage::spool::Spool;
use storage::{Blocks, Presence, Selection, StoreError, WriterState, Writers};

use crate::harness::{BEGIN, FlusherRun, HOUR, MINUTE, OWN};

type Faulted = FlusherRun<Faulty<Memory>>;

pub(crate) async fn begin(keep: Keep) -> Faulted {
    FlusherRun::begin(Faulty::new(Memory::default()), keep).await
}

/// Dies and starts again; the store answers meanwhile.
pub(crate) async fn restart(run: &mut Faulted) {
    run.store.plan([]);
    run.restart().await;
}

#[tokio::test]
async fn a_flush_that_was_put_without_an_answer_before_another_rolled_up_counts_once() {
    for halves in [vec![Fault::None, Fault::After], vec![Fault::None, Fault::Before], vec![Fault::Before]] {
        let mut run = begin(Keep::default()).await;
        run.flush(&[0, 1]).await;
        run.store.plan_calls(Call::PutBlocks, halves);
        run.drain().await.unwrap_err();
        run.now += 60 * 24 * HOUR;
        run.another_rolls_up().await;
        run.drain().await.unwrap();
        run.check(run.store.inner()).await;
        run.flusher.maintain(run.time()).await.unwrap();
        run.check(run.store.inner()).await;
    }
}

#[tokio::test]
async fn a_flush_decided_again_and_then_put_in_half_by_a_collector_that_dies_counts_once() {
    for interrupted in [vec![Fault::After], vec![Fault::None, Fault::After]] {
        let mut run = begin(Keep::default()).await;
        run.flush(&[0, 1]).await;
        run.store.plan_calls(Call::PutBlocks, [Fault::None, Fault::Before]);
        run.drain().await.unwrap_err();
        run.now += 60 * 24 * HOUR;
        run.another_rolls_up().await;
        run.store.plan_calls(Call::PutBlocks, interrupted);
        run.drain().await.unwrap_err();
        restart(&mut run).await;
        run.drain().await.unwrap();
        run.check(run.store.inner()).await;
        run.now += 60 * 24 * HOUR;
        run.another_rolls_up().await;
        run.check(run.store.inner()).await;
    }
}

#[tokio::test]
async fn blocks_lost_in_a_failover_are_put_again() {
    let mut run = begin(Keep::default()).await;
    run.flush(&[0]).await;
    run.drain().await.unwrap();
    let replica = run.store.inner().replica();
    for _ in 0..3 {
        run.now += 10;
        run.flush(&[0, 40]).await;
        run.drain().await.unwrap();
    }
    run.store.inner().fail_over_to(&replica);
    // Not noticed yet; the check a minute later finds it missing.
    run.now += 70;
    run.flusher.maintain(run.time()).await.unwrap();
    run.check(run.store.inner()).await;

    // A failure that was noticed: at once.
    run.flush(&[0]).await;
    run.drain().await.unwrap();
    run.store.inner().fail_over_to(&replica);
    run.flush(&[0]).await;
    run.store.plan_calls(Call::Writers, [Fault::Before]);
    run.now += 6;
    run.drain().await.unwrap_err();
    run.drain().await.unwrap();
    run.check(run.store.inner()).await;
}

#[tokio::test]
async fn accepted_flushes_are_checked_after_a_restart() {
    let mut run = begin(Keep::default()).await;
    let replica = run.store.inner().replica();
    run.flush(&[0]).await;
    run.drain().await.unwrap();
    run.store.inner().fail_over_to(&replica);
    restart(&mut run).await;
    run.flusher.maintain(run.time()).await.unwrap();
    run.check(run.store.inner()).await;
}

#[tokio::test]
async fn a_roll_up_that_a_failover_loses_is_done_again() {
    let mut run = begin(Keep::default()).await;
    run.flush(&[0, 30]).await;
    run.drain().await.unwrap();
    run.now += 2 * MINUTE;
    run.flusher.maintain(run.time()).await.unwrap();
    run.now += 31 * MINUTE;
    let replica = run.store.inner().replica();
    run.flusher.maintain(run.time()).await.unwrap();
    // What knows how far it is rolled up is on another server, which has not failed.
    let states = run.store.writers().await.unwrap();
    run.store.inner().fail_over_to(&replica);
    for state in states {
        assert!(state.watermarks.get(Period::Minute) > Some(Minute::EPOCH));
        run.store.put_writer(&state).await.unwrap();
    }
    run.now += 2 * MINUTE;
    run.flusher.maintain(run.time()).await.unwrap();
    run.check(run.store.inner()).await;
    // A late flow afterwards is lifted.
    run.flush(&[20]).await;
    run.drain().await.unwrap();
    run.check(run.store.inner()).await;
}

#[tokio::test]
async fn what_a_program_without_notes_has_deleted_is_noted_at_a_start() {
    let mut run = begin(Keep::default()).await;
    run.flush(&[0]).await;
    run.drain().await.unwrap();
    for _ in 0..3 {
        run.now += 35 * MINUTE;
        run.flusher.maintain(run.time()).await.unwrap();
    }
    let store = run.store.inner();
    assert_eq!(store.expired().await.unwrap(), PerPeriod::default());
    for interval in store.intervals(OWN, Period::Minute, Minute::EPOCH, Minute::MAX).await.unwrap() {
        for (sender, prefix) in store.groups(OWN, interval).await.unwrap() {
            let selection = Selection { interval, sender, prefix, tables: TableSet::ALL };
            let blocks = store.read_blocks(&[selection]).await.unwrap();
            store.delete_blocks(&blocks.iter().map(|block| block.key).collect::<Vec<_>>()).await.unwrap();
        }
    }
    restart(&mut run).await;
    run.flusher.maintain(run.time()).await.unwrap();
    let rolled_up = run.store.writers().await.unwrap()[0].watermarks;
    let mut expected = PerPeriod::default();
    expected[Period::Minute] = rolled_up.get(Period::Minute).unwrap();
    assert_eq!(run.store.inner().expired().await.unwrap(), expected);
}

#[tokio::test]
async fn intervals_of_flushes_in_the_spool_are_not_rolled_up() {
    let mut run = begin(Keep::default()).await;
    run.now += 35 * MINUTE;
    run.flush(&[10]).await;
    run.drain().await.unwrap();
    run.flusher.maintain(run.time()).await.unwrap();
    let reached = async |run: &Faulted| {
        run.store.writers().await.unwrap()[0].watermarks.get(Period::Minute).unwrap().timestamp().seconds()
    };
    assert_eq!(reached(&run).await, BEGIN - 30 * MINUTE);
    run.now += MINUTE;
    run.flusher.maintain(run.time()).await.unwrap();
    assert_eq!(reached(&run).await, BEGIN + 30 * MINUTE);
    run.check(run.store.inner()).await;
}

#[tokio::test]
async fn blocks_deleted_by_retention_are_not_put_again() {
    let mut keep = Keep::default();
    keep.periods[Period::Minute] = Some(Duration::from_secs(HOUR));
    let mut run = begin(keep).await;
    run.flush(&[300]).await;
    run.drain().await.unwrap();
    let mut puts = Vec::new();
    for _ in 0..6 {
        run.now += 61;
        run.flusher.maintain(run.time()).await.unwrap();
        puts.push(Spool::open(&run.folder.path().join("state"), OWN, 1 << 20).unwrap().bytes());
    }
    assert!(puts[0] == 0 && puts[5] == 0, "{puts:?}");
    run.check(run.store.inner()).await;
}

#[tokio::test]
async fn a_superseded_collector_puts_nothing_more() {
    let mut run = begin(Keep::default()).await;
    run.flush(&[0]).await;
    run.drain().await.unwrap();
    let own = run.store.writers().await.unwrap()[0];
    let Presence::Seen(seen) = own.presence else { panic!("{own:?}") };
    let later = Presence::Seen(seen.saturating_add(Duration::from_secs(1)));
    for copy in [WriterState { epoch: own.epoch + 1, ..own }, WriterState { presence: later, ..own }] {
        run.store.put_writer(&copy).await.unwrap();
        run.now += 10;
        run.flush(&[0]).await;
        assert!(matches!(run.drain().await, Err(StoreError::Superseded(_))));
        assert!(run.flusher.waiting() > 0);
        assert_eq!(run.store.writers().await.unwrap(), [copy], "it wrote its state again");
    }
}

#[tokio::test]
async fn a_late_flow_counts_once_although_a_failover_lost_how_far_was_rolled_up_and_another_went_on() {
    let mut run = begin(Keep::default()).await;
    let replica = run.store.inner().replica();
    run.flusher.maintain(run.time()).await.unwrap();
    run.store.inner().fail_over_to(&replica);
    run.flush(&[31]).await;
    run.drain().await.unwrap();
    run.now += 2 * HOUR;
    run.another_rolls_up().await;
    for _ in 0..3 {
        run.drain().await.unwrap();
        run.flusher.maintain(run.time()).await.unwrap();
        run.now += MINUTE;
    }
    run.check(run.store.inner()).await;
}
