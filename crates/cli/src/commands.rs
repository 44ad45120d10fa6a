//! One file and one variant for each command.

pub(crate) mod ask;
pub(crate) mod check_config;
pub(crate) mod config;
pub(crate) mod decode;
mod destination;
pub(crate) mod doctor;
pub(crate) mod generate;
mod interrupt;
pub(crate) mod package_files;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod store;

use std::path::Path;

use clap::Subcommand;

use crate::config::{Config, Loaded};
use crate::exit_code::{ExitCode, Failure, OrExit};

/// What netflow can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Receives, counts, and serves the REST interface; this is what it does without a command
    #[command(after_help = serve::EXAMPLES)]
    Serve,
    /// Counts the export datagrams of capture files, at the times and from the sources that they were captured with
    Replay(replay::Arguments),
    /// Shows the flow records of capture files
    Decode(decode::Arguments),
    /// Sends made-up flows to a collector, and tells exactly what was sent
    #[command(after_help = generate::EXAMPLES)]
    Generate(Box<generate::Arguments>),
    /// Sends the datagrams of capture files to a collector
    #[command(after_help = send::EXAMPLES)]
    Send(send::Arguments),
    /// Checks, copies or exports everything that is stored
    #[command(subcommand)]
    Store(store::Command),
    /// Shows all settings and where each is from
    Config(config::Arguments),
    /// Tells whether the configuration is right and can be used, without starting
    #[command(after_help = check_config::EXAMPLES)]
    CheckConfig,
    /// Writes man pages, completions and the reference of the configuration
    #[command(hide = true)]
    PackageFiles(package_files::Arguments),
    /// Lists, registers and removes senders of a running collector
    Senders(ask::senders::Arguments),
    /// Asks a running collector for totals of years, months, days, hours or minutes
    Stats(ask::stats::Arguments),
    /// Asks a running collector for the largest addresses, ports, AS or protocols
    Top(ask::top::Arguments),
    /// Asks a running collector how one name went over time
    Series(ask::series::Arguments),
    /// Asks a running collector what a prefix used in a month
    Billing(ask::billing::Arguments),
    /// Asks a running collector whether all that it has counted balances
    Selfcheck(ask::selfcheck::Arguments),
    /// Shows a running collector on the whole screen
    Live(ask::live::Arguments),
    /// Shows the flows of a running collector as they come
    Tap(ask::tap::Arguments),
    /// Tells why a router is or is not counted, and what to type
    Doctor(doctor::Arguments),
    /// Sends a signed request to a running collector
    Curl(ask::curl::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve => serve::run(load(config)?),
            Self::Replay(arguments) => replay::run(load(config)?, &arguments),
            Self::Decode(arguments) => decode::run(&arguments),
            Self::Generate(arguments) => generate::run(&arguments),
            Self::Send(arguments) => send::run(&arguments),
            Self::Store(command) => command.run(&load(config)?),
            Self::Config(arguments) => config::run(&load(config)?, &arguments),
            Self::CheckConfig => check_config::run(&load(config)?),
            Self::PackageFiles(arguments) => package_files::run(&arguments),
            Self::Senders(arguments) => ask::senders::run(&load(config)?.config, arguments),
            Self::Stats(arguments) => ask::stats::run(&load(config)?.config, arguments),
            Self::Top(arguments) => ask::top::run(&load(config)?.config, arguments),
            Self::Series(arguments) => ask::series::run(&load(config)?.config, arguments),
            Self::Billing(arguments) => ask::billing::run(&load(config)?.config, arguments),
            Self::Selfcheck(arguments) => ask::selfcheck::run(&load(config)?.config, arguments),
            Self::Live(arguments) => ask::live::run(&load(config)?.config, &arguments),
            Self::Tap(arguments) => ask::tap::run(&load(config)?.config, arguments),
            Self::Doctor(arguments) => doctor::run(&load(config)?.config, arguments),
            Self::Curl(arguments) => ask::curl::run(&load(config)?.config, arguments),
        }
    }
}

fn load(path: Option<&Path>) -> Result<Loaded, Failure> {
    Config::load(path, std::env::vars_os()).or_exit(ExitCode::Config)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// The commands whose help has no examples, nor has that of the command above them.
    fn without_examples(command: &clap::Command, above: &str, is_shown_above: bool) -> Vec<String> {
        let path = format!("{above} {}", command.get_name());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let is_shown = is_shown_above || help.contains("Examples:\n");
        let below = command.get_subcommands().filter(|command| !command.is_hide_set());
        let mut lacking: Vec<_> = below.flat_map(|command| without_examples(command, &path, is_shown)).collect();
        if !is_shown && command.get_subcommands().next().is_none() {
            lacking.push(path);
        }
        lacking
    }

    #[test]
    fn the_help_of_every_command_has_examples() {
        let lacking = without_examples(&crate::Arguments::command(), "", false);
        assert!(lacking.is_empty(), "{lacking:?}");
    }
}
