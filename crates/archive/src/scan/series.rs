//! Answers how groups of flows developed: the first groups of a range of time, each with its sums in every step of time.
//!
//! The files are read three times: for the first groups, for these in steps, and for all flows in steps. The difference of the
//! last two is the rest of each step. Memory is needed for one of the questions at a time, not for every group in every step.

use columns::{Id, Kind, Value};
use filter::Filter;
use flow::Timestamp;

use super::grouping::{GroupQuestion, Groups};
use super::key::Key;
use super::ranking::{Group, Order, Sums};
use super::work::LeftOutParts;
use super::{Scan, ScanError};

/// The groups of a series at most: a graph with more lines cannot be read.
pub const MOST_LINES: usize = 50;

/// How many times the files are read.
const READINGS: u64 = 3;

/// Groups of flows in steps of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The first groups, and the sums of the whole time.
    pub groups: Groups,
    /// The steps in which there are flows, the earliest first.
    pub steps: Vec<Step>,
}

/// A step of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub begin: Timestamp,
    /// The sums of the first groups, in their order.
    pub first: Vec<Sums>,
    /// The exact sums of all other groups.
    pub rest: Sums,
}

impl Scan<'_> {
    /// Groups flows, and divides the first groups into steps of time.
    ///
    /// # Errors
    /// As [`Self::groups`]; also for distinct values, which steps cannot have, and for more than [`MOST_LINES`] groups.
    pub fn series(&self, question: &GroupQuestion, time: Id, milliseconds: u64) -> Result<Series, ScanError> {
        if !question.distinct.is_empty() {
            return Err(ScanError::Invalid("different values are not counted in steps of time".to_owned()));
        }
        if question.most > MOST_LINES {
            return Err(ScanError::Invalid(format!("{} groups: a series has at most {MOST_LINES}", question.most)));
        }
        if time.column().kind != Kind::Time || milliseconds == 0 {
            return Err(ScanError::Invalid("steps are of a column of times, and at least a millisecond".to_owned()));
        }
        let step = Key::Step(time, milliseconds);
        let mut columns = question.columns();
        columns.add(time);
        let sources = self.sources(&question.received, columns)?;
        let left_out = LeftOutParts::default();
        loop {
            self.expect(&sources, READINGS);
            let groups = self.groups_in(question, &sources, &left_out)?;
            let known = left_out.count();
            let in_steps = GroupQuestion { order: Order::Keys, most: usize::MAX, ..question.clone() };
            let all = GroupQuestion { keys: vec![step], ..in_steps.clone() };
            let all = self.groups_in(&all, &sources, &left_out)?;
            let mut steps: Vec<Step> = all.first.iter().filter_map(|group| Step::of(group, &groups)).collect();
            if !groups.first.is_empty() {
                let keys = [&[step][..], &question.keys].concat();
                let filter = question.filter.clone().and(filter_of(&question.keys, &groups.first)?);
                let lines = self.groups_in(&GroupQuestion { keys, filter, ..in_steps }, &sources, &left_out)?;
                lines.first.iter().for_each(|line| add_line(line, &groups, &mut steps));
            }
            // All three have to be of the same files.
            if left_out.count() == known {
                return Ok(Series { groups, steps });
            }
        }
    }
}

impl Step {
    fn of(group: &Group, groups: &Groups) -> Option<Self> {
        let [Value::Time(begin)] = *group.keys.as_slice() else { return None };
        Some(Self { begin, first: vec![Sums::default(); groups.first.len()], rest: group.sums })
    }
}

/// Moves the sums of a group in a step from the rest to the group.
fn add_line(line: &Group, groups: &Groups, steps: &mut [Step]) {
    let Some((Value::Time(begin), keys)) = line.keys.split_first() else { return };
    let Ok(step) = steps.binary_search_by_key(begin, |step| step.begin) else { return };
    let Some(index) = groups.first.iter().position(|group| group.keys == keys) else { return };
    if let Some(step) = steps.get_mut(step)
        && let Some(sums) = step.first.get_mut(index)
    {
        *sums = line.sums;
        step.rest.subtract(line.sums);
    }
}

/// What the rows of these groups match, and no others.
fn filter_of(keys: &[Key], groups: &[Group]) -> Result<Filter, ScanError> {
    let conditions = |group: &Group| {
        let conditions: Vec<_> = keys.iter().zip(&group.keys).map(|(key, value)| condition(*key, value)).collect();
        if conditions.is_empty() { "any".to_owned() } else { conditions.join(" and ") }
    };
    let groups: Vec<_> = groups.iter().map(|group| format!("({})", conditions(group))).collect();
    let filter = groups.join(" or ").parse::<Filter>();
    filter.map_err(|error| ScanError::Invalid(format!("a series of fewer groups is possible: {error}")))
}

/// The filter for a key with a value.
fn condition(key: Key, value: &Value) -> String {
    // In filters, the names of these columns mean both directions.
    let word = match key.id() {
        Id::Bytes => "in bytes",
        Id::Packets => "in packets",
        id => id.column().name,
    };
    match (key, value) {
        (Key::Step(_, milliseconds), Value::Time(begin)) => {
            let begin = begin.milliseconds();
            format!("{word} {begin}-{}", begin.saturating_add(milliseconds - 1))
        }
        (Key::Prefix(_, v4, v6), Value::Address(address)) => {
            format!("{word} {address}/{}", if address.is_ipv4() { v4 } else { v6 })
        }
        (_, Value::Time(time)) => format!("{word} = {}", time.milliseconds()),
        (_, Value::Address(address)) => format!("{word} = {address}"),
        (_, Value::Number(number)) => format!("{word} = {number}"),
        (_, Value::Country(Some(country))) => format!("{word} = {country}"),
        (_, Value::Country(None) | Value::AsPath(None)) => format!("{word} = 0"),
        // The ASes of a set in this order are in other paths, too: these are other groups.
        (_, Value::AsPath(Some(path))) => {
            let ases: Vec<_> =
                path.split(|letter: char| !letter.is_ascii_digit()).filter(|asn| !asn.is_empty()).collect();
            format!("{word} = {}", ases.join("_"))
        }
        (_, Value::Mac([a, b, c, d, e, f])) => format!("{word} = {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"),
    }
}
