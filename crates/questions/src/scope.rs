//! What all questions have in common: of which flows the answer is, and how their counters are read.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ::names::{AsNames, NoAsNames};
use accounting::zone::{Zone, duration};
use archive::scan::{Counted, Key};
use columns::Id;
use filter::Filter;
use flow::{Networks, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::QuestionError;
use crate::names::Namer;
use crate::words::Words;

/// The range of time by default: the last hour.
const DEFAULT_RANGE: Duration = Duration::from_secs(60 * 60);

/// Of which flows an answer is.
#[derive(Clone, Debug)]
pub struct Scope {
    /// When they were received: from a time until before another one, in whole milliseconds.
    pub received: Range<Timestamp>,
    /// The time zone of times in the question and in the answer.
    pub zone: Zone,
    /// What they match.
    pub filter: Filter,
    /// The exporters that reported them; `None` is all. Behind a relay, the exporters that its datagrams name.
    pub exporters: Option<Vec<IpAddr>>,
    /// How their counters are read.
    pub counters: Counters,
    /// Who knows the names of values, which are then beside the values; `None` for an answer without names.
    pub(crate) namer: Namer,
    /// The networks whose names it has.
    pub(crate) networks: Arc<Networks>,
    /// Whether the answer must not show how many flows of others there are.
    is_limited: bool,
    /// Whether answers about parts of the time are wanted while the rest is read: for those who answer.
    pub is_streamed: bool,
}

/// How counters are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = FlowCounters)]
pub enum Counters {
    /// Multiplied by the sampling rate: an estimate of the traffic.
    Scaled,
    /// As the exporter sent them.
    Sent,
}

/// The question as it was understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FlowsAsked)]
pub struct Asked {
    /// The earliest time at which flows were received.
    pub from: String,
    /// Flows received at this time or later are not in the answer.
    pub to: String,
    /// The time zone of all times.
    pub tz: String,
    /// The filter, in columns; null if there is none.
    pub filter: Option<String>,
    /// The exporters; null is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub exporter: Option<Vec<IpAddr>>,
    /// Whether bytes, packets and flows are multiplied by the sampling rate, or as they were sent.
    pub counters: Counters,
}

impl Counters {
    const WORDS: [(&'static str, Self); 2] = [("scaled", Self::Scaled), ("sent", Self::Sent)];

    pub(crate) fn counted(self) -> Counted {
        match self {
            Self::Scaled => Counted::SCALED,
            Self::Sent => Counted::AS_SENT,
        }
    }
}

impl Scope {
    /// The names of its words.
    pub(crate) const WORDS: [&'static str; 9] =
        ["filter", "exporter", "from", "to", "last", "tz", "counters", "names", "stream"];

    pub(crate) fn read(words: &Words<'_>, now: Timestamp) -> Result<Self, QuestionError> {
        let zone = words.text("tz").map_or(Ok(Zone::UTC), str::parse);
        let zone = zone.map_err(|error| QuestionError::new("tz", error))?;
        let read = |text| Filter::read(text, words.networks());
        let filter = words.text("filter").map_or_else(|| Ok(Filter::default()), read);
        let filter = filter.map_err(|error| QuestionError::at("filter", error.column, error.message))?;
        let mut exporters = Vec::new();
        for (column, text) in words.list("exporter") {
            let address = text.parse().map_err(|_| {
                let text: String = text.chars().take(32).collect();
                let message = format!("{text:?} is no address: use one such as 192.0.2.1, or several with commas");
                QuestionError::at("exporter", column, message)
            })?;
            exporters.push(flow::canonical(address));
        }
        Ok(Self {
            received: range(words, &zone, now)?,
            zone,
            filter,
            exporters: (!exporters.is_empty()).then_some(exporters),
            counters: words.one_of("counters", &Counters::WORDS)?.unwrap_or(Counters::Scaled),
            namer: words.flag("names")?.then(|| Arc::new(NoAsNames) as _),
            networks: Arc::clone(words.networks()),
            is_limited: false,
            is_streamed: words.flag("stream")?,
        })
    }

    /// If the answer has names, those of AS are from here.
    pub fn name_from(&mut self, of_as: impl FnOnce() -> Arc<dyn AsNames>) {
        self.namer = self.namer.take().map(|_| of_as());
    }

    /// Limits the answer to flows of these exporters, of which it may name others already. It does not show what was read.
    pub fn limit_to(&mut self, exporters: Vec<IpAddr>) {
        self.is_limited = true;
        match &mut self.exporters {
            Some(asked) => asked.retain(|exporter| exporters.contains(exporter)),
            None => self.exporters = Some(exporters),
        }
    }

    pub(crate) const fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// What all flows of the answer match.
    #[must_use]
    pub fn matched(&self) -> Filter {
        match &self.exporters {
            Some(exporters) => Filter::with_address(Id::Exporter, exporters.iter().copied()).and(self.filter.clone()),
            None => self.filter.clone(),
        }
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked {
            from: self.zone.display_time(self.received.start),
            to: self.zone.display_time(self.received.end),
            tz: self.zone.to_string(),
            filter: (!self.filter.is_empty()).then(|| self.filter.to_string()),
            exporter: self.exporters.clone(),
            counters: self.counters,
        }
    }
}

fn range(words: &Words<'_>, zone: &Zone, now: Timestamp) -> Result<Range<Timestamp>, QuestionError> {
    let time = |name| {
        let read = |text: &str| zone.time(text, now).map_err(|error| QuestionError::new(name, error));
        words.text(name).map(read).transpose()
    };
    let (from, to) = (time("from")?, time("to")?.unwrap_or(now));
    let from = match (from, words.text("last")) {
        (Some(_), Some(_)) => return Err(QuestionError::new("last", "and from exclude each other: give one of them")),
        (Some(from), None) => from,
        (None, Some(text)) => {
            let length = duration(text)
                .ok_or_else(|| QuestionError::new("last", "must be a duration such as 30s, 15m, 1h or 7d"))?;
            to.saturating_sub(length)
        }
        (None, None) => to.saturating_sub(DEFAULT_RANGE),
    };
    if from >= to {
        let to = zone.display_time(to);
        return Err(QuestionError::new("from", format_args!("must be before to, which is {to}")));
    }
    Ok(whole(from)..whole(to))
}

/// Rows have whole milliseconds: the first one at or after a time.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_milliseconds(time.nanoseconds().div_ceil(1_000_000))
}

/// A duration as steps of time have it, such as 5m.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    match format!("received/{}", text.trim()).parse() {
        Ok(Key::Step(_, milliseconds)) => Some(milliseconds),
        _ => None,
    }
}
