//! The sequence numbers of one stream: each number is compared with those before it.
//!
//! Numbers near the expected one count at once: what is missing before it is lost, and what arrives later fills the gap.
//! A number far off is a *stray* until two more datagrams follow it: only then it was a long gap, or a restart of the
//! exporter. So a single forged or damaged datagram changes nothing, and all real losses are counted.

use std::time::Duration;

use flow::Timestamp;

use crate::datagram::Message;
use crate::sequence_number::SequenceNumber;

/// The sequence numbers of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The UDP port that it came from first.
    pub port: u16,
    /// Datagrams (IPFIX: messages) with a number.
    pub datagrams: u64,
    /// The first number.
    pub first: u32,
    /// The last number.
    pub last: u32,
    /// Numbers that were not the one expected after the last.
    pub breaks: u64,
    /// Missing units, without those that arrived late.
    pub lost: u64,
    /// Datagrams that arrived twice in a row.
    pub duplicates: u64,
    /// Datagrams that arrived after later ones.
    pub late: u64,
    /// Restarts of the exporter.
    pub restarts: u64,
    /// Datagrams whose number was far from all others.
    pub strays: u64,
    /// The number expected after the last one; `None` after records that could not be counted.
    next: Option<u32>,
    /// Where the numbers have got to: datagrams with lower ones are late.
    front: Front,
    /// Datagrams whose numbers are far off, and what follows each: nearly always none. The last one is the newest.
    jumps: Vec<Jump>,
}

/// Where numbers have got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Front {
    /// The highest expected number so far.
    number: u32,
    /// Whether the records before it could be counted. If not, it is the number of their datagram.
    is_exact: bool,
    /// The clocks of the datagram before it.
    clocks: Clocks,
}

/// A number far off and what follows it, until it is known whether the stream continues there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jump {
    /// The lowest number.
    start: u32,
    front: Front,
    datagrams: u32,
    /// Units in them; `None` if those of one could not be counted.
    units: Option<u64>,
    /// Whether the exporter has restarted, and no units are missing before it.
    is_restart: bool,
    /// Datagrams since the last of them that continued at the old place.
    passed: u32,
}

/// When a datagram was sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) received: Timestamp,
    /// From the header; `None` in sFlow, whose header has none.
    pub(crate) exported: Option<Timestamp>,
    /// Milliseconds since the exporter started; `None` in IPFIX.
    pub(crate) uptime: Option<u32>,
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

/// The number of a datagram compared with those before it in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the first, or the datagram before it could not be counted.
    First,
    /// It has the expected number.
    InOrder,
    /// This many units are missing before it; after a long gap, before the stray that it confirms.
    Lost(u32),
    /// It repeats the one before it.
    Duplicate,
    /// It was sent before the one that arrived before it.
    Late,
    /// Its number is far off. Two more that follow it confirm that units are missing, or that the exporter has restarted.
    Stray,
    /// It confirms that the exporter has restarted: the number is far off, or is lower although the datagram was sent later.
    Restarted,
}

/// A larger step, back or forward, is a restart and not a loss.
const LARGEST_GAP: u32 = 1 << 20;
/// A step back by at most this many units is a late datagram: reordering in a network spans few datagrams.
const LARGEST_DELAY: u32 = 4096;
/// A step forward by at most this many counts as a loss at once: if it was none, the next datagrams are late and fill it.
const NEAR: u32 = LARGEST_DELAY / 2;
/// Threads that decode the datagrams of one exporter overtake each other by thousands of datagrams if one of them is
/// delayed. A datagram that was received before the one with the highest number is late, however far it steps back,
/// unless it was received so much earlier that the clock must have been set.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// No datagram has more units than it has groups of four octets.
const MOST_UNITS: u32 = 1 << 14;

/// A stray and this many datagrams that follow it are no strays.
const CONFIRMING: u32 = 2;
/// When this many datagrams have continued at the old place, those at the other place were strays.
const PASSED: u32 = 32;
/// How many places a stream may possibly continue at. Of more, the oldest was a stray.
const JUMPS_KEPT: usize = 4;

/// Exporters with several threads stamp export times, some of which are whole seconds, slightly out of order.
const EXPORT_TOLERANCE: Duration = Duration::from_secs(2);
/// A late datagram has a lower uptime, too, but only by the time for which it was delayed.
const UPTIME_TOLERANCE_MILLISECONDS: u32 = 10_000;

/// Whether a datagram was received before the one that was decoded before it.
pub(crate) fn is_overtaken(received: Timestamp, before: Timestamp) -> bool {
    received < before && received.abs_diff(before) <= LONGEST_WAIT
}

impl Stream {
    /// The stream that begins with this datagram.
    pub(crate) fn starting(port: u16, number: u32, units: Option<u32>, clocks: Clocks) -> Self {
        let next = units.map(|units| number.wrapping_add(units));
        Self {
            port,
            datagrams: 1,
            first: number,
            last: number,
            breaks: 0,
            lost: 0,
            duplicates: 0,
            late: 0,
            restarts: 0,
            strays: 0,
            next,
            front: Front { number: next.unwrap_or(number), is_exact: next.is_some(), clocks },
            jumps: Vec::new(),
        }
    }

    /// Whether a datagram with this number would be in order.
    #[inline]
    pub(crate) fn expects(&self, number: u32) -> bool {
        self.next == Some(number) && self.front.number == number
    }

    /// When its last datagram was received.
    pub(crate) fn heard(&self) -> Timestamp {
        let received = self.jumps.last().map(|jump| jump.front.clocks.received);
        self.front.clocks.received.max(received.unwrap_or_default())
    }

