//! Clauses about blocks: how they are put, selected, listed, deleted, and when they expire.

use super::*;

pub(crate) async fn a_block_is_read_as_it_was_put(store: &dyn Store) -> Outcome {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    let smallest = BlockKey { writer: WriterId(0), origin: Origin::RolledUp, part: 0, ..key() };
    let largest = BlockKey {
        sender: sender6(),
        prefix: prefix6(),
        writer: WriterId(u64::MAX),
        origin: flush(u32::MAX, u64::MAX),
        part: u16::MAX,
        tables: TableSet::ALL,
        ..key()
    };
    let blocks = [
        Block { key: smallest, content: "".into() },
        Block { key: key(), content: vec![0].into() },
        Block { key: largest, content: every_byte.into() },
    ];
    store.put_blocks(&blocks).await?;
    assert_eq!(stored(store, &[around(key()), around(largest)]).await?, blocks);
    Ok(())
}

pub(crate) async fn a_block_put_again_is_there_once(store: &dyn Store) -> Outcome {
    let blocks = [block(key()), block(BlockKey { origin: flush(1, 2), ..key() })];
    for _ in 0..3 {
        store.put_blocks(&blocks).await?;
    }
    store.put_blocks(&[blocks[1].clone(), blocks[0].clone(), blocks[1].clone()]).await?;
    assert_eq!(stored(store, &[around(key())]).await?, blocks);
    Ok(())
}

pub(crate) async fn a_block_put_with_other_content_is_replaced(store: &dyn Store) -> Outcome {
    store.put_blocks(&[Block { key: key(), content: "a longer content than the next one".into() }]).await?;
    let newer = Block { key: key(), content: "newer".into() };
    store.put_blocks(std::slice::from_ref(&newer)).await?;
    assert_eq!(stored(store, &[around(key())]).await?, [newer]);
    Ok(())
}

pub(crate) async fn blocks_that_differ_in_any_part_of_the_key_are_different(store: &dyn Store) -> Outcome {
    let hour = Interval::containing(Period::Hour, MINUTE);
    let keys = [
        key(),
        BlockKey { interval: minute(1), ..key() },
        // An hour and a minute that start together.
        BlockKey { interval: hour, ..key() },
        BlockKey { interval: Interval { period: Period::Minute, start: hour.start }, ..key() },
        BlockKey { sender: sender(2), ..key() },
        BlockKey { prefix: prefix(2), ..key() },
        // The same first address.
        BlockKey { prefix: Prefix::new(prefix(1).address(), 25)?, ..key() },
        BlockKey { writer: BOB, ..key() },
        BlockKey { origin: flush(2, 1), ..key() },
        BlockKey { origin: flush(1, 2), ..key() },
        BlockKey { part: 1, ..key() },
        BlockKey { tables: TableSet::ALL, ..key() },
    ];
    let blocks = sorted(keys.map(block).to_vec());
    store.put_blocks(&blocks).await?;
    assert_eq!(stored(store, &keys.map(around)).await?, blocks);
    Ok(())
}

pub(crate) async fn a_selection_names_blocks_exactly(store: &dyn Store) -> Outcome {
    let keys = [
        key(),
        BlockKey { interval: minute(1), ..key() },
        BlockKey { interval: Interval::containing(Period::Month, MINUTE), ..key() },
        BlockKey { sender: sender(2), ..key() },
        BlockKey { prefix: prefix(2), ..key() },
    ];
    store.put_blocks(&keys.map(block)).await?;
    for key in keys {
        assert_eq!(stored(store, &[around(key)]).await?, [block(key)]);
    }
    let nothing = [
        Selection { interval: minute(2), ..around(key()) },
        Selection { interval: Interval::containing(Period::Year, MINUTE), ..around(key()) },
        Selection { sender: sender(3), ..around(key()) },
        Selection { prefix: Prefix::new(prefix(0).address(), 16)?, ..around(key()) },
    ];
    assert_eq!(stored(store, &nothing).await?, []);
    Ok(())
}

