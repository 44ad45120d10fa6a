//! Sampling rates from options data: one of how many packets each sampler selects.
//!
//! The rate of a flow is the first of these that is known: the rate in the record, the rate in options data of the sampler
//! that the record names, the rate in options data of its observation domain, the rate in the header. 0 is no rate.
//!
//! Options data from the port that the flow came from take precedence. There are routers whose options data come from
//! another port than their flows (Juniper MX), so those of other ports count as well; but anybody can forge them. Options
//! data of another port count for a port
//! - if they were there before its first flows, which then gave the other port standing ([`crate::ports`]);
//! - else once they have been repeated for a minute ([`CONFIRMED`]).
//!
//! If several other ports announce rates, those of the port that began first count, until it has been silent ([`SILENT`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, btree_map};
use std::time::Duration;

use flow::{Protocol, Sampling, SamplingSource, Timestamp};
use hashbrown::HashMap;

use crate::booking::Slot;
use crate::datagram::Message;
use crate::plan::{Plan, Reading};
use crate::ports::{Entry, Ports, SILENT, Wanted};

/// How many samplers are stored for one exporter address; routers have one for each line card or interface.
const SAMPLERS_KEPT: usize = 4096;
/// How many ports may announce rates for one domain.
const PORTS_KEPT: usize = 8;
/// Rates from another port that were first announced after the flows count when they are still announced after this time.
const CONFIRMED: Duration = Duration::from_secs(60);

/// Protocol and observation domain of a sampler.
pub(crate) type Domain = (Protocol, u32);

/// A sampling rate from options data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The UDP port that announced it.
    pub port: u16,
    /// The sampler; `None` for the rate of the domain.
    pub sampler: Option<u64>,
    /// One of this many packets is sampled; 0 is no rate.
    pub rate: u32,
    /// When this port last announced a rate of the domain.
    pub announced: Timestamp,
}

/// The sampling of the records of one set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetSampling {
    /// The sampler of the last record; 0 if records name none.
    sampler: u64,
    /// Its sampling, so that it is looked up once.
    sampling: Sampling,
    /// The port that announced the rate, if it is another one than that of the records.
    pub(crate) other_port: Option<u16>,
    /// Rates that had the wrong byte order.
    pub(crate) corrected: u32,
}

/// Who announces rates: a port, for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcer {
    pub(crate) domain: Domain,
    pub(crate) port: u16,
    /// When it announced rates first, and last.
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

impl Announcer {
    /// Of rates that were stored without their port. Rates that any port announces replace them.
    pub(crate) const UNKNOWN: Self =
        Self { domain: (Protocol::Ipfix, 0), port: 0, first: Timestamp::EPOCH, last: Timestamp::EPOCH };
}

/// The rates that one port announced for a domain.
#[derive(Clone, Debug)]
struct PortRates {
    announcer: Announcer,
    /// By samplerId or selectorId.
    named: HashMap<u64, u32>,
    /// From options data that name no sampler.
    unnamed: Option<u32>,
    /// How many of the named samplers have each rate.
    rates: BTreeMap<u32, u32>,
}

/// The samplers of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samplers {
    /// For each domain, the ports in the order in which they began to announce rates.
    domains: HashMap<Domain, Vec<PortRates>>,
    /// The number of rates.
    count: usize,
    /// Number of changes to the rates.
    changes: u64,
}

impl PortRates {
    fn new(announcer: Announcer) -> Self {
        Self { announcer, named: HashMap::new(), unnamed: None, rates: BTreeMap::new() }
    }

    fn get(&self, sampler: Option<u64>) -> Option<u32> {
        match sampler {
            Some(sampler) => self.named.get(&sampler).copied(),
            None => self.unnamed,
        }
    }

    /// Sets a rate; returns whether it is a new one.
    fn set(&mut self, sampler: Option<u64>, rate: u32) -> bool {
        let Some(sampler) = sampler else { return self.unnamed.replace(rate).is_none() };
        let before = self.named.insert(sampler, rate);
        *self.rates.entry(rate).or_default() += 1;
        if let Some(before) = before
            && let btree_map::Entry::Occupied(mut samplers) = self.rates.entry(before)
        {
            *samplers.get_mut() -= 1;
            if *samplers.get() == 0 {
                samplers.remove();
            }
        }
        before.is_none()
    }

