//! The files with AS numbers, AS names and countries, and the table that was made of them.

use flow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::json;

/// The files with AS numbers, AS names and countries of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OriginFiles {
    /// When the table in use was read, RFC 3339; null if none is.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub read: Option<Timestamp>,
    /// Ranges of IPv4 addresses with an AS or a country in the table in use.
    pub ipv4_ranges: usize,
    /// The same of IPv6.
    pub ipv6_ranges: usize,
    /// AS with a name in it.
    pub names: usize,
    /// What it occupies in memory.
    pub bytes: usize,
    /// How often the files were read since the start, and the table in use was replaced.
    pub reads: u64,
    /// How often the files were read since the start, and one could not be used: the table in use stayed.
    pub failures: u64,
    /// The files of `origins.files`, in their order; at most 16.
    pub files: Vec<OriginFile>,
}

/// A file of `origins.files`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OriginFile {
    /// Where it is.
    pub path: String,
    /// What it is, such as `MaxMind database GeoLite2-ASN`; null if it is not in use.
    pub kind: Option<String>,
    /// When a MaxMind database was built by its publisher, RFC 3339.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub built: Option<Timestamp>,
    /// When what is in use of it was last modified, RFC 3339.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub modified: Option<Timestamp>,
    /// Its ranges of IPv4 addresses.
    pub ipv4_ranges: usize,
    /// Its ranges of IPv6 addresses.
    pub ipv6_ranges: usize,
    /// AS that it names.
    pub names: usize,
    /// Why it could not be used when it was last read, with the place in it; null if it could.
    pub error: Option<String>,
    /// Since when it cannot be used, RFC 3339.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub failing_since: Option<Timestamp>,
}
