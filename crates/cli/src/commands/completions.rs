//! `netflow completions`: scripts that complete the words of `netflow` in a shell. They ask the hidden command `netflow
//! complete-words` for the words, so that a script never has to be made again.

use clap::ValueEnum;

use crate::exit_code::{ExitCode, Failure};
use crate::output;

/// The shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Senders, prefixes, networks and tags come from the collector that NETFLOW_URL, --url or the configuration selects, if it answers
within 300 ms. The Debian package installs the scripts.

Examples:
  source <(netflow completions bash)
  netflow completions zsh > ~/.zfunc/_netflow
  netflow completions fish > ~/.config/fish/completions/netflow.fish")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// A shell that completes words.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

impl Shell {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// What its file is called where shells look for it.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::Bash => "netflow.bash",
            Self::Zsh => "_netflow",
            Self::Fish => "netflow.fish",
        }
    }

    /// The script.
    pub(crate) const fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("completions/netflow.bash"),
            Self::Zsh => include_str!("completions/_netflow"),
            Self::Fish => include_str!("completions/netflow.fish"),
        }
    }
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    output::print_line(arguments.shell.script().trim_end())?;
    Ok(ExitCode::Success)
}
