//! `netflow store check`: verifies that a store is readable and adds up.

use std::fmt::Display;
use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::Args;
use serde_json::json;
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

    /// Print one JSON object per line: the violations, then the summary
    #[arg(long)]
    json: bool,
}

/// Prints one line per violation, then the summary.
pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let address = arguments.store.clone().unwrap_or_else(|| Address::configured(config));
    let store = address.open_to_read(config).or_exit(ExitCode::Store)?;
    let mut report =
        Report { output: Output::new(), progress: Progress::new(), written: Ok(()), is_json: arguments.json };
    let checked = check(store.as_ref(), &mut |event| report.note(event)).await.or_exit(ExitCode::Store)?;
    report.progress.clear();
    let write_summary = if arguments.json { write_json } else { write_summary };
    let written = report.written.and_then(|()| write_summary(&checked, &mut report.output));
    report.output.end(written)?;
    Ok(if checked.violations > 0 { ExitCode::Damage } else { ExitCode::Success })
}

struct Report {
    output: Output,
    progress: Progress,
    written: io::Result<()>,
    is_json: bool,
}

impl Report {
    /// Ends the check when the output cannot be written.
    fn note(&mut self, event: CheckEvent) -> ControlFlow<()> {
        match event {
            CheckEvent::Reached(writer, interval, checked) => self.progress.show(|| {
                let period = interval.period.name();
                format!("{} blocks checked, {period} {interval} of writer {writer}", checked.blocks)
            }),
            CheckEvent::Violation(violation) => self.write("violation", &violation),
            CheckEvent::Saturated(saturated) => self.write("saturated", &saturated),
        }
        if self.written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Report {
    fn write(&mut self, kind: &str, line: &impl Display) {
        self.progress.clear();
        let written = match self.is_json {
            true => writeln!(self.output, "{}", json!({ kind: line.to_string() })),
            false => writeln!(self.output, "{line}"),
        };
        self.written = written.and_then(|()| self.output.flush());
    }
}

fn write_json(checked: &Checked, out: &mut Output) -> io::Result<()> {
    let Checked { writers, groups, compared, blocks, names, octets, violations, saturated } = checked;
    let summary = json!({
        "writers": writers, "groups": groups, "groupsCompared": compared, "blocks": blocks, "names": names,
        "bytes": octets, "violations": violations, "saturated": saturated,
    });
    writeln!(out, "{}", json!({ "summary": summary }))
}

fn write_summary(checked: &Checked, out: &mut Output) -> io::Result<()> {
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
