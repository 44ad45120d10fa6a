//! `POST /stats/<ip>`: totals of the requested prefixes, dates and names, in the order and spelling of the request.
//! [`storage::Answers`] sums the intervals.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use accounting::block::{TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name, NameError};
use accounting::period::Period;
use accounting::range::Range;
use accounting::zone::Zone;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use flow::{Counters, Prefix, PrefixError};
use storage::{Answers, Totals};

use super::remarks::RemarkView;
use super::{CountersView, Ordered, SenderAddress, damage_noted};
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::interface_names::OfInterface;
use crate::json::{Json as Document, JsonPath, Quoted, unknown_key};
use crate::kept::Kept;
use crate::naming::{NamesView, Naming, OfNaming, ValueNames};
use crate::parameters::documentation::{OfSender, OfSenders, OfZone};
use crate::parameters::{Parameters, monitorable};
use crate::queues::Asker;
use crate::selected::Selected;

/// Prefixes, periods, dates and counters, as they were requested.
type Answer = Ordered<Ordered<Part>>;

/// What an answer has about a prefix.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Part {
    /// The dates of a period.
    Dates(Vec<Ordered<Vec<Counted>>>),
    /// Of a group: those whose counters are added up.
    Senders(Vec<String>),
    /// Of a group.
    Remarks(Vec<RemarkView>),
}

/// One counter.
#[derive(serde::Serialize)]
struct Counted {
    name: String,
    /// With `names=1` only.
    #[serde(skip_serializing_if = "NamesView::is_empty")]
    names: NamesView,
    direction: &'static str,
    #[serde(flatten)]
    counters: CountersView,
    #[serde(flatten)]
    interface: OfInterface,
    /// A limit folded counters of this field and direction, so that this one may be too low. Absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// The question about one prefix; texts are kept as they were written.
struct Question {
    text: String,
    prefix: Prefix,
    periods: Vec<(String, Vec<Date>)>,
}

/// One date with the requested names.
struct Date {
    text: String,
    period: Period,
    range: Range,
    names: Arc<[(String, Name)]>,
}

/// Totals by prefix, date and name, of one sender.
#[utoipa::path(
    post,
    path = "/stats/{sender}",
    operation_id = "stats",
    params(OfSender, OfZone, OfNaming),
    request_body(content = Object, description = "Dates by period, under prefixes: {\"172.16.1.0/24\":{\"days\":[\"2014-02-02\"]}}", content_type = "application/json"),
    responses((status = 200, description = "The totals, in the order of the request", body = Object))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    asker: Asker,
    SenderAddress(sender): SenderAddress,
    parameters: Parameters,
    body: Bytes,
) -> Result<Response, Error> {
    parameters.only(&PARAMETERS)?;
    let asked = Asked::read(&api, &asker, &parameters, body).await?;
    let selected = api.one(sender).await?;
    answer(api, asker, selected, asked).await
}

/// Totals by prefix, date and name, of several senders together.
#[utoipa::path(
    post,
    path = "/stats",
    operation_id = "statsOfSenders",
    params(OfSenders, OfZone, OfNaming),
    request_body(content = Object, description = "Dates by period, under prefixes: {\"172.16.1.0/24\":{\"days\":[\"2014-02-02\"]}}", content_type = "application/json"),
    responses((status = 200, description = "The sums, in the order of the request; under each prefix also `senders` and `remarks`", body = Object))
)]
pub(crate) async fn show_sum(
    State(api): State<Api>,
    asker: Asker,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
    body: Bytes,
) -> Result<Response, Error> {
    parameters.only_of_senders(&PARAMETERS)?;
    let asked = Asked::read(&api, &asker, &parameters, body).await?;
    let selected = api.selected(&parameters, limits.as_deref()).await?;
    answer(api, asker, selected, asked).await
}

/// The known parameters.
const PARAMETERS: [&str; 2] = ["tz", "names"];

/// The parsed request.
struct Asked {
    zone: Zone,
    naming: Naming,
    questions: Vec<Question>,
}

impl Asked {
    async fn read(api: &Api, asker: &Asker, parameters: &Parameters, body: Bytes) -> Result<Self, Error> {
        let zone = parameters.zone()?;
        let naming = Naming::read(parameters)?;
        let of_zone = zone.clone();
        let questions = api.work(asker.party, body.len(), move || read_questions(&body, &of_zone)).await??;
        Ok(Self { zone, naming, questions })
    }
}

