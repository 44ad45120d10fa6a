//! A running collector as a [`View`]: the names, helps and values of everything that the REST interface shows. It does
//! not count; the counters that exporters also have are named in [`Counts::counters`](pipeline::Counts::counters).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use flow::{Networks, SenderName, Timestamp};
use interfaces::Known;
use journal::{Journal, Lag};
use pipeline::{Exporters, LISTED, TableSizes};
use tap::Taps;
use view::{
    Counter, DetailedExporter, Exporter, Gauge, Histogram, Interface, NameSource, PrefixCounters, Rates, Reader,
    RouterName, RouterNames, Status, Thread, Unknown, View,
};

use crate::flush_counts::FlushCounts;
use crate::forwarding::ShownTargets;
use crate::interfaces::Interfaces;
use crate::known_names::KnownNames;
use crate::ledgers::{Ledgers, RecoveredCounts};
use crate::lock::locked;
use crate::log_records::ReaderCounts;
use crate::pulse::Pulse;
use crate::reverse_names::{DnsSettings, ReverseNames};
use crate::senders::PublishedNetworks;
use crate::{export_connections, monitoring, status};

/// The time over which rates are averaged.
const RATE_INTERVAL: Duration = Duration::from_secs(10);

/// The view of a running collector.
#[derive(Debug)]
pub(crate) struct CollectorView {
    started: Timestamp,
    configured: Mutex<Configured>,
    status: status::Status,
    exporters: Exporters,
    taps: Taps,
    journal: Option<Arc<Journal>>,
    pulses: Mutex<Vec<Pulse>>,
    monitored: monitoring::Shown,
    export_connections: export_connections::Table,
    targets: ShownTargets,
    sampled: Mutex<Sampled>,
    interfaces: OnceLock<Interfaces>,
    networks: PublishedNetworks,
    names: KnownNames,
    reverse_names: OnceLock<ReverseNames>,
}

/// The displayed settings; a reload can change them.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    pub(crate) receiving: Vec<SocketAddr>,
    /// The limit of the spool in octets; `None` without a spool.
    pub(crate) spool_limit: Option<Arc<AtomicU64>>,
    /// Whether counters are multiplied by sampling rates.
    pub(crate) is_multiplied: bool,
}

/// The counters of exporters at the last sample, and their rates since the previous one.
#[derive(Debug, Default)]
struct Sampled {
    at: Option<Instant>,
    /// Datagrams and flows.
    sent: HashMap<IpAddr, (u64, u64)>,
    rates: HashMap<IpAddr, Rates>,
}

impl CollectorView {
    /// The view of a new collector.
    pub(crate) fn new(
        configured: Configured,
        status: &status::Status,
        exporters: &Exporters,
        taps: &Taps,
        journal: Option<Arc<Journal>>,
        pulses: Vec<Pulse>,
    ) -> Self {
        Self {
            started: SystemTime::now().into(),
            configured: Mutex::new(configured),
            status: status.clone(),
            exporters: exporters.clone(),
            taps: taps.clone(),
            journal,
            pulses: Mutex::new(pulses),
            monitored: monitoring::Shown::default(),
            export_connections: export_connections::Table::default(),
            targets: ShownTargets::default(),
            sampled: Mutex::default(),
            interfaces: OnceLock::new(),
            networks: PublishedNetworks::default(),
            names: KnownNames::default(),
            reverse_names: OnceLock::new(),
        }
    }

    /// Shows these networks, and these names of routers.
    pub(crate) fn naming(self, networks: PublishedNetworks, names: KnownNames) -> Self {
        Self { networks, names, ..self }
    }

    /// The names of routers.
    pub(crate) fn names(&self) -> KnownNames {
        self.names.clone()
    }

    /// Also shows how DNS was asked for names.
    pub(crate) fn show_reverse_names(&self, reverse_names: &ReverseNames) {
        // A collector asks in one place.
        let _ = self.reverse_names.set(reverse_names.clone());
    }

