//! Records of the log: each is one line, as text or as a JSON object. What others have written (names of routers, texts of
//! errors) can neither end a line nor control a terminal.

use std::fmt::{self, Debug, Display, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::table::printable;

static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Sets the form of all records from now on.
pub(super) fn set_json(is_json: bool) {
    IS_JSON.store(is_json, Ordering::Relaxed);
}

/// Whether records are JSON objects.
pub(super) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Writes a record of each event. Spans are not shown: nothing here makes any.
pub(super) struct Records;

impl<S, N> FormatEvent<S, N> for Records
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let level = *event.metadata().level();
        if is_json() {
            return writeln!(writer, "{}", parts.json(level, event.metadata().target())?);
        }
        let has_colors = writer.has_ansi_escapes();
        writeln!(writer, "{}", parts.text(level, has_colors)?)
    }
}

/// A record that no event makes, with its end of the line.
pub(super) fn of_program(level: Level, message: impl Display, fields: &[(&'static str, u64)]) -> String {
    let fields = fields.iter().map(|(name, value)| (*name, (*value).into(), value.to_string())).collect();
    let parts = Parts { message: one_line(&message.to_string()), fields };
    let line = if is_json() { parts.json(level, "netflow") } else { parts.text(level, false) };
    // A time that cannot be written leaves the record out.
    line.unwrap_or_default() + "\n"
}

/// A text of several lines, such as an error of the configuration with its place, on one. Lines that only mark a place are
/// left out.
fn one_line(text: &str) -> String {
    if !text.contains('\n') {
        return printable(text);
    }
    let is_mark = |line: &&str| !line.chars().all(|character| matches!(character, ' ' | '|' | '^'));
    printable(&text.lines().map(str::trim).filter(is_mark).collect::<Vec<_>>().join("; "))
}

/// What an event has: its message, and each field as a value of JSON and as text.
#[derive(Default)]
struct Parts {
    message: String,
    fields: Vec<(&'static str, Value, String)>,
}

impl Parts {
    fn text(&self, level: Level, has_colors: bool) -> Result<String, fmt::Error> {
        let (color, dim, end) = if has_colors { (color(level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        let time = time()?;
        let mut line = format!("{dim}{time}{end} {color}{level:>5}{end} {}", self.message);
        for (name, _, text) in &self.fields {
            write!(line, " {name}{dim}={end}{text}")?;
        }
        Ok(line)
    }

    fn json(self, level: Level, target: &str) -> Result<String, fmt::Error> {
        let first = [
            ("timestamp", time()?.into()),
            ("level", level.as_str().into()),
            ("message", self.message.into()),
            ("target", target.into()),
        ];
        let fields = self.fields.into_iter().map(|(name, value, _)| (name, value));
        serde_json::to_string(&Object(first.into_iter().chain(fields).collect())).map_err(|_| fmt::Error)
    }

    fn add(&mut self, field: &Field, value: Value, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), value, text));
        }
    }
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = one_line(&format!("{value:?}"));
        self.add(field, text.clone().into(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, one_line(value).into(), format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into(), value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into(), value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into(), value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into(), value.to_string());
    }
}

/// The members of an object, in this order.
struct Object(Vec<(&'static str, Value)>);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn time() -> Result<String, fmt::Error> {
    let mut text = String::new();
    SystemTime.format_time(&mut Writer::new(&mut text))?;
    Ok(text)
}

const fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `text` and as JSON.
    fn shown(message: &str, router: &str) -> (String, Value) {
        let parts = || Parts {
            message: one_line(message),
            fields: vec![
                ("router", one_line(router).into(), one_line(router)),
                ("lost_percent", 1.5.into(), "1.5".to_owned()),
            ],
        };
        let json = parts().json(Level::WARN, "netflow").unwrap();
        assert!(!json.contains('\n'), "{json}");
        (parts().text(Level::WARN, false).unwrap(), serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let error = "netflow.toml:4:1: unknown key statuslg\n4 | statuslg = \"1s\"\n  | ^^^^^^^^\nnetflow.toml:9:1: x";
        let (text, json) = shown(error, "a\nb\x1b[2J\u{202e}c");
        let message = "netflow.toml:4:1: unknown key statuslg; 4 | statuslg = \"1s\"; netflow.toml:9:1: x";
        assert!(
            text.contains(&format!("Z  WARN {message} router=a; b\\u{{1b}}[2J\\u{{202e}}c lost_percent=1.5")),
            "{text}"
        );
        assert_eq!((&json["message"], &json["level"]), (&message.into(), &"WARN".into()));
        assert_eq!((&json["router"], &json["lost_percent"]), (&"a; b\\u{1b}[2J\\u{202e}c".into(), &1.5.into()));
        assert!(json["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{json}");
    }
}
