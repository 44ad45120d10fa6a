//! This writer's state in this process and in the store: how far it is rolled up, and when it was last seen.
//!
//! Another collector may consider this one gone and roll up for it, another process may have its identity, and the store
//! may lose the state. So store and process must agree on the state before anything is decided by it:
//!
//! ```text
//!               read, merged and written
//!   Unknown ─────────────────────────────► Published ◄──────────┐
//!      ▲                                     │   │              │ written
//!      │  a roll-up begins, a write fails,   │   │ a sum that   │
//!      └─── or the store has another state ──┘   │ was put is   │
//!                                                ▼ lost         │
//!                                            RolledBack ────────┘
//!
//!   any of them ── another process with this identity has started ──► Superseded, finally
//! ```
//!
//! A state that was read is replaced by compare-and-set: between the read and the write, a collector that considers this
//! one gone may roll up and delete the blocks that it has summed. Then the state is read again.

use std::time::Duration;

use accounting::block::WriterId;
use accounting::period::{Interval, Minute};
use flow::Timestamp;
use storage::roll_up::{RollUpOptions, RollUpOutcome, advance_by};
use storage::{Presence, Store, StoreError, WriterState, Writers};

/// A writer that was not seen for this long is gone: others roll up for it.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(3600);
/// The greatest age of the state that was read when something is put.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// Whether process and store have the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// They may differ.
    Unknown,
    /// They are equal, as of the last read; `None` if it was written since, or never read.
    Published {
        read: Option<Timestamp>,
    },
    /// Our watermark was moved back, because the store lost sums. The store's is ignored until ours is written.
    RolledBack,
    Superseded,
}

/// The state, and whether the store agrees.
#[derive(Debug)]
pub(super) struct OwnState {
    state: WriterState,
    agreement: Agreement,
    /// The newest time that this process wrote as its presence.
    heartbeat: Presence,
}

impl OwnState {
    /// The state that was written at the start.
    pub(super) const fn published(state: WriterState) -> Self {
        Self { state, agreement: Agreement::Published { read: None }, heartbeat: state.presence }
    }

    /// The same, when the store may have another state: nothing is put before both agree.
    pub(super) const fn unread(self) -> Self {
        Self { agreement: Agreement::Unknown, ..self }
    }

    pub(super) const fn get(&self) -> &WriterState {
        &self.state
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.agreement == Agreement::Superseded
    }

    /// The error once it is superseded.
    pub(super) fn superseded(&self) -> StoreError {
        let message = format!(
            "another process with the identity of this one (writer {}) has started on the store: was the data directory \
             copied? Each collector needs its own",
            self.state.writer
        );
        StoreError::Superseded(message.into())
    }

    /// Makes store and process agree, unless they did within the last seconds.
    ///
    /// # Errors
    /// When the store does not answer, and [`StoreError::Superseded`].
    pub(super) async fn agree(&mut self, store: &dyn Writers, now: Timestamp) -> Result<(), StoreError> {
        match self.agreement {
            Agreement::Published { read: Some(read) } if read.abs_diff(now) < READ_AGAIN => Ok(()),
            _ => self.agree_now(store, now).await,
        }
    }

    /// Makes store and process agree in any case.
    ///
    /// # Errors
    /// As [`agree`](Self::agree).
    pub(super) async fn agree_now(&mut self, store: &dyn Writers, now: Timestamp) -> Result<(), StoreError> {
        if self.is_superseded() {
            return Err(self.superseded());
        }
        let was_published = matches!(self.agreement, Agreement::Published { .. });
        if was_published {
            self.agreement = Agreement::Published { read: None };
        }
        let known = of_writer(store, self.state.writer).await?;
        if let Some(known) = known {
            if (known.epoch, known.presence) > (self.state.epoch, self.heartbeat) {
                self.agreement = Agreement::Superseded;
                return Err(self.superseded());
            }
            match self.agreement {
                // A store that lost a watermark may have lost the rolled-up blocks as well.
                Agreement::Published { .. } => self.state.watermarks = known.watermarks,
                Agreement::Unknown => self.state.watermarks = self.state.watermarks.latest(known.watermarks),
                Agreement::RolledBack | Agreement::Superseded => {}
            }
        }
        let mut is_known =
            known.is_some_and(|known| (known.epoch, known.watermarks) == (self.state.epoch, self.state.watermarks));
        if !self.state.presence.is_here(now, GONE_AFTER / 2) {
            self.state.presence = Presence::Seen(now);
            is_known = false;
        }
        if was_published && !is_known {
            self.agreement = Agreement::Unknown;
        }
        if !matches!(self.agreement, Agreement::Published { .. }) {
            self.publish(store, known).await?;
        }
        self.agreement = Agreement::Published { read: Some(now) };
        Ok(())
    }

