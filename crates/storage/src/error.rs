//! Why a store did not do what it was asked.

/// Why a call failed. One variant for each decision of the caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or may not have executed the call: repeat it, which is always harmless.
    #[error("the store is unreachable: {0}")]
    Retry(String),
    /// The store will never accept the call: report it, do not repeat it.
    #[error("the store refuses: {0}")]
    Reject(String),
    /// Stored data are damaged: report it, serve the rest.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// Another process with this identity has started after this one: stop.
    #[error("{0}")]
    Superseded(String),
    /// The settings are wrong: report it, do not start.
    #[error("{0}")]
    Config(String),
}
