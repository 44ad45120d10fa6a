//! A flood of flows from random addresses together with ordinary traffic: memory, totals, and the largest names.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use clap::Args;
use flow::{Counters, Protocol};
use generator::{Generator, Load, NameKey, Pace, Popularity, Traffic};

use crate::compare::{netflow_with_journal, three_prefixes};
use crate::loaded_collector::LoadedCollector;
use crate::program::CounterKey;
use crate::target::Target;

/// Arguments of `bench attack`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Total number of flows
    #[arg(long, default_value_t = 5_000_000)]
    flows: u64,
    /// Flows a second
    #[arg(long, default_value_t = 250_000)]
    rate: u64,
    /// Send 50 million flows
    #[arg(long)]
    full: bool,
}

/// Percentage of flows that belong to the attack.
const ATTACK_PERCENT: u8 = 90;
/// A name with less than one in this many bytes may be folded.
const SIGNIFICANT_SHARE: u64 = 1000;
/// Names in one request.
const NAMES_PER_REQUEST: usize = 50;
const SENDER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Floods a collector and compares what it counted.
pub(crate) fn attack(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let traffic = Traffic {
        prefixes: three_prefixes(),
        random_percent: ATTACK_PERCENT,
        popularity: Popularity::Zipf,
        ..Traffic::default()
    };
    let load =
        Load { protocol: Protocol::NetflowV9, traffic, repeat: None, first_source: Some(SENDER), ..Load::default() };
    let mut generator = Generator::new(load)?;
    let mut collector = LoadedCollector::start(&netflow_with_journal(), &generator)?;
    let flows = if arguments.full { 50_000_000 } else { arguments.flows };
    let pace = Pace { rate: Some(arguments.rate), flows: Some(flows), ..Pace::default() };
    let (sent, duration) = collector.send(&mut generator, pace)?;
    let (drops, folded) = (collector.drops()?, collector.netflow.status_counter("folded_names")?);
    let peak_memory = collector.netflow.process.peak_memory();
    collector.netflow.restart()?;
    let counted = collector.netflow.totals()?;
    let significant = sent.all.bytes / SIGNIFICANT_SHARE;
    let mut names = generator.names(&three_prefixes(), &mut |name| name.field.is_counted_by_default());
    names.retain(|_, counters| counters.bytes >= significant);
    let (missing, low) = compare_names(&collector, &names)?;
    let seconds = duration.as_secs_f64();
    Ok(vec![
        Target::figure("attack: flows", sent.all.flows as f64 / 1e6, "million"),
        Target::figure("attack: flows a second", sent.all.flows as f64 / seconds / 1e6, "million"),
        Target::figure("attack: names folded before the last flush", folded as f64 / 1e6, "million"),
        Target::at_most("attack: peak resident memory", peak_memory as f64 / f64::from(1 << 20), 512.0, "MiB"),
        Target::holds("attack: totals are exact", counted == sent.all && drops == 0, format!("{drops} dropped")),
        Target::holds(
            format!("attack: all {} names above 0.1 % of the bytes are present", names.len()),
            missing == 0,
            format!("{missing} missing"),
        ),
        Target::at_most("attack: largest shortfall of these names", low * 100.0, 1.0, "%"),
    ])
}

/// The number of these names that are missing or too high, and the largest share by which one of them is too low.
fn compare_names(collector: &LoadedCollector, names: &HashMap<NameKey, Counters>) -> anyhow::Result<(usize, f64)> {
    let mut wanted: Vec<String> = names.keys().map(|key| key.name.to_string()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found: HashMap<CounterKey, Counters> = HashMap::new();
    for some in wanted.chunks(NAMES_PER_REQUEST) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        found.extend(collector.netflow.counted(SENDER, &some)?);
    }
    let (mut missing, mut low) = (0, 0.0_f64);
    for (key, sent) in names {
        let row = CounterKey {
            prefix: key.prefix.to_string(),
            direction: key.direction.name().to_owned(),
            name: key.name.to_string(),
        };
        match found.get(&row) {
            Some(counted) if counted.bytes > 0 && counted.bytes <= sent.bytes => {
                low = low.max(1.0 - counted.bytes as f64 / sent.bytes as f64);
            }
            counted => {
                eprintln!("{row:?}: {counted:?} of {sent:?}");
                missing += 1;
            }
        }
    }
    Ok((missing, low))
}
