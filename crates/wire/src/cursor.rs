//! A reader over received bytes. A read beyond the end returns `None`; none can panic or reserve memory by a received
//! count.

/// A position in a piece of a datagram. All integers are in network byte order.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of a payload.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, offset: 0 }
    }

    /// Octets from the start of the payload.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The remaining octets.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of remaining octets.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether no octets remain.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next octets; `None`, without moving, if fewer remain.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        self.offset += length;
        Some(taken)
    }

    /// A cursor over only the next octets; its offsets still count from the start of the payload.
    pub fn section(&mut self, length: usize) -> Option<Cursor<'a>> {
        let offset = self.offset;
        self.take(length).map(|rest| Cursor { rest, offset })
    }

    /// Skips octets.
    pub fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    /// The next octets as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        self.offset += N;
        Some(*taken)
    }

    /// One octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// Two octets.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight octets.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// An unsigned integer of up to eight octets (RFC 7011, section 6.2: any length up to that of the type).
pub(crate) fn unsigned(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_beyond_the_end_moves_nothing() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u32(), None);
        assert_eq!(cursor.u16(), Some(0x0102));
        assert_eq!(cursor.take(2), None);
        assert_eq!((cursor.offset(), cursor.remaining()), (2, 1));
        let mut section = cursor.section(1).unwrap();
        assert_eq!(section.offset(), 2);
        assert_eq!(section.u8(), Some(3));
        assert!(section.is_empty() && cursor.is_empty());
    }
}
