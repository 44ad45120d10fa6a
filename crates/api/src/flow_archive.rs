//! The archive of flows that is asked, or the table in ClickHouse with the same flows. A question reads files for seconds: it takes
//! a turn, runs in the background while nothing else needs a processor, and ends when its client has gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use archive::scan::{Progress, ScanError};
use archive::{OpenParts, Scan};
use axum::body::Bytes;
use clickhouse::{Client, TableScan};
use questions::{AnswerError, FlowSource, QuestionError};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use view::Counter;

use crate::Api;
use crate::error::Error;
use crate::parameters::problem;
use crate::party::Party;

/// How long a question may take, its wait for a turn included: less than `ANSWER_TIMEOUT`.
const PATIENCE: Duration = Duration::from_secs(55);

/// The flows that are kept, for questions. Clones are the same.
#[derive(Clone, Debug)]
pub struct FlowArchive(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    flows: Flows,
    /// The memory of a question, in octets.
    memory: usize,
    closed: watch::Sender<bool>,
    asked: Asked,
}

/// Where the flows are.
#[derive(Debug)]
enum Flows {
    /// In files, and in what is in no complete file yet.
    Archive { folder: PathBuf, open: OpenParts },
    /// In ClickHouse, where a question takes this many octets of memory at most.
    ClickHouse { client: Client, memory: u64 },
}

/// How many questions have begun, and how they ended.
#[derive(Debug, Default)]
struct Asked {
    begun: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl FlowArchive {
    /// How many questions are answered at a time.
    pub const AT_ONCE: usize = 2;

    /// The archive in a folder, and what is in no complete file yet. A question takes this many octets of memory at most.
    #[must_use]
    pub fn new(folder: PathBuf, open: OpenParts, memory: usize) -> Self {
        Self::of(Flows::Archive { folder, open }, memory)
    }

    /// The table in ClickHouse. A question takes this many octets of memory at most here, and this many there.
    #[must_use]
    pub fn in_clickhouse(client: Client, memory: usize, memory_there: u64) -> Self {
        Self::of(Flows::ClickHouse { client, memory: memory_there }, memory)
    }

    fn of(flows: Flows, memory: usize) -> Self {
        Self(Arc::new(Shared { flows, memory, closed: watch::Sender::new(false), asked: Asked::default() }))
    }

    /// Ends all questions: the collector stops.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Answers a question: the JSON of the answer.
    fn answer<A: Serialize>(
        &self,
        cancelled: &AtomicBool,
        threads: usize,
        patience: Duration,
        progress: &Progress,
        answer: impl FnOnce(&dyn FlowSource) -> Result<A, AnswerError>,
    ) -> Result<Bytes, Error> {
        let Shared { flows, memory, asked, .. } = &*self.0;
        let octets = *memory;
        asked.begun.fetch_add(1, Ordering::Relaxed);
        let found = match flows {
            Flows::Archive { folder, open } => {
                answer(&Scan { folder, open: Some(open), octets, threads, cancelled, progress: Some(progress) })
            }
            Flows::ClickHouse { client, memory } => {
                answer(&TableScan { client, octets, server_octets: *memory, patience, cancelled })
            }
        };
        let ended = match &found {
            Ok(_) => &asked.answered,
            Err(AnswerError::Scan(ScanError::Cancelled)) => &asked.cancelled,
            Err(_) => &asked.failed,
        };
        ended.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_vec(&found?);
        text.map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "cannot write an answer about flows");
            Error::Internal
        })
    }

    /// How many questions are being answered.
    pub(crate) fn running(&self) -> u64 {
        let Asked { begun, answered, failed, cancelled } = &self.0.asked;
        let ended: u64 = [answered, failed, cancelled].map(|count| count.load(Ordering::Relaxed)).iter().sum();
        begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// How many questions have ended.
    pub(crate) fn ended(&self) -> Counter {
        let Asked { answered, failed, cancelled, .. } = &self.0.asked;
        let value = |result, count: &AtomicU64| (Some(("result", result)), count.load(Ordering::Relaxed));
        Counter {
            name: "flow_questions",
            help: "Questions about archived flows that have ended",
            values: vec![value("answered", answered), value("failed", failed), value("cancelled", cancelled)],
        }
    }
}

