//! The fields of every record against what other projects expect of the same captures: logstash-codec-netflow,
//! telegraf, akvorado, NetGauze and nfacctd (on pmacct's captures), tcpdump, and the corpus' own expectations of options
//! records. The real binary decodes; nothing here knows how.
//!
//! - [`names`]: the one table of what each of them calls a field, and how it writes the value
//! - [`exclusions`]: the few values that are not compared, each with its reason
//! - a file for each shape of golden, which only reads it
//!
//! Numbers of flows, sums and sequences are compared in `decode_captures.rs`; the fields of `flows` of the expectations
//! in the tests of `wire`.
#![cfg(test)]

mod akvorado;
mod comparison;
mod exclusions;
mod expectation;
mod logstash;
mod names;
mod netgauze;
mod nfacctd;
mod record;
mod spellings;
mod tcpdump;
mod telegraf;
mod value;

use std::fs;
use std::path::{Path, PathBuf};

use comparison::Comparison;
use record::Records;

/// Whose golden a field is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Akvorado,
    Expectation,
    Logstash,
    Netgauze,
    Nfacctd,
    Tcpdump,
    Telegraf,
}

/// A reader of goldens: compares everything in the golden with the records.
type Reader = fn(&mut Comparison, &str, &Records);

/// The shapes, by the end of the file's name; a golden that none fits fails the test.
const SHAPES: &[(&str, Source, Reader)] = &[
    (".golden.akvorado.json", Source::Akvorado, akvorado::compare),
    (".golden.netgauze.json", Source::Netgauze, netgauze::compare),
    (".golden.nfacctd.json", Source::Nfacctd, nfacctd::compare),
    (".golden.influx.txt", Source::Telegraf, telegraf::compare),
    (".golden.json", Source::Logstash, logstash::compare),
    (".golden.txt", Source::Tcpdump, tcpdump::compare),
    // The lines of the file before, without what is inside.
    (".golden-nv.txt", Source::Tcpdump, |_, _, _| {}),
    (".expected.json", Source::Expectation, expectation::compare),
];

/// All expectations, as (shape, case, file), sorted.
fn goldens(corpus: &Path) -> Vec<(&'static (&'static str, Source, Reader), String, PathBuf)> {
    let mut goldens = Vec::new();
    for source in fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(corpus).unwrap().to_str().unwrap().to_owned();
            if !name.contains(".golden") && !name.ends_with(".expected.json") {
                continue;
            }
            let shape = SHAPES.iter().find(|(end, ..)| name.ends_with(end));
            let shape = shape.unwrap_or_else(|| panic!("{name}: a golden of a shape that is not known"));
            goldens.push((shape, name.strip_suffix(shape.0).unwrap().to_owned(), file));
        }
    }
    goldens.sort_by(|left, right| (left.0.1, &left.1).cmp(&(right.0.1, &right.1)));
    goldens
}

#[test]
fn every_field_of_every_record_equals_what_others_decode() {
    let Some(corpus) = testing::captures() else { return };
    let mut comparison = Comparison::default();
    for ((_, source, compare), case, file) in goldens(&corpus) {
        let golden = fs::read_to_string(file).unwrap();
        if *source == Source::Expectation && !expectation::has_options(&golden) {
            continue;
        }
        let records = Records::of(&corpus.join(format!("{case}.pcap")));
        comparison.start(*source, &case);
        compare(&mut comparison, &golden, &records);
    }
    comparison.finish();
}
