//! Whether the store answers, and how fast. `/readyz` and `/metrics` need no credentials, so their number must not decide
//! how often the store is asked: a result serves for a second, and one call is in flight at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::Api;

/// How long a result is good for.
const FRESH: Duration = Duration::from_secs(1);
/// A store that takes longer is unreachable.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The last result.
#[derive(Debug, Default)]
pub(crate) struct StoreProbe(Arc<Mutex<Option<Probed>>>);

#[derive(Clone, Copy, Debug)]
struct Probed {
    at: Instant,
    latency: Option<Duration>,
}

impl StoreProbe {
    /// The latency of a call that returns whether it succeeded; `None` when it did not, or not in time. The call is only
    /// made when the last result is too old. It ends even when its client has gone, so that the next one finds a result.
    async fn latency(&self, call: impl Future<Output = bool> + Send + 'static) -> Option<Duration> {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some(Probed { at, latency }) = *last
            && at.elapsed() < FRESH
        {
            return latency;
        }
        let probe = tokio::spawn(async move {
            let begun = Instant::now();
            let is_answered = timeout(STORE_TIMEOUT, call).await.unwrap_or(false);
            let latency = is_answered.then(|| begun.elapsed());
            *last = Some(Probed { at: Instant::now(), latency });
            latency
        });
        probe.await.unwrap_or_default()
    }
}

impl Api {
    /// The latency of a small read of the store within the last second; `None` when the store is unreachable.
    pub(crate) async fn store_latency(&self) -> Option<Duration> {
        let store = Arc::clone(&self.store);
        self.store_probe.latency(async move { store.writers().await.is_ok() }).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::{JoinSet, yield_now};
    use tokio::time::{advance, sleep};

    use super::*;

    /// A call that takes 100 ms and counts itself.
    fn call(calls: &Arc<AtomicUsize>) -> impl Future<Output = bool> + Send + 'static {
        let calls = Arc::clone(calls);
        async move {
            calls.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(100)).await;
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_requests_ask_the_store_once_a_second() {
        let (probe, calls) = (Arc::new(StoreProbe::default()), Arc::new(AtomicUsize::new(0)));
        for second in 1..=3 {
            let mut requests = JoinSet::new();
            for _ in 0..100 {
                let (probe, call) = (Arc::clone(&probe), call(&calls));
                requests.spawn(async move { probe.latency(call).await });
            }
            let latencies = requests.join_all().await;
            assert!(latencies.iter().all(|latency| *latency == Some(Duration::from_millis(100))), "{latencies:?}");
            assert_eq!(calls.load(Ordering::Relaxed), second);
            advance(FRESH).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_aborted_do_not_ask_the_store_again() {
        let (probe, calls) = (Arc::new(StoreProbe::default()), Arc::new(AtomicUsize::new(0)));
        for _ in 0..100 {
            let (probe, call) = (Arc::clone(&probe), call(&calls));
            let request = tokio::spawn(async move { probe.latency(call).await });
            yield_now().await;
            request.abort();
        }
        assert!(probe.latency(call(&calls)).await.is_some());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_in_time_is_unreachable() {
        let probe = StoreProbe::default();
        assert_eq!(probe.latency(std::future::pending()).await, None);
        assert_eq!(probe.latency(async { true }).await, None, "within the same second");
        advance(FRESH).await;
        assert_eq!(probe.latency(async { true }).await, Some(Duration::ZERO));
    }
}