    /// Writes the state if the store still has `known`; `None` writes it in any case.
    async fn publish(&mut self, store: &dyn Writers, known: Option<WriterState>) -> Result<(), StoreError> {
        self.heartbeat = self.heartbeat.max(self.state.presence);
        match known {
            None => store.put_writer(&self.state).await?,
            Some(known) if store.replace_writer(&known, &self.state).await? => {}
            Some(_) => {
                let writer = self.state.writer;
                return Err(StoreError::Retry(
                    format!("the state of writer {writer} changed after it was read").into(),
                ));
            }
        }
        self.agreement = Agreement::Published { read: None };
        Ok(())
    }

    /// The store lost the sums of this interval: its finer blocks count again, and it is summed again.
    ///
    /// # Errors
    /// If the store does not answer; the interval is not summed again before the store has accepted the state.
    pub(super) async fn roll_back(&mut self, store: &dyn Writers, interval: Interval) -> Result<(), StoreError> {
        self.state.watermarks.take_back(interval);
        self.agreement = Agreement::RolledBack;
        self.publish(store, None).await
    }

    /// Rolls up the periods that have ended by then. If it is stopped, the store may have an older state.
    pub(super) async fn roll_up(
        &mut self,
        store: &dyn Store,
        now: Timestamp,
        until: Minute,
        options: &RollUpOptions,
    ) -> RollUpOutcome {
        if self.is_superseded() {
            return RollUpOutcome { sums: Vec::new(), result: Err(self.superseded()) };
        }
        self.state.presence = Presence::Seen(now);
        self.heartbeat = self.heartbeat.max(self.state.presence);
        let read = match self.agreement {
            Agreement::Published { read } => read,
            _ => None,
        };
        self.agreement = Agreement::Unknown;
        let outcome = advance_by(store, &mut self.state, until, options).await;
        if outcome.result.is_ok() {
            self.agreement = Agreement::Published { read };
        }
        outcome
    }
}

/// The state of a writer in the store.
pub(super) async fn of_writer(store: &dyn Writers, writer: WriterId) -> Result<Option<WriterState>, StoreError> {
    Ok(store.writers().await?.into_iter().find(|known| known.writer == writer))
}

#[cfg(test)]
mod tests {
    use accounting::watermarks::Watermarks;
    use async_trait::async_trait;
    use storage::memory::Memory;

    use super::*;

    /// A store in which another collector moves the watermark of a gone one right after its state was read.
    struct RolledUpMeanwhile {
        store: Memory,
        moved: WriterState,
    }

    #[async_trait]
    impl Writers for RolledUpMeanwhile {
        async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
            let writers = self.store.writers().await?;
            for known in &writers {
                if known.presence == self.moved.presence {
                    self.store.replace_writer(known, &self.moved).await?;
                }
            }
            Ok(writers)
        }

        async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
            self.store.put_writer(state).await
        }

        async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError> {
            self.store.replace_writer(known, state).await
        }
    }

    #[tokio::test]
    async fn a_returning_collector_keeps_the_watermark_that_another_moves_while_it_returns() {
        let start = Timestamp::from_seconds(1_800_000_000);
        let begun = WriterState::new(WriterId(1), 1, start);
        let mut moved = begun;
        moved.watermarks = Watermarks::new([Minute::new(60), Minute::EPOCH, Minute::EPOCH, Minute::EPOCH]);
        let store = RolledUpMeanwhile { store: Memory::default(), moved };
        store.put_writer(&begun).await.unwrap();
        let mut own = OwnState::published(begun);
        let now = start.saturating_add(2 * GONE_AFTER);
        assert!(matches!(own.agree(&store, now).await, Err(StoreError::Retry(_))));
        own.agree(&store, now).await.unwrap();
        assert_eq!(own.get().watermarks, moved.watermarks);
        assert_eq!(store.store.writers().await.unwrap(), [WriterState { presence: Presence::Seen(now), ..moved }]);
    }
}
