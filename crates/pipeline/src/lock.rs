//! Locking a mutex whose data are plain counts and tables.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also when a thread has panicked while it held the lock: plain counts stay true.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
