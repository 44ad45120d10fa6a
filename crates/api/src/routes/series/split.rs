//! The values of a field in one answer of `/series`: which they are, and what each of them has in a step. The rest and what is
//! counted under no value are beside them, so that a step adds up to its total.

use std::collections::HashMap;

use accounting::block::{TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::range::Range;
use flow::Counters;
use serde::Serialize;

use crate::error::Error;
use crate::interface_names::InterfaceNames;
use crate::naming::{NamesView, ValueNames};
use crate::parameters::{Measure, Parameters, problem};
use crate::routes::CountersView;

/// The values by default, and at most.
const VALUES: usize = 10;
const MOST_VALUES: usize = 50;
/// Its parameters.
pub(super) const PARAMETERS: [&str; 4] = ["field", "n", "by", "values"];

/// The ends of flows: which field they are in what comes in. What goes out has them in the field of the reverse direction.
const ENDS: [(&str, Field); 8] = [
    ("remoteip", Field::SourceAddress),
    ("remoteport", Field::SourcePort),
    ("remoteas", Field::SourceAs),
    ("remotecountry", Field::SourceCountry),
    ("ownip", Field::DestinationAddress),
    ("ownport", Field::DestinationPort),
    ("ownas", Field::DestinationAs),
    ("owncountry", Field::DestinationCountry),
];

/// A field, or an end of flows, and which of its values an answer has.
#[derive(Clone, Debug)]
pub(super) struct Split {
    field: SplitField,
    by: (&'static str, Measure),
    chosen: Chosen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SplitField {
    name: &'static str,
    incoming: Field,
    outgoing: Field,
}

#[derive(Clone, Debug)]
enum Chosen {
    /// This many: those with the largest sums of all directions of the answer.
    Largest(usize),
    These(Vec<Value>),
}

/// A value in the answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SeriesRow)]
pub(super) struct Row {
    name: String,
    /// What it is called, by the field; with `names=1` only, and only if it has a name.
    #[serde(skip_serializing_if = "NamesView::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    names: NamesView,
    /// With `names=1` only: what the interface was called in that time; several if that changed. Absent if it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    interfaces: Vec<view::Interface>,
}

/// What the values have in a step, in one direction.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SeriesParts)]
pub(super) struct Parts {
    /// Those of the values, in the order of `rows` of the answer.
    rows: Vec<RowCounted>,
    /// Those of all other values.
    rest: CountersView,
    /// Flows counted under no value: there were too many values, or the field was not counted all the time.
    other: CountersView,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeriesRowCounters)]
struct RowCounted {
    #[serde(flatten)]
    counters: CountersView,
    /// With `names=1` only: the rate in percent of the speed of the interface, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    percent_of_speed: Option<f64>,
}

impl Split {
    /// What a query asks for; `None` without a field.
    pub(super) fn read(parameters: &Parameters) -> Result<Option<Self>, Error> {
        let Some(field) = parameters.one_of("field", &SplitField::all())? else {
            return match ["n", "by", "values"].into_iter().find(|name| parameters.text(name).is_some()) {
                Some(name) => Err(problem(name, "needs a field: add field=srcip or field=remoteip to the query")),
                None => Ok(None),
            };
        };
        for (name, other) in [("name", "field"), ("n", "values"), ("by", "values")] {
            if parameters.text(name).is_some() && parameters.text(other).is_some() {
                return Err(problem(name, format_args!("cannot be combined with {other}: leave out one of them")));
            }
        }
        let chosen = match parameters.text("values") {
            Some(text) => Chosen::These(field.values(text)?),
            None => Chosen::Largest(parameters.count("n", VALUES, MOST_VALUES)?),
        };
        Ok(Some(Self { field, by: parameters.measure("by")?, chosen }))
    }

    /// The name of the field in the answer.
    pub(super) fn field(&self) -> &'static str {
        self.field.name
    }

    /// The counter that they are sorted by; `None` if the query has the values.
    pub(super) fn by(&self) -> Option<&'static str> {
        matches!(self.chosen, Chosen::Largest(_)).then_some(self.by.0)
    }

    /// The fields whose values are shown.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        [self.field.incoming, self.field.outgoing].into_iter()
    }

    /// Its tables in these directions.
    pub(super) fn tables(&self, directions: &[Direction]) -> TableSet {
        let tables = directions.iter().map(|direction| TableSet::of(*direction, self.field.of(*direction)));
        tables.fold(TableSet::EMPTY, TableSet::union)
    }

    /// The values, if the query has them.
    pub(super) fn values(&self) -> Option<&[Value]> {
        match &self.chosen {
            Chosen::Largest(_) => None,
            Chosen::These(values) => Some(values),
        }
    }

    /// The values with the largest sums of these directions, the largest first; equal ones in their order.
    pub(super) fn largest(&self, tables: &Tables, directions: &[Direction]) -> Vec<Value> {
        let mut sums: HashMap<Value, Counters> = HashMap::new();
        for of in directions {
            let rows = tables.rows_of(self.field.of(*of)).filter(|(direction, ..)| direction == of);
            rows.for_each(|(_, name, counters)| sums.entry(name.value).or_default().add(counters));
        }
        let (_, measure) = self.by;
        let mut sorted: Vec<(Value, u64)> = sums.iter().map(|(value, sum)| (*value, measure.of(sum))).collect();
        sorted.sort_unstable_by(|(value, sum), (other, larger)| larger.cmp(sum).then(value.cmp(other)));
        if let Chosen::Largest(most) = self.chosen {
            sorted.truncate(most);
        }
        sorted.into_iter().map(|(value, _)| value).collect()
    }

    /// What the values have of a total.
    pub(super) fn parts(
        &self,
        values: &[Value],
        (direction, tables): (Direction, &Tables),
        (step, interfaces): (Range, &InterfaceNames),
    ) -> Parts {
        let field = self.field.of(direction);
        let other = tables.unnamed(direction, field);
        let mut rest = tables.get(direction, Name::ALL).unwrap_or_default();
        rest.subtract(other);
        let rows = values.iter().map(|value| {
            let name = Name { field, value: *value };
            let counters = tables.get(direction, name).unwrap_or_default();
            rest.subtract(counters);
            RowCounted {
                counters: counters.into(),
                percent_of_speed: interfaces.percent_of_speed(name, step, counters.bytes),
            }
        });
        let rows = rows.collect();
        Parts { rows, rest: rest.into(), other: other.into() }
    }

    /// Whether counters of values may be too low.
    pub(super) fn is_partial(&self, tables: &Tables, direction: Direction) -> bool {
        tables.is_partial(direction, self.field.of(direction))
    }

    /// How the answer lists a value.
    pub(super) fn row(&self, value: Value, names: &ValueNames, range: Range) -> Row {
        let name = Name { field: self.field.incoming, value };
        let text = name.to_string();
        // Values of ends have the names of those of fields.
        let value = text.split_once(':').map_or("", |(_, value)| value);
        let called = names.of(name, range).into_values().map(|called| (self.field.name, called));
        Row {
            name: format!("{}:{value}", self.field.name),
            names: called.collect(),
            interfaces: names.interfaces.listed(name, range),
        }
    }
}