impl Api {
    /// The JSON of the answer to a question about flows.
    pub(crate) async fn ask_flow_archive<A: Serialize>(
        &self,
        party: Party,
        answer: impl FnOnce(&dyn FlowSource) -> Result<A, AnswerError> + Send + 'static,
    ) -> Result<Bytes, Error> {
        self.watch_flow_archive(party, PATIENCE, Arc::default(), answer).await
    }

    /// The same, with another time that it may take, its wait for a turn included; it counts what it reads.
    pub(crate) async fn watch_flow_archive<A: Serialize>(
        &self,
        party: Party,
        patience: Duration,
        progress: Arc<Progress>,
        answer: impl FnOnce(&dyn FlowSource) -> Result<A, AnswerError> + Send + 'static,
    ) -> Result<Bytes, Error> {
        let archive = self.flow_archive.clone().ok_or_else(|| {
            let message = "this collector keeps no flows: set archive.enabled = true, or archive.query = \"clickhouse\" if \
                           ClickHouse has them, and restart it";
            Error::NotFound(message.into())
        })?;
        let mut closed = archive.0.closed.subscribe();
        let end = Instant::now() + patience;
        let answered = async {
            let turn = timeout_at(end, self.work_turns.scan_turn(party)).await.map_err(|_| busy())?;
            let scan =
                move |cancelled: &AtomicBool, threads| archive.answer(cancelled, threads, patience, &progress, answer);
            timeout_at(end, self.work_turns.scan(turn, scan)).await.map_err(|_| too_long(patience))??
        };
        tokio::select! {
            answer = answered => answer,
            _ = closed.wait_for(|closed| *closed) => Err(Error::Busy("the collector is stopping".into())),
        }
    }
}

fn busy() -> Error {
    Error::Busy("too many concurrent questions about flows; retry later".into())
}

fn too_long(patience: Duration) -> Error {
    let seconds = patience.as_secs();
    Error::TooMuch(format!(
        "the answer takes longer than {seconds} seconds: ask for a shorter time or for fewer exporters, or filter more"
    ))
}

impl From<QuestionError> for Error {
    fn from(error: QuestionError) -> Self {
        let QuestionError { word, column, message } = error;
        match column {
            Some(column) => problem(&word, format_args!("column {column}: {message}")),
            None => problem(&word, message),
        }
    }
}

impl From<AnswerError> for Error {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Question(error) => error.into(),
            AnswerError::Scan(ScanError::TooLarge { .. } | ScanError::TooLong { .. }) => {
                Self::TooMuch(error.to_string())
            }
            AnswerError::Scan(ScanError::Invalid(message)) => Self::BadRequest(message),
            // Its client has gone, or gets another answer.
            AnswerError::Scan(ScanError::Cancelled) => Self::Busy("the question was cancelled".into()),
            AnswerError::Scan(ScanError::Database(message)) => {
                tracing::warn!("a question about flows has no answer: {message}");
                Self::NoAnswer(message)
            }
            AnswerError::Scan(ScanError::Folder(_)) => {
                tracing::error!(%error, "request failed");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn why_there_is_no_answer_decides_the_status() {
        let wrong = QuestionError { word: "by".to_owned(), column: Some(3), message: "x".to_owned() };
        for (error, expected) in [
            (AnswerError::Question(wrong), StatusCode::BAD_REQUEST),
            (ScanError::Invalid("x".to_owned()).into(), StatusCode::BAD_REQUEST),
            (ScanError::TooLarge { octets: questions::MEMORY }.into(), StatusCode::UNPROCESSABLE_ENTITY),
            (ScanError::TooLong { limit: PATIENCE }.into(), StatusCode::UNPROCESSABLE_ENTITY),
            (ScanError::Database("x".to_owned()).into(), StatusCode::SERVICE_UNAVAILABLE),
            (ScanError::Cancelled.into(), StatusCode::SERVICE_UNAVAILABLE),
            (ScanError::Folder(std::io::ErrorKind::PermissionDenied.into()).into(), StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            assert_eq!(Error::from(error).into_response().status(), expected);
        }
    }
}
