//! The `netflow` command: parses the command line and runs a command. Each command has its file in `commands/` and its
//! variant in [`commands::Command`].

// Output goes through `output`: these macros panic where it cannot be written.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod agents;
mod amounts;
mod client;
mod color;
mod commands;
mod config;
mod configured_store;
mod durable;
mod exit_code;
mod keys;
mod log;
mod output;
mod restoration;
mod service_manager;
mod table;
mod tls;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process;

use clap::Parser;
use commands::Command;
use exit_code::{ExitCode, Failure};

/// The version, and the commit that a release was built from.
const VERSION: &str = env!("NETFLOW_VERSION");

/// NetFlow, IPFIX and sFlow collector with exact traffic accounting
///
/// For every prefix that you monitor it reports bytes, packets and flows, in total and by protocol, address, port and AS.
/// `netflow serve` runs the collector; the other commands query it, or work on its files.
#[derive(Debug, Parser)]
#[command(name = "netflow", version = VERSION, after_help = exit_code::help(), arg_required_else_help = true)]
struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

fn main() -> process::ExitCode {
    allocator::return_free_memory();
    let Arguments { config, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print_help_or_error(&error),
    };
    log::to_standard_error();
    // What a collector ends with belongs to its log, for which no collector waits.
    let report = if matches!(command, Command::Serve) { log_end } else { report };
    command.run(config.as_deref()).unwrap_or_else(|failure| report(&failure)).into()
}

fn report(failure: &Failure) -> ExitCode {
    output::report(ending(failure));
    failure.code
}

fn log_end(failure: &Failure) -> ExitCode {
    log::append(ending(failure));
    failure.code
}

fn ending(failure: &Failure) -> String {
    format!("netflow: {}", storage::chain(failure.error.as_ref()))
}

/// Prints help and version on standard output, an error of the command line on standard error.
fn print_help_or_error(message: &clap::Error) -> process::ExitCode {
    let printed = message.print();
    if message.use_stderr() {
        return ExitCode::CommandLine.into();
    }
    match output::outcome(printed.and_then(|()| io::stdout().flush())) {
        Ok(()) => ExitCode::Success,
        Err(failure) => report(&failure),
    }
    .into()
}
