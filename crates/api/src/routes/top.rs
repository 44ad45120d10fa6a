//! `GET /top/<sender>`: the largest values of a field in any time range, with the sum of the others, so that the list
//! adds up.

use accounting::block::{TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::range::Range;
use accounting::zone::Zone;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use flow::Counters;
use serde::Serialize;
use storage::{Answers, Totals};
use utoipa::openapi::schema::Object;

use super::remarks::{LocalTraffic, RemarkView};
use super::{CountersView, SenderAddress, damage_noted};
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::interface_names::OfInterface;
use crate::naming::{NamesView, Naming, OfNaming, ValueNames};
use crate::parameters::documentation::{
    OfDirection, OfPrefixes, OfRange, OfSender, OfSenders, OfZone, measures, one_of,
};
use crate::parameters::{Measure, Parameters};
use crate::queues::Asker;
use crate::selected::Parts;
use crate::subject::Subject;

/// The largest values of a field.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Top {
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
    direction: &'static str,
    field: &'static str,
    /// The counter that they are sorted by.
    by: &'static str,
    /// The time zone of `from` and `to`.
    tz: String,
    from: String,
    to: String,
    /// The seconds of the range in which a collector ran, as far as they have passed: counters by this are mean rates. Parts of a
    /// thirtieth of the range or more count as a whole or not at all.
    seconds: u64,
    /// The sum of `rows`, `rest` and `other`; where it is `saturated`, these may add up to more.
    total: CountersView,
    rows: Vec<Row>,
    /// The values that are counted but not listed.
    rest: Rest,
    /// Flows counted under no value: there were too many values, or the field was not counted all the time.
    other: CountersView,
    /// Whether `other` is not zero: then values may be missing and counters may be too low.
    truncated: bool,
    /// When in this range the meaning of the counters changed.
    remarks: Vec<RemarkView>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Row {
    name: String,
    /// What its value is called, by its field; with `names=1` only, and only if it has a name.
    #[serde(skip_serializing_if = "NamesView::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    names: NamesView,
    #[serde(flatten)]
    counters: CountersView,
    #[serde(flatten)]
    interface: OfInterface,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Rest {
    /// The number of values.
    names: usize,
    #[serde(flatten)]
    counters: CountersView,
}

/// The number of rows by default, and at most.
const ROWS: usize = 20;
const MOST_ROWS: usize = 1000;
/// About as long as it takes to write this many octets, a name is sorted.
const SORTED_BYTES: usize = 16;
/// The intervals that are read of several prefixes at most, as if they were dates of `/stats`.
const MOST_INTERVALS: usize = 10_000;
/// The default range: the last hour.
const DEFAULT_MINUTES: u32 = 60;

/// The parsed query.
struct Question {
    field: Field,
    direction: Direction,
    range: Range,
    zone: Zone,
    rows: usize,
    naming: Naming,
    by: (&'static str, Measure),
}

/// The known parameters.
const PARAMETERS: [&str; 10] = ["prefix", "field", "direction", "from", "to", "last", "tz", "n", "by", "names"];

impl Question {
    fn read(parameters: &Parameters) -> Result<Self, Error> {
        let zone = parameters.zone()?;
        let fields = Field::ALL.map(|field| (field.name(), field));
        Ok(Self {
            field: parameters.one_of("field", fields.get(1..).unwrap_or_default())?.unwrap_or(Field::SourceAddress),
            direction: parameters.direction()?.unwrap_or(Direction::In),
            range: parameters.range(DEFAULT_MINUTES, &zone)?,
            zone,
            rows: parameters.count("n", ROWS, MOST_ROWS)?,
            naming: Naming::read(parameters)?,
            by: parameters.measure("by")?,
        })
    }
}

/// The parameters of this route alone.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfTop {
    /// Field to group by
    #[param(schema_with = fields)]
    field: Option<String>,
    /// Number of rows
    #[param(minimum = 1, maximum = 1000)]
    n: Option<u32>,
    /// Counter to sort by
    #[param(schema_with = measures)]
    by: Option<String>,
}

fn fields() -> Object {
    one_of(Field::ALL.iter().skip(1).map(|field| field.name()))
}

/// The largest values of a field, of one sender.
#[utoipa::path(
    get,
    path = "/top/{sender}",
    operation_id = "top",
    params(
        OfSender,
        OfPrefixes,
        OfDirection,
        OfRange,
        OfZone,
        OfTop,
        OfNaming
    ),
    responses((status = 200, description = "The largest values, and the sum of the others", body = Top))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    asker: Asker,
    SenderAddress(sender): SenderAddress,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&PARAMETERS)?;
    let (question, prefixes) = (Question::read(&parameters)?, parameters.prefixes()?);
    let selected = api.one(sender).await?;
    answer(api, asker, Subject::of(selected, prefixes)?, question).await
}

