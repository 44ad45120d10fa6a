//! What keeps flows from ClickHouse, and what to do.

use std::io;

use thiserror::Error;

/// Why ClickHouse does not do what it is asked for.
#[derive(Debug, Error)]
pub enum Error {
    /// No host can be reached. Nothing was sent.
    #[error("cannot reach ClickHouse at {host}: {why}")]
    Unreachable {
        /// The last one that was tried, `host:port`.
        host: String,
        /// Why.
        why: String,
    },
    /// There was no answer, or not all of it: whether the request was carried out is unknown.
    #[error("no answer from ClickHouse at {host}: {source}")]
    Lost {
        /// Its `host:port`.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// What answers is not ClickHouse.
    #[error(
        "what answers at {host} is not ClickHouse's HTTP interface (HTTP status {status}: '{text}'); check the port, which is 8123, or 8443 with TLS (clickhouse.hosts, clickhouse.tls)"
    )]
    Nonsense {
        /// Its `host:port`.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The begin of the answer.
        text: String,
    },
    /// ClickHouse answered with an exception.
    #[error("ClickHouse at {host} refuses: {text}{}", advice(*code))]
    Refused {
        /// Its `host:port`.
        host: String,
        /// The number of the exception.
        code: u32,
        /// Its text, shortened.
        text: String,
    },
    /// An answer is not what was asked for.
    #[error("ClickHouse at {host} gives an answer that cannot be read: '{text}'")]
    Unreadable {
        /// Its `host:port`.
        host: String,
        /// The begin of the answer.
        text: String,
    },
    /// An insert could not be compressed.
    #[error("cannot compress flows: {0}")]
    Compression(io::Error),
    /// The table is not as the collector needs it.
    #[error("the table {table} {what}")]
    Table {
        /// Its name, with that of the database.
        table: String,
        /// What is wrong, and what to do.
        what: String,
    },
}

/// Numbers of exceptions (`src/Common/ErrorCodes.cpp` of ClickHouse).
pub(crate) mod code {
    pub(crate) const NO_SUCH_COLUMN: u32 = 16;
    pub(crate) const UNKNOWN_TABLE: u32 = 60;
    pub(crate) const UNKNOWN_DATABASE: u32 = 81;
    pub(crate) const UNKNOWN_SETTING: u32 = 115;
    pub(crate) const READONLY: u32 = 164;
    pub(crate) const TIMEOUT_EXCEEDED: u32 = 159;
    pub(crate) const UNKNOWN_USER: u32 = 192;
    pub(crate) const WRONG_PASSWORD: u32 = 193;
    pub(crate) const REQUIRED_PASSWORD: u32 = 194;
    pub(crate) const TOO_MANY_QUERIES: u32 = 202;
    pub(crate) const SAME_ID_IS_RUNNING: u32 = 216;
    pub(crate) const MEMORY_LIMIT: u32 = 241;
    pub(crate) const TABLE_IS_READ_ONLY: u32 = 242;
    pub(crate) const NOT_ENOUGH_SPACE: u32 = 243;
    pub(crate) const TOO_MANY_PARTS: u32 = 252;
    pub(crate) const TOO_FEW_REPLICAS: u32 = 285;
    pub(crate) const QUERY_WAS_CANCELLED: u32 = 394;
    pub(crate) const SETTING_CONSTRAINT: u32 = 452;
    pub(crate) const ACCESS_DENIED: u32 = 497;
    pub(crate) const AUTHENTICATION_FAILED: u32 = 516;
}

const fn advice(number: u32) -> &'static str {
    match number {
        code::UNKNOWN_USER | code::WRONG_PASSWORD | code::REQUIRED_PASSWORD | code::AUTHENTICATION_FAILED => {
            "; check clickhouse.user and clickhouse.password"
        }
        code::UNKNOWN_DATABASE => "; create the database (CREATE DATABASE), or set clickhouse.database",
        code::UNKNOWN_TABLE => "; the collector creates it again, if it may",
        code::NO_SUCH_COLUMN => "; the table was changed: the collector compares it again",
        code::ACCESS_DENIED => "; grant it to the user (clickhouse.user)",
        code::READONLY | code::SETTING_CONSTRAINT => {
            "; the user needs a profile that is not read-only and permits these settings"
        }
        code::UNKNOWN_SETTING => "; ClickHouse 24.3 or later is needed",
        code::TOO_MANY_QUERIES => "; the server is busy",
        code::SAME_ID_IS_RUNNING => "; an insert whose outcome is unknown is still running there",
        code::MEMORY_LIMIT => "; the server needs more memory",
        code::TABLE_IS_READ_ONLY => "; has the replica lost its Keeper?",
        code::NOT_ENOUGH_SPACE => "; free disk space there, or shorten the TTL of the table",
        code::TOO_MANY_PARTS => "; merges of the table lag: has the server enough processors and disk?",
        code::TOO_FEW_REPLICAS => "; start the other replicas",
        _ => "",
    }
}
