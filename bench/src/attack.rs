//! A flood of flows from random addresses, with ordinary traffic under it: memory, totals, and the names that matter.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use clap::Args;
use flow::{Counters, Protocol};
use generator::{Generator, Load, NameKey, Pace, Popularity, Traffic};

use crate::bar::Bar;
use crate::compare::{netflow_with_journal, three_prefixes};
use crate::program::Row;
use crate::stage::Stage;

/// How large the flood is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Flows in all
    #[arg(long, default_value_t = 5_000_000)]
    flows: u64,
    /// Flows a second
    #[arg(long, default_value_t = 250_000)]
    rate: u64,
    /// 50 million flows
    #[arg(long)]
    full: bool,
}

/// How many of a hundred flows are the attack's.
const ATTACK_PERCENT: u8 = 90;
/// A name that has less of the traffic than one of so many bytes may be folded away.
const WORTH_TELLING: u64 = 1000;
/// How many names are asked for at once.
const NAMES_AT_ONCE: usize = 50;
const SENDER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Floods a collector.
pub(crate) fn attack(arguments: &Arguments) -> anyhow::Result<Vec<Bar>> {
    let traffic = Traffic {
        prefixes: three_prefixes(),
        random_percent: ATTACK_PERCENT,
        popularity: Popularity::Zipf,
        ..Traffic::default()
    };
    let load =
        Load { protocol: Protocol::NetflowV9, traffic, repeat: None, first_source: Some(SENDER), ..Load::default() };
    let mut generator = Generator::new(load)?;
    let mut stage = Stage::set(&netflow_with_journal(), &generator)?;
    let flows = if arguments.full { 50_000_000 } else { arguments.flows };
    let pace = Pace { rate: Some(arguments.rate), flows: Some(flows), ..Pace::default() };
    let (sent, duration) = stage.send(&mut generator, pace)?;
    let (drops, folded) = (stage.drops()?, stage.netflow.status_counter("folded_names")?);
    let before = stage.netflow.process.peak_memory();
    stage.netflow.restart()?;
    let counted = stage.netflow.totals()?;
    let worth = sent.all.bytes / WORTH_TELLING;
    let mut names = generator.names(&three_prefixes(), &mut |_| true);
    names.retain(|_, counters| counters.bytes >= worth);
    let (missing, low) = told(&stage, &names)?;
    let seconds = duration.as_secs_f64();
    Ok(vec![
        Bar::told("attack: flows", sent.all.flows as f64 / 1e6, "million"),
        Bar::told("attack: flows a second", sent.all.flows as f64 / seconds / 1e6, "million"),
        Bar::told("attack: names folded away before the last flush", folded as f64 / 1e6, "million"),
        Bar::at_most("attack: resident memory, at most", before as f64 / f64::from(1 << 20), 512.0, "MiB"),
        Bar::holds("attack: totals are exact", counted == sent.all && drops == 0, format!("{drops} dropped")),
        Bar::holds(
            format!("attack: names above 0.1 % of the bytes are there ({})", names.len()),
            missing == 0,
            format!("{missing} missing"),
        ),
        Bar::at_most("attack: how much the worst of them is low", low * 100.0, 1.0, "%"),
    ])
}

/// How many of these names are not there, or more than they should be; and by which share the worst one is low.
fn told(stage: &Stage, names: &HashMap<NameKey, Counters>) -> anyhow::Result<(usize, f64)> {
    let mut wanted: Vec<String> = names.keys().map(|key| key.name.to_string()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found: HashMap<Row, Counters> = HashMap::new();
    for some in wanted.chunks(NAMES_AT_ONCE) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        found.extend(stage.netflow.counted(SENDER, &some)?);
    }
    let (mut missing, mut low) = (0, 0.0_f64);
    for (key, sent) in names {
        let row = Row {
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
