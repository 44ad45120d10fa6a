//! Why a store did not do what it was asked: one variant for each decision of the caller, each with its source. What an
//! error of a driver means is decided by the store that uses the driver.

use std::error::Error;
use std::fmt::Display;

/// What went wrong: a text, or the error of a driver or of the operating system.
pub type Reason = Box<dyn Error + Send + Sync>;

/// Why a call failed. Shown as the whole chain of causes, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or may not have executed the call: repeat it, which is always harmless.
    #[error("the store is unreachable: {}", chain(&**.0))]
    Retry(#[source] Reason),
    /// The store will never accept the call: report it, do not repeat it.
    #[error("the store refuses: {}", chain(&**.0))]
    Reject(#[source] Reason),
    /// Stored data are damaged: report it, serve the rest.
    #[error("damaged: {}", chain(&**.0))]
    Corrupt(#[source] Reason),
    /// Stored data are of a newer program: leave them as they are, and say that this program is too old for the store.
    #[error("upgrade this program: {}", chain(&**.0))]
    Newer(#[source] Reason),
    /// Another process with this identity has started after this one: stop.
    #[error("{}", chain(&**.0))]
    Superseded(#[source] Reason),
    /// The settings are wrong: report it, do not start.
    #[error("{}", chain(&**.0))]
    Config(#[source] Reason),
}

impl StoreError {
    /// Wrong settings: an error, with the file or setting that has it.
    pub fn config(place: impl Display, error: impl Into<Reason>) -> Self {
        Self::Config(Box::new(Located { place: place.to_string(), error: error.into() }))
    }
}

/// An error, with the file or setting that has it.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
struct Located {
    place: String,
    #[source]
    error: Reason,
}

/// An error and its causes in one line, without causes whose text is in the line already: drivers disagree about
/// whether an error shows its cause.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        let text = found.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = found.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    #[test]
    fn an_error_shows_each_of_its_causes_once_and_keeps_them() {
        let error = StoreError::config("/etc/ca.pem", io::Error::from(ErrorKind::NotFound));
        assert_eq!(error.to_string(), "/etc/ca.pem: entity not found");
        assert_eq!(chain(&error), "/etc/ca.pem: entity not found");
        let kept = error.source().and_then(Error::source).and_then(|error| error.downcast_ref::<io::Error>());
        assert_eq!(kept.map(io::Error::kind), Some(ErrorKind::NotFound));
    }

    #[test]
    fn a_text_is_an_error_without_causes() {
        let error = StoreError::Retry("the request was lost".into());
        assert_eq!(error.to_string(), "the store is unreachable: the request was lost");
        assert!(error.source().is_some_and(|reason| reason.source().is_none()));
    }
}
