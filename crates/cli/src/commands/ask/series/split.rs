//! The values of a field over time: for people a line for each, for programs a row for each step.

use serde_json::Value;

use super::super::{Naming, counters, named, number, text, value_name};
use super::directions;
use crate::table::{Cell, Table, sparkline};

/// What a point has in a direction, of the values, of all others, and in total.
const REST: &str = "rest";
const OTHER: &str = "other";
const TOTAL: &str = "total";

/// For people: the sums of each value, and how it changes. They add up to the total.
pub(super) fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["name", "direction", "bytes", "pkts", "flows", "bytes over time"]);
    let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    for direction in directions(answer) {
        let listed = rows.iter().enumerate().map(|(row, of)| (named(of), Part::Row(row)));
        let others = [("all others".to_owned(), Part::Key(REST)), (OTHER.to_owned(), Part::Key(OTHER))];
        for (name, part) in listed.chain(others).chain([(TOTAL.to_owned(), Part::Total)]) {
            let (sums, chart) = over_time(answer, direction, part);
            // Of what is not there, no line; but of the total.
            if sums.iter().all(|sum| *sum == 0) && part != Part::Total {
                continue;
            }
            let [bytes, packets, flows] = sums;
            let cells = [Cell::Bytes(bytes), Cell::Count(packets), Cell::Count(flows), Cell::Text(sparkline(&chart))];
            table.push([Cell::Text(name), Cell::Text(direction.to_owned())].into_iter().chain(cells).collect());
        }
    }
    table
}

/// For programs: the counters of each value in each step, with all others and those without a value.
pub(super) fn rows(answer: &Value, naming: Naming) -> Table {
    let headings = ["start", "direction", "name", "value_name", "bytes", "pkts", "flows"];
    let has_heading = |heading: &&str| naming.names || *heading != "value_name";
    let mut table = Table::new(&headings.into_iter().filter(has_heading).collect::<Vec<_>>());
    let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let directions = directions(answer);
    for point in answer["points"].as_array().into_iter().flatten().filter(|point| !point["counters"].is_null()) {
        for direction in &directions {
            let of = &point["counters"][direction];
            let listed = rows.iter().enumerate().map(|(row, value)| (text(&value["name"]), value_name(value), row));
            let listed = listed.map(|(name, called, row)| (name, called, &of["rows"][row]));
            let others = [REST, OTHER].map(|key| (key.to_owned(), None, &of[key]));
            for (name, called, counted) in listed.chain(others) {
                let called = naming.names.then(|| Cell::Text(called.unwrap_or_default().to_owned()));
                let first = [text(&point["start"]), (*direction).to_owned(), name].map(Cell::Text);
                table.push(first.into_iter().chain(called).chain(counters(counted)).collect());
            }
        }
    }
    table
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Row(usize),
    Key(&'static str),
    Total,
}

/// The characters of a chart at most; each is then the sum of several steps.
const LONGEST_CHART: usize = 72;

/// The sums of a part in a direction, and its bytes over time.
fn over_time(answer: &Value, direction: &str, part: Part) -> ([u64; 3], Vec<Option<u64>>) {
    let mut sums = [0_u64; 3];
    let points = answer["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let chart: Vec<Option<u64>> = points
        .iter()
        .map(|point| {
            let of = &point["counters"][direction];
            let of = match part {
                Part::Row(row) => &of["rows"][row],
                Part::Key(key) => &of[key],
                Part::Total => of,
            };
            for (sum, key) in sums.iter_mut().zip(["bytes", "pkts", "flows"]) {
                *sum = sum.saturating_add(number(&of[key]));
            }
            of["bytes"].as_u64()
        })
        .collect();
    let together = chart.chunks(points.len().div_ceil(LONGEST_CHART).max(1));
    let sum = |some: &[Option<u64>]| some.iter().flatten().copied().reduce(u64::saturating_add);
    (sums, together.map(sum).collect())
}
