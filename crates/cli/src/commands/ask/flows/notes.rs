//! What an answer was read from, how its counters are to be read, and what is missing in it.

use questions::scope::{Asked, Counters};
use questions::{Coverage, FlowRows, FlowSeries, FlowTop};

use crate::table::{count_of, printable};

/// Notes on flows.
pub(super) fn of_rows(answer: &FlowRows) -> Vec<String> {
    let mut notes = of_answer(&answer.asked, &answer.coverage);
    if let Some(next) = &answer.next {
        notes.push(format!("there are more: --cursor {next}"));
    }
    notes
}

/// Notes on groups.
pub(super) fn of_top(answer: &FlowTop) -> Vec<String> {
    of_answer(&answer.asked, &answer.coverage)
}

/// Notes on steps of time.
pub(super) fn of_series(answer: &FlowSeries) -> Vec<String> {
    let mut notes = of_answer(&answer.asked, &answer.coverage);
    if answer.rest.groups > 0 {
        notes.push(format!("{} more are not listed", count_of(answer.rest.groups, "group")));
    }
    notes
}

fn of_answer(asked: &Asked, coverage: &Coverage) -> Vec<String> {
    let Asked { from, to, filter, counters, .. } = asked;
    let filter = filter.as_ref().map(|filter| format!(", {}", printable(filter))).unwrap_or_default();
    let counters = match counters {
        Counters::Scaled => "counters are multiplied by the sampling rate",
        Counters::Sent => "counters are as they were sent",
    };
    let mut notes = vec![format!("received from {from} until before {to}{filter}; {counters}")];
    if let Some(read) = &coverage.read {
        let rows = count_of(read.rows, "flow record");
        notes.push(format!("read {rows} in {}", count_of(read.files, "file")));
    }
    // Of others than files, nothing else is known.
    let place = match &coverage.database {
        Some(_) => "the table in ClickHouse",
        None => "the archive",
    };
    if coverage.database.is_some() {
        notes.push(format!("read from {place}"));
    }
    if let Some(note) = super::super::future(from) {
        notes.push(note);
        return notes;
    }
    match &coverage.since {
        Some(since) if since > from => notes.push(format!("{place} begins with {since}")),
        Some(_) => {}
        None => notes.push(format!("{place} has no flows")),
    }
    if let Some(reaches) = coverage.reaches.as_ref().filter(|reaches| *reaches < to) {
        notes.push(format!("{place} reaches to {reaches}: later flows follow within seconds"));
    }
    notes.extend(coverage.missing.iter().map(|missing| {
        let amount = missing.amount.map(|amount| {
            let (segments, records) = (count_of(amount.segments, "segment"), count_of(amount.records, "record"));
            format!("{segments} of the log, {records}, ")
        });
        let (from, until, reason) = (&missing.from, &missing.until, printable(&missing.reason));
        format!("missing: {}received from {from} to {until}: {reason}", amount.unwrap_or_default())
    }));
    notes.extend(coverage.left_out.iter().map(|left_out| {
        let rows = match (left_out.first_row, left_out.rows) {
            (Some(first), Some(rows)) => format!(" ({} from row {first} on)", count_of(rows, "row")),
            _ => String::new(),
        };
        format!("missing: {}{rows}: {}", printable(&left_out.file), printable(&left_out.reason))
    }));
    notes
}
