//! `netflow archive compact`: joins the files of past hours.

use std::io::Write;
use std::time::SystemTime;

use accounting::period::Minute;
use anyhow::Context;
use archive::compact::{CompactEvent, Compacted, Compaction};
use clap::Args;
use flow::Timestamp;
use serde_json::json;

use super::Folder;
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output::Output;
use crate::table::{count_of, printable};

/// The options of `netflow archive compact`.
#[derive(Args, Debug)]
#[command(after_help = "\
While it runs, and after an interruption, other programs than netflow may find flows of an hour twice for a moment.

Examples:
  netflow archive compact
  sudo -u netflow netflow archive compact --config /etc/netflow/netflow.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Print one JSON object per line: the files, then the summary
    #[arg(long)]
    json: bool,
}

/// Prints a line for each file that others were joined into or that was left alone, then a summary.
pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = arguments.folder.path(config)?;
    let now = Minute::of(Timestamp::from(SystemTime::now()));
    let compaction = Compaction { folder: &folder, reserve: config.archive_retention().reserve, now };
    let (mut output, mut progress, mut written) = (Output::new(), Progress::new(), Ok(()));
    // What cannot be printed does not end it.
    let mut line = |output: &mut Output, line: String| {
        let printed = writeln!(output, "{line}").and_then(|()| output.flush());
        written = std::mem::replace(&mut written, Ok(())).and(printed);
    };
    let compacted = compaction.run(&mut |event| match event {
        CompactEvent::Copying(name) => progress.show(|| format!("reading {}", name.path().display())),
        CompactEvent::Written => progress.show(|| "verifying the joined file".to_owned()),
        CompactEvent::Verified => progress.show(|| "waiting for questions that read the files".to_owned()),
        CompactEvent::Removed(_) => {}
        CompactEvent::Named(name) => {
            progress.clear();
            let path = name.path();
            let joined = match arguments.json {
                true => json!({ "joined": path.to_string_lossy() }).to_string(),
                false => format!("joined {}", path.display()),
            };
            line(&mut output, joined);
        }
        CompactEvent::Left(name, problem) => {
            progress.clear();
            let path = name.path();
            let left = match arguments.json {
                true => json!({ "left": path.to_string_lossy(), "problem": problem }).to_string(),
                false => format!("left as it is: {}: {}", path.display(), printable(problem)),
            };
            line(&mut output, left);
        }
    });
    progress.clear();
    let compacted = compacted.with_context(|| format!("cannot join the files of {}", folder.display()));
    let Compacted { replaced, joined, rows, octets_before, octets_after, left } = compacted.or_exit(ExitCode::Store)?;
    let summary = match arguments.json {
        true => json!({ "summary": {
            "filesBefore": replaced, "filesAfter": joined, "flows": rows, "bytesBefore": octets_before,
            "bytesAfter": octets_after, "filesLeft": left,
        } })
        .to_string(),
        false => format!(
            "joined {} into {joined}: {rows} flow records, {octets_before} bytes before, {octets_after} after",
            count_of(replaced, "file")
        ),
    };
    line(&mut output, summary);
    output.end(written)?;
    Ok(if left > 0 { ExitCode::Damage } else { ExitCode::Success })
}
