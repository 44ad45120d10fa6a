//! Copies that are whole, interrupted anywhere, repeated, and refused.

use std::ops::ControlFlow;

use accounting::block::TableSet;
use accounting::rollup::roll_up;
use flow::FlushNumber;
use tempfile::TempDir;

use super::*;
use crate::check::check;
use crate::faulty::Fault;
use crate::roll_up::advance;
use crate::sample::{ADA, BOB, blocks, fill, flush, groups, many_names, minute};
use crate::{Blocks, Faulty, Memory, Sqlite, Writers, totals};

async fn copied(source: &dyn Store, target: &dyn Store) -> Result<Copied, StoreError> {
    copy(source, target, &mut |_, _, _| {}).await
}

/// What a reader finds in a store.
async fn assert_equal(source: &dyn Store, target: &dyn Store) {
    assert_eq!(source.senders().await.unwrap(), target.senders().await.unwrap());
    assert_eq!(source.templates().await.unwrap(), target.templates().await.unwrap());
    assert_eq!(source.writers().await.unwrap(), target.writers().await.unwrap());
    assert_eq!(blocks(source).await, blocks(target).await);
    let violations = check(target, &mut |_| ControlFlow::Continue(())).await.unwrap().violations;
    assert_eq!(violations, 0);
}

fn sqlite(folder: &TempDir, name: &str) -> Sqlite {
    Sqlite::open(&folder.path().join(name)).unwrap()
}

#[tokio::test]
async fn two_copies_make_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|name| sqlite(&folder, name));
    fill(&first).await;
    let all = blocks(&first).await;
    let mut reached = Vec::new();
    let done = copy(&first, &second, &mut |writer, interval, _| reached.push((writer, interval))).await.unwrap();
    let octets = all.iter().map(|block| block.content.len() as u64).sum();
    let expected = Copied {
        senders: 2,
        announced: 1,
        writers: 2,
        blocks: all.len() as u64,
        octets,
        present: 0,
        ahead: Vec::new(),
    };
    assert_eq!(done, expected);
    assert!(reached.contains(&(ADA, minute("2027-12-31 22:30"))) && reached.iter().any(|(writer, _)| *writer == BOB));
    copied(&second, &third).await.unwrap();
    assert_equal(&first, &second).await;
    assert_equal(&first, &third).await;
}

#[tokio::test]
async fn a_second_copy_takes_over_only_what_is_new() {
    let (source, target) = (Memory::default(), Memory::default());
    fill(&source).await;
    copied(&source, &target).await.unwrap();
    let before = blocks(&source).await.len() as u64;
    assert_eq!(copied(&source, &target).await.unwrap().blocks, 0);
    source.put_blocks(&flush(ADA, 101, "2028-01-01 01:08")).await.unwrap();
    let state = source.writers().await.unwrap()[0];
    advance(&source, state, minute("2028-01-01 02:00").start).await.unwrap();
    let done = copied(&source, &target).await.unwrap();
    // Three minutes and three hours.
    assert_eq!((done.blocks, done.present), (6, before));
    assert_equal(&source, &target).await;
}

#[tokio::test]
async fn an_interrupted_copy_shows_no_wrong_total_and_is_finished_by_the_next() {
    let source = Memory::default();
    fill(&source).await;
    let year = Interval::containing(Period::Year, minute("2027-12-31 22:30").start);
    let counted = async |store: &dyn Store| {
        let (sender, prefix) = groups()[0];
        totals(store, sender, prefix, year, TableSet::COUNTED).await.unwrap().tables
    };
    let whole = counted(&source).await;
    for fault in [Fault::Before, Fault::After] {
        let mut calls = 0;
        loop {
            let target = Faulty::new(Memory::default());
            target.plan(std::iter::repeat_n(Fault::None, calls).chain([fault]));
            let interrupted = copied(&source, &target).await;
            target.plan([]);
            let shown = counted(&target).await;
            for (direction, name, counters) in shown.rows() {
                let most = whole.get(direction, name).unwrap();
                assert!(counters.bytes <= most.bytes, "{fault:?} of call {calls}: {name} is counted twice");
            }
            if interrupted.is_ok() {
                break;
            }
            copied(&source, &target).await.unwrap();
            assert_equal(&source, target.inner()).await;
            calls += 1;
        }
        assert!(calls > 40, "{calls}");
    }
}

#[tokio::test]
async fn coarse_blocks_that_count_for_no_reader_are_neither_copied_nor_left() {
    let (source, target) = (Memory::default(), Memory::default());
    fill(&source).await;
    let counted = blocks(&source).await;
    // Left by an attempt to roll up the hour that is open.
    let hour = Interval::containing(Period::Hour, minute("2028-01-01 01:07").start);
    source.put_blocks(&roll_up(hour, &flush(ADA, 7, "2028-01-01 01:07")).blocks).await.unwrap();
    // The same in the target, for an hour that the source has rolled up, and a flush that was lifted there.
    let done = Interval::containing(Period::Hour, minute("2027-12-31 22:30").start);
    let mut left = roll_up(done, &flush(ADA, 2, "2027-12-31 22:30")).blocks;
    left.extend(left.clone().into_iter().map(|block| {
        let key = BlockKey { origin: FlushNumber { epoch: 3, sequence: 77 }.into(), ..block.key };
        block.with_key(key)
    }));
    target.put_writer(&WriterState::new(ADA, 3, Timestamp::EPOCH)).await.unwrap();
    target.put_blocks(&left).await.unwrap();
    copied(&source, &target).await.unwrap();
    assert_eq!(blocks(&target).await, counted);
}

