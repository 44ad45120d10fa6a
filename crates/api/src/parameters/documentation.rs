//! Parameters that several routes share, as the OpenAPI document describes them.
#![expect(dead_code, reason = "what is derived of these is all that is used")]

use accounting::direction::Direction;
use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::Measure;

/// The sender in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfSender {
    /// Address of the sender
    #[param(example = "192.0.2.1")]
    sender: String,
}

/// The senders of a group.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfSenders {
    /// all, tag:edge, or addresses; several with commas
    #[param(example = "tag:edge,192.0.2.1")]
    sender: String,
}

/// The prefix.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfPrefix {
    /// A monitored prefix of the sender
    #[param(example = "172.16.1.0/24")]
    prefix: String,
}

/// The prefixes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfPrefixes {
    /// A monitored prefix; the name, customer or tag of networks; several of these with commas; or all
    #[param(example = "172.16.1.0/24")]
    prefix: String,
}

/// One direction.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfDirection {
    /// Direction relative to the prefix
    #[param(schema_with = direction)]
    direction: Option<String>,
}

/// Several directions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfDirections {
    /// Directions relative to the prefix: in, out, in:local, out:local; several with commas
    #[param(example = "in,out")]
    direction: Option<String>,
}

/// The time range.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfRange {
    /// Start of the range (inclusive): 2026-11-23T05:01Z, 2026-11-23, 14:00, yesterday, -2h, or seconds since 1970
    from: Option<String>,
    /// End of the range (exclusive), in the same forms; default: now
    to: Option<String>,
    /// Instead of from: the length of the range, such as 15m, 1h or 7d
    last: Option<String>,
}

/// The time zone.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfZone {
    /// Time zone of dates: a name of the IANA database, or an offset such as +05:30; default: UTC
    #[param(example = "Europe/Berlin")]
    tz: Option<String>,
}

fn direction() -> Object {
    one_of(Direction::ALL.map(Direction::name))
}

/// Counters to sort by.
pub(crate) fn measures() -> Object {
    one_of(Measure::words())
}

/// A text that is one of these words.
pub(crate) fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
