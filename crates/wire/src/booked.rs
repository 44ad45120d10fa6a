//! What is booked of the records of a datagram that report sums ([`crate::connections`]), as octets to be kept beside the
//! datagram: who decodes it again later, without the memory of the connections, books the same.
//!
//! For each of these records: the CRC-32 of its octets (little-endian), an octet with a bit for each counter that is not 0,
//! and these counters (LEB128). Records are found by their checksums, because data sets that were queued may come in another
//! order.

use std::collections::VecDeque;

use crate::cursor::Cursor;

/// Octets and packets, then those of the other way.
pub(crate) type Sums = [u64; 4];

/// The bits of a number in an octet of LEB128, and the bit of those that another one follows.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// What is booked of a datagram.
#[derive(Debug, Default)]
pub(crate) struct Booked {
    now: Vec<u8>,
    /// What was booked when it was decoded before, of the records that have not come yet.
    before: VecDeque<(u32, Sums)>,
}

impl Booked {
    /// The records of another datagram come now.
    pub(crate) fn begin(&mut self) {
        self.now.clear();
    }

    /// All of them have come.
    pub(crate) fn end(&mut self) {
        self.before.clear();
    }

    /// What is booked of the present datagram.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.now
    }

    /// This was booked of the next datagram before. What is damaged is left out.
    pub(crate) fn book_as(&mut self, octets: &[u8]) {
        self.before.clear();
        let mut cursor = Cursor::new(octets);
        while let Some(booked) = take(&mut cursor) {
            self.before.push_back(booked);
        }
    }

    /// Books a record: what was booked of it before, if it was, else these sums. Returns which.
    pub(crate) fn book(&mut self, record: &[u8], sums: Sums) -> Sums {
        let checksum = crc32fast::hash(record);
        let known = self.before.iter().position(|(of, _)| *of == checksum).and_then(|place| self.before.remove(place));
        let sums = known.map_or(sums, |(_, sums)| sums);
        put(checksum, sums, &mut self.now);
        sums
    }
}

fn put(checksum: u32, sums: Sums, octets: &mut Vec<u8>) {
    octets.extend(checksum.to_le_bytes());
    octets.push(sums.iter().rev().fold(0, |bits, sum| bits << 1 | u8::from(*sum != 0)));
    for mut sum in sums.into_iter().filter(|sum| *sum != 0) {
        while sum >= MORE.into() {
            octets.push(sum as u8 | MORE);
            sum >>= BITS;
        }
        octets.push(sum as u8);
    }
}

fn take(cursor: &mut Cursor<'_>) -> Option<(u32, Sums)> {
    let checksum = cursor.array().map(u32::from_le_bytes)?;
    let bits = cursor.u8()?;
    let mut sums = [0; 4];
    for (place, sum) in sums.iter_mut().enumerate() {
        if bits >> place & 1 == 1 {
            *sum = take_number(cursor)?;
        }
    }
    Some((checksum, sums))
}

fn take_number(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(BITS as usize) {
        let octet = cursor.u8()?;
        number |= u64::from(octet & !MORE) << shift;
        if octet & MORE == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: Sums = [u64::MAX, 127, 128, 1 << 56];

    #[test]
    fn what_was_booked_is_booked_again_in_any_order() {
        let records: [&[u8]; 4] = [b"one", b"other", b"one", b""];
        let sums = [LARGE, [0; 4], [0, 1, 0, 300], [5, 0, 0, 0]];
        let mut booked = Booked::default();
        for (record, sums) in records.into_iter().zip(sums) {
            assert_eq!(booked.book(record, sums), sums);
        }
        let mut again = Booked::default();
        again.book_as(booked.octets());
        for (record, expected) in [(1, sums[1]), (3, sums[3]), (0, sums[0]), (2, sums[2])] {
            assert_eq!(again.book(records[record], [9; 4]), expected);
        }
        assert_eq!(again.book(b"new", [9; 4]), [9; 4], "it was not booked before");
        again.book_as(booked.octets());
        again.end();
        assert_eq!(again.book(records[0], [9; 4]), [9; 4], "it belongs to another datagram");
    }

    #[test]
    fn damaged_octets_are_left_out() {
        let mut booked = Booked::default();
        booked.book(b"one", LARGE);
        for length in 0..booked.octets().len() {
            let mut again = Booked::default();
            again.book_as(&booked.octets()[..length]);
            assert_eq!(again.book(b"one", [9; 4]), [9; 4]);
        }
        booked.book_as(&[0xff; 100]);
    }
}
