//! Questions about flows to the table in ClickHouse, with the same answers as those of the archive.
//!
//! | file | content |
//! | --- | --- |
//! | `groups` | **groups of flows**: the first ones in an order, and the exact rest |
//! | `series` | **the first groups in steps of time** |
//! | `rows` | **flows one by one** |
//! | `conditions` | filters as conditions of SQL |
//! | `expressions` | columns, derived values, keys and sums as expressions of SQL |
//! | `parameters` | values that are bound: no value and no word of a question is ever a part of a statement |
//! | `answer` | what ClickHouse returns, as values |
//!
//! Statements consist of texts of these files and of names of the table of columns. A statement is limited in time and memory,
//! and is killed when its question is cancelled.

mod answer;
mod conditions;
mod expressions;
mod groups;
mod parameters;
mod rows;
mod series;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Read as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use archive::scan::{Database, GroupQuestion, Groups, Read, RowQuestion, Rows, ScanError, Series};
use columns::Id;
use filter::Filter;
use flow::Timestamp;
use questions::FlowSource;

use crate::client::{Client, Request};
use crate::error::{Error, code};
use crate::table;
use answer::Table;
use parameters::Parameters;

/// What answers that are from here are called.
const NAME: &str = "clickhouse";
/// How much earlier than the question a request ends, and than that a statement by itself, so that the reason is known.
const GRACE: Duration = Duration::from_secs(5);
/// The least time of a statement.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// How often a statement is killed until it has ended.
const KILLED_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the question is cancelled.
const LOOKED_EVERY: Duration = Duration::from_millis(50);
/// How much memory an answer takes, compared with its text.
const MEMORY_OF_TEXT: usize = 10;
/// The longest statement that the servers take, and the most nodes of its tree: those of the longest filter.
const LONGEST_STATEMENT: &str = "16777216";
const MOST_NODES: &str = "1000000";

/// The table that is asked, and what a question may take.
#[derive(Clone, Copy, Debug)]
pub struct TableScan<'s> {
    /// Where it is.
    pub client: &'s Client,
    /// The memory of an answer here at most, in octets, about.
    pub octets: usize,
    /// The memory of a statement in ClickHouse at most, in octets.
    pub server_octets: u64,
    /// How long a statement may take.
    pub patience: Duration,
    /// Set by another thread, it ends the question.
    pub cancelled: &'s AtomicBool,
}

impl FlowSource for TableScan<'_> {
    fn groups(&self, question: &GroupQuestion) -> Result<Groups, ScanError> {
        groups::answer(self, question)
    }

    fn series(&self, question: &GroupQuestion, time: Id, milliseconds: u64) -> Result<Series, ScanError> {
        series::answer(self, question, time, milliseconds)
    }

    fn rows(&self, question: &RowQuestion) -> Result<Rows, ScanError> {
        rows::answer(self, question)
    }
}