pub(crate) async fn a_selection_asks_for_tables(store: &dyn Store) -> Outcome {
    let ports_out = TableSet::of(Direction::OutLocal, Field::DestinationAs);
    let both = BlockKey { part: 1, tables: all_in().union(ports_out), ..key() };
    let last = BlockKey { part: 2, tables: ports_out, ..key() };
    store.put_blocks(&[block(key()), block(both), block(last)]).await?;
    let asked = |tables| [Selection { tables, ..around(key()) }];
    assert_eq!(stored(store, &asked(all_in())).await?, [block(key()), block(both)]);
    assert_eq!(stored(store, &asked(ports_out)).await?, [block(both), block(last)]);
    assert_eq!(stored(store, &asked(TableSet::of(Direction::Out, Field::All))).await?, []);
    assert_eq!(stored(store, &asked(TableSet::EMPTY)).await?, []);
    assert_eq!(stored(store, &asked(TableSet::ALL)).await?.len(), 3);
    Ok(())
}

pub(crate) async fn overlapping_selections_give_a_block_once(store: &dyn Store) -> Outcome {
    let ports = TableSet::of_field(Field::DestinationPort);
    let both = BlockKey { tables: all_in().union(ports), ..key() };
    let other = BlockKey { interval: minute(1), ..key() };
    store.put_blocks(&[block(both), block(other)]).await?;
    let selections = [
        Selection { tables: ports, ..around(key()) },
        around(other),
        Selection { tables: all_in(), ..around(key()) },
        around(other),
    ];
    assert_eq!(stored(store, &selections).await?, [block(both), block(other)]);
    Ok(())
}

pub(crate) async fn nothing_asked_is_nothing_read(store: &dyn Store) -> Outcome {
    store.put_blocks(&[]).await?;
    store.put_blocks(&[block(key())]).await?;
    assert_eq!(store.read_blocks(&[]).await?, []);
    store.delete_blocks(&[]).await?;
    assert_eq!(stored(store, &[around(key())]).await?.len(), 1);
    Ok(())
}

pub(crate) async fn blocks_of_one_writer_are_read_alone(store: &dyn Store) -> Outcome {
    let theirs = BlockKey { writer: BOB, ..key() };
    store.put_blocks(&[block(key()), block(theirs)]).await?;
    let selections = [around(key()), around(key())];
    assert_eq!(store.read_blocks_of(ADA, &selections).await?, [block(key())]);
    assert_eq!(store.read_blocks_of(BOB, &selections).await?, [block(theirs)]);
    assert_eq!(store.read_blocks_of(WriterId(1), &selections).await?, []);
    Ok(())
}

pub(crate) async fn missing_blocks_are_those_with_exactly_that_key(store: &dyn Store) -> Outcome {
    assert_eq!(store.missing(&[]).await?, []);
    assert_eq!(store.missing(&[key()]).await?, [key()]);
    // More than a store asks for at once, in two places.
    let there: Vec<BlockKey> = (0..120)
        .map(|sequence| BlockKey { interval: minute((sequence % 2) as u32), origin: flush(1, sequence), ..key() })
        .collect();
    store.put_blocks(&there.iter().copied().map(block).collect::<Vec<_>>()).await?;
    assert_eq!(store.missing(&there).await?, []);
    let at = |number: usize| there.get(number).copied().ok_or("120 keys");
    let (near, far) = (at(7)?, at(100)?);
    let absent = [
        BlockKey { interval: minute(2), ..near },
        BlockKey { interval: Interval::containing(Period::Hour, near.interval.start), ..near },
        BlockKey { sender: sender(2), ..near },
        BlockKey { prefix: prefix(2), ..near },
        BlockKey { writer: BOB, ..near },
        BlockKey { origin: flush(2, 1), ..near },
        BlockKey { origin: flush(1, 1_000), ..near },
        BlockKey { part: 1, ..near },
        BlockKey { tables: TableSet::of(Direction::Out, Field::All), ..near },
    ];
    let asked = [&[near], &absent[..], &[far]].concat();
    assert_eq!(store.missing(&asked).await?, absent);
    store.delete_blocks(&[near]).await?;
    assert_eq!(store.missing(&asked).await?, [&[near], &absent[..]].concat());
    Ok(())
}

