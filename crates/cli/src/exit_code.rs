//! The exit codes of the process: one for each reaction that a script may want. Errors keep their causes; the code is
//! all that is decided by.

use std::process;

/// Declares the codes: the number, the name, and what both mean. Scripts rely on them: a number is never given another meaning.
macro_rules! exit_codes {
    ($($number:literal $name:ident $meaning:literal;)*) => {
        /// Why the process ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ExitCode {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl ExitCode {
            /// All codes, each with its meaning.
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $meaning)),*];
        }
    };
}

exit_codes! {
    0 Success "success, also if the reader of the output has closed the pipe";
    1 Failure "any other failure";
    // clap has the same code.
    2 CommandLine "invalid command line";
    3 Config "invalid configuration, or no keys";
    4 Input "an input file cannot be read, or only in part";
    5 Store "the data directory, the archive or the store cannot be used";
    6 Listen "a listen address cannot be bound";
    7 Damage "stored data is damaged or does not add up";
    8 Unreachable "the collector does not answer";
    9 Refused "the collector refuses the request";
    10 Superseded "another process with the identity of this collector uses the store";
    11 Unbalanced "the ledgers of the collector do not balance";
    12 Findings "netflow doctor found problems";
    13 NotCounted "netflow import did not count everything: senders are not registered, or their datagrams are counted already";
}

/// The list for `netflow --help`.
pub(crate) fn help() -> String {
    let line = |(code, meaning): &(ExitCode, &str)| format!("\n  {:<2} {meaning}", *code as u8);
    format!("Exit codes:{}", ExitCode::ALL.iter().map(line).collect::<String>())
}

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
    fn codes_are_what_they_have_always_been() {
        use ExitCode::{
            CommandLine, Config, Damage, Failure, Findings, Input, Listen, NotCounted, Refused, Store, Success,
            Superseded, Unbalanced, Unreachable,
        };
        let kept = [
            (Success, 0),
            (Failure, 1),
            (CommandLine, 2),
            (Config, 3),
            (Input, 4),
            (Store, 5),
            (Listen, 6),
            (Damage, 7),
            (Unreachable, 8),
            (Refused, 9),
            (Superseded, 10),
            (Unbalanced, 11),
            (Findings, 12),
            (NotCounted, 13),
        ];
        assert_eq!(ExitCode::ALL.iter().map(|(code, _)| (*code, *code as u8)).collect::<Vec<_>>(), kept);
    }

    #[test]
    fn the_document_of_the_commands_has_every_code_with_its_meaning() {
        let document = include_str!("../../../docs/commands.md");
        let rows = document.lines().skip_while(|line| *line != "## Exit codes").filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?.parse::<u8>().ok()?, cells.next()?.to_owned()))
        });
        let ours = ExitCode::ALL
            .iter()
            .map(|(code, meaning)| (*code as u8, meaning.replace("netflow doctor", "`netflow doctor`")));
        let ours = ours.map(|(code, meaning)| (code, meaning.replace("netflow import", "`netflow import`")));
        assert_eq!(rows.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
    }

    #[test]
    fn the_service_is_not_restarted_after_codes_that_a_restart_does_not_change() {
        let unit = include_str!("../../../packaging/netflow.service");
        let kept = [ExitCode::CommandLine, ExitCode::Config, ExitCode::Superseded].map(|code| (code as u8).to_string());
        assert!(unit.contains(&format!("\nRestartPreventExitStatus={}\n", kept.join(" "))));
    }
}
