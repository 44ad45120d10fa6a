//! The totals: overall, by exporter, and by the names under which a collector counts.

use std::collections::HashMap;

use accounting::direction::Direction;
use accounting::field::{Field, Name};
use flow::{Counters, FlowRecord, Prefix};

/// The totals of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All datagrams.
    pub datagrams: u64,
    /// Those that contain only templates.
    pub templates: u64,
    /// Bytes, packets and flows, multiplied by the sampling rate if there is one.
    pub all: Counters,
    /// The same for each exporter, in their order.
    pub exporters: Vec<Counters>,
}

/// A counter of a collector: the exporter's number, a prefix, a direction and a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey {
    /// The number of the exporter, from 0.
    pub exporter: u32,
    /// The monitored prefix.
    pub prefix: Prefix,
    /// The direction, seen from it.
    pub direction: Direction,
    /// The name.
    pub name: Name,
}

/// The expected counters.
pub type Names = HashMap<NameKey, Counters>;

/// Adds a flow that was sent this many times to the expected counters. The rule of attribution is implemented a second
/// time on purpose: collectors are compared with it.
pub(crate) fn add_names(
    names: &mut Names,
    exporter: u32,
    flow: &FlowRecord,
    times: u64,
    prefixes: &[Prefix],
    wanted: &mut dyn FnMut(&Name) -> bool,
) {
    let counters = times_counters(flow, times);
    let holds = |address| prefixes.iter().copied().filter(move |prefix| prefix.contains(address));
    let is_own = |address| holds(address).any(|prefix| !prefix.is_default_route());
    let local = is_own(flow.source) && is_own(flow.destination);
    let (outwards, inwards) =
        if local { (Direction::OutLocal, Direction::InLocal) } else { (Direction::Out, Direction::In) };
    let out = holds(flow.source).map(|prefix| (prefix, outwards));
    let into = holds(flow.destination).map(|prefix| (prefix, inwards));
    for field in Field::ALL {
        let name = Name { field, value: field.value_of(flow) };
        if wanted(&name) {
            for (prefix, direction) in out.clone().chain(into.clone()) {
                names.entry(NameKey { exporter, prefix, direction, name }).or_default().add(counters);
            }
        }
    }
}

/// The counters of a flow that was sent this many times.
pub(crate) fn times_counters(flow: &FlowRecord, times: u64) -> Counters {
    let rate = u64::from(flow.sampling.rate);
    let Counters { bytes, packets, flows } = flow.forward;
    Counters {
        bytes: bytes * rate * times,
        packets: packets * rate * times,
        flows: flows * u64::from(flow.sampling.flows) * times,
    }
}
