//! Clauses about a store as a whole: it can be copied and checked.

use super::*;
use flow::FlushNumber;
use storage::{Registry, Remarks, Writers};

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
