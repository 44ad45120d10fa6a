//! What is counted, in the text format of Prometheus. Names are those of [`watch`](crate::watch) with `netflow_` before
//! them. Exporters are told apart up to a number; the rest of them show in the totals only.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::Api;
use crate::error::Error;
use crate::watch::{Counter, Exporter, Socket, Status};

/// How many exporters have series of their own: the busiest.
const EXPORTERS: usize = 1000;

/// Everything, as text.
pub(crate) fn encode(api: &Api, store_latency: Option<Duration>) -> Result<String, Error> {
    let (status, exporters) = match &api.watch {
        Some(watch) => (watch.status(), busiest(watch.exporters())),
        None => (Status::default(), Vec::new()),
    };
    let mut registry = Registry::with_prefix("netflow");
    registry.register_collector(Box::new(Scrape { status, exporters, store_latency }));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        Error::Internal
    })?;
    Ok(text)
}

fn busiest(mut exporters: Vec<Exporter>) -> Vec<Exporter> {
    let datagrams = |exporter: &Exporter| exporter.protocols.iter().map(|(_, datagrams)| *datagrams).sum::<u64>();
    exporters.sort_by_cached_key(|exporter| std::cmp::Reverse(datagrams(exporter)));
    exporters.truncate(EXPORTERS);
    exporters
}

/// One moment of the collector.
#[derive(Debug)]
struct Scrape {
    status: Status,
    exporters: Vec<Exporter>,
    store_latency: Option<Duration>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let reachable = f64::from(u8::from(self.store_latency.is_some()));
        gauge(&mut encoder, "store_reachable", "Whether the store answered just now", reachable)?;
        if let Some(latency) = self.store_latency {
            let help = "How long the store took to answer a small question just now";
            gauge(&mut encoder, "store_latency_seconds", help, latency.as_secs_f64())?;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds need no more than 53 bits")]
        let started = self.status.started.seconds() as f64;
        gauge(&mut encoder, "start_time_seconds", "When the collector started, since 1970", started)?;
        for counted in &self.status.counters {
            counter(&mut encoder, counted)?;
        }
        for measured in &self.status.gauges {
            gauge(&mut encoder, measured.name, measured.help, measured.value)?;
            if let Some(limit) = measured.limit {
                gauge(&mut encoder, &format!("{}_limit", measured.name), "The most that there may be", limit)?;
            }
        }
        self.ledgers(&mut encoder)?;
        self.sockets(&mut encoder)?;
        self.exporters(&mut encoder)
    }
}

impl Scrape {
    /// What does not balance, to alert on.
    fn ledgers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ledgers = &self.status.ledgers;
        if ledgers.is_empty() {
            return Ok(());
        }
        let help = "How often the sides of a ledger came further apart";
        let values = ledgers.iter().map(|ledger| (Some(("ledger", ledger.name)), ledger.violations)).collect();
        counter(encoder, &Counter { name: "ledger_violations", help, values })?;
        let help = "By how much the left side of a ledger is larger: 0 when it balances";
        let mut family = encoder.encode_descriptor("ledger_difference", help, None, MetricType::Gauge)?;
        for ledger in ledgers {
            #[expect(clippy::cast_precision_loss, reason = "whether it is 0 is exact")]
            let difference = ledger.difference() as f64;
            ConstGauge::new(difference).encode(family.encode_family(&[("ledger", ledger.name)])?)?;
        }
        Ok(())
    }

    /// What waits at each socket and what was dropped there.
    fn sockets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        type Told = (&'static str, &'static str, MetricType, fn(&Socket) -> u64);
        let waiting = "What waits to be read, in bytes of the kernel's memory";
        let told: [Told; 3] = [
            ("socket_waiting_bytes", waiting, MetricType::Gauge, |socket| socket.waiting_bytes),
            ("socket_waiting_bytes_limit", "The most that there may be", MetricType::Gauge, |socket| {
                socket.waiting_limit
            }),
            ("socket_drops", "Datagrams that the kernel dropped", MetricType::Counter, |socket| socket.dropped),
        ];
        for (name, help, metric_type, value) in told {
            let mut family = encoder.encode_descriptor(name, help, None, metric_type)?;
            for socket in &self.status.sockets {
                let labels = [("address", socket.address.to_string()), ("thread", socket.thread.to_string())];
                let encoder = family.encode_family(&labels)?;
                match metric_type {
                    MetricType::Counter => ConstCounter::new(value(socket)).encode(encoder)?,
                    #[expect(clippy::cast_precision_loss, reason = "a queue needs no more than 53 bits")]
                    _ => ConstGauge::new(value(socket) as f64).encode(encoder)?,
                }
            }
        }
        Ok(())
    }

    /// The counters that exporters have in common, each with a series for every exporter.
    fn exporters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(first) = self.exporters.first() else { return Ok(()) };
        for Counter { name, help, .. } in &first.counters {
            let name = format!("exporter_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for exporter in &self.exporters {
                let address = exporter.address.to_string();
                let same = exporter.counters.iter().filter(|counter| format!("exporter_{}", counter.name) == name);
                for (label, value) in same.flat_map(|counter| &counter.values) {
                    let labels: Vec<_> = [("exporter", address.as_str())].into_iter().chain(*label).collect();
                    ConstCounter::new(*value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, counter: &Counter) -> fmt::Result {
    let mut family = encoder.encode_descriptor(counter.name, counter.help, None, MetricType::Counter)?;
    for (label, value) in &counter.values {
        let labels: Vec<_> = label.iter().copied().collect();
        ConstCounter::new(*value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
