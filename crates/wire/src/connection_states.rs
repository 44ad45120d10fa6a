//! What decoding remembers of the connections of one exporter address: each has a state of its own (RFC 7011, section 8),
//! which is gone when the connection has ended.

use std::collections::BTreeMap;

use crate::exporter_state::{ExporterState, SessionLimits};
use crate::pending::PendingBudget;

/// How many connections of one address have a state: more than anybody allows. Of more, the one with the lowest port has ended.
pub(crate) const CONNECTIONS_KEPT: usize = 1024;

/// The states of the connections that are open, by their ports.
#[derive(Debug, Default)]
pub(crate) struct ConnectionStates {
    open: BTreeMap<u16, ExporterState>,
    /// The changes of the announcements of those that have ended, and their ends.
    ended_changes: u64,
}

impl ConnectionStates {
    pub(crate) const fn restored(open: BTreeMap<u16, ExporterState>) -> Self {
        Self { open, ended_changes: 0 }
    }

    /// The states of all connections.
    pub(crate) const fn open(&self) -> &BTreeMap<u16, ExporterState> {
        &self.open
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ExporterState> {
        self.open.values_mut()
    }

    /// The state of a connection. It begins with the limits of the state of its address, in which those that have ended count.
    pub(crate) fn of(&mut self, port: u16, address: &mut ExporterState) -> &mut ExporterState {
        if self.open.len() >= CONNECTIONS_KEPT
            && !self.open.contains_key(&port)
            && let Some(first) = self.open.keys().next().copied()
        {
            self.end(first, address);
        }
        let limits = SessionLimits { templates: address.templates.limits(), ..SessionLimits::default() };
        // Nothing is queued.
        self.open.entry(port).or_insert_with(|| ExporterState::new(limits, PendingBudget::new(0)))
    }

    /// Forgets a connection. What was counted of it stays in the state of its address.
    pub(crate) fn end(&mut self, port: u16, address: &mut ExporterState) {
        let Some(ended) = self.open.remove(&port) else { return };
        self.ended_changes += ended.changes() + 1;
        address.count_those_of(&ended);
    }

    /// Changes with every announcement that is new, and with every end.
    pub(crate) fn changes(&self) -> u64 {
        self.open.values().map(ExporterState::changes).sum::<u64>() + self.ended_changes
    }
}
