//! Processor time a flow with increasing numbers of addresses and exporters.

use std::time::Duration;

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::compare::{load, netflow};
use crate::run::run;
use crate::target::Target;

/// Arguments of `bench growth`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Flows a second
    #[arg(long, default_value_t = 300_000)]
    rate: u64,
    /// Seconds of load for each figure
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Measurements of each figure; the minimum is used, because other load can only add to it
    #[arg(long, default_value_t = 2)]
    rounds: usize,
}

/// Distinct addresses on each side, with one exporter.
const ADDRESSES: [u32; 3] = [1000, 50_000, 1_000_000];
/// Exporters, with 50,000 addresses.
const EXPORTERS: [u32; 3] = [1, 100, 10_000];

/// Measures each step and returns the cost.
pub(crate) fn growth(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let addresses = costs(arguments, &ADDRESSES.map(|addresses| (addresses, 1)))?;
    let exporters = costs(arguments, &EXPORTERS.map(|exporters| (50_000, exporters)))?;
    let mut targets = Vec::new();
    for (count, cost) in ADDRESSES.iter().zip(&addresses) {
        targets.push(Target::figure(format!("processor time a flow, {count} addresses"), cost * 1e3, "ns"));
    }
    for (count, cost) in EXPORTERS.iter().zip(&exporters) {
        targets.push(Target::figure(format!("processor time a flow, {count} exporters"), cost * 1e3, "ns"));
    }
    let grown = |costs: &[f64]| costs.last().zip(costs.first()).map_or(f64::NAN, |(last, first)| last / first);
    targets.push(Target::at_most("cost from 1,000 to 1,000,000 addresses", grown(&addresses), 2.0, "times"));
    targets.push(Target::at_most("cost from 1 to 10,000 exporters", grown(&exporters), 2.0, "times"));
    Ok(targets)
}

/// Processor seconds for a million flows, for each number of addresses and exporters.
fn costs(arguments: &Arguments, cases: &[(u32, u32)]) -> anyhow::Result<Vec<f64>> {
    let mut costs = vec![f64::INFINITY; cases.len()];
    let pace = Pace {
        rate: Some(arguments.rate),
        duration: Some(Duration::from_secs_f64(arguments.seconds)),
        ..Pace::default()
    };
    for _ in 0..arguments.rounds {
        for (least, (addresses, exporters)) in costs.iter_mut().zip(cases) {
            let generator = Generator::new(load(Protocol::NetflowV9, *addresses, *exporters, 0))?;
            let outcome = run(&netflow(), &generator, pace)?;
            eprintln!("{addresses} addresses, {exporters} exporters: {:.3} s for a million flows", outcome.cost());
            anyhow::ensure!(outcome.is_right(), "totals are wrong: {} dropped", outcome.drops);
            *least = least.min(outcome.cost());
        }
    }
    Ok(costs)
}
