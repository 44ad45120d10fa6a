//! The values of a field over time: for people a line for each, for programs a row for each step.

use serde_json::{Value, json};

use super::super::rates::Measured;
use super::super::{Naming, counters, named, number, text, value_name};
use super::directions;
use crate::table::{Cell, Table, duration, sparkline};

/// What a point has in a direction, of the values, of all others, and in total.
const REST: &str = "rest";
const OTHER: &str = "other";
const TOTAL: &str = "total";

/// For people: the mean rates and sums of each value, and how it changes. They add up to the total, also as they are rounded.
pub(super) fn table(answer: &Value, measured: Measured) -> Table {
    let points = answer["points"].as_array().into_iter().flatten();
    // A mean of the steps that were counted.
    let seconds =
        points.filter(|point| !point["counters"].is_null()).map(|point| number(&point["seconds"])).sum::<u64>();
    let mean = format!("mean over {}", duration(seconds));
    let over_time = format!("{} over time", measured.unit(1).name);
    let mut table =
        Table::new(&["name", "direction", mean.as_str(), "share", "bytes", "pkts", "flows", over_time.as_str()]);
    let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    for direction in directions(answer) {
        let first = table.len();
        let listed = rows.iter().enumerate().map(|(row, of)| (named(of), Part::Row(row)));
        let others = [("all others".to_owned(), Part::Key(REST)), (OTHER.to_owned(), Part::Key(OTHER))];
        for (name, part) in listed.chain(others).chain([(TOTAL.to_owned(), Part::Total)]) {
            let (sums, chart) = sums_and_chart(answer, direction, part, measured);
            let [bytes, packets, flows] = sums;
            // Of what is not there, no line; but of the total.
            if sums.iter().all(|sum| *sum == 0) && part != Part::Total {
                continue;
            }
            let of = json!({ "bytes": bytes, "pkts": packets, "flows": flows });
            let rate = [measured.cell(&of, seconds), Cell::Share(number(&of[measured.key()]))];
            let names = [Cell::Text(name), Cell::Text(direction.to_owned())];
            let chart = Cell::Text(sparkline(&chart));
            table.push(names.into_iter().chain(rate).chain(counters(&of)).chain([chart]).collect());
        }
        table.add_up(first);
    }
    table
}

/// For programs: the counters of each value in each step, with all others and those without a value.
pub(super) fn rows(answer: &Value, naming: Naming, rates: Option<Measured>) -> Table {
    let headings = ["start", "direction", "name", "value_name", "bytes", "pkts", "flows"];
    let has_heading = |heading: &&str| naming.names || *heading != "value_name";
    let headings = headings.into_iter().filter(has_heading).chain(rates.map(Measured::heading));
    let mut table = Table::new(&headings.collect::<Vec<_>>());
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
                let rate = rates.map(|measured| measured.cell(counted, number(&point["seconds"])));
                table.push(first.into_iter().chain(called).chain(counters(counted)).chain(rate).collect());
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

/// The sums of a part in a direction, and what is measured over time.
fn sums_and_chart(answer: &Value, direction: &str, part: Part, measured: Measured) -> ([u64; 3], Vec<Option<u64>>) {
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
            of[measured.key()].as_u64()
        })
        .collect();
    let together = chart.chunks(points.len().div_ceil(LONGEST_CHART).max(1));
    let sum = |some: &[Option<u64>]| some.iter().flatten().copied().reduce(u64::saturating_add);
    (sums, together.map(sum).collect())
}
