//! Sequence numbers show losses between exporter and collector. Each export stream counts in the unit of its protocol.
//!
//! | protocol | unit of the number |
//! | --- | --- |
//! | NetFlow v5, v6, v7, v8 | flow records sent before this datagram |
//! | NetFlow v9 (RFC 3954, section 5.1) | datagrams |
//! | IPFIX (RFC 7011, section 3.1) | data records sent before this message, options data records included |
//! | sFlow v2, v4, v5 | datagrams of the sub-agent; samples of each data source separately |
//!
//! The results are hints: several exporters do not count as their protocol demands. No datagram is discarded because of
//! its number.

use std::net::IpAddr;
use std::time::Duration;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::sequence_number::{Numbered, SequenceNumber};

/// One export stream of an exporter address: what has a sequence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// The sequence numbers of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Datagrams (IPFIX: messages) with a number.
    pub datagrams: u64,
    /// The first number.
    pub first: u32,
    /// The last number.
    pub last: u32,
    /// Numbers that were not the expected one.
    pub breaks: u64,
    /// Missing units, without those that arrived late.
    pub lost: u64,
    /// Datagrams that arrived twice in a row.
    pub duplicates: u64,
    /// Datagrams that arrived after later ones.
    pub late: u64,
    /// Restarts of the exporter.
    pub restarts: u64,
    /// The expected number of the next datagram; `None` after records that could not be counted.
    next: Option<u32>,
    /// The highest expected number so far: datagrams with lower ones are late.
    front: u32,
    /// The clocks of the datagram before it.
    front_clocks: Clocks,
}

/// When a datagram was sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clocks {
    received: Timestamp,
    /// From the header; `None` in sFlow, whose header has none.
    exported: Option<Timestamp>,
    /// Milliseconds since the exporter started; `None` in IPFIX.
    uptime: Option<u32>,
}

impl Clocks {
    pub(crate) fn of(message: &Message) -> Self {
        let exported = (!message.protocol.is_sflow()).then_some(message.exported);
        Self { received: message.received, exported, uptime: message.uptime }
    }

    pub(crate) const fn of_sflow(number: &SequenceNumber, received: Timestamp) -> Self {
        Self { received, exported: None, uptime: Some(number.uptime) }
    }

    /// Whether the exporter has restarted since it sent another datagram of a higher number. If it has not, this one
    /// was sent before that one.
    fn is_of_successor(&self, other: &Self) -> bool {
        let sent_after = |(this, other): (Timestamp, Timestamp)| this > other.saturating_add(EXPORT_TOLERANCE);
        let started_after = |(this, other): (u32, u32)| this.saturating_add(UPTIME_TOLERANCE_MILLISECONDS) < other;
        self.exported.zip(other.exported).is_some_and(sent_after)
            || self.uptime.zip(other.uptime).is_some_and(started_after)
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

/// The number of a datagram compared with those before it in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the first, or the datagram before it could not be counted.
    First,
    /// It has the expected number.
    InOrder,
    /// This many units are missing before it.
    Lost(u32),
    /// It repeats the one before it.
    Duplicate,
    /// It was sent before the one that arrived before it.
    Late,
    /// The exporter has restarted: the number is far off, or is lower although the datagram was sent later.
    Restarted,
}

/// How many streams are followed for one exporter address: domains, or the sources of an sFlow agent, of which a large
/// switch has two for each interface.
const STREAMS_KEPT: usize = 4096;

/// A larger step, back or forward, is a restart and not a loss.
const LARGEST_GAP: u32 = 1 << 20;
/// A step back by at most this many units is a late datagram: reordering in a network spans few datagrams.
const LARGEST_DELAY: u32 = 4096;
/// Threads that decode the datagrams of one exporter overtake each other by thousands of datagrams if one of them is
/// delayed. A datagram that was received before the one with the highest number is late, however far it steps back,
/// unless it was received so much earlier that the clock must have been set.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Exporters with several threads stamp export times, some of which are whole seconds, slightly out of order.
const EXPORT_TOLERANCE: Duration = Duration::from_secs(2);
/// A late datagram has a lower uptime, too, but only by the time for which it was delayed.
const UPTIME_TOLERANCE_MILLISECONDS: u32 = 10_000;

/// Whether a datagram was received before the one that was decoded before it.
pub(crate) fn is_overtaken(received: Timestamp, before: Timestamp) -> bool {
    received < before && received.abs_diff(before) <= LONGEST_WAIT
}

/// The sequence numbers of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    streams: HashMap<StreamKey, Stream>,
    /// By `unit as usize`.
    arrivals: [Arrivals; Unit::ALL.len()],
}

impl Sequences {
    /// Records the number of a datagram and how many units it contains; `None` if they could not be counted. Streams
    /// beyond [`STREAMS_KEPT`] are not followed.
    pub(crate) fn note(&mut self, key: StreamKey, number: u32, units: Option<u32>, clocks: Clocks) -> Arrival {
        let next = units.map(|units| number.wrapping_add(units));
        let mut none = Arrivals::default();
        let sum = if key.samples.is_none() { self.arrivals.get_mut(Unit::of(key.protocol) as usize) } else { None };
        let sum = sum.unwrap_or(&mut none);
        let Some(stream) = self.streams.get_mut(&key) else {
            if self.streams.len() < STREAMS_KEPT {
                let front = next.unwrap_or(number);
                self.streams.insert(key, Stream::starting(number, next, front, clocks));
                sum.received += u64::from(units.unwrap_or_default());
            }
            return Arrival::First;
        };
        let lost = stream.lost;
        let arrival = stream.note(number, next, clocks);
        sum.lost = (sum.lost + stream.lost).saturating_sub(lost);
        sum.filled += lost.saturating_sub(stream.lost);
        match arrival {
            Arrival::Duplicate => sum.duplicates += 1,
            _ => sum.received += u64::from(units.unwrap_or_default()),
        }
        sum.late += u64::from(arrival == Arrival::Late);
        sum.restarts += u64::from(arrival == Arrival::Restarted);
        arrival
    }

