//! Integers of variable length: seven bits an octet, the lowest first, as protobuf and Kafka's record batches have them.

/// Appends an unsigned integer.
#[inline]
pub(crate) fn unsigned(number: u64, out: &mut Vec<u8>) {
    if number < 0x80 {
        out.push(number as u8);
        return;
    }
    // Always eight octets, of which those that are needed stay: appending one by one looks each time whether there is memory.
    let octets = seven_bits_each(number);
    let rest = number >> 56;
    if rest > 0 {
        out.extend_from_slice(&(octets | CONTINUED).to_le_bytes());
        unsigned_tail(rest, out);
        return;
    }
    let length = octets_of(number);
    let last = u64::MAX >> (u64::BITS - 8 * (length as u32 - 1));
    let end = out.len() + length;
    out.extend_from_slice(&(octets | CONTINUED & last).to_le_bytes());
    out.truncate(end);
}

/// The octets of an unsigned integer, and how many of them are its own: without a branch.
#[inline(always)]
pub(crate) const fn octets(number: u64) -> ([u8; 10], usize) {
    let length = octets_of(number);
    // All but the last one are continued.
    let continued =
        CONTINUED & !(u64::MAX << (8 * (length as u32 - 1) % u64::BITS)) | if length > 8 { CONTINUED } else { 0 };
    let [a, b, c, d, e, f, g, h] = (seven_bits_each(number) | continued).to_le_bytes();
    let last = (number >> 63) as u8;
    ([a, b, c, d, e, f, g, h, (number >> 56) as u8 & 0x7f | last << 7, last], length)
}

/// The bit of each octet that says that another one follows.
const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// The lowest 56 bits, seven in each octet.
const fn seven_bits_each(number: u64) -> u64 {
    let halves = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

/// What is above 56 bits.
fn unsigned_tail(rest: u64, out: &mut Vec<u8>) {
    if rest < 0x80 {
        out.push(rest as u8);
    } else {
        out.extend_from_slice(&[rest as u8 | 0x80, (rest >> 7) as u8]);
    }
}

/// How many octets a number has.
const fn octets_of(number: u64) -> usize {
    // As much as a division by 7, up to 64 bits.
    (((number | 1).ilog2() * 9 + 73) / 64) as usize
}

/// Appends a signed integer in zigzag: 0, -1, 1, -2 and so on.
#[inline]
pub(crate) fn signed(number: i64, out: &mut Vec<u8>) {
    unsigned(zigzag(number), out);
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// How many octets [`signed`] appends.
#[inline]
pub(crate) const fn signed_len(number: i64) -> usize {
    octets_of(zigzag(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_the_examples_of_protobuf() {
        let written = |number| {
            let mut out = Vec::new();
            unsigned(number, &mut out);
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [0x7f]);
        assert_eq!(written(150), [0x96, 0x01]);
        assert_eq!(written(u64::MAX).len(), 10);
        let zigzags: Vec<u64> = [0, -1, 1, -2, i64::MAX, i64::MIN].map(zigzag).to_vec();
        assert_eq!(zigzags, [0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
    }

    #[test]
    fn every_length_is_read_as_it_was_written() {
        for bits in 0..u64::BITS {
            for number in [1 << bits, (1 << bits) - 1, u64::MAX >> bits, 0x5555_5555_5555_5555 >> bits] {
                let mut out = vec![9];
                unsigned(number, &mut out);
                let parts = out[1..].iter().enumerate();
                let read = parts.clone().map(|(place, octet)| u64::from(octet & 0x7f) << (7 * place)).sum::<u64>();
                assert_eq!(read, number, "{out:?}");
                assert!(
                    parts.rev().map(|(_, octet)| octet & 0x80 != 0).eq((1..out.len()).map(|place| place > 1)),
                    "{out:?}"
                );
                assert_eq!(out.len() - 1, octets_of(number), "{out:?}");
                let (octets, length) = octets(number);
                assert_eq!(out[1..], octets[..length], "{number}");
            }
        }
    }

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for number in [0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            signed(number, &mut out);
            assert_eq!(signed_len(number), out.len(), "{number}");
        }
    }
}
