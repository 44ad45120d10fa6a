//! Ctrl-C (SIGINT, and SIGTERM) for commands that run until interrupted: they end in good order and report what they did.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Whether a signal to stop has arrived.
pub(super) struct Interrupt {
    stop: Arc<AtomicBool>,
    /// Waits for the signals.
    _runtime: Runtime,
}

impl Interrupt {
    /// Starts to watch for signals.
    pub(super) fn watch() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let entered = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let (mut signal, stop) = (signal(kind)?, Arc::clone(&stop));
            runtime.spawn(async move {
                signal.recv().await;
                stop.store(true, Ordering::Relaxed);
            });
        }
        drop(entered);
        Ok(Self { stop, _runtime: runtime })
    }

    /// Whether a signal has arrived.
    pub(super) fn came(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
