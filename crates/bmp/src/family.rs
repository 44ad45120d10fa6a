//! The two address families, and prefixes of either.

use std::fmt::Debug;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Of the numbers that BGP has for unicast; others are not read.
    pub(crate) const fn of(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (1, 1) => Some(Self::V4),
            (2, 1) => Some(Self::V6),
            _ => None,
        }
    }

    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// Something for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Each<T> {
    pub(crate) v4: T,
    pub(crate) v6: T,
}

impl<T> Each<T> {
    pub(crate) const fn get(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    pub(crate) const fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// The addresses of a family, as numbers and as octets.
pub(crate) trait Address: Copy + Ord + Debug {
    /// Octets in network order: they compare as the numbers do, and are not aligned.
    type Octets: Copy + Ord + Debug;
    const BITS: u8;
    /// The leading bits that number the chunks of a snapshot.
    const CHUNK_BITS: u8;

    /// The number in this many leading bits, at most 32.
    fn leading(self, count: u8) -> usize;
    /// The number in the bits after the first `skipped`, as many as `count`, at most 32.
    fn after(self, skipped: u8, count: u8) -> usize;
    fn octets(self) -> Self::Octets;
    fn of_octets(octets: Self::Octets) -> Self;
    fn widen(self) -> u128;
    fn narrow(bits: u128) -> Self;
}

impl Address for u32 {
    type Octets = [u8; 4];
    const BITS: u8 = 32;
    // 4096 chunks of about 250 routes in a full table.
    const CHUNK_BITS: u8 = 12;

    #[inline]
    fn leading(self, count: u8) -> usize {
        self.checked_shr(32 - u32::from(count)).unwrap_or_default() as usize
    }

    #[inline]
    fn after(self, skipped: u8, count: u8) -> usize {
        (self << skipped).leading(count)
    }

    fn octets(self) -> [u8; 4] {
        self.to_be_bytes()
    }

    fn of_octets(octets: [u8; 4]) -> Self {
        Self::from_be_bytes(octets)
    }

    fn widen(self) -> u128 {
        self.into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "only numbers that come from `widen`")]
    fn narrow(bits: u128) -> Self {
        bits as Self
    }
}

impl Address for u128 {
    type Octets = [u8; 16];
    const BITS: u8 = 128;
    // Some hundred of 65,536 are in use; the largest of them have ten thousand routes.
    const CHUNK_BITS: u8 = 16;

    #[inline]
    fn leading(self, count: u8) -> usize {
        self.checked_shr(128 - u32::from(count)).unwrap_or_default() as usize
    }

    #[inline]
    fn after(self, skipped: u8, count: u8) -> usize {
        (self << skipped).leading(count)
    }

    fn octets(self) -> [u8; 16] {
        self.to_be_bytes()
    }

    fn of_octets(octets: [u8; 16]) -> Self {
        Self::from_be_bytes(octets)
    }

    fn widen(self) -> u128 {
        self
    }

    fn narrow(bits: u128) -> Self {
        bits
    }
}

/// The last address of a prefix.
pub(crate) const fn last<A: Address>(first: u128, length: u8) -> u128 {
    let host = A::BITS.saturating_sub(length);
    first | if host >= 128 { u128::MAX } else { (1 << host) - 1 }
}

/// The first address of the prefix of this length that contains the address.
pub(crate) const fn first<A: Address>(address: u128, length: u8) -> u128 {
    let host = A::BITS.saturating_sub(length);
    if host >= 128 { 0 } else { address >> host << host }
}

/// A prefix in a message, with the number of its path if the peer sends several paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) family: Family,
    /// The first address, in the low bits.
    pub(crate) first: u128,
    pub(crate) length: u8,
    pub(crate) path_identifier: u32,
}
