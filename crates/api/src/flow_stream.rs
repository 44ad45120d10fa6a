//! Answers about flows of a long time, as lines: how far the question is, exact answers about the newest part of the time, and
//! the answer. Each part takes a turn of its own, so other questions need not wait until the whole of it is answered.

use std::sync::Arc;
use std::time::Duration;

use archive::scan::Progress;
use axum::body::Bytes;
use axum::response::Response;
use questions::Question;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use crate::Api;
use crate::answers::counted_part;
use crate::connections::Connection;
use crate::error::Error;
use crate::party::Party;
use crate::server::Until;
use crate::streams::{self, LINES};

/// How long each part may take, its wait for a turn included.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often the client gets to know how far its question is.
const INTERVAL: Duration = Duration::from_millis(250);
/// The lines that wait for a client. One that reads more slowly misses others, but not the answer.
const WAITING: usize = 4;

/// A line has one of these.
#[derive(utoipa::ToSchema)]
#[schema(as = FlowsLine)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
pub(crate) struct AnyLine {
    #[schema(required = false)]
    progress: Option<ProgressLine>,
    /// The answer about the newest part of the time, as if only that had been asked for.
    #[schema(value_type = Object, required = false)]
    part: Option<()>,
    /// The answer, as without `stream`: the last line.
    #[schema(value_type = Object, required = false)]
    answer: Option<()>,
    /// Why there is no answer: the last line instead of it.
    #[schema(required = false)]
    error: Option<crate::error::Body>,
}

/// A line, apart from those with an answer.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Progress(ProgressLine),
    Error(crate::error::Body),
}

/// How far a question is.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FlowsProgress)]
struct ProgressLine {
    /// When the time begins of which flows are being read now; it ends with that of the question.
    from: String,
    /// How much of the files of this time was read. It may decrease, when groups do not fit into memory.
    percent: u64,
}

/// Who is answered.
struct Stream {
    api: Api,
    party: Party,
    leave: Arc<Notify>,
    lines: mpsc::Sender<Bytes>,
}

impl Api {
    /// Answers a question in lines, until its client or the collector has gone.
    pub(crate) fn stream_flow_archive(
        &self,
        party: Party,
        connection: Option<&Connection>,
        until: Option<Until>,
        question: impl Question,
    ) -> Result<Response, Error> {
        let place = self.flow_streams.open(party.key().ok_or(Error::Internal)?)?;
        let (lines, queue) = mpsc::channel(WAITING);
        let working = connection.map(|connection| connection.work(party));
        let leave = connection.map(Connection::leave).unwrap_or_default();
        let stream = Stream { api: self.clone(), party, leave, lines };
        tokio::spawn(async move {
            let (_place, _working) = (place, working);
            let reloaded = async {
                match until {
                    Some(mut until) => until.ended().await,
                    None => std::future::pending().await,
                }
            };
            // What reads the archive ends as soon as nobody waits for it.
            tokio::select! {
                () = stream.answer(question) => {}
                () = stream.lines.closed() => {}
                () = reloaded => {}
            }
        });
        Ok(streams::response(LINES, queue))
    }
}

impl Stream {
    /// Sends the answers about all parts.
    async fn answer(&self, question: impl Question) {
        let mut parts = question.parts().into_iter().peekable();
        while let Some(part) = parts.next() {
            let is_whole = parts.peek().is_none();
            match self.answer_part(part).await {
                Ok(answer) if is_whole => self.send(&[br#"{"answer":"#, &answer, b"}\n"]).await,
                Ok(answer) => self.offer(&[br#"{"part":"#, &answer, b"}\n"]),
                Err(error) => return self.send(&[&line(&Line::Error(error.body()))]).await,
            }
        }
    }

    /// The answer about a part; the client gets to know how far it is.
    async fn answer_part<Q: Question>(&self, mut part: Q) -> Result<Bytes, Error> {
        let scope = part.scope();
        let from = scope.zone.display_time(scope.received.start);
        let progress = Arc::new(Progress::default());
        let asked =
            self.api.watch_flow_archive(self.party, PATIENCE, Arc::clone(&progress), move |scan| part.answer(scan));
        let mut asked = std::pin::pin!(asked);
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                answer = &mut asked => return answer,
                _ = ticks.tick() => {
                    let (files, all) = progress.files();
                    let percent = files * 100 / all.max(1);
                    self.offer(&[&line(&Line::Progress(ProgressLine { from: from.clone(), percent }))]);
                }
            }
        }
    }

    /// Sends a line that the client may miss.
    fn offer(&self, line: &[&[u8]]) {
        if let Ok(place) = self.lines.try_reserve() {
            place.send(self.counted(line));
        }
    }

    async fn send(&self, line: &[&[u8]]) {
        let line = self.counted(line);
        // Nobody waits for it otherwise.
        let _ = self.lines.send(line).await;
    }

    fn counted(&self, line: &[&[u8]]) -> Bytes {
        counted_part(line.concat().into(), &self.api.unread, self.party, Arc::clone(&self.leave))
    }
}

/// Plain structures can be written to memory.
fn line(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}
