//! Statements about sampling in records: one of how many packets or flows is reported, and in which scope.
//!
//! In options data it is a statement about its scope (RFC 7011, section 3.4.2.1; RFC 3954, section 6.1) and about the sampler
//! or selector that it names; in a data record, about that record. A statement that cannot be true is [`Implausible`].

use std::net::IpAddr;

use super::source::{LINE_CARD_ID, OBSERVATION_POINT_ID};
use crate::cursor::unsigned;
use crate::field_specifier::{FieldSpecifier, Numbering};
use crate::record::ElementId;
use crate::template::{self, Template};

/// The largest rate that is believed. Routers offer up to 16,000,000 (Junos, `sampling input rate`).
const LARGEST_RATE: u64 = 1 << 24;
/// The highest samplingAlgorithm (35) and samplerMode (49): random (RFC 3954, section 8). 0 is sent by exporters that do not
/// sample.
const LAST_ALGORITHM: u64 = 2;
/// The highest selectorAlgorithm (304) and flowSelectorAlgorithm (390) in IANA's registries.
const LAST_SELECTOR: u64 = 9;

/// The first of these numbers of selectorAlgorithm and flowSelectorAlgorithm (RFC 5477, section 8.2.1; RFC 7014, section 6.2).
const SYSTEMATIC_BY_COUNT: u64 = 1;
const SYSTEMATIC_BY_TIME: u64 = 2;
const RANDOM: u64 = 3;
const UNIFORM: u64 = 4;

/// What was sampled: one of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rate {
    /// The factor of packets and octets: one of this many packets was sampled.
    pub(crate) packets: u32,
    /// The factor of flows: one of this many was reported. It is also in `packets`.
    pub(crate) flows: u16,
}

/// What options data speak of, within their observation domain. Of several scope fields, the narrowest counts: the last of
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All records of the domain: the system, the domain, its metering or exporting process.
    Domain,
    /// The records of an exporter, of several behind a relay; all records of the domain if they name none.
    Exporter(IpAddr),
    /// Something that records do not name, such as a cache; the number distinguishes it from others.
    Other(u64),
    /// The records of a template.
    Template(u16),
    /// What a line card observes.
    LineCard(u64),
    /// What is observed at an observation point.
    ObservationPoint(u64),
    /// What leaves through an interface.
    OutputInterface(u64),
    /// What passes an interface.
    Interface(u64),
}

impl Scope {
    /// Whether it is a part of the domain that records name by a field of theirs.
    pub(crate) const fn is_place(self) -> bool {
        matches!(self, Self::LineCard(_) | Self::ObservationPoint(_) | Self::OutputInterface(_) | Self::Interface(_))
    }
}

/// A statement about sampling in options data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Another domain than that of the message, if the scope names it.
    pub(crate) domain: Option<u32>,
    pub(crate) of: Subject,
    pub(crate) rate: Result<Rate, Implausible>,
}

/// What a statement is about, within its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject {
    pub(crate) scope: Scope,
    /// The sampler or selector; `None` for everything in the scope.
    pub(crate) sampler: Option<u64>,
}

impl Subject {
    /// Everything in the domain.
    pub(crate) const DOMAIN: Self = Self { scope: Scope::Domain, sampler: None };
}

/// A value that no sampler has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implausible {
    /// The information element of IANA's registry.
    pub element: u16,
    /// Its value, or the rate that it gives. A probability is in thousandths.
    pub value: u64,
}

/// The elements that give a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Parameter {
    Interval,
    Algorithm,
    Mode,
    RandomInterval,
    SelectorAlgorithm,
    PacketInterval,
    PacketSpace,
    TimeInterval,
    TimeSpace,
    Size,
    Population,
    Probability,
    FlowSelectorAlgorithm,
    FlowInterval,
    FlowSpacing,
    FlowTimeInterval,
    FlowTimeSpacing,
}

impl Parameter {
    const COUNT: usize = Self::FlowTimeSpacing as usize + 1;

    const fn of(element: ElementId) -> Option<Self> {
        if element.enterprise != 0 {
            return None;
        }
        Some(match element.id {
            34 => Self::Interval,
            35 => Self::Algorithm,
            49 => Self::Mode,
            50 => Self::RandomInterval,
            304 => Self::SelectorAlgorithm,
            305 => Self::PacketInterval,
            306 => Self::PacketSpace,
            307 => Self::TimeInterval,
            308 => Self::TimeSpace,
            309 => Self::Size,
            310 => Self::Population,
            311 => Self::Probability,
            390 => Self::FlowSelectorAlgorithm,
            396 => Self::FlowInterval,
            397 => Self::FlowSpacing,
            398 => Self::FlowTimeInterval,
            399 => Self::FlowTimeSpacing,
            _ => return None,
        })
    }

