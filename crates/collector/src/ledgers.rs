//! Conservation: what goes into a step comes out of it, or is in a counter that gives the reason. Each ledger has two
//! sides, which are counted in different places and must be equal at every flush.
//!
//! | ledger | left side | right side |
//! | --- | --- | --- |
//! | `drops` | datagrams that the kernel reports as dropped | datagrams counted as dropped |
//! | `datagrams` | read from sockets and journal | all fates of datagrams |
//! | `records` | found by decoding | handed to the shard |
//! | `flows` | data records | all fates of flows |
//! | `values` | tables of the tallies | those whose values add up to `all` |
//! | `blocks` | flows in the tallies, for each prefix | flows in the blocks made of them |
//! | `journal` | datagrams admitted, and data carried over | written to the journal or missed by it |
//! | `store` | flushes that are durable | accepted by the store, or queued in the spool |
//! | `readers` | records that shards have shown, in flushes that readers of the log have read | records that the readers have shown |
//!
//! The sides are exactly equal because they are read at one moment: while the flusher holds all shards to seal them. The
//! ledgers use counters that exist anyway and cost nothing on the hot path. `storage::check` verifies that stored blocks
//! add up.

use flow::{DatagramFate, Timestamp};

use crate::flush_counts::FlushCounts;
use crate::log_records::ReaderCounts;
use pipeline::Counts;
use view::Ledger;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledgers {
    /// When they were compared; `None` before the first flush.
    pub checked: Option<Timestamp>,
    /// Their state at that time.
    pub all: Vec<Ledger>,
}

/// The counts at the moment when all shards were sealed.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutCounts {
    /// Of all shards together.
    pub(crate) shards: Counts,
    /// Datagrams that were read from sockets.
    pub(crate) read: u64,
    /// Datagrams that the kernel has dropped.
    pub(crate) dropped: u64,
    /// `None` without a journal.
    pub(crate) journal: Option<journal::Counts>,
}

/// The counts recovered from the journal of an earlier run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoveredCounts {
    /// Datagrams.
    pub datagrams: u64,
    /// Segments with an incomplete end.
    pub torn: u64,
    /// Damaged places within segments, which were skipped.
    pub damaged: journal::Damaged,
    /// Datagrams counted by what was registered at the start, because the terms of their time were not found.
    pub unstated: u64,
    /// The fates of the datagrams.
    pub counts: Counts,
}

impl Ledgers {
    /// Compares the sides, and logs each imbalance once for each change.
    pub(crate) fn check(
        &mut self,
        counted: &CutCounts,
        found: &RecoveredCounts,
        flushes: &FlushCounts,
        readers: &[ReaderCounts],
        now: Timestamp,
    ) {
        self.checked = Some(now);
        let before = std::mem::replace(&mut self.all, sides(counted, found, flushes, readers));
        for ledger in &mut self.all {
            let before = before.iter().find(|before| before.name == ledger.name);
            ledger.violations = before.map_or(0, |before| before.violations);
            let difference = ledger.difference;
            if difference != 0 && before.map(|before| before.difference) != Some(difference) {
                ledger.violations += 1;
                let Ledger { name, sides: [left_side, right_side], left, right, .. } = ledger;
                tracing::error!(
                    ledger = name,
                    difference,
                    "a ledger does not balance: {left_side} {left}, {right_side} {right}; please report this"
                );
            }
        }
    }
}