/// The largest values of a field, of several senders together.
#[utoipa::path(
    get,
    path = "/top",
    operation_id = "topOfSenders",
    params(
        OfSenders,
        OfPrefixes,
        OfDirection,
        OfRange,
        OfZone,
        OfTop,
        OfNaming
    ),
    responses((status = 200, description = "The largest values of the sums, and the sum of the others", body = Top))
)]
pub(crate) async fn show_sum(
    State(api): State<Api>,
    asker: Asker,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only_of_senders(&PARAMETERS)?;
    let (question, prefixes) = (Question::read(&parameters)?, parameters.prefixes()?);
    let selected = api.selected(&parameters, limits.as_deref()).await?;
    answer(api, asker, Subject::of(selected, prefixes)?, question).await
}

async fn answer(api: Api, asker: Asker, subject: Subject, question: Question) -> Result<Response, Error> {
    let range = question.range;
    let kept = api.kept(&question.zone).await?;
    let intervals = kept.intervals(range)?;
    if subject.single_prefix().is_none() {
        subject.limit(intervals, "intervals", MOST_INTERVALS)?;
    }
    // Including the counters of `all`, which distinguish a zero from missing counters.
    let tables = TableSet::of(question.direction, question.field).union(TableSet::of_field(Field::All));
    let mut answers = Answers::to_sums(subject.questions(range, tables).collect(), subject.len());
    let totals = api.answers(&asker, &mut answers, |_, totals| totals).await?;
    let seconds = api.counted_seconds(&asker, answers, range, &kept).await?;
    let Totals { tables, senders, damaged } = totals.into_iter().next().unwrap_or_default();
    if tables.is_empty() {
        subject.monitor()?;
    }
    let parts = subject.parts(senders);
    let remarks = api.remarks(&asker, &parts, range, &question.zone, LocalTraffic::Apart).await?;
    let sorted = tables.rows_of(question.field).count() * SORTED_BYTES;
    let names = api.value_names(&question.naming, subject.selected(), [question.field].into_iter());
    let answer =
        move || damage_noted(question.answer((&subject, &parts), (&tables, seconds, remarks), &names), damaged);
    api.work(asker.party, sorted, answer).await
}

impl Question {
    fn answer(
        &self,
        (subject, parts): (&Subject, &Parts),
        (tables, seconds, remarks): (&Tables, u64, Vec<RemarkView>),
        names: &ValueNames,
    ) -> Top {
        let (by, measure) = self.by;
        let mut rows: Vec<(Name, Counters)> = tables
            .rows_of(self.field)
            .filter(|(direction, ..)| *direction == self.direction)
            .map(|(_, name, counters)| (name, counters))
            .collect();
        // Stable: equal counters stay in the order of their values.
        rows.sort_by_key(|(_, counters)| std::cmp::Reverse(measure.of(counters)));
        let rest = rows.split_off(self.rows.min(rows.len()));
        let mut unlisted = Counters::ZERO;
        rest.iter().for_each(|(_, counters)| unlisted.add(*counters));
        Top {
            sender: subject.selected().text().to_owned(),
            senders: parts.view(),
            prefix: subject.text(),
            prefixes: subject.view(),
            network: subject.single_prefix().and_then(|prefix| self.naming.of_prefix(prefix)),
            direction: self.direction.name(),
            field: self.field.name(),
            by,
            tz: self.zone.to_string(),
            from: self.zone.display(self.range.from),
            to: self.zone.display(self.range.to),
            seconds,
            total: tables.get(self.direction, Name::ALL).unwrap_or_default().into(),
            rows: rows.into_iter().map(|(name, counters)| self.row(name, counters, names)).collect(),
            rest: Rest { names: rest.len(), counters: unlisted.into() },
            other: tables.unnamed(self.direction, self.field).into(),
            truncated: tables.is_partial(self.direction, self.field),
            remarks,
        }
    }
}

impl Question {
    fn row(&self, name: Name, counters: Counters, names: &ValueNames) -> Row {
        let interface = names.interfaces.of(name, self.range, counters.bytes);
        Row { name: name.to_string(), names: names.of(name, self.range), counters: counters.into(), interface }
    }
}
