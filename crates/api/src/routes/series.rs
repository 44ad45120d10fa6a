//! `GET /series/<sender>`: one counter over time, in whole minutes, hours, days or months; or the largest values of a field
//! (`split`), which are read together. A step without stored counters is a gap, not a zero.

mod split;

use std::sync::Arc;
use std::time::SystemTime;

use accounting::block::{BlockError, TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::Period;
use accounting::range::Range;
use accounting::zone::Zone;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use flow::Timestamp;
use serde::Serialize;
use storage::{Answers, Totals};
use utoipa::openapi::schema::Object;

use self::split::Split;
use super::remarks::{LocalTraffic, RemarkView};
use super::{CountersView, Ordered, SenderAddress, damage_noted};
use crate::Api;
use crate::auth::KeySenders;
use crate::counted_time::passed_seconds;
use crate::error::Error;
use crate::interface_names::InterfaceNames;
use crate::kept::Kept;
use crate::naming::{NamesView, Naming, OfNaming};
use crate::parameters::Parameters;
use crate::parameters::documentation::{
    OfDirections, OfPrefixes, OfRange, OfSender, OfSenders, OfZone, measures, one_of,
};
use crate::queues::Asker;
use crate::subject::Subject;

/// One counter over time.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Series {
    sender: String,
    /// In an answer about several senders: those whose counters are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    senders: Option<Vec<String>>,
    prefix: String,
    /// In an answer about several prefixes: those whose counters are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes: Option<Vec<String>>,
    /// What the network around the prefix is called; with `names=1` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    name: String,
    /// What its value is called, by its field; with `names=1` only, and only if it has a name.
    #[serde(skip_serializing_if = "NamesView::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    names: NamesView,
    /// With `names=1` only: what the interface was called in that time; several if that changed. Absent if it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    interfaces: Vec<view::Interface>,
    /// With `field` only: the field whose values are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    field: Option<&'static str>,
    /// With `field` only, and without `values`: the counter that they are sorted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    by: Option<&'static str>,
    /// With `field` only: its values, in the order in which the points have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    rows: Option<Vec<split::Row>>,
    step: &'static str,
    /// The time zone of the steps.
    tz: String,
    /// The start of the first step.
    from: String,
    /// The end of the last step.
    to: String,
    points: Vec<Point>,
    /// When in this range the meaning of the counters changed.
    remarks: Vec<RemarkView>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Point {
    /// The start of the step.
    start: String,
    /// The seconds of the step that have passed: counters by this are mean rates.
    seconds: u64,
    /// Counters by direction; null when none are stored for this step.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Counted>>)]
    counters: Option<Ordered<Counted>>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Counted {
    #[serde(flatten)]
    counters: CountersView,
    /// Present and true when a limit folded counters, so that this one may be too low; with `field`, those of its values.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    /// With `names=1` only: the rate in percent of the speed of the interface, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    percent_of_speed: Option<f64>,
    #[serde(flatten)]
    parts: Option<split::Parts>,
}

const STEPS: [(&str, Period); 4] =
    [("minute", Period::Minute), ("hour", Period::Hour), ("day", Period::Day), ("month", Period::Month)];
/// The default range: the last day.
const DEFAULT_MINUTES: u32 = 24 * 60;
/// The number of steps in an answer at most, and of the intervals that are read for it: a week of minutes, and a day of them
/// for names in large tables.
const MOST_STEPS: usize = 7 * 24 * 60 + 1;
const MOST_STEPS_OF_LARGE_TABLES: usize = 24 * 60 + 1;
/// The length of a point in an answer, and of a value in it, about.
const WRITTEN_BYTES: usize = 200;
const WRITTEN_BYTES_OF_A_VALUE: usize = 50;

/// The parsed query.
struct Question {
    name: Name,
    split: Option<Split>,
    directions: Vec<Direction>,
    step: Period,
    zone: Zone,
    steps: Vec<Range>,
    /// The number of steps, and of intervals of which these are made, at most.
    most: usize,
    naming: Naming,
}

/// The known parameters, without those of a split.
const PARAMETERS: [&str; 9] = ["prefix", "name", "direction", "from", "to", "last", "tz", "step", "names"];

impl Question {
    fn read(parameters: &Parameters) -> Result<Self, Error> {
        let name = parameters.read("name")?.unwrap_or(Name::ALL);
        let step = parameters.one_of("step", &STEPS)?.unwrap_or(Period::Hour);
        let zone = parameters.zone()?;
        let range = parameters.range(DEFAULT_MINUTES, &zone)?;
        let split = Split::read(parameters)?;
        let field = split.as_ref().map_or(name.field, |split| split.fields().next().unwrap_or(name.field));
        let most = match field {
            Field::All | Field::Protocol => MOST_STEPS,
            _ => MOST_STEPS_OF_LARGE_TABLES,
        };
        let steps: Vec<_> = zone.steps(range, step).take(most + 1).collect();
        if steps.len() > most {
            return Err(too_many(most, format_args!("{}s of this name", step.name()), step));
        }
        Ok(Self {
            name,
            split,
            directions: parameters.directions()?,
            step,
            zone,
            steps,
            most,
            naming: Naming::read(parameters)?,
        })
    }

    /// A step of UTC is one interval, or a gap when it has expired. One of another zone is made of several, and would be
    /// too low when some of them have expired.
    fn limit_intervals(&self, subject: &Subject, kept: &Kept) -> Result<(), Error> {
        if self.zone.is_utc() {
            return subject.limit(self.steps.len(), "steps", self.most);
        }
        let mut intervals = 0;
        for step in &self.steps {
            intervals += kept.intervals(*step)?;
            if intervals > self.most {
                let what = format_args!("intervals of UTC, of which {}s of {} are made,", self.step.name(), self.zone);
                return Err(too_many(self.most, what, self.step));
            }
        }
        subject.limit(intervals, "intervals of UTC", self.most)
    }

    /// Including the counters of `all`, which distinguish a zero from a gap.
    fn tables(&self) -> TableSet {
        let own = match &self.split {
            Some(split) => split.tables(&self.directions),
            None => TableSet::of_field(self.name.field),
        };
        own.union(TableSet::of_field(Field::All))
    }

    /// `None` for a gap.
    fn counters(
        &self,
        tables: &Tables,
        step: Range,
        (values, interfaces): (&[Value], &InterfaceNames),
    ) -> Option<Ordered<Counted>> {
        let counted = |direction: Direction| {
            let counters = tables.get(direction, self.name).unwrap_or_default();
            let split = self.split.as_ref();
            let truncated = match split {
                Some(split) => split.is_partial(tables, direction),
                None => tables.is_partial(direction, self.name.field),
            };
            let counted = Counted {
                counters: counters.into(),
                truncated,
                percent_of_speed: interfaces.percent_of_speed(self.name, step, counters.bytes),
                parts: split.map(|split| split.parts(values, (direction, tables), (step, interfaces))),
            };
            (direction.name().to_owned(), counted)
        };
        (!tables.is_empty()).then(|| Ordered(self.directions.iter().copied().map(counted).collect()))
    }

    /// From the start of the first step to the end of the last one.
    fn range(&self) -> Range {
        let from = self.steps.first().map(|step| step.from).unwrap_or_default();
        Range { from, to: self.steps.last().map_or(from, |step| step.to) }
    }

    /// The steps that have not expired, in one range.
    fn range_left(&self, kept: &Kept) -> Range {
        let range = self.range();
        let first = self.steps.iter().find(|step| kept.left_of(self.step, **step) == **step);
        Range { from: first.map_or(range.to, |step| step.from), ..range }
    }

    /// About how long the answer is.
    fn written(&self, values: &[Value]) -> usize {
        let of_values = values.len() * self.directions.len() * WRITTEN_BYTES_OF_A_VALUE;
        self.steps.len() * (WRITTEN_BYTES + of_values)
    }
}

fn known_parameters() -> Vec<&'static str> {
    PARAMETERS.into_iter().chain(split::PARAMETERS).collect()
}

/// The refusal of an answer with more steps, or intervals of them, than it may have.
fn too_many(most: usize, what: std::fmt::Arguments<'_>, step: Period) -> Error {
    let instead = match step.coarser() {
        Some(coarser) if coarser < Period::Year => format!("step={}, or a shorter range", coarser.name()),
        _ => "a shorter range".to_owned(),
    };
    Error::TooMuch(format!("at most {most} {what} fit into an answer: request {instead}"))
}

/// The parameters of this route alone.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfSeries {
    /// Counter: all, proto:6 or proto:tcp, srcip:192.0.2.1, ...
    name: Option<String>,
    /// Length of a step
    #[param(schema_with = step_words)]
    step: Option<String>,
    /// Instead of name: the largest values of this field, or of the remote or own end of flows
    #[param(schema_with = field_words)]
    field: Option<String>,
    /// With field: number of values
    #[param(minimum = 1, maximum = 50)]
    n: Option<u32>,
    /// With field: counter to sort by
    #[param(schema_with = measures)]
    by: Option<String>,
    /// With field, instead of n: these values, with commas
    values: Option<String>,
}

