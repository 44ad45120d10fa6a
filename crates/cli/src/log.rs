//! The log: one line an event on standard error, for people and for journald. RUST_LOG sets its level, else the
//! configuration; until that is read the level is INFO.

use std::env;
use std::io;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::color;
use crate::config::{Loaded, LogLevel};

/// Changes the level; empty where RUST_LOG sets it.
static SET_LEVEL: OnceLock<Box<dyn Fn(LevelFilter) + Send + Sync>> = OnceLock::new();

/// Starts logging.
pub(crate) fn to_standard_error() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let ansi = color::is_wanted(&io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi);
    // A line that cannot be written is dropped. To report that, tracing would write to standard error again, and panic.
    let log = log.with_target(false).log_internal_errors(false).with_filter_reloading();
    if env::var_os(EnvFilter::DEFAULT_ENV).is_none_or(|filter| filter.is_empty()) {
        let handle = log.reload_handle();
        // Fails only once the log is gone.
        let set = move |level: LevelFilter| drop(handle.reload(EnvFilter::default().add_directive(level.into())));
        let _ = SET_LEVEL.set(Box::new(set));
    }
    log.init();
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
    match (SET_LEVEL.get(), env::var(EnvFilter::DEFAULT_ENV)) {
        (Some(set), _) => set(level),
        (None, Ok(filter)) if loaded.origins.contains_key("server.logLevel") => {
            tracing::warn!("server.logLevel is ignored: RUST_LOG={filter:?} takes precedence");
        }
        (None, _) => {}
    }
}
