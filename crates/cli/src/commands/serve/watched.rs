//! The running collector as the REST interface shows it: the collector's own counts under the names that they have there.
//! What is told of a single exporter is put into words in `watched/detail.rs`.

mod detail;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use accounting::period::{Interval, Minute, Period};
use api::watch::{Counter, Detail, Exporter, Gauge, Histogram, Ledger, Losses, Rates, Socket, Status, Unknown, Watch};
use collector::Collector;
use collector::ledgers::{self, Found, Ledgers};
use collector::status::{self, FlushCounts};
use flow::{DatagramFate, FlowFate, Timestamp};
use journal::Journal;
use pipeline::Counts;
use pipeline::{ExporterStatus, Exporters, TableSizes};
use tap::Taps;
use wire::Unit;

use crate::config::{Config, Storage};

/// How long rates are taken over.
const RATE_INTERVAL: Duration = Duration::from_secs(10);

/// A running collector.
#[derive(Debug)]
pub(super) struct Watched {
    started: Timestamp,
    status: status::Status,
    exporters: Exporters,
    taps: Taps,
    journal: Option<Arc<Journal>>,
    /// What the configuration in force says.
    configured: Mutex<Configured>,
    rates: Mutex<Sampled>,
}

/// What the configuration says of what is shown.
#[derive(Clone, Debug)]
pub(super) struct Configured {
    receiving: Vec<SocketAddr>,
    /// How many octets may wait for a store on the network; `None` for the embedded store.
    spool_limit: Option<usize>,
    /// Whether sampled flows are multiplied.
    multiplied: bool,
}

impl Configured {
    pub(super) fn of(collector: &Collector, config: &Config) -> Self {
        Self {
            receiving: collector.addresses(),
            spool_limit: (config.storage != Storage::Sqlite).then_some(config.spool.max_bytes),
            multiplied: config.netflow.calculate_samples,
        }
    }
}

/// What exporters had sent when it was last looked, and how much it was since the time before.
#[derive(Debug, Default)]
struct Sampled {
    at: Option<Instant>,
    /// Datagrams and flows.
    sent: HashMap<IpAddr, (u64, u64)>,
    rates: HashMap<IpAddr, Rates>,
}

impl Watched {
    pub(super) fn new(collector: &Collector, config: &Config) -> Self {
        Self {
            started: SystemTime::now().into(),
            configured: Mutex::new(Configured::of(collector, config)),
            status: collector.status(),
            exporters: collector.exporters(),
            taps: collector.taps(),
            journal: collector.journal(),
            rates: Mutex::default(),
        }
    }

    /// Shows another configuration from now on.
    pub(super) fn configure(&self, configured: Configured) {
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = configured;
    }

    fn configured(&self) -> Configured {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes rates for as long as it is let.
    pub(super) async fn keep_sampling(&self) {
        let mut ticks = tokio::time::interval(RATE_INTERVAL);
        loop {
            ticks.tick().await;
            let exporters = self.exporters.all();
            self.rates.lock().unwrap_or_else(PoisonError::into_inner).sample(&exporters, Instant::now());
        }
    }

    fn exporter_of(&self, status: ExporterStatus) -> Exporter {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner).rates.get(&status.address).copied();
        Exporter {
            address: status.address,
            protocols: status.protocols.iter().map(|(protocol, datagrams)| (protocol.name(), *datagrams)).collect(),
            first: status.first,
            last: status.last,
            counters: counters(&status.counts),
            rates,
            arrivals: status.arrivals.iter().copied().map(detail::arrivals).collect(),
            clock_offset_seconds: status.clock.map(detail::offset_seconds),
        }
    }
}

impl Sampled {
    fn sample(&mut self, exporters: &[ExporterStatus], now: Instant) {
        let sent = |exporter: &ExporterStatus| (exporter.counts.datagrams.total(), exporter.counts.flows.total());
        let sent: HashMap<_, _> = exporters.iter().map(|exporter| (exporter.address, sent(exporter))).collect();
        if let Some(before) = self.at.replace(now) {
            let seconds = now.saturating_duration_since(before).as_secs_f64();
            let rate = |(address, (datagrams, flows)): (&IpAddr, &(u64, u64))| {
                let (had_datagrams, had_flows) = self.sent.get(address).copied().unwrap_or_default();
                let rates = Rates {
                    datagrams_per_second: per_second(datagrams.saturating_sub(had_datagrams), seconds),
                    flows_per_second: per_second(flows.saturating_sub(had_flows), seconds),
                };
                (*address, rates)
            };
            self.rates = sent.iter().map(rate).collect();
        }
        self.sent = sent;
    }
}

/// To a tenth.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
}

