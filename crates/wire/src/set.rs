//! The frame that NetFlow v9 and IPFIX share: a message is a chain of sets, each with an id and a length (RFC 7011,
//! section 3.3; RFC 3954, section 5: FlowSet). A damaged set affects only itself, unless its length is unusable.

use crate::cursor::Cursor;
use crate::decoded::Decoded;
use crate::error::ErrorKind;

/// Octets of a set header: id and length.
const HEADER_LENGTH: usize = 4;

/// The next set of a message, id and content; `None` at its end. Exporters pad messages with zeros, or with fewer octets
/// than a set header: neither is an error.
pub(crate) fn next<'a>(message: &mut Cursor<'a>, report: &mut Decoded) -> Option<(u16, Cursor<'a>)> {
    if message.remaining() < HEADER_LENGTH {
        return None;
    }
    let offset = message.offset();
    let all = message.rest();
    let (id, length) = (message.u16()?, usize::from(message.u16()?));
    let Some(content_length) = length.checked_sub(HEADER_LENGTH) else {
        if !is_zero(all) {
            report.error(offset, ErrorKind::SetTooShort);
        }
        *message = Cursor::new(&[]);
        return None;
    };
    let content = message.section(content_length);
    if content.is_none() {
        report.error(offset, ErrorKind::SetTooLong);
        *message = Cursor::new(&[]);
    }
    content.map(|content| (id, content))
}

/// Whether a template follows in a set, and not only padding. The caller finds the start of the padding once, with
/// [`padding`]: searching again for each template would be quadratic.
pub(crate) fn has_template(set: &Cursor<'_>, padding: usize) -> bool {
    set.remaining() >= HEADER_LENGTH && set.offset() < padding
}

/// The offset after the last octet that is not zero.
pub(crate) fn padding(set: &Cursor<'_>) -> usize {
    set.offset() + set.rest().iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1)
}

/// Whether all octets are padding.
pub(crate) fn is_zero(octets: &[u8]) -> bool {
    octets.iter().all(|&octet| octet == 0)
}
