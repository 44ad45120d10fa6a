//! The largest groups of flows in steps of time.

use archive::scan::{Group, GroupQuestion, Key, MOST_LINES, Order, Step};
use columns::Id;
use flow::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::coverage::Coverage;
use crate::error::{AnswerError, QuestionError};
use crate::names;
use crate::scope::{Asked, Scope, milliseconds};
use crate::source::FlowSource;
use crate::top::{FlowGroup, FlowRest, FlowSums, SUMS, keys, name_of};
use crate::value::Record;
use crate::words::Words;

/// The groups by default.
const LINES: usize = 10;
/// The steps of an answer at most: a week of minutes.
const MOST_STEPS: u64 = 7 * 24 * 60;
/// The length of a step by default.
const DEFAULT_STEP: u64 = 5 * 60 * 1000;

/// Which groups are asked for in steps of time.
#[derive(Clone, Debug)]
pub struct SeriesQuestion {
    /// Of which flows.
    pub scope: Scope,
    /// By what they are grouped; without keys, all are one group.
    pub keys: Vec<Key>,
    /// The order of the groups.
    pub order: Order,
    /// How many groups are returned at most.
    pub most: usize,
    /// The length of a step in milliseconds. Steps begin at multiples of it since 1970, UTC.
    pub every: u64,
}

/// The largest groups of flows in steps of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowSeries {
    /// The question as it was understood.
    #[serde(flatten)]
    pub asked: Asked,
    /// By what flows are grouped. A length of IPv6 prefixes that was not given is there.
    pub by: Vec<String>,
    /// The sum that groups are sorted by.
    pub sum: String,
    /// The length of a step.
    pub every: String,
    /// The largest groups of the whole time.
    pub rows: Vec<FlowGroup>,
    /// The others.
    pub rest: FlowRest,
    /// All groups.
    pub total: FlowSums,
    /// The steps in which there were flows, the earliest first.
    pub steps: Vec<FlowStep>,
    /// What was read, and what is missing.
    pub coverage: Coverage,
}

/// A step of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowStep {
    /// When it begins.
    pub start: String,
    /// The sums of each of the largest groups, in the order of `rows`.
    pub rows: Vec<FlowSums>,
    /// The sums of the others.
    pub rest: FlowSums,
}

impl SeriesQuestion {
    const WORDS: [&'static str; 4] = ["by", "sum", "n", "every"];

    /// Reads a question; `now` is the end of a range of time that has none.
    ///
    /// # Errors
    /// When a word is unknown, given twice, or cannot be understood.
    pub fn read(words: &Words<'_>, now: Timestamp) -> Result<Self, QuestionError> {
        words.only(&[&Scope::WORDS[..], &Self::WORDS].concat())?;
        let scope = Scope::read(words, now)?;
        Ok(Self {
            every: every(words, &scope)?,
            scope,
            keys: keys(words, "by")?,
            order: words.one_of("sum", &SUMS)?.unwrap_or(Order::Bytes),
            most: words.count("n", LINES, MOST_LINES)?,
        })
    }

    /// Answers it.
    ///
    /// # Errors
    /// When it does not fit into memory, was cancelled, or is about a time from which the archive has nothing any more.
    pub fn answer(&self, source: &dyn FlowSource) -> Result<FlowSeries, AnswerError> {
        let Self { scope, keys, order, most, every } = self;
        let question = GroupQuestion {
            received: scope.received.clone(),
            filter: scope.matched(),
            keys: keys.clone(),
            distinct: Vec::new(),
            counted: scope.counters.counted(),
            order: *order,
            most: *most,
        };
        let series = source.series(&question, Id::Received, *every)?;
        let groups = series.groups;
        let of_group = |group: &Group| FlowGroup {
            key: Record::of_group(keys, &group.keys, &scope.zone),
            names: names::of_group(&scope.namer, keys, &group.keys, &scope.networks),
            sums: group.sums.into(),
        };
        let of_step = |Step { begin, first, rest }: &Step| FlowStep {
            start: scope.zone.display_time(*begin),
            rows: first.iter().map(|sums| (*sums).into()).collect(),
            rest: (*rest).into(),
        };
        Ok(FlowSeries {
            asked: scope.asked(),
            by: keys.iter().map(ToString::to_string).collect(),
            sum: name_of(*order).to_owned(),
            every: length(*every),
            rows: groups.first.iter().map(of_group).collect(),
            rest: FlowRest {
                groups: groups.groups.saturating_sub(groups.first.len() as u64),
                sums: groups.rest.into(),
            },
            total: groups.total().into(),
            steps: series.steps.iter().map(of_step).collect(),
            coverage: Coverage::new(&groups.read, scope)?,
        })
    }
}

fn every(words: &Words<'_>, scope: &Scope) -> Result<u64, QuestionError> {
    let range = scope.received.end.milliseconds() - scope.received.start.milliseconds();
    let every = match words.text("every") {
        Some(text) => milliseconds(text)
            .ok_or_else(|| QuestionError::new("every", "must be the length of a step such as 30s, 5m, 1h or 1d"))?,
        None => DEFAULT_STEP,
    };
    if range / every <= MOST_STEPS {
        return Ok(every);
    }
    let longer = length(range.div_ceil(MOST_STEPS).div_ceil(60_000) * 60_000);
    let message = format!("at most {MOST_STEPS} steps fit into an answer: ask for every={longer}, or a shorter time");
    Err(QuestionError::new("every", message))
}

/// The length of a step as it is written.
fn length(milliseconds: u64) -> String {
    let key = Key::Step(Id::Received, milliseconds).to_string();
    key.split_once('/').map(|(_, length)| length.to_owned()).unwrap_or_default()
}
