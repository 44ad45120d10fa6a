//! The error of sampled totals: sums from which the variance of a sampled total is known.
//!
//! An exporter that samples one of N packets reports the k sampled packets of a flow and their B bytes; N k packets and
//! N B bytes are counted. For independent samples the variance of the first is N (N - 1) k, and that of the second is
//! N (N - 1) times the sum of the squared packet lengths, of which a flow record still determines B² / k
//! (Duffield, Lund, Thorup: *Properties and prediction of flow statistics from sampled packet streams*, IMW 2002).
//! Variances of independent flows add up as counters do. No interface shows them yet.
//!
//! An exporter that reports one of F flows, whole, adds F (F - 1) times the square of what is counted of a flow when all are
//! reported; and what sampling its packets adds counts F times.

use flow::{Counters, Sampling};

/// Sums over sampled flows. Both saturate at 2^128 - 1. Flows with a rate of 1 add nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingVariance {
    /// For packets: the sum of N (N - 1) k, where only packets are sampled.
    pub packets: u128,
    /// For bytes: the sum of N (N - 1) B² / k, each term rounded down. A flow that reports bytes and no packets counts
    /// as one packet.
    pub bytes: u128,
}

impl SamplingVariance {
    /// No sampled flows.
    pub const ZERO: Self = Self { packets: 0, bytes: 0 };

    /// The sums of one flow, from its counters before they are multiplied by the sampling rate.
    #[must_use]
    pub fn of(sampled: Counters, sampling: Sampling) -> Self {
        if sampling.flows <= 1 {
            return Self::of_packets(sampled, sampling.rate);
        }
        let flows = u128::from(sampling.flows);
        let rate = sampling.rate / u32::from(sampling.flows);
        let of_packets = Self::of_packets(sampled, rate);
        let of_flow = |counter: u64, of_packets: u128| {
            let whole = u128::from(counter) * u128::from(rate);
            of_packets
                .saturating_mul(flows)
                .saturating_add(whole.saturating_mul(whole).saturating_mul(flows * (flows - 1)))
        };
        Self { packets: of_flow(sampled.packets, of_packets.packets), bytes: of_flow(sampled.bytes, of_packets.bytes) }
    }

    /// The sums of one flow of whose packets one of `rate` was sampled.
    fn of_packets(sampled: Counters, rate: u32) -> Self {
        let factor = u64::from(rate) * u64::from(rate.saturating_sub(1));
        let packets = u128::from(factor) * u128::from(sampled.packets);
        let divisor = sampled.packets.max(1);
        // Nearly all flows fit into 64 bits, in which division is many times faster.
        let bytes = match sampled.bytes.checked_mul(sampled.bytes) {
            Some(square) => {
                let (whole, rest) = (square / divisor, square % divisor);
                let of_rest = factor.checked_mul(rest).map(|product| u128::from(product / divisor));
                let of_rest = of_rest.unwrap_or_else(|| u128::from(factor) * u128::from(rest) / u128::from(divisor));
                // Together at most factor * square: no sum of two numbers of 64 bits overflows here.
                u128::from(factor) * u128::from(whole) + of_rest
            }
            None => Self::of_many_bytes(factor.into(), sampled.bytes.into(), divisor.into()),
        };
        Self { packets, bytes }
    }

    /// factor * bytes * bytes / divisor; an intermediate result may exceed 128 bits.
    #[cold]
    fn of_many_bytes(factor: u128, bytes: u128, divisor: u128) -> u128 {
        let (whole, rest) = (bytes * bytes / divisor, bytes * bytes % divisor);
        factor.saturating_mul(whole).saturating_add(factor * rest / divisor)
    }

    /// Adds the sums of other flows.
    pub fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

#[cfg(test)]
mod tests {
    use flow::SamplingSource;

    use super::*;

    fn one_of(rate: u32) -> Sampling {
        Sampling::of_packets(rate, SamplingSource::Record)
    }

    #[test]
    fn flow_sampling_adds_the_squares_of_whole_flows() {
        let sampled = Counters { bytes: 3000, packets: 5, flows: 1 };
        let sampling = Sampling { rate: 20, flows: 20, source: SamplingSource::Options };
        let SamplingVariance { packets, bytes } = SamplingVariance::of(sampled, sampling);
        assert_eq!((packets, bytes), (20 * 19 * 25, 20 * 19 * 9_000_000));
        // One of 20 flows, of which one of 10 packets.
        let SamplingVariance { packets, bytes } = SamplingVariance::of(sampled, Sampling { rate: 200, ..sampling });
        assert_eq!(packets, 20 * 90 * 5 + 20 * 19 * 2500);
        assert_eq!(bytes, 20 * 90 * 9_000_000 / 5 + 20 * 19 * 900_000_000);
    }

    fn of(rate: u32, packets: u64, bytes: u64) -> (u128, u128) {
        let SamplingVariance { packets, bytes } =
            SamplingVariance::of(Counters { bytes, packets, flows: 1 }, one_of(rate));
        (packets, bytes)
    }

    #[test]
    fn the_sums_are_those_of_the_formulas_rounded_down() {
        assert_eq!(of(1000, 1, 1500), (999_000, 999_000 * 2_250_000));
        assert_eq!(of(10, 3, 100), (270, 90 * 10_000 / 3));
        assert_eq!(of(2, 7, 10), (14, 28));
        assert_eq!(of(2, 0, 10), (0, 200));
        assert_eq!(of(5, 0, 0), (0, 0));
    }

    #[test]
    fn flows_that_are_not_sampled_add_nothing() {
        assert_eq!(of(1, 7, 1500), (0, 0));
        assert_eq!(of(0, 7, 1500), (0, 0));
    }

    #[test]
    fn the_largest_flows_saturate_and_do_not_wrap() {
        let factor = u128::from(u32::MAX) * u128::from(u32::MAX - 1);
        assert_eq!(of(u32::MAX, u64::MAX, u64::MAX), (factor * u128::from(u64::MAX), factor * u128::from(u64::MAX)));
        assert_eq!(of(u32::MAX, 1, u64::MAX).1, u128::MAX);
        let mut sum = SamplingVariance { packets: u128::MAX - 1, bytes: 0 };
        sum.add(SamplingVariance { packets: 2, bytes: 1 });
        assert_eq!(sum, SamplingVariance { packets: u128::MAX, bytes: 1 });
    }
}
