//! Flows one by one, some at a time.

use std::borrow::Cow;

use archive::scan::{MOST_ROWS, Place, RowQuestion, Rows};
use columns::{Columns, Id, Row, Value as Stored};
use flow::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::coverage::Coverage;
use crate::error::{AnswerError, QuestionError};
use crate::names::{self, Names};
use crate::scope::{Asked, Counters, Scope};
use crate::source::FlowSource;
use crate::value::{Record, Value};
use crate::words::Words;

/// The rows of an answer by default.
const ROWS: usize = 100;
/// The columns of rows by default.
const DEFAULT_COLUMNS: [Id; 16] = [
    Id::Received,
    Id::Exporter,
    Id::SrcIp,
    Id::SrcPort,
    Id::DstIp,
    Id::DstPort,
    Id::Proto,
    Id::TcpFlags,
    Id::InIf,
    Id::OutIf,
    Id::Bytes,
    Id::Packets,
    Id::RevBytes,
    Id::RevPackets,
    Id::Start,
    Id::End,
];

/// Which flows are asked for.
#[derive(Clone, Debug)]
pub struct RowsQuestion {
    /// Of which flows.
    pub scope: Scope,
    /// The columns, in their order.
    pub columns: Vec<Id>,
    /// Which come first.
    pub order: RowOrder,
    /// How many are returned at most.
    pub most: usize,
    /// The last one of the answer before.
    pub after: Option<Place>,
}

/// Which rows come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = FlowOrder)]
pub enum RowOrder {
    /// Those received last.
    Newest,
    /// Those received first.
    Oldest,
}

/// Flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowRows {
    /// The question as it was understood.
    #[serde(flatten)]
    pub asked: Asked,
    /// Which come first.
    pub order: RowOrder,
    /// The columns of the rows.
    pub columns: Vec<String>,
    /// The flows: an object each, by column.
    pub rows: Vec<FlowRow>,
    /// The cursor with which the same question continues; null if there are no more rows.
    pub next: Option<String>,
    /// What was read, and what is missing.
    pub coverage: Coverage,
}

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowRow {
    /// Its values, by column.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, crate::value::FlowValue>)]
    pub values: Record,
    /// What these are called; only if asked for, and only those that have a name.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    pub names: Names,
}

impl RowsQuestion {
    const WORDS: [&'static str; 4] = ["columns", "order", "n", "cursor"];

    /// Reads a question; `now` is the end of a range of time that has none.
    ///
    /// # Errors
    /// When a word is unknown, given twice, or cannot be understood.
    pub fn read(words: &Words<'_>, now: Timestamp) -> Result<Self, QuestionError> {
        words.only(&[&Scope::WORDS[..], &Self::WORDS].concat())?;
        let orders = [("newest", RowOrder::Newest), ("oldest", RowOrder::Oldest)];
        let mut question = Self {
            scope: Scope::read(words, now)?,
            columns: columns(words)?,
            order: words.one_of("order", &orders)?.unwrap_or(RowOrder::Newest),
            most: words.count("n", ROWS, MOST_ROWS)?,
            after: None,
        };
        if let Some(text) = words.text("cursor") {
            question.continue_after(text)?;
        }
        Ok(question)
    }

    /// A cursor has the range of time of the first question: `now` was another one then.
    fn continue_after(&mut self, cursor: &str) -> Result<(), QuestionError> {
        let read = || {
            let (from, rest) = cursor.split_once('-')?;
            let (to, place) = rest.split_once('-')?;
            let time = |text: &str| text.parse().ok().map(Timestamp::from_milliseconds);
            let (from, to, place) = (time(from)?, time(to)?, place.parse::<Place>().ok()?);
            (from..to).contains(&Timestamp::from_milliseconds(place.received)).then_some((from..to, place))
        };
        let (received, place) = read()
            .ok_or_else(|| QuestionError::new("cursor", "is none: pass on the text of next of the answer before"))?;
        (self.scope.received, self.after) = (received, Some(place));
        Ok(())
    }

    fn cursor(&self, place: &Place) -> String {
        let received = &self.scope.received;
        format!("{}-{}-{place}", received.start.milliseconds(), received.end.milliseconds())
    }

    /// Answers it.
    ///
    /// # Errors
    /// When it does not fit into memory, was cancelled, or is about a time from which the archive has nothing any more.
    pub fn answer(&self, source: &dyn FlowSource) -> Result<FlowRows, AnswerError> {
        let scope = &self.scope;
        let mut columns = Columns::NONE;
        self.columns.iter().for_each(|id| columns.add(*id));
        if scope.counters == Counters::Scaled {
            self.columns.iter().filter_map(|id| rate_of(*id)).for_each(|rate| columns.add(rate));
        }
        if scope.namer.is_some() {
            // The name of a port depends on the protocol, which may not be asked for.
            self.columns.iter().filter_map(|id| id.protocol_of_port()).for_each(|protocol| columns.add(protocol));
        }
        let Rows { rows, next, read } = source.rows(&RowQuestion {
            received: scope.received.clone(),
            filter: scope.matched(),
            is_newest_first: self.order == RowOrder::Newest,
            after: self.after,
            most: self.most,
            columns,
        })?;
        Ok(FlowRows {
            asked: scope.asked(),
            order: self.order,
            columns: self.columns.iter().map(|id| id.column().name.to_owned()).collect(),
            rows: rows.iter().map(|(_, row)| self.record(row)).collect(),
            next: next.map(|place| self.cursor(&place)),
            coverage: Coverage::new(&read, scope)?,
        })
    }

    fn record(&self, row: &Row) -> FlowRow {
        let value = |id: &Id| {
            let value = match (row.value(*id), rate_of(*id)) {
                (Stored::Number(number), Some(rate)) if self.scope.counters == Counters::Scaled => {
                    // A rate of 0 is an unknown one.
                    Value::Number(number.saturating_mul(row.number(rate).max(1)))
                }
                (value, _) => Value::new(value, &self.scope.zone),
            };
            (Cow::Borrowed(id.column().name), value)
        };
        FlowRow {
            values: Record(self.columns.iter().map(value).collect()),
            names: names::of_row(&self.scope.namer, &self.columns, |id| row.value(id), &self.scope.networks),
        }
    }
}

/// The column by which a counter is multiplied.
const fn rate_of(id: Id) -> Option<Id> {
    match id {
        Id::Bytes | Id::Packets | Id::RevBytes | Id::RevPackets => Some(Id::Rate),
        Id::Flows => Some(Id::FlowRate),
        _ => None,
    }
}

fn columns(words: &Words<'_>) -> Result<Vec<Id>, QuestionError> {
    if words.text("columns").is_some_and(|text| text.trim() == "all") {
        return Ok(Id::ALL.to_vec());
    }
    let mut columns = Vec::new();
    for (column, id) in words.columns("columns")? {
        if columns.contains(&id) {
            return Err(QuestionError::at("columns", column, format_args!("{} is given twice", id.column().name)));
        }
        columns.push(id);
    }
    Ok(if columns.is_empty() { DEFAULT_COLUMNS.to_vec() } else { columns })
}
