//! `bench` measures this collector and others with the same load, one after the other, in the same run, on one machine.
//! It also measures this collector alone in stress scenarios. It always compares what was counted with what the
//! generator sent, because a drop counter alone does not show what a program lost.
//!
//! | file | content |
//! | --- | --- |
//! | `program` | the programs: how each is started, tuned and queried for its totals |
//! | `process` | the resources that a program has used, and how it is stopped |
//! | `run` | one load sent to one program |
//! | `transport` | what carries a load: datagrams or export connections |
//! | `compare` | all programs, in rounds, at a moderate rate and at the highest rate without loss |
//! | `loaded_collector` | this collector alone, with a load |
//! | `archive` | flows kept and asked for, beside nfdump and DuckDB |
//! | `archive_load` | what the archive costs counting: the highest rate, overload, questions while flows arrive |
//! | `origins` | what AS numbers by a file cost |
//! | `kafka` | what flows cost that go to Kafka, beside goflow2 |
//! | `connections` | the same flows over UDP, TCP and TLS |
//! | `growth`, `attack`, `exporters`, `overload`, `hostile`, `handshakes`, `idle`, `steering` | the stress scenarios |
//! | `search` | the search for the highest rate without loss |
//! | `latency` | a client that repeats its requests |
//! | `stop` | the end of threads beside a measurement |
//! | `target` | targets and results |
//! | `table` | the table of programs |

mod archive;
mod archive_load;
mod attack;
mod compare;
mod connections;
mod elsewhere;
mod exporters;
mod growth;
mod handshakes;
mod hostile;
mod idle;
mod kafka;
mod latency;
mod loaded_collector;
mod origins;
mod overload;
mod process;
mod program;
mod run;
mod search;
mod steering;
mod stop;
mod table;
mod target;
mod transport;

use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand};

use target::{Target, print_targets};

/// Measures this collector, alone and in comparison with others
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

/// The scenarios.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// All scenarios in a short form; about a quarter of an hour
    All(All),
    /// All programs on the same load: processor time for a million flows, and the highest rate without loss
    Compare(compare::Arguments),
    /// Flows kept, and questions about them, beside nfdump and DuckDB
    Archive(archive::Arguments),
    /// What the archive costs counting: the highest rate without loss, overload, and questions while flows arrive
    ArchiveLoad(archive_load::Arguments),
    /// The same flows over UDP, TCP and TLS
    Connections(connections::Arguments),
    /// Processor time a flow with increasing numbers of addresses and exporters
    Growth(growth::Arguments),
    /// What AS numbers by a file cost
    Origins(origins::Arguments),
    /// What flows cost that go to Kafka, beside goflow2
    Kafka(kafka::Arguments),
    /// A flood of flows from random addresses
    Attack(attack::Arguments),
    /// Many exporters with little traffic each
    Exporters(exporters::Arguments),
    /// More flows than the collector can count
    Overload(overload::Arguments),
    /// A key that asks for as much as it may, beside one that asks short questions
    Hostile(hostile::Arguments),
    /// A flood of new TLS sessions
    Handshakes(handshakes::Arguments),
    /// One exporter, counted by one thread and by all threads
    Steering(steering::Arguments),
    /// No traffic
    Idle(idle::Arguments),
    /// Answers a question about kept flows: one of the compared programs
    #[command(hide = true)]
    Flows(archive::FlowsArguments),
    /// Receives and counts datagrams: one of the compared programs
    #[command(hide = true)]
    ReceiveOnly {
        /// The UDP port on 127.0.0.1
        port: u16,
        /// The file for the count
        file: PathBuf,
    },
}

/// Arguments of `bench all`.
#[derive(Args, Clone, Copy, Debug)]
struct All {
    /// Run `attack` and `exporters` at full length: about ten more minutes
    #[arg(long)]
    full: bool,
}

fn main() -> anyhow::Result<()> {
    let targets = match Arguments::parse().scenario {
        Scenario::All(All { full }) => all(full),
        Scenario::Compare(arguments) => compare::compare(&arguments)?,
        Scenario::Archive(arguments) => archive::archive(&arguments)?,
        Scenario::ArchiveLoad(arguments) => archive_load::archive_load(&arguments)?,
        Scenario::Connections(arguments) => connections::connections(&arguments)?,
        Scenario::Growth(arguments) => growth::growth(&arguments)?,
        Scenario::Origins(arguments) => origins::origins(&arguments)?,
        Scenario::Kafka(arguments) => kafka::kafka(&arguments)?,
        Scenario::Attack(arguments) => attack::attack(&arguments)?,
        Scenario::Exporters(arguments) => exporters::exporters(&arguments)?,
        Scenario::Overload(arguments) => overload::overload(&arguments)?,
        Scenario::Hostile(arguments) => hostile::hostile(&arguments)?,
        Scenario::Handshakes(arguments) => handshakes::handshakes(&arguments)?,
        Scenario::Steering(arguments) => steering::steering(&arguments)?,
        Scenario::Idle(arguments) => idle::idle(&arguments)?,
        Scenario::Flows(arguments) => return archive::flows(&arguments),
        Scenario::ReceiveOnly { port, file } => return program::receive_only(port, &file),
    };
    print_targets(&targets);
    Ok(())
}

/// Runs all scenarios. One that fails is reported as a missed target, and the others still run.
fn all(full: bool) -> Vec<Target> {
    let full: &[&str] = if full { &["--full"] } else { &[] };
    let sides: &[&str] = &["--rounds", "2", "--seconds", "5", "--search-seconds", "0", "--brief"];
    let rates: &[&str] = &["--protocols", "v9", "--rounds", "1", "--seconds", "0", "--brief"];
    let kept: &[&str] = &["--flows", "3000000", "--rounds", "2"];
    type Run<'a> = &'a dyn Fn() -> anyhow::Result<Vec<Target>>;
    let scenarios: [(&str, Run<'_>); 15] = [
        ("idle", &|| idle::idle(&arguments(&[]))),
        ("compare", &|| compare::compare(&arguments(sides))),
        ("rates", &|| compare::compare(&arguments(rates))),
        ("archive", &|| archive::archive(&arguments(kept))),
        ("archive-load", &|| archive_load::archive_load(&arguments(&["--rounds", "1"]))),
        ("connections", &|| connections::connections(&arguments(&["--rounds", "1", "--seconds", "5"]))),
        ("growth", &|| growth::growth(&arguments(&[]))),
        ("origins", &|| origins::origins(&arguments(&["--rounds", "1"]))),
        ("attack", &|| attack::attack(&arguments(full))),
        ("exporters", &|| exporters::exporters(&arguments(full))),
        ("overload", &|| overload::overload(&arguments(&[]))),
        ("hostile", &|| hostile::hostile(&arguments(&[]))),
        ("hostile, overload", &|| hostile::hostile(&arguments(&["--overload"]))),
        ("handshakes", &|| handshakes::handshakes(&arguments(&[]))),
        ("steering", &|| steering::steering(&arguments(&[]))),
    ];
    let mut targets = Vec::new();
    for (name, scenario) in scenarios {
        eprintln!("== {name}");
        match scenario() {
            Ok(reached) => targets.extend(reached),
            Err(error) => targets.push(Target::holds(name, false, format!("{error:#}"))),
        }
    }
    targets
}

/// Parses the arguments of a scenario; those not given have their defaults.
fn arguments<A: Args + FromArgMatches>(given: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("scenario").no_binary_name(true));
    let matches = command.get_matches_from(given);
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
