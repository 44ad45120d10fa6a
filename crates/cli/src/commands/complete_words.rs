//! `netflow complete-words`, hidden: the words that may follow a command line, for the scripts of `netflow completions`. Words that
//! only a collector knows come from there, if it answers in time; otherwise they are left out without a message.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `complete_words/known.rs` | the answers of the collector |
//! | `complete_words/source.rs` | which argument takes which words |

mod known;
mod source;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::sync::Arc;

use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use crate::exit_code::{ExitCode, Failure};
use crate::output;
use known::Known;
use source::Source;

/// The command line.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The words up to the cursor, the last of which is completed
    #[arg(last = true)]
    words: Vec<OsString>,
}

/// Prints a line for each word: the word, and after a tab its description.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let words = arguments.words;
    let index = words.len().saturating_sub(1);
    let texts = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = with_sources(crate::Arguments::command(), "", &Arc::new(Known::new(texts)));
    // An error means that nothing may follow.
    let candidates = complete(&mut command, words, index, None).unwrap_or_default();
    output::print(|out| {
        candidates.iter().try_for_each(|candidate| {
            let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            let (word, help) = (candidate.get_value().to_string_lossy(), help.lines().next().unwrap_or_default());
            // Names come from routers: a line is one word.
            let has_control = word.chars().chain(help.chars()).any(char::is_control);
            if has_control { Ok(()) } else { writeln!(out, "{word}\t{help}") }
        })
    })?;
    Ok(ExitCode::Success)
}

/// The command with the sources of the words of its arguments, and so the commands below it.
fn with_sources(command: Command, path: &str, known: &Arc<Known>) -> Command {
    let completed = command.mut_args(|argument| match Source::of(path, argument.get_id().as_str()) {
        None => argument,
        Some(source) => {
            let known = Arc::clone(known);
            argument.add(ArgValueCompleter::new(move |current: &OsStr| candidates(source, &known, current)))
        }
    });
    completed.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        with_sources(below, path.trim_start(), known)
    })
}

/// The words of a source that begin as the current one.
fn candidates(source: Source, known: &Known, current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    // Of a list, the last word is completed.
    let begun = if source.is_list() { current.rfind(',').map_or(0, |comma| comma + 1) } else { 0 };
    let (before, current) = current.split_at_checked(begun).unwrap_or((current, ""));
    let words = source.words(known, current).into_iter().filter(|(word, _)| word.starts_with(current));
    words
        .map(|(word, help)| {
            let help = Some(help).filter(|help| !help.is_empty());
            CompletionCandidate::new(format!("{before}{word}")).help(help.map(Into::into))
        })
        .collect()
}
