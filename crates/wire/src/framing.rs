//! Where the messages of a stream begin and end: of a connection (RFC 7011, section 10.4) or of a file (RFC 5655).
//!
//! Only IPFIX messages have a length in their header, so no other protocol can be sent this way.

use crate::ipfix::Header;

/// The version of IPFIX.
const VERSION: u16 = 10;

/// Why the octets of a stream are no IPFIX message. What follows cannot be read then: where the next message would begin is
/// not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMessage {
    /// Another version than 10.
    #[error("a message of version {0}{hint}, and only IPFIX, version {VERSION}, can be sent in a stream", hint = hint(*.0))]
    Version(u16),
    /// A length that is less than that of the header.
    #[error("a message of {0} octets, which is less than its header has")]
    Length(u16),
}

/// What these two octets begin, where that is known.
const fn hint(version: u16) -> &'static str {
    match version {
        // The first octet of a TLS record that begins a handshake (RFC 8446, section 5.1).
        0x1600..=0x16ff => " (a TLS handshake)",
        5 => " (NetFlow v5)",
        9 => " (NetFlow v9)",
        _ => "",
    }
}

/// The length of the message that begins with these octets, its header included; `None` while it is not known.
///
/// # Errors
/// If no message can begin with these octets.
pub const fn message_length(octets: &[u8]) -> Result<Option<usize>, NotAMessage> {
    match *octets {
        [] | [0] | [0, 10] | [0, 10, _] => Ok(None),
        [0, 10, high, low, ..] => match u16::from_be_bytes([high, low]) {
            length if (length as usize) < size_of::<Header>() => Err(NotAMessage::Length(length)),
            length => Ok(Some(length as usize)),
        },
        [version] => Err(NotAMessage::Version(u16::from_be_bytes([version, 0]))),
        [high, low, ..] => Err(NotAMessage::Version(u16::from_be_bytes([high, low]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_message_is_known_as_soon_as_its_octets_are_there() {
        let message = [0, 10, 1, 2, 0];
        for count in 0..4 {
            assert_eq!(message_length(&message[..count]), Ok(None));
        }
        assert_eq!(message_length(&message[..4]), Ok(Some(258)));
        assert_eq!(message_length(&message), Ok(Some(258)));
        assert_eq!(message_length(&[0, 10, 0, 16]), Ok(Some(16)));
        assert_eq!(message_length(&[0, 10, 0, 15]), Err(NotAMessage::Length(15)));
        assert_eq!(message_length(&[0, 9, 0, 16]), Err(NotAMessage::Version(9)));
        assert_eq!(message_length(&[0x16]), Err(NotAMessage::Version(0x1600)), "a TLS handshake");
        assert_eq!(message_length(b"GET"), Err(NotAMessage::Version(0x4745)));
        assert_eq!(
            NotAMessage::Version(0x1603).to_string(),
            "a message of version 5635 (a TLS handshake), and only IPFIX, version 10, can be sent in a stream"
        );
    }
}
