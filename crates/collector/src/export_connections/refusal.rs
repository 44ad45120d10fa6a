//! Why an export connection is refused before anything is read of it.

/// Why an export connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its sender is not registered, and may not register itself.
    Unregistered,
    /// Its sender has as many as it may have.
    TooManyOfSender,
    /// There are as many as there may be.
    TooMany,
    /// Its sender has just begun many others.
    TooOften,
    /// Its sender has a connection from the same port to another address of the collector: their messages could not be
    /// distinguished.
    SamePort,
}

impl Refusal {
    pub(super) const ALL: [Self; 5] =
        [Self::Unregistered, Self::TooManyOfSender, Self::TooMany, Self::TooOften, Self::SamePort];

    /// Its name in counters.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::TooManyOfSender => "too_many_of_sender",
            Self::TooMany => "too_many",
            Self::TooOften => "too_often",
            Self::SamePort => "same_port",
        }
    }

    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Unregistered => "the router is not registered under this address (netflow senders add)",
            Self::TooManyOfSender => "the router has as many export connections as one router may have",
            Self::TooMany => "there are as many export connections as are possible",
            Self::TooOften => "the router has just begun many others; exporters should wait a minute",
            Self::SamePort => "the router has an open export connection from the same port",
        }
    }
}
