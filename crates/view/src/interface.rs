//! What an interface of an exporter is called, and for which time.

use flow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::json;

/// An interface, as it was called for some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Interface {
    /// Its SNMP index, the value of `inif` and `outif`.
    pub index: u32,
    /// Its name, such as `ge-0/0/1`.
    pub name: Option<String>,
    /// What it is for, or a longer name.
    pub description: Option<String>,
    /// Its speed in bits a second.
    pub speed: Option<u64>,
    /// Where the name is from: `options` (options data), `configured` (`interfaces.known`), `snmp`.
    pub source: &'static str,
    /// From when this is valid, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// Until when; null for the present.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
}
