//! Locking a mutex whose data are plain counts and tables.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::turn_mutex::TurnMutex;

/// Locks, also when a thread has panicked while it held the lock: plain counts stay true.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same of a mutex that threads get in turn.
pub(crate) fn locked_in_turn<T>(mutex: &TurnMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
