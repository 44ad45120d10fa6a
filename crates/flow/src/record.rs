//! The flow record: what accounting needs of a data record, whatever protocol it came by. Everything else that a
//! record carries stays on the wire and is read from there by who asks for it (`wire::Record::fields`).

use std::net::{IpAddr, Ipv4Addr};

use crate::Timestamp;

/// One flow, as the exporter reported it: counters are not yet multiplied by the sampling rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Source address; `0.0.0.0` when the record carries none.
    pub source: IpAddr,
    /// Destination address; `0.0.0.0` when the record carries none.
    pub destination: IpAddr,
    /// IP protocol number (IANA protocol numbers); 0 when not carried.
    pub protocol: u8,
    /// Source transport port; 0 when not carried.
    pub source_port: u16,
    /// Destination transport port; 0 when not carried.
    pub destination_port: u16,
    /// BGP AS number of the source; 0 when not carried.
    pub source_as: u32,
    /// BGP AS number of the destination; 0 when not carried.
    pub destination_as: u32,
    /// SNMP ifIndex (RFC 2863) of the interface that the flow entered the exporter by; 0 when not carried or when the
    /// record names no single interface. In the reverse direction of a biflow it is the output interface.
    pub input_interface: u32,
    /// SNMP ifIndex of the interface that the flow left the exporter by; 0 as for the input interface. In the reverse
    /// direction of a biflow it is the input interface.
    pub output_interface: u32,
    /// From source to destination.
    pub forward: Counters,
    /// From destination to source, for records that report both (RFC 5103 biflows, ASA responder counters).
    pub reverse: Counters,
    /// By how much the exporter thinned out packets before counting, and how we know.
    pub sampling: Sampling,
    /// When the exporter sent it: the export time of its datagram.
    pub exported: Timestamp,
}

impl FlowRecord {
    /// A record that carries nothing, exported at this time. Decoders fill in what they find.
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
            input_interface: 0,
            output_interface: 0,
            forward: Counters::ZERO,
            reverse: Counters::ZERO,
            sampling: Sampling::NONE,
            exported,
        }
    }
}

impl FlowRecord {
    /// The flow as seen from its other end. Its counters stay as they are.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            source_as: self.destination_as,
            destination_as: self.source_as,
            input_interface: self.output_interface,
            output_interface: self.input_interface,
            ..*self
        }
    }
}

/// Bytes, packets and flows. Sums saturate at 2^64 - 1 rather than wrap: at 1 Tbit/s that is 4.6 years in one counter.
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

    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.flows = self.flows.saturating_add(other.flows);
    }

    /// Takes another count from this one, which stops at zero.
    pub fn subtract(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.packets = self.packets.saturating_sub(other.packets);
        self.flows = self.flows.saturating_sub(other.flows);
    }

    /// Bytes and packets times a sampling rate; flows stay as they are, because a sampled flow is still one flow.
    /// `None` when the product does not fit 64 bits: such a rate is nonsense and must not be booked.
    #[must_use]
    pub fn scaled(self, rate: u32) -> Option<Self> {
        let rate = u64::from(rate);
        Some(Self { bytes: self.bytes.checked_mul(rate)?, packets: self.packets.checked_mul(rate)?, flows: self.flows })
    }
}

/// One of how many packets was looked at, with the source of that knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// One packet of this many was sampled; at least 1.
    pub rate: u32,
    /// Where the rate was learnt.
    pub source: SamplingSource,
}

impl Sampling {
    /// Every packet was counted, as far as is known.
    pub const NONE: Self = Self { rate: 1, source: SamplingSource::None };
}

/// Where a sampling rate was learnt, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SamplingSource {
    /// The record itself carries it.
    Record,
    /// Options data of the exporter describe the sampler.
    Options,
    /// The header of the datagram carries it.
    Header,
    /// Nobody said anything.
    None,
}

impl SamplingSource {
    /// Short lower-case name, as in `netflow decode`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
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

    #[test]
    fn scaling_is_checked_and_leaves_flows_alone() {
        let counters = Counters { bytes: 1500, packets: 1, flows: 1 };
        assert_eq!(counters.scaled(1000), Some(Counters { bytes: 1_500_000, packets: 1000, flows: 1 }));
        assert_eq!(Counters { bytes: u64::MAX / 2, packets: 1, flows: 1 }.scaled(3), None);
    }

    #[test]
    fn sums_saturate() {
        let mut sum = Counters { bytes: u64::MAX - 1, packets: 0, flows: 0 };
        sum.add(Counters { bytes: 5, packets: 1, flows: 1 });
        assert_eq!(sum, Counters { bytes: u64::MAX, packets: 1, flows: 1 });
    }
}
