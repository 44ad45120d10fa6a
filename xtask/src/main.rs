//! Tasks of this repository, run as `cargo run -p xtask -- TASK`:
//!
//! | task | what it does |
//! | --- | --- |
//! | `elements` | writes the tables of information elements that are checked in under `crates/wire` |
//! | `elements --check` | fails if these tables are out of date |
//! | `columns` | writes `docs/columns.md` from the table of columns |
//! | `proto` | writes `docs/flow.proto`, the message of a flow in Kafka |
//! | `filter` | writes `docs/filter.md` from the words of filters |
//! | `copyright FILE` | writes the licences of all libraries in the program and its web interface, for packages |
//! | `style [DIRECTORY]` | counts the phrases that the style sheet bans, in this or another checkout |

mod copyright;
mod elements;
mod style;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["elements"] => elements::write(),
        ["elements", "--check"] => elements::check(),
        ["columns"] => std::fs::write("docs/columns.md", columns::document::markdown()).context("docs/columns.md"),
        ["proto"] => std::fs::write("docs/flow.proto", kafka::flow_message::proto()).context("docs/flow.proto"),
        ["filter"] => std::fs::write("docs/filter.md", filter::document::markdown()).context("docs/filter.md"),
        ["copyright", file] => copyright::write(Path::new(file)),
        ["style"] => style::check(Path::new(".")),
        ["style", directory] => style::check(Path::new(directory)),
        _ => bail!(
            "usage: cargo run -p xtask -- elements [--check] | columns | proto | filter | copyright FILE | style [DIRECTORY]"
        ),
    }
}
