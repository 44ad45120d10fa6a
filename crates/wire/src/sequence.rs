//! Sequence numbers show losses between exporter and collector. Each export stream counts in the unit of its protocol.
//!
//! | protocol | unit of the number |
//! | --- | --- |
//! | NetFlow v5, v6, v7, v8 | flow records sent before this datagram |
//! | NetFlow v9 (RFC 3954, section 5.1) | datagrams |
//! | IPFIX (RFC 7011, section 3.1) | data records sent before this message, options data records included |
//! | sFlow v2, v4, v5 | datagrams of the sub-agent; samples of each data source separately |
//!
//! Each source port has a stream of its own: two exporters may have one address, and anybody can forge the address of an
//! exporter. But there are exporters that send one sequence from several ports. Those are recognised by a datagram that
//! continues the stream of another port exactly; that stream is then *shared*, by all ports that have none of their own.
//!
//! The results are hints: several exporters do not count as their protocol demands. No datagram is discarded because of
//! its number. [`crate::stream`] decides what a number means.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::ports::{Entry, Ports, SILENT, Wanted};
use crate::sequence_number::{Numbered, SequenceNumber};
use crate::stream::{Arrival, Clocks, Stream};

/// What has a sequence of its own at each port of an exporter address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// The protocol.
    pub protocol: Protocol,
    /// Observation domain, source id, engine or sub-agent, as in [`crate::Message::domain`].
    pub domain: u32,
    /// The agent address of an sFlow stream.
    pub agent: Option<IpAddr>,
    /// The samples of an sFlow data source. `None` for streams that number datagrams or records.
    pub samples: Option<Numbered>,
}

/// In few words, because each sFlow sample is looked up.
impl Hash for StreamKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (numbered, source) = match self.samples {
            None | Some(Numbered::Datagrams) => (0, None),
            Some(Numbered::FlowSamples(source)) => (1, Some(source)),
            Some(Numbered::CounterSamples(source)) => (2, Some(source)),
            Some(Numbered::Drops(source)) => (3, Some(source)),
        };
        state.write_u64(u64::from(self.domain) << 16 | (self.protocol as u64) << 8 | numbered);
        match self.agent {
            Some(IpAddr::V4(agent)) => state.write_u32(agent.to_bits()),
            Some(IpAddr::V6(agent)) => state.write_u128(agent.to_bits()),
            None => {}
        }
        if let Some(source) = source {
            state.write_u64(u64::from(source.kind) << 32 | u64::from(source.index));
        }
    }
}

impl StreamKey {
    /// The stream of a message.
    pub(crate) const fn of(message: &Message) -> Self {
        Self { protocol: message.protocol, domain: message.domain, agent: None, samples: None }
    }

    /// The stream of a number in an sFlow datagram.
    pub(crate) fn of_sflow(protocol: Protocol, number: &SequenceNumber) -> Self {
        let samples = Some(number.of).filter(|&of| of != Numbered::Datagrams);
        Self { protocol, domain: number.sub_agent, agent: Some(number.agent), samples }
    }
}

/// The unit of sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Datagrams.
    Datagrams,
    /// Flow records; for IPFIX data records, options data records included.
    Records,
}

impl Unit {
    /// All units, in the order of their declaration; `unit as usize` indexes it.
    pub const ALL: [Self; 2] = [Self::Datagrams, Self::Records];

    /// Its name in the REST interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datagrams => "datagrams",
            Self::Records => "records",
        }
    }

    const fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::NetflowV9 | Protocol::SflowV2 | Protocol::SflowV4 | Protocol::SflowV5 => Self::Datagrams,
            Protocol::NetflowV1
            | Protocol::NetflowV5
            | Protocol::NetflowV6
            | Protocol::NetflowV7
            | Protocol::NetflowV8
            | Protocol::Ipfix => Self::Records,
        }
    }
}

