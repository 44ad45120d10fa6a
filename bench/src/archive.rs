//! The archive beside nfdump's files and DuckDB: the size of the same flows, what it costs to keep them, and what questions about
//! them cost. Answers are compared, because a fast wrong one is worth nothing.

mod duckdb;
mod nfdump;
mod own;
mod question;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use clap::Args;
use flow::{Prefix, Protocol};
use generator::{Generator, Load, Pace, Popularity, Traffic};
use tempfile::TempDir;

use crate::compare::netflow_with_journal;
use crate::process::Cost;
use crate::program::{Netflow, Nfcapd, Program};
use crate::run::{Outcome, run_in};
use crate::table::print_lines;
use crate::target::Target;

pub(crate) use own::{FlowsArguments, flows};
use question::{Answer, QUESTIONS, Question};

/// Arguments of `bench archive`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Number of flows; none is repeated
    #[arg(long, default_value_t = 10_000_000)]
    flows: u64,
    /// Flows a second
    #[arg(long, default_value_t = 200_000)]
    rate: u64,
    /// Measurements of each figure; the minimum is used, because other load can only add to it
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads of our questions and of DuckDB's; nfdump has one
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A Python with duckdb [default: that of `make target/tools/duckdb`]
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Exporters of the load.
const EXPORTERS: u32 = 4;
/// Distinct addresses on each side.
const ADDRESSES: u32 = 1_000_000;

/// What was written by the programs in one round.
struct Written {
    journal: Outcome,
    archive: Outcome,
    nfcapd: Outcome,
    archive_folder: TempDir,
    nfcapd_folder: TempDir,
}

/// Keeps flows and asks about them.
pub(crate) fn archive(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let python = arguments.python.clone().or_else(duckdb::python);
    if python.is_none() {
        eprintln!("DuckDB is not compared: run make target/tools/duckdb");
    }
    let generator = Generator::new(load())?;
    let mut written: Vec<Written> = Vec::new();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}: writing", arguments.rounds);
        // Only the files of the last round are asked.
        written.push(write(arguments, &generator)?);
    }
    let Some(last) = written.last() else { return Ok(Vec::new()) };
    let archive = last.archive_folder.path().join("data/flows");
    let nfcapd = last.nfcapd_folder.path().join("files");
    let mut targets = targets_of_writing(&written, octets(&archive)?, octets(&nfcapd)?);
    let mut lines = vec![HEADER.map(str::to_owned).to_vec()];
    for question in &QUESTIONS {
        let (mut ours, mut nfdump, mut duckdb) = (Cost::MOST, Cost::MOST, python.as_ref().map(|_| Cost::MOST));
        let mut is_equal = true;
        for _ in 0..arguments.rounds {
            let (answer, cost) = own::ask(question, &archive, arguments.threads)?;
            ours = ours.min(cost);
            let (other, cost) = nfdump::ask(question, &nfcapd)?;
            nfdump = nfdump.min(cost);
            is_equal &= is_same(question, &answer, &other);
            if let Some((python, least)) = python.as_ref().zip(duckdb.as_mut()) {
                let (other, cost) = duckdb::ask(question, &archive, arguments.threads, python)?;
                *least = least.min(cost);
                is_equal &= answer == other;
            }
        }
        lines.push(cells(question, &[Some(ours), Some(nfdump), duckdb]));
        targets.extend(targets_of_question(question, ours, nfdump, duckdb, is_equal));
    }
    println!("\n{} flows, {} rounds, {} threads\n", last.archive.sent.all.flows, arguments.rounds, arguments.threads);
    print_lines(&lines);
    Ok(targets)
}

/// Flows that do not repeat, with the popularity of addresses in real networks.
pub(crate) fn load() -> Load {
    let traffic = Traffic { addresses: ADDRESSES, popularity: Popularity::Zipf, ..Traffic::default() };
    Load {
        protocol: Protocol::NetflowV9,
        traffic,
        repeat: None,
        exporters: EXPORTERS,
        first_source: Some(Ipv4Addr::LOCALHOST),
        ..Load::default()
    }
}

/// The same collector with an archive.
pub(crate) fn keeping(mut counting: Netflow) -> Netflow {
    let kept = [("NETFLOW__ARCHIVE__ENABLED", "true"), ("NETFLOW__ARCHIVE__FREE_PERCENT", "0")];
    counting.settings.extend(kept.map(|(key, value)| (key, value.to_owned())));
    Netflow { variant: ", archive on", ..counting }
}

