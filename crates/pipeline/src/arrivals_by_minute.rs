//! What arrived from one exporter and what was lost, by the minute of the receive time, until the next flush stores it. It is
//! beside the exporter's session, under the same lock, and costs a datagram two comparisons and an addition.

use std::collections::BTreeMap;
use std::net::IpAddr;

use accounting::period::Minute;
use accounting::presence::Arrived;
use flow::{Counters, Timestamp};
use wire::{Arrivals, Session, Unit};

/// What is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct ArrivalsByMinute {
    open: Option<OpenMinute>,
    /// What arrived and what was lost. Several minutes when threads read around the end of one, or from the journal.
    minutes: BTreeMap<Minute, (Counters, Counters)>,
    /// By `unit as usize`: what belongs to a minute already.
    counted: [Arrivals; Unit::ALL.len()],
}

/// The minute of the last datagram.
#[derive(Clone, Copy, Debug)]
struct OpenMinute {
    minute: Minute,
    start: Timestamp,
    end: Timestamp,
    octets: u64,
}

impl ArrivalsByMinute {
    /// Opens the minute of this receive time, before a datagram is decoded.
    #[inline]
    pub(crate) fn open(&mut self, at: Timestamp, session: &Session) {
        if !self.open.is_some_and(|open| open.start <= at && at < open.end) {
            self.close(session);
            let minute = Minute::of(at);
            let (start, end) = (minute.timestamp(), minute.saturating_add(1).timestamp());
            self.open = Some(OpenMinute { minute, start, end, octets: 0 });
        }
    }

    /// Notes a datagram with an export message.
    #[inline]
    pub(crate) fn note(&mut self, octets: usize) {
        if let Some(open) = &mut self.open {
            open.octets += octets as u64;
        }
    }

    /// What arrived since the last report.
    pub(crate) fn report(&mut self, sender: IpAddr, session: &Session) -> impl Iterator<Item = Arrived> {
        self.close(session);
        let minutes = std::mem::take(&mut self.minutes).into_iter();
        let arrived = minutes.map(move |(minute, (arrived, lost))| Arrived { sender, minute, arrived, lost });
        arrived.filter(|minute| !(minute.arrived.is_zero() && minute.lost.is_zero()))
    }

    /// Adds to the open minute what its datagrams have shown.
    fn close(&mut self, session: &Session) {
        let Some(open) = &mut self.open else { return };
        let (arrived, lost) = self.minutes.entry(open.minute).or_default();
        arrived.add(Counters { bytes: std::mem::take(&mut open.octets), ..Counters::ZERO });
        for (unit, counted) in Unit::ALL.into_iter().zip(&mut self.counted) {
            let now = session.arrivals(unit);
            let new = now.since(counted);
            arrived.add(units(unit, new.received));
            lost.add(units(unit, new.lost));
            // A late datagram reduces what was lost. If a minute has it already, the next loss is not counted instead.
            *counted = Arrivals { lost: now.lost.max(counted.lost), ..now };
        }
    }
}

/// Datagrams are packets and records are flows.
fn units(unit: Unit, number: u64) -> Counters {
    match unit {
        Unit::Datagrams => Counters { packets: number, ..Counters::ZERO },
        Unit::Records => Counters { flows: number, ..Counters::ZERO },
    }
}

#[cfg(test)]
mod tests {
    use flow::Exporter;
    use wire::{Datagram, SessionLimits, encode, netflow_v5};

    use super::*;

    const SENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    struct Taken {
        session: Session,
        arrivals: ArrivalsByMinute,
    }

    impl Taken {
        fn new() -> Self {
            Self { session: Session::new(SessionLimits::default()), arrivals: ArrivalsByMinute::default() }
        }

        /// A datagram of ten flows with this number.
        fn take(&mut self, seconds: u64, sequence: u32) {
            let header = netflow_v5::Header { sequence: sequence.into(), ..Default::default() };
            let payload = encode::netflow_v5(&header, &[netflow_v5::Record::default(); 10]);
            let received = Timestamp::from_seconds(seconds);
            let datagram = Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload };
            self.arrivals.open(received, &self.session);
            self.session.decode(&datagram, &mut |_| ());
            self.arrivals.note(payload.len());
        }

        /// The minute, the octets, the records, and the lost records of each report.
        fn report(&mut self) -> Vec<(u32, u64, u64, u64)> {
            let report = self.arrivals.report(SENDER, &self.session);
            report.map(|it| (it.minute.number(), it.arrived.bytes, it.arrived.flows, it.lost.flows)).collect()
        }
    }

    /// The length of a datagram.
    const OCTETS: u64 = 24 + 10 * 48;

    #[test]
    fn each_minute_has_what_arrived_in_it_and_what_was_lost_before_that() {
        let mut taken = Taken::new();
        taken.take(60, 0);
        taken.take(119, 20);
        taken.take(120, 60);
        // Another thread has read one of the minute before.
        taken.take(119, 70);
        assert_eq!(taken.report(), [(1, 3 * OCTETS, 30, 10), (2, OCTETS, 10, 30)]);
        assert_eq!(taken.report(), []);
        taken.take(121, 80);
        assert_eq!(taken.report(), [(2, OCTETS, 10, 0)]);
    }

    #[test]
    fn what_arrives_after_it_was_reported_lost_is_not_lost_twice() {
        let mut taken = Taken::new();
        for sequence in [0, 10, 30] {
            taken.take(60, sequence);
        }
        assert_eq!(taken.report(), [(1, 3 * OCTETS, 30, 10)]);
        taken.take(61, 20);
        assert_eq!(taken.report(), [(1, OCTETS, 10, 0)]);
        taken.take(62, 50);
        assert_eq!(taken.report(), [(1, OCTETS, 10, 0)]);
        taken.take(63, 80);
        assert_eq!(taken.report(), [(1, OCTETS, 10, 20)]);
    }
}