async fn answer(
    api: Api,
    asker: Asker,
    selected: Selected,
    Asked { zone, naming, questions }: Asked,
) -> Result<Response, Error> {
    let kept = api.kept(&zone).await?;
    limit_intervals(&questions, &selected, &zone, &kept)?;
    let (mut asked, mut names) = (Vec::new(), Vec::new());
    for question in &questions {
        for date in question.dates() {
            asked.extend(selected.addresses().map(|sender| date.question(sender, question.prefix, &kept)));
            names.push((Arc::clone(&date.names), date.range));
        }
    }
    let fields = names.iter().flat_map(|(names, _)| names.iter().map(|(_, name)| name.field));
    let value_names = api.value_names(&naming, &selected, fields);
    let take = move |number: usize, Totals { tables, senders, damaged }: Totals| {
        let Some((names, range)) = names.get(number) else { return Default::default() };
        ((counted(&tables, names, &naming, (&value_names, *range)), senders), damaged)
    };
    let answers = api.answers(&asker, &mut Answers::to_sums(asked, selected.len()), take).await?;
    let (answers, damaged): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    if answers.iter().all(|(counted, _)| counted.is_empty()) {
        selected.registered()?;
    }
    let written = answers.iter().map(|(counted, _)| counted.len() + 1).sum::<usize>() * WRITTEN_BYTES;
    let write = move || damage_noted(arrange(questions, answers, &selected), damaged.concat());
    api.work(asker.party, written, write).await
}

/// The answers, which are in the order of the dates, under the keys of the request.
fn arrange(questions: Vec<Question>, answers: Vec<(Vec<Counted>, BTreeSet<IpAddr>)>, selected: &Selected) -> Answer {
    let mut answers = answers.into_iter();
    let of_prefix = |Question { text, prefix, periods }| {
        let mut senders = BTreeSet::new();
        let mut of_date = |date: Date| {
            let (counted, by) = answers.next().unwrap_or_default();
            senders.extend(by);
            Ordered(vec![(date.text, counted)])
        };
        let mut of_period =
            |(key, dates): (String, Vec<Date>)| (key, Part::Dates(dates.into_iter().map(&mut of_date).collect()));
        let mut of_prefix: Vec<(String, Part)> = periods.into_iter().map(&mut of_period).collect();
        if selected.is_group() {
            let parts = selected.parts(prefix, senders);
            of_prefix.push(("senders".to_owned(), Part::Senders(parts.view().unwrap_or_default())));
            let remarks = RemarkView::same_flows(&parts).into_iter().collect();
            of_prefix.push(("remarks".to_owned(), Part::Remarks(remarks)));
        }
        (text, Ordered(of_prefix))
    };
    Ordered(questions.into_iter().map(of_prefix).collect())
}

impl Question {
    fn dates(&self) -> impl Iterator<Item = &Date> {
        self.periods.iter().flat_map(|(_, dates)| dates)
    }
}

impl Date {
    fn question(&self, sender: IpAddr, prefix: Prefix, kept: &Kept) -> storage::Question {
        let tables = self.names.iter().map(|(_, name)| TableSet::of_field(name.field));
        // What is under no name of a field follows from the totals.
        let tables = tables.fold(TableSet::of_field(Field::All), TableSet::union);
        storage::Question { range: kept.left_of(self.period, self.range), sender, prefix, tables }
    }
}

/// The counters of these names, in this order, each in every direction in which it was seen; after them, for each of
/// their fields, the counters that a limit folded.
fn counted(
    tables: &Tables,
    names: &[(String, Name)],
    naming: &Naming,
    (value_names, range): (&ValueNames, Range),
) -> Vec<Counted> {
    let mut counted = Vec::new();
    let mut push = |name: String, names, field, direction: Direction, counters: Counters, interface| {
        let truncated = tables.is_partial(direction, field);
        let direction = direction.name();
        counted.push(Counted { name, names, direction, counters: counters.into(), interface, truncated });
    };
    for (text, name) in names {
        for direction in Direction::ALL {
            if let Some(counters) = tables.get(direction, *name) {
                // With names, the number of a value is in the name of its counter, however it was written.
                let shown = if naming.is_wanted() { name.to_string() } else { text.clone() };
                let interface = value_names.interfaces.of(*name, range, counters.bytes);
                push(shown, value_names.of(*name, range), name.field, direction, counters, interface);
            }
        }
    }
    let mut fields: Vec<Field> = Vec::new();
    for (_, Name { field, .. }) in names {
        if !fields.contains(field) {
            fields.push(*field);
        }
    }
    for field in fields {
        for direction in Direction::ALL.into_iter().filter(|direction| tables.is_partial(*direction, field)) {
            let other = format!("{}:other", field.name());
            let unnamed = tables.unnamed(direction, field);
            push(other, NamesView::new(), field, direction, unnamed, OfInterface::default());
        }
    }
    counted
}

/// How many dates and names one request may ask for: what it takes to answer it follows from them. A date of another zone
/// than UTC counts as the intervals that it is made of.
const MOST_DATES: usize = 10_000;
const MOST_NAMES: usize = 40_000;
/// The length of a counter in an answer, about.
const WRITTEN_BYTES: usize = 80;

