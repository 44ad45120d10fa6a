//! One exporter at the highest rate: with all its datagrams on one thread, and with datagrams spread over all threads.

use std::time::Duration;

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::compare::{load, netflow};
use crate::loaded_collector::LoadedCollector;
use crate::program::Netflow;
use crate::target::Target;

/// Arguments of `bench steering`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Seconds of load for each figure
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Receiving threads; 0 means one for each core
    #[arg(long, default_value_t = 0)]
    cores: u32,
}

/// Floods a collector from one address and port, with each kind of steering.
pub(crate) fn steering(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    let mut rates = Vec::new();
    for steering in ["source", "spread"] {
        let mut generator = Generator::new(load(Protocol::NetflowV9, 50_000, 1, 0))?;
        let mut program = Netflow { variant: "", ..netflow() };
        program.settings.push(("NETFLOW__SERVER__STEERING", steering.into()));
        program.settings.push(("NETFLOW__SERVER__CORES", arguments.cores.to_string()));
        let mut collector = LoadedCollector::start(&program, &generator)?;
        let pace = Pace { duration: Some(Duration::from_secs_f64(arguments.seconds)), ..Pace::default() };
        let before = collector.netflow.process.processor_seconds();
        let (sent, duration) = collector.send(&mut generator, pace)?;
        let flows = collector.netflow.status_counter("flows")? as f64;
        let cost = (collector.netflow.process.processor_seconds() - before) * 1e9 / flows;
        let rate = flows / duration.as_secs_f64() / 1e6;
        eprintln!("{steering}: {rate:.2} M flows/s of {:.2} M sent", sent.all.flows as f64 / 1e6 / arguments.seconds);
        targets.push(Target::figure(format!("one exporter, steered by {steering}: flows a second"), rate, "million"));
        targets.push(Target::figure(format!("one exporter, steered by {steering}: processor time a flow"), cost, "ns"));
        rates.push(rate);
    }
    if let [source, spread] = rates.as_slice() {
        targets.push(Target::figure("one exporter: rate spread / rate on one thread", spread / source, "times"));
    }
    Ok(targets)
}
