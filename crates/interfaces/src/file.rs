//! The history in a file: a line of JSON for each interface, so that damage costs the lines that it is in. A new file replaces
//! the old one in one step.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::Path;

use flow::Timestamp;
use serde::{Deserialize, Serialize};

use crate::details::{Details, Source};
use crate::history::{History, Interface, MOST_INTERFACES, MOST_SPANS, Span};

/// A longer file is not read to its end, in octets.
const LONGEST_FILE: u64 = 256 << 20;

/// The first line.
const HEADER: &str = r#"{"netflow":"interfaces","version":1}"#;

/// Why the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, io::Error),
    /// It cannot be written.
    #[error("cannot write {0}: {1}")]
    Write(String, io::Error),
}

#[derive(Serialize, Deserialize)]
struct Line {
    router: IpAddr,
    index: u32,
    /// Nanoseconds since 1970, as all times here.
    heard: u64,
    stated: Vec<(Source, Details)>,
    spans: Vec<SpanLine>,
}

#[derive(Serialize, Deserialize)]
struct SpanLine {
    since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    source: Source,
    #[serde(flatten)]
    details: Details,
}

/// The history in this file, and how many of its lines cannot be read; an empty one if there is no file.
///
/// # Errors
/// If there is one that cannot be read.
pub fn load(path: &Path) -> Result<(History, usize), FileError> {
    let mut text = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut text));
    match opened {
        Ok(_) => Ok(read(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((History::default(), 0)),
        Err(error) => Err(FileError::Read(path.display().to_string(), error)),
    }
}

/// Replaces the file.
///
/// # Errors
/// If it cannot be written. Then the old one is as it was.
pub fn save(path: &Path, history: &History) -> Result<(), FileError> {
    let failed = |error| FileError::Write(path.display().to_string(), error);
    let draft = path.with_extension("new");
    let mut file = File::create(&draft).map_err(failed)?;
    file.write_all(write(history).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}

/// The content of the file.
#[must_use]
pub fn write(history: &History) -> String {
    let mut text = format!("{HEADER}\n");
    let mut routers: Vec<_> = history.routers.iter().collect();
    routers.sort_unstable_by_key(|(router, _)| **router);
    for (router, interfaces) in routers {
        for (index, interface) in interfaces {
            let span = |span: &Span| SpanLine {
                since: span.since.nanoseconds(),
                until: span.until.map(Timestamp::nanoseconds),
                source: span.source,
                details: span.details.clone(),
            };
            let line = Line {
                router: *router,
                index: *index,
                heard: interface.heard.nanoseconds(),
                stated: interface.stated.iter().map(|(source, details)| (*source, details.clone())).collect(),
                spans: interface.spans.iter().map(span).collect(),
            };
            // Numbers and texts always become JSON.
            if let Ok(line) = serde_json::to_string(&line) {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    text
}

/// The history in the content of a file, and how many of its lines cannot be read.
#[must_use]
pub fn read(octets: &[u8]) -> (History, usize) {
    let (mut history, mut damaged) = (History::default(), 0);
    for line in octets.split(|octet| *octet == b'\n').filter(|line| !line.is_empty() && *line != HEADER.as_bytes()) {
        let Some((router, index, interface)) = read_line(line) else {
            damaged += 1;
            continue;
        };
        let interfaces = history.routers.entry(router).or_default();
        if interfaces.len() < MOST_INTERFACES {
            interfaces.insert(index, interface);
        }
    }
    (history, damaged)
}

fn read_line(line: &[u8]) -> Option<(IpAddr, u32, Interface)> {
    let Line { router, index, heard, stated, spans } = serde_json::from_slice(line).ok()?;
    let span = |SpanLine { since, until, source, details }: SpanLine| Span {
        since: Timestamp::from_nanoseconds(since),
        until: until.map(Timestamp::from_nanoseconds),
        details: details.tidy(),
        source,
    };
    let spans: Vec<Span> = spans.into_iter().take(MOST_SPANS).map(span).collect();
    let follows = |pair: &[Span]| match pair {
        [one, other] => one.until.is_some_and(|until| one.since <= until && until <= other.since),
        _ => true,
    };
    let ends = |span: &Span| span.until.is_none_or(|until| span.since <= until);
    if !spans.windows(2).all(follows) || !spans.iter().all(ends) {
        return None;
    }
    let stated = stated.into_iter().map(|(source, details)| (source, details.tidy())).collect();
    Some((router, index, Interface { stated, heard: Timestamp::from_nanoseconds(heard), spans }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Observation;

    fn history() -> History {
        let mut history = History::default();
        for (index, second, name) in [(1, 5, "lo"), (2, 5, "a\n\"b\" \u{1b}[2J"), (2, 9, "ge-0/0/1")] {
            let of = Observation {
                router: "192.0.2.1".parse().unwrap(),
                source: Source::Snmp,
                at: Timestamp::from_seconds(second),
                booted: None,
            };
            history.observe(of, index, Details { name: Some(name.into()), ..Details::default() });
        }
        history
    }

    #[test]
    fn a_file_survives_restarts_and_damage_costs_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("interfaces");
        assert!(load(&path).unwrap().0.is_empty());
        save(&path, &history()).unwrap();
        let (read, damaged) = load(&path).unwrap();
        assert_eq!((&read.routers, damaged), (&history().routers, 0));
        let mut octets = fs::read(&path).unwrap();
        let place = octets.iter().position(|octet| *octet == b'\n').unwrap() + 3;
        octets[place] = 0xff;
        fs::write(&path, octets).unwrap();
        let (read, damaged) = load(&path).unwrap();
        assert_eq!((read.len(), damaged), (1, 1));
        assert!(matches!(load(directory.path()), Err(FileError::Read(..))));
        assert!(matches!(save(&directory.path().join("no/file"), &read), Err(FileError::Write(..))));
    }

    #[test]
    fn lines_that_contradict_themselves_are_damaged() {
        let line = |spans: &str| {
            format!(
                r#"{{"router":"192.0.2.1","index":1,"heard":5,"stated":[["snmp",{{"name":"a"}}]],"spans":{spans}}}"#
            )
        };
        let one = r#"{"since":5,"until":7,"source":"snmp","name":"a"}"#;
        let damaged = |text: &str| read(text.as_bytes()).1;
        assert_eq!(damaged(&line(&format!("[{one}]"))), 0);
        assert_eq!(damaged(&line(&format!("[{one},{one}]"))), 1);
        assert_eq!(damaged(&line(r#"[{"since":5,"until":4,"source":"snmp","name":"a"}]"#)), 1);
        assert_eq!(damaged(&line("[{}]")), 1);
        assert_eq!(damaged(&format!("{}\n{}", HEADER, line("5"))), 1);
    }
}
