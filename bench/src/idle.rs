//! What a collector costs that nobody sends to.

use std::thread;
use std::time::Duration;

use clap::Args;

use crate::bar::Bar;
use crate::compare::netflow_with_journal;
use crate::stage::Stage;

/// How long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Seconds to look at it
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
}

/// Processor time that is not told from none: a tenth of a percent of one core.
const NONE_PERCENT: f64 = 0.1;

/// Looks at a collector that has one sender, which is silent.
pub(crate) fn idle(arguments: &Arguments) -> anyhow::Result<Vec<Bar>> {
    let stage = Stage::with(&netflow_with_journal(), &[std::net::Ipv4Addr::LOCALHOST])?;
    let before = stage.netflow.process.processor_seconds();
    thread::sleep(Duration::from_secs_f64(arguments.seconds));
    let used = stage.netflow.process.processor_seconds() - before;
    let memory = stage.netflow.process.memory();
    Ok(vec![
        Bar::at_most("idle: resident memory", memory as f64 / f64::from(1 << 20), 30.0, "MiB"),
        Bar::at_most("idle: of one core", used / arguments.seconds * 100.0, NONE_PERCENT, "%"),
    ])
}