fn sides(counted: &CutCounts, found: &RecoveredCounts, flushes: &FlushCounts, readers: &[ReaderCounts]) -> Vec<Ledger> {
    let mut all = counted.shards;
    all.merge(&found.counts);
    let ledger = Ledger::new;
    let mut ledgers = vec![
        ledger("drops", ["dropped by the kernel", "counted as dropped"], counted.dropped, all.kernel_drops),
        ledger("datagrams", ["read", "fates of datagrams"], counted.read + found.datagrams, all.datagrams.total()),
        ledger("records", ["decoded", "handed to the shards"], all.records, all.shown_records),
        ledger("flows", ["data records", "fates of flows"], all.data_records, all.flows.total()),
        ledger("values", ["tables", "tables that add up to all"], flushes.balance.tables, flushes.balance.balanced),
        ledger("blocks", ["flows in tallies", "flows in blocks"], flushes.balance.all.flows, flushes.in_blocks.flows),
        ledger("store", ["durable flushes", "stored or waiting"], flushes.durable, flushes.taken + flushes.waiting),
    ];
    if let Some(journal) = counted.journal {
        let datagrams = &counted.shards.datagrams;
        let admitted = datagrams.total() - datagrams[DatagramFate::Unregistered];
        let sides = ["admitted or carried over", "written or missed"];
        ledgers.push(ledger("journal", sides, admitted + journal.carried, journal.written + journal.missed));
    }
    if !readers.is_empty() {
        let mut all = ReaderCounts::default();
        readers.iter().for_each(|reader| all.add(reader));
        let (shown, read) = all.compared;
        ledgers.push(ledger("readers", ["shown by shards", "shown by readers"], shown, read));
    }
    ledgers
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::lock::locked;

    #[test]
    fn an_imbalance_is_counted_once_for_each_change() {
        let (mut ledgers, mut counted) = (Ledgers::default(), CutCounts { read: 7, ..CutCounts::default() });
        counted.shards.datagrams[DatagramFate::Decoded] = 7;
        let mut check = |counted: &CutCounts| {
            ledgers.check(counted, &RecoveredCounts::default(), &FlushCounts::default(), &[], Timestamp::EPOCH);
            let off: Vec<_> = ledgers.all.iter().filter(|ledger| ledger.difference != 0).collect();
            let datagrams = ledgers.all.iter().find(|ledger| ledger.name == "datagrams");
            (off.iter().map(|off| (off.name, off.difference)).collect::<Vec<_>>(), datagrams.unwrap().violations)
        };
        assert_eq!(check(&counted), (vec![], 0));
        counted.read = 9;
        assert_eq!(check(&counted), (vec![("datagrams", 2)], 1));
        assert_eq!(check(&counted), (vec![("datagrams", 2)], 1));
        counted.shards.datagrams[DatagramFate::Damaged] = 3;
        assert_eq!(check(&counted), (vec![("datagrams", -1)], 2));
        counted.read = 10;
        assert_eq!(check(&counted), (vec![], 2));
    }

    /// The log, as text.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            locked(&self.0).write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_imbalance_is_logged_once_with_its_name_and_difference() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let counted = CutCounts { read: 9, ..CutCounts::default() };
        tracing::subscriber::with_default(subscriber, || {
            let mut ledgers = Ledgers::default();
            for _ in 0..2 {
                ledgers.check(&counted, &RecoveredCounts::default(), &FlushCounts::default(), &[], Timestamp::EPOCH);
            }
        });
        let logged = String::from_utf8(locked(&log.0).clone()).unwrap();
        assert_eq!(logged.lines().count(), 1, "{logged}");
        for part in ["ERROR", "does not balance: read 9, fates of datagrams 0", "ledger=\"datagrams\" difference=9"] {
            assert!(logged.contains(part), "{logged}");
        }
    }

    #[test]
    fn every_admitted_datagram_is_written_to_the_journal_or_missed() {
        let mut counted = CutCounts { read: 5, ..CutCounts::default() };
        counted.shards.datagrams[DatagramFate::Damaged] = 3;
        counted.shards.datagrams[DatagramFate::Unregistered] = 2;
        counted.journal = Some(journal::Counts { written: 3, missed: 1, carried: 1, ..journal::Counts::default() });
        let ledgers = sides(&counted, &RecoveredCounts::default(), &FlushCounts::default(), &[]);
        assert!(ledgers.iter().all(|ledger| ledger.difference == 0), "{ledgers:?}");
        assert_eq!(ledgers.last().map(|ledger| (ledger.name, ledger.left)), Some(("journal", 4)));
    }
}
