//! What an answer was read from, and what is missing in it.

use archive::missing::Missing;
use archive::scan::{LeftOut, Read};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::QuestionError;
use crate::scope::Scope;

/// What an answer was read from, and what is missing in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FlowsCoverage)]
pub struct Coverage {
    /// From when on the archive has flows: older ones were deleted or never archived. Null if it has none.
    pub since: Option<String>,
    /// When the last flow was received that the answer may have; later ones are not archived yet. Null if only files were read.
    pub reaches: Option<String>,
    /// What was counted in the time of the question and may be missing in the answer, because it could not be archived.
    pub missing: Vec<MissingFlows>,
    /// What could not be read and is missing in the answer.
    pub left_out: Vec<LeftOutFile>,
    /// The database that answered instead of the files of the archive: `clickhouse`; absent if files were read. What did not reach
    /// the database, and what is no longer there, is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// What was read; absent for keys that are limited to senders, and if a database answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadFiles>,
}

/// Flows that were counted and could not be archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissingFlows {
    /// They were received after this time,
    pub from: String,
    /// and until this one.
    pub until: String,
    /// Why: `log_full`, `unreadable`, `damaged` or `skipped`.
    pub reason: String,
    /// How much is missing; absent for keys that are limited to senders.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<MissingAmount>,
}

/// How much could not be archived, of all exporters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingAmount {
    /// Segments of the log.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that are missing beside these.
    pub records: u64,
}

/// A file, or a part of it, that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOutFile {
    /// The file, below the folder of the archive.
    pub file: String,
    /// Its first row that is missing; null if all are.
    pub first_row: Option<u64>,
    /// How many rows are missing; null if all are.
    pub rows: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadFiles {
    /// Files that were opened.
    pub files: u64,
    /// Groups of rows in them that were read.
    pub row_groups: u64,
    /// Groups of rows that cannot have flows that match, by their statistics.
    pub row_groups_skipped: u64,
    /// The rows of the groups that were read.
    pub rows: u64,
}

impl Coverage {
    /// Of what was read for an answer.
    ///
    /// # Errors
    /// When all of the range of the question is before what the archive has.
    pub(crate) fn new(read: &Read, scope: &Scope) -> Result<Self, QuestionError> {
        let text = |time| scope.zone.display_time(time);
        if let Some(since) = read.since.filter(|since| scope.received.end <= *since) {
            let since = text(since);
            let message = format!("the archive has flows from {since} on: older ones were deleted, or never archived");
            return Err(QuestionError::new("to", message));
        }
        let read_files = ReadFiles {
            files: read.parts,
            row_groups: read.groups,
            row_groups_skipped: read.groups_skipped,
            rows: read.rows,
        };
        let reaches = read.reaches.map(|reach| reach.received).or(read.database.and_then(|database| database.reaches));
        Ok(Self {
            since: read.since.map(text),
            reaches: reaches.map(text),
            missing: read.missing.iter().map(|missing| MissingFlows::new(missing, scope)).collect(),
            left_out: read.left_out.iter().map(LeftOutFile::from).collect(),
            database: read.database.map(|database| database.name.to_owned()),
            read: (!scope.is_limited() && read.database.is_none()).then_some(read_files),
        })
    }

    /// Whether nothing is known to be missing in what the archive has.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left_out.is_empty() && self.missing.is_empty()
    }
}

impl MissingFlows {
    fn new(missing: &Missing, scope: &Scope) -> Self {
        let Missing { from, until, segments, octets, records, reason, .. } = *missing;
        Self {
            from: scope.zone.display_time(from),
            until: scope.zone.display_time(until),
            reason: reason.name().to_owned(),
            amount: (!scope.is_limited()).then_some(MissingAmount { segments, bytes: octets, records }),
        }
    }
}

impl From<&LeftOut> for LeftOutFile {
    fn from(LeftOut { name, rows, reason }: &LeftOut) -> Self {
        Self {
            file: name.path().display().to_string(),
            first_row: rows.as_ref().map(|rows| rows.start),
            rows: rows.as_ref().map(|rows| rows.end - rows.start),
            reason: reason.clone(),
        }
    }
}