fn field_words() -> Object {
    one_of(split::words())
}

fn step_words() -> Object {
    one_of(STEPS.map(|(word, _)| word))
}

/// One counter over time, of one sender.
#[utoipa::path(
    get,
    path = "/series/{sender}",
    operation_id = "series",
    params(
        OfSender,
        OfPrefixes,
        OfDirections,
        OfRange,
        OfZone,
        OfSeries,
        OfNaming
    ),
    responses((status = 200, description = "A point for each step; null counters are a gap", body = Series))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    asker: Asker,
    SenderAddress(sender): SenderAddress,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&known_parameters())?;
    let (question, prefixes) = (Question::read(&parameters)?, parameters.prefixes()?);
    let selected = api.one(sender).await?;
    answer(api, asker, Subject::of(selected, prefixes)?, question).await
}

/// One counter over time, of several senders together.
#[utoipa::path(
    get,
    path = "/series",
    operation_id = "seriesOfSenders",
    params(
        OfSenders,
        OfPrefixes,
        OfDirections,
        OfRange,
        OfZone,
        OfSeries,
        OfNaming
    ),
    responses((status = 200, description = "A point for each step, with the sums; null counters are a gap", body = Series))
)]
pub(crate) async fn show_sum(
    State(api): State<Api>,
    asker: Asker,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only_of_senders(&known_parameters())?;
    let (question, prefixes) = (Question::read(&parameters)?, parameters.prefixes()?);
    let selected = api.selected(&parameters, limits.as_deref()).await?;
    answer(api, asker, Subject::of(selected, prefixes)?, question).await
}

