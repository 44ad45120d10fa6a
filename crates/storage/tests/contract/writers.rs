//! Clauses about writers: their states, and forgetting one with its blocks.

use super::*;

pub(crate) async fn writers_are_remembered_by_their_newest_state(store: &dyn Store) -> Outcome {
    assert_eq!(store.writers().await?, []);
    // A block of a writer without a state.
    store.put_blocks(&[block(BlockKey { writer: WriterId(7), ..key() })]).await?;
    assert_eq!(store.writers().await?, []);
    let seen = Timestamp::from_nanoseconds(1_700_000_000_123_456_789);
    let presence = Presence::Seen(seen);
    let ada = WriterState { writer: ADA, epoch: 1, presence, watermarks: Watermarks::default() };
    let bob = WriterState {
        writer: BOB,
        epoch: u32::MAX,
        presence: Presence::Importing,
        watermarks: Watermarks::new([4, 3, 2, 1].map(Minute::new)),
    };
    store.put_writer(&bob).await?;
    store.put_writer(&ada).await?;
    assert_eq!(store.writers().await?, [ada, bob]);
    let newer =
        WriterState { epoch: 2, watermarks: Watermarks::new([u32::MAX, 1_000, 100, 10].map(Minute::new)), ..ada };
    store.put_writer(&newer).await?;
    store.put_writer(&newer).await?;
    assert_eq!(store.writers().await?, [newer, bob]);
    Ok(())
}

pub(crate) async fn a_state_is_replaced_only_where_the_store_knows_the_former_one(store: &dyn Store) -> Outcome {
    let seen = Timestamp::from_nanoseconds(1_700_000_000_123_456_789);
    let first = WriterState {
        writer: BOB,
        epoch: 1,
        presence: Presence::Seen(seen),
        watermarks: Watermarks::new([4, 3, 2, 1].map(Minute::new)),
    };
    let second = WriterState { watermarks: Watermarks::new([64, 3, 2, 1].map(Minute::new)), ..first };
    assert!(!store.replace_writer(&first, &second).await?, "a writer that the store does not know");
    assert_eq!(store.writers().await?, []);
    store.put_writer(&first).await?;
    let others = [
        WriterState { epoch: 2, ..first },
        WriterState { presence: Presence::Seen(seen.saturating_add(Duration::from_nanos(1))), ..first },
        WriterState { presence: Presence::Importing, ..first },
        WriterState { watermarks: Watermarks::new([4, 3, 2, 0].map(Minute::new)), ..first },
    ];
    for other in others {
        assert!(!store.replace_writer(&other, &second).await?, "{other:?}");
        assert_eq!(store.writers().await?, [first]);
    }
    // The second time as after a lost answer.
    for _ in 0..2 {
        assert!(store.replace_writer(&first, &second).await?);
        assert_eq!(store.writers().await?, [second]);
    }
    // And it can be put whatever was known.
    store.put_writer(&first).await?;
    assert_eq!(store.writers().await?, [first]);
    Ok(())
}

pub(crate) async fn one_of_those_that_replace_a_state_at_the_same_time_succeeds(store: &dyn Store) -> Outcome {
    let known = WriterState::new(ADA, 1, Timestamp::from_seconds(1_700_000_000));
    store.put_writer(&known).await?;
    let states = [2, 3, 4, 5].map(|epoch| WriterState { epoch, ..known });
    // A store that several contend for may ask to try again.
    let replace = async |state: &WriterState| loop {
        match store.replace_writer(&known, state).await {
            Err(StoreError::Retry(_)) => {}
            answer => break answer,
        }
    };
    let [one, two, three, four] = &states;
    let (one, two, three, four) = tokio::join!(replace(one), replace(two), replace(three), replace(four));
    let replaced = [one?, two?, three?, four?];
    let winners: Vec<_> =
        states.into_iter().zip(replaced).filter_map(|(state, replaced)| replaced.then_some(state)).collect();
    assert_eq!(winners.len(), 1, "{replaced:?}");
    assert_eq!(store.writers().await?, winners);
    Ok(())
}

pub(crate) async fn a_forgotten_writer_has_no_blocks_and_may_write_them_again(store: &dyn Store) -> Outcome {
    store.put_writer(&WriterState::new(ADA, 1, Timestamp::from_seconds(1_700_000_000))).await?;
    let of_ada = Period::ALL.into_iter().flat_map(|period| {
        let interval = Interval::containing(period, MINUTE);
        [prefix(1), prefix6()].map(|prefix| block(BlockKey { interval, prefix, ..key() }))
    });
    let of_ada: Vec<Block> = of_ada.collect();
    let of_bob = block(BlockKey { writer: BOB, ..key() });
    store.put_blocks(&of_ada).await?;
    store.put_blocks(std::slice::from_ref(&of_bob)).await?;
    // The second time there is nothing to forget.
    for _ in 0..2 {
        store.forget_writer(ADA).await?;
        let selections: Vec<Selection> = of_ada.iter().map(|block| around(block.key)).collect();
        assert_eq!(stored(store, &selections).await?, std::slice::from_ref(&of_bob));
        for period in Period::ALL {
            assert_eq!(store.intervals(ADA, period, Minute::EPOCH, Minute::MAX).await?, []);
            assert_eq!(store.groups(ADA, Interval::containing(period, MINUTE)).await?, []);
        }
    }
    store.put_blocks(&of_ada).await?;
    let keys: Vec<BlockKey> = of_ada.iter().map(|block| block.key).collect();
    assert_eq!(store.missing(&keys).await?, []);
    Ok(())
}
