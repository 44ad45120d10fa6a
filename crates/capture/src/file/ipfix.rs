//! IPFIX files (RFC 5655): IPFIX messages (RFC 7011), one after the other, without addresses. Of a message, only what cuts the
//! file is read here, by the rules of `wire::framing`, and the time.

use flow::Timestamp;

use super::{Frame, Octets, ReadError};
use crate::error::Damage;

/// The version of IPFIX, in the first two octets of each message.
const VERSION: u16 = 10;
/// Octets of the header of a message, which its length includes.
const HEADER: u16 = 16;

/// An IPFIX file after the first octets of its first message.
pub(super) struct Ipfix {
    /// What was read of the first message to recognise the file.
    first: Option<[u8; 4]>,
}

impl Ipfix {
    /// `None` if a message cannot begin so.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        message_length(magic).is_ok().then_some(Self { first: Some(magic) })
    }

    /// The next message, with its header. The offset becomes that of the message.
    pub(super) fn next_message(
        &mut self,
        octets: &mut Octets,
        buffer: &mut Vec<u8>,
        start: &mut u64,
    ) -> Result<Option<Frame>, ReadError> {
        let begin = match self.first.take() {
            Some(begin) => {
                *start = 0;
                begin
            }
            None => match octets.array_or_end::<4>()? {
                Some(begin) => begin,
                None => return Ok(None),
            },
        };
        let length = message_length(begin)?;
        buffer.clear();
        buffer.extend_from_slice(&begin);
        octets.append(buffer, u32::from(length) - begin.len() as u32)?;
        // The time at which a message was received is not in the file: it is that at which the message was exported.
        let exported = buffer.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |seconds| u32::from_be_bytes(*seconds));
        let received = Timestamp::from_seconds(exported.into());
        Ok(Some(Frame { received, link: None, original_length: length.into(), is_checked: false }))
    }
}

/// The length of the message that begins so, its header included.
fn message_length([a, b, c, d]: [u8; 4]) -> Result<u16, Damage> {
    match [[a, b], [c, d]].map(u16::from_be_bytes) {
        [VERSION, length] if length >= HEADER => Ok(length),
        [VERSION, length] => Err(Damage::MessageLength(length)),
        [version, _] => Err(Damage::Version(version)),
    }
}
