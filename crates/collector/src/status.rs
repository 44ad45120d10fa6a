//! The counts of shards and flusher, and their sums.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use accounting::tally::{Balance, NameBudget, Tally};
use flow::{Counters, Timestamp};
use pipeline::Counts;
use view::{BitRates, Socket};

use crate::bit_rates::LastRates;
use crate::flush_counts::FlushCounts;
use crate::ledgers::{CutCounts, Ledgers, RecoveredCounts};
use crate::lock::locked;
use crate::log_records::ReaderCounts;
use crate::prefix_counters::PrefixCounters;

/// The counts of a running collector, readable at any time. A shard publishes its own after each batch.
#[derive(Clone, Debug, Default)]
pub struct Status {
    shards: Vec<Arc<Mutex<Counts>>>,
    /// The counts of each shard.
    sockets: Vec<Arc<Mutex<Vec<Socket>>>>,
    names: Option<NameBudget>,
    recovered: Arc<Mutex<RecoveredCounts>>,
    flusher: Arc<Mutex<FlushCounts>>,
    bit_rates: Arc<Mutex<LastRates>>,
    ledgers: Arc<Mutex<Ledgers>>,
    /// Since when the registered senders cannot be read; `None` while they can.
    senders_failing_since: Arc<Mutex<Option<Instant>>>,
    restored: Arc<AtomicU64>,
    /// Routers that have registered themselves, and the limit; `None` if none can.
    accepted: Arc<Mutex<Option<(usize, usize)>>>,
    readers: Arc<Mutex<BTreeMap<&'static str, ReaderCounts>>>,
    prefixes: PrefixCounters,
    reader_errors: Arc<Mutex<BTreeMap<&'static str, ReaderError>>>,
}

/// The last error of a reader of the log.
#[derive(Clone, Debug)]
pub struct ReaderError {
    /// What it was.
    pub text: String,
    /// Since when the reader has made nothing durable; `None` if it has since.
    pub failing_since: Option<Instant>,
}

