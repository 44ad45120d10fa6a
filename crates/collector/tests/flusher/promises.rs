//! One promise a test, on a store in memory that loses requests, answers and what it had accepted.

use std::time::Duration;

use accounting::period::Minute;
use collector::Keep;
use storage::faulty::{Call, Fault, Faulty};
use storage::memory::Memory;
use storage::spool::Spool;
use storage::{Presence, StoreError, WriterState, Writers};

use crate::harness::{BEGIN, HOUR, Life, MINUTE, OWN};

type Faulted = Life<Faulty<Memory>>;

pub(crate) async fn begin(keep: Keep) -> Faulted {
    Life::begin(Faulty::new(Memory::default()), keep).await
}

/// Dies and starts again; the store answers meanwhile.
pub(crate) async fn restart(life: &mut Faulted) {
    life.store.plan([]);
    life.restart().await;
}

#[tokio::test]
async fn a_flush_that_was_put_without_an_answer_before_another_rolled_up_counts_once() {
    for halves in [vec![Fault::None, Fault::After], vec![Fault::None, Fault::Before], vec![Fault::Before]] {
        let mut life = begin(Keep::default()).await;
        life.flush(&[0, 1]).await;
        life.store.plan_calls(Call::PutBlocks, halves);
        life.drain().await.unwrap_err();
        life.now += 60 * 24 * HOUR;
        life.another_rolls_up().await;
        life.drain().await.unwrap();
        life.check(life.store.inner()).await;
        life.flusher.maintain(life.time()).await.unwrap();
        life.check(life.store.inner()).await;
    }
}

#[tokio::test]
async fn a_flush_decided_again_and_then_put_in_half_by_a_collector_that_dies_counts_once() {
    for interrupted in [vec![Fault::After], vec![Fault::None, Fault::After]] {
        let mut life = begin(Keep::default()).await;
        life.flush(&[0, 1]).await;
        life.store.plan_calls(Call::PutBlocks, [Fault::None, Fault::Before]);
        life.drain().await.unwrap_err();
        life.now += 60 * 24 * HOUR;
        life.another_rolls_up().await;
        life.store.plan_calls(Call::PutBlocks, interrupted);
        life.drain().await.unwrap_err();
        restart(&mut life).await;
        life.drain().await.unwrap();
        life.check(life.store.inner()).await;
        life.now += 60 * 24 * HOUR;
        life.another_rolls_up().await;
        life.check(life.store.inner()).await;
    }
}

#[tokio::test]
async fn what_a_failover_loses_is_put_again() {
    let mut life = begin(Keep::default()).await;
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    let replica = life.store.inner().replica();
    for _ in 0..3 {
        life.now += 10;
        life.flush(&[0, 40]).await;
        life.drain().await.unwrap();
    }
    life.store.inner().fail_over_to(&replica);
    // Nobody noticed: a minute later it is looked for.
    life.now += 70;
    life.flusher.maintain(life.time()).await.unwrap();
    life.check(life.store.inner()).await;

    // A failure that was noticed: at once.
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    life.store.inner().fail_over_to(&replica);
    life.flush(&[0]).await;
    life.store.plan_calls(Call::Writers, [Fault::Before]);
    life.now += 6;
    life.drain().await.unwrap_err();
    life.drain().await.unwrap();
    life.check(life.store.inner()).await;
}

#[tokio::test]
async fn what_was_accepted_is_looked_for_after_a_restart() {
    let mut life = begin(Keep::default()).await;
    let replica = life.store.inner().replica();
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    life.store.inner().fail_over_to(&replica);
    restart(&mut life).await;
    life.flusher.maintain(life.time()).await.unwrap();
    life.check(life.store.inner()).await;
}

#[tokio::test]
async fn a_roll_up_that_a_failover_loses_is_done_again() {
    let mut life = begin(Keep::default()).await;
    life.flush(&[0, 30]).await;
    life.drain().await.unwrap();
    life.now += 2 * MINUTE;
    life.flusher.maintain(life.time()).await.unwrap();
    life.now += 31 * MINUTE;
    let replica = life.store.inner().replica();
    life.flusher.maintain(life.time()).await.unwrap();
    // What knows how far it is rolled up is on another server, which has not failed.
    let states = life.store.writers().await.unwrap();
    life.store.inner().fail_over_to(&replica);
    for state in states {
        assert!(state.rolled_up[0] > Minute(0));
        life.store.put_writer(&state).await.unwrap();
    }
    life.now += 2 * MINUTE;
    life.flusher.maintain(life.time()).await.unwrap();
    life.check(life.store.inner()).await;
    // A late flow afterwards is lifted.
    life.flush(&[20]).await;
    life.drain().await.unwrap();
    life.check(life.store.inner()).await;
}

#[tokio::test]
async fn nothing_is_rolled_up_over_what_may_have_to_be_put_again() {
    let mut life = begin(Keep::default()).await;
    life.now += 35 * MINUTE;
    life.flush(&[10]).await;
    life.drain().await.unwrap();
    life.flusher.maintain(life.time()).await.unwrap();
    let reached = async |life: &Faulted| life.store.writers().await.unwrap()[0].rolled_up[0].timestamp().seconds();
    assert_eq!(reached(&life).await, BEGIN - 30 * MINUTE);
    life.now += MINUTE;
    life.flusher.maintain(life.time()).await.unwrap();
    assert_eq!(reached(&life).await, BEGIN + 30 * MINUTE);
    life.check(life.store.inner()).await;
}

#[tokio::test]
async fn what_retention_has_taken_is_not_put_again_for_ever() {
    let mut keep = Keep::default();
    keep.periods[0] = Some(Duration::from_secs(HOUR));
    let mut life = begin(keep).await;
    life.flush(&[300]).await;
    life.drain().await.unwrap();
    let mut puts = Vec::new();
    for _ in 0..6 {
        life.now += 61;
        life.flusher.maintain(life.time()).await.unwrap();
        puts.push(Spool::open(&life.folder.path().join("state"), OWN, 1 << 20).unwrap().bytes());
    }
    assert!(puts[0] == 0 && puts[5] == 0, "{puts:?}");
    life.check(life.store.inner()).await;
}

#[tokio::test]
async fn who_was_superseded_puts_nothing_more() {
    let mut life = begin(Keep::default()).await;
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    let own = life.store.writers().await.unwrap()[0];
    let Presence::Seen(seen) = own.presence else { panic!("{own:?}") };
    let later = Presence::Seen(seen.saturating_add(Duration::from_secs(1)));
    for copy in [WriterState { epoch: own.epoch + 1, ..own }, WriterState { presence: later, ..own }] {
        life.store.put_writer(&copy).await.unwrap();
        life.now += 10;
        life.flush(&[0]).await;
        assert!(matches!(life.drain().await, Err(StoreError::Superseded(_))));
        assert!(life.flusher.waiting() > 0);
        assert_eq!(life.store.writers().await.unwrap(), [copy], "it says nothing more");
    }
}

#[tokio::test]
async fn a_late_flow_counts_once_although_a_failover_lost_how_far_was_rolled_up_and_another_went_on() {
    let mut life = begin(Keep::default()).await;
    let replica = life.store.inner().replica();
    life.flusher.maintain(life.time()).await.unwrap();
    life.store.inner().fail_over_to(&replica);
    life.flush(&[31]).await;
    life.drain().await.unwrap();
    life.now += 2 * HOUR;
    life.another_rolls_up().await;
    for _ in 0..3 {
        life.drain().await.unwrap();
        life.flusher.maintain(life.time()).await.unwrap();
        life.now += MINUTE;
    }
    life.check(life.store.inner()).await;
}
