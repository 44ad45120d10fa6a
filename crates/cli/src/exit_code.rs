//! What the process tells the shell that started it. Each code is one decision of whoever runs it.

use std::process;

/// Why the process ended. 2, the command line is wrong, is clap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All was done, or whoever read the output had enough of it.
    Success = 0,
    /// Something else went wrong.
    Failure = 1,
    /// The configuration is wrong.
    Config = 3,
    /// An input file could not be read, or not to its end.
    Input = 4,
    /// The data directory or the store cannot be used.
    Store = 5,
    /// An address cannot be listened at.
    Listen = 6,
    /// What is stored is damaged or does not add up.
    Damage = 7,
    /// A running collector does not answer.
    Unreachable = 8,
    /// A running collector refuses what it was asked.
    Refused = 9,
    /// Another process with this collector's identity has started on the store.
    Superseded = 10,
    /// What a running collector has counted does not balance.
    Unbalanced = 11,
    /// `netflow doctor` found something.
    Findings = 12,
}

/// The list for `netflow --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  all was done
  1  something else went wrong
  2  the command line is wrong
  3  the configuration is wrong
  4  an input file could not be read, or not to its end
  5  the data directory or the store cannot be used
  6  an address cannot be listened at
  7  what is stored is damaged or does not add up
  8  the collector that was asked does not answer
  9  the collector that was asked refuses
  10 another process with this collector's identity has started on the store
  11 what the collector that was asked has counted does not balance
  12 netflow doctor found something";

/// Why a command could not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the shell is told.
    pub(crate) code: ExitCode,
    /// What the operator is told.
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// An error, and the code to exit with because of it.
    pub(crate) fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: error.into() }
    }
}

/// Decides which code an error ends the process with: `result.or_exit(ExitCode::Store)?`.
pub(crate) trait OrExit<T> {
    /// The value, or the error with this code.
    fn or_exit(self, code: ExitCode) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, code: ExitCode) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(code, error))
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        use ExitCode::{
            Config, Damage, Failure, Findings, Input, Listen, Refused, Store, Success, Superseded, Unbalanced,
            Unreachable,
        };
        let ours = [
            Success,
            Failure,
            Config,
            Input,
            Store,
            Listen,
            Damage,
            Unreachable,
            Refused,
            Superseded,
            Unbalanced,
            Findings,
        ]
        .map(|code| code as u8);
        let code = |line: &str| line.split_whitespace().next().unwrap().parse::<u8>().unwrap();
        let listed = HELP.lines().skip(1).map(code);
        assert_eq!(listed.filter(|code| *code != 2).collect::<Vec<_>>(), ours);
    }
}
