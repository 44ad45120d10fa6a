//! The flow record: what accounting needs from a data record of any protocol. Everything else in a record stays on the
//! wire, and `wire::Record::fields` reads it on request.

use std::net::{IpAddr, Ipv4Addr};

use crate::{AsSource, Timestamp};

/// One flow as the exporter reported it: counters are not yet multiplied by the sampling rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Source address; `0.0.0.0` if the record carries none.
    pub source: IpAddr,
    /// Destination address; `0.0.0.0` if the record carries none.
    pub destination: IpAddr,
    /// IP protocol number (IANA protocol numbers); 0 if not carried.
    pub protocol: u8,
    /// Source transport port; 0 if not carried. As the exporter sent it: [`Self::ports`] has those that count.
    pub source_port: u16,
    /// Destination transport port; 0 if not carried. As the exporter sent it: [`Self::ports`] has those that count.
    pub destination_port: u16,
    /// BGP AS number of the source; 0 if not carried.
    pub source_as: u32,
    /// BGP AS number of the destination; 0 if not carried.
    pub destination_as: u32,
    /// The letters of the source's country ([`Country::number`](crate::Country::number)); 0 if it was not looked up or is not
    /// known.
    pub source_country: u16,
    /// The letters of the destination's country.
    pub destination_country: u16,
    /// Which source has the AS number of the source; none as long as it was not looked up.
    pub source_as_from: AsSource,
    /// Which source has the AS number of the destination.
    pub destination_as_from: AsSource,
    /// Whether the record states that the source is known by a default route only (prefix length 0): then its AS number is that
    /// of a neighbour.
    pub is_source_by_default: bool,
    /// Whether the record states that the destination is known by a default route only.
    pub is_destination_by_default: bool,
    /// SNMP ifIndex (RFC 2863) of the interface through which the flow entered the exporter; 0 if not carried, or if the
    /// record has no single interface. In the reverse direction of a biflow it is the output interface.
    pub input_interface: u32,
    /// SNMP ifIndex of the interface through which the flow left the exporter; 0 as for the input interface. In the reverse
    /// direction of a biflow it is the input interface.
    pub output_interface: u32,
    /// From source to destination.
    pub forward: Counters,
    /// From destination to source, for records that report both (RFC 5103 biflows, ASA responder counters).
    pub reverse: Counters,
    /// The sampling rate, and its source.
    pub sampling: Sampling,
    /// Where the exporter observed it; `None` if it does not say.
    pub observed: Option<ObservedAt>,
    /// The export time of its datagram.
    pub exported: Timestamp,
}

/// On which side of its interfaces an exporter has observed a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedAt {
    /// Where its packets came in.
    Ingress,
    /// Where its packets went out.
    Egress,
}

impl FlowRecord {
    /// A record without values, exported at this time. Decoders fill in what they find.
    #[must_use]
    pub const fn empty(exported: Timestamp) -> Self {
        Self {
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            protocol: 0,
            source_port: 0,
            destination_port: 0,
            source_as: 0,
            destination_as: 0,
            source_country: 0,
            destination_country: 0,
            source_as_from: AsSource::None,
            destination_as_from: AsSource::None,
            is_source_by_default: false,
            is_destination_by_default: false,
            input_interface: 0,
            output_interface: 0,
            forward: Counters::ZERO,
            reverse: Counters::ZERO,
            sampling: Sampling::NONE,
            observed: None,
            exported,
        }
    }
}

impl FlowRecord {
    /// Source and destination port, by which the flow counts: 0 for ICMP and ICMPv6, which have none. Many exporters send
    /// type and code in the place of the destination port.
    #[inline(always)]
    #[must_use]
    pub const fn ports(&self) -> (u16, u16) {
        if self.is_icmp() { (0, 0) } else { (self.source_port, self.destination_port) }
    }

    /// Whether its protocol is ICMP or ICMPv6.
    #[must_use]
    pub const fn is_icmp(&self) -> bool {
        matches!(self.protocol, 1 | 58)
    }

    /// The flow as seen from its other end; its counters are unchanged.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            source_as: self.destination_as,
            destination_as: self.source_as,
            source_country: self.destination_country,
            destination_country: self.source_country,
            source_as_from: self.destination_as_from,
            destination_as_from: self.source_as_from,
            is_source_by_default: self.is_destination_by_default,
            is_destination_by_default: self.is_source_by_default,
            input_interface: self.output_interface,
            output_interface: self.input_interface,
            ..*self
        }
    }
}

/// No flow has this many bytes, packets or flows, after multiplication by its sampling rate. A link of 800 Gbit/s carries
/// as many bytes in 133 days, and a router of 51.2 Tbit/s in two days, while exporters report a flow at least once a week
/// (the largest active timeout). A power of two, so that one comparison covers all three counters.
pub const FLOW_LIMIT: u64 = 1 << 60;

/// Bytes, packets and flows. Sums saturate at 2^64 - 1: at 1 Tbit/s one counter reaches that after 4.6 years. A counter
/// with that value is therefore a lower bound, also after it was stored and added up ([`Counters::is_saturated`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Octets at layer 3 (at layer 2 where the exporter counts frames, as sFlow does).
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Flows: 1 for a flow record, more for a record that aggregates several.
    pub flows: u64,
}

