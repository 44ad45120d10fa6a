//! Limits concurrent reads of the store. Reading many blocks and summing them takes a processor and memory; with a
//! limit, processors stay free for counting. A question takes a turn for each of its parts, and keys take turns in
//! rotation: a small question waits for at most one part of each other key, whatever these ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use flow::Durations;
use storage::{Answers, StoreError, Totals};

use crate::Api;
use crate::error::Error;
use crate::party::Party;
use crate::queues::turn;
use crate::turns::{Limits, Turns};

/// The number of turns at most, however many processors there are.
const MOST_TURNS: usize = 4;

/// The turns, and how long each took.
#[derive(Debug)]
pub(crate) struct ReadTurns {
    turns: Arc<Turns>,
    times: Arc<Mutex<Durations>>,
}

impl Default for ReadTurns {
    /// One turn for every second processor.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::with((processors / 2).clamp(1, MOST_TURNS))
    }
}

impl ReadTurns {
    fn with(all: usize) -> Self {
        // A key may use all turns that no other wants: each of them is short.
        Self { turns: Turns::new(Limits { all, for_admins: 0, each: all }), times: Arc::default() }
    }

    /// Waits for a turn, and reads. A read keeps its turn until it ends, even when the client has gone: a store may
    /// continue to work after its caller has gone.
    async fn run<T: Send + 'static>(
        &self,
        party: Party,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = turn(&self.turns, party).await?;
        let times = Arc::clone(&self.times);
        let reading = tokio::spawn(async move {
            let begun = Instant::now();
            let answer = read.await;
            times.lock().unwrap_or_else(PoisonError::into_inner).note(begun.elapsed());
            drop(turn);
            answer
        });
        reading
            .await
            .map_err(|error| {
                tracing::error!(%error, "a read of the store was aborted");
                Error::Internal
            })?
            .map_err(Error::from)
    }

    /// How many reads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.waiting()
    }

    /// How long each turn took.
    pub(crate) fn times(&self) -> Durations {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Api {
    /// The next part of some answers to a party, in turn; `None` after the last one.
    pub(crate) async fn read(&self, party: Party, answers: &mut Answers) -> Result<Option<Vec<Totals>>, Error> {
        if answers.is_complete() {
            return Ok(None);
        }
        let store = Arc::clone(&self.store);
        let mut reading = std::mem::replace(answers, Answers::to(Vec::new()));
        let read = async move {
            let part = reading.next(store.as_ref()).await?;
            Ok((reading, part))
        };
        let (rest, part) = self.read_turns.run(party, read).await?;
        *answers = rest;
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio::task::{JoinSet, spawn_blocking, yield_now};

    use super::*;
    use crate::party::KeyId;
    use crate::queues::PATIENCE;

    fn key(name: &str) -> Party {
        Party::Key(KeyId::of(name.as_bytes()))
    }

    #[tokio::test]
    async fn no_more_reads_run_at_once_than_there_are_turns() {
        let turns = Arc::new(ReadTurns::with(2));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut readers = JoinSet::new();
        for _ in 0..16 {
            let (turns, running, most) = (Arc::clone(&turns), Arc::clone(&running), Arc::clone(&most));
            readers.spawn(async move {
                let read = async move {
                    most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    yield_now().await;
                    running.fetch_sub(1, Ordering::Relaxed);
                    Ok(())
                };
                turns.run(key("a"), read).await.is_ok()
            });
        }
        assert!(readers.join_all().await.into_iter().all(|answered| answered));
        assert_eq!((most.load(Ordering::Relaxed), turns.times().count()), (2, 16));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_too_long_for_its_turn_is_refused() {
        let turns = Arc::new(ReadTurns::with(1));
        let holder = Arc::clone(&turns);
        let _holds = tokio::spawn(async move { holder.run(key("a"), pending::<Result<(), _>>()).await.is_ok() });
        yield_now().await;
        let begun = tokio::time::Instant::now();
        assert!(matches!(turns.run(key("b"), async { Ok(()) }).await, Err(Error::Busy(_))));
        assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
    }

    #[tokio::test]
    async fn a_read_keeps_its_turn_until_it_ends_even_when_its_client_has_gone() {
        let turns = Arc::new(ReadTurns::with(1));
        for number in 1..=5 {
            let (began, mut begins) = unbounded_channel();
            let (release, released) = channel();
            let request = Arc::clone(&turns);
            // Like the embedded store, which continues after its caller has gone.
            let request = tokio::spawn(async move {
                let work = move || {
                    began.send(()).unwrap();
                    released.recv().unwrap();
                };
                let read = async {
                    spawn_blocking(work).await.unwrap();
                    Ok(())
                };
                request.run(key("a"), read).await.is_ok()
            });
            begins.recv().await.unwrap();
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
            let next = turns.turns.take(key("b"));
            assert_eq!(turns.turns.waiting(), 1);
            release.send(()).unwrap();
            drop(next.await);
            assert_eq!(turns.times().count(), number);
        }
    }
}
