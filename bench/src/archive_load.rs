//! What the archive costs counting: the highest rate without loss with and without it, what becomes of flows when more arrive
//! than can be counted, and what questions about all flows cost while others arrive.
//!
//! | file | content |
//! | --- | --- |
//! | `trial` | a load sent to one collector: what was counted, and what its archive has |
//! | `rates` | the highest rate without loss, and twice as much |
//! | `questions` | questions while flows arrive |

mod questions;
mod rates;
mod trial;

use clap::Args;

use crate::target::Target;

/// Arguments of `bench archive-load`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Exporters of the search for the highest rate
    #[arg(long, default_value_t = 4)]
    exporters: u32,
    /// Searches for the highest rate, each without and with the archive in turns; 0 skips them, and the overload
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Seconds of load in each step of a search
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Steps of a search, each of which halves the range of rates
    #[arg(long, default_value_t = 6)]
    steps: usize,
    /// Flows that are archived before questions are asked; 0 skips the questions
    #[arg(long, default_value_t = 3_000_000)]
    flows: u64,
    /// Flows a second before questions are asked, until all are there
    #[arg(long, default_value_t = 300_000)]
    first_rate: u64,
    /// Flows a second that arrive while questions are asked
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Seconds of each of two measurements without questions and two with them
    #[arg(long, default_value_t = 10.0)]
    question_seconds: f64,
}

/// Measures what the archive costs counting.
pub(crate) fn archive_load(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    if arguments.rounds > 0 {
        targets.extend(rates::rates(arguments)?);
    }
    if arguments.flows > 0 {
        targets.extend(questions::questions(arguments)?);
    }
    Ok(targets.into_iter().map(|target| target.of("archive")).collect())
}