    /// Records the number of a datagram and how many units it contains; `None` if they could not be counted.
    #[inline]
    pub(crate) fn note(&mut self, number: u32, units: Option<u32>, clocks: Clocks) -> Arrival {
        self.datagrams += 1;
        let next = units.map(|units| number.wrapping_add(units));
        let front = Front { number: next.unwrap_or(number), is_exact: next.is_some(), clocks };
        let arrival = if self.jumps.is_empty() && self.expects(number) {
            self.front = front;
            Arrival::InOrder
        } else {
            self.note_break(number, units, front)
        };
        (self.last, self.next) = (number, next);
        arrival
    }

    #[cold]
    fn note_break(&mut self, number: u32, units: Option<u32>, front: Front) -> Arrival {
        self.breaks += u64::from(self.next.is_some_and(|next| next != number));
        if self.jumps.iter().any(|jump| jump.front.number == number) {
            return self.follow_jump(number, units, front);
        }
        let Some(arrival) = self.nearby(number, front.clocks) else { return self.follow_jump(number, units, front) };
        match arrival {
            Arrival::Duplicate => {
                self.duplicates += 1;
                return arrival;
            }
            Arrival::Lost(missing) => self.lost += u64::from(missing),
            Arrival::Late => {
                self.late += 1;
                self.lost = self.lost.saturating_sub(units.unwrap_or_default().into());
            }
            _ => {}
        }
        if arrival != Arrival::Late {
            self.front = front;
        }
        self.pass_jumps();
        arrival
    }

    /// What a number near the expected one means; `None` if it is far off.
    fn nearby(&self, number: u32, clocks: Clocks) -> Option<Arrival> {
        let ahead = number.wrapping_sub(self.front.number);
        let behind = self.front.number.wrapping_sub(number);
        if !self.front.is_exact {
            (ahead <= MOST_UNITS).then_some(Arrival::First)
        } else if ahead == 0 {
            Some(Arrival::InOrder)
        } else if behind <= LARGEST_GAP && clocks.is_of_successor(&self.front.clocks) {
            None
        } else if self.repeats_last(number) {
            Some(Arrival::Duplicate)
        } else if ahead <= NEAR {
            Some(Arrival::Lost(ahead))
        } else {
            let is_late = behind <= LARGEST_DELAY
                || (behind <= LARGEST_GAP && is_overtaken(clocks.received, self.front.clocks.received));
            is_late.then_some(Arrival::Late)
        }
    }

    /// Whether a number is that of the last datagram, and not the one expected after it.
    fn repeats_last(&self, number: u32) -> bool {
        number == self.last && self.next.is_some_and(|next| next != number)
    }

    /// Records a datagram whose number is far off, after others or as the first of them.
    #[cold]
    fn follow_jump(&mut self, number: u32, units: Option<u32>, front: Front) -> Arrival {
        let Some(place) = self.jumps.iter().rposition(|jump| jump.is_followed_by(number)) else {
            if self.jumps.len() >= JUMPS_KEPT {
                self.strays += u64::from(self.jumps.remove(0).datagrams);
            }
            let is_restart = number.wrapping_sub(self.front.number) > LARGEST_GAP;
            self.jumps.push(Jump {
                start: number,
                front,
                datagrams: 1,
                units: units.map(u64::from),
                is_restart,
                passed: 0,
            });
            return Arrival::Stray;
        };
        if self.repeats_last(number) {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        let mut jump = self.jumps.remove(place);
        if number.wrapping_sub(jump.front.number) <= LARGEST_GAP {
            jump.front = front;
        }
        // A later datagram may have overtaken the first one.
        if jump.start.wrapping_sub(number) <= LARGEST_DELAY {
            jump.start = number;
        }
        jump.passed = 0;
        jump.datagrams += 1;
        jump.units = jump.units.zip(units).map(|(before, units)| before + u64::from(units));
        if jump.datagrams > CONFIRMING {
            return self.continue_at(&jump);
        }
        self.jumps.push(jump);
        Arrival::Stray
    }

    /// The stream continues after a jump.
    fn continue_at(&mut self, jump: &Jump) -> Arrival {
        let missing = jump.start.wrapping_sub(self.front.number);
        let missing_within = |units| u64::from(jump.front.number.wrapping_sub(jump.start)).saturating_sub(units);
        let is_counted = self.front.is_exact;
        self.lost += jump.units.map_or(0, missing_within);
        self.front = jump.front;
        if jump.is_restart {
            self.restarts += 1;
            Arrival::Restarted
        } else if is_counted {
            self.lost += u64::from(missing);
            Arrival::Lost(missing)
        } else {
            Arrival::First
        }
    }

    /// A datagram has continued at the old place while it is not known whether the stream continues elsewhere.
    fn pass_jumps(&mut self) {
        let front = self.front.number;
        // What was far off is near now.
        let near = |jump: &Jump| !jump.is_restart && jump.start.wrapping_sub(front) <= NEAR;
        if let Some(place) = self.jumps.iter().position(near) {
            let jump = self.jumps.remove(place);
            self.continue_at(&jump);
        }
        for jump in &mut self.jumps {
            jump.passed += 1;
        }
        if self.jumps.first().is_some_and(|jump| jump.passed > PASSED) {
            self.strays += u64::from(self.jumps.remove(0).datagrams);
        }
    }
}

impl Jump {
    /// Whether a datagram belongs to the same jump: it is ahead of it, or late.
    fn is_followed_by(&self, number: u32) -> bool {
        let (ahead, behind) = (number.wrapping_sub(self.front.number), self.front.number.wrapping_sub(number));
        ahead <= LARGEST_GAP || behind <= LARGEST_DELAY
    }
}
