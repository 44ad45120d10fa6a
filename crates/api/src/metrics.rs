//! The view of the collector in Prometheus' text format. Names are those of [`view`] after `netflow_`. The busiest
//! exporters have series of their own; the others show in the totals only.

mod forward;
mod origin_files;
mod prefixes;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::MatchedPath;
use flow::Durations;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use view::{Arrivals, BmpRouter, Counter, Exporter, Histogram, Reader, Socket, Status};

use crate::Api;
use crate::error::Error;
use crate::flow_archive::FlowArchive;
use crate::places::Taken;

/// The number of exporters with series of their own.
const EXPORTERS: usize = 1000;

/// Everything, as text.
pub(crate) fn encode(api: &Api, store_latency: Option<Duration>) -> Result<String, Error> {
    let (status, exporters) = match &api.collector {
        Some((view, _)) => (view.status(), busiest(view.exporters())),
        None => (Status::default(), Vec::new()),
    };
    let prefixes = api.collector.as_ref().map(|(view, _)| prefixes::Scrape::of(view.as_ref(), api.named_metrics));
    let mut registry = Registry::with_prefix("netflow");
    let (reads, requests) = (api.work_turns.reads(), api.requests.all());
    let (connections, unread) = (api.connections.taken(), api.unread.taken());
    let clients = Clients { connections, unread, waiting: api.queues.waiting() + api.work_turns.waiting() };
    let flows = api.flow_archive.clone();
    let scrape = Scrape { status, exporters, prefixes, store_latency, clients, flows, reads, requests };
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).map_err(|error| {
        tracing::error!(%error, "cannot encode metrics");
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
    /// What was counted for monitored prefixes, if there is a collector.
    prefixes: Option<prefixes::Scrape>,
    store_latency: Option<Duration>,
    clients: Clients,
    /// The archive of flows, if there is one.
    flows: Option<FlowArchive>,
    /// Latencies of reads of the store.
    reads: Durations,
    /// Latencies of requests, by route.
    requests: Vec<(String, Durations)>,
}

/// What the clients of the interface occupy.
#[derive(Clone, Copy, Debug)]
struct Clients {
    connections: Taken,
    unread: Taken,
    /// Requests that wait for their turn.
    waiting: usize,
}

/// Latencies of requests, by route; those without a route are counted together.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<String, Durations>>);

impl Requests {
    pub(crate) fn note(&self, route: Option<&MatchedPath>, took: Duration) {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let route = route.map_or("other", MatchedPath::as_str);
        match routes.get_mut(route) {
            Some(durations) => durations.note(took),
            None => routes.entry(route.to_owned()).or_default().note(took),
        }
    }

    fn all(&self) -> Vec<(String, Durations)> {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        routes.iter().map(|(route, durations)| (route.clone(), *durations)).collect()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let reachable = f64::from(u8::from(self.store_latency.is_some()));
        gauge(&mut encoder, "store_reachable", "Whether the store is reachable: 0 or 1", reachable)?;
        if let Some(latency) = self.store_latency {
            let help = "Latency of a small read of the store";
            gauge(&mut encoder, "store_latency_seconds", help, latency.as_secs_f64())?;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds need no more than 53 bits")]
        let started = self.status.started.seconds() as f64;
        gauge(&mut encoder, "start_time_seconds", "Start time of the collector, in seconds since 1970", started)?;
        for counted in &self.status.counters {
            counter(&mut encoder, counted)?;
        }
        for measured in &self.status.gauges {
            gauge(&mut encoder, measured.name, measured.help, measured.value)?;
            if let Some(limit) = measured.limit {
                gauge(&mut encoder, &format!("{}_limit", measured.name), "Limit", limit)?;
            }
        }
        let help = "Time to read and sum counters for a query";
        let reads = Histogram { name: "store_read_duration_seconds", help, durations: self.reads };
        for Histogram { name, help, durations } in self.status.histograms.iter().chain([&reads]) {
            histogram(encoder.encode_descriptor(name, help, None, MetricType::Histogram)?, durations)?;
        }
        self.clients(&mut encoder)?;
        if let Some(flows) = &self.flows {
            #[expect(clippy::cast_precision_loss, reason = "few are answered at a time")]
            let running = flows.running() as f64;
            let help = "Questions about archived flows that are being answered";
            gauge(&mut encoder, "running_flow_questions", help, running)?;
            counter(&mut encoder, &flows.ended())?;
        }
        self.requests(&mut encoder)?;
        self.ledgers(&mut encoder)?;
        self.sockets(&mut encoder)?;
        self.readers(&mut encoder)?;
        if let Some(files) = &self.status.origin_files {
            origin_files::encode(files, &mut encoder)?;
        }
        self.bmp(&mut encoder)?;
        self.export_connections(&mut encoder)?;
        forward::encode(&self.status.forward, &mut encoder)?;
        if let Some(prefixes) = &self.prefixes {
            prefixes.encode(&mut encoder)?;
        }
        self.exporters(&mut encoder)?;
        self.arrivals(&mut encoder)
    }
}

impl Scrape {
    fn clients(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Clients { connections, unread, waiting } = self.clients;
        #[expect(clippy::cast_precision_loss, reason = "places need no more than 53 bits")]
        let mut measured = |name: &str, help: &str, value: usize| gauge(encoder, name, help, value as f64);
        measured("connections", "Open connections of the REST interface", connections.places)?;
        measured("connections_limit", "Limit", connections.limit)?;
        measured("unread_answer_bytes", "Answers that their clients have not read", unread.places)?;
        measured("unread_answer_bytes_limit", "Limit", unread.limit)?;
        measured("waiting_requests", "Requests that wait for their turn", waiting)?;
        let help = "Connections closed because others needed their place or their memory";
        let values =
            vec![(Some(("needed", "place")), connections.gave_way), (Some(("needed", "memory")), unread.gave_way)];
        counter(encoder, &Counter { name: "closed_connections", help, values })
    }

    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.requests.is_empty() {
            return Ok(());
        }
        let help = "Latency of requests, from their head to the head of the answer";
        let mut family = encoder.encode_descriptor("request_duration_seconds", help, None, MetricType::Histogram)?;
        self.requests
            .iter()
            .try_for_each(|(route, durations)| histogram(family.encode_family(&[("path", route.as_str())])?, durations))
    }

    /// Ledgers, to alert on.
    fn ledgers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ledgers = &self.status.ledgers;
        if ledgers.is_empty() {
            return Ok(());
        }
        let help = "How often the difference of a ledger changed to a value other than 0";
        let values = ledgers.iter().map(|ledger| (Some(("ledger", ledger.name)), ledger.violations)).collect();
        counter(encoder, &Counter { name: "ledger_violations", help, values })?;
        let help = "Ledger difference (0 = balanced)";
        let mut family = encoder.encode_descriptor("ledger_difference", help, None, MetricType::Gauge)?;
        for ledger in ledgers {
            #[expect(clippy::cast_precision_loss, reason = "whether it is 0 is exact")]
            let difference = ledger.difference as f64;
            ConstGauge::new(difference).encode(family.encode_family(&[("ledger", ledger.name)])?)?;
        }
        Ok(())
    }

    /// The queue and the drops of each socket.
    fn sockets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let waiting = "Receive queue in bytes of kernel memory";
        let series: [Series<Socket>; 3] = [
            ("socket_waiting_bytes", waiting, MetricType::Gauge, |socket| socket.waiting_bytes),
            ("socket_waiting_bytes_limit", "Limit", MetricType::Gauge, |socket| socket.waiting_limit),
            ("socket_drops", "Datagrams dropped by the kernel", MetricType::Counter, |socket| socket.dropped),
        ];
        each_series(encoder, &series, &self.status.sockets, |socket| {
            [("address", socket.address.to_string()), ("thread", socket.thread.to_string())]
        })
    }

    /// The readers of the log: how far each lags, and what it has lost.
    fn readers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.status.readers.is_empty() {
            return Ok(());
        }
        let series: [Series<Reader>; 12] = [
            ("reader_unread_flushes", "Flushes that a reader has not read", MetricType::Gauge, |it| it.unread_flushes),
            ("reader_paused", "Whether a reader is paused: 0 or 1", MetricType::Gauge, |it| {
                u64::from(it.paused.is_some())
            }),
            ("reader_unread_segments", "Segments that a reader has not read", MetricType::Gauge, |it| {
                it.unread_segments
            }),
            ("reader_unread_bytes", "Bytes that a reader has not read", MetricType::Gauge, |it| it.unread_bytes),
            ("reader_unread_seconds", "Age of the oldest unread segment", MetricType::Gauge, |it| it.unread_seconds),
            ("reader_records", "Records handed on by a reader", MetricType::Counter, |it| it.records),
            ("reader_missing_records", "Records that were not in the log", MetricType::Counter, |it| {
                it.missing_records
            }),
            ("reader_forced_out_segments", "Segments lost to a reader", MetricType::Counter, |it| {
                it.forced_out_segments
            }),
            ("reader_forced_out_bytes", "Bytes lost to a reader", MetricType::Counter, |it| it.forced_out_bytes),
            ("reader_skipped_flushes", "Flushes that a reader was ordered to skip", MetricType::Counter, |it| {
                it.skipped_flushes
            }),
            ("reader_skipped_bytes", "Bytes that a reader was ordered to skip", MetricType::Counter, |it| {
                it.skipped_bytes
            }),
            (
                "reader_failing_seconds",
                "Time since which a reader has made nothing durable; 0 if it can",
                MetricType::Gauge,
                |it| it.failing_seconds.unwrap_or_default(),
            ),
        ];
        each_series(encoder, &series, &self.status.readers, |reader| [("reader", reader.name)])
    }

    /// The routes that each router has sent by BMP.
    fn bmp(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let routers = self.status.bmp.iter().flat_map(|bmp| &bmp.routers);
        if routers.clone().next().is_none() {
            return Ok(());
        }
        let series: [Series<BmpRouter>; 4] = [
            ("exporter_bmp_up", "Whether the BMP session is open: 0 or 1", MetricType::Gauge, |it| {
                it.session.is_some().into()
            }),
            ("exporter_bmp_routes", "Routes", MetricType::Gauge, |it| it.routes),
            ("exporter_bmp_stale_routes", "Routes whose session or peer is down", MetricType::Gauge, |it| {
                it.stale_routes
            }),
            ("exporter_bmp_errors", "Sessions that ended by an error", MetricType::Counter, |it| it.errors),
        ];
        each_series(encoder, &series, routers, |router| [("exporter", router.address.to_string())])
    }

    /// How many export connections of each exporter are open: of those that have had one.
    fn export_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let connected = |exporter: &&Exporter| {
            !exporter.export_connections.is_empty() || exporter.ended_export_connection.is_some()
        };
        let mut exporters = self.exporters.iter().filter(connected).peekable();
        if exporters.peek().is_none() {
            return Ok(());
        }
        let series: [Series<Exporter>; 1] =
            [("exporter_export_connections", "Open export connections", MetricType::Gauge, |it| {
                it.export_connections.len() as u64
            })];
        each_series(encoder, &series, exporters, |exporter| [("exporter", exporter.address.to_string())])
    }

    /// The counters of exporters, each with a series for every exporter. All have the same in the same order, some of them more
    /// at the end.
    fn exporters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let most = self.exporters.iter().max_by_key(|exporter| exporter.counters.len());
        for Counter { name, help, .. } in most.into_iter().flat_map(|exporter| &exporter.counters) {
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

    /// What the sequence numbers of exporters show. A counter never decreases: late units are counted apart, not subtracted
    /// from those that seemed lost.
    fn arrivals(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        type Series = (&'static str, &'static str, fn(&Arrivals) -> u64);
        let series: [Series; 6] = [
            ("received", "Units received", |it| it.received),
            ("missing", "Units missing when the gap was seen; some may have arrived late", |it| {
                it.lost.saturating_add(it.filled)
            }),
            ("filled", "Missing units that arrived late", |it| it.filled),
            ("duplicates", "Datagrams received twice in a row", |it| it.duplicates),
            ("late", "Datagrams received after later ones", |it| it.late),
            ("restarts", "Sequence restarts", |it| it.restarts),
        ];
        if self.exporters.iter().all(|exporter| exporter.arrivals.is_empty()) {
            return Ok(());
        }
        for (name, help, value) in series {
            let name = format!("exporter_sequence_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for exporter in &self.exporters {
                let address = exporter.address.to_string();
                for arrivals in &exporter.arrivals {
                    let labels = [("exporter", address.as_str()), ("unit", arrivals.unit)];
                    ConstCounter::new(value(arrivals)).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn histogram(mut encoder: MetricEncoder<'_>, durations: &Durations) -> fmt::Result {
    let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
    let buckets: Vec<_> = durations.iter().map(|(upper, count)| (bound(upper), count)).collect();
    encoder.encode_histogram::<NoLabelSet>(durations.total().as_secs_f64(), durations.count(), &buckets, None)
}

/// A number that several things have: its name, its help, its type, and how it is read.
type Series<T> = (&'static str, &'static str, MetricType, fn(&T) -> u64);

/// Numbers that several things have, each with the labels of its thing.
fn each_series<'t, T: 't, L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    series: &[Series<T>],
    things: impl IntoIterator<Item = &'t T> + Clone,
    labels: impl Fn(&'t T) -> L,
) -> fmt::Result {
    for (name, help, metric_type, value) in series {
        let mut family = encoder.encode_descriptor(name, help, None, *metric_type)?;
        for thing in things.clone() {
            let labels = labels(thing);
            let encoder = family.encode_family(&labels)?;
            match metric_type {
                MetricType::Counter => ConstCounter::new(value(thing)).encode(encoder)?,
                #[expect(clippy::cast_precision_loss, reason = "octets and routes need no more than 53 bits")]
                _ => ConstGauge::new(value(thing) as f64).encode(encoder)?,
            }
        }
    }
    Ok(())
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
