//! Sets of numbers and of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::Country;

/// Numbers as ranges with both ends, in ascending order; they neither overlap nor touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges<T>(Vec<(T, T)>);

/// An unsigned integer.
pub trait Number: Copy + Ord {
    /// The number after it, if there is one.
    fn next(self) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Number for $number {
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        })*
    };
}

numbers!(u32, u64, u128);

impl<T> Ranges<T> {
    /// The first and the last number of each range.
    #[must_use]
    pub fn as_slice(&self) -> &[(T, T)] {
        &self.0
    }
}

impl<T: Number> Ranges<T> {
    pub(crate) fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if end.next().is_none_or(|next| first <= next) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// The range, if it is one.
    pub(crate) fn single(&self) -> Option<(T, T)> {
        if let [range] = *self.0 { Some(range) } else { None }
    }

    #[inline]
    pub(crate) fn contains(&self, number: T) -> bool {
        self.with(number).is_some()
    }

    /// Whether any number from `min` to `max` is in it.
    pub(crate) fn overlaps(&self, min: T, max: T) -> bool {
        let reached = self.0.partition_point(|(_, last)| *last < min);
        self.0.get(reached).is_some_and(|(first, _)| *first <= max)
    }

    /// Whether all numbers from `min` to `max` are in it.
    pub(crate) fn covers(&self, min: T, max: T) -> bool {
        self.with(min).is_some_and(|(_, last)| max <= last)
    }

    #[inline]
    fn with(&self, number: T) -> Option<(T, T)> {
        let begun = self.0.partition_point(|(first, _)| *first <= number);
        let range = begun.checked_sub(1).and_then(|index| self.0.get(index));
        range.copied().filter(|(_, last)| number <= *last)
    }

    fn texts(&self, text: impl Fn(T, T) -> String) -> impl Iterator<Item = String> {
        self.0.iter().map(move |&(first, last)| text(first, last))
    }
}

/// As the right side of a test: `= 53`, `= 1-1024`, or `in [53, 80-90]`.
impl fmt::Display for Ranges<u64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        numbers(self, |number| number.to_string(), f)
    }
}

/// The same for countries, by their letters.
pub(crate) struct Countries<'r>(pub(crate) &'r Ranges<u64>);

impl fmt::Display for Countries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let country = |number| Country::of_number(u16::try_from(number).ok()?);
        numbers(self.0, |number| country(number).map_or_else(|| number.to_string(), |country| country.to_string()), f)
    }
}

fn numbers(ranges: &Ranges<u64>, text: impl Fn(u64) -> String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let range = |first, last| if first == last { text(first) } else { format!("{}-{}", text(first), text(last)) };
    side(&ranges.texts(range).collect::<Vec<_>>(), f)
}

fn side(ranges: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ranges {
        [single] => write!(f, "= {single}"),
        _ => write!(f, "in [{}]", ranges.join(", ")),
    }
}

/// Addresses of both families. An IPv6 address that maps an IPv4 address is that IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet {
    pub(crate) v4: Ranges<u32>,
    pub(crate) v6: Ranges<u128>,
}

/// A range of addresses of one family, with both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressRange {
    V4(u32, u32),
    V6(u128, u128),
}

impl AddressRange {
    /// `None` if the ends are of two families, or the last is before the first.
    pub(crate) fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (flow::canonical(first), flow::canonical(last)) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Some(Self::V4(first.to_bits(), last.to_bits())),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Some(Self::V6(first.to_bits(), last.to_bits())),
            _ => None,
        }
    }

    pub(crate) fn of_prefix(prefix: &flow::Prefix) -> Self {
        let length = u32::from(prefix.length());
        match prefix.address() {
            IpAddr::V4(first) => {
                Self::V4(first.to_bits(), first.to_bits() | u32::MAX.checked_shr(length).unwrap_or_default())
            }
            IpAddr::V6(first) => {
                Self::V6(first.to_bits(), first.to_bits() | u128::MAX.checked_shr(length).unwrap_or_default())
            }
        }
    }
}

impl AddressSet {
    /// Those of IPv4, as numbers.
    #[must_use]
    pub const fn v4(&self) -> &Ranges<u32> {
        &self.v4
    }

