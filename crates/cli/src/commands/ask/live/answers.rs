//! Queries the collector for what is shown: every second, and at once when the view changes. `state` and `screen` interpret
//! the answers.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use flow::Timestamp;
use serde_json::Value;

use crate::client::{Client, target};
use crate::exit_code::Failure;

/// The time between two queries.
const BETWEEN: Duration = Duration::from_secs(1);
/// The time range of the top values.
pub(super) const TOP: Duration = Duration::from_secs(5 * 60);
/// The time range of the chart.
const HISTORY: Duration = Duration::from_secs(60 * 60);

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The exporter with details, if any.
    pub(super) exporter: Option<IpAddr>,
    /// Which of its traffic; `None` for the list of exporters.
    pub(super) traffic: Option<Traffic>,
}

/// Which traffic of an exporter is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traffic {
    /// The position of one of its prefixes.
    pub(super) prefix: usize,
    pub(super) field: &'static str,
    pub(super) direction: &'static str,
}

/// The answers as they came; null for those that were not asked for or are forbidden to this key.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    pub(super) question: Question,
    pub(super) at: Timestamp,
    pub(super) status: Value,
    pub(super) exporters: Value,
    pub(super) unknown: Value,
    pub(super) exporter: Value,
    pub(super) sender: Value,
    pub(super) top: Value,
    pub(super) series: Value,
}

/// Queries until the receiver of answers is gone.
pub(super) fn keep_asking(client: &Client, questions: &Receiver<Question>, answers: &Sender<Result<Answers, String>>) {
    let Ok(mut question) = questions.recv() else { return };
    loop {
        let answer = ask(client, &question).map_err(|Failure { error, .. }| format!("{error:#}"));
        if answers.send(answer).is_err() {
            return;
        }
        match questions.recv_timeout(BETWEEN) {
            // Keys can be pressed faster than the collector answers: take the last question.
            Ok(next) => question = questions.try_iter().last().unwrap_or(next),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn ask(client: &Client, question: &Question) -> Result<Answers, Failure> {
    let get = |path: &str| client.ask("GET", path, "");
    let status = permitted(client, "/status")?;
    let at = SystemTime::now().into();
    let nothing = Value::Null;
    let mut answers = Answers {
        question: question.clone(),
        at,
        status,
        exporters: nothing.clone(),
        unknown: nothing.clone(),
        exporter: nothing.clone(),
        sender: nothing.clone(),
        top: nothing.clone(),
        series: nothing,
    };
    if let Some(exporter) = question.exporter {
        // 404 for a registered sender that has not sent yet.
        let answer = client.exchange("GET", &format!("/exporters/{exporter}"), "")?;
        answers.exporter = serde_json::from_str(&answer.body).ok().filter(|_| answer.status < 300).unwrap_or_default();
    }
    match (question.exporter, &question.traffic) {
        (Some(sender), Some(traffic)) => {
            answers.sender = get(&format!("/senders/{sender}"))?;
            if let Some(prefix) = answers.prefix() {
                let query = |path: &str, since: Duration, more: &[(&str, Option<String>)]| {
                    let from = at.saturating_sub(since).to_string();
                    let mut parameters = vec![("prefix", Some(prefix.clone())), ("from", minute(&from))];
                    parameters.extend(more.iter().cloned());
                    get(&target(&format!("/{path}/{sender}"), &parameters))
                };
                let field = [
                    ("field", Some(traffic.field.to_owned())),
                    ("direction", Some(traffic.direction.to_owned())),
                    ("names", Some("1".to_owned())),
                ];
                answers.top = query("top", TOP, &field)?;
                answers.series = query("series", HISTORY, &[("step", Some("minute".to_owned()))])?;
            }
        }
        _ => {
            answers.exporters = get("/exporters")?;
            answers.unknown = permitted(client, "/unknown")?;
        }
    }
    Ok(answers)
}

/// An answer that keys limited to some senders may not see; null for those.
fn permitted(client: &Client, path: &str) -> Result<Value, Failure> {
    const FORBIDDEN: u16 = 403;
    match client.exchange("GET", path, "")? {
        answer if answer.status == FORBIDDEN => Ok(Value::Null),
        answer => client.read(&answer),
    }
}

/// A time of RFC 3339, cut to the minute.
fn minute(time: &str) -> Option<String> {
    time.get(..16).map(|minute| format!("{minute}Z"))
}

impl Answers {
    /// The number of prefixes of the sender.
    pub(super) fn prefixes(&self) -> usize {
        self.sender["prefixes"].as_array().map_or(0, Vec::len)
    }

    /// The prefix in question; positions wrap around.
    pub(super) fn prefix(&self) -> Option<String> {
        let position = self.question.traffic.as_ref()?.prefix.checked_rem(self.prefixes())?;
        let prefix = &self.sender["prefixes"][position];
        Some(format!("{}/{}", prefix["prefix"].as_str()?, prefix["prefixLen"].as_u64()?))
    }
}
