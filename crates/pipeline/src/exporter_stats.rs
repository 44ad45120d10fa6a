//! Statistics of one exporter since the start: counts, clock, sampling rates. They are next to the exporter's session, under the same lock, and cost a few words for each datagram. The fates of flows are counted
//! outside of that lock.

use std::net::IpAddr;

use flow::{DatagramFate, Protocol, Sampling, Timestamp};
use view::{SampledRate, Unreadable};
use wire::{Arrivals, Decoded, Record, Unit};

use crate::counts::Counts;
use crate::exporters::Relayed;

/// Number of distinct sampling rates kept for an exporter.
const RATES_KEPT: usize = 8;

/// Statistics of one exporter, without the fates of its flows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExporterStats {
    pub(crate) counts: Counts,
    /// By `protocol as usize`.
    protocols: [u64; Protocol::ALL.len()],
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// The relay that its last datagram or records came through.
    pub(crate) relay: Option<IpAddr>,
    clock: Option<Clock>,
    /// Usually one.
    rates: Vec<RateSeen>,
    unreadable: Option<Box<Unreadable>>,
}

/// The exporter's clock and ours at its last datagram with flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    exported: Timestamp,
    received: Timestamp,
}

/// A sampling rate of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RateSeen {
    sampling: Sampling,
    last: Timestamp,
}

/// Observation domain, sampling rate and clock of a datagram, taken from its last flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastFlow(Option<Flow>);

#[derive(Clone, Copy, Debug)]
struct Flow {
    domain: u32,
    sampling: Sampling,
    clock: Clock,
}

impl LastFlow {
    /// Notes a record.
    #[inline]
    pub(crate) fn note(&mut self, record: &Record<'_>) {
        if let Some(flow) = record.flow {
            let clock = Clock { exported: flow.exported, received: record.message.received };
            self.0 = Some(Flow { domain: record.message.domain, sampling: flow.sampling, clock });
        }
    }

    /// Its observation domain and its sampling.
    pub(crate) fn sampling(self) -> Option<(u32, Sampling)> {
        self.0.map(|Flow { domain, sampling, .. }| (domain, sampling))
    }
}

/// The arrivals in the units that an exporter uses, for the REST interface.
pub(crate) fn used_units(arrivals: [Arrivals; Unit::ALL.len()]) -> Vec<view::Arrivals> {
    let counted = Unit::ALL.into_iter().zip(arrivals).filter(|(_, arrivals)| *arrivals != Arrivals::default());
    let shown = counted.map(|(unit, Arrivals { received, lost, filled, duplicates, late, restarts })| view::Arrivals {
        unit: unit.name(),
        received,
        lost,
        filled,
        duplicates,
        late,
        restarts,
    });
    shown.collect()
}

impl ExporterStats {
    /// Notes a decoded datagram, without the sampling rate of its flows.
    pub(crate) fn note(
        &mut self,
        datagram: &wire::Datagram<'_>,
        fate: DatagramFate,
        decoded: &Decoded,
        last: LastFlow,
    ) {
        let at = datagram.received;
        self.counts.datagrams[fate] += 1;
        self.counts.note(decoded);
        self.relay = None;
        self.hear(at, decoded.protocol);
        if let Some(error) = decoded.first_error {
            let version = datagram.payload.first_chunk().map_or(0, |octets| u16::from_be_bytes(*octets));
            let (error, offset) = (error.kind.name(), error.offset);
            self.unreadable = Some(Box::new(Unreadable { received: at, error, offset, version }));
        }
        // An sFlow datagram has no export time.
        if let LastFlow(Some(Flow { clock, .. })) = last
            && decoded.protocol.is_some_and(|protocol| !is_sflow(protocol))
        {
            self.clock = Some(clock);
        }
    }

    /// Notes a datagram of a relay, which is counted elsewhere.
    pub(crate) fn note_relayed(&mut self, &Relayed { relay, received, protocol, .. }: &Relayed) {
        self.relay = relay;
        self.hear(received, Some(protocol));
    }

