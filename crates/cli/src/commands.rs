//! One file and one variant for each command.

pub(crate) mod decode;
pub(crate) mod replay;
pub(crate) mod serve;
pub(crate) mod store;

use std::path::Path;

use clap::Subcommand;

use crate::config::{Config, Loaded};
use crate::exit_code::{ExitCode, Failure};

/// What netflow can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Receives, counts, and serves the REST interface; this is what it does without a command
    Serve,
    /// Counts the export datagrams of capture files, at the times and from the sources that they were captured with
    Replay(replay::Arguments),
    /// Shows the flow records of capture files
    Decode(decode::Arguments),
    /// Checks, copies or exports everything that is stored
    #[command(subcommand)]
    Store(store::Command),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve => serve::run(load(config)?),
            Self::Replay(arguments) => replay::run(load(config)?, &arguments),
            Self::Decode(arguments) => decode::run(&arguments),
            Self::Store(command) => command.run(&load(config)?),
        }
    }
}

fn load(path: Option<&Path>) -> Result<Loaded, Failure> {
    Config::load(path, std::env::vars_os()).map_err(ExitCode::Config.because())
}
