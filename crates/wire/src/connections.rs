//! What has been booked of each connection that is reported more than once, for exporters that report sums: the rest is
//! booked, so that nothing counts twice, and the end of a connection adds what was lost on the way.
//!
//! - **Firewalls** (Cisco's NSEL): an update (firewallEvent 5) has the octets since the last update, the end (2) has those of
//!   the whole connection. Both are in 231 and 232, in either order: an update that arrives after the end is in it already.
//! - **Running totals** (85, 86 and their reverse elements): each record has the sum since the flow began. A sum below the
//!   last one is that of a new flow.
//!
//! The memory does not outlive the process; only whether an exporter sends updates does, for each exporter behind a relay.
//! After a start, the end of a connection that began earlier is not booked: its updates were booked, some before the start.
//! What it has sent since its last update is not counted then.
//!
//! Who decodes a datagram again books what was booked of it before, whatever it remembers ([`crate::booked`]).
//!
//! The memory is bounded. A report of a connection for which there is no room is not booked: a later sum includes it. Only
//! an end is always booked.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use flow::{FlowRecord, Timestamp};
use hashbrown::HashMap;

use crate::booked::{Booked as BookedRecords, Sums};
use crate::booking::Slot;
use crate::datagram::Message;
use crate::plan::Reading;
use crate::template::Template;

/// How many connections of an exporter are remembered, 24 MiB at most.
const MOST: usize = 1 << 18;
/// Ends are remembered as long as an update may be on its way.
const ENDED: Duration = Duration::from_secs(60);
/// A connection without a report for so long makes room for others.
const IDLE: Duration = Duration::from_secs(6 * 3600);
/// The shortest time after which firewalls send an update of a connection, by default.
const UPDATE: Duration = Duration::from_secs(60);
/// How often idle connections are looked for, if there is no room.
const SWEEP: Duration = Duration::from_secs(60);

/// Of how many exporters behind a relay it is known that they send updates.
const MOST_UPDATING: usize = 256;

/// How the records of a template report connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    /// Each record has what is new.
    New,
    /// Updates have what is new, ends have the whole connection.
    NewThenWhole,
    /// Each record has the whole connection so far.
    Whole,
}

/// A connection, by a keyed hash of what identifies it.
type Key = u64;

/// What is booked of a connection.
#[derive(Clone, Copy, Debug)]
struct Booked {
    /// Octets and packets, then those of the other way.
    sums: Sums,
    /// When it was last reported, in seconds.
    last: u32,
    has_ended: bool,
}

/// The connections of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    booked: HashMap<Key, Booked>,
    /// Those that have ended, the first one first.
    ended: VecDeque<(Key, u32)>,
    hasher: RandomState,
    swept: u32,
    deferred: u64,
    /// The exporters that send updates: the one that sends the datagrams, and those that records name.
    updating: HashMap<Option<IpAddr>, Updating>,
    /// How often an exporter was added to these.
    changes: u64,
    /// What is booked of the present datagram.
    pub(crate) records: BookedRecords,
}

/// An exporter that sends updates.
#[derive(Clone, Copy, Debug, Default)]
struct Updating {
    began: Began,
    /// When it last reported a connection, in seconds.
    last: u32,
}

/// Since when the connections of an exporter that sends updates are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Began {
    /// Since the first one.
    #[default]
    WithTheFirst,
    /// Since a start after which it has reported nothing yet.
    Restored,
    /// Since its first report after a start, in this second.
    At(u32),
}

/// How many connections an exporter has that are reported more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Those of which it is known what was booked.
    pub tracked: usize,
    /// The most that are tracked.
    pub most: usize,
    /// Reports that were not booked because there was no room for their connection; later sums include them.
    pub deferred: u64,
}

/// What a record says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    /// What is new.
    Update,
    /// The whole connection, which has ended.
    End,
    /// The whole connection so far.
    Total { is_last: bool },
}

impl Connections {
    /// Subtracts from the counters of a flow what was booked of its connection. `None` if nothing is left to be booked.
    pub(crate) fn rest(
        &mut self,
        message: &Message,
        template: &Template,
        reading: &Reading<'_, '_>,
        mut flow: FlowRecord,
    ) -> Option<FlowRecord> {
        let plan = template.plan();
        let report = match (plan.reports(), reading.number(Slot::FirewallEvent)) {
            (Reports::NewThenWhole, 5) => Report::Update,
            (Reports::NewThenWhole, 2) => Report::End,
            // flowEndReason: all but the active timeout, after which the flow continues (RFC 5102, section 5.11.3).
            (Reports::Whole, event) => {
                Report::Total { is_last: event == 2 || matches!(reading.number(Slot::FlowEndReason), 1 | 3 | 4 | 5) }
            }
            _ => return Some(flow),
        };
        // Behind a relay there may be several.
        let exporter = template.exporter(reading.record());
        let key = self.key(message, template, exporter, reading, &flow);
        let now = second(message.received);
        let began = match report {
            Report::Update | Report::End => self.note_updating(exporter, report, now),
            Report::Total { .. } => Began::WithTheFirst,
        };
        let said = [flow.forward.bytes, flow.forward.packets, flow.reverse.bytes, flow.reverse.packets];
        let is_booked = report == Report::End && was_updated_before(began, reading);
        let new = if is_booked { [0; 4] } else { self.note(key, report, now, said) };
        let new = self.records.book(reading.record(), new);
        [flow.forward.bytes, flow.forward.packets, flow.reverse.bytes, flow.reverse.packets] = new;
        flow.reverse.flows = u64::from(flow.reverse.bytes != 0 || flow.reverse.packets != 0);
        (new != [0; 4]).then_some(flow)
    }

