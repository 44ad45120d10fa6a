//! The comparison: every program gets the same load, one after the other, in several rounds.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use flow::{Prefix, Protocol};
use generator::{Generator, Load, Pace, Traffic};

use crate::program::{Netflow, Nfacctd, Nfcapd, Program, ReceiveOnly};
use crate::run::{Outcome, run};
use crate::search::Search;
use crate::table::{Row, print_table};
use crate::target::Target;
use crate::transport::Transport;

/// Arguments of `bench compare`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Protocols, one table each
    #[arg(long, value_delimiter = ',', default_value = "v5,v9,ipfix")]
    protocols: Vec<String>,
    /// Only programs with one of these strings in their name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only the programs that have targets
    #[arg(long)]
    brief: bool,
    /// Number of rounds; figures are medians, with minimum and maximum
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Flows a second at which processor time is measured; less for nfacctd, which cannot keep up
    #[arg(long, default_value_t = 300_000)]
    rate: u64,
    /// Seconds of load to measure processor time; 0 skips this
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds of load in each step of the search for the highest rate; 0 skips the search
    #[arg(long, default_value_t = 2.0)]
    search_seconds: f64,
    /// Distinct addresses inside the monitored prefixes, and the same number outside
    #[arg(long, default_value_t = 50_000)]
    addresses: u32,
    /// Number of exporters, with addresses from 127.0.0.1 upwards
    #[arg(long, default_value_t = 1)]
    exporters: u32,
    /// Percentage of flows from random addresses and ports, as in an attack; no flow is then repeated
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    random: u8,
}

/// The names of the programs that have targets.
const OURS: &str = "netflow";
const WITH_JOURNAL: &str = "netflow, journal on";
const NFCAPD: &str = "nfcapd";
const NFACCTD: &str = "nfacctd, one key";

/// Steps of the binary search.
const STEPS: usize = 5;

/// Three separate prefixes: each flow is in one of them.
pub(crate) fn three_prefixes() -> Vec<Prefix> {
    ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16"].iter().filter_map(|prefix| prefix.parse().ok()).collect()
}

/// The load that all programs get.
pub(crate) fn load(protocol: Protocol, addresses: u32, exporters: u32, random: u8) -> Load {
    let traffic = Traffic { prefixes: three_prefixes(), addresses, random_percent: random, ..Traffic::default() };
    let repeat = (random == 0).then_some(addresses.saturating_mul(2).max(100_000));
    Load { protocol, traffic, repeat, exporters, first_source: Some(Ipv4Addr::LOCALHOST), ..Load::default() }
}

/// Our collector without a journal: one of 1 MiB, which is full immediately.
pub(crate) fn netflow() -> Netflow {
    let settings = vec![("NETFLOW__JOURNAL__MAX_BYTES", "1MiB".into())];
    Netflow { variant: "", prefixes: three_prefixes(), once: 3, settings, tls: None, transport: Transport::Udp }
}

/// Our collector with the default journal.
pub(crate) fn netflow_with_journal() -> Netflow {
    Netflow { variant: ", journal on", settings: Vec::new(), ..netflow() }
}

fn programs(only: &[String], brief: bool) -> Vec<Box<dyn Program>> {
    let mut nested = three_prefixes();
    nested.extend("10.0.0.0/8".parse::<Prefix>());
    let all: Vec<Box<dyn Program>> = vec![
        Box::new(netflow()),
        Box::new(netflow_with_journal()),
        Box::new(Netflow { variant: ", each flow in two prefixes", prefixes: nested, ..netflow() }),
        Box::new(Nfcapd { options: &[] }),
        Box::new(Nfacctd::ONE_KEY),
        Box::new(Nfacctd::EIGHT_FIELDS),
        Box::new(ReceiveOnly),
    ];
    let wanted = |name: String| {
        let named = only.is_empty() || only.iter().any(|only| name.contains(only));
        named && (!brief || [OURS, WITH_JOURNAL, NFCAPD, NFACCTD].contains(&name.as_str()))
    };
    all.into_iter().filter(|program| wanted(program.name())).collect()
}

