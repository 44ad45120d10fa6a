//! The sources of settings: a file and the environment. Both become keys with values, which are then read the same way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Config;
use super::error::Problem;
use super::key::{ENVIRONMENT_PREFIX, Key};
use super::value::{Content, Member, Value};
use super::{original, reference};

/// Where a value that is not the default comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of the file, from 1.
    Line(usize),
    /// The environment variable of the key.
    Environment,
}

/// The origins of all keys that are set, by name.
pub(crate) type Origins = BTreeMap<&'static str, Origin>;

/// Applies the settings of a file; appends its errors to `problems`.
pub(super) fn apply_file(
    path: &Path,
    text: &str,
    config: &mut Config,
    origins: &mut Origins,
    problems: &mut Vec<Problem>,
) {
    let mut file = FileSettings { path, text, settings: Vec::new(), problems };
    file.read();
    for (key, value) in file.settings {
        let line = text.get(..value.span.start).unwrap_or_default().matches('\n').count() + 1;
        origins.insert(key.name, Origin::Line(line));
        if let Err(misfit) = (key.value)(config).read(&value) {
            let message = format!("{} {}", key.name, misfit.message);
            problems.push(Problem::in_file(path, text, misfit.span, &message));
        }
    }
    for (at, place) in config.places() {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        *place = format!("{}:{line}", path.display());
    }
}

/// Applies all variables that start with `NETFLOW__`; appends their errors to `problems`.
pub(super) fn apply_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    config: &mut Config,
    origins: &mut Origins,
    problems: &mut Vec<Problem>,
) {
    let named = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let (mut variables, others): (Vec<_>, Vec<_>) = named.partition(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
    variables.sort();
    let misspelled = others.iter().filter_map(|(name, _)| misspelled(name));
    problems.extend(misspelled.map(Problem::in_environment));
    for (name, value) in variables {
        if let Err(message) = apply_variable(&name, value, config, origins) {
            problems.push(Problem::in_environment(message));
        }
    }
}

/// The error of a variable that would be one of ours with `__` where it has `_`; it would be ignored without a word.
fn misspelled(name: &str) -> Option<String> {
    let key = reference::KEYS.iter().find(|key| key.variable().replace("__", "_") == name)?;
    Some(format!("unknown variable {name}; did you mean {}?", key.variable()))
}

fn apply_variable(name: &str, value: OsString, config: &mut Config, origins: &mut Origins) -> Result<(), String> {
    let key = reference::find_variable(name).ok_or_else(|| {
        let end = original::variable_reason(name).unwrap_or_else(|| reference::variable_suggestion(name));
        format!("unknown variable {name}{end}")
    })?;
    let text = value.into_string().map_err(|_| format!("{name} is not UTF-8 text"))?;
    let span = 0..text.len();
    origins.insert(key.name, Origin::Environment);
    (key.value)(config)
        .read(&Value { content: Content::Variable(text), span })
        .map_err(|misfit| format!("{name} {}", misfit.message))?;
    for (_, place) in config.places().filter(|(_, place)| place.is_empty()) {
        name.clone_into(place);
    }
    Ok(())
}

impl Config {
    /// Where each table begins, and the place where its origin is written.
    fn places(&mut self) -> impl Iterator<Item = (usize, &mut String)> {
        let networks = self.networks.named.iter_mut().map(|stated| (stated.at, &mut stated.place));
        networks.chain(self.senders.known.iter_mut().map(|stated| (stated.at, &mut stated.place)))
    }
}

/// Walks through the tables of a file.
struct FileSettings<'a> {
    path: &'a Path,
    text: &'a str,
    settings: Vec<(&'static Key, Value)>,
    problems: &'a mut Vec<Problem>,
}

impl FileSettings<'_> {
    fn read(&mut self) {
        match DeTable::parse(self.text) {
            Ok(table) => self.walk("", table.get_ref()),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let message = format!("{}{}", error.message(), original::hocon_hint(self.path, self.text));
                self.problems.push(Problem::in_file(self.path, self.text, span, &message));
            }
        }
    }

    /// Recurses no deeper than sections do, whatever the file.
    fn walk(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path =
                if section.is_empty() { name.get_ref().to_string() } else { format!("{section}.{}", name.get_ref()) };
            let problem = match (reference::find(&path), value.get_ref()) {
                (Some(key), _) => {
                    self.settings.push((key, value_of(value)));
                    continue;
                }
                (None, DeValue::Table(inner)) if reference::is_section(&path) => {
                    self.walk(&path, inner);
                    continue;
                }
                (None, _) if reference::is_section(&path) => {
                    format!("{path} is a section: write [{path}] and its keys below")
                }
                (None, _) => {
                    let end = original::reason(&path).unwrap_or_else(|| reference::suggestion(&path));
                    format!("unknown key '{path}'{end}")
                }
            };
            self.problems.push(Problem::in_file(self.path, self.text, name.span(), &problem));
        }
    }
}

fn value_of(value: &Spanned<DeValue<'_>>) -> Value {
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Text(text.to_string()),
        DeValue::Integer(number) => Content::Number(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Boolean(value) => Content::Boolean(*value),
        DeValue::Array(items) => Content::List(items.iter().map(value_of).collect()),
        DeValue::Float(_) => Content::Other("a fraction"),
        DeValue::Datetime(_) => Content::Other("a date"),
        DeValue::Table(members) => {
            let member = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| Member {
                name: name.get_ref().to_string(),
                span: name.span(),
                value: value_of(value),
            };
            Content::Table(members.iter().map(member).collect())
        }
    };
    Value { content, span: value.span() }
}
