//! `GET /series/<sender>`: one counter over time, in whole minutes, hours, days or months. A step without stored
//! counters is a gap, not a zero.

use std::sync::Arc;

use accounting::block::{TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::period::Period;
use accounting::range::Range;
use accounting::zone::Zone;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use flow::Prefix;
use serde::Serialize;
use storage::{Answers, Totals};
use utoipa::openapi::schema::Object;

use super::remarks::{LocalTraffic, RemarkView};
use super::{CountersView, Ordered, SenderAddress, damage_noted};
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::interface_names::InterfaceNames;
use crate::kept::Kept;
use crate::naming::{NamesView, Naming, OfNaming};
use crate::parameters::Parameters;
use crate::parameters::documentation::{OfPrefix, OfRange, OfSender, OfSenders, OfZone, one_of};
use crate::queues::Asker;
use crate::selected::Selected;

/// One counter over time.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Series {
    sender: String,
    /// In an answer about several senders: those whose counters are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    senders: Option<Vec<String>>,
    prefix: String,
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
    /// Counters by direction; null when none are stored for this step.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Counted>>)]
    counters: Option<Ordered<Counted>>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Counted {
    #[serde(flatten)]
    counters: CountersView,
    /// Present and true when a limit folded counters, so that this one may be too low.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    /// With `names=1` only: the rate in percent of the speed of the interface, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    percent_of_speed: Option<f64>,
}

const STEPS: [(&str, Period); 4] =
    [("minute", Period::Minute), ("hour", Period::Hour), ("day", Period::Day), ("month", Period::Month)];
/// The default range: the last day.
const DEFAULT_MINUTES: u32 = 24 * 60;
/// The number of steps in an answer at most, and of the intervals that are read for it: a week of minutes, and a day of them
/// for names in large tables.
const MOST_STEPS: usize = 7 * 24 * 60 + 1;
const MOST_STEPS_OF_LARGE_TABLES: usize = 24 * 60 + 1;
/// The length of a point in an answer, about.
const WRITTEN_BYTES: usize = 200;

/// The parsed query.
struct Question {
    prefix: Prefix,
    name: Name,
    directions: Vec<Direction>,
    step: Period,
    zone: Zone,
    steps: Vec<Range>,
    /// The number of steps, and of intervals of which these are made, at most.
    most: usize,
    naming: Naming,
}

/// The known parameters.
const PARAMETERS: [&str; 8] = ["prefix", "name", "direction", "from", "to", "tz", "step", "names"];

impl Question {
    fn read(parameters: &Parameters) -> Result<Self, Error> {
        let name = parameters.read("name")?.unwrap_or(Name::ALL);
        let step = parameters.one_of("step", &STEPS)?.unwrap_or(Period::Hour);
        let zone = parameters.zone()?;
        let range = parameters.range(DEFAULT_MINUTES, &zone)?;
        let most = match name.field {
            Field::All | Field::Protocol => MOST_STEPS,
            _ => MOST_STEPS_OF_LARGE_TABLES,
        };
        let steps: Vec<_> = zone.steps(range, step).take(most + 1).collect();
        if steps.len() > most {
            return Err(too_many(most, format_args!("{}s of this name", step.name()), step));
        }
        Ok(Self {
            prefix: parameters.prefix()?,
            name,
            directions: parameters.direction()?.map_or_else(|| Direction::ALL.to_vec(), |one| vec![one]),
            step,
            zone,
            steps,
            most,
            naming: Naming::read(parameters)?,
        })
    }

    /// A step of UTC is one interval, or a gap when it has expired. One of another zone is made of several, and would be
    /// too low when some of them have expired.
    fn limit_intervals(&self, selected: &Selected, kept: &Kept) -> Result<(), Error> {
        if self.zone.is_utc() {
            return selected.limit(self.steps.len(), "steps", self.most);
        }
        let mut intervals = 0;
        for step in &self.steps {
            intervals += kept.intervals(*step)?;
            if intervals > self.most {
                let what = format_args!("intervals of UTC, of which {}s of {} are made,", self.step.name(), self.zone);
                return Err(too_many(self.most, what, self.step));
            }
        }
        selected.limit(intervals, "intervals of UTC", self.most)
    }

    /// Including the counters of `all`, which distinguish a zero from a gap.
    fn tables(&self) -> TableSet {
        TableSet::of_field(self.name.field).union(TableSet::of_field(Field::All))
    }

    /// `None` for a gap.
    fn counters(&self, tables: &Tables, step: Range, interfaces: &InterfaceNames) -> Option<Ordered<Counted>> {
        let counted = |direction: Direction| {
            let counters = tables.get(direction, self.name).unwrap_or_default();
            let truncated = tables.is_partial(direction, self.name.field);
            let percent_of_speed = interfaces.percent_of_speed(self.name, step, counters.bytes);
            (direction.name().to_owned(), Counted { counters: counters.into(), truncated, percent_of_speed })
        };
        (!tables.is_empty()).then(|| Ordered(self.directions.iter().copied().map(counted).collect()))
    }
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
        OfPrefix,
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
    parameters.only(&PARAMETERS)?;
    let question = Question::read(&parameters)?;
    let selected = api.registered(sender).await?;
    answer(api, asker, selected, question).await
}

/// One counter over time, of several senders together.
#[utoipa::path(
    get,
    path = "/series",
    operation_id = "seriesOfSenders",
    params(
        OfSenders,
        OfPrefix,
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
    parameters.only_of_senders(&PARAMETERS)?;
    let question = Question::read(&parameters)?;
    let selected = api.selected(&parameters, limits.as_deref()).await?;
    answer(api, asker, selected, question).await
}

async fn answer(api: Api, asker: Asker, selected: Selected, question: Question) -> Result<Response, Error> {
    let question = Arc::new(question);
    let kept = api.kept(&question.zone).await?;
    question.limit_intervals(&selected, &kept)?;
    let (prefix, tables) = (question.prefix, question.tables());
    let ranges = question.steps.iter().map(|step| kept.left_of(question.step, *step));
    let ask = |range| selected.addresses().map(move |sender| storage::Question { range, sender, prefix, tables });
    let mut answers = Answers::to_sums(ranges.flat_map(ask).collect(), selected.len());
    let names = api.value_names(&question.naming, &selected, [question.name.field].into_iter());
    let (of_points, of_interface) = (Arc::clone(&question), names.interfaces.clone());
    let sum = move |number: usize, Totals { tables, senders, damaged }: Totals| {
        let step = of_points.steps.get(number).copied();
        (step.and_then(|step| of_points.counters(&tables, step, &of_interface)), (senders, damaged))
    };
    let answers = api.answers(&asker, &mut answers, sum).await?;
    let (counters, sums): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    let (senders, damaged): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
    let parts = selected.parts(prefix, senders.into_iter().flatten().collect());
    let starts = question.steps.iter().map(|step| question.zone.display(step.from));
    let points: Vec<Point> = starts.zip(counters).map(|(start, counters)| Point { start, counters }).collect();
    if points.iter().all(|point| point.counters.is_none()) {
        selected.monitor(prefix)?;
    }
    let [first, last] = [question.steps.first(), question.steps.last()];
    let from = first.map(|step| step.from).unwrap_or_default();
    let range = Range { from, to: last.map_or(from, |step| step.to) };
    let remarks = api.remarks(&asker, &parts, (prefix, range), &question.zone, LocalTraffic::Apart).await?;
    let series = Series {
        sender: selected.text().to_owned(),
        senders: parts.view(),
        prefix: prefix.to_string(),
        network: question.naming.of_prefix(prefix),
        name: question.name.to_string(),
        names: names.of(question.name, range),
        interfaces: names.interfaces.listed(question.name, range),
        step: question.step.name(),
        tz: question.zone.to_string(),
        from: question.zone.display(range.from),
        to: question.zone.display(range.to),
        points,
        remarks,
    };
    let written = series.points.len() * WRITTEN_BYTES;
    api.work(asker.party, written, move || damage_noted(series, damaged.concat())).await
}
