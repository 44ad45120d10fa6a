//! One file and one variant for each command.

pub(crate) mod decode;

use clap::Subcommand;

use crate::exit_code::{ExitCode, Failure};

/// What netflow can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the flow records of capture files
    Decode(decode::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Decode(arguments) => decode::run(&arguments),
        }
    }
}
