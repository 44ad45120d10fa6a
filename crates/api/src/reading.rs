//! Who may read what is counted, and when. Reading many blocks and summing them takes a processor and memory, so only so
//! many questions are read for at once, and processors stay for counting. A question of many parts takes its turn anew for
//! each of them, so that a small one never waits for the whole of a large one.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use accounting::block::TableSet;
use accounting::range::Range;
use flow::{Durations, Prefix};
use storage::{Selection, StoreError, Totals};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Api;
use crate::error::Error;

/// How long one waits for one's turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many turns there are at most, however many processors.
const MOST_TURNS: usize = 4;

/// The turns, and how long they took.
#[derive(Debug)]
pub(crate) struct Reading {
    turns: Semaphore,
    times: Mutex<Durations>,
}

impl Default for Reading {
    /// With a turn for every second processor.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::with((processors / 2).clamp(1, MOST_TURNS))
    }
}

impl Reading {
    fn with(turns: usize) -> Self {
        Self { turns: Semaphore::new(turns), times: Mutex::default() }
    }

    /// Reads when it is its turn.
    async fn turn<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Error> {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.turns.acquire()).await else {
            return Err(Error::Busy(format!(
                "others read what is counted, and it was not this request's turn within {} seconds: send it again later",
                PATIENCE.as_secs()
            )));
        };
        let begun = Instant::now();
        let answer = read.await;
        self.times.lock().unwrap_or_else(PoisonError::into_inner).note(begun.elapsed());
        Ok(answer?)
    }

    /// How long each turn took.
    pub(crate) fn times(&self) -> Durations {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Api {
    /// [`storage::totals_many`], when it is its turn.
    pub(crate) async fn totals_many(&self, questions: &[Selection]) -> Result<Vec<Totals>, Error> {
        self.reading.turn(storage::totals_many(self.store.as_ref(), questions)).await
    }

    /// [`storage::totals_in_range`], when it is its turn.
    pub(crate) async fn totals_in_range(
        &self,
        sender: IpAddr,
        prefix: Prefix,
        range: Range,
        tables: TableSet,
    ) -> Result<Totals, Error> {
        self.reading.turn(storage::totals_in_range(self.store.as_ref(), sender, prefix, range, tables)).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn no_more_read_at_once_than_there_are_turns() {
        let (reading, running, most) = (Arc::new(Reading::with(2)), Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let most = Arc::new(most);
        let mut readers = JoinSet::new();
        for _ in 0..16 {
            let (reading, running, most) = (Arc::clone(&reading), Arc::clone(&running), Arc::clone(&most));
            readers.spawn(async move {
                let read = async {
                    most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    yield_now().await;
                    running.fetch_sub(1, Ordering::Relaxed);
                    Ok(())
                };
                reading.turn(read).await.is_ok()
            });
        }
        assert!(readers.join_all().await.into_iter().all(|answered| answered));
        assert_eq!((most.load(Ordering::Relaxed), reading.times().count()), (2, 16));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_back() {
        let reading = Reading::with(1);
        let mut holds = Box::pin(reading.turn(pending::<Result<(), _>>()));
        assert!(holds.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let begun = tokio::time::Instant::now();
        assert!(matches!(reading.turn(async { Ok(()) }).await, Err(Error::Busy(_))));
        assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
        // A client that leaves gives up its turn, and others do not lose theirs by waiting.
        let mut waits = pin!(reading.turn(async { Ok(1) }));
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(holds);
        assert!(matches!(waits.await, Ok(1)));
        assert_eq!(reading.times().count(), 1);
    }
}
