//! Detects restarts of exporters. After one, template ids may have new meanings, so data must not be read with the old
//! templates.
//!
//! A NetFlow v9 exporter has restarted if its sequence number steps back and its start time (export time minus uptime)
//! steps forward. One alone is no evidence: uptimes wrap after 49.7 days, clocks are set, and datagrams overtake each
//! other. IPFIX has no uptime, so its restarts are not detected here. Processes at one address are distinguished by
//! their port; otherwise two of them would look like one that restarts all the time.
//!
//! After a restart of the collector, the stored sequence number may be old. An exporter has then restarted if its start
//! time is after the last stored message. That is also the case if its clock was set forward or its uptime has wrapped,
//! but then its uptime has grown by as much as our own time.

use flow::Timestamp;
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::ports::{Entry, Ports, Wanted};
use crate::stream::is_overtaken;

/// How many processes of one exporter address are followed.
const PROCESSES_KEPT: usize = 4096;

/// By how many milliseconds the start time may differ between datagrams of one process: v9 export times are whole
/// seconds, and clocks drift.
const TOLERANCE_MILLISECONDS: u64 = 10_000;

/// An exporter's uptime may run fast or slow by one part in this many: a cheap quartz does by one in ten thousand.
const DRIFT: u64 = 8192;

/// The last message of an exporting process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastMessage {
    pub(crate) sequence: u32,
    pub(crate) exported: Timestamp,
    /// Milliseconds.
    pub(crate) uptime: u32,
    received: Timestamp,
    /// Whether this collector has restarted since.
    restored: bool,
}

impl LastMessage {
    /// When the process started, in milliseconds.
    fn start(&self) -> u64 {
        self.exported.milliseconds().saturating_sub(u64::from(self.uptime))
    }

    /// What the uptime was at an earlier time of receipt.
    pub(crate) const fn uptime_at(&self, earlier: Timestamp) -> u32 {
        self.uptime.wrapping_sub(self.received.milliseconds().wrapping_sub(earlier.milliseconds()) as u32)
    }

    /// Whether the uptime has grown since the last message by as much as our clock, modulo its wrap.
    fn has_run_on(&self, last: &Self) -> bool {
        let off = self.uptime_at(last.received).wrapping_sub(last.uptime);
        let drift = self.received.milliseconds().abs_diff(last.received.milliseconds()) / DRIFT;
        u64::from(off.min(off.wrapping_neg())) <= TOLERANCE_MILLISECONDS + drift
    }

    /// Whether the exporter has restarted since the last message.
    fn is_of_successor(&self, last: &Self) -> bool {
        if last.restored {
            let started_after = self.start().saturating_sub(last.exported.milliseconds()) > TOLERANCE_MILLISECONDS;
            return started_after && !self.has_run_on(last);
        }
        let back = last.sequence.wrapping_sub(self.sequence);
        let stepped_back = back > 0 && back < u32::MAX / 2;
        stepped_back && self.start().saturating_sub(last.start()) > TOLERANCE_MILLISECONDS
    }
}

/// The last message of each exporting process: domain and port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarts {
    processes: HashMap<(u32, u16), LastMessage>,
}

impl Restarts {
    /// Records a message; returns whether its process has restarted since the one before.
    pub(crate) fn note(&mut self, ports: &Ports, message: &Message) -> bool {
        let Some(uptime) = message.uptime else { return false };
        let process = (message.domain, message.exporter.port);
        let now = LastMessage {
            sequence: message.sequence,
            exported: message.exported,
            uptime,
            received: message.received,
            restored: false,
        };
        if let Some(last) = self.processes.get_mut(&process) {
            // Another thread has already recorded a later one.
            if is_overtaken(message.received, last.received) {
                return false;
            }
            return now.is_of_successor(&std::mem::replace(last, now));
        }
        if self.processes.len() >= PROCESSES_KEPT {
            let entries = self.processes.iter().map(|(process, last)| {
                let heard = last.received;
                Entry { key: *process, port: process.1, size: 1, used: heard, heard }
            });
            let wanted = Wanted { port: process.1, size: 1, limit: PROCESSES_KEPT, now: message.received };
            for displaced in ports.displaced(&wanted, entries) {
                self.processes.remove(&displaced);
            }
        }
        if self.processes.len() < PROCESSES_KEPT {
            self.processes.insert(process, now);
        }
        false
    }

    /// The last message of a process.
    pub(crate) fn last(&self, domain: u32, port: u16) -> Option<LastMessage> {
        self.processes.get(&(domain, port)).copied()
    }

    /// Marks all messages as restored: the collector has restarted since. Messages without an export time are dropped.
    pub(crate) fn mark_restored(&mut self) {
        self.processes.retain(|_, last| {
            last.restored = true;
            last.exported > Timestamp::EPOCH
        });
    }
}

#[cfg(test)]
mod tests {
    use flow::{Exporter, Protocol, Timestamp};

    use super::*;

