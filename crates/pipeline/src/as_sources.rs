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
        const { assert!(AsSource::COUNT <= size_of::<u64>()) };
        for flows in flows.chunks(u8::MAX as usize / 2) {
            // An octet for each source, in a register: an array would be written and read for each end.
            let one = |from: AsSource| 1_u64 << (u8::BITS * from as u32);
            let ends =
                flows.iter().fold(0, |ends, flow| ends + one(flow.source_as_from) + one(flow.destination_as_from));
            for (count, more) in self.0.iter().zip(ends.to_le_bytes()) {
                if more > 0 {
                    count.fetch_add(more.into(), Ordering::Relaxed);
                }
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