impl Watch for Watched {
    fn status(&self) -> Status {
        let (counts, flushes) = (self.status.counts(), self.status.flushes());
        let mut all = counters(&counts);
        all.push(Counter::plain("kernel_drops", "Datagrams that the kernel dropped", counts.kernel_drops));
        all.extend(flush_counters(&flushes));
        all.extend(tap_counters(&self.taps));
        if let Some(journal) = &self.journal {
            all.extend(journal_counters(&journal.counts(), &self.status.recovery()));
        }
        let remembered = self.exporters.table_sizes();
        let refused = "Template announcements that found no room";
        all.push(Counter::plain("refused_templates", refused, remembered.refused_templates));
        let displaced = "Templates that no data had come for and that made room for others";
        all.push(Counter::plain("displaced_templates", displaced, remembered.displaced_templates));
        let sockets = self.status.sockets().into_iter().map(|socket| Socket {
            address: socket.address,
            thread: socket.thread,
            waiting_bytes: socket.waiting,
            waiting_limit: socket.limit,
            dropped: socket.dropped,
        });
        let Ledgers { checked, all: ledgers } = self.status.ledgers();
        Status {
            started: self.started,
            receiving: self.configured().receiving,
            counters: all,
            gauges: self.gauges(&flushes, &remembered),
            histograms: flush_histograms(&flushes).to_vec(),
            sockets: sockets.collect(),
            ledgers_checked: checked,
            ledgers: ledgers.into_iter().map(ledger).collect(),
        }
    }

    fn exporters(&self) -> Vec<Exporter> {
        self.exporters.all().into_iter().map(|status| self.exporter_of(status)).collect()
    }

    fn exporter(&self, address: IpAddr) -> Option<(Exporter, Detail)> {
        let multiplied = self.configured().multiplied;
        let look = |status: &ExporterStatus, session: &_| (status.clone(), detail::detail(status, session, multiplied));
        let (status, mut detail) = self.exporters.inspect(address, look)?;
        detail.unmatched = detail::unmatched(self.exporters.unmatched(address));
        Some((self.exporter_of(status), detail))
    }

    fn losses(&self, address: IpAddr, month: Timestamp) -> Option<Losses> {
        let month = Interval::containing(Period::Month, Minute::of(month));
        let losses = self.exporters.losses(address, month)?;
        let counted = Unit::ALL.into_iter().zip(losses.arrivals);
        let counted = counted.filter(|(_, arrivals)| *arrivals != wire::Arrivals::default());
        Some(Losses { since: losses.since, arrivals: counted.map(detail::arrivals).collect() })
    }

    fn unknown(&self) -> Vec<Unknown> {
        let unknown = self.exporters.unknown().into_iter().map(|sender| Unknown {
            address: sender.address,
            datagrams: sender.datagrams.saturating_sub(sender.taken_over),
            last: sender.last,
            protocol: sender.protocol.map(|protocol| protocol.name()),
        });
        unknown.collect()
    }

    fn taps(&self) -> &Taps {
        &self.taps
    }
}

impl Watched {
    #[expect(clippy::cast_precision_loss, reason = "what is measured fits 53 bits")]
    fn gauges(&self, flushes: &FlushCounts, remembered: &TableSizes) -> Vec<Gauge> {
        let gauge = |name, help, value: f64, limit| Gauge { name, help, value, limit };
        let (onlookers, most) = self.taps.taken();
        let failing = flushes.failing_since.map(|since| since.elapsed()).unwrap_or_default();
        let mut gauges = vec![
            gauge("exporters", "Registered exporters that are known", remembered.exporters as f64, None),
            gauge("known_templates", "Templates of all exporters", remembered.templates as f64, None),
            gauge(
                "pending_bytes",
                "Data sets that wait for their template",
                remembered.pending_octets as f64,
                Some(remembered.pending_limit as f64),
            ),
            gauge(
                "unknown_senders",
                "Senders that are not registered",
                remembered.unknown as f64,
                Some(remembered.unknown_limit as f64),
            ),
            gauge("taps", "Who looks on at flows as they come", onlookers as f64, Some(most as f64)),
            gauge("last_flush_seconds", "How long the last flush took", flushes.last_took.as_secs_f64(), None),
            gauge(
                "flush_failing_seconds",
                "For how long a flush has been tried again and again",
                failing.as_secs_f64(),
                None,
            ),
        ];
        gauges.extend(self.journal.iter().flat_map(|journal| journal_gauges(journal)));
        if let Some((held, limit)) = self.status.names() {
            gauges.push(gauge("names", "Names that are counted under just now", held as f64, Some(limit as f64)));
        }
        if let Some(limit) = self.configured().spool_limit {
            let (waiting, bytes) = (flushes.waiting as f64, flushes.waiting_bytes as f64);
            gauges.push(gauge("spool_flushes", "Flushes that wait on disk for the store", waiting, None));
            gauges.push(gauge("spool_bytes", "How much waits on disk for the store", bytes, Some(limit as f64)));
        }
        gauges
    }
}

