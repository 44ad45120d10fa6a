//! Side by side: every program gets the same load, one after the other, in several rounds.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use flow::{Prefix, Protocol};
use generator::{Generator, Load, Pace, Traffic};

use crate::program::{Netflow, Nfacctd, Nfcapd, Program, ReceiveOnly};
use crate::run::{Outcome, run};
use crate::table::{Row, print_table};

/// What is compared, and for how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Protocols, one table each
    #[arg(long, value_delimiter = ',', default_value = "v5,v9,ipfix")]
    protocols: Vec<String>,
    /// Only programs whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How often everything is measured; figures are medians, with the spread
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Flows a second at which processor time is measured; nfacctd gets what it takes
    #[arg(long, default_value_t = 300_000)]
    rate: u64,
    /// Seconds of load for processor time; 0 does not measure it
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds of load in each step of the search for the highest rate; 0 does not search
    #[arg(long, default_value_t = 2.0)]
    search_seconds: f64,
    /// Distinct addresses inside the monitored prefixes, and as many outside
    #[arg(long, default_value_t = 50_000)]
    addresses: u32,
    /// How many exporters send, from 127.0.0.1 on
    #[arg(long, default_value_t = 1)]
    exporters: u32,
    /// Share of flows that come from random addresses and ports, as in an attack; each flow is then a new one
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    random: u8,
}

/// Steps of a search: each halves what is not known.
const STEPS: usize = 5;
/// How often a rate may turn out not to hold after all, before the program is said to have none.
const CONFIRMATIONS: usize = 4;

/// Three prefixes next to each other: each flow is in one of them.
fn three_prefixes() -> Vec<Prefix> {
    ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16"].iter().filter_map(|prefix| prefix.parse().ok()).collect()
}

/// The load that all get.
fn load(protocol: Protocol, arguments: &Arguments) -> Load {
    let Arguments { addresses, exporters, random, .. } = *arguments;
    let traffic = Traffic { prefixes: three_prefixes(), addresses, random_percent: random, ..Traffic::default() };
    let repeat = (random == 0).then_some(addresses.saturating_mul(2).max(100_000));
    Load { protocol, traffic, repeat, exporters, first_source: Some(Ipv4Addr::LOCALHOST), ..Load::default() }
}

/// Ours, as it is compared.
fn netflow() -> Netflow {
    Netflow { variant: "", prefixes: three_prefixes(), once: 3, settings: Vec::new() }
}

fn programs(only: &[String]) -> Vec<Box<dyn Program>> {
    let mut nested = three_prefixes();
    nested.extend("10.0.0.0/8".parse::<Prefix>());
    let all: Vec<Box<dyn Program>> = vec![
        Box::new(netflow()),
        Box::new(Netflow { variant: ", each flow in two prefixes", prefixes: nested, ..netflow() }),
        Box::new(Nfcapd),
        Box::new(Nfacctd::ONE_KEY),
        Box::new(Nfacctd::EIGHT_FIELDS),
        Box::new(ReceiveOnly),
    ];
    let wanted = |name: String| only.is_empty() || only.iter().any(|only| name.contains(only));
    all.into_iter().filter(|program| wanted(program.name())).collect()
}

/// Prints a table for each protocol. Fails when what a program counted at the moderate rate was not what was sent.
pub(crate) fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for protocol in &arguments.protocols {
        let protocol = match protocol.as_str() {
            "v5" => Protocol::NetflowV5,
            "v9" => Protocol::NetflowV9,
            "ipfix" => Protocol::Ipfix,
            other => anyhow::bail!("'{other}' is not compared: choose v5, v9 or ipfix"),
        };
        let generator = Generator::new(load(protocol, arguments))?;
        let programs = programs(&arguments.only);
        let mut rows: Vec<Row> = programs.iter().map(|program| Row::new(program.name())).collect();
        for round in 1..=arguments.rounds {
            for (program, row) in programs.iter().zip(&mut rows) {
                eprintln!("{protocol}, round {round} of {}: {}", arguments.rounds, program.name());
                measure(program.as_ref(), &generator, arguments, row)?;
            }
        }
        println!(
            "\n{protocol}, {} distinct addresses on each side, {} rounds\n",
            arguments.addresses, arguments.rounds
        );
        print_table(&rows);
        wrong.extend(rows.iter().filter(|row| row.is_wrong()).map(|row| format!("{} of {protocol}", row.name())));
    }
    anyhow::ensure!(wrong.is_empty(), "totals are wrong: {}", wrong.join(", "));
    Ok(())
}

fn measure(program: &dyn Program, generator: &Generator, arguments: &Arguments, row: &mut Row) -> anyhow::Result<()> {
    if arguments.seconds > 0.0 {
        let rate = Some(program.moderate_rate(arguments.rate));
        let duration = Some(Duration::from_secs_f64(arguments.seconds));
        row.moderate.push(run(program, generator, Pace { rate, duration, flows: None })?);
    }
    if arguments.search_seconds > 0.0 {
        row.highest.push(highest(program, generator, Duration::from_secs_f64(arguments.search_seconds))?);
    }
    Ok(())
}

/// The highest rate at which nothing is lost, as it was offered; `None` when none was found.
fn highest(program: &dyn Program, generator: &Generator, duration: Duration) -> anyhow::Result<Option<Outcome>> {
    let at = |rate: Option<f64>| {
        let pace = Pace { rate: rate.map(|rate| rate as u64), duration: Some(duration), flows: None };
        let outcome = run(program, generator, pace)?;
        let (offered, share) = (outcome.offered(), outcome.share_counted());
        eprintln!("  {:>12.0} flows/s: {:.3} % counted, {} dropped", offered, 100.0 * share, outcome.drops);
        anyhow::Ok(outcome)
    };
    // As fast as it can be sent: what is counted then is near what the program can do.
    let flood = at(None)?;
    if flood.is_right() {
        return Ok(Some(flood));
    }
    let about = flood.offered() * flood.share_counted();
    let (mut low, mut high) = (about * 0.25, (about * 1.25).min(flood.offered()));
    let mut best: Option<Outcome> = None;
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        let outcome = at(Some(middle))?;
        if outcome.is_right() {
            low = middle;
            best = Some(outcome);
        } else {
            high = middle;
        }
    }
    // A single lucky run is no rate.
    for _ in 0..CONFIRMATIONS {
        let outcome = at(Some(low))?;
        if outcome.is_right() {
            let slower = best.filter(|best| best.offered() < outcome.offered());
            return Ok(Some(slower.unwrap_or(outcome)));
        }
        low *= 0.9;
        best = None;
    }
    Ok(None)
}
