//! The parameters that several routes have, as the document describes them. They are read in `parameters` and `routes`.
#![expect(dead_code, reason = "what is derived of these is all that is used")]

use accounting::direction::Direction;
use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// Whom it is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfSender {
    /// The address of the sender
    #[param(example = "192.0.2.1")]
    sender: String,
}

/// Which of its prefixes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfPrefix {
    /// One of its prefixes
    #[param(example = "172.16.1.0/24")]
    prefix: String,
}

/// What way, and when.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfRange {
    /// Where flows go, seen from the prefix
    #[param(schema_with = direction)]
    direction: Option<String>,
    /// The first minute, UTC, such as 2026-11-23T05:01Z or 2026-11-23
    from: Option<String>,
    /// The first minute behind it
    to: Option<String>,
}

fn direction() -> Object {
    one_of(Direction::ALL.map(Direction::name))
}

/// A text that is one of these words.
pub(crate) fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
