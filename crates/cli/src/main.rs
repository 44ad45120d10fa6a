//! The netflow command: what the shell says, and which command does it. Each command has its file in `commands/` and its
//! variant in [`commands::Command`].

mod client;
mod color;
mod commands;
mod config;
mod exit_code;
mod keys;
mod log;
mod output;
mod service_manager;
mod store;
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

/// Counts the flows that routers report.
///
/// Receives NetFlow, IPFIX and sFlow, and answers how many bytes, packets and flows each monitored prefix had.
#[derive(Debug, Parser)]
#[command(name = "netflow", version = VERSION, after_help = exit_code::HELP)]
struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> process::ExitCode {
    allocator::return_free_memory();
    let Arguments { config, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print_help_or_error(&error),
    };
    log::to_standard_error();
    let code = match command.unwrap_or(Command::Serve).run(config.as_deref()) {
        Ok(code) => code,
        Err(failure) => report(&failure),
    };
    code.into()
}

fn report(failure: &Failure) -> ExitCode {
    output::report(format_args!("netflow: {:#}", failure.error));
    failure.code
}

/// What clap has to say instead of arguments: on standard output help and version, on standard error what is wrong.
fn print_help_or_error(said: &clap::Error) -> process::ExitCode {
    const WRONG: u8 = 2;
    let printed = said.print();
    if said.use_stderr() {
        return WRONG.into();
    }
    match output::outcome(printed.and_then(|()| io::stdout().flush())) {
        Ok(()) => ExitCode::Success,
        Err(failure) => report(&failure),
    }
    .into()
}
