//! Has the exporter started again? Then its template ids may mean something else, and what it sends before it has
//! announced them anew must wait rather than be read with the old ones.
//!
//! The sign is that sequence number and uptime both step back (NetFlow v9). Either alone is no sign: the uptime wraps
//! after 49.7 days, and datagrams overtake each other. IPFIX has no uptime and gives no sign. Processes behind one
//! address are told apart by their port; what they share would look like one that starts again and again.

use hashbrown::HashMap;

use crate::datagram::Message;

/// How many processes of one exporter address are watched.
const PROCESSES_KEPT: usize = 256;

/// Uptime may step back by so many milliseconds when datagrams overtake each other.
const OVERTAKING_MILLISECONDS: u32 = 10_000;

/// Sequence number and uptime of each exporting process: domain and port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarts {
    processes: HashMap<(u32, u16), (u32, u32)>,
}

impl Restarts {
    /// Notes a message; says whether its process has started again since the one before.
    pub(crate) fn note(&mut self, message: &Message) -> bool {
        let Some(uptime) = message.uptime else { return false };
        let process = (message.domain, message.exporter.port);
        let now = (message.sequence, uptime);
        if let Some(last) = self.processes.get_mut(&process) {
            let (last_sequence, last_uptime) = std::mem::replace(last, now);
            let back = last_sequence.wrapping_sub(message.sequence);
            let stepped_back = back > 0 && back < u32::MAX / 2;
            return stepped_back && last_uptime.saturating_sub(uptime) > OVERTAKING_MILLISECONDS;
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
    fn only_sequence_and_uptime_that_both_step_back_are_a_restart() {
        let mut restarts = Restarts::default();
        let mut note = |port, sequence, uptime| {
            restarts.note(&Message {
                protocol: Protocol::NetflowV9,
                exporter: Exporter::new([192, 0, 2, 1].into(), port),
                received: Timestamp::EPOCH,
                exported: Timestamp::EPOCH,
                domain: 0,
                sequence,
                uptime: Some(uptime),
            })
        };
        assert!(!note(1, 500, 1_000_000));
        assert!(!note(2, 3, 5_000), "another process");
        assert!(!note(1, 499, 999_000), "overtaken");
        assert!(!note(1, 501, 0), "uptime wrapped");
        assert!(!note(1, 502, 1_000_000));
        assert!(!note(1, 1, 1_000_100), "sequence started again, the process did not");
        assert!(note(1, 0, 60_000));
        assert!(!note(1, 1, 60_100));
    }
}
