//! Asking the collector what is shown: one request for each thing, each second, and at once when something else is to be
//! shown. What the answers mean is the matter of `state` and `screen`.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use flow::Timestamp;
use serde_json::Value;

use crate::client::{Client, target};
use crate::exit_code::Failure;

/// How often it is asked.
const BETWEEN: Duration = Duration::from_secs(1);
/// How far back the largest values are looked for.
pub(super) const TOP: Duration = Duration::from_secs(5 * 60);
/// How far back the course goes.
const COURSE: Duration = Duration::from_secs(60 * 60);

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The exporter that is told more of, if any.
    pub(super) exporter: Option<IpAddr>,
    /// What of its traffic; `None` to show all exporters instead.
    pub(super) traffic: Option<Traffic>,
}

/// What is to be shown of an exporter's traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traffic {
    /// The position of one of its prefixes.
    pub(super) prefix: usize,
    pub(super) field: &'static str,
    pub(super) direction: &'static str,
}

/// What the collector says, as it came; what was not asked for, or is not for this key, is null.
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

/// Asks until nobody waits for answers any more.
pub(super) fn keep_asking(client: &Client, questions: &Receiver<Question>, answers: &Sender<Result<Answers, String>>) {
    let Ok(mut question) = questions.recv() else { return };
    loop {
        let answer = ask(client, &question).map_err(|Failure { error, .. }| format!("{error:#}"));
        if answers.send(answer).is_err() {
            return;
        }
        match questions.recv_timeout(BETWEEN) {
            // Keys may be pressed faster than it answers: the last one counts.
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
        // A sender of which nothing has come yet is none of those.
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
                let field =
                    [("field", Some(traffic.field.to_owned())), ("direction", Some(traffic.direction.to_owned()))];
                answers.top = query("top", TOP, &field)?;
                answers.series = query("series", COURSE, &[("step", Some("minute".to_owned()))])?;
            }
        }
        _ => {
            answers.exporters = get("/exporters")?;
            answers.unknown = permitted(client, "/unknown")?;
        }
    }
    Ok(answers)
}

/// What is not for a key that is limited to senders; null for such a key.
fn permitted(client: &Client, path: &str) -> Result<Value, Failure> {
    const FORBIDDEN: u16 = 403;
    match client.exchange("GET", path, "")? {
        answer if answer.status == FORBIDDEN => Ok(Value::Null),
        answer => client.read(&answer),
    }
}

/// A time of RFC 3339, to the minute.
fn minute(time: &str) -> Option<String> {
    time.get(..16).map(|minute| format!("{minute}Z"))
}

impl Answers {
    /// How many prefixes the sender has.
    pub(super) fn prefixes(&self) -> usize {
        self.sender["prefixes"].as_array().map_or(0, Vec::len)
    }

    /// The prefix that is asked for; they follow each other round.
    pub(super) fn prefix(&self) -> Option<String> {
        let position = self.question.traffic.as_ref()?.prefix.checked_rem(self.prefixes())?;
        let prefix = &self.sender["prefixes"][position];
        Some(format!("{}/{}", prefix["prefix"].as_str()?, prefix["prefixLen"].as_u64()?))
    }
}