    /// Whether it gives a rate, with others or alone, and does not only describe how packets are chosen.
    const fn is_rate(self) -> bool {
        !matches!(self, Self::Algorithm | Self::Mode | Self::SelectorAlgorithm | Self::FlowSelectorAlgorithm)
    }
}

/// Where the records of a template give a rate, if they do: at the same octets of each record, these from there on. An empty
/// list is for those that have it after fields of variable length.
#[derive(Clone, Debug)]
pub(crate) struct Parameters(Option<Box<[(Parameter, u16, u16)]>>);

impl Parameters {
    pub(crate) fn locate(fields: &[FieldSpecifier]) -> Self {
        let mut located = Vec::new();
        let (mut is_rate, mut offset) = (false, Some(0_u16));
        for field in fields {
            if let Some(parameter) = Parameter::of(field.element) {
                is_rate |= parameter.is_rate();
                located.push((parameter, offset, field.length));
            }
            offset = offset.zip(field.fixed_length()).and_then(|(offset, length)| offset.checked_add(length));
        }
        if !is_rate {
            return Self(None);
        }
        let fixed = located.into_iter().map(|(parameter, offset, length)| Some((parameter, offset?, length)));
        Self(Some(fixed.collect::<Option<_>>().unwrap_or_default()))
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Memory outside of the struct, in octets.
    pub(crate) fn heap_octets(&self) -> usize {
        self.0.as_ref().map_or(0, |located| size_of_val(&**located))
    }
}

/// The statement of an options data record; `None` if it gives no rate.
pub(crate) fn of_options(template: &Template, record: &[u8]) -> Option<Statement> {
    let scope_fields = template.kind().scope_fields();
    let mut values = Values::default();
    let mut statement =
        Statement { domain: None, of: Subject::DOMAIN, rate: Err(Implausible { element: 0, value: 0 }) };
    for (index, (field, octets)) in template.fields_of(record).enumerate() {
        match (index < scope_fields, template.numbering()) {
            (true, Numbering::NetflowV9) => statement.narrow(scope_of_v9(field.element.id, octets)),
            (true, Numbering::Ipfix) if field.element == OBSERVATION_DOMAIN_ID => {
                statement.domain = u32::try_from(unsigned(octets)).ok().filter(|domain| *domain > 0);
            }
            (true, Numbering::Ipfix) if !SAMPLERS.contains(&field.element) => {
                statement.narrow(scope_of_ipfix(field.element, octets));
            }
            _ => {}
        }
        if index >= scope_fields || template.numbering() == Numbering::Ipfix {
            if SAMPLERS.contains(&field.element) && statement.of.sampler.is_none() {
                statement.of.sampler = number(octets);
            }
            Parameter::of(field.element).into_iter().for_each(|parameter| values.note(parameter, octets));
        }
    }
    statement.rate = values.rate()?;
    Some(statement)
}

impl Statement {
    fn narrow(&mut self, scope: Scope) {
        self.of.scope = self.of.scope.max(scope);
    }
}

/// The rate in a data record, and whether its octets were in the wrong order ([`in_network_order`]).
pub(crate) fn of_record(template: &Template, record: &[u8]) -> Option<(Result<Rate, Implausible>, bool)> {
    let mut values = Values::default();
    match template.sampling().0.as_deref()? {
        located @ [_, ..] => {
            for &(parameter, offset, length) in located {
                let octets = record.get(offset.into()..).and_then(|octets| octets.get(..length.into()));
                values.note(parameter, octets.unwrap_or_default());
            }
        }
        [] => {
            for (field, octets) in template.fields_of(record) {
                Parameter::of(field.element).into_iter().for_each(|parameter| values.note(parameter, octets));
            }
        }
    }
    let is_reversed = values.put_in_network_order();
    Some((values.rate()?, is_reversed))
}

/// samplerId, selectorId.
const SAMPLERS: [ElementId; 2] = [iana(48), iana(302)];
const OBSERVATION_DOMAIN_ID: ElementId = iana(149);

const fn iana(id: u16) -> ElementId {
    ElementId { enterprise: 0, id }
}

/// A field as a number; `None` if it is none.
fn number(octets: &[u8]) -> Option<u64> {
    (1..=8).contains(&octets.len()).then(|| unsigned(octets))
}

/// The scope types of NetFlow v9 (RFC 3954, section 6.1). Interface 0 is none.
fn scope_of_v9(scope_type: u16, octets: &[u8]) -> Scope {
    match scope_type {
        1 => Scope::Domain,
        2 => interface(octets, Scope::Interface),
        3 => numbered(octets, Scope::LineCard),
        5 => template(octets),
        _ => other(octets),
    }
}

/// The scopes of IPFIX: elements that name a part of the observation domain, or all of it.
fn scope_of_ipfix(element: ElementId, octets: &[u8]) -> Scope {
    match (element.enterprise, element.id) {
        (0, 130 | 131) => template::address(octets).map_or(Scope::Domain, Scope::Exporter),
        // Its processes.
        (0, 143 | 144) => Scope::Domain,
        (0, 10 | 252) => interface(octets, Scope::Interface),
        (0, 14 | 253) => interface(octets, Scope::OutputInterface),
        (0, OBSERVATION_POINT_ID) => numbered(octets, Scope::ObservationPoint),
        (0, LINE_CARD_ID) => numbered(octets, Scope::LineCard),
        (0, 145) => template(octets),
        _ => other(octets),
    }
}

fn numbered(octets: &[u8], scope: fn(u64) -> Scope) -> Scope {
    number(octets).map_or_else(|| other(octets), scope)
}

fn interface(octets: &[u8], scope: fn(u64) -> Scope) -> Scope {
    if number(octets) == Some(0) { Scope::Domain } else { numbered(octets, scope) }
}

fn template(octets: &[u8]) -> Scope {
    let id = number(octets).and_then(|id| u16::try_from(id).ok());
    id.filter(|id| *id > 0).map_or(Scope::Domain, Scope::Template)
}

fn other(octets: &[u8]) -> Scope {
    Scope::Other(number(octets).unwrap_or_else(|| crc32fast::hash(octets).into()))
}

/// The parameters in a record, 0 where it has none.
#[derive(Clone, Copy, Debug, Default)]
struct Values([u64; Parameter::COUNT]);

/// One of how many; `None` if the record does not give it.
type Factor = Result<Option<u64>, Implausible>;

impl Values {
    fn get(&self, parameter: Parameter) -> u64 {
        self.0.get(parameter as usize).copied().unwrap_or_default()
    }