#[tokio::test]
async fn what_others_rolled_up_of_half_a_copy_is_replaced() {
    let (source, target) = (Memory::default(), Memory::default());
    let state = WriterState::new(ADA, 3, Timestamp::EPOCH);
    source.put_writer(&state).await.unwrap();
    let mut first = flush(ADA, 1, "2027-12-31 22:30");
    source.put_blocks(&first).await.unwrap();
    copied(&source, &target).await.unwrap();
    advance(&target, state, minute("2027-12-31 23:00").start).await.unwrap();
    // The rest of the hour is larger: its sum is made of other blocks.
    first.extend((2..40).flat_map(|sequence| flush(ADA, sequence, "2027-12-31 22:31")));
    let (sender, prefix) = groups()[0];
    first.extend(many_names().blocks(
        minute("2027-12-31 22:31"),
        sender,
        prefix,
        ADA,
        FlushNumber { epoch: 3, sequence: 50 }.into(),
    ));
    source.put_blocks(&first).await.unwrap();
    advance(&source, state, minute("2027-12-31 23:00").start).await.unwrap();
    copied(&source, &target).await.unwrap();
    assert_equal(&source, &target).await;
}

#[tokio::test]
async fn a_writer_that_has_gone_on_in_the_target_is_left_alone() {
    let (source, target) = (Memory::default(), Memory::default());
    fill(&source).await;
    copied(&source, &target).await.unwrap();
    let ada = target.writers().await.unwrap()[0];
    let further = advance(&target, WriterState { epoch: 4, ..ada }, minute("2028-01-01 02:00").start).await.unwrap();
    source.put_blocks(&flush(ADA, 101, "2028-01-01 01:08")).await.unwrap();
    source.put_blocks(&flush(BOB, 101, "2028-01-01 01:08")).await.unwrap();
    let before = blocks(&target).await;
    let done = copied(&source, &target).await.unwrap();
    assert_eq!((done.ahead, done.writers, done.blocks), (vec![ADA], 1, 3));
    assert_eq!(target.writers().await.unwrap()[0], further);
    let after = blocks(&target).await;
    assert_eq!(after.len(), before.len() + 3);
    assert!(before.iter().all(|block| after.contains(block)));
    // The other way is the right one.
    assert_eq!(copied(&target, &source).await.unwrap().ahead, []);
    assert_eq!(source.writers().await.unwrap()[0], further);
}

#[tokio::test]
async fn a_repair_puts_back_what_is_damaged_in_a_store_that_has_gone_on() {
    let (backup, store) = (Memory::default(), Memory::default());
    fill(&store).await;
    copied(&store, &backup).await.unwrap();
    let ada = store.writers().await.unwrap()[0];
    store.put_blocks(&flush(ADA, 101, "2028-01-01 01:08")).await.unwrap();
    advance(&store, WriterState { epoch: 4, ..ada }, minute("2028-01-01 02:00").start).await.unwrap();
    let (whole, states) = (blocks(&store).await, store.writers().await.unwrap());
    let mut damaged = whole.clone();
    damaged.iter_mut().for_each(|block| block.content.truncate(9));
    store.put_blocks(&damaged).await.unwrap();
    // What is damaged in the backup as well, and what is there no longer.
    let kept = blocks(&backup).await;
    backup.put_blocks(&damaged[..1]).await.unwrap();
    store.delete_blocks(&[kept[1].key]).await.unwrap();
    let done = repair(&backup, &store, &mut |_, _, _| {}).await.unwrap();
    assert_eq!((done.blocks, done.senders), (kept.len() as u64 - 2, 0));
    assert_eq!(store.writers().await.unwrap(), states);
    let after = blocks(&store).await;
    for (block, damaged) in whole.iter().zip(&damaged) {
        let expected = match kept.iter().position(|known| known.key == block.key) {
            Some(1) => continue,
            Some(0) | None => damaged,
            Some(_) => block,
        };
        assert!(after.contains(expected), "{}", block.key);
    }
    assert_eq!(after.len(), whole.len() - 1);
}

#[tokio::test]
async fn a_damaged_block_does_not_replace_a_whole_one_but_a_whole_one_a_damaged_one() {
    let (source, target) = (Memory::default(), Memory::default());
    fill(&source).await;
    copied(&source, &target).await.unwrap();
    let whole = blocks(&source).await;
    let mut damaged = whole.clone();
    damaged.iter_mut().for_each(|block| block.content.truncate(9));
    source.put_blocks(&damaged[..5]).await.unwrap();
    target.put_blocks(&damaged[5..10]).await.unwrap();
    assert_eq!(copied(&source, &target).await.unwrap().blocks, 5);
    assert_eq!(blocks(&target).await, whole);
}
