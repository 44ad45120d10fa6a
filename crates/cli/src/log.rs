//! The log: one line an event on standard error, for people and for journald. RUST_LOG sets its level, else the
//! configuration; until that is read the level is INFO.

use std::env;
use std::io;
use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

use crate::color;
use crate::config::{Loaded, LogLevel};

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
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(color::is_wanted(&io::stderr()));
    // A line that cannot be written is dropped. To report that, tracing would write to standard error again, and panic.
    let lines = lines.with_target(false).log_internal_errors(false);
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

/// Sets the level; warns when RUST_LOG takes precedence over a configured one.
pub(crate) fn set_level(loaded: &Loaded) {
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
