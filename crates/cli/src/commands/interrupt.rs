//! Ctrl-C (SIGINT, and SIGTERM) for commands that send until they are told to stop: they end in good order, so that
//! what was sent so far can be told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Whether the command was told to stop.
pub(super) struct Interrupt {
    stop: Arc<AtomicBool>,
    /// Waits for the signals.
    _runtime: Runtime,
}

impl Interrupt {
    /// Watches from now on.
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

    /// Whether a signal has come.
    pub(super) fn came(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
