//! Tags, lengths and values in the encoding that SNMP uses (X.690, RFC 3417, section 8): definite lengths, tags of one octet.

/// A tag of one octet.
pub(crate) type Tag = u8;

pub(crate) const INTEGER: Tag = 0x02;
pub(crate) const OCTETS: Tag = 0x04;
pub(crate) const NULL: Tag = 0x05;
pub(crate) const OBJECT: Tag = 0x06;
pub(crate) const SEQUENCE: Tag = 0x30;

/// What remains to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value with its tag.
    pub(crate) fn any(&mut self) -> Option<(Tag, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            // No datagram needs more than four octets.
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    /// The next value, which must have this tag.
    pub(crate) fn take(&mut self, tag: Tag) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, value) = ahead.any()?;
        (found == tag).then_some(())?;
        *self = ahead;
        Some(value)
    }

    pub(crate) fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Reader)
    }

    pub(crate) fn integer(&mut self) -> Option<i64> {
        signed(self.take(INTEGER)?)
    }
}

/// A number of at most eight octets in two's complement.
fn signed(octets: &[u8]) -> Option<i64> {
    let first = octets.first().filter(|_| octets.len() <= 8)?;
    let start = if *first & 0x80 == 0 { 0 } else { -1 };
    Some(octets.iter().fold(start, |number, octet| number << 8 | i64::from(*octet)))
}

/// A number without a sign, such as a counter. Some agents leave out the leading zero.
pub(crate) fn unsigned(octets: &[u8]) -> Option<u64> {
    let octets = match octets {
        [0, rest @ ..] if rest.len() == 8 => rest,
        octets => octets,
    };
    (!octets.is_empty() && octets.len() <= 8).then_some(())?;
    Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

/// A value with its tag and length.
pub(crate) fn tagged(tag: Tag, value: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    match u8::try_from(value.len()) {
        Ok(length) if length < 0x80 => octets.push(length),
        _ => {
            let length = value.len().to_be_bytes();
            let significant = length.iter().skip_while(|octet| **octet == 0);
            octets.push(0x80 | u8::try_from(significant.clone().count()).unwrap_or(0x7f));
            octets.extend(significant);
        }
    }
    octets.extend_from_slice(value);
    octets
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

pub(crate) fn octets(value: &[u8]) -> Vec<u8> {
    tagged(OCTETS, value)
}

pub(crate) fn integer(number: i64) -> Vec<u8> {
    let octets = number.to_be_bytes();
    // The shortest form: an octet that repeats the sign of the next is left out.
    let repeats = |pair: &&[u8]| {
        matches!(pair, [0, next] if next & 0x80 == 0) || matches!(pair, [0xff, next] if next & 0x80 != 0)
    };
    let skip = octets.windows(2).take_while(repeats).count();
    tagged(INTEGER, octets.get(skip..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_read_as_they_are_written() {
        for number in [0, 1, -1, 127, 128, -128, -129, 255, 65_536, i64::MAX, i64::MIN, 2_147_483_647] {
            assert_eq!(Reader(&integer(number)).integer(), Some(number), "{number}");
        }
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(-128), [2, 1, 128]);
        for length in [0, 1, 127, 128, 255, 256, 65_535, 70_000] {
            let value = vec![7; length];
            assert_eq!(Reader(&octets(&value)).take(OCTETS), Some(value.as_slice()), "{length}");
        }
        assert_eq!(unsigned(&[0xff; 8]), Some(u64::MAX));
        assert_eq!(unsigned(&[0, 0xff, 0, 0, 0, 0, 0, 0, 0]), Some(0xff << 56));
        assert_eq!((unsigned(&[]), unsigned(&[1; 9])), (None, None));
    }

    #[test]
    fn what_is_too_long_or_has_no_definite_length_is_refused() {
        for octets in
            [&[4_u8][..], &[4, 1], &[4, 0x80, 0, 0], &[4, 0x85, 0, 0, 0, 0, 1, 0], &[4, 0x84, 255, 255, 255, 255]]
        {
            assert!(Reader(octets).any().is_none(), "{octets:?}");
        }
        let mut reader = Reader(&[4, 1, 9]);
        assert_eq!((reader.take(INTEGER), reader.take(OCTETS)), (None, Some(&[9][..])));
    }
}