/// Sends the same flows to our collector without and with an archive, and to nfcapd.
fn write(arguments: &Arguments, generator: &Generator) -> anyhow::Result<Written> {
    let prefixes: Vec<Prefix> = generator.load().traffic.prefixes.clone();
    let once = prefixes.len();
    let counting = Netflow { prefixes, once, ..netflow_with_journal() };
    let keeping = keeping(counting.clone());
    let pace = Pace { rate: Some(arguments.rate), flows: Some(arguments.flows), duration: None };
    let (nothing, archive_folder, nfcapd_folder) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    let run = |program: &dyn Program, folder: &TempDir| {
        let outcome = run_in(folder.path(), program, generator, pace)?;
        anyhow::ensure!(outcome.is_right(), "{}: {} datagrams dropped", program.name(), outcome.drops);
        Ok(outcome)
    };
    Ok(Written {
        journal: run(&counting, &nothing)?,
        archive: run(&keeping, &archive_folder)?,
        nfcapd: run(&Nfcapd { options: &["-y"] }, &nfcapd_folder)?,
        archive_folder,
        nfcapd_folder,
    })
}

fn targets_of_writing(written: &[Written], archive: u64, nfcapd: u64) -> Vec<Target> {
    let flows = written.first().map_or(0, |round| round.archive.sent.all.flows) as f64;
    let least = |of: fn(&Written) -> f64| written.iter().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&Written) -> u64| written.iter().map(of).max().unwrap_or_default() as f64 / f64::from(1 << 20);
    let (journal, both) = (least(|round| round.journal.cost()), least(|round| round.archive.cost()));
    let memory = most(|round| round.archive.peak_memory) - most(|round| round.journal.peak_memory);
    let octets = |octets: u64| octets as f64 / flows;
    vec![
        Target::at_most("archive: octets a flow", octets(archive), 22.0, ""),
        Target::figure("archive: octets a flow, nfcapd with LZ4", octets(nfcapd), ""),
        Target::at_most("archive: size / that of nfcapd's files", archive as f64 / nfcapd as f64, 0.5, "times"),
        Target::figure("archive: processor time a flow, counting with journal", journal * 1e3, "ns"),
        Target::figure(
            "archive: processor time a flow, nfcapd with LZ4",
            least(|round| round.nfcapd.cost()) * 1e3,
            "ns",
        ),
        Target::at_most("archive: processor time that it adds / that of counting", both / journal - 1.0, 1.0, "times"),
        Target::at_most("archive: memory that it adds", memory, 128.0, "MiB"),
    ]
}

const HEADER: [&str; 7] = ["question", "ours, CPU s", "wall s", "nfdump, CPU s", "wall s", "DuckDB, CPU s", "wall s"];

fn cells(question: &Question, costs: &[Option<Cost>]) -> Vec<String> {
    let seconds = |cost: &Option<Cost>| match cost {
        Some(cost) => [cost.processor_seconds, cost.seconds].map(|seconds| format!("{seconds:.3}")),
        None => [String::new(), String::new()],
    };
    [question.name.to_owned()].into_iter().chain(costs.iter().flat_map(seconds)).collect()
}

fn targets_of_question(
    question: &Question,
    ours: Cost,
    nfdump: Cost,
    duckdb: Option<Cost>,
    is_equal: bool,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for (peer, other, most) in [("nfdump", Some(nfdump), 1.0 / 3.0), ("DuckDB", duckdb, 1.2)] {
        let Some(other) = other else { continue };
        for (what, ratio) in [
            ("processor time", ours.processor_seconds / other.processor_seconds),
            ("wall time", ours.seconds / other.seconds),
        ] {
            targets.push(Target::at_most(format!("{}: {what} / {peer}'s", question.name), ratio, most, "times"));
        }
    }
    let detail = if is_equal { "equal" } else { "they differ" };
    targets.push(Target::holds(format!("{}: all answers are equal", question.name), is_equal, detail));
    targets
}

/// Whether nfdump's answer is ours. It has no steps of time, but their sum.
fn is_same(question: &Question, ours: &Answer, nfdump: &Answer) -> bool {
    if question.by == question::By::Steps { ours.sum() == nfdump.sum() } else { ours == nfdump }
}

/// The octets of all files in a folder.
fn octets(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { octets(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}
