//! What AS numbers by a file cost: the collector looks up both ends of every flow, or counts the AS numbers that the exporter
//! states.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{Args, ValueEnum};
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
    /// Only these loads
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Flows>,
}

/// A load. A million addresses each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Flows {
    /// Popular addresses, several in each of 65,000 networks all over the table, as in real traffic
    Networks,
    /// Popular addresses, each outside with a range of its own
    Popular,
    /// Equally likely addresses, each outside with a range of its own
    Even,
}

/// Distinct addresses, half of them inside the monitored prefix.
const ADDRESSES: u32 = 1_000_000;
/// Distinct AS numbers, in the file and of the exporter.
const AS_NUMBERS: u16 = 65_000;
/// The networks that flows are with, one for each AS number, in a table as large as that of the Internet: each of the parts of the
/// address space in which they may be has a range of the length of a /24, and another one for what is left.
const NETWORKS: u32 = 65_000;
const PARTS: u32 = 1 << 18;
const PART_LENGTH: u32 = 4096;
/// The addresses of the generator's flows: where those outside begin, and the AS of those inside.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
const INSIDE_AS: u32 = 64_500;
/// The countries of AS numbers outside, in turn.
const COUNTRIES: [&str; 8] = ["US", "DE", "GB", "BR", "IN", "JP", "FR", "AU"];

/// Measures both in turn for each load: that of real traffic, in which a thousand networks have half of the flows (Sarrar and
/// others, "Leveraging Zipf's law for traffic offloading", 2012), and others in which as many ranges are in use as addresses.
pub(crate) fn origins(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let folder = tempfile::tempdir()?;
    let prefix: Prefix = "10.0.0.0/8".parse()?;
    let stated = Netflow { prefixes: vec![prefix], once: 1, ..netflow_with_journal() };
    let mut targets = Vec::new();
    let is_wanted = |flows: &Flows| arguments.only.is_empty() || arguments.only.contains(flows);
    for flows in Flows::value_variants().iter().copied().filter(is_wanted) {
        let generator = Generator::new(flows.load())?;
        let file = folder.path().join("ranges.tsv");
        std::fs::write(&file, flows.ranges())?;
        let mut looked_up = Netflow { variant: ", AS numbers by file", ..stated.clone() };
        // The file is asked for each end, whatever the exporter states.
        looked_up.settings.push(("NETFLOW__ORIGINS__FILES", file.display().to_string()));
        looked_up.settings.push(("NETFLOW__ORIGINS__ORDER", "files".into()));
        let (stated, looked_up) = middle_pair(arguments, &generator, &stated, &looked_up)?;
        let what = |what: &str| format!("addresses {}: {what}", flows.name());
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

impl Flows {
    const fn name(self) -> &'static str {
        match self {
            Self::Networks => "popular, in 65,000 networks",
            Self::Popular => "popular, each with a range",
            Self::Even => "equally likely, each with a range",
        }
    }

    fn load(self) -> Load {
        let addresses = ADDRESSES / 2;
        let load = load(Protocol::NetflowV9, addresses, 1, 0);
        let prefixes = "10.0.0.0/8".parse().into_iter().collect();
        let networks = if self == Self::Networks { NETWORKS } else { 0 };
        let popularity = if self == Self::Even { Popularity::Even } else { Popularity::Zipf };
        let traffic = Traffic { prefixes, networks, autonomous_systems: AS_NUMBERS, popularity, ..load.traffic };
        Load { traffic, ..load }
    }

    /// A file of the layout of iptoasn.com with the AS numbers that the exporter states, so that both count the same. It has some
    /// 500,000 ranges, about as many as the table of the Internet.
    fn ranges(self) -> String {
        let mut text = format!("10.0.0.0\t10.255.255.255\t{INSIDE_AS}\tCH\tInside\n");
        let mut add = |first: u32, length: u32, holder: u32| {
            let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(first + length - 1));
            let country = COUNTRIES.get(holder as usize % COUNTRIES.len()).copied().unwrap_or_default();
            let _ = writeln!(text, "{first}\t{last}\t{}\t{country}\tOutside", 1 + holder % u32::from(AS_NUMBERS));
        };
        if self == Self::Networks {
            for part in 0..PARTS {
                let first = Traffic::network(part).to_bits();
                add(first, 256, part);
                add(first + 256, PART_LENGTH - 256, part + 1);
            }
        } else {
            (0..ADDRESSES / 2).for_each(|index| add(OUTSIDE.to_bits() + index, 1, index));
        }
        text
    }
}