    /// Replaces what DNS is asked for.
    pub(crate) fn configure_reverse_names(&self, settings: &DnsSettings) {
        self.reverse_names.get().into_iter().for_each(|names| names.configure(settings));
    }

    /// Also shows these BMP sessions.
    pub(crate) fn monitoring(self, monitored: monitoring::Shown) -> Self {
        Self { monitored, ..self }
    }

    /// Also shows these export connections.
    pub(crate) fn connecting(self, export_connections: export_connections::Table) -> Self {
        Self { export_connections, ..self }
    }

    /// Also shows these targets of forwarded datagrams.
    pub(crate) fn forwarding(self, targets: ShownTargets) -> Self {
        Self { targets, ..self }
    }

    /// Changes the displayed settings.
    pub(crate) fn reconfigure(&self, receiving: Vec<SocketAddr>, is_multiplied: bool) {
        let mut configured = locked(&self.configured);
        (configured.receiving, configured.is_multiplied) = (receiving, is_multiplied);
    }

    /// Also shows the pulse of this thread.
    pub(crate) fn watch(&self, pulse: Pulse) {
        locked(&self.pulses).push(pulse);
    }

    /// Also shows what interfaces are called.
    pub(crate) fn show_interfaces(&self, interfaces: &Interfaces) {
        // A collector learns them in one place.
        let _ = self.interfaces.set(interfaces.clone());
    }

    /// Replaces what the operator says that interfaces are called.
    pub(crate) fn configure_interfaces(&self, known: &[Known]) {
        self.interfaces.get().into_iter().for_each(|interfaces| interfaces.configure(known));
    }

    /// Stores what interfaces are called.
    pub(crate) fn store_interfaces(&self) {
        self.interfaces.get().into_iter().for_each(Interfaces::save);
    }

    /// Samples the rates of exporters. Never ends.
    pub(crate) async fn keep_sampling(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RATE_INTERVAL);
        loop {
            ticks.tick().await;
            let sent = self.exporters.totals();
            locked(&self.sampled).sample(sent, Instant::now());
        }
    }

    fn add_export_connections(&self, exporter: &mut Exporter) {
        exporter.export_connections = self.export_connections.open_of(exporter.address);
        exporter.ended_export_connection = self.export_connections.ended_of(exporter.address);
    }

    #[expect(clippy::cast_precision_loss, reason = "what is measured fits 53 bits")]
    fn gauges(&self, flushes: &FlushCounts, sizes: &TableSizes, spool_limit: Option<u64>) -> Vec<Gauge> {
        let (taps, taps_limit) = self.taps.taken();
        let failing = flushes.failing_since.map(|since| since.elapsed()).unwrap_or_default();
        let senders_failing = self.status.senders_failing().as_secs_f64();
        let pending = "Bytes of data sets queued for a missing template";
        let mut gauges = vec![
            gauge("exporters", "Registered exporters that have sent", sizes.exporters as f64),
            gauge("known_templates", "Templates of all exporters", sizes.templates as f64),
            gauge(
                "tracked_connections",
                "Connections whose sums are counted in parts",
                sizes.tracked_connections as f64,
            ),
            limited("pending_bytes", pending, sizes.pending_octets as f64, sizes.pending_limit as f64),
            limited(
                "unknown_senders",
                "Unregistered addresses that send",
                sizes.unknown as f64,
                sizes.unknown_limit as f64,
            ),
            limited("taps", "Connected tap clients", taps as f64, taps_limit as f64),
            gauge("last_flush_seconds", "Duration of the last flush", flushes.last_took.as_secs_f64()),
            gauge("senders_failing_seconds", "Time since which the registered routers cannot be read", senders_failing),
            gauge("flush_failing_seconds", "Time since which a flush is being retried", failing.as_secs_f64()),
        ];
        gauges.extend(self.journal.iter().flat_map(|journal| journal_gauges(journal)));
        if let Some((used, limit)) = self.status.names() {
            gauges.push(limited("names", "Counters not yet flushed", used as f64, limit as f64));
        }
        let (monitored, limit) = self.status.prefixes().size();
        let prefixes = "Monitored prefixes of all routers; beyond the limit, /metrics has no counters of them";
        gauges.push(limited("prefixes", prefixes, monitored as f64, limit as f64));
        if let Some((accepted, limit)) = self.status.accepted_senders() {
            gauges.push(limited("accepted_senders", "Routers of senders.accept", accepted as f64, limit as f64));
        }
        if let Some(limit) = spool_limit {
            let (waiting, bytes) = (flushes.waiting as f64, flushes.waiting_bytes as f64);
            gauges.push(gauge("spool_flushes", "Flushes in the spool", waiting));
            gauges.push(limited("spool_bytes", "Bytes in the spool", bytes, limit as f64));
            let is_full = f64::from(u8::from(flushes.is_spool_full));
            gauges.push(gauge("spool_full", "Whether the spool has no room for a flush: 0 or 1", is_full));
        }
        gauges
    }
}

