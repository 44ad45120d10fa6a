//! Integers of variable length: seven bits an octet, the lowest first, as protobuf and Kafka's record batches have them.

/// Appends an unsigned integer.
#[inline]
pub(crate) fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
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
    let bits = u64::BITS - (zigzag(number) | 1).leading_zeros();
    bits.div_ceil(7) as usize
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
    fn lengths_are_those_of_what_is_written() {
        for number in [0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            signed(number, &mut out);
            assert_eq!(signed_len(number), out.len(), "{number}");
        }
    }
}
