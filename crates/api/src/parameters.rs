//! Strict reading of queries: a parameter that is unknown, duplicate or invalid is refused with its name and what is
//! expected. An empty one counts as absent. `documentation` describes those that several routes share.

pub(crate) mod documentation;

use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use accounting::direction::Direction;
use accounting::period::Minute;
use accounting::presence;
use accounting::range::Range;
use accounting::zone::{Zone, ZoneError, duration};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use flow::{Counters, Networks, Prefix, PrefixSelection, Timestamp};
use questions::Words;
use tap::Filter;

use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::json::{JsonPath, Quoted, nearest, unknown_key};
use crate::subject::Prefixes;

/// The parameters of a query.
pub(crate) struct Parameters {
    texts: Vec<(String, String)>,
    /// The networks whose words the query may have, and whose names the answer may have: none for a key that is limited to
    /// some senders.
    networks: Arc<Networks>,
}

/// The counter to sort by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    Bytes,
    Packets,
    Flows,
}

const MEASURES: [(&str, Measure); 3] =
    [("bytes", Measure::Bytes), ("pkts", Measure::Packets), ("flows", Measure::Flows)];

/// Those of every request: the credentials (`auth`).
const CREDENTIALS: [&str; 3] = ["auth", "sign", "payload"];

impl FromRequestParts<Api> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Error::BadRequest("the query of the path is not valid URL encoding".into()))?;
        let is_limited = parts.extensions.get::<KeySenders>().is_some();
        Ok(Self { texts: query.0, networks: if is_limited { Arc::default() } else { api.known_networks() } })
    }
}

