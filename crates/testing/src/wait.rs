//! Waiting for an event. No test may depend on the speed of the machine: the deadline only ends tests that hang.

use std::time::{Duration, Instant};

/// How long a test waits for an event before it fails.
pub const DEADLINE: Duration = Duration::from_secs(300);

const PAUSE: Duration = Duration::from_millis(50);

/// Repeats the question until it has an answer.
///
/// # Panics
/// After [`DEADLINE`], with the name of the event.
pub async fn wait_for<T>(event: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < DEADLINE, "still waiting after {DEADLINE:?}: {event}");
        tokio::time::sleep(PAUSE).await;
    }
}
