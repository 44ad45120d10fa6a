//! `bench`: this collector and others on the same load, one after the other, in the same run, on one machine. Whatever
//! is counted is compared with what the generator says it sent; a drop counter alone does not tell what a program lost.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `program` | the programs: how each is started, tuned, asked for its totals |
//! | `process` | what a program has used, and its end |
//! | `run` | one load at one program |
//! | `compare` | all programs, in rounds, at a moderate rate and at the highest without loss |
//! | `table` | the table |

mod compare;
mod process;
mod program;
mod run;
mod table;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures this collector beside others
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// All programs on the same load: processor time for a million flows, and the highest rate without loss
    Compare(compare::Arguments),
    /// Receives and counts datagrams: one of the programs that are compared
    #[command(hide = true)]
    ReceiveOnly {
        /// The UDP port of 127.0.0.1
        port: u16,
        /// Where the count goes
        file: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().scenario {
        Scenario::Compare(arguments) => compare::compare(&arguments),
        Scenario::ReceiveOnly { port, file } => program::receive_only(port, &file),
    }
}
