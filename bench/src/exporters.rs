//! Very many exporters, each with little: memory for each of them, and loss.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::bar::Bar;
use crate::compare::{load, netflow_with_journal};
use crate::stage::Stage;

/// How many, how much, how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Exporters
    #[arg(long, default_value_t = 10_000)]
    count: u32,
    /// Flows a second of all of them
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Seconds of load
    #[arg(long, default_value_t = 25.0)]
    seconds: f64,
    /// 300 seconds
    #[arg(long)]
    full: bool,
}

/// Of so many exporters one is asked for.
const ASKED: usize = 100;

/// The same load from one exporter, then from many.
pub(crate) fn exporters(arguments: &Arguments) -> anyhow::Result<Vec<Bar>> {
    let seconds = if arguments.full { 300.0 } else { arguments.seconds };
    let pace = |seconds| Pace {
        rate: Some(arguments.rate),
        duration: Some(Duration::from_secs_f64(seconds)),
        ..Pace::default()
    };
    let mut one = Generator::new(load(Protocol::NetflowV9, 1000, 1, 0))?;
    let mut stage = Stage::set(&netflow_with_journal(), &one)?;
    stage.send(&mut one, pace(arguments.seconds))?;
    let of_one = stage.netflow.process.memory();
    drop(stage);

    let mut many = Generator::new(load(Protocol::NetflowV9, 1000, arguments.count, 0))?;
    let mut stage = Stage::set(&netflow_with_journal(), &many)?;
    let registered = stage.netflow.process.memory();
    let (sent, _) = stage.send(&mut many, pace(seconds))?;
    let of_many = stage.netflow.process.memory();
    let (counted, drops) = (stage.netflow.status_counter("flows")?, stage.drops()?);
    stage.netflow.restart()?;
    let sources = (0u32..).map(|number| many.load().source(number).unwrap_or(Ipv4Addr::LOCALHOST));
    let mut wrong = 0;
    for (source, sent) in sources.zip(&sent.exporters).step_by(ASKED) {
        let counted = stage.netflow.counted(source, &["all"])?;
        let flows: u64 = counted.iter().map(|(_, counters)| counters.flows).sum();
        let bytes: u64 = counted.iter().map(|(_, counters)| counters.bytes).sum();
        wrong += usize::from((flows, bytes) != (sent.flows, sent.bytes));
    }
    let each = |octets: u64| octets.saturating_sub(of_one) as f64 / f64::from(arguments.count) / 1024.0;
    let what = format!("{} exporters", arguments.count);
    Ok(vec![
        Bar::told(format!("{what}: memory with all of them"), of_many as f64 / f64::from(1 << 20), "MiB"),
        Bar::told(format!("{what}: memory each before they send, beyond that of one"), each(registered), "KiB"),
        Bar::at_most(format!("{what}: memory each, beyond that of one"), each(of_many), 8.0, "KiB"),
        Bar::holds(
            format!("{what}: nothing is lost"),
            counted == sent.all.flows && drops == 0,
            format!("{} flows, {drops} datagrams", sent.all.flows - counted.min(sent.all.flows)),
        ),
        Bar::holds(format!("{what}: totals are exact"), wrong == 0, format!("{wrong} of every hundredth wrong")),
    ])
}