async fn answer(api: Api, asker: Asker, subject: Subject, question: Question) -> Result<Response, Error> {
    let question = Arc::new(question);
    let kept = api.kept(&question.zone).await?;
    question.limit_intervals(&subject, &kept)?;
    let tables = question.tables();
    let fields: Vec<Field> = question.split.iter().flat_map(Split::fields).chain([question.name.field]).collect();
    let names = api.value_names(&question.naming, subject.selected(), fields.into_iter());
    let (values, before, answers) = values(&api, &asker, &subject, (&question, &kept)).await?;
    let ranges = question.steps.iter().map(|step| kept.left_of(question.step, *step));
    let questions = ranges.flat_map(|range| subject.questions(range, tables)).collect();
    let mut answers = answers.then_sums(questions, subject.len());
    let values: Arc<[Value]> = values.into();
    let (of_points, of_values, of_interface) = (Arc::clone(&question), Arc::clone(&values), names.interfaces.clone());
    let sum = move |number: usize, Totals { tables, senders, damaged }: Totals| {
        let step = of_points.steps.get(number).copied();
        let counters = step.and_then(|step| of_points.counters(&tables, step, (&of_values, &of_interface)));
        (counters, (senders, damaged))
    };
    let answers = api.answers(&asker, &mut answers, sum).await?;
    let (counters, sums): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    let (senders, damaged): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
    let damaged: Vec<_> = damaged.into_iter().flatten().chain(before).collect();
    let parts = subject.parts(senders.into_iter().flatten().collect());
    let now = Timestamp::from(SystemTime::now());
    let point = |(step, counters): (&Range, _)| Point {
        start: question.zone.display(step.from),
        seconds: passed_seconds(*step, now),
        counters,
    };
    let points: Vec<Point> = question.steps.iter().zip(counters).map(point).collect();
    if points.iter().all(|point| point.counters.is_none()) {
        subject.monitor()?;
    }
    let range = question.range();
    let remarks = api.remarks(&asker, &parts, range, &question.zone, LocalTraffic::Apart).await?;
    let split = question.split.as_ref();
    let series = Series {
        sender: subject.selected().text().to_owned(),
        senders: parts.view(),
        prefix: subject.text(),
        prefixes: subject.view(),
        network: subject.single_prefix().and_then(|prefix| question.naming.of_prefix(prefix)),
        name: question.name.to_string(),
        names: names.of(question.name, range),
        interfaces: names.interfaces.listed(question.name, range),
        field: split.map(Split::field),
        by: split.and_then(Split::by),
        rows: split.map(|split| values.iter().map(|value| split.row(*value, &names, range)).collect()),
        step: question.step.name(),
        tz: question.zone.to_string(),
        from: question.zone.display(range.from),
        to: question.zone.display(range.to),
        points,
        remarks,
    };
    let written = question.written(&values);
    api.work(asker.party, written, move || damage_noted(series, damaged)).await
}

/// The values of the field that the answer has: of the query, or the largest of the whole time. What is asked after them is
/// about the same moment.
async fn values(
    api: &Api,
    asker: &Asker,
    subject: &Subject,
    (question, kept): (&Arc<Question>, &Kept),
) -> Result<(Vec<Value>, Vec<BlockError>, Answers), Error> {
    let nothing = Answers::to(Vec::new());
    let Some(split) = &question.split else { return Ok((Vec::new(), Vec::new(), nothing)) };
    if let Some(values) = split.values() {
        return Ok((values.to_vec(), Vec::new(), nothing));
    }
    let questions = subject.questions(question.range_left(kept), question.tables()).collect();
    let mut answers = Answers::to_sums(questions, subject.len());
    let question = Arc::clone(question);
    let largest = move |_, Totals { tables, damaged, .. }: Totals| {
        let split = question.split.as_ref();
        (split.map(|split| split.largest(&tables, &question.directions)).unwrap_or_default(), damaged)
    };
    let found = api.answers(asker, &mut answers, largest).await?;
    let (values, damaged) = found.into_iter().next().unwrap_or_default();
    Ok((values, damaged, answers))
}