    /// Notes a field. The first of repeated elements counts.
    fn note(&mut self, parameter: Parameter, octets: &[u8]) {
        if let Some(noted @ 0) = self.0.get_mut(parameter as usize) {
            *noted = number(octets).unwrap_or_default();
        }
    }

    /// RouterOS sends samplingInterval in each data record in little-endian order.
    fn put_in_network_order(&mut self) -> bool {
        let Some(interval) = self.0.get_mut(Parameter::Interval as usize) else { return false };
        let Ok(carried) = u32::try_from(*interval) else { return false };
        let corrected = in_network_order(carried);
        *interval = corrected.into();
        corrected != carried
    }

    /// The rate, if there is one.
    fn rate(&self) -> Option<Result<Rate, Implausible>> {
        let factors = || {
            let packets = self.of_packets()?;
            let flows = self.of_flows()?;
            Ok((packets, flows))
        };
        let (packets, flows) = match factors() {
            Ok((None, None)) => return None,
            Ok(factors) => factors,
            Err(implausible) => return Some(Err(implausible)),
        };
        Some(self.check_algorithms().and_then(|()| self.product(packets.unwrap_or(1), flows.unwrap_or(1))))
    }

    fn product(&self, packets: u64, flows: u64) -> Result<Rate, Implausible> {
        let rate = packets.saturating_mul(flows);
        let of = || (u32::try_from(rate).ok().filter(|_| rate <= LARGEST_RATE), u16::try_from(flows).ok());
        if let (Some(packets), Some(flows)) = of() {
            return Ok(Rate { packets, flows });
        }
        let named = [
            (50, Parameter::RandomInterval),
            (34, Parameter::Interval),
            (397, Parameter::FlowSpacing),
            (399, Parameter::FlowTimeSpacing),
            (310, Parameter::Population),
            (306, Parameter::PacketSpace),
            (308, Parameter::TimeSpace),
            (311, Parameter::Probability),
        ];
        let element = named.into_iter().find(|(_, parameter)| self.get(*parameter) > 0).map_or(34, |(id, _)| id);
        Err(Implausible { element, value: rate })
    }

    fn check_algorithms(&self) -> Result<(), Implausible> {
        for (element, parameter, last) in [
            (35, Parameter::Algorithm, LAST_ALGORITHM),
            (49, Parameter::Mode, LAST_ALGORITHM),
            (304, Parameter::SelectorAlgorithm, LAST_SELECTOR),
            (390, Parameter::FlowSelectorAlgorithm, LAST_SELECTOR),
        ] {
            let value = self.get(parameter);
            if value > last {
                return Err(Implausible { element, value });
            }
        }
        Ok(())
    }

