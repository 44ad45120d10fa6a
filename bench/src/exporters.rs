//! Many exporters with little traffic each: memory for each of them, and losses.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::compare::{load, netflow_with_journal};
use crate::loaded_collector::LoadedCollector;
use crate::target::Target;

/// Arguments of `bench exporters`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Number of exporters
    #[arg(long, default_value_t = 10_000)]
    count: u32,
    /// Flows a second of all exporters together
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Seconds of load
    #[arg(long, default_value_t = 25.0)]
    seconds: f64,
    /// Send for 300 seconds
    #[arg(long)]
    full: bool,
}

/// The totals of one in this many exporters are compared.
const SAMPLE: usize = 100;

/// Sends the same load from one exporter, then from many.
pub(crate) fn exporters(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let seconds = if arguments.full { 300.0 } else { arguments.seconds };
    let pace = |seconds| Pace {
        rate: Some(arguments.rate),
        duration: Some(Duration::from_secs_f64(seconds)),
        ..Pace::default()
    };
    let mut one = Generator::new(load(Protocol::NetflowV9, 1000, 1, 0))?;
    let mut collector = LoadedCollector::start(&netflow_with_journal(), &one)?;
    collector.send(&mut one, pace(arguments.seconds))?;
    let of_one = collector.netflow.process.memory();
    drop(collector);

    let mut many = Generator::new(load(Protocol::NetflowV9, 1000, arguments.count, 0))?;
    let mut collector = LoadedCollector::start(&netflow_with_journal(), &many)?;
    let registered = collector.netflow.process.memory();
    let (sent, _) = collector.send(&mut many, pace(seconds))?;
    let of_many = collector.netflow.process.memory();
    let (counted, drops) = (collector.netflow.status_counter("flows")?, collector.drops()?);
    collector.netflow.restart()?;
    let sources = (0u32..).map(|number| many.load().source(number).unwrap_or(Ipv4Addr::LOCALHOST));
    let mut wrong = 0;
    for (source, sent) in sources.zip(&sent.exporters).step_by(SAMPLE) {
        let counted = collector.netflow.counted(source, &["all"])?;
        let flows: u64 = counted.iter().map(|(_, counters)| counters.flows).sum();
        let bytes: u64 = counted.iter().map(|(_, counters)| counters.bytes).sum();
        wrong += usize::from((flows, bytes) != (sent.flows, sent.bytes));
    }
    let each = |octets: u64| octets.saturating_sub(of_one) as f64 / f64::from(arguments.count) / 1024.0;
    let what = format!("{} exporters", arguments.count);
    Ok(vec![
        Target::figure(format!("{what}: resident memory with all of them"), of_many as f64 / f64::from(1 << 20), "MiB"),
        Target::figure(format!("{what}: memory each before they send, minus that of one"), each(registered), "KiB"),
        Target::at_most(format!("{what}: memory each, minus that of one"), each(of_many), 8.0, "KiB"),
        Target::holds(
            format!("{what}: nothing is lost"),
            counted == sent.all.flows && drops == 0,
            format!("{} flows, {drops} datagrams", sent.all.flows - counted.min(sent.all.flows)),
        ),
        Target::holds(
            format!("{what}: totals are exact"),
            wrong == 0,
            format!("{wrong} wrong in a sample of every hundredth"),
        ),
    ])
}
