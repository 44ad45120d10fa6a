//! Since when a store has the blocks of a period. Settings do not decide that alone: a longer retention brings nothing back
//! that has been deleted before.

use accounting::period::{Interval, Minute, Period};

use crate::{Store, StoreError};

/// The first minute, not before `since`, from which on blocks of a period are there for what coarser blocks have counted:
/// parts of a coarser interval before that time would be too low. Coarser blocks are never deleted before finer ones.
///
/// # Errors
/// When the store cannot be read.
pub async fn kept_since(store: &dyn Store, period: Period, since: Minute) -> Result<Minute, StoreError> {
    let Some(coarser) = period.coarser() else { return Ok(since) };
    let around = Interval::containing(coarser, since);
    // Of this one, parts before `since` may have been deleted.
    let whole = if around.start == since { since } else { around.end() };
    let mut kept = since;
    for state in store.writers().await? {
        let Some(coarse) = store.first_interval(state.writer, coarser, whole).await? else { continue };
        let part = store.first_interval(state.writer, period, coarse.start).await?;
        let first = part.map(|part| part.start).or(state.watermarks.get(period)).unwrap_or_default();
        if first >= coarse.end() {
            kept = kept.max(first);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use accounting::block::{Tables, WriterId};
    use accounting::direction::Direction;
    use accounting::field::Name;
    use accounting::query::parse_interval;
    use flow::{Counters, FlushNumber, Timestamp};

    use super::*;
    use crate::roll_up::advance;
    use crate::{Blocks, Memory, Retention, WriterState, Writers};

    const WRITER: WriterId = WriterId(7);

    fn minute(text: &str) -> Minute {
        parse_interval(Period::Minute, text).unwrap().start
    }

    /// A flow in each of these minutes, rolled up.
    async fn filled(minutes: &[&str], until: &str) -> Memory {
        let store = Memory::default();
        let state = WriterState::new(WRITER, 1, Timestamp::EPOCH);
        store.put_writer(&state).await.unwrap();
        for (text, sequence) in minutes.iter().zip(1..) {
            let mut tables = Tables::new();
            tables.add(Direction::In, Name::ALL, Counters { bytes: 100, packets: 1, flows: 1 });
            let (sender, prefix) = ("192.0.2.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap());
            let interval = Interval { period: Period::Minute, start: minute(text) };
            let number = FlushNumber { epoch: 1, sequence };
            store.put_blocks(&tables.blocks(interval, sender, prefix, WRITER, number.into())).await.unwrap();
        }
        advance(&store, state, minute(until)).await.unwrap();
        store
    }

    async fn expire(store: &Memory, period: Period, before: &str) {
        store.expire(WRITER, Retention { period, before: minute(before) }).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_deleted_under_a_shorter_retention_is_missed() {
        let minutes = ["2026-03-01 10:30", "2026-03-02 10:30", "2026-03-03 10:30", "2026-03-05 10:30"];
        let store = filled(&minutes, "2026-03-06 00:00").await;
        let since = async |period, text| kept_since(&store, period, minute(text)).await.unwrap();
        // The first traffic is no gap.
        for period in Period::ALL {
            assert_eq!(since(period, "2026-01-01 00:00").await, minute("2026-01-01 00:00"));
        }
        expire(&store, Period::Minute, "2026-03-06 00:00").await;
        expire(&store, Period::Hour, "2026-03-02 12:00").await;
        // Without any block, up to where the writer has rolled up.
        assert_eq!(since(Period::Minute, "2026-01-01 00:00").await, minute("2026-03-06 00:00"));
        assert_eq!(since(Period::Hour, "2026-01-01 00:00").await, minute("2026-03-03 10:00"));
        assert_eq!(since(Period::Day, "2026-01-01 00:00").await, minute("2026-01-01 00:00"));
        // What is older by the settings does not matter.
        assert_eq!(since(Period::Hour, "2026-03-02 12:00").await, minute("2026-03-02 12:00"));
        assert_eq!(since(Period::Hour, "2026-03-04 12:00").await, minute("2026-03-04 12:00"));
    }
}
