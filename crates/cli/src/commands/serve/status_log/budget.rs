//! How many lines of a kind are logged in a minute. Forged addresses, and routers that come and go, must not fill the
//! disk of the log: beyond the limit changes are counted, and the end of the minute has one line for them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::changes::Change;

/// The lines of a kind in a minute at most, without the one that counts the others.
const LINES: u64 = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// What was logged of each kind.
#[derive(Default)]
pub(super) struct Budget(BTreeMap<&'static str, Spent>);

/// Since the beginning of its minute.
struct Spent {
    began: Duration,
    changes: u64,
}

impl Budget {
    /// The changes that are logged.
    pub(super) fn spend(&mut self, found: Vec<Change>, now: Duration) -> Vec<Change> {
        let mut logged = Vec::new();
        self.0.retain(|kind, spent| {
            let has_ended = now.saturating_sub(spent.began) >= MINUTE;
            let changes = spent.changes.saturating_sub(LINES);
            if has_ended && changes > 0 {
                logged.push(Change::More { kind, changes });
            }
            !has_ended
        });
        for change in found {
            let spent = self.0.entry(change.kind()).or_insert(Spent { began: now, changes: 0 });
            spent.changes += 1;
            if spent.changes <= LINES {
                logged.push(change);
            }
        }
        logged
    }
}

impl Change {
    /// What it is called where it is counted; the kinds are few, whatever is received.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Sends { .. } => "routers began to send",
            Self::Unregistered { .. } | Self::TooManyUnregistered => "unregistered addresses send",
            Self::Silent { .. } => "routers fell silent",
            Self::SendsAgain { .. } => "routers send again",
            Self::Loses { .. } => "routers lose data",
            Self::LosesNothing { .. } => "routers no longer lose data",
            Self::Drops { .. } | Self::DropsNothing { .. } => "drops by the kernel",
            Self::SpoolGrows { .. } | Self::SpoolIsEmpty => "sizes of the spool",
            Self::More { kind, .. } => kind,
        }
    }
}
