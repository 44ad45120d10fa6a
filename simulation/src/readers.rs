//! Readers of the log, and where they put what they have read: it outlives the process. A reader may lag, is killed with its
//! process, and may be added later. It may restart with another table of columns: of the flow alone, or of rows with all
//! columns. At the end, each has exactly the flows that were counted, flush by flush the same as the others.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use accounting::period::Minute;
use collector::LogRecords;
use collector::status::Status;
use columns::{Id, Row};
use flow::{Counters, Prefix, Sampling};
use journal::{Journal, Position};
use pipeline::{Logged, Rules};

use crate::exporter::{OCTETS, number};
use crate::oracle::{Counted, Place};

/// No log of a run is as large. Octets.
pub(crate) const LOG_LIMIT: u64 = 1 << 30;

/// The flows of a flush, by exporter and prefix.
type Flows = BTreeMap<(IpAddr, Prefix), BTreeMap<Place, Counted>>;

/// What a reader has stored.
#[derive(Debug, Default)]
pub(crate) struct Target {
    durable: BTreeMap<Position, Flows>,
}

/// A reader, and what it has read since its cursor.
pub(crate) struct Reader {
    name: &'static str,
    records: LogRecords,
    /// What it keeps of a record; `None` if only the flow.
    row: Option<Row>,
    taken: Vec<(Position, Flows)>,
}

impl Reader {
    /// Continues at its cursor.
    pub(crate) fn open(journal: &Arc<Journal>, name: &'static str, rules: Rules, status: &Status) -> Self {
        let records = LogRecords::open(journal, name, rules, status.clone()).expect("the log is kept for it");
        Self { name, records, row: None, taken: Vec::new() }
    }

    /// Keeps rows with all columns in this life, or flows.
    pub(crate) fn keep_rows(&mut self, keeps_rows: bool) {
        self.row = keeps_rows.then(Row::new);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Reads a flush, if there is one. An error of the disk sends it back to its cursor.
    pub(crate) fn read(&mut self) -> bool {
        let (mut flows, row) = (Flows::new(), &mut self.row);
        match self.records.read_flush(&mut |_, record| take(record, row.as_mut(), &mut flows)) {
            Ok(Some(read)) => {
                self.taken.push((read.position, flows));
                true
            }
            Ok(None) => false,
            Err(_) => {
                self.rewind();
                false
            }
        }
    }

    fn rewind(&mut self) {
        self.records.rewind();
        self.taken.clear();
    }

    /// Stores everything, and then moves the cursor. What was stored before a crash that kept the cursor comes again, the
    /// same under the same name, unless something is missing in the log.
    pub(crate) fn commit(&mut self, target: &mut Target, is_log_whole: bool) -> io::Result<()> {
        for (position, flows) in self.taken.drain(..) {
            let before = target.durable.insert(position, flows);
            if let Some(before) = before.filter(|_| is_log_whole) {
                assert_eq!(before, target.durable[&position], "{}: {position:?} is not the same again", self.name);
            }
        }
        self.records.commit()
    }
}

impl Target {
    /// How often each flow is here, of an exporter and a prefix.
    pub(crate) fn flows(&self, of: (IpAddr, Prefix)) -> BTreeMap<Place, Counted> {
        let mut all: BTreeMap<Place, Counted> = BTreeMap::new();
        for (place, counted) in self.durable.values().filter_map(|flows| flows.get(&of)).flatten() {
            let sum = all.entry(*place).or_default();
            (sum.flows, sum.packets) = (sum.flows + counted.flows, sum.packets + counted.packets);
        }
        all
    }

    /// Another reader, which began later, has the same from there on.
    pub(crate) fn continues(&self, later: &Self) {
        let Some(first) = later.durable.keys().next() else { return };
        for (position, flows) in self.durable.range(first..) {
            assert_eq!(Some(flows), later.durable.get(position), "{position:?}");
        }
        assert_eq!(self.durable.keys().next_back(), later.durable.keys().next_back());
    }
}

/// Counts a record where its flow was counted, by its row if it has one.
fn take(logged: &Logged<'_>, row: Option<&mut Row>, flows: &mut Flows) {
    let (Some(registration), Some(flow)) = (logged.registration, logged.record.flow) else { return };
    let Rules { scale_samples, clock_limit, .. } = *logged.rules;
    if !registration.settings.flow_direction.counts(flow.observed) {
        return;
    }
    let received = logged.record.message.received;
    let exported = Some(flow.exported).filter(|exported| exported.is_within(clock_limit, received));
    let own = registration.monitored.own().prefixes().unwrap_or_default();
    let is_own = |address| own.iter().any(|prefix| prefix.contains(address));
    let sampling = if scale_samples { flow.sampling } else { Sampling::NONE };
    let kept = match row {
        Some(row) => {
            assert!(logged.record.row(row), "a flow is a row");
            assert_eq!(row.number(Id::Rate), u64::from(flow.sampling.rate));
            let [bytes, packets, flows] = [Id::Bytes, Id::Packets, Id::Flows].map(|id| row.number(id));
            Counters { bytes, packets, flows }
        }
        None => flow.forward,
    };
    let counters = kept.scaled(sampling).expect("it is plausible");
    assert_eq!(counters.bytes, counters.packets * u64::from(OCTETS));
    let Some(number) = number(flow.source) else { return };
    for (prefix, _) in registration.monitored.prefixes() {
        if prefix.contains(flow.destination) {
            let place = Place {
                minute: Minute::of(exported.unwrap_or(received)),
                flow: number,
                is_local: is_own(flow.source) && is_own(flow.destination),
            };
            let counted = flows.entry((logged.exporter, *prefix)).or_default().entry(place).or_default();
            (counted.flows, counted.packets) = (counted.flows + 1, counted.packets + counters.packets);
        }
    }
}
