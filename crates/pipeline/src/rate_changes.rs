//! Changes of the sampling rates of an exporter's flows. A wrong or forged rate multiplies its traffic, so a rate that
//! changes by a factor is shown, with its time and with the port that announced it.
//!
//! Rates are compared within a stream: a protocol, an observation domain and a source port. A stream may have several rates,
//! of samplers or interfaces; those of its first datagrams, and those that it used last, are no changes.

use std::collections::{HashMap, VecDeque};

use flow::{Protocol, Sampling, Timestamp};
use view::RateChange;

/// A rate that is this many times as high, or as low, is a change.
const FACTOR: u32 = 2;
/// The datagrams with flows in which a stream shows which rates it has.
const LEARNT: u8 = 32;
/// Rates kept of a stream, the most recent ones.
const RATES_KEPT: usize = 4;
/// Streams kept of an exporter.
const STREAMS_KEPT: usize = 256;
/// Changes kept of an exporter, the most recent ones.
const CHANGES_KEPT: usize = 16;

/// Protocol, observation domain and source port.
type StreamKey = (Protocol, u32, u16);

/// The rates of the streams of one exporter, and their changes.
#[derive(Debug, Default)]
pub(crate) struct RateChanges {
    streams: HashMap<StreamKey, StreamRates>,
    /// The most recent first.
    changes: VecDeque<RateChange>,
}

/// The rates of a stream.
#[derive(Debug, Default)]
struct StreamRates {
    /// Datagrams with flows, as long as it is learnt.
    datagrams: u8,
    last: Timestamp,
    /// The most recent first; 0 is none yet.
    rates: [u32; RATES_KEPT],
}

impl StreamRates {
    /// Notes the rate of a datagram. Returns the rate before it if this is a change.
    #[inline]
    fn note(&mut self, rate: u32, at: Timestamp) -> Option<u32> {
        self.last = self.last.max(at);
        let is_learnt = self.datagrams >= LEARNT;
        self.datagrams = self.datagrams.saturating_add(1).min(LEARNT);
        let [before, ..] = self.rates;
        if rate == before {
            return None;
        }
        let is_change = is_learnt && self.rates.iter().all(|known| *known == 0 || is_factor(*known, rate));
        let place = self.rates.iter().position(|known| *known == rate).unwrap_or(RATES_KEPT - 1);
        if let Some(newer) = self.rates.get_mut(..=place) {
            newer.rotate_right(1);
        }
        self.rates[0] = rate;
        is_change.then_some(before)
    }
}

fn is_factor(one: u32, other: u32) -> bool {
    one.max(other) / one.min(other).max(1) >= FACTOR
}

impl RateChanges {
    /// Notes the sampling of a datagram's flows. `announcer` looks up which port announced the rate, for a change.
    pub(crate) fn note(
        &mut self,
        stream: StreamKey,
        sampling: Sampling,
        at: Timestamp,
        announcer: impl FnOnce() -> Option<u16>,
    ) {
        if self.streams.len() >= STREAMS_KEPT && !self.streams.contains_key(&stream) {
            self.displace();
        }
        let Some(before) = self.streams.entry(stream).or_default().note(sampling.rate.max(1), at) else { return };
        let (protocol, domain, port) = stream;
        self.changes.truncate(CHANGES_KEPT - 1);
        self.changes.push_front(RateChange {
            at,
            protocol: protocol.name(),
            domain,
            port,
            before,
            after: sampling.rate,
            source: sampling.source.name(),
            announced_by: announcer(),
        });
    }

    /// Forgets the stream that sent nothing for longest; of those, first the ones with few datagrams, as a forger has them.
    fn displace(&mut self) {
        let oldest = self.streams.iter().min_by_key(|(_, rates)| (rates.datagrams >= LEARNT, rates.last));
        if let Some(oldest) = oldest.map(|(stream, _)| *stream) {
            self.streams.remove(&oldest);
        }
    }

    /// The changes, the most recent first.
    pub(crate) fn list(&self) -> Vec<RateChange> {
        self.changes.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use flow::SamplingSource;

    use super::*;

    const STREAM: StreamKey = (Protocol::SflowV5, 0, 7000);

    fn note(changes: &mut RateChanges, stream: StreamKey, rate: u32, second: u64) {
        let sampling = Sampling::of_packets(rate, SamplingSource::Record);
        changes.note(stream, sampling, Timestamp::from_seconds(second), || None);
    }

    fn learnt(rates: &[u32]) -> RateChanges {
        let mut changes = RateChanges::default();
        for rate in rates.iter().cycle().take(LEARNT.into()) {
            note(&mut changes, STREAM, *rate, 0);
        }
        changes
    }

    fn listed(changes: &RateChanges) -> Vec<(u64, u32, u32)> {
        changes.list().iter().map(|change| (change.at.seconds(), change.before, change.after)).collect()
    }

    #[test]
    fn a_rate_that_changes_by_a_factor_is_listed_with_its_time() {
        let mut changes = learnt(&[1000]);
        note(&mut changes, STREAM, 1_000_000, 10);
        note(&mut changes, STREAM, 1_000_000, 11);
        note(&mut changes, STREAM, 10, 12);
        assert_eq!(listed(&changes), [(12, 1_000_000, 10), (10, 1000, 1_000_000)]);
    }

    #[test]
    fn less_than_twice_as_much_is_no_change() {
        let mut changes = learnt(&[1000]);
        note(&mut changes, STREAM, 1999, 10);
        note(&mut changes, STREAM, 1000, 11);
        note(&mut changes, STREAM, 501, 12);
        assert_eq!(listed(&changes), []);
    }

    #[test]
    fn several_rates_of_a_stream_are_no_changes() {
        let mut changes = learnt(&[100, 1000, 10_000]);
        for rate in [10_000, 100, 1000] {
            note(&mut changes, STREAM, rate, 10);
        }
        assert_eq!(listed(&changes), []);
        note(&mut changes, STREAM, 100_000, 20);
        assert_eq!(listed(&changes), [(20, 1000, 100_000)]);
    }

    #[test]
    fn what_a_flood_of_streams_sends_displaces_neither_a_learnt_stream_nor_memory() {
        let mut changes = learnt(&[1000]);
        for port in 0..10_000 {
            note(&mut changes, (Protocol::NetflowV5, 0, port), u32::from(port), 5);
        }
        assert_eq!(changes.streams.len(), STREAMS_KEPT);
        for rate in 1..1000_u32 {
            note(&mut changes, STREAM, 1000 << (rate % 20), 10 + u64::from(rate));
        }
        assert_eq!(changes.list().len(), CHANGES_KEPT);
    }
}
