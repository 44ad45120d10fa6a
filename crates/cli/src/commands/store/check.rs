//! `netflow store check`: verifies that a store is readable and adds up.

use std::fmt::Display;
use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::Args;
use storage::check::{CheckEvent, Checked, check};

use super::address::{self, Address};
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output::Output;
use crate::table::count_of;

/// The options of `netflow store check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netflow store check
  netflow store check --store sqlite:/backup/netflow.sqlite")]
pub(crate) struct Arguments {
    /// The store to check [default: the configured one]
    #[arg(long, value_name = "STORE", long_help = format!("The store to check [default: the configured one]\n\n{}", address::HELP))]
    store: Option<Address>,
}

/// Prints one line per violation, then the summary.
pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let address = arguments.store.clone().unwrap_or_else(|| Address::configured(config));
    let store = address.open_to_read(config).or_exit(ExitCode::Store)?;
    let mut report = Report { output: Output::new(), progress: Progress::new(), written: Ok(()) };
    let checked = check(store.as_ref(), &mut |event| report.note(event)).await.or_exit(ExitCode::Store)?;
    report.progress.clear();
    let written = report.written.and_then(|()| write_summary(&checked, &mut report.output));
    report.output.end(written)?;
    Ok(if checked.violations > 0 { ExitCode::Damage } else { ExitCode::Success })
}

struct Report {
    output: Output,
    progress: Progress,
    written: io::Result<()>,
}

impl Report {
    /// Ends the check when the output cannot be written.
    fn note(&mut self, event: CheckEvent) -> ControlFlow<()> {
        match event {
            CheckEvent::Reached(writer, interval, checked) => self.progress.show(|| {
                let period = interval.period.name();
                format!("{} blocks checked, {period} {interval} of writer {writer}", checked.blocks)
            }),
            CheckEvent::Violation(violation) => self.write(&violation),
            CheckEvent::Saturated(saturated) => self.write(&saturated),
        }
        if self.written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Report {
    fn write(&mut self, line: &impl Display) {
        self.progress.clear();
        self.written = writeln!(self.output, "{line}").and_then(|()| self.output.flush());
    }
}

fn write_summary(checked: &Checked, out: &mut impl Write) -> io::Result<()> {
    let Checked { writers, groups, compared, blocks, names, octets, violations, saturated } = checked;
    if *saturated > 0 {
        writeln!(out, "{} reached 2^64 - 1: lower bounds", count_of(*saturated, "total"))?;
    }
    writeln!(
        out,
        "checked {blocks} blocks ({octets} bytes, {names} names) in {groups} groups of {writers} writers, \
         compared {compared} groups with their finer parts: {violations} violations"
    )
}
