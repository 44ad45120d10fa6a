//! The log: one line an event on standard error, for people and for journald, or in JSON. RUST_LOG sets its level, else the
//! configuration; until that is read the level is INFO. Whatever becomes of standard error, logging neither fails nor waits.

mod record;
mod standard_error;

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

pub(crate) use self::standard_error::{lost_lines, report_lost_lines};

use self::record::Records;
use self::standard_error::StandardError;
use crate::color;
use crate::config::{Loaded, LogFormat, LogLevel};

/// Its value is a level, or levels by module: `warn,collector=debug`.
const VARIABLE: &str = "RUST_LOG";

/// Changes the level; empty where RUST_LOG sets it.
static SET_LEVEL: OnceLock<Box<dyn Fn(LevelFilter) + Send + Sync>> = OnceLock::new();

/// Starts logging.
pub(crate) fn to_standard_error() {
    let variable = env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    let parsed = variable.map(|filter| filter.parse::<Targets>());
    let only = |level: LevelFilter| Targets::new().with_default(level);
    let (layer, handle) = match &parsed {
        Some(Ok(filter)) => reload::Layer::new(filter.clone()),
        _ => reload::Layer::new(only(LevelFilter::INFO)),
    };
    let lines = fmt::layer().with_writer(|| StandardError).with_ansi(color::is_wanted(&io::stderr()));
    // To report its own errors, tracing would use `eprintln!`, which panics where standard error cannot be written.
    let lines = lines.event_format(Records).log_internal_errors(false);
    tracing_subscriber::registry().with(layer).with(lines).init();
    if let Some(Err(error)) = &parsed {
        tracing::warn!("RUST_LOG is ignored: {error}");
    }
    if !matches!(parsed, Some(Ok(_))) {
        // Fails only once the log is gone.
        let set = move |level: LevelFilter| drop(handle.reload(only(level)));
        let _ = SET_LEVEL.set(Box::new(set));
    }
}

/// Sets the level and the form of records; warns when RUST_LOG takes precedence over a configured level.
pub(crate) fn configure(loaded: &Loaded) {
    record::set_json(loaded.config.server.log_format == LogFormat::Json);
    let level = match loaded.config.server.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    match (SET_LEVEL.get(), env::var(VARIABLE)) {
        (Some(set), _) => set(level),
        (None, Ok(filter)) if loaded.origins.contains_key("server.logLevel") => {
            tracing::warn!("server.logLevel is ignored: RUST_LOG={filter:?} takes precedence");
        }
        (None, _) => {}
    }
}

/// Writes a text of several lines below the last record; in JSON, it is a record.
pub(crate) fn append(text: impl Display) {
    let text = if record::is_json() { record::of_program(Level::ERROR, text, &[]) } else { format!("{text}\n") };
    // Never fails.
    let _ = StandardError.write_all(text.as_bytes());
}
