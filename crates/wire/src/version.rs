//! The protocol of a datagram, by its content: on any port, one listener takes all protocols.

use flow::Protocol;

use crate::error::ErrorKind;

/// The protocol that a payload starts like. NetFlow and IPFIX have a version of 16 bits, sFlow one of 32.
///
/// # Errors
/// [`ErrorKind::TruncatedHeader`] for a payload that ends within its version, [`ErrorKind::UnknownVersion`] for every
/// other that has none of the known ones.
pub const fn protocol_of(payload: &[u8]) -> Result<Protocol, ErrorKind> {
    match *payload {
        [0, 0, 0, 2, ..] => Ok(Protocol::SflowV2),
        [0, 0, 0, 4, ..] => Ok(Protocol::SflowV4),
        [0, 0, 0, 5, ..] => Ok(Protocol::SflowV5),
        [0, 1, ..] => Ok(Protocol::NetflowV1),
        [0, 5, ..] => Ok(Protocol::NetflowV5),
        [0, 6, ..] => Ok(Protocol::NetflowV6),
        [0, 7, ..] => Ok(Protocol::NetflowV7),
        [0, 8, ..] => Ok(Protocol::NetflowV8),
        [0, 9, ..] => Ok(Protocol::NetflowV9),
        [0, 10, ..] => Ok(Protocol::Ipfix),
        [] | [_] | [0, 0] | [0, 0, _] => Err(ErrorKind::TruncatedHeader),
        _ => Err(ErrorKind::UnknownVersion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_version_is_recognised_by_its_first_octets() {
        for (payload, protocol) in [
            (&[0, 1][..], Ok(Protocol::NetflowV1)),
            (&[0, 10, 0, 16], Ok(Protocol::Ipfix)),
            (&[0, 0, 0, 2], Ok(Protocol::SflowV2)),
            (&[0, 0, 0, 4, 0], Ok(Protocol::SflowV4)),
            (&[0, 0, 0, 5], Ok(Protocol::SflowV5)),
            (&[0, 0, 0, 3], Err(ErrorKind::UnknownVersion)),
            (&[0, 0, 0], Err(ErrorKind::TruncatedHeader)),
            (&[0, 2], Err(ErrorKind::UnknownVersion)),
            (&[5, 0], Err(ErrorKind::UnknownVersion)),
            (&[0], Err(ErrorKind::TruncatedHeader)),
            (&[], Err(ErrorKind::TruncatedHeader)),
        ] {
            assert_eq!(protocol_of(payload), protocol, "{payload:?}");
        }
    }
}
