//! What has expired of a store, as far as its blocks show. A store notes what expires ([`Blocks::expired`](crate::Blocks::expired)); programs
//! without such notes may have deleted blocks before, and a longer retention brings nothing of that back.

use accounting::period::{Minute, PerPeriod, Period};

use crate::{Store, StoreError};

/// Notes what has expired: coarser blocks are never deleted before finer ones, so where a writer has only coarser ones, the
/// finer ones have been deleted, up to the first that is left.
///
/// # Errors
/// When the store cannot be read or written; then it may be repeated.
pub async fn note_expired(store: &dyn Store) -> Result<(), StoreError> {
    let mut expired = PerPeriod::default();
    for state in store.writers().await? {
        for (period, coarser) in Period::ALL.into_iter().filter_map(|period| Some((period, period.coarser()?))) {
            let Some(coarse) = store.first_interval(state.writer, coarser, Minute::EPOCH).await? else { continue };
            let first = store.first_interval(state.writer, period, coarse.start).await?;
            let first = first.map(|first| first.start).or(state.watermarks.get(period)).unwrap_or_default();
            if first >= coarse.end() {
                expired[period] = first.max(expired[period]);
            }
        }
    }
    store.put_expired(expired).await
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use accounting::block::{TableSet, Tables, WriterId};
    use accounting::direction::Direction;
    use accounting::field::Name;
    use accounting::period::Interval;
    use accounting::query::parse_interval;
    use flow::{Counters, FlushNumber, Prefix, Timestamp};

    use super::*;
    use crate::roll_up::advance;
    use crate::{Blocks, Memory, Selection, WriterState, Writers};

    const WRITER: WriterId = WriterId(7);

    fn minute(text: &str) -> Minute {
        parse_interval(Period::Minute, text).unwrap().start
    }

    fn group() -> (IpAddr, Prefix) {
        ("192.0.2.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap())
    }

    /// A flow in each of these minutes, rolled up.
    async fn filled(minutes: &[&str], until: &str) -> Memory {
        let store = Memory::default();
        let state = WriterState::new(WRITER, 1, Timestamp::EPOCH);
        store.put_writer(&state).await.unwrap();
        for (text, sequence) in minutes.iter().zip(1..) {
            let mut tables = Tables::new();
            tables.add(Direction::In, Name::ALL, Counters { bytes: 100, packets: 1, flows: 1 });
            let (sender, prefix) = group();
            let interval = Interval { period: Period::Minute, start: minute(text) };
            let number = FlushNumber { epoch: 1, sequence };
            store.put_blocks(&tables.blocks(interval, sender, prefix, WRITER, number.into())).await.unwrap();
        }
        advance(&store, state, minute(until)).await.unwrap();
        store
    }

    async fn delete(store: &Memory, period: Period, before: &str) {
        let (sender, prefix) = group();
        for interval in store.intervals(WRITER, period, Minute::EPOCH, minute(before)).await.unwrap() {
            let selection = Selection { interval, sender, prefix, tables: TableSet::ALL };
            let blocks = store.read_blocks(&[selection]).await.unwrap();
            store.delete_blocks(&blocks.iter().map(|block| block.key).collect::<Vec<_>>()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_deleted_without_a_note_is_noted_as_far_as_it_shows() {
        let minutes = ["2026-03-01 10:30", "2026-03-02 10:30", "2026-03-03 10:30", "2026-03-05 10:30"];
        let store = filled(&minutes, "2026-03-06 00:00").await;
        // The first traffic follows no gap.
        note_expired(&store).await.unwrap();
        assert_eq!(store.expired().await.unwrap(), PerPeriod::default());
        delete(&store, Period::Minute, "2026-03-06 00:00").await;
        delete(&store, Period::Hour, "2026-03-02 12:00").await;
        note_expired(&store).await.unwrap();
        let mut expected = PerPeriod::default();
        // Without any block, up to where the writer has rolled up.
        expected[Period::Minute] = minute("2026-03-06 00:00");
        expected[Period::Hour] = minute("2026-03-03 10:00");
        assert_eq!(store.expired().await.unwrap(), expected);
    }
}
