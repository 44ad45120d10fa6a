//! `netflow config`: the effective settings and where each comes from. Secrets are never shown. `netflow config import` is in
//! its own file.

mod import;

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::config::{KEYS, Key, Loaded, Origin};
use crate::exit_code::{ExitCode, Failure};
use crate::output;

/// The action.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  netflow config
  netflow config --changed
  netflow config --json | jq '.[\"http.listen\"].value'
  netflow config import application.conf > netflow.toml")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    shown: Shown,
}

/// What is done.
#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Print the effective settings and where each comes from (default)
    Show(Shown),
    /// Convert a configuration of netflow.io (HOCON) to TOML, and print it
    ///
    /// What has no equivalent becomes a comment with the reason. Files that it includes are not read.
    Import(import::Arguments),
}

/// The output options.
#[derive(clap::Args, Debug)]
struct Shown {
    /// Print one JSON object with the value, origin and default of each key
    #[arg(long)]
    json: bool,
    /// Print only settings that are not the default
    #[arg(long)]
    changed: bool,
}

/// Shown for a secret that is set.
const HIDDEN: &str = "(hidden)";

/// Prints settings, or a converted file; only for the former a configuration must be valid.
pub(crate) fn run(load: impl FnOnce() -> Result<Loaded, Failure>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.action {
        None => show(&load()?, &arguments.shown),
        Some(Action::Show(shown)) => show(&load()?, shown),
        Some(Action::Import(arguments)) => import::run(arguments),
    }
}

/// Prints one line of TOML per setting, followed by its origin; or JSON.
fn show(loaded: &Loaded, arguments: &Shown) -> Result<ExitCode, Failure> {
    let keys: Vec<&Key> =
        KEYS.iter().filter(|key| !arguments.changed || loaded.origins.contains_key(key.name)).collect();
    if keys.is_empty() && !arguments.json {
        output::print_line("# every setting has its default")?;
        return Ok(ExitCode::Success);
    }
    let text = if arguments.json { as_json(loaded, &keys) } else { as_toml(loaded, &keys) };
    output::print(|out| out.write_all(text.as_bytes()))?;
    Ok(ExitCode::Success)
}

fn as_toml(loaded: &Loaded, keys: &[&Key]) -> String {
    let setting = |key: &Key| format!("{} = {}", key.name, key.literal(&loaded.config).as_deref().unwrap_or(HIDDEN));
    let settings: Vec<String> = keys.iter().map(|key| setting(key)).collect();
    // A long value must not push all origins out of sight.
    let width = settings.iter().map(|text| text.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    keys.iter().zip(&settings).map(|(key, setting)| format!("{setting:width$}  # {}\n", origin(loaded, key))).collect()
}

fn as_json(loaded: &Loaded, keys: &[&Key]) -> String {
    let value = |literal: Option<String>| match literal {
        Some(literal) => json_of(literal),
        None => HIDDEN.into(),
    };
    let entry = |key: &&Key| {
        let shown = json!({
            "value": value(key.literal(&loaded.config)),
            "origin": origin(loaded, key),
            "default": value(key.default()),
        });
        (key.name.to_owned(), shown)
    };
    format!("{:#}\n", Value::Object(keys.iter().map(entry).collect::<Map<_, _>>()))
}

/// Every literal is JSON as well, except tables.
fn json_of(literal: String) -> Value {
    let table = || format!("value = {literal}").parse::<toml::Table>().ok();
    let read = serde_json::from_str(&literal).ok();
    let read = read.or_else(|| serde_json::to_value(table()?.get("value")?).ok());
    read.unwrap_or(Value::String(literal))
}

fn origin(loaded: &Loaded, key: &Key) -> String {
    match (loaded.origins.get(key.name), &loaded.file) {
        (Some(Origin::Environment), _) => key.variable(),
        (Some(Origin::Line(line)), Some(file)) => format!("{}:{line}", file.display()),
        (Some(Origin::Line(line)), None) => format!("line {line}"),
        (None, _) => "default".to_owned(),
    }
}