impl Status {
    /// The status of a collector with this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let shards = 0..shards;
        Self {
            shards: shards.clone().map(|_| Arc::default()).collect(),
            sockets: shards.map(|_| Arc::default()).collect(),
            ..Self::default()
        }
    }

    /// The status of a collector whose tallies share a budget of names.
    #[must_use]
    pub fn with_names(self, names: NameBudget) -> Self {
        Self { names: Some(names), ..self }
    }

    /// The number of names in its tallies, and the limit.
    #[must_use]
    pub fn names(&self) -> Option<(usize, usize)> {
        self.names.as_ref().map(|names| (names.used(), names.limit()))
    }

    /// Its sockets.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.sockets.iter().flat_map(|sockets| locked(sockets).clone()).collect()
    }

    /// Where a shard publishes the state of its sockets.
    pub(crate) fn sockets_of(&self, shard: usize) -> Arc<Mutex<Vec<Socket>>> {
        self.sockets.get(shard).map(Arc::clone).unwrap_or_default()
    }

    /// The places where the shards publish their counts, in order.
    pub(crate) fn shards(&self) -> impl Iterator<Item = Arc<Mutex<Counts>>> + '_ {
        self.shards.iter().map(Arc::clone)
    }

    /// The counts of all shards together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for shard in &self.shards {
            sum.merge(&locked(shard));
        }
        sum
    }

    /// The counts of the datagrams recovered from the journal at the start; no other count includes them.
    #[must_use]
    pub fn recovery(&self) -> RecoveredCounts {
        *locked(&self.recovered)
    }

    /// Publishes these counts.
    pub(crate) fn recovered(&self, found: RecoveredCounts) {
        *locked(&self.recovered) = found;
    }

    /// The counts of the flusher.
    #[must_use]
    pub fn flushes(&self) -> FlushCounts {
        *locked(&self.flusher)
    }

    /// How long the registered senders could not be read from the store; zero if they can.
    #[must_use]
    pub fn senders_failing(&self) -> Duration {
        locked(&self.senders_failing_since).map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Notes whether the registered senders could be read from the store.
    pub(crate) fn read_senders(&self, is_read: bool) {
        let mut since = locked(&self.senders_failing_since);
        *since = if is_read { None } else { since.or_else(|| Some(Instant::now())) };
    }

    /// The number of routers that have registered themselves, and the limit; `None` if none can.
    #[must_use]
    pub fn accepted_senders(&self) -> Option<(usize, usize)> {
        *locked(&self.accepted)
    }

    /// Notes how many routers have registered themselves.
    pub(crate) fn accepted(&self, accepted: Option<(usize, usize)>) {
        *locked(&self.accepted) = accepted;
    }

    /// The ledgers as of the last flush.
    #[must_use]
    pub fn ledgers(&self) -> Ledgers {
        locked(&self.ledgers).clone()
    }

    /// The registrations that the store had lost and that were stored again.
    #[must_use]
    pub fn restored_registrations(&self) -> u64 {
        self.restored.load(Ordering::Relaxed)
    }

    /// Counts registrations that were stored again.
    pub(crate) fn restored(&self, registrations: u64) {
        self.restored.fetch_add(registrations, Ordering::Relaxed);
    }

    /// What each reader of the log has read since the start.
    #[must_use]
    pub fn readers(&self) -> BTreeMap<&'static str, ReaderCounts> {
        locked(&self.readers).clone()
    }

    /// Adds what a reader of the log has read.
    pub(crate) fn read(&self, reader: &'static str, counts: &ReaderCounts) {
        locked(&self.readers).entry(reader).or_default().add(counts);
    }

    /// The last error of each reader that had one.
    #[must_use]
    pub fn reader_errors(&self) -> BTreeMap<&'static str, ReaderError> {
        locked(&self.reader_errors).clone()
    }

    /// Notes that a reader of the log cannot continue.
    pub(crate) fn reader_failed(&self, reader: &'static str, text: String) {
        let mut errors = locked(&self.reader_errors);
        let since = errors.get(reader).and_then(|error| error.failing_since).unwrap_or_else(Instant::now);
        errors.insert(reader, ReaderError { text, failing_since: Some(since) });
    }

    /// Notes that it continues.
    pub(crate) fn reader_continues(&self, reader: &'static str) {
        if let Some(error) = locked(&self.reader_errors).get_mut(reader) {
            error.failing_since = None;
        }
    }

    /// Checks the ledgers.
    pub fn check(&self, counted: &CutCounts, now: Timestamp) {
        let (found, flushes) = (*locked(&self.recovered), self.flushes());
        let readers = self.readers().into_values().collect::<Vec<_>>();
        locked(&self.ledgers).check(counted, &found, &flushes, &readers, now);
    }

    /// Notes what was counted between the last cut and this one.
    pub(crate) fn cut(&self, sealed: &[Tally], now: Instant) {
        locked(&self.bit_rates).note(sealed, now);
    }

    /// The bit rates of a sender between the last two cuts; `None` while they are unknown.
    pub(crate) fn bit_rates(&self, sender: IpAddr) -> Option<BitRates> {
        locked(&self.bit_rates).of(sender, Instant::now())
    }

    /// Adds the sums of the tallies of a flush, and `all` of its blocks.
    pub(crate) fn sealed(&self, balance: Balance, in_blocks: impl Iterator<Item = Counters>) {
        self.flushed(|counts| {
            counts.balance.add(balance);
            in_blocks.for_each(|counters| counts.in_blocks.add(counters));
        });
    }

    /// The counters of monitored prefixes.
    pub(crate) fn prefixes(&self) -> &PrefixCounters {
        &self.prefixes
    }

    /// Counts a flush that the store accepted.
    pub(crate) fn taken(&self) {
        self.flushed(|counts| counts.taken += 1);
    }

    /// Changes the counts of the flusher.
    pub(crate) fn flushed(&self, add: impl FnOnce(&mut FlushCounts)) {
        add(&mut locked(&self.flusher));
    }
}

#[cfg(test)]
mod tests {
    use flow::{DatagramFate, FlowFate};

    use super::*;

    #[test]
    fn the_status_line_sums_all_shards() {
        let status = Status::new(2);
        for shard in status.shards() {
            let mut counts = locked(&shard);
            counts.datagrams[DatagramFate::Decoded] += 2;
            counts.datagrams[DatagramFate::Unregistered] += 1;
            counts.flows[FlowFate::Matched] += 40;
            counts.flows[FlowFate::Unmatched] += 5;
            counts.kernel_drops += 3;
        }
        assert_eq!(
            status.counts().to_string(),
            "datagrams 6 flows 90 templates 0 unregistered 2 unmatched 10 event 0 implausible 0 other_direction 0 no_ip_header 0 unregistered_agent 0 missing_template_sets 0 pending_sets 0 pending_decoded_sets 0 pending_expired_sets 0 corrected_sampling_rates 0 decode_errors 0 clamped_flows 0 kernel_drops 6"
        );
    }
}
