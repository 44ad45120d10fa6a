//! Clauses about a store as a whole: it can be copied and checked, and its samples are exact.

use std::collections::BTreeSet;

use super::*;
use accounting::block::AboutAll;
use accounting::field::FieldSet;
use accounting::five_minutes::{self, ByFirstMinute};
use accounting::presence::{self, Arrived, CountedBy};
use accounting::range::Range;
use accounting::rollup::lift;
use flow::FlushNumber;
use storage::{Answers, Question, Registry, Remarks, Writers};

/// Two writers, of which one is rolled up over the end of a month, and two senders.
async fn fill(store: &dyn Store) -> Outcome {
    let mut tables = Tables::new();
    for (field, number) in Field::ALL.into_iter().zip(0..) {
        let value = if field.is_address() { Value::Address(sender6()) } else { Value::Number(number) };
        tables.add(Direction::Out, Name { field, value }, Counters { bytes: 100, packets: 2, flows: 1 });
    }
    for (sender, prefix) in [(sender(1), prefix(1)), (sender6(), prefix6())] {
        store.add_prefixes(sender, &[prefix]).await?;
        store.touch_senders(&[(sender, MINUTE.timestamp())]).await?;
        store.put_templates(&[(sender, vec![1, 2, 3])]).await?;
        store.put_remarks(&Remarks::from([(sender, vec![remark(7, "samplingRate", "1", "9")])])).await?;
        for writer in [ADA, BOB] {
            store.put_writer(&WriterState::new(writer, 7, MINUTE.timestamp())).await?;
            for (after, sequence) in (0..4).zip(1..) {
                store
                    .put_blocks(&tables.blocks(
                        minute(after),
                        sender,
                        prefix,
                        writer,
                        FlushNumber { epoch: 7, sequence }.into(),
                    ))
                    .await?;
            }
        }
    }
    advance(store, WriterState::new(ADA, 7, MINUTE.timestamp()), MINUTE.saturating_add(2)).await?;
    Ok(())
}

async fn all_blocks(store: &dyn Store) -> Result<Vec<Block>, Box<dyn Error>> {
    let mut blocks = Vec::new();
    for state in store.writers().await? {
        for period in Period::ALL {
            for interval in store.intervals(state.writer, period, Minute::EPOCH, Minute::MAX).await? {
                for (sender, prefix) in store.groups(state.writer, interval).await? {
                    let selection = Selection { interval, sender, prefix, tables: TableSet::ALL };
                    blocks.extend(store.read_blocks_of(state.writer, &[selection]).await?);
                }
            }
        }
    }
    Ok(sorted(blocks))
}

pub(crate) async fn everything_is_copied_into_it_and_back(store: &dyn Store) -> Outcome {
    let (original, back) = (Memory::default(), Memory::default());
    fill(&original).await?;
    copy(&original, store, &mut |_, _, _| {}).await?;
    let checked = check(store, &mut |_| ControlFlow::Continue(())).await?;
    let blocks = all_blocks(&original).await?;
    assert_eq!((checked.violations, checked.blocks), (0, blocks.len() as u64));
    assert_eq!(copy(&original, store, &mut |_, _, _| {}).await?.blocks, 0, "all of it is there");
    copy(store, &back, &mut |_, _, _| {}).await?;
    assert_eq!(all_blocks(&back).await?, blocks);
    assert_eq!(back.writers().await?, original.writers().await?);
    assert_eq!(back.senders().await?, original.senders().await?);
    assert_eq!(back.templates().await?, original.templates().await?);
    assert_eq!(back.all_remarks().await?, original.all_remarks().await?);
    Ok(())
}

/// The 5 minutes of a day.
async fn samples(store: &dyn Store, sender: IpAddr, prefix: Prefix) -> Result<ByFirstMinute, Box<dyn Error>> {
    let day = Interval::containing(Period::Day, MINUTE);
    let tables = TableSet::of_field(Field::All).union(TableSet::of_field(Field::FiveMinutes));
    let question = Question { range: Range::from(day), sender, prefix, tables };
    let totals = Answers::to(vec![question]).all(store).await?.pop().unwrap_or_default();
    assert_eq!(totals.damaged, []);
    Ok(five_minutes::by_first_minute(&totals.tables).expect("all of the day"))
}

/// A flush of each of two writers with traffic, presence and a lost datagram in minutes before the end of a day, and a late one.
pub(crate) async fn samples_and_presence_are_those_of_the_minutes_at_every_level(store: &dyn Store) -> Outcome {
    let counted = |bytes, packets| Counters { bytes, packets, flows: 1 };
    let before = |minutes| MINUTE.saturating_sub(minutes);
    let (mut traffic, mut exported, mut ran) = (ByFirstMinute::new(), ByFirstMinute::new(), BTreeSet::new());
    let mut states = [ADA, BOB].map(|writer| WriterState::new(writer, 7, MINUTE.timestamp()));
    // How many minutes before the last one of the day; the third flush is late.
    for (sequence, minutes) in [(1, [0, 3]), (2, [59, 61]), (3, [4, 300])] {
        for state in &mut states {
            store.put_writer(state).await?;
            let number = FlushNumber { epoch: 7, sequence };
            let minutes = minutes.map(before);
            let of = |minute: Minute| counted(u64::from(minute.number() % 1000) * sequence, 2);
            let arrived =
                minutes.map(|minute| Arrived { sender: sender(1), minute, arrived: of(minute), lost: counted(0, 1) });
            let mut blocks = presence::blocks(&arrived, (&minutes.into(), CountedBy::Collector), state.writer, number);
            for minute in minutes {
                let mut tables = Tables::new();
                tables.add(Direction::Out, Name::ALL, of(minute));
                tables.note(Direction::Out, AboutAll { complete: FieldSet::LEAST, ..AboutAll::NOTHING });
                let interval = Interval { period: Period::Minute, start: minute };
                blocks.extend(tables.blocks(interval, sender(1), prefix(1), state.writer, number.into()));
                let first = five_minutes::containing(minute);
                let [_, out, ..] = traffic.entry(first).or_default();
                let [received, lost, ..] = exported.entry(first).or_default();
                out.add(of(minute));
                received.add(of(minute));
                lost.add(counted(0, 1));
                ran.insert(minute);
            }
            blocks.extend(lift(&blocks, state.watermarks)?);
            store.put_blocks(&blocks).await?;
            // The first flush is in minutes when the second is put; before the third, the day is rolled up.
            if sequence == 2 {
                *state = advance(store, *state, MINUTE.saturating_add(2)).await?;
            }
        }
        assert_eq!(samples(store, sender(1), prefix(1)).await?, traffic);
        assert_eq!(samples(store, sender(1), presence::PREFIX).await?, exported);
        let minutes: BTreeSet<Minute> =
            samples(store, presence::COLLECTOR, presence::PREFIX).await?.into_keys().collect();
        assert_eq!(minutes, ran);
    }
    let mut violations = Vec::new();
    check(store, &mut |event| {
        violations.extend(matches!(event, CheckEvent::Violation(_)).then_some(event));
        ControlFlow::Continue(())
    })
    .await?;
    assert!(violations.is_empty(), "{violations:?}");
    let copied = Memory::default();
    copy(store, &copied, &mut |_, _, _| {}).await?;
    assert_eq!(samples(&copied, sender(1), prefix(1)).await?, traffic);
    Ok(())
}
