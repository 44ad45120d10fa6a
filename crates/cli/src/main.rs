//! The netflow command: what the shell says, and which command does it. Each command has its file in `commands/` and its
//! variant in [`commands::Command`].

mod commands;
#[cfg_attr(not(test), expect(dead_code, reason = "read by the commands that collect"))]
mod config;
#[cfg_attr(not(test), expect(dead_code, reason = "some are for the commands that collect"))]
mod exit_code;
#[cfg_attr(not(test), expect(dead_code, reason = "read by the commands that collect"))]
mod keys;

use std::process;

use clap::Parser;
use commands::Command;
use exit_code::Failure;

/// Counts the flows that routers report.
///
/// Receives NetFlow, IPFIX and sFlow, and answers how many bytes, packets and flows each monitored prefix had.
#[derive(Debug, Parser)]
#[command(name = "netflow", version, after_help = exit_code::HELP, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> process::ExitCode {
    let code = match Arguments::parse().command.run() {
        Ok(code) => code,
        Err(Failure { code, error }) => {
            eprintln!("netflow: {error:#}");
            code
        }
    };
    code.into()
}
