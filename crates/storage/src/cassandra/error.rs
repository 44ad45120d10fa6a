//! What an error of the driver means to the caller of a store.

use std::error::Error;

use scylla::errors::{DbError, RequestAttemptError};

use crate::{StoreError, chain};

/// The operator corrects what the server rejects as a mistake of ours; everything
/// else passes.
pub(super) fn failed(error: impl Error + Send + Sync + 'static) -> StoreError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(RequestAttemptError::DbError(kind, _)) = found.downcast_ref()
            && is_ours(kind)
        {
            return StoreError::Config(error.into());
        }
        cause = found.source();
    }
    // Logins are refused while a connection is set up, and all that is left of the reason is its text.
    let message = chain(&error);
    if message.contains("AuthenticationError") || message.contains("Authentication failed") {
        return StoreError::Config(error.into());
    }
    StoreError::Retry(error.into())
}

fn is_ours(error: &DbError) -> bool {
    matches!(
        error,
        DbError::SyntaxError
            | DbError::Invalid
            | DbError::ConfigError
            | DbError::Unauthorized
            | DbError::AuthenticationError
    )
}
