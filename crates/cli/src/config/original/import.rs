//! Files of netflow.io to TOML, for `netflow config import`. Settings are read by the rows of [`KEYS`], so that the result is
//! a valid configuration; whatever cannot be taken over is a comment with the reason. Values are in no comment: they may be
//! secret.

use std::collections::BTreeMap;

use super::row;
use crate::config::hocon::{self, Content, HoconError, Setting};
use crate::config::key::{self, Key};
use crate::config::value::{Content as Read, Value};
use crate::config::value_kind::ValueKind;
use crate::config::{Config, KEYS, reference};

/// Units of HOCON durations, in milliseconds; without a unit they are milliseconds.
const UNITS: &[(&[&str], u64)] = &[
    (&["", "ms", "milli", "millis", "millisecond", "milliseconds"], 1),
    (&["s", "second", "seconds"], 1_000),
    (&["m", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];

/// Settings that are something else where a file does not have them.
const DEFAULTS: &[(&str, &str)] = &[
    ("storage", "counters are in SQLite, where netflow.io would not store anything"),
    ("http.listen", "the REST interface listens on 127.0.0.1:8080, that of netflow.io on 0.0.0.0:8080"),
    ("archive.enabled", "flows are kept for archive.keep, where netflow.io keeps none without netflow.persist"),
];

/// The settings of a file of netflow.io as TOML, with comments on everything else.
///
/// # Errors
/// The file is not HOCON, or goes beyond what is read.
pub(crate) fn import(text: &str) -> Result<String, HoconError> {
    let document = hocon::parse(text)?;
    let mut import = Import::default();
    for setting in &document.settings {
        import.setting(setting);
    }
    import.first_versions(&document.settings);
    for (line, file) in document.includes {
        import.note(line, format!("include {file} is not followed: import that file too"));
    }
    for (line, path, variable) in document.variables {
        let target = match reference::find(&path) {
            Some(key) => format!("set the variable {} instead", key.variable()),
            None => "it is ignored".to_owned(),
        };
        import.note(line, format!("{path} is from the variable {variable} of the environment: {target}"));
    }
    Ok(import.toml())
}

/// What has been taken over.
#[derive(Default)]
struct Import {
    config: Config,
    /// The literals of the keys that are set.
    literals: BTreeMap<&'static str, String>,
    notes: Vec<(usize, String)>,
}

impl Import {
    fn setting(&mut self, Setting { path, value, line }: &Setting) {
        match (path.as_str(), value) {
            ("netflow.persist" | "sflow.persist", value) => {
                let is_kept = self.config.archive.enabled && self.literals.contains_key("archive.enabled");
                if !is_kept {
                    self.set("archive.enabled", value, *line);
                }
            }
            // Read together, at the end.
            ("redis.host" | "redis.port", _) => {}
            ("udp.listen", Content::Text(text)) => {
                let listen = text.split(',').map(|address| Content::Text(address.trim().to_owned()));
                self.set("netflow.listen", &Content::List(listen.collect()), *line);
            }
            ("http.listen", Content::List(addresses)) => {
                if let Some(address) = addresses.first() {
                    self.set("http.listen", address, *line);
                }
                if addresses.len() > 1 {
                    self.note(*line, "http.listen has one address: the others are left out".to_owned());
                }
            }
            // As if it was not there.
            ("storage", Content::Text(text)) if text.is_empty() => {}
            (path, value) => self.set(path, value, *line),
        }
    }

    /// `redis.host` and `redis.port` of the first versions.
    fn first_versions(&mut self, settings: &[Setting]) {
        let find = |path: &str| settings.iter().find(|setting| setting.path == path);
        let (host, port) = (find("redis.host"), find("redis.port"));
        let Some(line) = host.or(port).map(|setting| setting.line) else { return };
        let text = |setting: Option<&Setting>, default: &str| match setting.map(|setting| &setting.value) {
            Some(Content::Text(text)) => text.clone(),
            _ => default.to_owned(),
        };
        let server = format!("{}:{}", text(host, "127.0.0.1"), text(port, "6379"));
        if find("redis.hosts").is_none() {
            self.set("redis.hosts", &Content::List(vec![Content::Text(server)]), line);
        }
        // They had no other store.
        if find("storage").is_none() {
            self.set("storage", &Content::Text("redis".to_owned()), line);
        }
    }

    fn set(&mut self, path: &str, value: &Content, line: usize) {
        let Some(key) = reference::find(path) else {
            let reason = row(path).map_or("it is no setting of netflow.io that is known here", |row| row.reason);
            return self.note(line, format!("{path}: {reason}"));
        };
        let kind = (key.value)(&mut self.config);
        let value = Value { content: read(&kind, value), span: 0..0 };
        match kind.read(&value) {
            Ok(()) => _ = self.literals.insert(key.name, literal(key, &self.config, &value)),
            Err(misfit) => self.note(line, format!("{path} {}", misfit.message)),
        }
    }

    fn note(&mut self, line: usize, note: String) {
        self.notes.push((line, note));
    }

    fn toml(mut self) -> String {
        let mut toml = "# Made by netflow config import of a file of netflow.io.\n".to_owned();
        if self.literals.keys().any(|name| name.starts_with("admin.")) {
            toml += "# It has keys: let nobody else read it (chmod 600).\n";
        }
        let mut section = None;
        for (key, literal) in KEYS.iter().filter_map(|key| Some((key, self.literals.get(key.name)?))) {
            match key.section().filter(|name| section != Some(*name)) {
                Some(name) => toml += &format!("\n[{name}]\n"),
                None if section.is_none() && !toml.ends_with("\"\n") => toml.push('\n'),
                None => {}
            }
            section = key.section();
            toml += &format!("{} = {literal}\n", key::last(key.name));
        }
        self.notes.sort();
        let notes = self.notes.iter().map(|(line, note)| format!("line {line}: {note}"));
        toml += &comments("Not taken over:", notes);
        let defaults = DEFAULTS.iter().filter(|(name, _)| !self.literals.contains_key(name));
        toml + &comments("Defaults that differ:", defaults.map(|(name, what)| format!("{name}: {what}")))
    }
}

fn comments(title: &str, lines: impl Iterator<Item = String>) -> String {
    // A control character would end the comment, or is none of TOML.
    let line = |line: String| format!("# {}\n", line.replace(char::is_control, " "));
    let lines: String = lines.map(line).collect();
    if lines.is_empty() { lines } else { format!("\n# {title}\n{lines}") }
}

/// A value as a file in TOML would have it for this kind.
fn read(kind: &ValueKind<'_>, value: &Content) -> Read {
    let text = |text: &str| Read::Text(text.to_owned());
    match (kind, value) {
        (ValueKind::Switch(_), Content::Text(word)) => match word.as_str() {
            "true" | "yes" | "on" => Read::Boolean(true),
            "false" | "no" | "off" => Read::Boolean(false),
            _ => text(word),
        },
        (ValueKind::Count(..), Content::Text(number)) => {
            number.parse().map_or_else(|_| text(number), |number| Read::Number(Some(number)))
        }
        (ValueKind::Duration(..) | ValueKind::DurationOr(..), Content::Text(duration)) => {
            seconds(duration).map_or_else(|| text(duration), |seconds| Read::Text(format!("{seconds}s")))
        }
        (_, Content::Text(word)) => text(word),
        (_, Content::List(items)) => {
            let items = items.iter().map(|item| Value { content: read(kind, item), span: 0..0 });
            Read::List(items.collect())
        }
    }
}

/// A duration of HOCON in whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (_, factor) = UNITS.iter().find(|(names, _)| names.contains(&unit.trim()))?;
    let milliseconds = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    milliseconds.is_multiple_of(1_000).then_some(milliseconds / 1_000)
}

/// A value as it is written, also a secret, which no reference shows.
fn literal(key: &Key, config: &Config, value: &Value) -> String {
    let secret = || toml::Value::from(value.text().unwrap_or_default()).to_string();
    // JSON may have this character as it is, TOML may not.
    key.literal(config).unwrap_or_else(secret).replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests;