    /// The sums of all streams of a unit.
    pub(crate) fn arrivals(&self, unit: Unit) -> Arrivals {
        self.arrivals.get(unit as usize).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&StreamKey, &Stream)> {
        self.streams.iter()
    }
}

impl Stream {
    const fn starting(number: u32, next: Option<u32>, front: u32, front_clocks: Clocks) -> Self {
        Self {
            datagrams: 1,
            first: number,
            last: number,
            breaks: 0,
            lost: 0,
            duplicates: 0,
            late: 0,
            restarts: 0,
            next,
            front,
            front_clocks,
        }
    }

    fn note(&mut self, number: u32, next: Option<u32>, clocks: Clocks) -> Arrival {
        let Some(expected) = self.next else {
            self.datagrams += 1;
            self.last = number;
            self.next = next;
            self.front = next.unwrap_or(number);
            self.front_clocks = clocks;
            return Arrival::First;
        };
        let ahead = number.wrapping_sub(self.front);
        let behind = self.front.wrapping_sub(number);
        let units = u64::from(next.map_or(0, |next| next.wrapping_sub(number)));
        let arrival = if number == self.front {
            Arrival::InOrder
        } else if behind <= LARGEST_GAP && clocks.is_of_successor(&self.front_clocks) {
            Arrival::Restarted
        } else if number == self.last && expected != self.last {
            Arrival::Duplicate
        } else if ahead <= LARGEST_GAP {
            Arrival::Lost(ahead)
        } else if behind <= LARGEST_DELAY
            || (behind <= LARGEST_GAP && is_overtaken(clocks.received, self.front_clocks.received))
        {
            Arrival::Late
        } else {
            Arrival::Restarted
        };
        match arrival {
            Arrival::First | Arrival::InOrder => {}
            Arrival::Lost(units) => self.lost += u64::from(units),
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::Late => {
                self.late += 1;
                self.lost = self.lost.saturating_sub(units);
            }
            Arrival::Restarted => self.restarts += 1,
        }
        self.breaks += u64::from(number != expected);
        self.datagrams += 1;
        self.last = number;
        self.next = next;
        if !matches!(arrival, Arrival::Duplicate | Arrival::Late) {
            self.front = next.unwrap_or(number);
            self.front_clocks = clocks;
        }
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StreamKey = StreamKey { protocol: Protocol::NetflowV5, domain: 0, agent: None, samples: None };

    fn arrivals(numbers: &[(u32, u32)]) -> Vec<Arrival> {
        let mut sequences = Sequences::default();
        numbers.iter().map(|&(number, units)| sequences.note(KEY, number, Some(units), Clocks::default())).collect()
    }

    #[test]
    fn loss_delay_repetition_and_restart_are_distinguished() {
        use Arrival::{Duplicate, First, InOrder, Late, Lost, Restarted};
        let numbers = [
            (100_000, 30),
            (100_030, 30),
            (100_090, 10),
            (100_060, 30),
            (100_100, 5),
            (100_100, 5),
            (100_105, 5),
            (0, 30),
            (30, 30),
        ];
        assert_eq!(
            arrivals(&numbers),
            [First, InOrder, Lost(30), Late, InOrder, Duplicate, InOrder, Restarted, InOrder]
        );
        let mut sequences = Sequences::default();
        for (number, units) in numbers {
            sequences.note(KEY, number, Some(units), Clocks::default());
        }
        let (_, stream) = sequences.iter().next().unwrap();
        assert_eq!((stream.lost, stream.late, stream.duplicates, stream.restarts), (0, 1, 1, 1));
        let expected = Arrivals {
            received: 30 + 30 + 10 + 30 + 5 + 5 + 30 + 30,
            lost: 0,
            filled: 30,
            duplicates: 1,
            late: 1,
            restarts: 1,
        };
        assert_eq!(sequences.arrivals(Unit::Records), expected);
        assert_eq!(sequences.arrivals(Unit::Datagrams), Arrivals::default());
    }

    #[test]
    fn threads_that_overtake_each_other_lose_nothing() {
        let mut sequences = Sequences::default();
        let mut note = |datagram: u32| {
            let received = Timestamp::from_nanoseconds(1_000_000 + u64::from(datagram));
            sequences.note(KEY, datagram * 30, Some(30), Clocks { received, ..Default::default() })
        };
        // One thread is delayed with every other datagram while the other continues.
        note(0);
        for datagram in (2..=20_000).step_by(2) {
            assert_eq!(note(datagram), Arrival::Lost(30));
        }
        for datagram in (1..20_000).step_by(2) {
            assert_eq!(note(datagram), Arrival::Late);
        }
        assert_eq!(note(20_001), Arrival::InOrder);
        let (_, stream) = sequences.iter().next().unwrap();
        assert_eq!((stream.lost, stream.restarts, stream.datagrams), (0, 0, 20_002));
    }

    #[test]
    fn numbers_wrap_around() {
        assert_eq!(arrivals(&[(u32::MAX - 9, 30), (20, 30), (50, 1)])[1..], [Arrival::InOrder, Arrival::InOrder]);
    }

    #[test]
    fn streams_beyond_the_limit_are_not_followed() {
        let mut sequences = Sequences::default();
        for domain in 0..2 * STREAMS_KEPT as u32 {
            sequences.note(StreamKey { domain, ..KEY }, 0, Some(1), Clocks::default());
        }
        assert_eq!(sequences.iter().count(), STREAMS_KEPT);
    }
}
