//! Returns free memory to the kernel at intervals: what large answers needed, and what a flush of many counters needed.

use std::time::Duration;

use tokio::task;

const INTERVAL: Duration = Duration::from_secs(10);

/// Runs until cancelled.
pub(super) async fn run() {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        // Not on a thread that answers requests. Fails only when the program ends.
        let _ = task::spawn_blocking(allocator::trim).await;
    }
}
