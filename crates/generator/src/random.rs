//! Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! 2014). Fast and uniform; not for secrets.

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A uniformly distributed number below this one; 0 if it is 0.
    pub(crate) const fn below(&mut self, limit: u32) -> u32 {
        // The upper half of a product of 32 bits and the limit (Lemire, 2019); the bias is below 2^-31.
        (((self.next() >> 32) * limit as u64) >> 32) as u32
    }

    /// True with this probability in percent.
    pub(crate) const fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < percent as u32
    }

    /// A rank below the limit. Each doubling of the rank is as likely as the one before, which is Zipf's law within a
    /// factor of two, in integers.
    pub(crate) const fn rank(&mut self, limit: u32) -> u32 {
        let octave = self.below(u32::BITS - limit.leading_zeros());
        let start = 1_u32 << octave;
        let end = if limit < 2 * start - 1 { limit } else { 2 * start - 1 };
        start - 1 + self.below(end + 1 - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_limit_and_reach_everything() {
        let mut random = Random::new(1);
        for limit in [1, 2, 3, 7, 8, 9, 100] {
            let mut even = vec![0; limit as usize];
            let mut ranked = even.clone();
            for _ in 0..limit * 200 {
                even[random.below(limit) as usize] += 1;
                ranked[random.rank(limit) as usize] += 1;
            }
            assert!(even.iter().chain(&ranked).all(|count| *count > 0), "{limit}: {even:?} {ranked:?}");
        }
        assert_eq!((random.below(0), random.below(1), random.rank(1)), (0, 0, 0));
    }

    #[test]
    fn low_ranks_are_the_most_likely() {
        let mut random = Random::new(2);
        let ranks: Vec<u32> = (0..100_000).map(|_| random.rank(1 << 16)).collect();
        let share = |below| ranks.iter().filter(|rank| **rank < below).count();
        assert!((5000..7000).contains(&share(1)), "{}", share(1));
        assert!((46_000..54_000).contains(&share(255)), "{}", share(255));
    }
}
