//! The result of decoding one datagram, in numbers: what was read, what was not, and why.

use flow::Protocol;

use crate::error::{DecodeError, ErrorKind};
use crate::stream::Arrival;

/// How many errors of one datagram are listed; all are counted.
const ERRORS_KEPT: usize = 8;

/// The result of decoding one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The protocol; `None` if it is unknown.
    pub protocol: Option<Protocol>,
    /// Visited data records, including those of pending sets whose template was in this datagram.
    pub data: u32,
    /// Options data records (RFC 7011, section 3.4.2), and for sFlow counter samples.
    pub options: u32,
    /// Announcements of data templates.
    pub templates: u32,
    /// Announcements of options templates.
    pub options_templates: u32,
    /// Template withdrawals (RFC 7011, section 8.1). Over UDP they have no effect (`session_rules`).
    pub withdrawals: u32,
    /// Data sets whose template was missing.
    pub missing_template_sets: u32,
    /// Octets in those sets, without the set headers.
    pub missing_template_bytes: u32,
    /// Those of these sets that are pending.
    pub pending: u32,
    /// Those of these sets that were discarded, because data of connections are not queued. For the others there was no room.
    pub discarded_sets: u32,
    /// Sets of earlier datagrams that were decoded because their template was in this one.
    pub pending_decoded: u32,
    /// Data records of those sets; they are in `data` as well.
    pub pending_data: u32,
    /// Options data records of those sets; they are in `options` as well.
    pub pending_options: u32,
    /// Sets of earlier datagrams that expired before their template arrived.
    pub pending_expired: u32,
    /// Records whose sampling rate had the wrong byte order (MikroTik) and was corrected.
    pub corrected_rates: u32,
    /// Flows of packets in tunnels.
    pub tunnelled: u32,
    /// Those of which the packet inside is unknown, or what that contains, although it should count.
    pub inner_unknown: u32,
    /// Octets after the end of the IPFIX message.
    pub trailing_bytes: u32,
    /// How its sequence number compares with those before.
    pub arrival: Option<Arrival>,
    /// Templates of a connection with the id of another one that was not withdrawn. These and the next are among `errors`.
    pub redefined_templates: u32,
    /// Withdrawals of templates that there are not.
    pub unknown_withdrawals: u32,
    /// Number of pieces that could not be read.
    pub errors: u32,
    /// The first of them.
    pub first_error: Option<DecodeError>,
    further_errors: [Option<DecodeError>; ERRORS_KEPT - 1],
}

impl Decoded {
    /// Whether a data record of this datagram itself was decoded.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        self.data > self.pending_data
    }

    /// Records of all kinds that this datagram itself has brought so far: data, options data and templates.
    pub(crate) const fn records(&self) -> usize {
        let own = self.data - self.pending_data + self.options - self.pending_options;
        (own + self.templates + self.options_templates) as usize
    }

    /// Records that a piece of the datagram could not be read.
    pub fn error(&mut self, offset: usize, kind: ErrorKind) {
        let error = Some(DecodeError { offset, kind });
        let place = match self.errors.checked_sub(1) {
            None => Some(&mut self.first_error),
            Some(further) => self.further_errors.get_mut(further as usize),
        };
        if let Some(place) = place {
            *place = error;
        }
        self.errors = self.errors.saturating_add(1);
        match kind {
            ErrorKind::RedefinedTemplate => self.redefined_templates += 1,
            ErrorKind::UnknownWithdrawal => self.unknown_withdrawals += 1,
            _ => {}
        }
    }

    /// Adds the result of a pending set. Its errors are listed at the offset of its template, because the datagram that it
    /// came in is gone.
    pub(crate) fn add_pending(&mut self, set: &Self, template_offset: usize) {
        self.data += set.data;
        self.options += set.options;
        self.pending_decoded += 1;
        self.pending_data += set.data;
        self.pending_options += set.options;
        self.corrected_rates += set.corrected_rates;
        self.tunnelled += set.tunnelled;
        self.inner_unknown += set.inner_unknown;
        for error in set.listed_errors() {
            self.error(template_offset, error.kind);
        }
    }

    /// The errors in the order of the datagram, at most eight.
    pub fn listed_errors(&self) -> impl Iterator<Item = DecodeError> + '_ {
        self.first_error.into_iter().chain(self.further_errors.iter().copied().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_are_counted_and_the_first_ones_listed() {
        let mut decoded = Decoded::default();
        for offset in 0..20 {
            decoded.error(offset, ErrorKind::SetTooLong);
        }
        assert_eq!(decoded.errors, 20);
        assert_eq!(decoded.first_error, Some(DecodeError { offset: 0, kind: ErrorKind::SetTooLong }));
        assert_eq!(decoded.listed_errors().map(|error| error.offset).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }
}