impl Parameters {
    /// Refuses all parameters but these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Error> {
        for (index, (name, _)) in self.texts.iter().enumerate() {
            if CREDENTIALS.contains(&name.as_str()) {
                continue;
            }
            if !known.contains(&name.as_str()) {
                return Err(unknown_key(JsonPath::Root, name, known));
            }
            if self.texts.iter().take(index).any(|(other, _)| other == name) {
                return Err(problem(name, "is given twice"));
            }
        }
        Ok(())
    }

    /// Refuses all parameters but these, and `sender`.
    pub(crate) fn only_of_senders(&self, known: &[&str]) -> Result<(), Error> {
        let known: Vec<&str> = ["sender"].into_iter().chain(known.iter().copied()).collect();
        self.only(&known)
    }

    /// The words of a question about flows: all but the credentials.
    pub(crate) fn words(&self) -> Words<'_> {
        let words = self.texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        words.filter(|(name, _)| !CREDENTIALS.contains(name)).collect::<Words<'_>>().knowing(&self.networks)
    }

    /// The filter of a tap.
    pub(crate) fn filter(&self) -> Result<Filter, Error> {
        let read = |text| Filter::read(text, &self.networks).map_err(|error| problem("filter", error));
        self.text("filter").map_or_else(|| Ok(Filter::default()), read)
    }

    /// The networks whose names the answer may have.
    pub(crate) fn networks(&self) -> &Arc<Networks> {
        &self.networks
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value.as_str()))
    }

    /// A parameter of any type whose error describes what is wrong with a text.
    pub(crate) fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Error> {
        self.text(name).map(|text| text.parse().map_err(|error| problem(name, error))).transpose()
    }

    /// The prefix, which is required and can be monitored.
    pub(crate) fn prefix(&self) -> Result<Prefix, Error> {
        let prefix = self.read("prefix")?;
        let prefix = prefix.ok_or_else(|| problem("prefix", "is missing: add prefix=172.16.1.0/24 to the query"))?;
        monitorable(prefix, JsonPath::Key(&JsonPath::Root, "prefix"))
    }

    /// The prefixes, which are required.
    pub(crate) fn prefixes(&self) -> Result<Prefixes, Error> {
        let missing = || problem("prefix", "is missing: add prefix=172.16.1.0/24 to the query, or prefix=all");
        let selection: PrefixSelection = self.read("prefix")?.ok_or_else(missing)?;
        if let Some(prefix) = selection.single() {
            monitorable(prefix, JsonPath::Key(&JsonPath::Root, "prefix"))?;
        }
        Prefixes::of(selection, &self.networks)
    }

    /// One of several words; `None` when it is absent.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find_map(|(word, meaning)| (*word == text).then_some(*meaning));
        found.map(Some).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            problem(name, format_args!("must be one of {}, not {}", words.join(", "), Quoted(text)))
        })
    }

    /// The direction; `None` when it is absent.
    pub(crate) fn direction(&self) -> Result<Option<Direction>, Error> {
        self.one_of("direction", &Direction::ALL.map(|direction| (direction.name(), direction)))
    }

    /// Several directions with commas, each once, in their usual order; all when it is absent.
    pub(crate) fn directions(&self) -> Result<Vec<Direction>, Error> {
        let Some(text) = self.text("direction") else { return Ok(Direction::ALL.to_vec()) };
        let words: Vec<&str> = text.split(',').collect();
        if let Some(wrong) = words.iter().find(|word| Direction::ALL.iter().all(|known| known.name() != **word)) {
            let known = Direction::ALL.map(Direction::name).join(", ");
            let message = format_args!("must be one of {known}, or several with commas, not {}", Quoted(wrong));
            return Err(problem("direction", message));
        }
        Ok(Direction::ALL.into_iter().filter(|known| words.contains(&known.name())).collect())
    }

    /// The counter to sort by, with its word; bytes when it is absent.
    pub(crate) fn measure(&self, name: &str) -> Result<(&'static str, Measure), Error> {
        let [bytes, ..] = MEASURES;
        Ok(self.one_of(name, &MEASURES.map(|(word, measure)| (word, (word, measure))))?.unwrap_or(bytes))
    }

    /// A whole number from 1 to a limit; `default` when it is absent.
    pub(crate) fn count(&self, name: &str, default: usize, limit: usize) -> Result<usize, Error> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=limit).contains(number));
        number.ok_or_else(|| {
            problem(name, format_args!("must be a whole number from 1 to {limit}, not {}", Quoted(text)))
        })
    }

    /// The time zone of dates; UTC when it is absent.
    pub(crate) fn zone(&self) -> Result<Zone, Error> {
        let Some(text) = self.text("tz") else { return Ok(Zone::UTC) };
        text.parse().map_err(|error: ZoneError| match nearest(text, Zone::names()) {
            Some(name) => problem("tz", format_args!("{error}; did you mean {name}?")),
            None => problem("tz", error),
        })
    }

    /// `from`, or `last` before `to`, and `to`, in a zone: whole minutes that contain all of that time. The default of `to` is
    /// now, that of `from` is `default_minutes` before the end.
    pub(crate) fn range(&self, default_minutes: u32, zone: &Zone) -> Result<Range, Error> {
        let at = Timestamp::from(SystemTime::now());
        let read = |name, text| zone.moment(text, at).map_err(|error| problem(name, error));
        let from = self.text("from").map(|text| read("from", text)).transpose()?;
        let (last, rest) = read("to", self.text("to").unwrap_or("now"))?;
        let to = last.saturating_add(u32::from(!rest.is_zero()));
        let from = match (from, self.text("last")) {
            (Some(_), Some(_)) => return Err(problem("last", "and from exclude each other: give one of them")),
            (Some((from, _)), None) => from,
            (None, Some(text)) => last.saturating_sub(whole_minutes(text)?),
            (None, None) => to.saturating_sub(default_minutes),
        };
        if from >= to {
            let future = if from > Minute::of(at) { " (it is in the future)" } else { "" };
            return Err(problem("from", format_args!("must be before to, which is {}{future}", zone.display(to))));
        }
        Ok(Range { from, to })
    }
}

/// The minutes of a length of time, rounded up.
fn whole_minutes(text: &str) -> Result<u32, Error> {
    let length = duration(text).ok_or_else(|| problem("last", "must be a length of time such as 15m, 1h or 7d"))?;
    Ok(u32::try_from(length.as_secs().div_ceil(60)).unwrap_or(u32::MAX))
}

impl Measure {
    /// The words for them.
    pub(crate) fn words() -> [&'static str; 3] {
        MEASURES.map(|(word, _)| word)
    }

    pub(crate) fn of(self, counters: &Counters) -> u64 {
        match self {
            Self::Bytes => counters.bytes,
            Self::Packets => counters.packets,
            Self::Flows => counters.flows,
        }
    }
}

/// The current minute.
pub(crate) fn now() -> Minute {
    Minute::of(SystemTime::now().into())
}

/// Refuses the prefix under which presence is stored.
pub(crate) fn monitorable(prefix: Prefix, place: JsonPath<'_>) -> Result<Prefix, Error> {
    if prefix == presence::PREFIX {
        return Err(place.problem(format_args!("{prefix} cannot be monitored: no packet has this address")));
    }
    Ok(prefix)
}

/// An error in a parameter.
pub(crate) fn problem(name: &str, message: impl std::fmt::Display) -> Error {
    JsonPath::Key(&JsonPath::Root, name).problem(message)
}
