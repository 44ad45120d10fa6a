//! A load sent to one collector: what was sent, read and counted, and what its archive has.

use std::path::Path;
use std::time::Duration;

use flow::Counters;
use generator::{Generator, Pace, Totals};

use crate::loaded_collector::LoadedCollector;
use crate::program::Netflow;

/// A load sent to a collector of its own.
pub(super) struct Trial {
    pub(super) sent: Totals,
    duration: Duration,
    /// Datagrams that the collector has read, and those that the kernel dropped.
    pub(super) read: u64,
    pub(super) drops: u64,
    /// Flows of the datagrams that were read.
    pub(super) flows: u64,
    /// The totals in the store.
    pub(super) counted: Counters,
    pub(super) unbalanced_ledgers: usize,
    /// Octets.
    pub(super) peak_memory: u64,
    /// What the archive has, if there is one.
    pub(super) archived: Option<Archived>,
}

impl Trial {
    pub(super) fn run(netflow: &Netflow, generator: &Generator, pace: Pace) -> anyhow::Result<Self> {
        let mut generator = generator.clone();
        let mut collector = LoadedCollector::start(netflow, &generator)?;
        let (sent, duration) = collector.send(&mut generator, pace)?;
        let drops = collector.drops()?;
        let read = collector.netflow.status_counter("datagrams")?;
        let flows = collector.netflow.status_counter("flows")?;
        let peak_memory = collector.netflow.process.peak_memory();
        let unbalanced_ledgers = collector.netflow.unbalanced_ledgers()?;
        collector.netflow.restart()?;
        let counted = collector.netflow.totals()?;
        let archived =
            collector.netflow.flows_folder().exists().then(|| Archived::after(&mut collector, counted.flows));
        let archived = archived.transpose()?;
        Ok(Self { sent, duration, read, drops, flows, counted, unbalanced_ledgers, peak_memory, archived })
    }

    /// Flows a second sent.
    pub(super) fn offered(&self) -> f64 {
        self.sent.all.flows as f64 / self.duration.as_secs_f64()
    }

    /// Flows a second counted.
    pub(super) fn rate_counted(&self) -> f64 {
        self.counted.flows as f64 / self.duration.as_secs_f64()
    }

    /// Whether everything that was sent was counted.
    pub(super) fn is_right(&self) -> bool {
        self.counted == self.sent.all
    }

    /// Whether the archive has everything that was counted, or states what is missing.
    pub(super) fn is_archived(&self) -> bool {
        self.archived.is_none_or(|archived| archived.accounts_for(self.counted.flows))
    }
}

/// What the complete files of an archive have, and what it states to be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Archived {
    /// Flows, each a row.
    pub(super) rows: u64,
    /// Records that are missing.
    records: u64,
    /// Segments of the log that are missing as a whole.
    segments: u64,
}

/// How often a collector that lags is stopped after it has caught up: a stopping one completes its files.
const STOPS: usize = 20;

impl Archived {
    /// What the archive has when it has caught up with this many counted flows, or as far as it gets.
    pub(super) fn after(collector: &mut LoadedCollector, flows: u64) -> anyhow::Result<Self> {
        let folder = collector.netflow.flows_folder();
        let mut archived = Self::of(&folder)?;
        for _ in 0..STOPS {
            if archived.accounts_for(flows) {
                break;
            }
            collector.wait_until_idle()?;
            collector.netflow.restart()?;
            archived = Self::of(&folder)?;
        }
        Ok(archived)
    }

    fn of(folder: &Path) -> anyhow::Result<Self> {
        let status = archive::status::Status::of(folder)?;
        anyhow::ensure!(status.left_out.is_empty(), "unreadable files of the archive: {:?}", status.left_out);
        let (mut records, mut segments) = (0, 0);
        for missing in &status.missing {
            records += missing.records;
            segments += missing.segments;
        }
        Ok(Self { rows: status.total.rows, records, segments })
    }

    /// Whether it has all flows, or states what is missing: how many flows a missing segment has is not known.
    fn accounts_for(self, flows: u64) -> bool {
        let Self { rows, records, segments } = self;
        if segments > 0 { rows + records < flows } else { rows + records == flows }
    }

    /// What it has and lacks, in words.
    pub(super) fn text(self, flows: u64) -> String {
        let Self { rows, records, segments } = self;
        format!("{rows} of {flows}; missing: {records} records, {segments} segments")
    }
}
