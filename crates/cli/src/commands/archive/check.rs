//! `netflow archive check`: reads every file completely.

use std::fmt::Display;
use std::io::{self, Write};
use std::ops::ControlFlow;

use anyhow::Context;
use archive::check::{CheckEvent, Checked, Finding, check};
use clap::Args;
use serde_json::json;

use super::Folder;
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output::Output;
use crate::table::{count_of, printable};

/// The options of `netflow archive check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  netflow archive check
  netflow archive check --folder /backup/flows")]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Print one JSON object per line: the problems, then the summary
    #[arg(long)]
    json: bool,
}

/// Prints one line per problem, then the summary.
pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = arguments.folder.path(config)?;
    let (mut output, mut progress, mut written) = (Output::new(), Progress::new(), Ok(()));
    let checked = check(&folder, &mut |event| {
        match event {
            CheckEvent::Reading(name, Checked { files, rows, .. }) => {
                progress.show(|| format!("{files} files checked, {rows} flows, {}", name.path().display()));
            }
            CheckEvent::Found(Finding { path, problem }) => {
                progress.clear();
                let path = path.to_string_lossy();
                written = match arguments.json {
                    true => print(&mut output, json!({ "file": path, "problem": problem })),
                    // Both may have texts of the file, which anybody may have put there.
                    false => print(&mut output, format_args!("{}: {}", printable(&path), printable(&problem))),
                };
            }
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    progress.clear();
    let Checked { files, rows, octets, findings } =
        checked.with_context(|| format!("cannot read {}", folder.display())).or_exit(ExitCode::Store)?;
    let summary = match arguments.json {
        true => {
            json!({ "summary": { "files": files, "bytes": octets, "flows": rows, "problems": findings } }).to_string()
        }
        false => format!(
            "checked {} ({octets} bytes, {rows} flow records): {}",
            count_of(files, "file"),
            count_of(findings, "problem")
        ),
    };
    let written = written.and_then(|()| print(&mut output, summary));
    output.end(written)?;
    Ok(if findings > 0 { ExitCode::Damage } else { ExitCode::Success })
}

/// Prints a line at once.
fn print(output: &mut Output, line: impl Display) -> io::Result<()> {
    writeln!(output, "{line}")?;
    output.flush()
}
