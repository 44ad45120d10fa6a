//! The same flows of IPFIX over UDP, TCP and TLS: what each transport costs the collector, and whether all flows are counted.

use std::time::Duration;

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::compare::{load, netflow_with_journal};
use crate::program::{Netflow, Tls};
use crate::run::{Outcome, run};
use crate::table::{Figure, Row, print_table};
use crate::target::Target;
use crate::transport::Transport;

/// Arguments of `bench connections`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Flows a second of one exporter
    #[arg(long, default_value_t = 200_000)]
    rate: u64,
    /// Number of exporters that send at the same time, each over its own connection
    #[arg(long, default_value_t = 200)]
    exporters: u32,
    /// Flows a second of each of them
    #[arg(long, default_value_t = 5_000)]
    rate_each: u64,
    /// Seconds of load for each figure
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Number of rounds; figures are medians
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// The highest processor time of TCP and of TLS, as a multiple of that of UDP.
const MOST_OF_UDP: [f64; 2] = [1.2, 1.6];
/// Flows a second that one connection carries. Millions.
const LEAST_RATE: f64 = 1.0;

/// A load, and what was measured with it over each transport.
struct Case {
    name: String,
    generator: Generator,
    pace: Pace,
    measured: Vec<(Netflow, Row)>,
}

impl Case {
    fn new(name: String, exporters: u32, pace: Pace, programs: &[Netflow]) -> anyhow::Result<Self> {
        let generator = Generator::new(load(Protocol::Ipfix, 50_000, exporters, 0))?;
        let measured = programs.iter().map(|it| (it.clone(), Row::new(it.transport.name().to_owned()))).collect();
        Ok(Self { name, generator, pace, measured })
    }

    fn measure(&mut self) -> anyhow::Result<()> {
        for (program, row) in &mut self.measured {
            let outcome = run(program, &self.generator, self.pace)?;
            eprintln!(
                "{}, {}: {:.3} s for a million flows, {:.2} times as much as the generator",
                self.name,
                row.name(),
                outcome.cost(),
                outcome.processor_seconds / outcome.generator_seconds
            );
            row.moderate.push(outcome);
        }
        Ok(())
    }

    /// Whether connections lost nothing. Datagrams may be dropped by the kernel.
    fn exact(&self) -> impl Iterator<Item = Target> {
        self.measured.iter().map(|(_, row)| {
            let sent: u64 = row.moderate.iter().map(|it| it.sent.all.flows).sum();
            let drops: u64 = row.moderate.iter().map(|it| it.drops).sum();
            let what = format!("{}, {}: all {sent} flows are counted", self.name, row.name());
            Target::holds(what, !row.is_wrong(), format!("{drops} datagrams dropped"))
        })
    }

    /// The processor time of each transport, and its ratio to that of the first.
    fn costs(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let Some(((_, first), others)) = self.measured.split_first() else { return targets };
        for (_, row) in &self.measured {
            let cost = row.cost().map_or(f64::NAN, |cost| cost.median);
            let what = format!("{}, {}: processor time for a million flows", self.name, row.name());
            targets.push(Target::figure(what, cost, "s"));
        }
        for ((_, row), most) in others.iter().zip(MOST_OF_UDP) {
            // Of the same round: the host is slower at times.
            let ratios = row.moderate.iter().zip(&first.moderate).map(|(other, first)| other.cost() / first.cost());
            let ratio = Figure::of(ratios).map_or(f64::NAN, |ratio| ratio.median);
            let what = format!("{}, {} / {}: processor time", self.name, row.name(), first.name());
            targets.push(Target::at_most(what, ratio, most, "times"));
        }
        targets
    }

    fn rates(&self) -> impl Iterator<Item = Target> {
        self.measured.iter().map(|(_, row)| {
            let rate = Figure::of(row.moderate.iter().map(Outcome::offered)).map_or(f64::NAN, |rate| rate.median);
            let what = format!("{}, {}: flows a second", self.name, row.name());
            Target::at_least(what, rate / 1e6, LEAST_RATE, "million")
        })
    }
}

/// Measures all cases over all transports, in turns.
pub(crate) fn connections(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let files = tempfile::tempdir()?;
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls(Tls::make(files.path())?)];
    let program = |transport| Netflow { transport, ..netflow_with_journal() };
    let programs = transports.map(program);
    let at = |rate| Pace { rate, duration: Some(Duration::from_secs_f64(arguments.seconds)), ..Pace::default() };
    let [_, tcp_and_tls @ ..] = &programs;
    let Arguments { rate, exporters, rate_each, .. } = *arguments;
    let mut one = Case::new(format!("{rate} flows/s of one"), 1, at(Some(rate)), &programs)?;
    let all = rate_each * u64::from(exporters);
    let mut many =
        Case::new(format!("{rate_each} flows/s of each of {exporters}"), exporters, at(Some(all)), &programs)?;
    let mut most = Case::new("as fast as one can".to_owned(), 1, at(None), tcp_and_tls)?;
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        [&mut one, &mut many, &mut most].into_iter().try_for_each(Case::measure)?;
    }
    let mut targets = Vec::new();
    for case in [&one, &many, &most] {
        println!("\n{}, {} rounds\n", case.name, arguments.rounds);
        print_table(case.measured.iter().map(|(_, row)| row));
        targets.extend(case.exact());
    }
    targets.extend(one.costs());
    targets.extend(many.costs());
    targets.extend(most.rates());
    Ok(targets)
}
