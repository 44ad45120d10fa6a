//! How groups of flows developed. First their sums, then those of the first groups and of all others in steps of time, in one
//! statement. Flows that are inserted between the two are in the steps only.

use archive::scan::{Group, GroupQuestion, MOST_LINES, ScanError, Series, Step, Sums};
use columns::{Id, Kind};
use flow::Timestamp;

use super::answer::{WideSums, number, unreadable};
use super::expressions::{bound, key, sums};
use super::parameters::Parameters;
use super::{TableScan, groups};

/// Groups flows, and divides the first groups into steps of time.
pub(super) fn answer(
    scan: &TableScan<'_>,
    question: &GroupQuestion,
    time: Id,
    milliseconds: u64,
) -> Result<Series, ScanError> {
    if !question.distinct.is_empty() || question.most > MOST_LINES {
        return Err(ScanError::Invalid(format!("a series has at most {MOST_LINES} groups, and no different values")));
    }
    if time.column().kind != Kind::Time || milliseconds == 0 {
        return Err(ScanError::Invalid("steps are of a column of times, and at least a millisecond".to_owned()));
    }
    let groups = groups::answer(scan, question)?;
    if groups.groups == 0 {
        return Ok(Series { groups, steps: Vec::new() });
    }
    let mut parameters = Parameters::default();
    let step = key(archive::scan::Key::Step(time, milliseconds), &mut parameters);
    let line = line_of(question, &groups.first, &mut parameters);
    let selected: Vec<_> = sums(question.counted).iter().map(|sum| format!("toString({sum})")).collect();
    let of_flows = scan.of_flows(&question.received, &question.filter, &mut parameters);
    let sql = format!(
        "SELECT toString({step}), toString({line}), {}, '0' {of_flows} GROUP BY {step}, {line} ORDER BY {step}, {line}",
        selected.join(", ")
    );
    let found = scan.ask(&sql, &parameters)?;
    let mut steps: Vec<Step> = Vec::new();
    for texts in &found.data {
        let [begin, line, sums @ ..] = texts.as_slice() else { return Err(unreadable("it has other columns")) };
        let (begin, line) = (Timestamp::from_milliseconds(number(begin)?), number(line)?);
        let sums = Sums::from(WideSums::read(sums)?);
        if steps.last().is_none_or(|step| step.begin != begin) {
            steps.push(Step { begin, first: vec![Sums::default(); groups.first.len()], rest: Sums::default() });
        }
        let step = steps.last_mut();
        let of_line = step.and_then(|step| match usize::try_from(line).ok()?.checked_sub(1) {
            None => Some(&mut step.rest),
            Some(index) => step.first.get_mut(index),
        });
        *of_line.ok_or_else(|| unreadable("it has other groups"))? = sums;
    }
    steps.iter_mut().for_each(end_at_the_largest);
    Ok(Series { groups, steps })
}

/// The archive has the rest from the sum of all, which ends at 64 bits: less is left of one that does.
fn end_at_the_largest(step: &mut Step) {
    step.first.iter().for_each(|sums| step.rest.add(*sums));
    step.first.iter().for_each(|sums| step.rest.subtract(*sums));
}

/// The number of the group that a flow is in, from 1; 0 if it is in another one.
fn line_of(question: &GroupQuestion, groups: &[Group], parameters: &mut Parameters) -> String {
    let keys: Vec<_> = question.keys.iter().map(|it| key(*it, parameters)).collect();
    let mut cases = String::new();
    for (group, number) in groups.iter().zip(1..) {
        let same = keys.iter().zip(&group.keys).map(|(key, value)| format!("{key} = {}", bound(value, parameters)));
        let same: Vec<_> = same.collect();
        let condition = if same.is_empty() { "1".to_owned() } else { same.join(" AND ") };
        cases.push_str(&format!("{condition}, {number}, "));
    }
    if cases.is_empty() { "toUInt8(0)".to_owned() } else { format!("multiIf({cases}0)") }
}
