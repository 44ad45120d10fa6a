//! What was counted for monitored prefixes, as metrics. A collector limits for how many.

use std::fmt;
use std::net::IpAddr;

use flow::{Counters, Prefix};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use view::{PrefixCounters, View};

/// The counters of prefixes, with their labels.
#[derive(Debug)]
pub(super) struct Scrape {
    prefixes: Vec<PrefixCounters>,
    /// Those of each prefix, in the same order.
    labels: Vec<Labels>,
}

/// The labels of all series of a prefix.
type Labels = Vec<(&'static str, String)>;

/// A counter: its name, its help, and how it is read.
type Series = (&'static str, &'static str, fn(&Counters) -> u64);

const SERIES: [Series; 3] = [
    ("prefix_bytes", "Bytes counted for a monitored prefix", |it| it.bytes),
    ("prefix_packets", "Packets counted for a monitored prefix", |it| it.packets),
    ("prefix_flows", "Flows counted for a monitored prefix", |it| it.flows),
];

impl Scrape {
    /// Those of a collector; with what routers and networks are called, if they are wanted.
    pub(super) fn of(view: &dyn View, named: bool) -> Self {
        let prefixes = view.prefixes();
        let labels = prefixes.iter().map(|PrefixCounters { router, prefix, .. }| {
            let mut labels = vec![("router", router.to_string()), ("prefix", prefix.to_string())];
            if named {
                labels.extend(names(view, *router, *prefix));
            }
            labels
        });
        Self { labels: labels.collect(), prefixes }
    }

    /// Writes them.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = &self.prefixes;
        if counters.is_empty() {
            return Ok(());
        }
        for (name, help, value) in SERIES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (prefix, labels) in counters.iter().zip(&self.labels) {
                for (direction, counters) in &prefix.counters {
                    let labels = with(labels, "direction", direction);
                    ConstCounter::new(value(counters)).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let help = "Always 1; within is the smallest monitored prefix of the router around this one, which includes it";
        let mut family = encoder.encode_descriptor("prefix_info", help, None, MetricType::Gauge)?;
        for (prefix, labels) in counters.iter().zip(&self.labels) {
            let within = prefix.within.map_or_else(String::new, |within| within.to_string());
            ConstGauge::new(1.0).encode(family.encode_family(&with(labels, "within", &within))?)?;
        }
        Ok(())
    }
}

/// What a router is called, and the innermost network around a prefix; empty where it is not known.
fn names(view: &dyn View, router: IpAddr, prefix: Prefix) -> Labels {
    let (routers, networks) = (view.names_of(router), view.networks());
    let network = networks.around_prefix(prefix);
    let word = |word: Option<&flow::Tag>| word.map_or_else(String::new, ToString::to_string);
    vec![
        ("router_name", routers.name().unwrap_or_default().to_owned()),
        ("network", word(network.and_then(|network| network.name.as_ref()))),
        ("customer", word(network.and_then(|network| network.customer.as_ref()))),
    ]
}

/// These labels and another one.
fn with<'l>(labels: &'l Labels, name: &'static str, value: &'l str) -> Vec<(&'static str, &'l str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).chain([(name, value)]).collect()
}
