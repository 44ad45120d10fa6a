//! A mutex that its threads get in turn.

use std::sync::{LockResult, Mutex, MutexGuard, TryLockResult};

use crate::lock::locked;

/// A mutex that a thread which unlocks it does not get again before another one that waits for it.
///
/// A `std::sync::Mutex` is free when it is unlocked. A thread that wants it again at once gets it, because others have to wake up
/// first. So a thread that always has work would rarely let others have it.
#[derive(Debug, Default)]
pub struct TurnMutex<T> {
    /// Locked by the next thread while it waits for the data.
    next: Mutex<()>,
    data: Mutex<T>,
}

impl<T> TurnMutex<T> {
    /// An unlocked one.
    pub const fn new(data: T) -> Self {
        Self { next: Mutex::new(()), data: Mutex::new(data) }
    }

    /// Waits for its turn, and locks it.
    ///
    /// # Errors
    /// If a thread has panicked while it held the lock.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let _next = locked(&self.next);
        self.data.lock()
    }

    /// Locks it if no other thread has locked it.
    ///
    /// # Errors
    /// If another thread has locked it, or has panicked while it held the lock.
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        self.data.try_lock()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_wants_it_again_at_once_waits_for_another_one() {
        let order = TurnMutex::new(Vec::new());
        for _ in 0..100 {
            let held = order.lock().unwrap();
            thread::scope(|scope| {
                scope.spawn(|| order.lock().unwrap().push("other"));
                while order.next.try_lock().is_ok() {
                    thread::yield_now();
                }
                drop(held);
                order.lock().unwrap().push("this");
            });
            assert_eq!(std::mem::take(&mut *order.lock().unwrap()), ["other", "this"]);
        }
    }
}
