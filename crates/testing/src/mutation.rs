//! Mutations of datagrams and files. They follow from a seed, so that a failure can be repeated.

use crate::Random;

/// Numbers that break decoders as a count or a length.
const EXTREMES: [u32; 12] = [0, 1, 2, 3, 4, 255, 256, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// Changes octets in one way: truncated, continued by other octets, a bit flipped, a count or length overwritten, a
/// piece repeated.
pub fn mutate(random: &mut Random, octets: &mut Vec<u8>, other: &[u8]) {
    let place = random.index(octets.len().max(1));
    match random.below(8) {
        0 => octets.truncate(place),
        1 => {
            octets.truncate(place);
            octets.extend(&other[random.index(other.len().max(1))..]);
        }
        2 => {
            let piece = octets[place..].iter().copied().take(64).collect::<Vec<_>>();
            octets.splice(place..place, piece).for_each(drop);
        }
        3 | 4 => octets.iter_mut().skip(place).take(1).for_each(|octet| *octet ^= 1 << random.below(8)),
        _ => {
            let width = *random.pick(&[1, 2, 2, 2, 4, 4]);
            overwrite(octets, place / width * width, width, *random.pick(&EXTREMES));
        }
    }
    octets.truncate(usize::from(u16::MAX));
}

/// Writes the low octets of a number, as many as fit.
fn overwrite(octets: &mut [u8], place: usize, width: usize, number: u32) {
    let number = number.to_be_bytes();
    octets.iter_mut().skip(place).zip(&number[4 - width..]).for_each(|(octet, new)| *octet = *new);
}

/// The datagram with each number of two and of four octets set to 0, to 1 and to the maximum. These include all its
/// counts and lengths.
pub fn with_every_number_extreme(octets: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let places =
        [2, 4].into_iter().flat_map(|width| (0..octets.len() / width).map(move |index| (index * width, width)));
    places.flat_map(move |(place, width)| {
        [0, 1, u32::MAX].into_iter().map(move |number| {
            let mut changed = octets.to_vec();
            overwrite(&mut changed, place, width, number);
            changed
        })
    })
}
