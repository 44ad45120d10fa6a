//! The answer of a collector in lines, so that a question may take minutes: how far it is, and at last the answer. A user who does not
//! wait for it ends the reading in the collector too: the connection ends with the command.

use std::io;
use std::time::Instant;

use anyhow::{Context, anyhow};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::client::{Client, target};
use crate::commands::progress::Progress;
use crate::exit_code::{ExitCode, Failure, OrExit};

/// A line; it has one of these.
#[derive(Deserialize)]
#[serde(bound = "A: DeserializeOwned")]
struct Line<A> {
    progress: Option<HowFar>,
    /// The answer about the newest part of the time, which is not printed.
    #[serde(rename = "part")]
    _part: Option<IgnoredAny>,
    answer: Option<A>,
    error: Option<Refusal>,
}

/// How much of the files since `from` was read.
#[derive(Deserialize)]
struct HowFar {
    from: String,
    percent: u64,
}

#[derive(Deserialize)]
struct Refusal {
    status: String,
    message: String,
}

/// Asks, and shows on a terminal how far the answer is; `None` if nobody reads standard output any more.
pub(super) fn ask<A: DeserializeOwned>(
    client: &Client,
    path: &str,
    words: &[(&'static str, String)],
) -> Result<Option<A>, Failure> {
    let words = words.iter().map(|(name, text)| (*name, Some(text.clone())));
    let parameters: Vec<_> = words.chain([("stream", Some("1".to_owned()))]).collect();
    let lines = client.lines(&target(path, &parameters)).map_err(with_way_out)?;
    read(lines, client.url(), is_output_closed)
}

fn read<A: DeserializeOwned>(
    lines: impl Iterator<Item = io::Result<String>>,
    url: &str,
    is_closed: impl Fn() -> bool,
) -> Result<Option<A>, Failure> {
    let (mut shown, begun) = (Progress::new(), Instant::now());
    for line in lines {
        let line = line.with_context(|| format!("cannot reach the collector at {url}")).or_exit(ExitCode::Unreachable);
        let line = serde_json::from_str::<Line<A>>(&line.map_err(with_way_out)?)
            .with_context(|| format!("{url} is not a netflow collector of this version"))
            .or_exit(ExitCode::Unreachable)?;
        if let Some(Refusal { status, message }) = line.error {
            let code = if status.starts_with("INTERNAL") || status.starts_with("SERVICE") {
                ExitCode::Unreachable
            } else {
                ExitCode::Refused
            };
            return Err(Failure::new(code, anyhow!("the collector refuses ({status}): {message}")));
        }
        if line.answer.is_some() {
            return Ok(line.answer);
        }
        // Lines arrive four times a second.
        if is_closed() {
            return Ok(None);
        }
        if let Some(far) = line.progress {
            shown.show(|| far.text(begun.elapsed().as_secs()));
        }
    }
    let error = anyhow!("the collector at {url} has ended the answer: it was stopped, or its settings have changed");
    Err(Failure::new(ExitCode::Unreachable, error))
}

impl HowFar {
    fn text(&self, seconds: u64) -> String {
        format!("reading the flows since {}: {} % of the files, {seconds} s", self.from, self.percent)
    }
}

/// An archive can be read without its collector.
fn with_way_out(Failure { code, error }: Failure) -> Failure {
    if code != ExitCode::Unreachable {
        return Failure { code, error };
    }
    let error = storage::chain(error.as_ref());
    let hint = "its archive can be read without it: --folder DIR, such as --folder data/flows";
    Failure::new(code, anyhow!("{error}; {hint}"))
}

/// Whether the reader of standard output has closed its pipe: writing would only show it when the answer is there.
fn is_output_closed() -> bool {
    let output = io::stdout();
    let mut asked = [PollFd::new(&output, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::HUP;
    poll(&mut asked, Some(&at_once)).is_ok() && asked.iter().any(|asked| asked.revents().intersects(gone))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_all(lines: &[&str], is_closed: bool) -> Result<Option<Value>, Failure> {
        read(lines.iter().map(|line| Ok((*line).to_owned())), "http://192.0.2.1", || is_closed)
    }

    const PROGRESS: &str = r#"{"progress":{"from":"2026-11-29T00:00:00Z","percent":7}}"#;

    #[test]
    fn the_last_line_is_the_answer() {
        let lines = [PROGRESS, r#"{"part":{"rows":[1]}}"#, r#"{"answer":{"rows":[1,2]}}"#];
        assert_eq!(read_all(&lines, false).unwrap(), Some(json!({"rows": [1, 2]})));
        // An answer that is there is not thrown away.
        assert_eq!(read_all(&lines[2..], true).unwrap(), Some(json!({"rows": [1, 2]})));
    }

    #[test]
    fn a_closed_pipe_ends_the_reading() {
        let lines = std::iter::repeat_with(|| Ok(PROGRESS.to_owned()));
        assert_eq!(read::<Value>(lines, "http://192.0.2.1", || true).unwrap(), None);
    }

    #[test]
    fn errors_and_ends_are_failures() {
        let refused = |status: &str| format!(r#"{{"error":{{"status":"{status}","message":"too much"}}}}"#);
        let failure = |lines: &[&str]| read_all(lines, false).unwrap_err();
        let too_much = failure(&[PROGRESS, &refused("UNPROCESSABLE_ENTITY")]);
        assert_eq!(too_much.code, ExitCode::Refused);
        assert!(too_much.error.to_string().contains("(UNPROCESSABLE_ENTITY): too much"), "{}", too_much.error);
        assert_eq!(failure(&[&refused("SERVICE_UNAVAILABLE")]).code, ExitCode::Unreachable);
        assert!(failure(&[PROGRESS]).error.to_string().contains("has ended the answer"));
        assert!(failure(&["<html>"]).error.to_string().contains("not a netflow collector"));
    }

    #[test]
    fn progress_has_the_time_and_the_share() {
        let far = HowFar { from: "2026-11-29T00:00:00Z".to_owned(), percent: 7 };
        assert_eq!(far.text(3), "reading the flows since 2026-11-29T00:00:00Z: 7 % of the files, 3 s");
    }
}