const EXAMPLE: &str = r#"{"172.16.1.0/24":{"days":["2014-02-02"]}}"#;

/// The keys of a prefix, with an example of their dates.
const PERIODS: [(&str, Period, &str); 5] = [
    ("years", Period::Year, "2013"),
    ("months", Period::Month, "2013-01"),
    ("days", Period::Day, "2014-02-02"),
    ("hours", Period::Hour, "2014-02-02 05"),
    ("minutes", Period::Minute, "2014-02-02 05:00"),
];

fn read_questions(body: &[u8], zone: &Zone) -> Result<Vec<Question>, Error> {
    let document = Document::read(body, EXAMPLE)?;
    let prefixes = document.object(JsonPath::Root, &format!("an object such as {EXAMPLE}"))?;
    let questions: Vec<_> =
        prefixes.iter().map(|(text, periods)| read_question(text, periods, zone)).collect::<Result<_, _>>()?;
    let dates = || questions.iter().flat_map(Question::dates);
    at_most(MOST_DATES, "dates", dates().count())?;
    at_most(MOST_NAMES, "names", dates().map(|date| date.names.len()).sum())?;
    Ok(questions)
}

/// A date of UTC is one interval, or an empty list when it has expired.
fn limit_intervals(questions: &[Question], selected: &Selected, zone: &Zone, kept: &Kept) -> Result<(), Error> {
    let dates = questions.iter().flat_map(Question::dates);
    if zone.is_utc() {
        return selected.limit(dates.count(), "dates", MOST_DATES);
    }
    let mut intervals = 0;
    for date in dates {
        intervals += kept.intervals(date.range)?;
        at_most(MOST_DATES, "intervals of UTC that make up its dates", intervals)?;
    }
    selected.limit(intervals, "intervals of UTC", MOST_DATES)
}

fn at_most(most: usize, of: &str, asked: usize) -> Result<(), Error> {
    if asked <= most {
        return Ok(());
    }
    Err(Error::TooMuch(format!("the body has {asked} {of}, more than {most}: split it into several requests")))
}

fn read_question(text: &str, periods: &Document, zone: &Zone) -> Result<Question, Error> {
    let place = JsonPath::Key(&JsonPath::Root, text);
    let prefix = monitorable(text.parse().map_err(|error: PrefixError| place.problem(error))?, place)?;
    let periods = periods.object(place, r#"an object such as {"days":["2014-02-02"]}"#)?;
    let periods = periods.iter().map(|(key, dates)| Ok((key.clone(), read_period(key, dates, place, zone)?)));
    Ok(Question { text: text.to_owned(), prefix, periods: periods.collect::<Result<_, Error>>()? })
}

fn read_period(key: &str, dates: &Document, place: JsonPath<'_>, zone: &Zone) -> Result<Vec<Date>, Error> {
    let Some((_, period, example)) = PERIODS.into_iter().find(|(name, ..)| *name == key) else {
        return Err(unknown_key(place, key, &PERIODS.map(|(name, ..)| name)));
    };
    let place = JsonPath::Key(&place, key);
    let dates = dates.list(place, &format!("a list of dates such as [{example:?}]"))?;
    let date_of = |text: &str, place: JsonPath<'_>, names| {
        let range = zone.date(period, text).map_err(|error| place.problem(error))?;
        Ok::<_, Error>(Date { text: text.to_owned(), period, range, names })
    };
    let mut read = Vec::with_capacity(dates.len());
    for (index, date) in dates.iter().enumerate() {
        let place = JsonPath::Index(&place, index);
        match date {
            // A bare date means the name `all`.
            Document::Text(text) => read.push(date_of(text, place, Arc::new([("all".into(), Name::ALL)]))?),
            Document::Object(members) if !members.is_empty() => {
                for (text, names) in members {
                    let place = JsonPath::Key(&place, text);
                    read.push(date_of(text, place, read_names(names, place)?)?);
                }
            }
            other => {
                let what = format!(
                    r#"a date such as {example:?}, or one with names such as {{{example:?}:["all","proto:6"]}}"#
                );
                return Err(place.problem(format_args!("must be {what}, not {other}")));
            }
        }
    }
    Ok(read)
}

fn read_names(names: &Document, place: JsonPath<'_>) -> Result<Arc<[(String, Name)]>, Error> {
    let names = names.list(place, r#"a list of names such as ["all","proto:6"]"#)?;
    let mut seen = HashSet::with_capacity(names.len());
    let mut read = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let place = JsonPath::Index(&place, index);
        let text = name.text(place, r#"a name such as "all" or "proto:6""#)?;
        let name: Name = text.parse().map_err(|error: NameError| place.problem(error))?;
        if !seen.insert(name) {
            return Err(place.problem(format_args!("duplicate name {}", Quoted(text))));
        }
        read.push((text.to_owned(), name));
    }
    Ok(read.into())
}