    /// Those of IPv6, as numbers. A range may have those that map IPv4 addresses, which are none of it.
    #[must_use]
    pub const fn v6(&self) -> &Ranges<u128> {
        &self.v6
    }

    pub(crate) fn new(ranges: Vec<AddressRange>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                AddressRange::V4(first, last) => v4.push((first, last)),
                AddressRange::V6(first, last) => v6.push((first, last)),
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }

    /// The addresses, if they are at most this many and no range is among them.
    pub(crate) fn few(&self, most: usize) -> Option<impl Iterator<Item = IpAddr>> {
        let v4 = self.v4.0.iter().map(|(first, last)| (first == last, IpAddr::V4(Ipv4Addr::from_bits(*first))));
        let v6 = self.v6.0.iter().map(|(first, last)| (first == last, IpAddr::V6(Ipv6Addr::from_bits(*first))));
        let all = v4.chain(v6);
        let is_few = self.v4.0.len() + self.v6.0.len() <= most && all.clone().all(|(is_single, _)| is_single);
        is_few.then(|| all.map(|(_, address)| address))
    }

    #[inline]
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }
}

/// As the right side of a test: `= 192.0.2.1`, `= 10.0.0.0/8`, or `in [10.0.0.0/8, 2001:db8::/32]`.
impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.v4.texts(|first, last| {
            let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
            address_range(first.into(), last.into(), (first.to_bits() ^ last.to_bits()).leading_zeros())
        });
        let v6 = self.v6.texts(|first, last| {
            let (first, last) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last));
            address_range(first.into(), last.into(), (first.to_bits() ^ last.to_bits()).leading_zeros())
        });
        side(&v4.chain(v6).collect::<Vec<_>>(), f)
    }
}

/// An address, a prefix if the range is one, or the ends. They have as many leading bits in common as `length`.
fn address_range(first: IpAddr, last: IpAddr, length: u32) -> String {
    let prefix = flow::Prefix::new(first, length.into()).ok();
    match prefix.filter(|prefix| Some(AddressRange::of_prefix(prefix)) == AddressRange::new(first, last)) {
        _ if first == last => first.to_string(),
        Some(prefix) => prefix.to_string(),
        None => format!("{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_or_touch_are_one() {
        let ranges = Ranges::new(vec![(7, 9), (1, 3), (4, 4), (8, 12), (u64::MAX, u64::MAX), (20, u64::MAX)]);
        assert_eq!(ranges, Ranges(vec![(1, 4), (7, 12), (20, u64::MAX)]));
        let contained: Vec<u64> = (0..22).filter(|number| ranges.contains(*number)).collect();
        assert_eq!(contained, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 20, 21]);
    }

    #[test]
    fn a_span_is_in_it_as_a_whole_in_part_or_not_at_all() {
        let ranges = Ranges::new(vec![(10_u64, 20), (30, 40)]);
        for (min, max, overlaps, covers) in [
            (0, 9, false, false),
            (0, 10, true, false),
            (10, 20, true, true),
            (12, 12, true, true),
            (15, 35, true, false),
            (21, 29, false, false),
            (40, 50, true, false),
            (41, 50, false, false),
        ] {
            assert_eq!((ranges.overlaps(min, max), ranges.covers(min, max)), (overlaps, covers), "{min}-{max}");
        }
    }

    #[test]
    fn addresses_show_as_prefixes_where_they_are_some() {
        let prefix = |text: &str| AddressRange::of_prefix(&text.parse().unwrap());
        let range = |first: &str, last: &str| AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap();
        for (ranges, shown) in [
            (vec![prefix("192.0.2.1/32")], "= 192.0.2.1"),
            (vec![prefix("10.0.0.0/9"), prefix("10.128.0.0/9")], "= 10.0.0.0/8"),
            (vec![range("10.0.0.1", "10.0.0.2")], "= 10.0.0.1-10.0.0.2"),
            (vec![prefix("::/0"), prefix("0.0.0.0/0")], "in [0.0.0.0/0, ::/0]"),
            (vec![], "in []"),
        ] {
            assert_eq!(AddressSet::new(ranges).to_string(), shown);
        }
    }
}