impl View for CollectorView {
    fn status(&self) -> Status {
        let (counts, flushes, sizes) = (self.status.counts(), self.status.flushes(), self.exporters.table_sizes());
        let Configured { receiving, spool_limit, .. } = locked(&self.configured).clone();
        let mut counters = counts.counters();
        counters.push(Counter::plain("kernel_drops", "Datagrams dropped by the kernel", counts.kernel_drops));
        counters.extend(flush_counters(&flushes));
        counters.extend(tap_counters(&self.taps));
        if let Some(journal) = &self.journal {
            counters.extend(journal_counters(&journal.counts(), &self.status.recovery()));
        }
        counters.extend(table_counters(&sizes));
        counters.extend(self.reverse_names.get().map(ReverseNames::counter));
        if spool_limit.is_some() {
            let help = "Registrations that the store had lost and that were stored again";
            let restored = self.status.restored_registrations();
            counters.push(Counter::plain("restored_registrations", help, restored));
        }
        let mut gauges = self.gauges(&flushes, &sizes, spool_limit.map(|limit| limit.load(Ordering::Relaxed)));
        let bmp = self.monitored.view();
        counters.extend(bmp.iter().flat_map(monitoring::counters));
        gauges.extend(bmp.iter().flat_map(monitoring::gauges));
        let export_connections = self.export_connections.view();
        counters.extend(export_connections.iter().flat_map(export_connections::counters));
        gauges.extend(export_connections.iter().map(export_connections::gauge));
        let Ledgers { checked, all: ledgers } = self.status.ledgers();
        let pulses = locked(&self.pulses).clone();
        let threads = pulses.iter().map(|pulse| Thread { name: pulse.name().to_owned(), silent: pulse.age() });
        Status {
            started: self.started,
            receiving,
            counters,
            gauges,
            histograms: flush_histograms(&flushes).to_vec(),
            sockets: self.status.sockets(),
            ledgers_checked: checked,
            ledgers,
            readers: self.journal.iter().flat_map(|journal| readers(journal, &self.status)).collect(),
            // The command adds them: it reads the files.
            origin_files: None,
            bmp,
            export_connections,
            forward: self.targets.view(),
            threads: threads.collect(),
        }
    }

    fn exporters(&self) -> Vec<Exporter> {
        let mut exporters = self.exporters.all();
        let sampled = locked(&self.sampled);
        for exporter in &mut exporters {
            exporter.rates = sampled.rates.get(&exporter.address).copied();
            exporter.bits_per_second = self.status.bit_rates(exporter.address);
            exporter.bmp = self.monitored.router_of(exporter.address);
            self.add_export_connections(exporter);
            exporter.names = self.names_of(exporter.address);
        }
        exporters
    }