impl Counters {
    /// Nothing counted.
    pub const ZERO: Self = Self { bytes: 0, packets: 0, flows: 0 };

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Whether a counter has reached its end, so that the true sum may be larger.
    #[must_use]
    pub const fn is_saturated(&self) -> bool {
        self.bytes == u64::MAX || self.packets == u64::MAX || self.flows == u64::MAX
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.flows = self.flows.saturating_add(other.flows);
    }

    /// Subtracts another count from this one; stops at zero.
    pub fn subtract(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.packets = self.packets.saturating_sub(other.packets);
        self.flows = self.flows.saturating_sub(other.flows);
    }

    /// Bytes and packets times a sampling rate. Flows are multiplied only where flows were sampled: a flow of which packets
    /// were sampled is still one flow. `None` if a counter is not below [`FLOW_LIMIT`]: no exporter has counted that, and one
    /// such flow would end a sum.
    #[must_use]
    pub fn scaled(self, sampling: Sampling) -> Option<Self> {
        let rate = u64::from(sampling.rate.max(1));
        let bytes = self.bytes.checked_mul(rate)?;
        let packets = self.packets.checked_mul(rate)?;
        let flows = self.flows.checked_mul(sampling.flows.max(1).into())?;
        ((bytes | packets | flows) < FLOW_LIMIT).then_some(Self { bytes, packets, flows })
    }
}

/// A sampling rate and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// One packet of this many was sampled; at least 1. Where flows were sampled, each reported packet counts this many times.
    pub rate: u32,
    /// One flow of this many was reported (RFC 7014); 1 where only packets were sampled. A factor of `rate`.
    pub flows: u16,
    /// Where the rate was found.
    pub source: SamplingSource,
}

impl Sampling {
    /// No known sampling: every packet was counted.
    pub const NONE: Self = Self::of_packets(1, SamplingSource::None);

    /// One packet of `rate` was sampled, and all flows were reported.
    #[must_use]
    pub const fn of_packets(rate: u32, source: SamplingSource) -> Self {
        Self { rate, flows: 1, source }
    }
}

/// Where a sampling rate was found, the highest precedence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SamplingSource {
    /// A setting of the sender.
    Setting,
    /// In the record itself.
    Record,
    /// In options data of the exporter.
    Options,
    /// In the header of the datagram.
    Header,
    /// Nowhere.
    None,
}

impl SamplingSource {
    /// Short lower-case name, as in `netflow decode`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Record => "record",
            Self::Options => "options",
            Self::Header => "header",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn one_of(rate: u32) -> Sampling {
        Sampling::of_packets(rate, SamplingSource::Record)
    }

    #[test]
    fn flow_sampling_multiplies_flows_too() {
        let counters = Counters { bytes: 1500, packets: 3, flows: 2 };
        let sampling = Sampling { rate: 200, flows: 20, source: SamplingSource::Options };
        assert_eq!(counters.scaled(sampling), Some(Counters { bytes: 300_000, packets: 600, flows: 40 }));
        assert_eq!(Counters { flows: FLOW_LIMIT / 2, ..counters }.scaled(sampling), None);
    }

    #[test]
    fn scaling_is_checked_and_leaves_flows_alone() {
        let counters = Counters { bytes: 1500, packets: 1, flows: 1 };
        assert_eq!(counters.scaled(one_of(1000)), Some(Counters { bytes: 1_500_000, packets: 1000, flows: 1 }));
        assert_eq!(Counters { bytes: u64::MAX / 2, packets: 1, flows: 1 }.scaled(one_of(3)), None);
    }

    #[test]
    fn more_than_a_link_can_carry_is_no_flow() {
        let most = FLOW_LIMIT - 1;
        let largest = Counters { bytes: most, packets: most, flows: most };
        assert_eq!(largest.scaled(one_of(1)), Some(largest));
        for beyond in [
            Counters { bytes: FLOW_LIMIT, ..largest },
            Counters { packets: FLOW_LIMIT, ..largest },
            Counters { flows: FLOW_LIMIT, ..largest },
        ] {
            assert_eq!(beyond.scaled(one_of(1)), None);
        }
        assert_eq!(Counters { bytes: most, packets: 0, flows: 1 }.scaled(one_of(2)), None);
        // A week at 800 Gbit/s in packets of 64 octets, of which one in a thousand was sampled.
        let (week, rate) = (7 * 86_400, 1000);
        let bytes = 100_000_000_000 / 1000 * week;
        assert!(Counters { bytes, packets: bytes / 64, flows: 1 }.scaled(one_of(rate)).is_some());
    }

    #[test]
    fn sums_saturate() {
        let mut sum = Counters { bytes: u64::MAX - 1, packets: 0, flows: 0 };
        sum.add(Counters { bytes: 5, packets: 1, flows: 1 });
        assert_eq!(sum, Counters { bytes: u64::MAX, packets: 1, flows: 1 });
        assert!(sum.is_saturated());
        let mut others = Counters { bytes: 9, packets: 9, flows: 9 };
        assert!(!others.is_saturated());
        others.add(sum);
        assert!(others.is_saturated());
    }
}
