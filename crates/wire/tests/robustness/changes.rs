//! The ways in which datagrams go wrong, by a fixed seed, so that a failure can be repeated.

/// A generator of random numbers (splitmix64): the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit, 0 when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// One of these.
    pub fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Numbers that break decoders as a count or a length.
const EXTREMES: [u32; 12] = [0, 1, 2, 3, 4, 255, 256, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// Changes octets in one of the ways in which they go wrong: cut, continued by others, bits turned over, a count or
/// length overwritten, a piece sent twice.
pub fn change(random: &mut Random, octets: &mut Vec<u8>, other: &[u8]) {
    let place = random.below(octets.len());
    match random.below(8) {
        0 => octets.truncate(place),
        1 => {
            octets.truncate(place);
            octets.extend(&other[random.below(other.len())..]);
        }
        2 => {
            let piece = octets[place..].iter().copied().take(64).collect::<Vec<_>>();
            octets.splice(place..place, piece).for_each(drop);
        }
        3 | 4 => octets.iter_mut().skip(place).take(1).for_each(|octet| *octet ^= 1 << random.below(8)),
        _ => {
            let width = *random.of(&[1, 2, 2, 2, 4, 4]);
            overwrite(octets, place / width * width, width, *random.of(&EXTREMES));
        }
    }
    octets.truncate(usize::from(u16::MAX));
}

/// Writes the low octets of a number, as far as there is room.
fn overwrite(octets: &mut [u8], place: usize, width: usize, number: u32) {
    let number = number.to_be_bytes();
    octets.iter_mut().skip(place).zip(&number[4 - width..]).for_each(|(octet, new)| *octet = *new);
}

/// The datagram with every number of two octets, and every number of four, set to 0, to 1, and to the greatest: among
/// them all its counts and lengths.
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