    fn exporter(&self, address: IpAddr) -> Option<DetailedExporter> {
        let is_multiplied = locked(&self.configured).is_multiplied;
        let mut found = self.exporters.detailed(address, is_multiplied)?;
        found.exporter.rates = locked(&self.sampled).rates.get(&address).copied();
        found.exporter.bits_per_second = self.status.bit_rates(address);
        found.detail.interfaces = self.interfaces(address);
        found.detail.left_out.interfaces = found.detail.interfaces.len().saturating_sub(LISTED) as u64;
        found.detail.interfaces.truncate(LISTED);
        found.exporter.bmp = self.monitored.router_of(address);
        self.add_export_connections(&mut found.exporter);
        found.exporter.names = self.names_of(address);
        Some(found)
    }

    fn unknown(&self) -> Vec<Unknown> {
        let mut unknown = self.exporters.unknown();
        unknown.iter_mut().for_each(|sender| sender.names = self.names_of(sender.address));
        unknown
    }

    fn names_of(&self, router: IpAddr) -> RouterNames {
        let mut names = self.names.of(router);
        let stated = self.monitored.name_of(router).as_deref().and_then(SenderName::cleaned);
        names.extend(stated.map(|name| RouterName { name: name.to_string(), source: NameSource::Bmp }));
        RouterNames::new(names)
    }

    fn interfaces(&self, router: IpAddr) -> Vec<Interface> {
        self.interfaces.get().map_or_else(Vec::new, |interfaces| interfaces.of(router))
    }

    fn networks(&self) -> Arc<Networks> {
        self.networks.load_full()
    }

    fn prefixes(&self) -> Vec<PrefixCounters> {
        self.status.prefixes().view()
    }
}