pub(crate) async fn groups_are_those_of_one_writer_and_interval(store: &dyn Store) -> Outcome {
    assert_eq!(store.groups(ADA, minute(0)).await?, []);
    let keys = [
        BlockKey { sender: sender6(), prefix: prefix6(), ..key() },
        BlockKey { sender: sender(10), ..key() },
        BlockKey { sender: sender(9), prefix: prefix(2), ..key() },
        BlockKey { sender: sender(9), ..key() },
        BlockKey { sender: sender(9), origin: flush(1, 2), ..key() },
        BlockKey { sender: sender(3), interval: minute(1), ..key() },
        BlockKey { sender: sender(4), interval: Interval::containing(Period::Hour, MINUTE), ..key() },
        BlockKey { sender: sender(5), writer: BOB, ..key() },
    ];
    store.put_blocks(&keys.map(block)).await?;
    assert_eq!(
        store.groups(ADA, minute(0)).await?,
        [(sender(9), prefix(1)), (sender(9), prefix(2)), (sender(10), prefix(1)), (sender6(), prefix6())]
    );
    assert_eq!(store.groups(ADA, minute(1)).await?, [(sender(3), prefix(1))]);
    assert_eq!(store.groups(BOB, minute(0)).await?, [(sender(5), prefix(1))]);
    assert_eq!(store.groups(BOB, minute(1)).await?, []);
    Ok(())
}

pub(crate) async fn the_first_interval_is_found_from_any_minute(store: &dyn Store) -> Outcome {
    assert_eq!(store.first_interval(ADA, Period::Minute, Minute::EPOCH).await?, None);
    let [first, second] = [minute(0), minute(100_000)];
    let hour = Interval::containing(Period::Hour, second.start);
    let keys = [
        BlockKey { interval: second, ..key() },
        BlockKey { interval: first, ..key() },
        BlockKey { interval: first, sender: sender(2), ..key() },
        BlockKey { interval: hour, ..key() },
        BlockKey { interval: minute(5), writer: BOB, ..key() },
    ];
    store.put_blocks(&keys.map(block)).await?;
    for (from, expected) in [
        (Minute::EPOCH, Some(first)),
        (first.start, Some(first)),
        (first.end(), Some(second)),
        (second.start, Some(second)),
        (second.end(), None),
        (Minute::MAX, None),
    ] {
        assert_eq!(store.first_interval(ADA, Period::Minute, from).await?, expected, "from {from:?}");
    }
    assert_eq!(store.first_interval(ADA, Period::Hour, Minute::EPOCH).await?, Some(hour));
    assert_eq!(store.first_interval(ADA, Period::Day, Minute::EPOCH).await?, None);
    assert_eq!(store.first_interval(BOB, Period::Minute, Minute::EPOCH).await?, Some(minute(5)));
    assert_eq!(store.first_interval(BOB, Period::Hour, Minute::EPOCH).await?, None);
    Ok(())
}

pub(crate) async fn deleted_blocks_are_gone_and_no_others(store: &dyn Store) -> Outcome {
    let other = BlockKey { origin: flush(1, 2), ..key() };
    let elsewhere = BlockKey { interval: minute(7), sender: sender(2), ..key() };
    store.put_blocks(&[block(key()), block(other), block(elsewhere)]).await?;
    let absent =
        [BlockKey { writer: BOB, ..key() }, BlockKey { part: 9, ..key() }, BlockKey { tables: TableSet::ALL, ..key() }];
    store.delete_blocks(&absent).await?;
    store.delete_blocks(&[key(), key()]).await?;
    assert_eq!(stored(store, &[around(key()), around(elsewhere)]).await?, [block(other), block(elsewhere)]);
    assert_eq!(store.groups(ADA, minute(0)).await?, [(sender(1), prefix(1))], "one block of the group is left");
    store.delete_blocks(&[other]).await?;
    assert_eq!(stored(store, &[around(key())]).await?, []);
    assert_eq!(store.groups(ADA, minute(0)).await?, []);
    assert_eq!(store.first_interval(ADA, Period::Minute, Minute::EPOCH).await?, Some(minute(7)));
    store.put_blocks(&[block(key())]).await?;
    assert_eq!(stored(store, &[around(key())]).await?, [block(key())], "a deleted block can be put again");
    assert_eq!(store.first_interval(ADA, Period::Minute, Minute::EPOCH).await?, Some(minute(0)));
    Ok(())
}