/// The sums of all streams of an exporter address that count in one unit, without the samples of sFlow data sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Units that arrived.
    pub received: u64,
    /// Missing units, without those that arrived late.
    pub lost: u64,
    /// Missing units that arrived late.
    pub filled: u64,
    /// Datagrams that arrived twice in a row.
    pub duplicates: u64,
    /// Datagrams that arrived after later ones.
    pub late: u64,
    /// Restarts of the exporter.
    pub restarts: u64,
}

impl Arrivals {
    /// The sum with others.
    #[must_use]
    pub const fn and(&self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            lost: self.lost + other.lost,
            filled: self.filled + other.filled,
            duplicates: self.duplicates + other.duplicates,
            late: self.late + other.late,
            restarts: self.restarts + other.restarts,
        }
    }

    /// The difference to an earlier state. A late datagram may reduce losses from before it.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            received: self.received.saturating_sub(before.received),
            lost: self.lost.saturating_sub(before.lost),
            filled: self.filled.saturating_sub(before.filled),
            duplicates: self.duplicates.saturating_sub(before.duplicates),
            late: self.late.saturating_sub(before.late),
            restarts: self.restarts.saturating_sub(before.restarts),
        }
    }
}

/// A number in a datagram, and what the datagram contains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) key: StreamKey,
    pub(crate) port: u16,
    pub(crate) number: u32,
    /// How many units it contains; `None` if they could not be counted.
    pub(crate) units: Option<u32>,
    /// Whether it contains data records that could be decoded.
    pub(crate) has_data: bool,
    pub(crate) clocks: Clocks,
}

/// How many streams are followed for one exporter address: domains, or the sources of an sFlow agent, of which a large
/// switch has two for each interface.
const STREAMS_KEPT: usize = 4096;
/// How many of them may have the same key and different ports.
const PORTS_KEPT: usize = 32;

/// The sequence numbers of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    /// Nearly always one for each key; several in the order in which they began.
    streams: HashMap<StreamKey, Vec<Followed>>,
    count: usize,
    /// By `unit as usize`.
    arrivals: [Arrivals; Unit::ALL.len()],
}

/// A stream, and what is known of it.
#[derive(Clone, Debug)]
struct Followed {
    stream: Stream,
    /// Whether it also comes from ports that have no stream of their own.
    is_shared: bool,
    /// Whether it has contained data that could be decoded. Until then, its losses do not count for the exporter.
    has_data: bool,
}

impl Sequences {
    /// Records a number. If there is no room for its stream, that is not followed.
    #[inline]
    pub(crate) fn note(&mut self, ports: &Ports, noted: &Noted) -> Arrival {
        let Noted { key, port, number, units, has_data, clocks } = *noted;
        let received = u64::from(units.unwrap_or_default());
        let found = self.streams.get_mut(&key).and_then(|streams| find(streams, &mut self.count, port, number));
        let Some(Followed { stream, has_data: had_data, .. }) = found else {
            let is_followed = self.begin(ports, noted);
            if let Some(sum) = sum_of(&mut self.arrivals, key).filter(|_| is_followed) {
                sum.received += received;
            }
            return Arrival::First;
        };
        *had_data |= has_data;
        let lost = stream.lost;
        let arrival = stream.note(number, units, clocks);
        let Some(sum) = sum_of(&mut self.arrivals, key) else { return arrival };
        if *had_data {
            sum.lost = (sum.lost + stream.lost).saturating_sub(lost);
            sum.filled += lost.saturating_sub(stream.lost);
            sum.restarts += u64::from(arrival == Arrival::Restarted);
        }
        match arrival {
            Arrival::Duplicate => sum.duplicates += 1,
            _ => sum.received += received,
        }
        sum.late += u64::from(arrival == Arrival::Late);
        arrival
    }

