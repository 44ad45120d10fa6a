//! Sampling rates from options data: one of how many packets each sampler selects.
//!
//! The rate of a flow is the first of these that is known: the rate in the record, the rate in options data of the sampler
//! that the record names, the rate in options data of its observation domain, the rate in the header. 0 is no rate.

use std::collections::{BTreeMap, btree_map};

use flow::{Protocol, Sampling, SamplingSource};
use hashbrown::HashMap;

use crate::booking::Slot;
use crate::datagram::Message;
use crate::plan::{Plan, Reading};

/// How many samplers are stored for one exporter address; routers have one for each line card or interface.
const SAMPLERS_KEPT: usize = 4096;

/// Protocol and observation domain of a sampler.
type Domain = (Protocol, u32);

/// A sampling rate from options data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The sampler; `None` for the rate of the domain.
    pub sampler: Option<u64>,
    /// One of this many packets is sampled; 0 is no rate.
    pub rate: u32,
}

/// The sampling of the records of one set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetSampling {
    /// The sampler of the last record; 0 if records name none.
    sampler: u64,
    /// Its sampling, so that it is looked up once.
    sampling: Sampling,
    /// Rates that had the wrong byte order.
    pub(crate) corrected: u32,
}

/// The samplers of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samplers {
    /// By domain and samplerId or selectorId.
    named: HashMap<(Domain, u64), u32>,
    /// The rate of domains whose options data name no sampler.
    unnamed: HashMap<Domain, u32>,
    /// How many of the named samplers of a domain have each rate.
    rates: HashMap<Domain, BTreeMap<u32, u32>>,
    /// Number of changes to the rates.
    changes: u64,
}

impl Samplers {
    /// Stores the sampling rate of an options data record, if it carries one.
    pub(crate) fn learn(&mut self, message: &Message, plan: &Plan, reading: &Reading<'_, '_>) {
        let Some(rate) = carried_rate(reading) else { return };
        let sampler = plan.fills(Slot::SamplerId).then(|| reading.number(Slot::SamplerId));
        self.set((message.protocol, message.domain), sampler, rate);
    }

    /// Stores the rate of a sampler, or of a domain as a whole.
    pub(crate) fn set(&mut self, domain: Domain, sampler: Option<u64>, rate: u32) {
        let known = match sampler {
            Some(sampler) => self.named.get(&(domain, sampler)),
            None => self.unnamed.get(&domain),
        };
        let (known, full) = (known.copied(), self.named.len() + self.unnamed.len() >= SAMPLERS_KEPT);
        if known == Some(rate) || (known.is_none() && full) {
            return;
        }
        self.changes += 1;
        let Some(sampler) = sampler else {
            self.unnamed.insert(domain, rate);
            return;
        };
        self.named.insert((domain, sampler), rate);
        let rates = self.rates.entry(domain).or_default();
        *rates.entry(rate).or_default() += 1;
        if let Some(before) = known
            && let btree_map::Entry::Occupied(mut samplers) = rates.entry(before)
        {
            *samplers.get_mut() -= 1;
            if *samplers.get() == 0 {
                samplers.remove();
            }
        }
    }

    /// All rates: domain, sampler if it is not that of the domain, rate.
    pub(crate) fn sorted(&self) -> Vec<(Domain, Option<u64>, u32)> {
        let named = self.named.iter().map(|((domain, sampler), rate)| (*domain, Some(*sampler), *rate));
        let unnamed = self.unnamed.iter().map(|(domain, rate)| (*domain, None, *rate));
        let mut sorted: Vec<_> = named.chain(unnamed).collect();
        sorted.sort_unstable();
        sorted
    }

    /// The same, for showing.
    pub(crate) fn list(&self) -> Vec<Sampler> {
        let sampler = |((protocol, domain), sampler, rate)| Sampler { protocol, domain, sampler, rate };
        self.sorted().into_iter().map(sampler).collect()
    }

    /// Number of changes to the rates.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// The sampling at the start of a set with this template.
    pub(crate) fn of_set(&self, message: &Message, plan: &Plan) -> SetSampling {
        let sampler = plan.fills(Slot::SamplerId).then_some(0);
        let sampling = self.sampling_of((message.protocol, message.domain), sampler);
        SetSampling { sampler: 0, sampling, corrected: 0 }
    }

