//! What was compared, what differs, and which rows of the tables were needed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Source;
use crate::exclusions::EXCLUSIONS;
use crate::names::{self, NAMES};
use crate::record::Record;

/// How many differences of one field of one case are shown.
const SHOWN: usize = 3;

/// Counts of one source.
#[derive(Default)]
struct Totals {
    cases: BTreeSet<String>,
    records: usize,
    fields: usize,
    excluded: usize,
}

/// The running comparison.
#[derive(Default)]
pub(crate) struct Comparison {
    source: Option<Source>,
    case: String,
    totals: BTreeMap<Source, Totals>,
    differences: BTreeMap<(String, String), Vec<String>>,
    names_used: BTreeSet<usize>,
    exclusions_used: BTreeSet<usize>,
}

impl Comparison {
    /// What follows is about this case.
    pub(crate) fn start(&mut self, source: Source, case: &str) {
        self.source = Some(source);
        case.clone_into(&mut self.case);
        self.totals().cases.insert(case.to_owned());
    }

    pub(crate) fn source(&self) -> Source {
        self.source.unwrap()
    }

    fn totals(&mut self) -> &mut Totals {
        self.totals.entry(self.source.unwrap()).or_default()
    }

    /// Compares the fields that a golden states of a record with the record.
    ///
    /// A name that is stated several times is a repeated field.
    pub(crate) fn record(&mut self, record: Option<&Record>, stated: impl IntoIterator<Item = (String, Value)>) {
        self.totals().records += 1;
        let Some(record) = record else {
            self.differs("(record)", "there is no such record".to_owned());
            return;
        };
        let mut numbers = BTreeMap::<_, usize>::new();
        for (theirs, value) in stated {
            let number = numbers.entry(theirs.clone()).or_default();
            self.repeated(record, &theirs, *number, &value);
            *number += 1;
        }
    }

    /// Compares one field.
    pub(crate) fn field(&mut self, record: &Record, theirs: &str, stated: &Value) {
        self.repeated(record, theirs, 0, stated);
    }

    fn repeated(&mut self, record: &Record, theirs: &str, number: usize, stated: &Value) {
        if self.is_excluded(theirs) {
            return;
        }
        self.totals().fields += 1;
        let (name, row) = names::of(self.source(), theirs);
        self.names_used.extend(row);
        let ours = record.get_repeated(name.ours, number);
        if !name.form.same(stated, &ours) {
            self.differs(theirs, format!("{} is {ours} instead of {stated}", name.ours));
        }
    }

    /// Whether a field is not compared here.
    pub(crate) fn is_excluded(&mut self, theirs: &str) -> bool {
        let row = EXCLUSIONS.iter().position(|row| {
            row.source == self.source()
                && row.field == theirs
                && (row.cases.is_empty() || row.cases.iter().any(|case| self.case.contains(case)))
        });
        self.exclusions_used.extend(row);
        self.totals().excluded += usize::from(row.is_some());
        row.is_some()
    }

    /// A row of the table of names was used by a reader that compares by itself.
    pub(crate) fn used(&mut self, row: Option<usize>) {
        self.names_used.extend(row);
    }

    /// Counts equal records and fields that the reader compared itself.
    pub(crate) fn equal(&mut self, records: usize, fields: usize) {
        self.totals().records += records;
        self.totals().fields += fields;
    }

    /// Compares a count.
    pub(crate) fn count(&mut self, what: &str, stated: u64, ours: u64) {
        if stated != ours {
            self.differs(what, format!("{ours} instead of {stated}"));
        }
    }

    /// Something is not as stated.
    pub(crate) fn differs(&mut self, field: &str, what: String) {
        let key = (format!("{:?} {}", self.source(), self.case), field.to_owned());
        self.differences.entry(key).or_default().push(what);
    }

    /// Prints what was compared; panics when something differs, or when a table has a row that nothing needs.
    pub(crate) fn finish(&self) {
        println!("source       cases  records  fields  excluded");
        for (source, totals) in &self.totals {
            let Totals { cases, records, fields, excluded } = totals;
            let source = format!("{source:?}");
            println!("{source:<12} {:>5} {records:>8} {fields:>7} {excluded:>9}", cases.len());
        }
        for ((case, field), all) in &self.differences {
            println!("{case}: {field}: {} times", all.len());
            all.iter().take(SHOWN).for_each(|what| println!("    {what}"));
        }
        let unused = |used: &BTreeSet<usize>, count| (0..count).filter(|row| !used.contains(row)).collect::<Vec<_>>();
        let names: Vec<_> = unused(&self.names_used, NAMES.len()).into_iter().map(|row| NAMES[row].theirs).collect();
        let exclusions: Vec<_> =
            unused(&self.exclusions_used, EXCLUSIONS.len()).into_iter().map(|row| EXCLUSIONS[row].field).collect();
        assert!(self.differences.is_empty(), "{} fields differ", self.differences.len());
        assert!(names.is_empty(), "names that occur in no golden: {names:?}");
        assert!(exclusions.is_empty(), "exclusions that nothing needs: {exclusions:?}");
    }
}