impl SplitField {
    fn all() -> Vec<(&'static str, Self)> {
        let fields = Field::ALL.into_iter().skip(1).map(|field| (field.name(), field, field));
        let ends = ENDS.into_iter().map(|(name, incoming)| (name, incoming, incoming.reverse()));
        let of = |(name, incoming, outgoing)| (name, Self { name, incoming, outgoing });
        fields.chain(ends).map(of).collect()
    }

    fn of(&self, direction: Direction) -> Field {
        match direction {
            Direction::In | Direction::InLocal => self.incoming,
            Direction::Out | Direction::OutLocal => self.outgoing,
        }
    }

    /// Values with commas, each once.
    fn values(&self, text: &str) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        for text in text.split(',') {
            let name: Name =
                format!("{}:{text}", self.incoming.name()).parse().map_err(|error| problem("values", error))?;
            if !values.contains(&name.value) {
                values.push(name.value);
            }
        }
        if values.len() > MOST_VALUES {
            return Err(problem("values", format_args!("has {} values; at most {MOST_VALUES} fit", values.len())));
        }
        Ok(values)
    }
}

/// The words of `field`, for the description of the interface.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    SplitField::all().into_iter().map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_and_own_ends_change_sides_with_the_direction() {
        let all: HashMap<_, _> = SplitField::all().into_iter().collect();
        for (name, incoming, outgoing) in [
            ("remoteip", "srcip", "dstip"),
            ("ownport", "dstport", "srcport"),
            ("remoteas", "srcas", "dstas"),
            ("owncountry", "dstcountry", "srccountry"),
            ("srcip", "srcip", "srcip"),
            ("inif", "inif", "inif"),
        ] {
            let field = all[name];
            assert_eq!((field.incoming.name(), field.outgoing.name()), (incoming, outgoing), "{name}");
        }
        assert!(!all.contains_key("all"));
    }
}