    /// Notes whether an exporter sends updates. Returns since when its connections are remembered.
    fn note_updating(&mut self, exporter: Option<IpAddr>, report: Report, now: u32) -> Began {
        if let Some(Updating { began, last }) = self.updating.get_mut(&exporter) {
            if *began == Began::Restored {
                *began = Began::At(now);
            }
            *last = now;
            return *began;
        }
        if report == Report::Update {
            self.add_updating(exporter, Updating { began: Began::WithTheFirst, last: now });
            self.changes += 1;
        }
        Began::WithTheFirst
    }

    /// Adds an exporter that sends updates, instead of the one that has reported nothing for longest if there are too many.
    fn add_updating(&mut self, exporter: Option<IpAddr>, updating: Updating) {
        if self.updating.len() >= MOST_UPDATING {
            let silent = self.updating.iter().min_by_key(|(_, updating)| updating.last).map(|(exporter, _)| *exporter);
            silent.and_then(|silent| self.updating.remove(&silent));
        }
        self.updating.insert(exporter, updating);
    }

    /// The exporters that send updates: the one that sends the datagrams (`None`) before those that records name.
    pub(crate) fn updating(&self) -> Vec<Option<IpAddr>> {
        let mut exporters: Vec<_> = self.updating.keys().copied().collect();
        exporters.sort_unstable();
        exporters
    }

    /// How often [`updating`](Self::updating) has changed.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Restores that an exporter sent updates before a start.
    pub(crate) fn restore(&mut self, exporter: Option<IpAddr>) {
        self.add_updating(exporter, Updating { began: Began::Restored, last: 0 });
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts { tracked: self.booked.len(), most: MOST, deferred: self.deferred }
    }

    fn key(
        &self,
        message: &Message,
        template: &Template,
        exporter: Option<IpAddr>,
        reading: &Reading<'_, '_>,
        flow: &FlowRecord,
    ) -> Key {
        let stream = (message.protocol as u8, message.domain, message.exporter.port, exporter);
        let id = reading.number(Slot::FlowId);
        if template.plan().reports() == Reports::NewThenWhole && id != 0 {
            return self.hasher.hash_one((stream, id));
        }
        let ports = (flow.source_port, flow.destination_port);
        let start = reading.number(Slot::FlowStart);
        self.hasher.hash_one((stream, id, flow.source, flow.destination, flow.protocol, ports, start))
    }

    /// Notes what a connection reports. Returns what is to be booked.
    fn note(&mut self, key: Key, report: Report, now: u32, said: Sums) -> Sums {
        self.forget_ended(now);
        let before = self.booked.get(&key).copied();
        let has_room = before.is_some() || self.booked.len() < MOST || self.make_room(now);
        if !has_room && !matches!(report, Report::End | Report::Total { is_last: true }) {
            self.deferred += 1;
            return [0; 4];
        }
        let sums = before.map_or([0; 4], |before| before.sums);
        let steps_back = said.iter().zip(&sums).any(|(said, booked)| said < booked);
        let (new, sums) = match report {
            // The end included it.
            Report::Update if before.is_some_and(|before| before.has_ended) => return [0; 4],
            Report::Update => (said, each(said, sums, u64::saturating_add)),
            Report::Total { .. } if steps_back => (said, said),
            Report::End | Report::Total { .. } => (each(said, sums, u64::saturating_sub), said),
        };
        let has_ended = report == Report::End;
        if report == (Report::Total { is_last: true }) {
            self.booked.remove(&key);
        } else if has_room {
            self.booked.insert(key, Booked { sums, last: now, has_ended });
            if has_ended {
                self.ended.push_back((key, now));
            }
        }
        new
    }

    /// Forgets connections that ended some time ago.
    fn forget_ended(&mut self, now: u32) {
        while self.ended.front().is_some_and(|(_, at)| is_older(*at, now, ENDED)) {
            self.ended.pop_front().and_then(|(key, _)| self.booked.remove(&key));
        }
    }

    /// Forgets the connection that ended first, or idle ones. Returns whether there is room now.
    fn make_room(&mut self, now: u32) -> bool {
        if self.ended.pop_front().and_then(|(key, _)| self.booked.remove(&key)).is_some() {
            return true;
        }
        if is_older(self.swept, now, SWEEP) {
            self.swept = now;
            self.booked.retain(|_, booked| !is_older(booked.last, now, IDLE));
        }
        self.booked.len() < MOST
    }
}

/// Whether a connection of an exporter began so long before a start that it was updated then.
fn was_updated_before(began: Began, reading: &Reading<'_, '_>) -> bool {
    let Began::At(second) = began else { return false };
    let start = reading.number(Slot::FlowStart) / 1000;
    start > 0 && start + UPDATE.as_secs() < second.into()
}

fn is_older(at: u32, now: u32, age: Duration) -> bool {
    u64::from(now.saturating_sub(at)) > age.as_secs()
}

fn second(time: Timestamp) -> u32 {
    u32::try_from(time.seconds()).unwrap_or(u32::MAX)
}

fn each(one: Sums, other: Sums, of: impl Fn(u64, u64) -> u64) -> Sums {
    let mut others = other.into_iter();
    one.map(|one| of(one, others.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_exporters_that_send_updates_displaces_those_that_have_been_silent() {
        let mut connections = Connections::default();
        let named = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        connections.restore(named(1));
        for number in 1..10_000 {
            connections.note_updating(None, Report::Update, number);
            connections.note_updating(named(number % 2000 + 2), Report::Update, number);
        }
        let updating = connections.updating();
        assert_eq!((updating.len(), updating[0]), (MOST_UPDATING, None));
        assert!(!updating.contains(&named(1)));
        assert_eq!(connections.note_updating(named(1), Report::End, 10_000), Began::WithTheFirst);
    }
}
