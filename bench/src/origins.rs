//! What AS numbers by a file cost: the collector looks up both ends of every flow, or counts the AS numbers that the exporter
//! states.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use flow::{Prefix, Protocol};
use generator::{Generator, Load, Pace, Popularity, Traffic};

use crate::compare::{load, netflow_with_journal};
use crate::program::Netflow;
use crate::run::run;
use crate::target::Target;

/// Arguments of `bench origins`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Flows a second
    #[arg(long, default_value_t = 300_000)]
    rate: u64,
    /// Seconds of load for each figure
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Pairs of measurements; the ratio is the median of theirs
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only flows between a few popular addresses and many others
    #[arg(long)]
    popular: bool,
}

/// Distinct addresses, half of them inside the monitored prefix.
const ADDRESSES: u32 = 1_000_000;
/// Distinct AS numbers, in the file and of the exporter.
const AS_NUMBERS: u16 = 65_000;
/// The addresses of the generator's flows: where those outside begin, and the AS of those inside.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
const INSIDE_AS: u32 = 64_500;

/// Measures both in turn, for flows between a few popular addresses and many others, as in real traffic, and for flows whose
/// addresses are all equally likely, which is the worst case for every cache.
pub(crate) fn origins(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ranges.tsv");
    std::fs::write(&file, ranges())?;
    let prefix: Prefix = "10.0.0.0/8".parse()?;
    let stated = Netflow { prefixes: vec![prefix], once: 1, ..netflow_with_journal() };
    let mut looked_up = Netflow { variant: ", AS numbers by file", ..stated.clone() };
    // The file is asked for each end, whatever the exporter states.
    looked_up.settings.push(("NETFLOW__ORIGINS__FILES", file.display().to_string()));
    looked_up.settings.push(("NETFLOW__ORIGINS__ORDER", "files".into()));
    let mut targets = Vec::new();
    let loads = [("popular", Popularity::Zipf), ("equally likely", Popularity::Even)];
    for (name, popularity) in loads.into_iter().take(if arguments.popular { 1 } else { 2 }) {
        let generator = Generator::new(flows(popularity))?;
        let (stated, looked_up) = middle_pair(arguments, &generator, &stated, &looked_up)?;
        let what = |what: &str| format!("addresses {name}: {what}");
        targets.push(Target::figure(what("processor time a flow, AS numbers of the exporter"), stated, "ns"));
        targets.push(Target::figure(what("processor time a flow, AS numbers by file"), looked_up, "ns"));
        targets.push(Target::at_most(what("by file / of the exporter"), looked_up / stated, 1.15, "times"));
    }
    Ok(targets)
}

/// The processor time a flow of both programs, ns, of the pair whose ratio is the median.
fn middle_pair(
    arguments: &Arguments,
    generator: &Generator,
    stated: &Netflow,
    looked_up: &Netflow,
) -> anyhow::Result<(f64, f64)> {
    let pace = Pace {
        rate: Some(arguments.rate),
        duration: Some(Duration::from_secs_f64(arguments.seconds)),
        ..Pace::default()
    };
    let cost = |program: &Netflow| {
        let outcome = run(program, generator, pace)?;
        anyhow::ensure!(outcome.is_right(), "totals are wrong: {} dropped", outcome.drops);
        anyhow::Ok(outcome.cost() * 1e3)
    };
    let mut pairs = Vec::new();
    for round in 1..=arguments.rounds {
        let pair = (cost(stated)?, cost(looked_up)?);
        eprintln!("round {round}: {:.0} ns a flow with stated AS numbers, {:.0} ns by file", pair.0, pair.1);
        pairs.push(pair);
    }
    pairs.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    Ok(pairs.get(pairs.len() / 2).copied().unwrap_or((f64::NAN, f64::NAN)))
}

fn flows(popularity: Popularity) -> Load {
    let addresses = ADDRESSES / 2;
    let load = load(Protocol::NetflowV9, addresses, 1, 0);
    let prefixes = "10.0.0.0/8".parse().into_iter().collect();
    Load { traffic: Traffic { prefixes, autonomous_systems: AS_NUMBERS, popularity, ..load.traffic }, ..load }
}

/// A file of the layout of iptoasn.com with the AS numbers that the exporter states, so that both count the same: 500,000 ranges,
/// for neighbouring addresses outside have different ones. Flows thus need all of them, as many as the table of the Internet has.
fn ranges() -> String {
    let mut text = format!("10.0.0.0\t10.255.255.255\t{INSIDE_AS}\tCH\tInside\n");
    for index in 0..ADDRESSES / 2 {
        let (address, asn) = (Ipv4Addr::from_bits(OUTSIDE.to_bits() + index), 1 + index % u32::from(AS_NUMBERS));
        let _ = writeln!(text, "{address}\t{address}\t{asn}\tDE\tOutside");
    }
    text
}
