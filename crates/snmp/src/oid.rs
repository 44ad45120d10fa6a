//! Names of objects, and those that are asked for.

/// An object, by its numbers.
pub(crate) type Oid = Vec<u32>;

/// A longer name is none (RFC 3416, section 4.1).
const LONGEST: usize = 128;

pub(crate) const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
pub(crate) const SYS_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 5, 0];

/// Columns of ifTable and ifXTable (RFC 2863), to which the index of an interface is appended.
pub(crate) const IF_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 2];
pub(crate) const IF_SPEED: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 5];
pub(crate) const IF_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];
pub(crate) const IF_HIGH_SPEED: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 15];
pub(crate) const IF_ALIAS: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 18];

/// The statistics of the security model in a report (RFC 3414, section 5), without the last 0.
pub(crate) const USM_STATS: &[u32] = &[1, 3, 6, 1, 6, 3, 15, 1, 1];

/// The octets of a name.
pub(crate) fn write(oid: &[u32]) -> Vec<u8> {
    let (first, rest) = match oid {
        [first, second, rest @ ..] => (first.saturating_mul(40).saturating_add(*second), rest),
        [first] => (first.saturating_mul(40), &[][..]),
        [] => (0, &[][..]),
    };
    let mut octets = Vec::with_capacity(oid.len() + 8);
    for number in std::iter::once(&first).chain(rest) {
        for group in (1..5).rev() {
            if number >> (7 * group) > 0 {
                octets.push(0x80 | low_seven_bits(number >> (7 * group)));
            }
        }
        octets.push(low_seven_bits(*number));
    }
    octets
}

fn low_seven_bits(number: u32) -> u8 {
    number.to_be_bytes().last().map_or(0, |octet| octet & 0x7f)
}

/// The name in these octets.
pub(crate) fn read(octets: &[u8]) -> Option<Oid> {
    let mut oid = Oid::new();
    let mut number = 0_u32;
    for octet in octets {
        (number >> 25 == 0).then_some(())?;
        number = number << 7 | u32::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if oid.is_empty() {
            let first = (number / 40).min(2);
            oid.push(first);
            number -= first * 40;
        }
        oid.push(number);
        (oid.len() <= LONGEST).then_some(())?;
        number = 0;
    }
    (octets.last()? & 0x80 == 0).then_some(oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for oid in [SYS_UP_TIME, IF_ALIAS, USM_STATS, &[0, 0], &[2, 999, 3], &[1, 3, u32::MAX, 128, 127, 0]] {
            assert_eq!(read(&write(oid)).as_deref(), Some(oid));
        }
        assert_eq!(write(&[1, 3, 6, 1, 4, 1, 8072]), [0x2b, 6, 1, 4, 1, 0xbf, 0x08]);
    }

    #[test]
    fn names_that_end_early_or_are_too_large_are_refused() {
        for octets in [&[][..], &[0x80], &[0x2b, 0x86], &[0x2b, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(read(octets), None, "{octets:?}");
        }
        assert_eq!(read(&[1; 200]), None);
    }
}
