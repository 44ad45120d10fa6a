//! Which groups of flows there were: one statement, whose totals are those of all groups.

use archive::scan::{Group, GroupQuestion, Groups, Key, Order, ScanError, Sums};
use columns::Value;

use super::answer::{self, Table, WideSums};
use super::expressions::{amount, key, order_of, sums};
use super::parameters::Parameters;
use super::{TableScan, answer::unreadable};

/// Groups flows.
pub(super) fn answer(scan: &TableScan<'_>, question: &GroupQuestion) -> Result<Groups, ScanError> {
    if question.order == Order::Distinct && question.distinct.is_empty() {
        return Err(ScanError::Invalid("the order is that of distinct values, but none are counted".to_owned()));
    }
    let mut parameters = Parameters::default();
    let sql = statement(scan, question, &mut parameters);
    let found = scan.ask(&sql, &parameters)?;
    let (groups, listed) = listed(&question.keys, &found)?;
    let (count, total) = if question.keys.is_empty() {
        // All flows are one group.
        (groups.len() as u64, listed)
    } else if groups.is_empty() && question.most > 0 {
        (0, listed)
    } else {
        let count = found.rows_before_limit_at_least.ok_or_else(|| unreadable("it has no number of groups"))?;
        let totals = found.totals.get(question.keys.len()..).unwrap_or_default();
        (count, WideSums::read(totals)?)
    };
    let rest: Sums = total.without(listed).into();
    let matched = Sums::from(total).rows;
    Ok(Groups { first: groups, rest, groups: count, passes: 1, read: scan.read(found.rows_read(), matched)? })
}

fn statement(scan: &TableScan<'_>, question: &GroupQuestion, parameters: &mut Parameters) -> String {
    let GroupQuestion { received, filter, keys, distinct, counted, order, most } = question;
    let grouped: Vec<_> = keys.iter().map(|it| key(*it, parameters)).collect();
    let different: Vec<_> = distinct.iter().map(|it| key(*it, parameters)).collect();
    let different = if different.is_empty() { "0".to_owned() } else { format!("uniqExact({})", different.join(", ")) };
    let sums = sums(*counted);
    let selected = grouped.iter().chain(&sums).chain([&different]);
    let selected: Vec<_> = selected.map(|expression| format!("toString({expression})")).collect();
    let of_flows = scan.of_flows(received, filter, parameters);
    let begin = format!("SELECT {} {of_flows}", selected.join(", "));
    if keys.is_empty() {
        // Of no flows, there is no group.
        return format!("{begin} GROUP BY tuple()");
    }
    let first = amount(*order, &sums, &different).map(|amount| format!("{amount} DESC"));
    let by_keys = keys.iter().zip(&grouped).map(|(key, expression)| order_of(*key, expression));
    let sorted: Vec<_> = first.into_iter().chain(by_keys).collect();
    let limit = parameters.bind("UInt64", most);
    format!("{begin} GROUP BY {} WITH TOTALS ORDER BY {} LIMIT {limit}", grouped.join(", "), sorted.join(", "))
}

/// The groups of an answer, and their sum.
fn listed(keys: &[Key], found: &Table) -> Result<(Vec<Group>, WideSums), ScanError> {
    let mut sum = WideSums::default();
    let mut groups = Vec::with_capacity(found.data.len());
    for texts in &found.data {
        let (values, sums) = texts.split_at_checked(keys.len()).ok_or_else(|| unreadable("it has other columns"))?;
        let sums = WideSums::read(sums)?;
        sum = sum.with(sums);
        groups.push(Group { keys: values_of(keys, values)?, sums: sums.into() });
    }
    Ok((groups, sum))
}

/// The values of keys.
fn values_of(keys: &[Key], texts: &[String]) -> Result<Vec<Value>, ScanError> {
    keys.iter().zip(texts).map(|(key, text)| answer::value(key.id(), text)).collect()
}
