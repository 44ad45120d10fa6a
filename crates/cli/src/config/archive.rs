//! The settings of the archive of flows, and of questions about flows.

use std::num::NonZero;
use std::time::Duration;

/// The archive of flows, a reader of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archive {
    /// `enabled`: whether flows are kept.
    pub(crate) enabled: bool,
    /// `keep`: for how long.
    pub(crate) keep: Duration,
    /// `maxBytes`: its size limit.
    pub(crate) max_bytes: usize,
    /// `freePercent`: how much of the disk it leaves free; `None` (0 in the file) for nothing.
    pub(crate) free_percent: Option<NonZero<usize>>,
    /// `query`: what answers questions about flows.
    pub(crate) query: Query,
    /// `queryMemory`: what a question may take in ClickHouse.
    pub(crate) query_memory: usize,
}

/// What answers questions about flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Query {
    /// `local`: the archive of this collector.
    #[default]
    Local,
    /// `clickhouse`: the table that flows are sent to.
    Clickhouse,
}

impl Archive {
    /// The name of the reader of the log.
    pub(crate) const READER: &str = "archive";
}
