//! `netflow store copy`: copies a store into another.

use accounting::block::WriterId;
use accounting::period::Interval;
use anyhow::anyhow;
use clap::Args;
use serde_json::json;
use storage::copy::{Copied, copy, repair};

use super::address::{self, Address};
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;

/// The options of `netflow store copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netflow store copy --to sqlite:/backup/netflow.sqlite
  netflow store copy --to redis
  netflow store copy --repair --from sqlite:/backup/netflow.sqlite --to sqlite")]
pub(crate) struct Arguments {
    /// The store to copy [default: the configured one]
    #[arg(long, value_name = "STORE", long_help = format!("The store to copy [default: the configured one]\n\n{}", address::HELP))]
    from: Option<Address>,

    /// The target store; a missing file is created
    #[arg(long, value_name = "STORE")]
    to: Address,

    /// Only restore damaged blocks of the target, from an older copy of it
    #[arg(long)]
    repair: bool,

    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Copies, and prints what was copied.
pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let from = arguments.from.clone().unwrap_or_else(|| Address::configured(config));
    if from.is(&arguments.to, config) {
        return Err(Failure::new(ExitCode::Store, anyhow!("cannot copy a store into itself")));
    }
    let source = from.open_to_read(config).or_exit(ExitCode::Store)?;
    let target = arguments.to.open_to_write(config).or_exit(ExitCode::Store)?;
    let (source, target) = (source.as_ref(), target.as_ref());
    let mut progress = Progress::new();
    let mut reached = |writer: WriterId, interval: Interval, copied: &Copied| {
        progress.show(|| {
            let done = copied.blocks + copied.present;
            format!("{done} blocks copied, {} {interval} of writer {writer}", interval.period.name())
        });
    };
    let copied = match arguments.repair {
        false => copy(source, target, &mut reached).await,
        true => repair(source, target, &mut reached).await,
    };
    progress.clear();
    let interrupted =
        |error| anyhow::Error::from(error).context("the copy is incomplete; run the same command again to continue");
    let Copied { senders, announced, writers, blocks, octets, present, ahead } =
        copied.map_err(interrupted).or_exit(ExitCode::Store)?;
    if arguments.json {
        let skipped: Vec<String> = ahead.iter().map(ToString::to_string).collect();
        output::print_line(json!({
            "blocks": blocks, "bytes": octets, "writers": writers, "blocksPresent": present, "senders": senders,
            "sendersWithTemplates": announced, "skippedWriters": skipped,
        }))?;
    } else {
        output::print_line(format_args!(
            "copied {blocks} blocks ({octets} bytes) of {writers} writers, {present} were present; \
         {senders} senders, templates of {announced}"
        ))?;
    }
    for writer in &ahead {
        output::report(format_args!(
            "netflow: skipped writer {writer}: the target has newer data of it than the source; copy into another store, or \
             in the other direction"
        ));
    }
    Ok(if ahead.is_empty() { ExitCode::Success } else { ExitCode::Store })
}
