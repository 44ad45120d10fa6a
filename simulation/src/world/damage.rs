//! A bit of the journal or of the log is flipped while the collector is down. At most the record that it hits is lost: in the
//! log, for the readers only that have not read it yet.

use std::io::Read;

use super::*;

/// Octets of the header of a segment.
const FILE_HEADER: usize = 24;
/// Octets of the header of a record.
const RECORD_HEADER: usize = 16;
/// Where a record has its source address: in the header of IPv4.
const SOURCE: usize = RECORD_HEADER + 12;

/// A record of a segment, read by hand, because the reader is under test.
struct JournalRecord {
    octets: Range<usize>,
    /// `None` if it is of none that the oracle follows, or a note.
    exporter: Option<usize>,
    at: Timestamp,
    /// Whether it has the terms of the exporter, which have no time, instead of a datagram.
    is_terms: bool,
}

impl World {
    /// Flips a bit, if this run does.
    pub(super) fn may_flip_a_bit(&mut self) {
        if !self.flips_bits || !self.flips.once_in(2) {
            return;
        }
        self.disk.spare(true);
        let mut segments = self.disk.list().unwrap();
        // One that is counted, and is not in the log yet: another database may count it again, a reader may read it before.
        let (is_counted, has_readers) = (self.is_counted(), self.has_readers);
        segments.retain(|(name, _)| match SegmentName::parse(name) {
            Some(_) => !(has_readers && is_counted(name)),
            None => SegmentName::parse_in_log(name).is_some(),
        });
        if !segments.is_empty() {
            let (segment, _) = self.flips.pick(&segments).clone();
            let mut octets = Vec::new();
            self.disk.read(&segment).unwrap().read_to_end(&mut octets).unwrap();
            let records = records(&octets);
            let end = records.last().map_or(0, |last| last.octets.end);
            if end > 0 {
                let bit = self.flips.index(end * 8);
                self.flip(&segment, &records, bit);
            }
        }
        self.disk.spare(false);
    }

    fn flip(&mut self, segment: &str, records: &[JournalRecord], bit: usize) {
        self.disk.flip_bit(segment, bit);
        let is_in_log = SegmentName::parse_in_log(segment).is_some();
        self.is_log_whole = false;
        if !is_in_log {
            self.flipped.insert(segment.to_owned());
        }
        let Some(hit) = records.iter().position(|record| record.octets.contains(&(bit / 8))) else {
            return self.story.push("a bit of the header of a segment is flipped".into());
        };
        let JournalRecord { exporter, at, is_terms, .. } = records[hit];
        self.story.push(format!("a bit is flipped, in log {is_in_log}: {exporter:?} terms {is_terms}, {at:?}"));
        let Some(exporter) = exporter else {
            // A reader may not learn which exporters were forgotten.
            self.oracle.may_miss_log(|received| self.exporters[received.exporter].has_templates());
            return;
        };
        let after = records[hit + 1..].iter().filter(|record| record.exporter == Some(exporter));
        let counted_by = after.take_while(|record| !record.is_terms).map(|record| record.at);
        let hit: BTreeSet<Timestamp> = if is_terms { counted_by.collect() } else { [at].into() };
        match is_terms {
            _ if is_in_log => {
                self.oracle.may_miss_log(|received| received.exporter == exporter && hit.contains(&received.at));
            }
            true => self.oracle.lost_terms(exporter, &hit),
            false => self.oracle.damaged(exporter, at),
        }
    }

    /// Damage of segments that a start has read is reported.
    pub(super) fn check_damage(&mut self) {
        let is_counted = self.is_counted();
        self.disk.spare(true);
        let mut existing = self.disk.list().unwrap().into_iter();
        self.disk.spare(false);
        if existing.any(|(segment, _)| self.flipped.contains(&segment) && !is_counted(&segment)) {
            let found = self.process().status.recovery();
            assert!(found.damaged.places + found.torn > 0, "the damage is not reported: {found:?}");
        }
    }
}

/// The records up to the first damage.
fn records(octets: &[u8]) -> Vec<JournalRecord> {
    let number = |at: usize| Some(u32::from_le_bytes(*octets.get(at..)?.first_chunk()?));
    let (mut records, mut start) = (Vec::new(), FILE_HEADER);
    while let (Some(seconds), Some(nanoseconds), Some(length)) = (number(start), number(start + 4), number(start + 8)) {
        let end = start + RECORD_HEADER + length as usize;
        if end > octets.len() || start + SOURCE > end {
            break;
        }
        let exporter = match octets[start + SOURCE..end].first_chunk() {
            // A flipped bit may have hit the address.
            Some([127, 0, 0, last]) => usize::from(*last).checked_sub(1),
            _ => None,
        };
        records.push(JournalRecord {
            octets: start..end,
            exporter,
            at: Timestamp::from_seconds(seconds.into()).saturating_add(Duration::from_nanos(nanoseconds.into())),
            is_terms: seconds == 0,
        });
        start = end;
    }
    records
}