impl Sampled {
    fn sample(&mut self, sent: HashMap<IpAddr, (u64, u64)>, now: Instant) {
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

/// Rounded to a tenth.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
}

const fn gauge(name: &'static str, help: &'static str, value: f64) -> Gauge {
    Gauge { name, help, value, limit: None }
}

const fn limited(name: &'static str, help: &'static str, value: f64, limit: f64) -> Gauge {
    Gauge { name, help, value, limit: Some(limit) }
}

fn flush_counters(flushes: &FlushCounts) -> [Counter; 4] {
    [
        Counter::plain("flushes", "Durable flushes", flushes.flushes),
        Counter::plain("blocks", "Durable blocks", flushes.blocks),
        Counter::plain("flush_retries", "Flushes retried", flushes.retries),
        Counter::plain("folded_names", "Counters folded into `other` because of a limit", flushes.folded),
    ]
}

fn flush_histograms(flushes: &FlushCounts) -> [Histogram; 2] {
    let histogram = |name, help, durations| Histogram { name, help, durations };
    [
        histogram("flush_duration_seconds", "Time until a flush was durable", flushes.took),
        histogram("store_put_duration_seconds", "Time until the store accepted or refused a flush", flushes.puts),
    ]
}

fn tap_counters(taps: &Taps) -> [Counter; 2] {
    [
        Counter::plain("tap_shown_flows", "Flows sent to tap clients", taps.shown()),
        Counter::plain("tap_dropped_flows", "Flows dropped because a tap client was too slow", taps.dropped()),
    ]
}

fn table_counters(sizes: &TableSizes) -> [Counter; 3] {
    let TableSizes { refused_templates: refused, displaced_templates: displaced, deferred_reports, .. } = *sizes;
    let deferred = "Reports not counted for lack of room for their connection; later sums include them";
    [
        Counter::plain("deferred_reports", deferred, deferred_reports),
        Counter::plain("refused_templates", "Templates refused because the table was full", refused),
        Counter::plain("displaced_templates", "Unused templates displaced by others", displaced),
    ]
}

fn journal_counters(journal: &journal::Counts, found: &RecoveredCounts) -> [Counter; 13] {
    let plain = Counter::plain;
    let unstated = "Datagrams recovered from the journal without the prefixes and settings of their time";
    let discarded = "Data sets of export connections recovered from the journal without their template";
    [
        plain("journal_written_datagrams", "Datagrams written to the journal", journal.written),
        plain("journal_missed_datagrams", "Datagrams that the journal could not accept", journal.missed),
        plain("journal_carried_sets", "Data sets queued for a missing template at a flush", journal.carried),
        plain("journal_syncs", "Syncs of the journal to disk", journal.syncs),
        plain("journal_sync_errors", "Failed syncs of the journal", journal.sync_errors),
        plain("journal_write_errors", "Failed writes to the journal", journal.write_errors),
        plain("journal_remove_errors", "Failed removals of journal segments", journal.remove_errors),
        plain("journal_replayed_datagrams", "Datagrams recovered from the journal at the start", found.datagrams),
        plain("journal_torn_segments", "Incomplete journal segments found at the start", found.torn),
        plain("journal_damaged_places", "Damaged places in journal segments found at the start", found.damaged.places),
        plain("journal_damaged_bytes", "Bytes of journal segments skipped as damaged", found.damaged.octets),
        plain("journal_unstated_datagrams", unstated, found.unstated),
        plain("journal_discarded_sets", discarded, found.counts.discarded_sets),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "what is measured fits 53 bits")]
fn journal_gauges(journal: &Journal) -> Vec<Gauge> {
    let (counts, limit) = (journal.counts(), journal.limit_bytes() as f64);
    let is_failing = f64::from(u8::from(journal.is_failing()));
    let mut gauges = vec![
        gauge("journal_failing", "Whether the journal cannot be written: 0 or 1", is_failing),
        gauge("journal_segments", "Segments of the journal", journal.segments() as f64),
        limited("journal_bytes", "Bytes in the journal", counts.octets as f64, limit),
        gauge("journal_sync_seconds", "Duration of the last sync of the journal", counts.sync_took.as_secs_f64()),
    ];
    if journal.is_read() {
        let (octets, limit) = journal.log_bytes();
        gauges.push(limited(
            "log_bytes",
            "Bytes in the log, which its readers have not read",
            octets as f64,
            limit as f64,
        ));
    }
    if let Some(synced) = counts.synced {
        let age = synced.elapsed().as_secs_f64();
        gauges.push(gauge("journal_sync_age_seconds", "Time since the last sync of the journal", age));
    }
    gauges
}

fn readers(journal: &Journal, status: &status::Status) -> Vec<Reader> {
    let (read, errors) = (status.readers(), status.reader_errors());
    let reader = |lag: Lag| {
        let error = errors.get(lag.reader);
        let ReaderCounts { records, missing, skipped_flushes, skipped_octets, .. } =
            read.get(lag.reader).copied().unwrap_or_default();
        Reader {
            name: lag.reader,
            paused: lag.paused,
            skipping: lag.is_skipping,
            unread_flushes: lag.flushes,
            unread_segments: lag.segments,
            unread_bytes: lag.octets,
            unread_seconds: lag.age.as_secs(),
            records,
            missing_records: missing,
            forced_out_segments: lag.forced_out.segments,
            forced_out_bytes: lag.forced_out.octets,
            skipped_flushes,
            skipped_bytes: skipped_octets,
            lost_seconds_ago: lag.lost.map(|lost| lost.as_secs()),
            failing_seconds: error.and_then(|error| error.failing_since).map(|since| since.elapsed().as_secs()),
            last_error: error.map(|error| error.text.clone()),
        }
    };
    journal.lags().into_iter().map(reader).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_the_differences_of_two_samples_over_their_distance() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let (mut sampled, start) = (Sampled::default(), Instant::now());
        sampled.sample([(address, (100, 3000))].into(), start);
        assert!(sampled.rates.is_empty());
        sampled.sample([(address, (105, 3150))].into(), start + Duration::from_secs(10));
        let expected = Rates { datagrams_per_second: 0.5, flows_per_second: 15.0 };
        assert_eq!(sampled.rates.get(&address), Some(&expected));
        sampled.sample(HashMap::new(), start + Duration::from_secs(20));
        assert!(sampled.rates.is_empty());
    }
}
