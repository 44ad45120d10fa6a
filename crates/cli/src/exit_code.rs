//! The exit codes of the process: one for each reaction that a script may want. Errors keep their causes; the code is
//! all that is decided by.

use std::process;

/// Why the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Success, or the reader closed the pipe.
    Success = 0,
    /// Any other failure.
    Failure = 1,
    /// The command line is wrong; mostly found by clap, which has the same code.
    CommandLine = 2,
    /// The configuration is wrong.
    Config = 3,
    /// An input file cannot be read, or only in part.
    Input = 4,
    /// The data directory or the store cannot be used.
    Store = 5,
    /// A listen address cannot be bound.
    Listen = 6,
    /// Stored data is damaged or does not add up.
    Damage = 7,
    /// The collector does not answer.
    Unreachable = 8,
    /// The collector refuses the request.
    Refused = 9,
    /// Another process with the identity of this collector uses the store.
    Superseded = 10,
    /// The ledgers of the collector do not balance.
    Unbalanced = 11,
    /// `netflow doctor` found problems.
    Findings = 12,
    /// `netflow import` has not counted everything: senders are not registered, or something else has counted the same.
    NotCounted = 13,
}

/// The list for `netflow --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  success
  1  any other failure
  2  invalid command line
  3  invalid configuration
  4  an input file cannot be read, or only in part
  5  the data directory or the store cannot be used
  6  a listen address cannot be bound
  7  stored data is damaged or does not add up
  8  the collector does not answer
  9  the collector refuses the request
  10 another process with the identity of this collector uses the store
  11 the ledgers of the collector do not balance
  12 netflow doctor found problems
  13 netflow import did not count everything: senders are not registered, or their datagrams are counted already";

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: ExitCode,
    /// The error, printed with its causes.
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
            CommandLine, Config, Damage, Failure, Findings, Input, Listen, NotCounted, Refused, Store, Success,
            Superseded, Unbalanced, Unreachable,
        };
        let ours = [
            Success,
            Failure,
            CommandLine,
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
            NotCounted,
        ]
        .map(|code| code as u8);
        let code = |line: &str| line.split_whitespace().next().unwrap().parse::<u8>().unwrap();
        let listed = HELP.lines().skip(1).map(code);
        assert_eq!(listed.collect::<Vec<_>>(), ours);
    }
}
