//! `netflow live`: a full-screen view of a running collector.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `live/answers.rs` | queries the collector every second, in a thread of its own |
//! | `live/state.rs` | what is shown, and how keys change it: pure |
//! | `live/screen.rs` | draws it: pure |
//! | `live/terminal.rs` | the terminal and the main loop |
//!
//! All of them need the cargo feature `tui`; without it, the command reports that it is missing.

#[cfg(feature = "tui")]
mod answers;
#[cfg(feature = "tui")]
mod screen;
#[cfg(feature = "tui")]
mod state;
#[cfg(feature = "tui")]
mod terminal;
#[cfg(test)]
#[cfg(feature = "tui")]
mod tests;

use super::Zone;
use crate::client::Connection;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};

/// Which collector to show.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Keys: arrows and Enter open a router, Escape goes back, s sorts, / filters, p pauses, ? lists all keys, q quits.

Examples:
  netflow live
  netflow live --tz Europe/Berlin
  netflow live --url https://collector.example:8443 --keys keys")]
pub(crate) struct Arguments {
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    connection: Connection,
}

/// Runs until a key or a signal ends it.
#[cfg(feature = "tui")]
pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    terminal::run(config, &arguments.connection, arguments.zone.of_dates()?)
}

/// This build has no terminal view.
#[cfg(not(feature = "tui"))]
pub(crate) fn run(_config: &Config, _arguments: &Arguments) -> Result<ExitCode, Failure> {
    let error = anyhow::anyhow!("this build of netflow has no terminal view; build it with --features tui");
    Err(Failure::new(ExitCode::Failure, error))
}
