//! Replays captures through the loop that sockets drive, with the times and sources of the capture.
//!
//! A replay is a writer of its own, identified by its input. So a second replay of a capture replaces the counts of the
//! first, and its blocks are separate from those of a running collector.

use std::sync::Arc;
use std::time::Duration;

use accounting::block::WriterId;
use accounting::five_minutes;
use accounting::tally::{Tally, TallySettings};
use flow::Timestamp;
use storage::{Stated, Store, StoreError, WriterState};
use wire::{Datagram, PendingBudget};

use crate::flusher::Flusher;
use crate::keep::Keep;
use crate::senders;
use crate::status::Status;
use pipeline::Counts;
use pipeline::Exporters;
use pipeline::{Rules, Sealed, Shard};

/// How long a capture may have no datagrams: a sample of a bill. After more, it counts as another capture.
const MOST_SILENCE: Duration = Duration::from_secs(60 * five_minutes::MINUTES as u64);

/// A replay in progress.
pub struct Replay {
    shard: Shard,
    exporters: Exporters,
    flusher: Flusher,
    flush_interval: Duration,
    flushed_at: Option<Timestamp>,
    tally: TallySettings,
    /// Used in turn with the shard's; `None` after a flush that failed.
    empty: Option<Tally>,
}

impl Replay {
    /// Begins to replay into a store. Deletes the blocks of an earlier replay by this writer first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(
        store: Arc<dyn Store>,
        writer: WriterId,
        rules: Rules,
        stated: &Stated,
        flush_interval: Duration,
        keep: Keep,
    ) -> Result<Self, StoreError> {
        // No collector rolls up for it meanwhile. An interrupted replay has to be repeated.
        let state = WriterState::replay(writer);
        store.forget_writer(writer).await?;
        store.put_writer(&state).await?;
        let exporters = Exporters::new(rules.session, PendingBudget::default());
        let shard = Shard::new(rules, senders::load(store.as_ref(), stated).await?.admitted(), exporters.clone());
        let flusher = Flusher::new(store, state, keep, Status::new(0)).replaying(flush_interval + MOST_SILENCE);
        Ok(Self {
            shard,
            exporters,
            flusher,
            flush_interval,
            flushed_at: None,
            empty: Some(Tally::new(rules.tally)),
            tally: rules.tally,
        })
    }

    /// Takes the next datagram of the capture; flushes when the interval is over by the capture's clock.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn take(&mut self, datagram: &Datagram<'_>) -> Result<(), StoreError> {
        let flushed_at = *self.flushed_at.get_or_insert(datagram.received);
        if datagram.received.abs_diff(flushed_at) >= self.flush_interval {
            self.flushed_at = Some(datagram.received);
            self.flush().await?;
        }
        self.shard.take(datagram);
        Ok(())
    }

    /// Stores the rest, rolls up completed periods, and returns the counts. Later periods are rolled up by the
    /// collectors of the store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn finish(mut self, now: Timestamp) -> Result<Counts, StoreError> {
        self.flush().await?;
        self.flusher.maintain(now).await?;
        Ok(*self.shard.counts())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let empty = self.empty.take().unwrap_or_else(|| Tally::new(self.tally));
        let mut sealed = Sealed::new(vec![self.shard.seal(empty)]);
        self.exporters.report(&mut sealed);
        self.flusher.flush(&sealed, self.flushed_at.unwrap_or_default(), || true).await?;
        self.empty = sealed.tallies.pop();
        self.empty.iter_mut().for_each(Tally::clear);
        Ok(())
    }
}
