//! The frame that NetFlow v9 and IPFIX share: a message is a chain of sets, each with an id and a length (RFC 7011,
//! section 3.3; RFC 3954, section 5: FlowSet). A damaged set affects only itself, unless its length is unusable.

use crate::cursor::Cursor;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::field_specifier::FIRST_TEMPLATE_ID;
use crate::ipfix;

/// Octets of a set header: id and length. Records and sets are padded to a multiple of them.
pub(crate) const HEADER_LENGTH: usize = 4;

/// The most padding that an exporter may have counted in a length and not sent.
const LONGEST_PADDING: usize = HEADER_LENGTH - 1;

/// A set that ends after its datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutSet<'a> {
    pub(crate) id: u16,
    /// The content that is there.
    pub(crate) content: Cursor<'a>,
    /// How many octets are not.
    pub(crate) missing: usize,
}

/// The next set of a message, id and content; `None` at its end. Exporters pad messages with zeros, or with fewer octets
/// than a set header: neither is an error. A set that ends after the datagram is an error, and the last one. It is read
/// as far as it is there if only padding is missing, or if `is_cut` confirms that the datagram is incomplete. Otherwise
/// its length is wrong, and other sets may follow in what seems to be its content.
#[inline]
pub(crate) fn next<'a>(
    message: &mut Cursor<'a>,
    report: &mut Decoded,
    is_cut: impl FnOnce(&CutSet<'a>, &Decoded) -> bool,
) -> Option<(u16, Cursor<'a>)> {
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
    if let Some(content) = message.section(content_length) {
        return Some((id, content));
    }
    report.error(offset, ErrorKind::SetTooLong);
    let cut = CutSet { id, content: *message, missing: content_length - message.remaining() };
    *message = Cursor::new(&[]);
    (cut.missing <= LONGEST_PADDING || is_cut(&cut, report)).then_some((id, cut.content))
}

/// How many octets of a message are its sets, if the message is followed by more octets than its header announces. The
/// lengths of sets decide: one that begins within the message ends where its own length says, and further sets belong to
/// the message if they fill the datagram to its end.
pub(crate) fn extent(octets: &[u8], announced: usize) -> usize {
    let mut end = 0;
    while end + HEADER_LENGTH <= announced {
        match length_at(octets, end) {
            Some((_, length)) => end += length,
            None => return announced,
        }
    }
    // Less than a set header may be left: the length is wrong, or these octets are padding.
    let after = end.max(announced);
    let is_filled = is_filled_with_sets(octets, end) || is_filled_with_sets(octets, after);
    if after >= octets.len() || is_filled { octets.len() } else { after }
}

/// Whether sets of templates or data follow one another from an offset exactly to the end.
fn is_filled_with_sets(octets: &[u8], mut offset: usize) -> bool {
    while offset < octets.len() {
        match length_at(octets, offset) {
            Some((ipfix::TEMPLATE_SET | ipfix::OPTIONS_TEMPLATE_SET | FIRST_TEMPLATE_ID.., length)) => offset += length,
            _ => return false,
        }
    }
    offset == octets.len()
}

/// The id and the length of the set at an offset; `None` if the length is less than that of its header.
fn length_at(octets: &[u8], offset: usize) -> Option<(u16, usize)> {
    let [i0, i1, l0, l1] = *octets.get(offset..)?.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    (length >= HEADER_LENGTH).then_some((u16::from_be_bytes([i0, i1]), length))
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
