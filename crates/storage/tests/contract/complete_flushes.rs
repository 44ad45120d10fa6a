//! What a store on a network notes of complete flushes: it keeps them apart from the state of the writer.

use std::time::{Duration, SystemTime};

use accounting::block::WriterId;
use flow::{FlushNumber, Timestamp};
use storage::{Progress, Store, StoreError, WriterState};

const ADA: WriterId = WriterId(0xada);

fn number(epoch: u32, sequence: u64) -> FlushNumber {
    FlushNumber { epoch, sequence }
}

async fn flushed(store: &dyn Store, writer: WriterId) -> Result<Option<FlushNumber>, StoreError> {
    let progress = store.progress().await?;
    let states: Vec<WriterState> = progress.iter().map(|Progress { state, .. }| *state).collect();
    assert_eq!(states, store.writers().await?);
    Ok(progress.iter().find(|progress| progress.state.writer == writer).and_then(|progress| progress.flushed))
}

pub(crate) async fn the_newest_complete_flush_of_a_running_writer_is_known(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let now = Timestamp::from(SystemTime::now());
    let state = |epoch, seen| WriterState::new(ADA, epoch, seen);
    store.put_writer(&state(1, now)).await?;
    store.put_writer(&WriterState::new(WriterId(u64::MAX), 1, now)).await?;
    assert_eq!(flushed(store, ADA).await?, None);
    for noted in [number(1, 1), number(1, 1), number(1, u64::MAX), number(1, 7)] {
        store.put_flushed(ADA, noted).await?;
        assert_eq!(flushed(store, ADA).await?, Some(noted));
    }
    assert_eq!(flushed(store, WriterId(u64::MAX)).await?, None);
    // It has started again, and has flushes of its former run to put; then come its own.
    store.put_writer(&state(2, now)).await?;
    assert_eq!(flushed(store, ADA).await?, None);
    store.put_flushed(ADA, number(2, 0)).await?;
    assert_eq!(flushed(store, ADA).await?, Some(number(2, 0)));
    // It was not seen for long.
    store.put_writer(&state(2, now.saturating_sub(Duration::from_secs(2 * 3600)))).await?;
    assert_eq!(flushed(store, ADA).await?, None);
    Ok(())
}
