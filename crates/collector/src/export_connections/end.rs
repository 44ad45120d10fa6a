//! How an export connection ends.

use std::io;
use std::time::Duration;

use wire::framing::NotAMessage;

use super::encryption::TlsFailure;

/// A message must be whole this long after its first octet.
pub(super) const MESSAGE_PATIENCE: Duration = Duration::from_secs(30);

/// How an export connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The exporter closed it between two messages.
    #[error("the exporter closed it")]
    Closed,
    /// The exporter closed it before a message was whole.
    #[error("the exporter closed it inside a message, of which {octets} octets had arrived and do not count")]
    ClosedInsideMessage {
        /// What had arrived of the message.
        octets: usize,
    },
    /// What follows is no message, and where the next one begins cannot be known.
    #[error("message {number} of the connection cannot be read: {problem}")]
    Malformed {
        /// Its number in the connection, from 1.
        number: u64,
        /// Why.
        problem: NotAMessage,
    },
    /// A message took too long.
    #[error("a message was not whole {} seconds after its first octet: {octets} octets have arrived", MESSAGE_PATIENCE.as_secs())]
    Incomplete {
        /// What had arrived of it.
        octets: usize,
    },
    /// The connection is of no more use.
    #[error("it was lost: {0}")]
    Lost(io::Error),
    /// The exporter closed it without the announcement that TLS has for it.
    #[error("the exporter closed it without ending TLS (close_notify): what it sent last may be missing")]
    Unannounced,
    /// Its exporter was not verified.
    #[error(transparent)]
    Unverified(TlsFailure),
    /// What arrives cannot be decrypted, or its certificate is no longer right.
    #[error(transparent)]
    Encryption(TlsFailure),
    /// Its sender is not registered any more, or did not become so.
    #[error("the router is not registered")]
    Unregistered,
    /// The address is no longer listened on.
    #[error("the collector no longer listens on its address")]
    NotListening,
    /// The collector stops, and the service manager keeps the connection for the next run.
    #[error("it continues in the next run of the collector")]
    Kept,
    /// The collector stops.
    #[error("the collector stops")]
    Stopped,
}

impl End {
    /// All that [`kind`](Self::kind) returns.
    pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
        let kinds = [
            "closed",
            "closed_inside_message",
            "closed_without_notice",
            "malformed",
            "incomplete",
            "lost",
            "unregistered",
            "not_listening",
            "kept",
            "stopped",
        ];
        kinds.into_iter().chain(TlsFailure::KINDS)
    }

    /// See [`view::EndedExportConnection::kind`].
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ClosedInsideMessage { .. } => "closed_inside_message",
            Self::Malformed { .. } => "malformed",
            Self::Incomplete { .. } => "incomplete",
            Self::Lost(_) => "lost",
            Self::Unannounced => "closed_without_notice",
            Self::Unverified(failure) | Self::Encryption(failure) => failure.kind,
            Self::Unregistered => "unregistered",
            Self::NotListening => "not_listening",
            Self::Kept => "kept",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it points to a fault.
    pub(super) const fn is_error(&self) -> bool {
        matches!(
            self,
            Self::ClosedInsideMessage { .. }
                | Self::Malformed { .. }
                | Self::Incomplete { .. }
                | Self::Lost(_)
                | Self::Unverified(_)
                | Self::Encryption(_)
        )
    }
}