    fn len(&self) -> usize {
        self.named.len() + usize::from(self.unnamed.is_some())
    }

    /// The rate of records that name this sampler: its own, or that of the domain. Of records that name none: the rate of
    /// the domain, or the only rate of its samplers.
    fn of_records(&self, sampler: Option<u64>) -> Option<u32> {
        let only_rate = || self.rates.keys().next().filter(|_| self.rates.len() == 1).copied();
        match sampler {
            Some(_) => self.get(sampler).or(self.unnamed),
            None => self.unnamed.or_else(only_rate),
        }
    }
}

impl Samplers {
    /// Stores the sampling rate of an options data record, if it carries one.
    pub(crate) fn learn(&mut self, ports: &Ports, message: &Message, plan: &Plan, reading: &Reading<'_, '_>) {
        let Some(rate) = carried_rate(reading) else { return };
        let sampler = plan.fills(Slot::SamplerId).then(|| reading.number(Slot::SamplerId));
        let (domain, port, now) = ((message.protocol, message.domain), message.exporter.port, message.received);
        let all = self.domains.get_mut(&domain).map(Vec::as_mut_slice).unwrap_or_default();
        let mut is_new = true;
        if let Some(known) = all.iter_mut().find(|rates| rates.announcer.port == port) {
            known.announcer.last = known.announcer.last.max(now);
            match known.get(sampler) {
                Some(known) if known == rate => return,
                known => is_new = known.is_none(),
            }
        }
        if !is_new || self.make_room(ports, port, now) {
            self.set(Announcer { domain, port, first: now, last: now }, sampler, rate, now);
        }
    }

    /// Sets a rate that was stored, unless there are too many.
    pub(crate) fn restore(&mut self, announcer: Announcer, sampler: Option<u64>, rate: u32) {
        if self.count < SAMPLERS_KEPT {
            self.set(announcer, sampler, rate, Timestamp::EPOCH);
        }
    }

