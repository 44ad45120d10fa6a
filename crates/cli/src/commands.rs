//! One file and one variant for each command.

pub(crate) mod archive;
pub(crate) mod ask;
pub(crate) mod backup;
pub(crate) mod check_config;
mod complete_words;
mod completions;
pub(crate) mod config;
pub(crate) mod decode;
mod destination;
pub(crate) mod doctor;
pub(crate) mod generate;
pub(crate) mod import;
mod interrupt;
mod ipfix_files;
mod own_records;
pub(crate) mod package_files;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod store;
mod transport;

use std::path::Path;

use clap::Subcommand;

use crate::config::{Config, Loaded};
use crate::exit_code::{ExitCode, Failure, OrExit};

/// A command of netflow.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the collector: receive, count, and serve the REST interface
    #[command(after_help = serve::EXAMPLES)]
    Serve,
    /// Count the export datagrams of capture files, with their capture times and sources
    Import(import::Arguments),
    /// Print the flow records of capture files
    Decode(decode::Arguments),
    /// Send synthetic flows to a collector and report their exact totals
    #[command(after_help = generate::EXAMPLES)]
    Generate(Box<generate::Arguments>),
    /// Send the datagrams of capture files to a collector
    #[command(after_help = replay::EXAMPLES, alias = "send")]
    Replay(replay::Arguments),
    /// Check, copy or export a store
    #[command(subcommand)]
    Store(store::Command),
    /// Show, check, compact or export the archive of flows
    #[command(subcommand)]
    Archive(archive::Command),
    /// Copy everything that a collector keeps on this machine into a new directory
    ///
    /// The collector may keep running. The copy contains everything that the collector had received when the command began:
    /// the database, the datagrams in the journal that it does not contain yet, the generated keys and the used nonces.
    Backup(backup::Arguments),
    /// Replace the data of a stopped collector with a backup
    ///
    /// Checks the backup first. The replaced database is kept. If the command is interrupted, either nothing has changed, or
    /// the next start of the collector finishes it.
    Restore(restore::Arguments),
    /// Print the effective settings and where each comes from, or import a configuration of netflow.io
    Config(config::Arguments),
    /// Verify that the collector can start with its configuration, without starting it
    #[command(after_help = check_config::EXAMPLES)]
    CheckConfig(check_config::Arguments),
    /// Print a script that completes commands, senders, prefixes and fields in a shell
    Completions(completions::Arguments),
    /// Print the words that may follow a command line
    #[command(hide = true)]
    CompleteWords(complete_words::Arguments),
    /// Write man pages, completions and the configuration reference
    #[command(hide = true)]
    PackageFiles(package_files::Arguments),
    /// List, register and remove senders (routers) and their prefixes
    Senders(ask::senders::Arguments),
    /// List, add and remove your networks, with their names
    Networks(ask::networks::Arguments),
    /// List the readers of the log (archive, Kafka, ClickHouse), pause, resume and reset them
    Readers(ask::readers::Arguments),
    /// Show totals of years, months, days, hours or minutes
    Stats(ask::stats::Arguments),
    /// Show the top addresses, ports, AS or protocols of a prefix
    Top(ask::top::Arguments),
    /// Show one counter over time
    Series(ask::series::Arguments),
    /// Show what a prefix used in a month, with its 95th percentile
    Billing(ask::billing::Arguments),
    /// Verify that the ledgers of a running collector balance
    Selfcheck(ask::selfcheck::Arguments),
    /// Full-screen live view of a running collector
    Live(ask::live::Arguments),
    /// Search archived flows, and group them
    Flows(Box<ask::flows::Arguments>),
    /// Print the flows of a running collector as they arrive
    Tap(ask::tap::Arguments),
    /// Diagnose why a router's flows are (not) counted, and print the commands that fix it
    Doctor(doctor::Arguments),
    /// Print a link that logs a browser in to the web interface
    Web(ask::web::Arguments),
    /// Send a signed request to the REST interface
    #[command(alias = "api")]
    Curl(ask::curl::Arguments),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve => serve::run(load(config)?),
            Self::Import(arguments) => import::run(load(config)?, &arguments),
            Self::Decode(arguments) => decode::run(&arguments),
            Self::Generate(arguments) => generate::run(&arguments),
            Self::Replay(arguments) => replay::run(&arguments),
            Self::Store(command) => command.run(&load(config)?),
            Self::Archive(command) => command.run(&load(config)?.config),
            Self::Backup(arguments) => backup::run(&load(config)?.config, &arguments),
            Self::Restore(arguments) => restore::run(&load(config)?.config, &arguments),
            Self::Config(arguments) => config::run(|| load(config), &arguments),
            Self::CheckConfig(arguments) => check_config::run(&load(config)?, &arguments),
            Self::Completions(arguments) => completions::run(&arguments),
            Self::CompleteWords(arguments) => complete_words::run(arguments),
            Self::PackageFiles(arguments) => package_files::run(&arguments),
            Self::Senders(arguments) => ask::senders::run(&load(config)?.config, arguments),
            Self::Networks(arguments) => ask::networks::run(&load(config)?.config, arguments),
            Self::Readers(arguments) => ask::readers::run(&load(config)?.config, arguments),
            Self::Stats(arguments) => ask::stats::run(&load(config)?.config, arguments),
            Self::Top(arguments) => ask::top::run(&load(config)?.config, arguments),
            Self::Series(arguments) => ask::series::run(&load(config)?.config, arguments),
            Self::Billing(arguments) => ask::billing::run(&load(config)?.config, arguments),
            Self::Selfcheck(arguments) => ask::selfcheck::run(&load(config)?.config, arguments),
            Self::Live(arguments) => ask::live::run(&load(config)?.config, &arguments),
            Self::Flows(arguments) => ask::flows::run(&load(config)?.config, &arguments),
            Self::Tap(arguments) => ask::tap::run(&load(config)?.config, arguments),
            Self::Doctor(arguments) => doctor::run(&load(config)?.config, arguments),
            Self::Web(arguments) => ask::web::run(&load(config)?.config, &arguments),
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
