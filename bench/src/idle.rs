//! Memory and processor time of a collector without traffic.

use std::thread;
use std::time::Duration;

use clap::Args;

use crate::compare::netflow_with_journal;
use crate::loaded_collector::LoadedCollector;
use crate::target::Target;

/// Arguments of `bench idle`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Seconds to measure
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
}

/// Processor time that passes as none: a tenth of a percent of one core.
const NONE_PERCENT: f64 = 0.1;

/// Measures a collector with one registered exporter, which is silent.
pub(crate) fn idle(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let collector = LoadedCollector::start_with_exporters(&netflow_with_journal(), &[std::net::Ipv4Addr::LOCALHOST])?;
    let before = collector.netflow.process.processor_seconds();
    thread::sleep(Duration::from_secs_f64(arguments.seconds));
    let used = collector.netflow.process.processor_seconds() - before;
    let memory = collector.netflow.process.memory();
    Ok(vec![
        Target::at_most("idle: resident memory", memory as f64 / f64::from(1 << 20), 30.0, "MiB"),
        Target::at_most("idle: share of one core", used / arguments.seconds * 100.0, NONE_PERCENT, "%"),
    ])
}