    fn hear(&mut self, at: Timestamp, protocol: Option<Protocol>) {
        self.first.get_or_insert(at);
        self.last = self.last.max(Some(at));
        if let Some(count) = protocol.and_then(|protocol| self.protocols.get_mut(protocol as usize)) {
            *count += 1;
        }
    }

    /// Notes the sampling rate of flows.
    pub(crate) fn note_rate(&mut self, sampling: Sampling, at: Timestamp) {
        let place = self.rates.iter().position(|seen| seen.sampling == sampling);
        let new = RateSeen { sampling, last: at };
        if place.is_none() && self.rates.len() < RATES_KEPT {
            self.rates.reserve_exact(1);
            self.rates.push(new);
            return;
        }
        let oldest = || (0..RATES_KEPT).min_by_key(|place| self.rates.get(*place).map(|seen| seen.last));
        if let Some(place) = place.or_else(oldest).and_then(|place| self.rates.get_mut(place)) {
            *place = new;
        }
    }

    /// The protocols that the exporter uses, with the number of datagrams of each.
    pub(crate) fn protocols(&self) -> Vec<(&'static str, u64)> {
        let counted = Protocol::ALL.into_iter().zip(self.protocols).filter(|(_, datagrams)| *datagrams > 0);
        counted.map(|(protocol, datagrams)| (protocol.name(), datagrams)).collect()
    }

    /// The sampling rates of its flows, the most recent first.
    pub(crate) fn rates(&self) -> Vec<SampledRate> {
        let mut rates = self.rates.clone();
        rates.sort_by_key(|seen| std::cmp::Reverse(seen.last));
        let shown = rates.into_iter().map(|RateSeen { sampling, last }| SampledRate {
            rate: sampling.rate,
            source: sampling.source.name(),
            last,
        });
        shown.collect()
    }

    /// How far the exporter's clock is ahead of ours, in seconds with millisecond resolution. `None` if its protocol
    /// has no export time.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds need no more than 53 bits")]
    pub(crate) fn clock_offset_seconds(&self) -> Option<f64> {
        let Clock { exported, received } = self.clock?;
        let distance = exported.abs_diff(received).as_millis() as f64 / 1000.0;
        Some(if exported < received { -distance } else { distance })
    }

    pub(crate) fn unreadable(&self) -> Option<Unreadable> {
        self.unreadable.as_deref().copied()
    }
}

const fn is_sflow(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::SflowV2 | Protocol::SflowV4 | Protocol::SflowV5)
}

#[cfg(test)]
mod tests {
    use flow::Exporter;
    use wire::encode;
    use wire::{Session, SessionLimits, netflow_v5};

    use super::*;

    /// A datagram of ten flows.
    fn take(stats: &mut ExporterStats, session: &mut Session, at: Timestamp, sequence: u32, sampling: u16) {
        let header = netflow_v5::Header {
            sequence: sequence.into(),
            sampling: sampling.into(),
            unix_seconds: u32::try_from(at.seconds()).unwrap().into(),
            ..Default::default()
        };
        let payload = encode::netflow_v5(&header, &[netflow_v5::Record::default(); 10]);
        let exporter = Exporter::udp(std::net::Ipv4Addr::LOCALHOST.into(), 1);
        let datagram = wire::Datagram { exporter, received: at, payload: &payload };
        let mut last = LastFlow::default();
        let decoded = session.decode(&datagram, &mut |record| last.note(record));
        stats.note(&datagram, DatagramFate::Decoded, &decoded, last);
        last.sampling().into_iter().for_each(|(_, sampling)| stats.note_rate(sampling, at));
    }

    #[test]
    fn the_last_eight_rates_are_kept_with_their_source() {
        let (mut stats, mut session) = (ExporterStats::default(), Session::new(SessionLimits::default()));
        for number in 0..12_u16 {
            take(&mut stats, &mut session, Timestamp::from_seconds(u64::from(number)), 0, number);
        }
        let rates = stats.rates();
        assert_eq!(rates.len(), RATES_KEPT);
        let newest = &rates[0];
        assert_eq!((newest.rate, newest.source), (11, "header"));
        assert_eq!(stats.clock_offset_seconds(), Some(0.0));
    }
}
