//! Terms in a segment: what the datagrams of a sender are counted by, such as its monitored prefixes. The journal keeps
//! their octets and does not know what they mean.
//!
//! Each segment states the terms of a sender before the first datagram that was counted by them. So a change has its place
//! between the datagrams around it, and a segment needs no other file. Long terms are split into several records.

/// Octets of terms in one record.
const PART: usize = 60_000;

/// Terms as the records so far state them.
#[derive(Debug, Default)]
pub(crate) struct StatedTerms {
    octets: Vec<u8>,
    /// How many of their parts were read.
    read: u8,
    /// How many parts they have.
    parts: u8,
}

impl StatedTerms {
    /// Adds the payload of the next record. Without the parts before it, the terms are unknown.
    pub(crate) fn add(&mut self, payload: &[u8]) {
        let Some((&[part, parts], octets)) = payload.split_first_chunk() else { return *self = Self::default() };
        if part == 0 {
            *self = Self { parts, ..Self::default() };
        }
        if (part, parts) != (self.read, self.parts) {
            return *self = Self::default();
        }
        self.octets.extend(octets);
        self.read += 1;
    }

    /// `None` while a part is missing.
    pub(crate) fn complete(&self) -> Option<&[u8]> {
        (self.read == self.parts && self.parts > 0).then_some(&self.octets)
    }
}

/// The payloads of the records that state these terms; none if there is too much of them.
pub(crate) fn payloads(terms: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let parts = u8::try_from(terms.chunks(PART).len()).unwrap_or(0);
    (0..parts).zip(terms.chunks(PART)).map(move |(part, octets)| [&[part, parts], octets].concat())
}
