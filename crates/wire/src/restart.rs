//! Has the exporter started again? Then its template ids may mean something else, and what it sends before it has
//! announced them anew must wait rather than be read with the old ones.
//!
//! The sign is that the sequence number steps back and the time of the start, which is the export time less the uptime,
//! steps forward (NetFlow v9). Either alone is no sign: the uptime wraps after 49.7 days, clocks are set, and datagrams
//! overtake each other. IPFIX has no uptime and gives no sign. Processes behind one address are told apart by their
//! port; otherwise two of them would look like one that starts again and again.

use hashbrown::HashMap;

use crate::datagram::Message;

/// How many processes of one exporter address are watched.
const PROCESSES_KEPT: usize = 256;

/// By how many milliseconds the time of the start may differ between datagrams of one run: v9 export times are whole
/// seconds, and clocks drift.
const TOLERANCE_MILLISECONDS: u64 = 10_000;

/// Sequence number and time of the start, in milliseconds, of each exporting process: domain and port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarts {
    processes: HashMap<(u32, u16), (u32, u64)>,
}

impl Restarts {
    /// Notes a message; says whether its process has started again since the one before.
    pub(crate) fn note(&mut self, message: &Message) -> bool {
        let Some(uptime) = message.uptime else { return false };
        let process = (message.domain, message.exporter.port);
        let start = message.exported.milliseconds().saturating_sub(u64::from(uptime));
        let now = (message.sequence, start);
        if let Some(last) = self.processes.get_mut(&process) {
            let (last_sequence, last_start) = std::mem::replace(last, now);
            let back = last_sequence.wrapping_sub(message.sequence);
            let stepped_back = back > 0 && back < u32::MAX / 2;
            return stepped_back && start.saturating_sub(last_start) > TOLERANCE_MILLISECONDS;
        }
        if self.processes.len() < PROCESSES_KEPT {
            self.processes.insert(process, now);
        }
        false
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
            restarts.note(&Message {
                protocol: Protocol::NetflowV9,
                exporter: Exporter::new([192, 0, 2, 1].into(), port),
                received: Timestamp::EPOCH,
                exported: Timestamp::from_seconds(exported_seconds),
                domain: 0,
                sequence,
                uptime: Some(uptime_seconds * 1000),
            })
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
}