impl TableScan<'_> {
    /// From which flows an answer is: the part of a statement after what is selected.
    fn of_flows(&self, received: &Range<Timestamp>, filter: &Filter, parameters: &mut Parameters) -> String {
        let settings = self.client.settings();
        let name = table::full_name(&settings.database, &settings.table);
        let received = expressions::received_in(received, parameters);
        let matched = conditions::of_filter(filter, parameters);
        format!("FROM {name} WHERE {received} AND {matched}")
    }

    /// What is known of the table, beside an answer.
    fn read(&self, rows: u64, matched: u64) -> Result<Read, ScanError> {
        let settings = self.client.settings();
        let name = table::full_name(&settings.database, &settings.table);
        let time = Id::Received.column().clickhouse;
        let number = |extreme: &str| format!("toString(toUnixTimestamp64Milli({extreme}({time})))");
        let (first, last) = (number("min"), number("max"));
        // Of the column itself, ClickHouse knows these for each part of the table, and reads no rows.
        let found =
            self.ask(&format!("SELECT toString(count()), {first}, {last} FROM {name}"), &Parameters::default())?;
        let [count, first, last] = found.only()?;
        let time = |text: &str| answer::number(text).map(Timestamp::from_milliseconds);
        let is_empty = answer::number(count)? == 0;
        let hour = |first: Timestamp| expressions::hour_of(first).start.timestamp();
        let since = if is_empty { None } else { Some(hour(time(first)?)) };
        let reaches = if is_empty { None } else { Some(time(last)?) };
        Ok(Read { rows, matched, since, database: Some(Database { name: NAME, reaches }), ..Read::default() })
    }

    /// The answer to a statement.
    fn ask(&self, sql: &str, parameters: &Parameters) -> Result<Table, ScanError> {
        let text = self.watched(&format!("{sql} FORMAT JSONCompact"), parameters)?;
        Table::read(&text)
    }

    /// Sends a statement, which is killed when the question is cancelled.
    fn watched(&self, sql: &str, parameters: &Parameters) -> Result<Vec<u8>, ScanError> {
        if self.is_cancelled() {
            return Err(ScanError::Cancelled);
        }
        let id = &identity();
        let (ended, watched) = mpsc::channel::<()>();
        let text = thread::scope(|scope| {
            let watch = thread::Builder::new().name("question".to_owned());
            // Without a watch, it ends when its time is over.
            _ = watch.spawn_scoped(scope, move || self.kill_if_cancelled(id, &watched));
            let text = self.send(sql, parameters, id);
            drop(ended);
            text
        });
        if self.is_cancelled() { Err(ScanError::Cancelled) } else { text }
    }

    fn send(&self, sql: &str, parameters: &Parameters, id: &str) -> Result<Vec<u8>, ScanError> {
        let patience = self.patience.saturating_sub(2 * GRACE).max(LEAST_TIME);
        let seconds = patience.as_secs().to_string();
        let (octets, half) = (self.server_octets.to_string(), (self.server_octets / 2).to_string());
        let settings = [
            ("max_execution_time", seconds.as_str()),
            ("max_memory_usage", &octets),
            ("max_bytes_before_external_group_by", &half),
            ("max_query_size", LONGEST_STATEMENT),
            ("max_ast_elements", MOST_NODES),
            ("max_expanded_ast_elements", MOST_NODES),
            ("exact_rows_before_limit", "1"),
            ("cancel_http_readonly_queries_on_client_close", "1"),
            // Whatever the profile of the user has: an answer is whole and of now, or an error.
            ("timeout_overflow_mode", "throw"),
            ("read_overflow_mode", "throw"),
            ("group_by_overflow_mode", "throw"),
            ("sort_overflow_mode", "throw"),
            ("set_overflow_mode", "throw"),
            ("result_overflow_mode", "throw"),
            ("use_query_cache", "0"),
        ];
        let bound = parameters.all()?;
        let request = Request {
            settings: &settings,
            parameters: &bound,
            id: Some(id),
            patience: patience + GRACE,
            ..Request::new(sql)
        };
        let answer = self.client.send(&request).map_err(|error| self.failed(&error))?;
        let host = answer.host().to_owned();
        let longest = self.octets / MEMORY_OF_TEXT;
        let mut text = Vec::new();
        let read = answer.take(longest as u64 + 1).read_to_end(&mut text);
        read.map_err(|source| self.failed(&Error::Lost { host, source }))?;
        if text.len() > longest { Err(ScanError::TooLarge { octets: self.octets }) } else { Ok(text) }
    }

    fn kill_if_cancelled(&self, id: &str, ended: &Receiver<()>) {
        let mut pause = LOOKED_EVERY;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if self.is_cancelled() {
                // Again and again: the first time, the statement may not have begun. If all fail, it ends when its time is over.
                pause = KILLED_EVERY;
                let kill = Request::new("KILL QUERY WHERE query_id = {id:String} ASYNC");
                _ = self.client.text(&kill.with(&[("id", id)]));
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn failed(&self, error: &Error) -> ScanError {
        match error {
            // The limit of all of the server is none of the question.
            Error::Refused { code: code::MEMORY_LIMIT, text, .. } if !text.contains("(total)") => {
                ScanError::TooLarge { octets: usize::try_from(self.server_octets).unwrap_or(usize::MAX) }
            }
            Error::Refused { code: code::TIMEOUT_EXCEEDED, .. } => ScanError::TooLong { limit: self.patience },
            Error::Refused { code: code::QUERY_WAS_CANCELLED, .. } => ScanError::Cancelled,
            error => ScanError::Database(error.to_string()),
        }
    }
}

/// The identity of a statement: no other one has it.
fn identity() -> String {
    format!("netflow-question-{:016x}", RandomState::new().build_hasher().finish())
}