/// A store may leave blocks to expire by themselves; what it reports as deleted has to be gone.
pub(crate) async fn expiry_spares_what_is_kept(store: &dyn Store) -> Outcome {
    let hour = Interval::containing(Period::Hour, MINUTE);
    let old = [key(), BlockKey { interval: minute(1), ..key() }];
    let kept = [
        BlockKey { interval: minute(2), ..key() },
        BlockKey { interval: hour, ..key() },
        BlockKey { writer: BOB, ..key() },
    ];
    let everything: Vec<Block> = old.iter().chain(&kept).map(|key| block(*key)).collect();
    store.put_blocks(&everything).await?;
    for writer in [ADA, BOB, WriterId(1)] {
        store.put_writer(&rolled_up(writer, [Minute::MAX; 4])).await?;
    }
    let before = Retention { period: Period::Minute, before: minute(2).start };
    assert_eq!(store.expire(WriterId(1), before).await?, 0);
    let gone = store.expire(ADA, before).await?;
    let left = stored(store, &everything.iter().map(|block| around(block.key)).collect::<Vec<_>>()).await?;
    for key in kept {
        assert!(left.contains(&block(key)), "{key:?}");
    }
    assert!(gone == 0 || gone == 2, "{gone}");
    if gone == 2 {
        assert_eq!(left.len(), kept.len());
        assert_eq!(store.first_interval(ADA, Period::Minute, Minute::EPOCH).await?, Some(minute(2)));
        assert_eq!(store.expire(ADA, before).await?, 0);
    }
    Ok(())
}

pub(crate) async fn expiry_spares_what_is_not_rolled_up(store: &dyn Store) -> Outcome {
    let year = Interval::containing(Period::Year, MINUTE);
    let keys = [key(), BlockKey { interval: minute(1), ..key() }, BlockKey { interval: year, ..key() }];
    store.put_blocks(&keys.map(block)).await?;
    let everything = |period| Retention { period, before: Minute::MAX };
    let left = async || stored(store, &keys.map(around)).await;
    assert_eq!(store.expire(ADA, everything(Period::Minute)).await?, 0, "a writer without a state");
    store.put_writer(&rolled_up(ADA, [minute(0).start, minute(9).start, minute(9).start, minute(9).start])).await?;
    assert_eq!(store.expire(ADA, everything(Period::Minute)).await?, 0);
    assert_eq!(left().await?.len(), 3);
    store.put_writer(&rolled_up(ADA, [minute(1).start, Minute::EPOCH, Minute::EPOCH, Minute::EPOCH])).await?;
    if store.expire(ADA, everything(Period::Minute)).await? > 0 {
        assert_eq!(left().await?, [block(keys[1]), block(keys[2])]);
        assert_eq!(store.expire(ADA, everything(Period::Year)).await?, 1, "years are never rolled up");
    }
    Ok(())
}

pub(crate) async fn what_has_expired_is_noted_once_and_for_all(store: &dyn Store) -> Outcome {
    let mut expired = PerPeriod::default();
    assert_eq!(store.expired().await?, expired);
    let blocks = [0, 3, 9].map(|after| block(BlockKey { interval: minute(after), ..key() }));
    store.put_blocks(&blocks).await?;
    store.put_writer(&rolled_up(ADA, [Minute::MAX; 4])).await?;
    let before = |after| Retention { period: Period::Minute, before: minute(after).start };
    assert_eq!(store.expire(ADA, before(0)).await?, 0);
    assert_eq!(store.expired().await?, expired);
    if store.expire(ADA, before(6)).await? > 0 {
        // Since then, there was nothing to expire.
        expired[Period::Minute] = minute(3).end();
        assert_eq!(store.expired().await?, expired);
        assert_eq!(store.expire(ADA, before(1)).await?, 0);
        assert_eq!(store.expired().await?, expired);
        // What comes late is not all of its minute.
        store.put_blocks(&blocks[..1]).await?;
        assert_eq!(store.expire(ADA, before(1)).await?, 1);
        assert_eq!(store.expired().await?, expired);
    }
    let mut of_another = PerPeriod::default();
    of_another[Period::Minute] = minute(1).start;
    of_another[Period::Year] = Minute::new(7);
    for _ in 0..2 {
        store.put_expired(of_another).await?;
    }
    for (period, before) in of_another.iter() {
        expired[period] = expired[period].max(*before);
    }
    assert_eq!(store.expired().await?, expired);
    let target = Memory::default();
    copy(store, &target, &mut |_, _, _| ()).await?;
    assert_eq!(target.expired().await?, expired);
    Ok(())
}

