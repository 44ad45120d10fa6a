//! What options data say about the interfaces of exporters: read beside the path of flows, and only if it has changed.

use std::collections::HashMap;
use std::net::IpAddr;

use flow::Timestamp;
use wire::StatedInterface;

use super::Exporters;
use crate::lock::locked;

/// What the options data of an exporter say about its interfaces.
#[derive(Clone, Debug)]
pub struct StatedInterfaces {
    /// The exporter.
    pub exporter: IpAddr,
    /// When its options data were last received.
    pub last: Timestamp,
    /// All of them, if any options data have changed; else none.
    pub changed: Vec<StatedInterface>,
}

impl Exporters {
    /// What the options data of exporters say about interfaces, if they have changed since a call with the same `seen`; and
    /// when they were last received.
    #[must_use]
    pub fn stated_interfaces(&self, seen: &mut HashMap<IpAddr, u64>) -> Vec<StatedInterfaces> {
        let exporters = self.sorted();
        seen.retain(|address, _| exporters.binary_search_by_key(address, |(known, _)| *known).is_ok());
        let stated = exporters.into_iter().filter_map(|(address, exporter)| {
            let session = &locked(&exporter.state).session;
            let (changes, last) = session.options_state();
            if changes == 0 {
                return None;
            }
            let has_changed = seen.insert(address, changes) != Some(changes);
            let changed = if has_changed { session.stated_interfaces() } else { Vec::new() };
            Some(StatedInterfaces { exporter: address, last, changed })
        });
        stated.collect()
    }
}
