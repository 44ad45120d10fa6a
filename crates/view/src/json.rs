//! How values become JSON where their fields alone do not say it: times as text, lists of named values as objects that
//! keep the order of the list.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use crate::{Counter, Gauge};

/// A value by its [`Display`].
pub(crate) fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The same, or null.
pub(crate) fn optional_text<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Numbers by name.
pub(crate) fn numbers<S: Serializer>(list: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(list.iter().copied())
}

/// Counters by name: a number for one without labels, otherwise an object of numbers by label.
pub(crate) fn counters<S: Serializer>(list: &[Counter], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(list.iter().map(|counter| (counter.name, Values(counter))))
}

/// Gauges by name.
pub(crate) fn gauges<S: Serializer>(list: &[Gauge], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(list.iter().map(|gauge| (gauge.name, Measured { value: gauge.value, limit: gauge.limit })))
}

struct Values<'c>(&'c Counter);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.values.as_slice() {
            [(None, value)] => serializer.serialize_u64(*value),
            values => {
                serializer.collect_map(values.iter().map(|(label, value)| (label.map_or("", |(_, of)| of), value)))
            }
        }
    }
}

#[derive(Serialize)]
struct Measured {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
}
