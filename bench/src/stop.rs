//! The signal for threads beside a measurement to end.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets the signal when the measurement ends, also after an error.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
