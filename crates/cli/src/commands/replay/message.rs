//! The message of a datagram as it is sent over a connection, where nothing but its length separates it from the next one
//! (RFC 7011, section 10.4): only IPFIX has such a length, and it must be right.

use std::fmt;

use flow::Protocol;
use wire::framing::{NotAMessage, message_length};

/// Why a datagram cannot be sent over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsendable {
    /// It has another protocol, or none that is known.
    Other(Option<Protocol>),
    /// The length in the header is less than that of the header.
    NoLength,
    /// The datagram has fewer octets than its message.
    Incomplete,
}

impl Unsendable {
    /// As in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Other(Some(protocol)) => protocol.name(),
            Self::Other(None) => "unknown",
            Self::NoLength => "ipfix-without-length",
            Self::Incomplete => "ipfix-incomplete",
        }
    }
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(Some(protocol)) => write!(f, "{protocol}"),
            Self::Other(None) => f.write_str("no known protocol"),
            Self::NoLength => f.write_str("ipfix with a length below that of a header"),
            Self::Incomplete => f.write_str("ipfix with fewer octets than its length"),
        }
    }
}

/// The message: the datagram without the octets after its length.
pub(super) fn message(payload: &[u8]) -> Result<&[u8], Unsendable> {
    match message_length(payload) {
        Ok(Some(length)) => payload.get(..length).ok_or(Unsendable::Incomplete),
        Err(NotAMessage::Length(_)) => Err(Unsendable::NoLength),
        Ok(None) | Err(NotAMessage::Version(_)) => Err(match wire::protocol_of(payload) {
            Ok(Protocol::Ipfix) => Unsendable::Incomplete,
            other => Unsendable::Other(other.ok()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipfix(length: u16, octets: usize) -> Vec<u8> {
        let mut payload = vec![0; octets.max(4)];
        payload[..2].copy_from_slice(&[0, 10]);
        payload[2..4].copy_from_slice(&length.to_be_bytes());
        payload.truncate(octets);
        payload
    }

    #[test]
    fn a_message_has_exactly_the_octets_of_its_length() {
        assert_eq!(message(&ipfix(20, 20)), Ok(&ipfix(20, 20)[..]));
        assert_eq!(message(&ipfix(16, 24)), Ok(&ipfix(16, 16)[..]));
    }

    #[test]
    fn what_has_no_right_length_cannot_be_sent() {
        for (payload, reason) in [
            (ipfix(20, 19), Unsendable::Incomplete),
            (ipfix(20, 3), Unsendable::Incomplete),
            (ipfix(15, 20), Unsendable::NoLength),
            (ipfix(0, 20), Unsendable::NoLength),
            (vec![0, 9, 0, 1], Unsendable::Other(Some(Protocol::NetflowV9))),
            (vec![0, 0, 0, 5], Unsendable::Other(Some(Protocol::SflowV5))),
            (b"name".to_vec(), Unsendable::Other(None)),
            (Vec::new(), Unsendable::Other(None)),
        ] {
            assert_eq!(message(&payload), Err(reason), "{payload:?}");
        }
    }
}
