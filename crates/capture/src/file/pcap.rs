//! Classic pcap (draft-ietf-opsawg-pcap): a header of 24 octets, then records of 16 octets and a frame each. Both byte
//! orders, microseconds and nanoseconds.

use flow::Timestamp;

use super::{ByteOrder, FRAME_LIMIT, Frame, Octets, ReadError};
use crate::error::Damage;
use crate::frame::CHECKED_FILE_HEADER;
use crate::link::LinkLayer;

/// Unit of the fraction of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Microseconds,
    Nanoseconds,
}

/// Byte order and precision by the magic number; `None` when it is not one of pcap.
pub(super) fn recognise(magic: [u8; 4]) -> Option<(ByteOrder, Precision)> {
    match u32::from_be_bytes(magic) {
        0xa1b2_c3d4 => Some((ByteOrder::Big, Precision::Microseconds)),
        0xd4c3_b2a1 => Some((ByteOrder::Little, Precision::Microseconds)),
        0xa1b2_3c4d => Some((ByteOrder::Big, Precision::Nanoseconds)),
        0x4d3c_b2a1 => Some((ByteOrder::Little, Precision::Nanoseconds)),
        _ => None,
    }
}

/// A pcap file after its header.
pub(super) struct Pcap {
    order: ByteOrder,
    precision: Precision,
    link: LinkLayer,
    is_checked: bool,
}

impl Pcap {
    /// Reads the header after the magic number. `Err` of the inner result is an unsupported link layer.
    pub(super) fn start(
        octets: &mut Octets,
        order: ByteOrder,
        precision: Precision,
    ) -> Result<Result<Self, u16>, ReadError> {
        // Version, time zone and accuracy (always 0), snapshot length; then the link type in the low 16 bits.
        let header = octets.array::<20>()?;
        let is_checked =
            (order, precision) == (ByteOrder::Little, Precision::Nanoseconds) && CHECKED_FILE_HEADER.ends_with(&header);
        let [_, _, _, _, link] = order.words(&header);
        let link = (link & 0xffff) as u16;
        Ok(LinkLayer::from_number(link).map(|link| Self { order, precision, link, is_checked }).ok_or(link))
    }

    pub(super) fn next_frame(&self, octets: &mut Octets, buffer: &mut Vec<u8>) -> Result<Option<Frame>, ReadError> {
        let Some(header) = octets.array_or_end::<16>()? else { return Ok(None) };
        let [seconds, fraction, length, original_length] = self.order.words(&header);
        if length > FRAME_LIMIT {
            return Err(Damage::PacketLength(length).into());
        }
        octets.fill(buffer, length)?;
        let nanoseconds = match self.precision {
            Precision::Microseconds => fraction.saturating_mul(1000),
            Precision::Nanoseconds => fraction,
        };
        Ok(Some(Frame {
            received: Timestamp::new(seconds.into(), nanoseconds),
            link: Some(self.link),
            original_length,
            is_checked: self.is_checked,
        }))
    }
}