    /// Begins to follow a stream; returns whether there was room.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, ports: &Ports, noted: &Noted) -> bool {
        let Noted { key, port, number, units, has_data, clocks } = *noted;
        if self.count >= STREAMS_KEPT {
            self.make_room(ports, port, clocks.received);
        }
        if self.count >= STREAMS_KEPT {
            return false;
        }
        let streams = self.streams.entry(key).or_insert_with(|| Vec::with_capacity(1));
        if streams.len() >= PORTS_KEPT {
            // One that has ended, else the newest.
            let silent = clocks.received.saturating_sub(SILENT);
            let ended = streams.iter().position(|followed| followed.stream.heard() < silent);
            streams.remove(ended.unwrap_or(PORTS_KEPT - 1));
            self.count -= 1;
        }
        streams.push(Followed { stream: Stream::starting(port, number, units, clocks), is_shared: false, has_data });
        self.count += 1;
        true
    }

    /// Stops following streams of other ports.
    fn make_room(&mut self, ports: &Ports, port: u16, now: Timestamp) {
        let all = self.streams.iter().flat_map(|(key, streams)| streams.iter().map(move |followed| (key, followed)));
        let entries = all.map(|(key, Followed { stream, .. })| {
            let heard = stream.heard();
            Entry { key: (*key, stream.port), port: stream.port, size: 1, used: heard, heard }
        });
        for (key, port) in ports.displaced(&Wanted { port, size: 1, limit: STREAMS_KEPT, now }, entries) {
            let Some(streams) = self.streams.get_mut(&key) else { continue };
            let before = streams.len();
            streams.retain(|followed| followed.stream.port != port);
            self.count -= before - streams.len();
            if streams.is_empty() {
                self.streams.remove(&key);
            }
        }
    }

    /// Ends all streams: the next number of each is its first one. Their sums stay.
    pub(crate) fn end_streams(&mut self) {
        self.streams.clear();
        self.count = 0;
    }

    /// Adds the sums of streams that have ended.
    pub(crate) fn count_those_of(&mut self, ended: &Self) {
        self.arrivals.iter_mut().zip(&ended.arrivals).for_each(|(sum, more)| *sum = sum.and(more));
    }

    /// The sums of all streams of a unit.
    pub(crate) fn arrivals(&self, unit: Unit) -> Arrivals {
        self.arrivals.get(unit as usize).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        self.streams.iter().flat_map(|(key, streams)| streams.iter().map(move |followed| (key, &followed.stream)))
    }
}

/// The sums that a stream counts in; none for the samples of sFlow data sources.
fn sum_of(arrivals: &mut [Arrivals; Unit::ALL.len()], key: StreamKey) -> Option<&mut Arrivals> {
    if key.samples.is_none() { arrivals.get_mut(Unit::of(key.protocol) as usize) } else { None }
}

/// Of the streams with a key, the one that a number from a port belongs to.
#[inline]
fn find<'s>(streams: &'s mut Vec<Followed>, count: &mut usize, port: u16, number: u32) -> Option<&'s mut Followed> {
    let place = match streams.as_slice() {
        [only] if only.stream.port == port => 0,
        _ => find_of_several(streams, count, port, number)?,
    };
    streams.get_mut(place)
}

/// The place of the stream that a number from a port belongs to. If the number continues the stream of another port, that
/// is shared from now on, and the port's own stream, if it has one, has ended.
#[cold]
fn find_of_several(streams: &mut Vec<Followed>, count: &mut usize, port: u16, number: u32) -> Option<usize> {
    let own = streams.iter().position(|followed| followed.stream.port == port);
    let expects = |followed: &Followed| followed.stream.expects(number);
    if own.and_then(|own| streams.get(own)).is_some_and(expects) {
        return own;
    }
    // Every sequence begins with 0, so 0 continues none.
    let Some(continued) = streams.iter().position(|followed| number != 0 && expects(followed)) else {
        return own.or_else(|| streams.iter().position(|followed| followed.is_shared));
    };
    streams.get_mut(continued)?.is_shared = true;
    let Some(ended) = own else { return Some(continued) };
    streams.remove(ended);
    *count -= 1;
    Some(continued - usize::from(ended < continued))
}

#[cfg(test)]
mod tests;
