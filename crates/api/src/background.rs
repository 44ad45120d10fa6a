//! Threads for work that takes long and waits for nothing: summing, parsing, writing. They run only while a processor has
//! nothing else to do: threads that count, that answer or that read for short questions never wait behind them. They hold no
//! lock that others need, so nothing here reads the store. When the processors are never free, most of the work runs on the
//! other threads, so that it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, Handle, Runtime};

/// A piece of work takes some milliseconds of a processor. One that took this long has waited for it.
const STARVED: Duration = Duration::from_millis(100);
/// For how many times as long as it took, others then run elsewhere.
const ELSEWHERE: u32 = 10;

/// The threads.
#[derive(Debug)]
pub(crate) struct Background {
    /// `None` when they could not be started, and at the end.
    runtime: Option<Runtime>,
    /// Until when work runs elsewhere, because some had to wait for a processor.
    elsewhere: Arc<Mutex<Instant>>,
}

impl Background {
    /// This many threads, and more for work that blocks.
    pub(crate) fn of(threads: usize) -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name("background").on_thread_start(give_way).enable_all();
        let runtime = builder.build().inspect_err(|error| tracing::warn!(%error, "no threads for long work"));
        Self { runtime: runtime.ok(), elsewhere: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Threads for work that may wait for a processor as long as others need it.
    pub(crate) fn patient(&self) -> Handle {
        self.runtime.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// Where the next piece of work runs. `None` is on the threads of the caller.
    pub(crate) fn next(&self) -> Option<(Handle, Stopwatch)> {
        let begun = Instant::now();
        let is_elsewhere = begun < *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = self.runtime.as_ref().filter(|_| !is_elsewhere)?;
        Some((runtime.handle().clone(), Stopwatch { begun, elsewhere: Arc::clone(&self.elsewhere) }))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // On a thread of another runtime, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Measures a piece of work until it is dropped.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    elsewhere: Arc<Mutex<Instant>>,
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        if took >= STARVED {
            *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + took * ELSEWHERE;
        }
    }
}

/// Makes the kernel prefer every other thread to this one (SCHED_IDLE, sched(7)). A low priority would not do: since Linux
/// 6.6 such a thread keeps its processor until the end of its slice, up to 4 ms, while others wait.
fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        tracing::debug!(?error, "a thread for long work has the priority of all others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scheduling policy of the calling thread: the 41st field of its stat file (proc(5)).
    fn policy() -> u32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        after_name.split_whitespace().nth(41 - 3).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn its_threads_run_when_no_other_does() {
        const SCHED_IDLE: u32 = 5;
        let background = Background::of(1);
        let (threads, _stopwatch) = background.next().unwrap();
        assert_eq!(threads.spawn(async { policy() }).await.unwrap(), SCHED_IDLE);
        assert_eq!(threads.spawn_blocking(policy).await.unwrap(), SCHED_IDLE);
        let begun_there = || std::thread::scope(|scope| scope.spawn(policy).join().unwrap());
        assert_eq!(background.patient().spawn_blocking(begun_there).await.unwrap(), SCHED_IDLE);
        assert_ne!(policy(), SCHED_IDLE);
    }

    #[tokio::test]
    async fn after_work_that_was_starved_others_run_elsewhere_for_a_while() {
        let background = Background::of(1);
        let (_, mut stopwatch) = background.next().unwrap();
        stopwatch.begun = Instant::now().checked_sub(Duration::from_secs(1000)).unwrap();
        drop(stopwatch);
        assert!(background.next().is_none() && background.next().is_none());
        *background.elsewhere.lock().unwrap() = Instant::now();
        assert!(background.next().is_some());
    }
}