/// What is counted of all exporters together, and of each.
fn counters(counts: &Counts) -> Vec<Counter> {
    let plain = Counter::plain;
    vec![
        Counter::fates::<DatagramFate>(
            "datagrams",
            "Datagrams that were read, by what became of them",
            &counts.datagrams,
        ),
        Counter::fates::<FlowFate>("flows", "Flow records that were decoded, by what became of them", &counts.flows),
        plain("options_records", "Options data records", counts.options),
        plain("templates", "Template announcements", counts.templates),
        plain(
            "missing_template_sets",
            "Data sets whose template was not known when they came",
            counts.missing_template_sets,
        ),
        plain("pending_sets", "Data sets that were kept until their template comes", counts.pending),
        plain("pending_decoded_sets", "Kept data sets whose template came", counts.pending_decoded),
        plain("pending_expired_sets", "Kept data sets that waited in vain or had to make room", counts.pending_expired),
        plain("corrected_sampling_rates", "Sampling rates that came in the wrong byte order", counts.corrected_rates),
        plain("decode_errors", "Pieces of datagrams that could not be decoded", counts.decode_errors),
        plain("clamped_flows", "Flows whose time was too far from the clock", counts.time_clamped),
    ]
}

fn ledger(ledger: ledgers::Ledger) -> Ledger {
    let ledgers::Ledger { name, sides, left, right, violations } = ledger;
    Ledger { name, sides, left, right, violations }
}

fn flush_counters(flushes: &FlushCounts) -> [Counter; 4] {
    [
        Counter::plain("flushes", "Flushes that are durable", flushes.flushes),
        Counter::plain("blocks", "Blocks that are durable", flushes.blocks),
        Counter::plain("flush_retries", "Times that a flush had to be tried again", flushes.retries),
        Counter::plain("folded_names", "Names that did not fit a limit and were added to other", flushes.folded),
    ]
}

fn flush_histograms(flushes: &FlushCounts) -> [Histogram; 2] {
    let histogram = |name, help, durations| Histogram { name, help, durations };
    [
        histogram("flush_duration_seconds", "How long flushes took to become durable", flushes.took),
        histogram("store_put_duration_seconds", "How long the store took to take a flush, or to fail to", flushes.puts),
    ]
}

fn tap_counters(taps: &Taps) -> [Counter; 2] {
    [
        Counter::plain("tap_shown_flows", "Flows that went to who looks on (netflow tap)", taps.shown()),
        Counter::plain("tap_dropped_flows", "Flows that who looks on could not take in time", taps.dropped()),
    ]
}

fn journal_counters(journal: &journal::Counts, found: &Found) -> [Counter; 9] {
    let plain = Counter::plain;
    [
        plain("journal_written_datagrams", "Datagrams that were written to the journal", journal.written),
        plain("journal_missed_datagrams", "Datagrams that the journal could not take", journal.missed),
        plain("journal_carried_sets", "Data sets that waited for their template at a flush", journal.carried),
        plain("journal_syncs", "Times that the journal was forced to the disk", journal.syncs),
        plain("journal_sync_errors", "Times that the disk refused to sync the journal", journal.sync_errors),
        plain("journal_write_errors", "Times that the disk refused to write the journal", journal.write_errors),
        plain("journal_remove_errors", "Times that the disk refused to remove a segment", journal.remove_errors),
        plain("journal_replayed_datagrams", "Datagrams of an earlier run, counted at the start", found.datagrams),
        plain("journal_torn_segments", "Segments of an earlier run that were cut at their end", found.torn),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "what is measured fits 53 bits")]
fn journal_gauges(journal: &Journal) -> Vec<Gauge> {
    let gauge = |name, help, value: f64, limit| Gauge { name, help, value, limit };
    let (counts, limit) = (journal.counts(), Some(journal.limit_bytes() as f64));
    let is_failing = f64::from(u8::from(journal.is_failing()));
    let mut gauges = vec![
        gauge("journal_failing", "Whether the journal cannot be written", is_failing, None),
        gauge("journal_segments", "Segments of the journal", journal.segments() as f64, None),
        gauge("journal_bytes", "How much the journal holds", counts.octets as f64, limit),
        gauge("journal_sync_seconds", "How long the last sync took", counts.sync_took.as_secs_f64(), None),
    ];
    if let Some(synced) = counts.synced {
        let age = synced.elapsed().as_secs_f64();
        gauges.push(gauge("journal_sync_age_seconds", "How long ago the last sync was", age, None));
    }
    gauges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_came_between_two_looks() {
        let exporter = |datagrams, flows| {
            let mut counts = Counts::default();
            counts.datagrams[DatagramFate::Decoded] = datagrams;
            counts.flows[FlowFate::Matched] = flows;
            let address = "192.0.2.1".parse().unwrap();
            ExporterStatus {
                address,
                counts,
                protocols: Vec::new(),
                first: None,
                last: None,
                arrivals: Vec::new(),
                clock: None,
                rates: Vec::new(),
                unreadable: None,
            }
        };
        let (mut sampled, start) = (Sampled::default(), Instant::now());
        sampled.sample(&[exporter(100, 3000)], start);
        assert!(sampled.rates.is_empty());
        sampled.sample(&[exporter(105, 3150)], start + Duration::from_secs(10));
        let expected = Rates { datagrams_per_second: 0.5, flows_per_second: 15.0 };
        assert_eq!(sampled.rates.get(&exporter(0, 0).address), Some(&expected));
        sampled.sample(&[], start + Duration::from_secs(20));
        assert!(sampled.rates.is_empty());
    }
}
