//! Limits what takes a processor: reading many blocks and summing them, parsing large bodies, writing large answers. With
//! a limit, processors stay free for counting.
//!
//! A question takes a turn for each of its parts, and keys take turns in rotation. No key may have all turns of short
//! questions, so that beside a single other key, whatever it asks, nobody waits. After some parts a question is a long one:
//! it takes turns of its own, and sums in the background.
//!
//! A question about archived flows has one turn, in the background, until it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use flow::Durations;
use storage::{Answers, StoreError, Totals};
use tokio::runtime::Handle;

use crate::Api;
use crate::background::{Background, Stopwatch};
use crate::error::Error;
use crate::flow_archive::FlowArchive;
use crate::party::Party;
use crate::queues::{Asker, turn};
use crate::turns::{Limits, Turn, Turns, Waiting};

/// The turns of a key at most, however many processors there are.
const MOST_TURNS: usize = 4;
/// Bodies and answers with fewer octets are parsed and written without a turn, within a fraction of a millisecond.
const LARGE_BYTES: usize = 32 << 10;

/// The questions that read the archive at a time.
const SCANS: Limits = Limits { all: FlowArchive::AT_ONCE, for_admins: 0, each: 1 };
/// The threads of such a question at most: each has memory of its own for the columns that it reads.
const MOST_SCAN_THREADS: usize = 4;

/// The turns, and how long each read took.
#[derive(Debug)]
pub(crate) struct WorkTurns {
    short: Arc<Turns>,
    long: Arc<Turns>,
    scans: Arc<Turns>,
    background: Background,
    reads: Arc<Mutex<Durations>>,
}

/// Kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A part of a short question.
    Short,
    /// A part of a long question that reads the store.
    LongRead,
    /// Long, and waits for nothing.
    OnlyComputes,
}

/// What a piece of work holds until it ends, even when its client has gone: a store may continue after its caller has gone.
#[derive(Debug)]
struct Held {
    _turn: Turn,
    _stopwatch: Option<Stopwatch>,
}

/// A flag that is set when this is dropped.
#[derive(Debug, Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Default for WorkTurns {
    /// One turn of a key for every second processor.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::with((processors / 2).clamp(1, MOST_TURNS))
    }
}

impl WorkTurns {
    /// Turns of which a key has at most `each`.
    fn with(each: usize) -> Self {
        Self {
            short: Turns::new(Limits { all: each + 1, for_admins: 0, each }),
            long: Turns::new(Limits { all: each, for_admins: 0, each }),
            scans: Turns::new(SCANS),
            background: Background::of(each),
            reads: Arc::default(),
        }
    }

    /// Waits for a turn. Returns the threads on which the work runs: in the background if it waits for nothing.
    async fn turn(&self, party: Party, kind: Work) -> Result<(Handle, Held), Error> {
        let turn = turn(if kind == Work::Short { &self.short } else { &self.long }, party).await?;
        let background = if kind == Work::OnlyComputes { self.background.next() } else { None };
        Ok(match background {
            Some((threads, stopwatch)) => (threads, Held { _turn: turn, _stopwatch: Some(stopwatch) }),
            None => (Handle::current(), Held { _turn: turn, _stopwatch: None }),
        })
    }

    /// Waits for a turn, and reads.
    async fn read<T: Send + 'static>(
        &self,
        party: Party,
        kind: Work,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Error> {
        let (threads, held) = self.turn(party, kind).await?;
        let reads = Arc::clone(&self.reads);
        let reading = threads.spawn(async move {
            let begun = Instant::now();
            let answer = read.await;
            reads.lock().unwrap_or_else(PoisonError::into_inner).note(begun.elapsed());
            drop(held);
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

    /// Waits for a turn to read the archive.
    pub(crate) fn scan_turn(&self, party: Party) -> Waiting {
        self.scans.take(party)
    }

    /// Reads the archive, in the background. The work gets a flag, which is set when its request has ended before it, and how
    /// many threads it may have. These have the priority of the one that begins them (sched(7)).
    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        turn: Turn,
        scan: impl FnOnce(&AtomicBool, usize) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let abandoned = Abandoned::default();
        let cancelled = Arc::clone(&abandoned.0);
        // One processor is left to the threads that receive: between two questions they would find nothing in its caches.
        let processors = available_parallelism().map_or(1, usize::from);
        let threads = processors.saturating_sub(1).clamp(1, MOST_SCAN_THREADS);
        let work = move || {
            let _turn = turn;
            scan(&cancelled, threads)
        };
        self.background.patient().spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a question about flows was aborted");
            Error::Internal
        })
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.short.waiting() + self.long.waiting() + self.scans.waiting()
    }