    /// After a restart of the collector: all announcers count as heard now, however long it was stopped.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        let known = self.domains.values_mut().flatten().map(|rates| &mut rates.announcer);
        known.filter(|known| known.last > Timestamp::EPOCH).for_each(|known| known.last = known.last.max(now));
    }

    fn set(&mut self, announcer: Announcer, sampler: Option<u64>, rate: u32, now: Timestamp) {
        let all = self.domains.entry(announcer.domain).or_default();
        let place = all.iter().position(|rates| rates.announcer.port == announcer.port);
        let place = place.unwrap_or_else(|| {
            if all.len() >= PORTS_KEPT {
                let silent = now.saturating_sub(SILENT);
                let silent = all.iter().position(|rates| rates.announcer.last < silent);
                self.count -= all.remove(silent.unwrap_or(PORTS_KEPT - 1)).len();
            }
            all.push(PortRates::new(announcer));
            all.len() - 1
        });
        if let Some(rates) = all.get_mut(place) {
            self.count += usize::from(rates.set(sampler, rate));
            self.changes += 1;
        }
    }

    /// Displaces the rates of other ports until there is room for one more.
    fn make_room(&mut self, ports: &Ports, port: u16, now: Timestamp) -> bool {
        if self.count < SAMPLERS_KEPT {
            return true;
        }
        let entries = self.domains.values().flatten().map(|rates| {
            let Announcer { domain, port, last, .. } = rates.announcer;
            Entry { key: (domain, port), port, size: rates.len(), used: last, heard: last }
        });
        let displaced = ports.displaced(&Wanted { port, size: 1, limit: SAMPLERS_KEPT, now }, entries);
        for (domain, port) in displaced {
            let Some(all) = self.domains.get_mut(&domain) else { continue };
            all.retain(|rates| rates.announcer.port != port);
            if all.is_empty() {
                self.domains.remove(&domain);
            }
        }
        self.count = self.domains.values().flatten().map(PortRates::len).sum();
        self.count < SAMPLERS_KEPT
    }

    /// All rates: by domain, in it by port in the order in which they began, that of the domain before those of samplers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Announcer, Option<u64>, u32)> {
        let mut domains: Vec<_> = self.domains.iter().collect();
        domains.sort_unstable_by_key(|(domain, _)| **domain);
        domains.into_iter().flat_map(|(_, all)| all).flat_map(|rates| {
            let mut named: Vec<_> = rates.named.iter().map(|(sampler, rate)| (Some(*sampler), *rate)).collect();
            named.sort_unstable();
            let unnamed = rates.unnamed.map(|rate| (None, rate));
            unnamed.into_iter().chain(named).map(|(sampler, rate)| (rates.announcer, sampler, rate))
        })
    }

    /// The same, for showing.
    pub(crate) fn list(&self) -> Vec<Sampler> {
        let sampler = |(announcer, sampler, rate)| {
            let Announcer { domain: (protocol, domain), port, last: announced, .. } = announcer;
            Sampler { protocol, domain, port, sampler, rate, announced }
        };
        self.iter().map(sampler).collect()
    }

    /// The port that announced this rate for a domain: this one, or else the first.
    pub(crate) fn announcer(&self, domain: Domain, port: u16, rate: u32) -> Option<u16> {
        let all = self.domains.get(&domain)?.iter();
        let announced = all.filter(|rates| rates.unnamed == Some(rate) || rates.rates.contains_key(&rate));
        let announced = announced.map(|rates| rates.announcer.port);
        announced.min_by_key(|announced| *announced != port)
    }

    /// Number of changes to the rates.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// The sampling at the start of a set with this template.
    pub(crate) fn of_set(&self, ports: &Ports, message: &Message, plan: &Plan) -> SetSampling {
        let sampler = plan.fills(Slot::SamplerId).then_some(0);
        let (sampling, other_port) = self.sampling_of(ports, message, sampler);
        SetSampling { sampler: 0, sampling, other_port, corrected: 0 }
    }

    /// The rate of a flow record.
    #[inline]
    pub(crate) fn of(
        &self,
        ports: &Ports,
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
            self.look_up(ports, message, sampler, set);
        }
        set.sampling
    }

    /// Looks up the rate of another sampler. Not inlined, because most sets name none or one.
    #[inline(never)]
    fn look_up(&self, ports: &Ports, message: &Message, sampler: u64, set: &mut SetSampling) {
        set.sampler = sampler;
        (set.sampling, set.other_port) = self.sampling_of(ports, message, Some(sampler));
    }

    /// The sampling from options data of a sampler, or of records that name none, and the port that announced it if it is
    /// another one.
    fn sampling_of(&self, ports: &Ports, message: &Message, sampler: Option<u64>) -> (Sampling, Option<u16>) {
        let Some(all) = self.domains.get(&(message.protocol, message.domain)) else { return (Sampling::NONE, None) };
        let sampling = |rate| Sampling { rate, source: SamplingSource::Options };
        let same_port = all.iter().find(|rates| rates.announcer.port == message.exporter.port);
        if let Some(rate) = same_port.and_then(|rates| rates.of_records(sampler)) {
            return (sampling(rate), None);
        }
        let other = by_other_port(all, ports, message, sampler);
        other.map_or((Sampling::NONE, None), |(port, rate)| (sampling(rate), Some(port)))
    }
}

/// The rate that counts for records of a message if their own port announces none, and the port that announces it.
fn by_other_port(all: &[PortRates], ports: &Ports, message: &Message, sampler: Option<u64>) -> Option<(u16, u32)> {
    let own_port = message.exporter.port;
    let since = ports.since(own_port);
    let counts = |Announcer { port, first, last, .. }: &Announcer| {
        since.is_none() || ports.is_older(*port, own_port) || *last >= first.saturating_add(CONFIRMED)
    };
    let counting = all.iter().filter(|rates| counts(&rates.announcer));
    let known = counting.filter_map(|rates| Some((rates.announcer, rates.of_records(sampler)?))).enumerate();
    let chosen = match since {
        // Its first flows: everything that they need has just been announced.
        None => known.max_by_key(|(_, (announcer, _))| announcer.last),
        Some(since) => {
            let recently = since.max(message.received.saturating_sub(SILENT));
            known.max_by_key(|(place, (announcer, _))| (announcer.last >= recently, Reverse(*place)))
        }
    };
    chosen.map(|(_, (announcer, rate))| (announcer.port, rate))
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
