//! Why a store did not do what it was asked.

/// Why a store did not do what it was asked. One variant for each decision of the caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or may not have carried it out: do it again, which is always harmless.
    #[error("the store is not reachable: {0}")]
    Retry(String),
    /// The store will never accept this: report it, do not repeat it.
    #[error("the store refuses: {0}")]
    Reject(String),
    /// What the store holds is damaged: report it, serve the rest.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// Another process with this identity has started after this one: stop.
    #[error("{0}")]
    Superseded(String),
    /// The settings are wrong: tell the operator, do not start.
    #[error("{0}")]
    Config(String),
}