    /// How long each read took.
    pub(crate) fn reads(&self) -> Durations {
        *self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Api {
    /// All answers, read in turns of the one who asks. Each is reduced, where it is summed, to what `take` keeps of it and of its number:
    /// totals may be large, so that to drop many of them takes a processor as well.
    pub(crate) async fn answers<T: Send + 'static>(
        &self,
        asker: &Asker,
        answers: &mut Answers,
        take: impl Fn(usize, Totals) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, Error> {
        let take = Arc::new(take);
        let mut taken = Vec::new();
        while !answers.is_complete() {
            let kind = match (answers.is_long(), answers.reads_next()) {
                (false, _) => Work::Short,
                (true, true) => Work::LongRead,
                (true, false) => Work::OnlyComputes,
            };
            if kind != Work::Short {
                self.queues.become_long(asker).await?;
            }
            let (store, take, first) = (Arc::clone(&self.store), Arc::clone(&take), taken.len());
            let mut reading = std::mem::replace(answers, Answers::to(Vec::new()));
            let read = async move {
                let part = reading.next(store.as_ref()).await?.unwrap_or_default();
                let part: Vec<T> = (first..).zip(part).map(|(number, totals)| take(number, totals)).collect();
                Ok((reading, part))
            };
            let (rest, part) = self.work_turns.read(asker.party, kind, read).await?;
            *answers = rest;
            taken.extend(part);
        }
        Ok(taken)
    }

    /// Parses or writes about this many octets: many of them in turn, and on a thread on which no other request waits.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        party: Party,
        octets: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        if octets < LARGE_BYTES {
            return Ok(work());
        }
        let (threads, held) = self.work_turns.turn(party, Work::OnlyComputes).await?;
        let work = move || {
            let _held = held;
            work()
        };
        threads.spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a request was aborted");
            Error::Internal
        })
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
    async fn no_more_reads_of_a_key_run_at_once_than_it_has_turns() {
        let turns = Arc::new(WorkTurns::with(2));
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
                turns.read(key("a"), Work::Short, read).await.is_ok()
            });
        }
        assert!(readers.join_all().await.into_iter().all(|answered| answered));
        assert_eq!((most.load(Ordering::Relaxed), turns.reads().count()), (2, 16));
    }

    #[tokio::test]
    async fn a_key_with_all_its_turns_leaves_one_for_the_next() {
        for each in [1, 4] {
            let turns = Arc::new(WorkTurns::with(each));
            let mut held = Vec::new();
            for _ in 0..each {
                held.push(turns.short.take(key("greedy")).await);
            }
            let _waits = turns.short.take(key("greedy"));
            assert_eq!(turns.short.waiting(), 1);
            turns.read(key("small"), Work::Short, async { Ok(()) }).await.unwrap();
            assert_eq!(turns.short.waiting(), 1);
        }
    }

    #[tokio::test]
    async fn a_short_question_waits_for_no_long_one() {
        let turns = WorkTurns::with(1);
        let _long = turns.long.take(key("a")).await;
        let _waits = turns.long.take(key("b"));
        turns.read(key("b"), Work::Short, async { Ok(()) }).await.unwrap();
        assert_eq!(turns.waiting(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_too_long_for_its_turn_is_refused() {
        let turns = Arc::new(WorkTurns::with(1));
        let holder = Arc::clone(&turns);
        let _holds =
            tokio::spawn(async move { holder.read(key("a"), Work::Short, pending::<Result<(), _>>()).await.is_ok() });
        yield_now().await;
        let begun = tokio::time::Instant::now();
        assert!(matches!(turns.read(key("a"), Work::Short, async { Ok(()) }).await, Err(Error::Busy(_))));
        assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
    }

    #[tokio::test]
    async fn work_on_the_archive_is_cancelled_when_its_request_has_ended() {
        let turns = Arc::new(WorkTurns::with(1));
        let (began, mut begins) = unbounded_channel();
        let request = Arc::clone(&turns);
        let request = tokio::spawn(async move {
            let turn = request.scan_turn(key("a")).await;
            let endless = move |cancelled: &AtomicBool, threads: usize| {
                began.send(threads).unwrap();
                while !cancelled.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            };
            request.scan(turn, endless).await.is_ok()
        });
        assert!(begins.recv().await.unwrap() >= 1);
        let mut next = std::pin::pin!(turns.scan_turn(key("a")));
        assert_eq!(turns.waiting(), 1);
        let other = turns.scan_turn(key("b")).await;
        request.abort();
        let next = next.as_mut().await;
        assert_eq!(turns.scan(next, |cancelled, _| cancelled.load(Ordering::Relaxed)).await.ok(), Some(false));
        drop(other);
    }

    #[tokio::test]
    async fn a_read_keeps_its_turn_until_it_ends_even_when_its_client_has_gone() {
        let turns = Arc::new(WorkTurns::with(1));
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
                request.read(key("a"), Work::Short, read).await.is_ok()
            });
            begins.recv().await.unwrap();
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
            let next = turns.short.take(key("a"));
            assert_eq!(turns.short.waiting(), 1);
            release.send(()).unwrap();
            drop(next.await);
            assert_eq!(turns.reads().count(), number);
        }
    }
}