    /// One of how many packets was looked at.
    fn of_packets(&self) -> Factor {
        let plain = [Parameter::RandomInterval, Parameter::Interval].into_iter().map(|interval| self.get(interval));
        if let Some(interval) = plain.into_iter().find(|interval| *interval > 0) {
            return Ok(Some(interval));
        }
        let by_count = || self.taken_and_left(305, Parameter::PacketInterval, Parameter::PacketSpace);
        let by_time = || self.taken_and_left(307, Parameter::TimeInterval, Parameter::TimeSpace);
        self.by_algorithm(self.get(Parameter::SelectorAlgorithm), by_count, by_time, !self.is_of_flows())
    }

    /// One of how many flows was reported (RFC 7014).
    fn of_flows(&self) -> Factor {
        let by_count = || self.taken_and_left(396, Parameter::FlowInterval, Parameter::FlowSpacing);
        let by_time = || self.taken_and_left(398, Parameter::FlowTimeInterval, Parameter::FlowTimeSpacing);
        self.by_algorithm(self.get(Parameter::FlowSelectorAlgorithm), by_count, by_time, self.is_of_flows())
    }

    /// Whether size, population and probability, which are the same elements for packets and flows, are of flows.
    fn is_of_flows(&self) -> bool {
        self.get(Parameter::FlowSelectorAlgorithm) > 0 && self.get(Parameter::SelectorAlgorithm) == 0
    }

    /// The factor by the parameters that belong to the algorithm, else by those that there are. Cisco IOS XR sends
    /// samplingPacketInterval beside the size and population of its random sampler.
    fn by_algorithm(
        &self,
        algorithm: u64,
        by_count: impl Fn() -> Factor,
        by_time: impl Fn() -> Factor,
        has_chances: bool,
    ) -> Factor {
        let random = || if has_chances { self.one_of_population() } else { Ok(None) };
        let uniform = || if has_chances { self.one_by_probability() } else { Ok(None) };
        let own = match algorithm {
            SYSTEMATIC_BY_COUNT => by_count()?,
            SYSTEMATIC_BY_TIME => by_time()?,
            RANDOM => random()?,
            UNIFORM => uniform()?,
            _ => None,
        };
        if own.is_some() {
            return Ok(own);
        }
        for factor in [&by_count as &dyn Fn() -> Factor, &random, &uniform, &by_time] {
            if let factor @ Some(_) = factor()? {
                return Ok(factor);
            }
        }
        Ok(None)
    }

    /// A number of packets or flows is taken, and then a number of them is left out (RFC 5477, sections 8.2.2 to 8.2.5; RFC 7014, section 6.2).
    fn taken_and_left(&self, element: u16, taken: Parameter, left: Parameter) -> Factor {
        match (self.get(taken), self.get(left)) {
            (0, 0) => Ok(None),
            // Nothing is taken.
            (0, _) => Err(Implausible { element, value: 0 }),
            (taken, left) => Ok(Some(rounded(taken.saturating_add(left), taken))),
        }
    }

    /// samplingSize out of samplingPopulation are taken.
    fn one_of_population(&self) -> Factor {
        match (self.get(Parameter::Size), self.get(Parameter::Population)) {
            (0, _) | (_, 0) => Ok(None),
            (size, population) if population < size => Err(Implausible { element: 310, value: population }),
            (size, population) => Ok(Some(rounded(population, size))),
        }
    }

    /// samplingProbability (RFC 5477, section 8.2.8): a float64, or a float32 in reduced-size encoding. As an integer, a
    /// float64 that is a usable probability is never below 2^32.
    fn one_by_probability(&self) -> Factor {
        let bits = self.get(Parameter::Probability);
        if bits == 0 {
            return Ok(None);
        }
        let probability = u32::try_from(bits).map_or(f64::from_bits(bits), |bits| f64::from(f32::from_bits(bits)));
        let rate = (1.0 / probability).round();
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let is_possible = probability <= 1.0 && (1.0..=LARGEST_RATE as f64).contains(&rate);
        if is_possible {
            return Ok(Some(rate as u64));
        }
        // A cast of a negative number, or of none, gives 0.
        Err(Implausible { element: 311, value: (probability * 1000.0) as u64 })
    }
}

/// The nearest whole number to a fraction.
const fn rounded(numerator: u64, denominator: u64) -> u64 {
    numerator.saturating_add(denominator / 2) / denominator
}

/// RouterOS sends the rate in each data record in little-endian order: 100 arrives as 100 x 2^24. A rate of 2^17 or more
/// whose low sixteen bits are zero is taken for one of these: no real rate is that large and that round. The 256 of RouterOS
/// arrives as 65536 and is left unchanged, because others could mean that.
const fn in_network_order(rate: u32) -> u32 {
    if rate >= 1 << 17 && rate.trailing_zeros() >= 16 { rate.swap_bytes() } else { rate }
}

#[cfg(test)]
mod tests;
