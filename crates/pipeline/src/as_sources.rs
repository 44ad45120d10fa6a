//! From which sources the AS numbers of an exporter's flows are.

use std::sync::atomic::{AtomicU64, Ordering};

use flow::{AsSource, FlowRecord};
use view::Counter;

/// How many ends of flows have their AS number from each source, by [`AsSource`]. Shards count without a lock.
#[derive(Debug, Default)]
pub(crate) struct AsSources([AtomicU64; AsSource::COUNT]);

impl AsSources {
    /// Notes both ends of flows that were looked up.
    pub(crate) fn note(&self, flows: &[FlowRecord]) {
        let mut ends = [0; AsSource::COUNT];
        for flow in flows {
            for from in [flow.source_as_from, flow.destination_as_from] {
                if let Some(count) = ends.get_mut(from as usize) {
                    *count += 1;
                }
            }
        }
        for (count, more) in self.0.iter().zip(ends) {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// How many ends have their AS number from each source. `None` if none was looked up.
    pub(crate) fn counter(&self) -> Option<Counter> {
        let ends = AsSource::ALL.iter().zip(&self.0).map(|(from, count)| (from.name(), count.load(Ordering::Relaxed)));
        let values: Vec<_> = ends.map(|(from, count)| (Some(("source", from)), count)).collect();
        let help = "Sources and destinations of flows, by the source of their AS number";
        values.iter().any(|(_, count)| *count > 0).then_some(Counter { name: "flow_ends", help, values })
    }
}
