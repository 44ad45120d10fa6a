//! Groups of flows, the largest first, and the exact sum of the others.

use archive::scan::{Group, GroupQuestion, Key, Order, Sums};
use flow::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::coverage::Coverage;
use crate::error::{AnswerError, QuestionError};
use crate::names::{self, Names};
use crate::scope::{Asked, Scope};
use crate::source::FlowSource;
use crate::value::Record;
use crate::words::Words;

/// The groups by default, and at most.
const GROUPS: usize = 20;
const MOST_GROUPS: usize = 10_000;
/// By what flows are grouped by default.
const DEFAULT_KEY: Key = Key::Column(columns::Id::SrcIp);
/// The words for the order of groups.
pub(crate) const SUMS: [(&str, Order); 3] =
    [("bytes", Order::Bytes), ("packets", Order::Packets), ("flows", Order::Flows)];

/// Which groups are asked for.
#[derive(Clone, Debug)]
pub struct TopQuestion {
    /// Of which flows.
    pub scope: Scope,
    /// By what they are grouped.
    pub keys: Vec<Key>,
    /// Of what different values are counted.
    pub distinct: Vec<Key>,
    /// The order of the groups.
    pub order: Order,
    /// How many groups are returned at most.
    pub most: usize,
}

/// The largest groups of flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowTop {
    /// The question as it was understood.
    #[serde(flatten)]
    pub asked: Asked,
    /// By what flows are grouped. A length of IPv6 prefixes that was not given is there.
    pub by: Vec<String>,
    /// The sum that groups are sorted by.
    pub sum: String,
    /// Of what different values are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distinct: Vec<String>,
    /// The largest groups.
    pub rows: Vec<FlowGroup>,
    /// The others.
    pub rest: FlowRest,
    /// All groups.
    pub total: FlowSums,
    /// What was read, and what is missing.
    pub coverage: Coverage,
}

/// A group of flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowGroup {
    /// The values that its flows have in common.
    #[schema(value_type = std::collections::BTreeMap<String, crate::value::FlowValue>)]
    pub key: Record,
    /// What these values are called; only if asked for, and only those that have a name.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    pub names: Names,
    /// The sums of its flows.
    #[serde(flatten)]
    pub sums: FlowSums,
}

/// Groups that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowRest {
    /// How many.
    pub groups: u64,
    /// Their sums.
    #[serde(flatten)]
    pub sums: FlowSums,
}

/// Sums of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowSums {
    /// Records, also those without counters.
    pub records: u64,
    /// Bytes of both directions.
    pub bytes: u64,
    /// Packets of both directions.
    pub packets: u64,
    /// Flows.
    pub flows: u64,
    /// How many different values there are, if these are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// Present and true when one of them is 2^64 - 1, where sums end: it is a lower bound.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub saturated: bool,
}

impl TopQuestion {
    const WORDS: [&'static str; 4] = ["by", "sum", "distinct", "n"];

    /// Reads a question; `now` is the end of a range of time that has none.
    ///
    /// # Errors
    /// When a word is unknown, given twice, or cannot be understood.
    pub fn read(words: &Words<'_>, now: Timestamp) -> Result<Self, QuestionError> {
        words.only(&[&Scope::WORDS[..], &Self::WORDS].concat())?;
        let distinct = keys(words, "distinct")?;
        let orders = [&SUMS[..], &[("distinct", Order::Distinct)]].concat();
        let order = words.one_of("sum", &orders)?.unwrap_or(Order::Bytes);
        if order == Order::Distinct && distinct.is_empty() {
            return Err(QuestionError::new(
                "sum",
                "distinct needs the columns whose values are counted: add distinct=dstip",
            ));
        }
        let keys = keys(words, "by")?;
        Ok(Self {
            scope: Scope::read(words, now)?,
            keys: if keys.is_empty() { vec![DEFAULT_KEY] } else { keys },
            distinct,
            order,
            most: words.count("n", GROUPS, MOST_GROUPS)?,
        })
    }

    /// Answers it.
    ///
    /// # Errors
    /// When it does not fit into memory, was cancelled, or is about a time from which the archive has nothing any more.
    pub fn answer(&self, source: &dyn FlowSource) -> Result<FlowTop, AnswerError> {
        let Self { scope, keys, distinct, order, most } = self;
        let groups = source.groups(&GroupQuestion {
            received: scope.received.clone(),
            filter: scope.matched(),
            keys: keys.clone(),
            distinct: distinct.clone(),
            counted: scope.counters.counted(),
            order: *order,
            most: *most,
        })?;
        let of_group = |Group { keys, sums }: &Group| FlowGroup {
            key: Record::of_group(&self.keys, keys, &scope.zone),
            names: names::of_group(&scope.namer, &self.keys, keys, &scope.networks),
            sums: FlowSums { distinct: (!distinct.is_empty()).then_some(sums.distinct), ..(*sums).into() },
        };
        Ok(FlowTop {
            asked: scope.asked(),
            by: keys.iter().map(ToString::to_string).collect(),
            sum: name_of(*order).to_owned(),
            distinct: distinct.iter().map(ToString::to_string).collect(),
            rows: groups.first.iter().map(of_group).collect(),
            rest: FlowRest {
                groups: groups.groups.saturating_sub(groups.first.len() as u64),
                sums: groups.rest.into(),
            },
            total: groups.total().into(),
            coverage: Coverage::new(&groups.read, scope)?,
        })
    }
}

/// Without a number of different values: a value of two groups would count twice.
impl From<Sums> for FlowSums {
    fn from(Sums { rows, bytes, packets, flows, distinct: _ }: Sums) -> Self {
        let saturated = [rows, bytes, packets, flows].contains(&u64::MAX);
        Self { records: rows, bytes, packets, flows, distinct: None, saturated }
    }
}

/// The keys of a list.
pub(crate) fn keys(words: &Words<'_>, name: &str) -> Result<Vec<Key>, QuestionError> {
    let mut keys: Vec<Key> = Vec::new();
    for (column, text) in words.list(name) {
        let key = text.parse().map_err(|error| QuestionError::at(name, column, error))?;
        if keys.contains(&key) {
            return Err(QuestionError::at(name, column, format_args!("{key} is given twice")));
        }
        keys.push(key);
    }
    Ok(keys)
}

pub(crate) const fn name_of(order: Order) -> &'static str {
    match order {
        Order::Bytes => "bytes",
        Order::Packets => "packets",
        Order::Flows => "flows",
        Order::Distinct => "distinct",
        Order::Keys => "keys",
    }
}
