//! When the log is read, and what must have been read at the end.

use std::net::IpAddr;

use flow::Prefix;

use super::*;
use crate::oracle::{Counted as CountedFlow, Place};

/// A reader that reads on, one that lags, and one that is added later.
const READERS: [&str; 3] = ["archive", "laggard", "late"];

impl World {
    /// The readers of the next process.
    pub(super) fn readers(&mut self) -> &'static [&'static str] {
        self.has_late_reader |= self.process.is_none() && !self.story.is_empty() && self.reading.once_in(3);
        match (self.has_readers, self.has_late_reader) {
            (false, _) => &[],
            (true, false) => &READERS[..2],
            (true, true) => &READERS,
        }
    }

    /// Notes whether everything that was counted is in the log, as far as the process knows before it ends.
    pub(super) fn note_misses(&mut self) {
        if let Some(Process { journal, .. }) = &self.process {
            let counts = journal.counts();
            self.is_log_whole &= counts.missed == 0 && counts.sync_errors == 0;
        }
    }

    /// Readers read some flushes, and store some.
    pub(super) fn read(&mut self) {
        self.note_misses();
        let is_whole = self.is_log_whole;
        let Self { process: Some(Process { readers, .. }), reading, targets, story, .. } = self else { return };
        for reader in readers {
            let lags = reader.name() == "laggard";
            for _ in 0..if lags { u64::from(reading.once_in(20)) * 4 } else { reading.below(2) } {
                if reader.read() {
                    story.push(format!("{} reads a flush", reader.name()));
                }
            }
            if reading.once_in(if lags { 10 } else { 4 }) {
                let moved = reader.commit(targets.entry(reader.name()).or_default(), is_whole);
                story.push(format!("{} moves its cursor: {}", reader.name(), moved.is_ok()));
            }
        }
    }

    /// All readers read everything.
    pub(super) fn read_to_the_end(&mut self) {
        self.note_misses();
        let (now, is_whole) = (self.now, self.is_log_whole);
        let Self { process: Some(process), targets, .. } = self else { return };
        for reader in &mut process.readers {
            while reader.read() {}
            reader.commit(targets.entry(reader.name()).or_default(), is_whole).unwrap();
        }
        assert_eq!(process.journal.log_bytes().0, 0, "the log is empty when all is read");
        process.balance(now);
        let [archive, laggard, late] = READERS.map(|name| targets.remove(name).unwrap_or_default());
        if is_whole {
            archive.continues(&laggard);
            archive.continues(&late);
        }
        if !self.has_readers {
            return;
        }
        targets.insert(READERS[0], archive);
        targets.insert(READERS[1], laggard);
    }

    /// The readers that were there from the start have the flows of an exporter and prefix as they were counted, as far as all
    /// that was counted was in the log.
    pub(super) fn check_readers(&self, which: usize, of: (IpAddr, Prefix), counted: &BTreeMap<Place, CountedFlow>) {
        if self.lost_database || !self.has_cursors {
            return;
        }
        let is_in_log = self.oracle.in_log(which, self.exporters[which].has_templates());
        let sure = |flows: &BTreeMap<Place, CountedFlow>| {
            let sure = flows.iter().filter(|(place, _)| is_in_log(place.flow));
            sure.map(|(place, counted)| (*place, *counted)).collect::<Vec<_>>()
        };
        for (name, target) in &self.targets {
            assert_eq!(sure(&target.flows(of)), sure(counted), "{which}: {name}, and the counters");
        }
    }
}
