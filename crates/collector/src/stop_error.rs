//! Why a collector could not stop as it should.

use storage::StoreError;
use tokio::task::JoinError;

/// Why not everything that was received is stored.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The last flush could not be stored in time, or another process has this identity.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread has panicked.
    #[error("thread {0} died, the log has the reason; the next start counts what the journal has of its last flush")]
    ThreadDied(String),
    /// The runtime ended before the threads did.
    #[error("cannot wait for the threads: {0}")]
    Runtime(#[from] JoinError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_died_is_no_error_of_the_store() {
        let thread = std::thread::Builder::new().name("receiver-0".into());
        let thread = thread.spawn(|| std::panic::resume_unwind(Box::new("it dies"))).unwrap();
        let error = crate::start::join::<()>(thread).unwrap_err();
        assert!(matches!(&error, StopError::ThreadDied(name) if name == "receiver-0"), "{error}");
    }
}