    /// The rate of a flow record.
    #[inline]
    pub(crate) fn of(
        &self,
        message: &Message,
        plan: &Plan,
        reading: &Reading<'_, '_>,
        set: &mut SetSampling,
    ) -> Sampling {
        if plan.carries_sampling()
            && let Some(carried) = carried_rate(reading)
        {
            let rate = in_network_order(carried);
            set.corrected += u32::from(rate != carried);
            return Sampling { rate, source: SamplingSource::Record };
        }
        let sampler = reading.number(Slot::SamplerId);
        if sampler != set.sampler {
            set.sampler = sampler;
            set.sampling = self.sampling_of((message.protocol, message.domain), Some(sampler));
        }
        set.sampling
    }

    /// The sampling from options data of a sampler, or of records that name none.
    fn sampling_of(&self, domain: Domain, sampler: Option<u64>) -> Sampling {
        let rate = match sampler {
            Some(sampler) => self.named.get(&(domain, sampler)).or_else(|| self.unnamed.get(&domain)).copied(),
            None => self.of_domain(domain),
        };
        rate.map_or(Sampling::NONE, |rate| Sampling { rate, source: SamplingSource::Options })
    }

    /// The rate of records that name no sampler: that of the domain, or the only rate of its samplers.
    fn of_domain(&self, domain: Domain) -> Option<u32> {
        let of_all = || self.rates.get(&domain).filter(|rates| rates.len() == 1).and_then(|rates| rates.keys().next());
        self.unnamed.get(&domain).or_else(of_all).copied()
    }
}

/// RouterOS sends the rate in each data record in little-endian order: 100 arrives as 100 x 2^24. A rate of 2^17 or more
/// whose low sixteen bits are zero is taken for one of these: no real rate is that large and that round. The 256 of RouterOS
/// arrives as 65536 and is left unchanged, because others could mean that.
const fn in_network_order(rate: u32) -> u32 {
    if rate >= 1 << 17 && rate.trailing_zeros() >= 16 { rate.swap_bytes() } else { rate }
}

/// The sampling rate in a record.
fn carried_rate(reading: &Reading<'_, '_>) -> Option<u32> {
    let number = |slot| reading.number(slot);
    let plain = [Slot::RandomInterval, Slot::SamplingInterval].into_iter().map(number).find(|&interval| interval > 0);
    // samplingPacketInterval packets are taken, samplingPacketSpace packets are left out (RFC 5477, section 8.2).
    let systematic = (number(Slot::PacketInterval) > 0)
        .then(|| number(Slot::PacketInterval).saturating_add(number(Slot::PacketSpace)) / number(Slot::PacketInterval));
    // samplingSize packets out of samplingPopulation are taken.
    let random = (number(Slot::SamplingSize) > 0)
        .then(|| number(Slot::SamplingPopulation) / number(Slot::SamplingSize))
        .filter(|&rate| rate > 0);
    let uniform = || rate_of_probability(number(Slot::SamplingProbability));
    plain.or(systematic).or(random).and_then(|rate| u32::try_from(rate).ok()).or_else(uniform)
}

/// The rate of a samplingProbability (RFC 5477, section 8.2.8): a float64, or a float32 in reduced-size encoding. As an
/// integer, a float64 that is a usable probability is never below 2^32.
fn rate_of_probability(bits: u64) -> Option<u32> {
    let probability = u32::try_from(bits).map_or(f64::from_bits(bits), |bits| f64::from(f32::from_bits(bits)));
    let rate = (1.0 / probability).round();
    (1.0..=f64::from(u32::MAX)).contains(&rate).then_some(rate as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_means_the_rate_that_it_is_one_of() {
        let of = |probability: f64| rate_of_probability(probability.to_bits());
        assert_eq!([of(1.0), of(0.5), of(0.001), of(1.0 / 3.0)], [Some(1), Some(2), Some(1000), Some(3)]);
        assert_eq!(rate_of_probability(u64::from(0.01_f32.to_bits())), Some(100));
        for nonsense in [0.0, -0.5, 3.0, 1e-12, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_rate_in_little_endian_order_is_known_by_its_size() {
        for rate in [1_u32, 2, 64, 100, 255, 257, 512, 1000, 2222, 65_535] {
            assert_eq!(in_network_order(rate.swap_bytes()), rate);
            assert_eq!(in_network_order(rate), rate);
        }
        for rate in [0, 65_536, 100_000, 1_000_000, u32::MAX] {
            assert_eq!(in_network_order(rate), rate);
        }
    }
}