/// Prints a table for each protocol and returns the ratios to the other programs. Fails if a program did not count at
/// the moderate rate what was sent.
pub(crate) fn compare(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let (mut wrong, mut targets) = (Vec::new(), Vec::new());
    for protocol in &arguments.protocols {
        let protocol = match protocol.as_str() {
            "v5" => Protocol::NetflowV5,
            "v9" => Protocol::NetflowV9,
            "ipfix" => Protocol::Ipfix,
            other => anyhow::bail!("'{other}' is not compared: choose v5, v9 or ipfix"),
        };
        let generator = Generator::new(load(protocol, arguments.addresses, arguments.exporters, arguments.random))?;
        let programs = programs(&arguments.only, arguments.brief);
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
        print_table(rows.iter());
        targets.extend(targets_of(protocol, &rows));
        wrong.extend(rows.iter().filter(|row| row.is_wrong()).map(|row| format!("{} of {protocol}", row.name())));
    }
    anyhow::ensure!(wrong.is_empty(), "totals are wrong: {}", wrong.join(", "));
    Ok(targets)
}

/// The ratios of our collector to the others, as far as they were measured.
fn targets_of(protocol: Protocol, rows: &[Row]) -> Vec<Target> {
    let ratio = |of: fn(&Row) -> Option<f64>, ours: &str, other: &str| {
        let figure = |name: &str| rows.iter().find(|row| row.name() == name).and_then(of);
        Some(figure(ours)? / figure(other)?)
    };
    let cost: fn(&Row) -> Option<f64> = |row| row.cost().map(|cost| cost.median);
    let rate: fn(&Row) -> Option<f64> = |row| row.rate().map(|rate| rate.median).filter(|rate| *rate > 0.0);
    let allowed = if protocol == Protocol::NetflowV5 { 1.5 } else { 1.0 };
    let at_most = |what: &str, measured: Option<f64>, most| {
        measured.map(|it| Target::at_most(format!("{protocol}: {what}"), it, most, "times"))
    };
    let at_least = |what: &str, measured: Option<f64>, least| {
        measured.map(|it| Target::at_least(format!("{protocol}: {what}"), it, least, "times"))
    };
    let targets = [
        at_most("processor time / nfcapd's", ratio(cost, OURS, NFCAPD), allowed),
        at_most("processor time / nfacctd's with one key", ratio(cost, OURS, NFACCTD), 0.1),
        at_most("processor time with / without journal", ratio(cost, WITH_JOURNAL, OURS), 1.3),
        at_least("highest rate without loss / nfcapd's", ratio(rate, OURS, NFCAPD), 1.0),
        at_least("highest rate without loss / nfacctd's with one key", ratio(rate, OURS, NFACCTD), 5.0),
    ];
    targets.into_iter().flatten().collect()
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

/// The run at the highest rate without loss; `None` if no such rate was found.
fn highest(program: &dyn Program, generator: &Generator, duration: Duration) -> anyhow::Result<Option<Outcome>> {
    let at = |rate: Option<f64>| {
        let pace = Pace { rate: rate.map(|rate| rate as u64), duration: Some(duration), flows: None };
        let outcome = run(program, generator, pace)?;
        let (offered, share) = (outcome.offered(), outcome.share_counted());
        eprintln!("  {:>12.0} flows/s: {:.3} % counted, {} dropped", offered, 100.0 * share, outcome.drops);
        anyhow::Ok(outcome)
    };
    let flood = at(None)?;
    let mut search = Search::below(flood.offered(), flood.share_counted(), flood.is_right(), STEPS);
    let mut runs = vec![flood];
    while let Some(rate) = search.next() {
        let outcome = at(Some(rate))?;
        search.add(outcome.offered(), outcome.is_right());
        runs.push(outcome);
    }
    let is_found = |run: &Outcome| run.is_right() && Some(run.offered()) == search.found();
    Ok(runs.into_iter().find(is_found))
}