pub(crate) async fn intervals_are_listed_between_two_minutes(store: &dyn Store) -> Outcome {
    let hour = Interval::containing(Period::Hour, MINUTE);
    let mut keys: Vec<BlockKey> =
        [9, 3, 100_000, 4].map(|after| BlockKey { interval: minute(after), ..key() }).to_vec();
    keys.push(BlockKey { interval: minute(3), sender: sender(2), ..key() });
    keys.push(BlockKey { interval: minute(5), writer: BOB, ..key() });
    keys.push(BlockKey { interval: hour, ..key() });
    store.put_blocks(&keys.into_iter().map(block).collect::<Vec<_>>()).await?;
    let listed = async |from, before| store.intervals(ADA, Period::Minute, from, before).await;
    let all = [3, 4, 9, 100_000].map(minute);
    assert_eq!(listed(Minute::EPOCH, Minute::MAX).await?, all);
    assert_eq!(listed(minute(3).start, minute(9).start).await?, all[..2]);
    assert_eq!(listed(minute(4).start, minute(10).start).await?, all[1..3]);
    assert_eq!(listed(minute(10).start, minute(20).start).await?, []);
    assert_eq!(listed(minute(9).start, minute(3).start).await?, []);
    assert_eq!(store.intervals(ADA, Period::Hour, Minute::EPOCH, Minute::MAX).await?, [hour]);
    assert_eq!(store.intervals(WriterId(1), Period::Minute, Minute::EPOCH, Minute::MAX).await?, []);
    Ok(())
}

pub(crate) async fn many_blocks_are_put_at_once(store: &dyn Store) -> Outcome {
    let keys = (0..3_000_u32).map(|number| BlockKey {
        interval: minute(number % 3),
        prefix: prefix((number % 200) as u8),
        origin: flush(1, number.into()),
        ..key()
    });
    let blocks = sorted(keys.map(block).collect());
    store.put_blocks(&blocks).await?;
    let mut selections: Vec<Selection> = blocks.iter().map(|block| around(block.key)).collect();
    selections.dedup();
    assert_eq!(stored(store, &selections).await?, blocks);
    assert_eq!(store.groups(ADA, minute(0)).await?.len(), 200);
    store.delete_blocks(&blocks.iter().map(|block| block.key).collect::<Vec<_>>()).await?;
    assert_eq!(stored(store, &selections).await?, []);
    assert_eq!(store.first_interval(ADA, Period::Minute, Minute::EPOCH).await?, None);
    Ok(())
}

pub(crate) async fn puts_at_the_same_time_all_arrive(store: &dyn Store) -> Outcome {
    let of = |writer| {
        let keys =
            (0..50).map(move |sequence| BlockKey { writer: WriterId(writer), origin: flush(1, sequence), ..key() });
        keys.map(block).collect::<Vec<_>>()
    };
    let put = async |writer| {
        for block in of(writer) {
            store.put_blocks(std::slice::from_ref(&block)).await?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::try_join!(put(1), put(2), put(3), put(4))?;
    assert_eq!(stored(store, &[around(key())]).await?, sorted((1..=4).flat_map(of).collect()));
    Ok(())
}

fn rolled_up(writer: WriterId, watermarks: [Minute; 4]) -> WriterState {
    WriterState {
        watermarks: Watermarks::new(watermarks),
        ..WriterState::new(writer, 1, Timestamp::from_seconds(1_700_000_000))
    }
}
