//! What became of a datagram and of a flow. Each one that was read has exactly one fate, so that the sums balance:
//! received = sum over [`DatagramFate`], flows decoded = sum over [`FlowFate`]. A fate is a metric label.

use std::ops::{Index, IndexMut};

/// What became of a datagram that was read from a socket, a capture or a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramFate {
    /// From a registered sender and decoded to its end.
    Decoded,
    /// From a registered sender; some of it could not be decoded, the rest was.
    Damaged,
    /// From a registered sender, but no export protocol that is known.
    UnknownVersion,
    /// From an address that is not registered; not decoded.
    Unregistered,
}

/// What became of a flow record that was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowFate {
    /// Counted for at least one prefix.
    Matched,
    /// Neither its source nor its destination is in a monitored prefix of the sender.
    Unmatched,
    /// The record carries no byte or packet counter to book, such as a firewall or NAT event.
    Event,
    /// With its sampling rate it has more bytes, packets or flows than any link can carry ([`crate::FLOW_LIMIT`]).
    Implausible,
    /// Observed at the other side of the exporter than the sender's setting `flowDirection` counts.
    OtherDirection,
    /// A sampled packet in which no IP header was found: encrypted, truncated, not IP, or of an unknown link layer.
    NoIpHeader,
    /// In a datagram of a relay, and of an exporter that is not registered.
    UnregisteredAgent,
}

/// An enumeration of fates with a count for each: see [`Tallied`].
pub trait Fate: Copy + 'static {
    /// All fates, in the order of [`Fate::index`].
    const ALL: &'static [Self];
    /// Position in [`Fate::ALL`].
    fn index(self) -> usize;
    /// Metric label.
    fn name(self) -> &'static str;
}

impl Fate for DatagramFate {
    const ALL: &'static [Self] = &[Self::Decoded, Self::Damaged, Self::UnknownVersion, Self::Unregistered];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Self::Decoded => "decoded",
            Self::Damaged => "damaged",
            Self::UnknownVersion => "unknown_version",
            Self::Unregistered => "unregistered",
        }
    }
}

impl Fate for FlowFate {
    const ALL: &'static [Self] = &[
        Self::Matched,
        Self::Unmatched,
        Self::Event,
        Self::Implausible,
        Self::OtherDirection,
        Self::NoIpHeader,
        Self::UnregisteredAgent,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Unmatched => "unmatched",
            Self::Event => "event",
            Self::Implausible => "implausible",
            Self::OtherDirection => "other_direction",
            Self::NoIpHeader => "no_ip_header",
            Self::UnregisteredAgent => "unregistered_agent",
        }
    }
}

/// A count for each fate, indexed by the fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tallied<F> {
    counts: [u64; LARGEST],
    fate: std::marker::PhantomData<F>,
}

/// As many counts as the largest set of fates needs.
const LARGEST: usize = 8;

impl<F: Fate> Tallied<F> {
    const FITS: () = assert!(F::ALL.len() <= LARGEST);

    /// All fates with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (F, u64)> + '_ {
        F::ALL.iter().copied().zip(self.counts)
    }

    /// The sum over all fates.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds the counts of another tally to this one.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

impl<F: Fate> Default for Tallied<F> {
    fn default() -> Self {
        let () = Self::FITS;
        Self { counts: [0; LARGEST], fate: std::marker::PhantomData }
    }
}

impl<F: Fate> Index<F> for Tallied<F> {
    type Output = u64;

    #[expect(clippy::indexing_slicing, reason = "FITS proves that every fate has its place")]
    fn index(&self, fate: F) -> &u64 {
        &self.counts[fate.index()]
    }
}

impl<F: Fate> IndexMut<F> for Tallied<F> {
    #[expect(clippy::indexing_slicing, reason = "FITS proves that every fate has its place")]
    fn index_mut(&mut self, fate: F) -> &mut u64 {
        &mut self.counts[fate.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_is_kept<F: Fate>() {
        for (index, fate) in F::ALL.iter().enumerate() {
            assert_eq!(fate.index(), index);
        }
    }

    #[test]
    fn every_fate_has_its_place_and_its_count() {
        order_is_kept::<DatagramFate>();
        order_is_kept::<FlowFate>();
        let mut tallied = Tallied::<FlowFate>::default();
        tallied[FlowFate::Unmatched] += 2;
        tallied[FlowFate::Event] += 1;
        let mut sum = tallied;
        sum.merge(&tallied);
        assert_eq!(sum[FlowFate::Unmatched], 4);
        assert_eq!(sum.total(), 6);
        assert_eq!(
            sum.iter().map(|(fate, _)| fate.name()).collect::<Vec<_>>(),
            ["matched", "unmatched", "event", "implausible", "other_direction", "no_ip_header", "unregistered_agent"]
        );
    }
}
