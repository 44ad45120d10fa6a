//! `bench`: this collector and others on the same load, one after the other, in the same run, on one machine; and this one
//! alone in hard places. Whatever is counted is compared with what the generator says it sent; a drop counter alone does not
//! tell what a program lost.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `program` | the programs: how each is started, tuned, asked for its totals |
//! | `process` | what a program has used, and its end |
//! | `run` | one load at one program |
//! | `compare` | all programs, in rounds, at a moderate rate and at the highest without loss |
//! | `stage` | this collector alone, with a load |
//! | `growth`, `attack`, `exporters`, `overload`, `idle`, `steering` | the hard places |
//! | `bar` | what was asked for and what was measured |
//! | `table` | the table |

mod attack;
mod bar;
mod compare;
mod exporters;
mod growth;
mod idle;
mod overload;
mod process;
mod program;
mod run;
mod stage;
mod steering;
mod table;

use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand};

use bar::{Bar, print_bars};

/// Measures this collector, alone and beside others
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// Everything, short; some ten minutes
    All(All),
    /// All programs on the same load: processor time for a million flows, and the highest rate without loss
    Compare(compare::Arguments),
    /// What a flow costs with more addresses and more exporters
    Growth(growth::Arguments),
    /// A flood of flows from random addresses
    Attack(attack::Arguments),
    /// Very many exporters
    Exporters(exporters::Arguments),
    /// More than can be counted
    Overload(overload::Arguments),
    /// One exporter for one thread, and for all
    Steering(steering::Arguments),
    /// Nothing to do
    Idle(idle::Arguments),
    /// Receives and counts datagrams: one of the programs that are compared
    #[command(hide = true)]
    ReceiveOnly {
        /// The UDP port of 127.0.0.1
        port: u16,
        /// Where the count goes
        file: PathBuf,
    },
}

/// How thorough.
#[derive(Args, Clone, Copy, Debug)]
struct All {
    /// The attack and the many exporters at their full length: some ten minutes more
    #[arg(long)]
    full: bool,
}

fn main() -> anyhow::Result<()> {
    let bars = match Arguments::parse().scenario {
        Scenario::All(All { full }) => all(full),
        Scenario::Compare(arguments) => compare::compare(&arguments)?,
        Scenario::Growth(arguments) => growth::growth(&arguments)?,
        Scenario::Attack(arguments) => attack::attack(&arguments)?,
        Scenario::Exporters(arguments) => exporters::exporters(&arguments)?,
        Scenario::Overload(arguments) => overload::overload(&arguments)?,
        Scenario::Steering(arguments) => steering::steering(&arguments)?,
        Scenario::Idle(arguments) => idle::idle(&arguments)?,
        Scenario::ReceiveOnly { port, file } => return program::receive_only(port, &file),
    };
    print_bars(&bars);
    Ok(())
}

/// One after the other; one that fails is told and costs no other.
fn all(full: bool) -> Vec<Bar> {
    let full: &[&str] = if full { &["--full"] } else { &[] };
    let sides: &[&str] = &["--rounds", "2", "--seconds", "5", "--search-seconds", "0", "--brief"];
    let rates: &[&str] = &["--protocols", "v9", "--rounds", "1", "--seconds", "0", "--brief"];
    type Run<'a> = &'a dyn Fn() -> anyhow::Result<Vec<Bar>>;
    let scenarios: [(&str, Run<'_>); 8] = [
        ("idle", &|| idle::idle(&arguments(&[]))),
        ("compare", &|| compare::compare(&arguments(sides))),
        ("rates", &|| compare::compare(&arguments(rates))),
        ("growth", &|| growth::growth(&arguments(&[]))),
        ("attack", &|| attack::attack(&arguments(full))),
        ("exporters", &|| exporters::exporters(&arguments(full))),
        ("overload", &|| overload::overload(&arguments(&[]))),
        ("steering", &|| steering::steering(&arguments(&[]))),
    ];
    let mut bars = Vec::new();
    for (name, scenario) in scenarios {
        eprintln!("== {name}");
        match scenario() {
            Ok(reached) => bars.extend(reached),
            Err(error) => bars.push(Bar::holds(name, false, format!("{error:#}"))),
        }
    }
    bars
}

/// A scenario's arguments: what is said here, else their defaults.
fn arguments<A: Args + FromArgMatches>(said: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("scenario").no_binary_name(true));
    let matches = command.get_matches_from(said);
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