    #[test]
    fn a_restart_is_a_sequence_that_steps_back_and_a_start_that_steps_forward() {
        let mut restarts = Restarts::default();
        let mut note = |port, sequence, exported_seconds, uptime_seconds: u32| {
            restarts.note(
                &Ports::default(),
                &Message {
                    protocol: Protocol::NetflowV9,
                    exporter: Exporter::udp([192, 0, 2, 1].into(), port),
                    received: Timestamp::EPOCH,
                    exported: Timestamp::from_seconds(exported_seconds),
                    domain: 0,
                    sequence,
                    uptime: Some(uptime_seconds * 1000),
                },
            )
        };
        assert!(!note(1, 500, 1_000_000, 90_000));
        assert!(!note(2, 3, 1_000_000, 5), "another process");
        assert!(!note(1, 420, 999_900, 89_900), "overtaken by a hundred seconds");
        assert!(!note(1, 501, 1_000_060, 0), "uptime wrapped");
        assert!(!note(1, 502, 1_000_070, 10));
        assert!(!note(1, 1, 1_000_080, 20), "the sequence started again, the process did not");
        assert!(note(1, 0, 1_000_200, 6));
        assert!(!note(1, 1, 1_000_210, 16));
    }

    #[test]
    fn what_was_remembered_is_of_another_process_when_the_exporter_started_after_it() {
        let message = |sequence, exported_seconds, uptime_seconds: u32| Message {
            protocol: Protocol::NetflowV9,
            exporter: Exporter::udp([192, 0, 2, 1].into(), 1),
            received: Timestamp::EPOCH,
            exported: Timestamp::from_seconds(exported_seconds),
            domain: 0,
            sequence,
            uptime: Some(uptime_seconds * 1000),
        };
        let mut remembered = Restarts::default();
        remembered.note(&Ports::default(), &message(500, 1_000_000, 90_000));
        remembered.mark_restored();
        let restarted = |next: &Message| remembered.clone().note(&Ports::default(), next);
        assert!(!restarted(&message(90_000, 2_000_000, 1_090_000)), "the same process, much later");
        assert!(!restarted(&message(90_000, 2_000_000, 1_089_000)), "its clocks have drifted apart");
        assert!(!restarted(&message(7, 1_000_005, 0)), "clocks are not exact to the second");
        assert!(restarted(&message(700, 1_000_300, 200)), "it has sent more since than before");
        let mut again = remembered.clone();
        assert!(!again.note(&Ports::default(), &message(600, 1_000_100, 90_100)));
        assert!(
            !again.note(&Ports::default(), &message(601, 1_200_000, 5)),
            "from the first message on, the sequence has to step back too"
        );
    }

    #[test]
    fn a_clock_change_and_a_wrapped_uptime_are_no_restart() {
        // Received and exported in seconds, uptime in milliseconds.
        let message = |received, exported, uptime: u64| Message {
            protocol: Protocol::NetflowV9,
            exporter: Exporter::udp([192, 0, 2, 1].into(), 1),
            received: Timestamp::from_seconds(received),
            exported: Timestamp::from_seconds(exported),
            domain: 0,
            sequence: 1,
            uptime: Some(uptime as u32),
        };
        let mut remembered = Restarts::default();
        remembered.note(&Ports::default(), &message(1_000_000, 1_000_000, 600_000));
        remembered.mark_restored();
        let restarted = |next: &Message| remembered.clone().note(&Ports::default(), next);
        let day = 86_400;
        for seconds in [1, 5, 3600, day, 49 * day, 60 * day, 400 * day] {
            let (now, uptime) = (1_000_000 + seconds, 600_000 + seconds * 1000);
            for ahead in [0, 60, 3600, day, 365 * day] {
                assert!(!restarted(&message(now, now + ahead, uptime)), "{seconds} s later, {ahead} s ahead");
            }
            assert!(!restarted(&message(now, now + 3600, uptime + seconds / 10)), "its quartz is a bad one");
            // Restarted after a third of the time, or just now.
            for after in [seconds / 3, seconds.saturating_sub(30)].into_iter().filter(|after| *after >= 30) {
                let uptime = (seconds - after) * 1000;
                assert!(restarted(&message(now, now, uptime)), "{seconds} s later, started {after} s after it");
                assert!(restarted(&message(now, now + 3600, uptime)), "{seconds} s later, and its clock was set");
            }
        }
        // Our own clock was set meanwhile: then the exporter's has to do.
        assert!(!restarted(&message(1_003_700, 1_000_100, 700_000)));
        assert!(restarted(&message(1_003_700, 1_000_100, 50_000)));
    }

    #[test]
    fn overtaken_datagrams_are_no_second_restart() {
        let message = |received: u64, sequence, uptime_seconds: u32| Message {
            protocol: Protocol::NetflowV9,
            exporter: Exporter::udp([192, 0, 2, 1].into(), 1),
            received: Timestamp::from_nanoseconds(1_000_000_000_000 + received),
            exported: Timestamp::from_seconds(1000),
            domain: 0,
            sequence,
            uptime: Some(uptime_seconds * 1000),
        };
        let mut restarts = Restarts::default();
        let restarted = [(1, 500, 900), (3, 0, 0), (2, 501, 900), (4, 1, 0), (5, 2, 0)]
            .map(|(received, sequence, uptime)| restarts.note(&Ports::default(), &message(received, sequence, uptime)));
        assert_eq!(restarted, [false, true, false, false, false]);
    }
}
